//! Collapses pods to groups without making each pod's shape anew.

use std::collections::{BTreeMap, BTreeSet};

use planner::model::group::{PodRef, collapse, natural, project};
use planner::model::{Pod, PodGroup, PodShape, Str};

/// Pods to place by shape, stand-ins apart.
#[derive(Default)]
pub(super) struct Groups {
    by_shape: BTreeMap<(bool, PodShape), Vec<PodRef>>,
}

impl Groups {
    /// Adds pods of one shape by their keys.
    pub(super) fn add(
        &mut self,
        shape: PodShape,
        keys: impl IntoIterator<Item = Str>,
        stand_in: bool,
        looked_at: &BTreeSet<Str>,
    ) {
        let refs = keys.into_iter().map(|key| PodRef { key, stand_in });
        self.by_shape.entry((stand_in, project(shape, looked_at))).or_default().extend(refs);
    }

    /// In the order of [`collapse`].
    pub(super) fn finish(self, looked_at: &BTreeSet<Str>) -> Vec<PodGroup> {
        let mut refs = Vec::new();
        let mut one_each = Vec::new();
        for (at, ((stand_in, shape), mut pods)) in self.by_shape.into_iter().enumerate() {
            pods.sort_by(|a, b| natural(&a.key).cmp(&natural(&b.key)));
            refs.push(pods);
            // The name carries the place of its pods.
            let name = at.to_string().into();
            one_each.push((Pod { name, uid: "".into(), created: 0, node: None, terminating: false, shape }, stand_in));
        }
        let mut groups = collapse(one_each, looked_at);
        for group in &mut groups {
            let place = group.pods.first().and_then(|pod| pod.key.rsplit('/').next()?.parse::<usize>().ok());
            group.pods = place.and_then(|at| refs.get_mut(at)).map(std::mem::take).unwrap_or_default();
        }
        groups
    }
}
