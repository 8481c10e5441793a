//! To which zone each pending pod is held.

use std::collections::{BTreeMap, BTreeSet};

use planner::model::labels::ZONE;
use planner::model::{PodShape, Requirements, Snapshot};

/// More than one zone would do.
const FLEXIBLE: &str = "flexible";
/// What the pod asks for excludes every zone.
const NONE: &str = "none";

/// Pods to be placed, by the only zone that what they and their volumes ask for leaves; `flexible` and `none` otherwise.
pub(super) fn held_to(snapshot: &Snapshot) -> BTreeMap<&str, usize> {
    let types = snapshot.pools.iter().flat_map(|pool| pool.types.iter());
    let sold = types.flat_map(|sold| &sold.offerings).map(|offering| &*offering.zone);
    let there = snapshot.nodes.iter().filter_map(|node| node.labels.get(ZONE)).map(|zone| &**zone);
    let zones: BTreeSet<&str> = sold.chain(there).collect();
    let mut out = BTreeMap::new();
    for group in &snapshot.groups {
        let mut left = zones.iter().copied().filter(|zone| allows(&group.shape, zone));
        let zone = match (left.next(), left.next()) {
            (Some(only), None) => only,
            (None, _) if !zones.is_empty() => NONE,
            _ => FLEXIBLE,
        };
        *out.entry(zone).or_default() += group.pods.iter().filter(|pod| !pod.stand_in).count();
    }
    out
}

fn allows(shape: &PodShape, zone: &str) -> bool {
    let ok = |asked: &Requirements| asked.get(ZONE).is_none_or(|asked| asked.has(zone));
    ok(&shape.node_selector)
        && shape.node_terms.as_ref().is_none_or(|terms| terms.iter().any(ok))
        && shape.volumes.iter().all(|terms| terms.iter().any(ok))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Options, Validate, files, snapshot};

    #[test]
    fn pods_with_a_zonal_volume_are_held_to_its_zone_and_others_are_not() {
        let input =
            format!("{}/tests/scenarios/a-volume-holds-its-pod-in-its-zone/input.yaml", env!("CARGO_MANIFEST_DIR"));
        let objects = files::read(&[input], Validate::Strict).unwrap();
        let mut snapshot = snapshot(objects, &Options::default()).unwrap().snapshot;
        let held = held_to(&snapshot);
        let n_pods: usize = snapshot.groups.iter().map(|group| group.pods.len()).sum();
        assert_eq!(held.values().sum::<usize>(), n_pods);
        assert!(held.keys().any(|zone| ![FLEXIBLE, NONE].contains(zone)), "{held:?}");
        for group in &mut snapshot.groups {
            let mut shape = (*group.shape).clone();
            shape.volumes = vec![vec![Requirements::of_labels(&[(ZONE.into(), "nowhere".into())].into())]];
            group.shape = shape.into();
        }
        assert_eq!(held_to(&snapshot), BTreeMap::from([(NONE, n_pods)]));
    }
}
