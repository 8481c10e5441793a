//! What existing nodes have against a pod: the planner is asked, with all others in their places.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use planner::model::group::PodRef;
use planner::model::{PodGroup, PodShape, Snapshot, Str};
use planner::plan::Plan;

use super::settled::filled;

/// Existing nodes and claims, counted by why they do not take a pod.
pub fn against(pod: &Str, shape: &Arc<PodShape>, snapshot: &Snapshot, plan: &Plan) -> BTreeMap<String, usize> {
    let pods = vec![PodRef { key: pod.clone(), stand_in: false }];
    let groups = vec![PodGroup { shape: Arc::clone(shape), pods }];
    let alone = Snapshot { groups, ..filled(snapshot, plan, pod) };
    let claims = snapshot.claims.iter().map(|claim| &claim.name);
    let there: BTreeSet<&Str> = snapshot.nodes.iter().map(|node| &node.name).chain(claims).collect();
    let mut out = BTreeMap::new();
    for (_, refusal) in planner::refusals(&alone, 0).into_iter().filter(|(name, _)| there.contains(*name)) {
        *out.entry(refusal.to_string()).or_default() += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use planner::model::snapshot::Daemon;
    use planner::model::{Claim, Labels, Resources};
    use planner::plan::Nomination;

    use super::*;
    use crate::observe::{Objects, Options, snapshot};

    fn asking(cpu: i64) -> Arc<PodShape> {
        Arc::new(PodShape { requests: Resources::of([("cpu", cpu)]), ..PodShape::default() })
    }

    #[test]
    fn daemon_sets_claims_and_the_rest_of_the_plan_count() {
        let mut before = snapshot(Objects::default(), &Options::default()).unwrap().snapshot;
        let allocatable = Resources::of([("cpu", 2000), ("pods", 10)]);
        let claim = |name: &str| Claim {
            name: name.into(),
            labels: Labels::default(),
            taints: Vec::new(),
            capacity: allocatable.clone(),
            allocatable: allocatable.clone(),
            pool: None,
            deleting: false,
            bereft: false,
        };
        before.claims = vec![claim("empty"), claim("taken")];
        let shape = asking(1000);
        let pods = ["n/a", "n/b"].map(|key| PodRef { key: key.into(), stand_in: false });
        before.groups = vec![PodGroup { shape: Arc::clone(&shape), pods: pods.to_vec() }];
        let nominations = vec![Nomination { pod: "n/a".into(), node: "taken".into() }];
        let plan = Plan { nominations, ..Plan::default() };
        let said = |before: &Snapshot| against(&"n/b".into(), &shape, before, &plan);
        assert_eq!(said(&before), BTreeMap::new(), "each has room for one more");
        before.daemons = vec![Daemon { namespace: "n".into(), name: "agent".into(), shape: asking(500) }];
        assert_eq!(said(&before), [("not enough cpu left".to_owned(), 1)].into());
    }
}
