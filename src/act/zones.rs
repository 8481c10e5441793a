//! To which zone each pending pod is held.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use planner::model::labels::ZONE;
use planner::model::pod::Spread;
use planner::model::{PodShape, Requirements, Snapshot};

/// More than one zone would do.
const FLEXIBLE: &str = "flexible";
/// What the pod asks for excludes every zone.
const NONE: &str = "none";

/// Pods to be placed, by the only zone that what they, their volumes and their spread over zones ask for leaves; `flexible`
/// and `none` otherwise.
pub(super) fn held_to(snapshot: &Snapshot) -> BTreeMap<&str, usize> {
    let types = snapshot.pools.iter().flat_map(|pool| pool.types.iter());
    let sold = types.flat_map(|sold| &sold.offerings).map(|offering| &*offering.zone);
    let there = snapshot.nodes.iter().filter_map(|node| node.labels.get(ZONE)).map(|zone| &**zone);
    let zones: BTreeSet<&str> = sold.chain(there).collect();
    let lying = Lying::of(snapshot);
    let mut out = BTreeMap::new();
    for group in &snapshot.groups {
        let spreads = lying.spread(&group.shape, &zones);
        let is_left = |zone: &&str| allows(&group.shape, zone) && spreads.iter().all(|zones| zones.contains(zone));
        let mut left = zones.iter().copied().filter(is_left);
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

/// How many pods of each shape lie in each zone.
struct Lying<'a>(Vec<(&'a PodShape, BTreeMap<&'a str, usize>)>);

impl<'a> Lying<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        // Shapes are shared: to look at each once keeps this small whatever the number of nodes.
        let mut at: HashMap<*const PodShape, usize> = HashMap::new();
        let mut out: Vec<(&PodShape, BTreeMap<&str, usize>)> = Vec::new();
        for node in &snapshot.nodes {
            let Some(zone) = node.labels.get(ZONE) else { continue };
            for bound in node.pods.iter().filter(|bound| !bound.terminating) {
                let at = *at.entry(Arc::as_ptr(&bound.shape)).or_insert_with(|| {
                    out.push((&*bound.shape, BTreeMap::new()));
                    out.len() - 1
                });
                *out[at].1.entry(zone).or_default() += bound.pods.len();
            }
        }
        Self(out)
    }

    /// The zones that each spread over zones which holds leaves for one more pod of this shape.
    fn spread<'z>(&self, shape: &PodShape, zones: &BTreeSet<&'z str>) -> Vec<BTreeSet<&'z str>> {
        let over_zones = shape.spreads.iter().filter(|spread| spread.hard && *spread.key == *ZONE);
        let one = |spread: &Spread| {
            let picks = |other: &PodShape| spread.selector.as_ref().is_some_and(|picked| picked.matches(&other.labels));
            let alike = || self.0.iter().filter(|(other, _)| other.namespace == shape.namespace && picks(other));
            let count = |zone: &str| alike().filter_map(|(_, by_zone)| by_zone.get(zone)).sum::<usize>();
            let counts: BTreeMap<&str, usize> = zones.iter().map(|zone| (*zone, count(zone))).collect();
            let domains = counts.iter().filter(|(zone, _)| !spread.honor_affinity || allows(shape, zone));
            let n_domains = domains.clone().count();
            let are_few = spread.min_domains.is_some_and(|least| n_domains < least as usize);
            let least = domains.map(|(_, n)| *n).min().filter(|_| !are_few).unwrap_or_default();
            let most = (least + spread.max_skew as usize).saturating_sub(usize::from(picks(shape)));
            counts.into_iter().filter(|(_, n)| *n <= most).map(|(zone, _)| zone).collect()
        };
        over_zones.map(one).collect()
    }
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
    #[test]
    fn a_spread_that_leaves_one_zone_holds_its_pods_there() {
        let labels: planner::model::Labels = [("app".into(), "web".into())].into();
        let spread = Spread {
            key: ZONE.into(),
            max_skew: 1,
            min_domains: None,
            hard: true,
            selector: Some(planner::model::selector::LabelSelector::equal([("app".into(), "web".into())])),
            honor_affinity: true,
            honor_taints: false,
        };
        let shape = PodShape { labels, spreads: vec![spread], ..PodShape::default() };
        let lying = |in_zones: [usize; 3]| {
            let by_zone = ["a", "b", "c"].into_iter().zip(in_zones).collect();
            let zones = BTreeSet::from(["a", "b", "c"]);
            let left = Lying(vec![(&shape, by_zone)]).spread(&shape, &zones);
            left.into_iter().flatten().collect::<Vec<_>>().concat()
        };
        for (in_zones, left) in [([0, 0, 0], "abc"), ([1, 1, 0], "c"), ([2, 1, 1], "bc"), ([5, 0, 1], "b")] {
            assert_eq!(lying(in_zones), left, "{in_zones:?}");
        }
        let mut few = shape.clone();
        few.spreads[0].min_domains = Some(4);
        let by_zone = [("a", 1), ("b", 1)].into();
        let left = Lying(vec![(&shape, by_zone)]).spread(&few, &BTreeSet::from(["a", "b", "c"]));
        assert_eq!(left, [BTreeSet::from(["c"])]);
    }
}
