//! What the pods of now would cost if they were packed anew: the proven bound and first-fit-decreasing, as a yardstick.

use std::collections::BTreeSet;
use std::sync::Arc;

use planner::model::group::collapse;
use planner::model::pod::Owner;
use planner::model::snapshot::DEFAULT_EFFORT;
use planner::model::{MicroUsdPerHour, Pod, PodGroup, PodShape, Policies, Snapshot, Str};

/// Steps that the bound is worth at each point of a record.
const EFFORT: u64 = DEFAULT_EFFORT / 10;

/// Both prices, for the same pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Yardstick {
    pub bound: MicroUsdPerHour,
    pub greedy: MicroUsdPerHour,
}

/// The cluster of a snapshot without its nodes and claims, all its pods waiting, and everything in stock.
pub fn from_scratch(snapshot: &Snapshot) -> Snapshot {
    let mut pods: Vec<(Pod, bool)> = Vec::new();
    let mut keys = BTreeSet::new();
    let mut add = |shape: &Arc<PodShape>, key: &Str, stand_in: bool| {
        keys.extend(shape.labels.keys().cloned());
        let name = key.split_once('/').map_or(&**key, |(_, name)| name);
        let shape = PodShape::clone(shape);
        let pod = Pod { name: name.into(), uid: key.clone(), created: 0, node: None, terminating: false, shape };
        pods.push((pod, stand_in));
    };
    for group in &snapshot.groups {
        group.pods.iter().for_each(|pod| add(&group.shape, &pod.key, pod.stand_in));
    }
    for bound in snapshot.nodes.iter().flat_map(|node| &node.pods) {
        // What a node runs because it is there comes with every node anew.
        let stays = !bound.terminating && !matches!(bound.shape.owner, Owner::DaemonSet | Owner::Node);
        bound.pods.iter().filter(|_| stays).for_each(|key| add(&bound.shape, key, false));
    }
    let mut scratch = Snapshot { nodes: Vec::new(), claims: Vec::new(), ..snapshot.clone() };
    scratch.groups = collapse(pods, &keys);
    scratch.policies = Policies { effort: EFFORT, ..snapshot.policies };
    for pool in &mut scratch.pools {
        if pool.types.iter().any(|kind| kind.offerings.iter().any(|offering| !offering.available)) {
            let mut types = (*pool.types).clone();
            types.iter_mut().flat_map(|kind| &mut kind.offerings).for_each(|offering| offering.available = true);
            pool.types = Arc::new(types);
        }
    }
    scratch
}

/// The yardstick for the pods of a snapshot.
pub fn measure(scratch: &Snapshot) -> Yardstick {
    let plan = planner::plan(scratch);
    Yardstick { bound: plan.cost_lower_bound, greedy: plan.greedy_cost }
}

/// Whether two snapshots have the same pods as far as packing goes.
pub fn alike(a: &[PodGroup], b: &[PodGroup]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.shape == b.shape && a.pods.len() == b.pods.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Options, Validate, files, snapshot};

    #[test]
    fn pods_that_have_their_nodes_cost_from_scratch_what_they_cost_before() {
        let read = |options: &Options| {
            let objects = files::read(&["src/cli/demo/shop.yaml"], Validate::Strict).unwrap();
            snapshot(objects, options).unwrap().snapshot
        };
        let plain = from_scratch(&read(&Options::default()));
        let sold_out = vec![cloud::catalog::UnavailablePattern::parse("*/*/spot").unwrap()];
        let short = from_scratch(&read(&Options { unavailable: sold_out, ..Options::default() }));
        assert!(plain.groups.len() > 10);
        assert_eq!(plain, short, "stock is no matter");
        let yardstick = measure(&plain);
        assert!(yardstick.bound.0 > 0 && yardstick.bound <= yardstick.greedy);
        assert!(alike(&plain.groups, &from_scratch(&plain).groups));
        assert!(!alike(&plain.groups, &plain.groups[1..]));
    }
}
