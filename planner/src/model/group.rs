//! Identical pods are one group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::resources::{CPU, MEMORY};
use super::{Pod, PodShape, Str};

/// Pods to place that are interchangeable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodGroup {
    pub shape: Arc<PodShape>,
    /// Sorted by name.
    pub pods: Vec<PodRef>,
}

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PodRef {
    /// `namespace/name`.
    pub key: Str,
    /// A `CapacityBuffer`'s stand-in: reserves room, exists nowhere.
    pub stand_in: bool,
}

/// Collapses equal shapes. `keys` are the label keys that selectors look at; other labels cannot matter and are dropped.
/// Largest cpu first, then memory, then by shape: the order in which first-fit-decreasing takes them.
pub fn collapse(pods: impl IntoIterator<Item = (Pod, bool)>, keys: &BTreeSet<Str>) -> Vec<PodGroup> {
    let mut by_shape: BTreeMap<PodShape, Vec<PodRef>> = BTreeMap::new();
    for (pod, stand_in) in pods {
        let key = format!("{}/{}", pod.shape.namespace, pod.name).into();
        by_shape.entry(project(pod.shape, keys)).or_default().push(PodRef { key, stand_in });
    }
    let mut groups: Vec<PodGroup> = by_shape
        .into_iter()
        .map(|(shape, mut pods)| {
            pods.sort_by(|a, b| natural(&a.key).cmp(&natural(&b.key)));
            PodGroup { shape: Arc::new(shape), pods }
        })
        .collect();
    groups.sort_by_cached_key(|group| {
        let requests = &group.shape.requests;
        std::cmp::Reverse((requests.get(CPU), requests.get(MEMORY)))
    });
    groups
}

/// A shape with only the labels that some selector looks at.
pub fn project(mut shape: PodShape, keys: &BTreeSet<Str>) -> PodShape {
    shape.labels.retain(|key, _| keys.contains(key));
    shape
}

/// Orders `web-2` before `web-10`: text, then a trailing number.
fn natural(key: &str) -> (&str, u64, &str) {
    let digits = key.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (stem, number) = key.split_at(key.len() - digits);
    (stem, number.parse().unwrap_or(u64::MAX), number)
}
