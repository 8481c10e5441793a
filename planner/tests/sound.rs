//! Plans of unusual clusters that are legal, and that the independent reader calls legal.

mod support;

use planner::model::{PodShape, Snapshot, labels};
use planner::plan::Plan;
use support::{pool, replicas, snapshot, spread, zone_in};

/// A plan that the reader finds no fault with.
fn sound(snapshot: &Snapshot) -> Plan {
    let plan = planner::plan(snapshot);
    assert_eq!(planner::check(snapshot, &plan), [], "{plan:#?}");
    plan
}

#[test]
fn two_workloads_that_spread_over_the_same_pods_may_differ_in_skew() {
    let mut two_zones = pool("p");
    two_zones.requirements.add(zone_in(&["a", "b"]));
    let with_skew = |track: &'static str, max_skew| {
        move |shape: &mut PodShape| {
            shape.labels.extend([("app".into(), "web".into()), ("track".into(), track.into())]);
            shape.spreads.push(planner::model::pod::Spread { max_skew, ..spread(labels::ZONE, "web") });
        }
    };
    let mut pods = replicas("stable", 1, 3000, with_skew("stable", 1));
    pods.extend(replicas("canary", 3, 100, with_skew("canary", 3)));
    let plan = sound(&snapshot(vec![two_zones], pods));
    assert!(plan.unplaced.is_empty(), "{:?}", plan.unplaced);
}
