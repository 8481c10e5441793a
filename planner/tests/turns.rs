//! Whose turn it is: pods that can go to few places get them, whatever their size and name.

mod support;

use std::collections::BTreeMap;

use planner::model::{Pod, PodShape, Requirements, labels};
use planner::plan::Plan;
use support::{app, node, pod, pool, replicas, snapshot, spread, term, zone_in};

/// `n` pods of one set, of which those of `bound` have a volume in a zone.
fn set(n: usize, bound: &[(usize, &str)], with: impl Fn(&mut PodShape)) -> Vec<Pod> {
    let mut pods = replicas("web", n, 400, with);
    for (at, zone) in bound {
        pods[*at].shape.volumes = vec![vec![Requirements::from_iter([zone_in(&[zone])])]];
    }
    pods
}

fn by_zone(plan: &Plan) -> BTreeMap<&str, usize> {
    let mut out = BTreeMap::new();
    for launch in &plan.launches {
        *out.entry(launch.labels[labels::ZONE].as_ref()).or_insert(0) += launch.pods.len();
    }
    out
}

#[track_caller]
fn all_placed(pods: Vec<Pod>) -> Plan {
    let plan = planner::plan(&snapshot(vec![pool("general")], pods));
    assert!(plan.unplaced.is_empty(), "{:?}", plan.unplaced);
    plan
}

#[test]
fn a_replica_with_a_volume_gets_its_zone_before_those_that_may_go_anywhere() {
    let spread_out = |shape: &mut PodShape| shape.spreads.push(spread(labels::ZONE, "web"));
    for bound in [&[(0, "b")][..], &[(2, "a")], &[(0, "c"), (1, "b")]] {
        assert_eq!(by_zone(&all_placed(set(3, bound, spread_out))), [("a", 1), ("b", 1), ("c", 1)].into());
    }
}

#[test]
fn those_who_wait_for_the_balance_are_let_in_as_soon_as_it_allows() {
    let spread_out = |shape: &mut PodShape| shape.spreads.push(spread(labels::ZONE, "web"));
    let plan = all_placed(set(6, &[(0, "c"), (1, "b"), (3, "c")], spread_out));
    assert_eq!(by_zone(&plan), [("a", 2), ("b", 2), ("c", 2)].into());
}

#[test]
fn as_many_zones_as_pods_that_keep_apart_are_enough() {
    let apart = |shape: &mut PodShape| shape.anti_affinity.push(term(labels::ZONE, "web"));
    for zone in ["a", "b", "c"] {
        assert_eq!(by_zone(&all_placed(set(3, &[(1, zone)], apart))).len(), 3);
    }
    let mut chain = replicas("web", 3, 400, apart);
    chain[0].shape.node_selector.add(zone_in(&["a", "b", "c"]));
    chain[1].shape.node_selector.add(zone_in(&["a", "b"]));
    chain[2].shape.node_selector.add(zone_in(&["a"]));
    assert_eq!(by_zone(&all_placed(chain)).len(), 3);
}

#[test]
fn those_who_are_counted_by_others_and_can_go_to_one_zone_come_before_them() {
    let mut a = replicas("a", 3, 800, |shape| {
        shape.labels.insert("app".into(), "v".into());
        shape.spreads.push(spread(labels::ZONE, "v"));
    });
    a.extend(replicas("b", 4, 600, |shape| {
        shape.labels.insert("app".into(), "v".into());
        shape.node_selector.add(zone_in(&["b"]));
        shape.spreads.push(planner::model::pod::Spread { max_skew: 2, ..spread(labels::HOSTNAME, "v") });
    }));
    let plan = planner::plan(&snapshot(vec![pool("general")], a));
    let in_b = |launch: &&planner::plan::Launch| launch.labels[labels::ZONE].as_ref() == "b";
    let of_a = plan.launches.iter().filter(in_b).flat_map(|launch| &launch.pods).filter(|pod| pod.contains("/a-"));
    assert_eq!(of_a.count(), 0, "what others bring to zone b is more than the spread allows already");
}

#[test]
fn whoever_others_have_to_be_near_goes_where_they_can_go() {
    let mut follower = pod("b", 100);
    follower.shape.node_selector.add(zone_in(&["b"]));
    follower.shape.affinity.push(term(labels::ZONE, "a"));
    let mut leader = pod("a", 900);
    leader.shape.labels.insert("app".into(), "a".into());
    assert!(app("a").is_some_and(|selector| selector.matches(&leader.shape.labels)));
    assert_eq!(by_zone(&all_placed(vec![leader, follower])), [("b", 2)].into());
}

#[test]
fn whoever_others_share_a_machine_with_goes_to_a_pool_that_they_may_use() {
    let (mut heavy, mut marked) = (pool("heavy"), pool("marked"));
    heavy.weight = 9;
    marked.labels.insert("team".into(), "b".into());
    let mut follower = pod("b", 400);
    follower.shape.node_selector.add(planner::model::Requirement::equal("team", "b"));
    follower.shape.affinity.push(term(labels::HOSTNAME, "a"));
    let mut leader = pod("a", 500);
    leader.shape.labels.insert("app".into(), "a".into());
    let plan = planner::plan(&snapshot(vec![heavy, marked], vec![leader, follower]));
    assert!(plan.unplaced.is_empty(), "{:?}", plan.unplaced);
    let bought: Vec<_> = plan.launches.iter().map(|launch| (&*launch.pool, launch.pods.len())).collect();
    assert_eq!(bought, [("marked", 2)]);
}

/// A pool of zone a, before all others, that can buy so many cores; and one of zone b without limits.
fn small_and_large(cores: i64) -> Vec<planner::model::Pool> {
    let (mut small, mut large) = (pool("small"), pool("large"));
    (small.weight, small.limits) = (9, planner::model::Resources::of([("cpu", cores * 1000)]));
    small.requirements.add(zone_in(&["a"]));
    large.requirements.add(zone_in(&["b"]));
    vec![small, large]
}

#[test]
fn whoever_others_have_to_be_near_goes_where_limits_leave_room_for_them() {
    for (key, n) in [(labels::ZONE, 1), (labels::ZONE, 3), (labels::HOSTNAME, 1), (labels::HOSTNAME, 3)] {
        let mut pods = replicas("f", n, 1_800, |shape| shape.affinity.push(term(key, "lead")));
        pods.extend(replicas("lead", 1, 1_800, |_| {}));
        let plan = planner::plan(&snapshot(small_and_large(2), pods));
        assert!(plan.unplaced.is_empty(), "{key} {n}: {:?}", plan.unplaced);
    }
}

#[test]
fn who_follows_a_follower_goes_where_limits_leave_room_for_all() {
    let mut pods = replicas("z", 1, 1_800, |shape| shape.affinity.push(term(labels::ZONE, "y")));
    pods.extend(replicas("y", 1, 1_800, |shape| shape.affinity.push(term(labels::ZONE, "x"))));
    pods.extend(replicas("x", 1, 1_800, |_| {}));
    let plan = planner::plan(&snapshot(small_and_large(4), pods));
    assert!(plan.unplaced.is_empty(), "{:?}", plan.unplaced);
}

#[test]
fn those_who_gather_do_so_where_limits_leave_room_for_all() {
    for key in [labels::ZONE, labels::HOSTNAME] {
        let pods = replicas("web", 4, 1_800, |shape| shape.affinity.push(term(key, "web")));
        let plan = planner::plan(&snapshot(small_and_large(4), pods));
        assert!(plan.unplaced.is_empty(), "{key}: {:?}", plan.unplaced);
    }
}

#[test]
fn who_may_spread_loosely_goes_where_that_lets_others_in() {
    // The strict ones have zone a alone, which may be one ahead of zone b.
    let strict = |shape: &mut PodShape| {
        shape.spreads.push(planner::model::pod::Spread { honor_affinity: false, ..spread(labels::ZONE, "web") });
        shape.node_selector.add(zone_in(&["a"]));
    };
    let loose = |shape: &mut PodShape| {
        shape.spreads.push(planner::model::pod::Spread { max_skew: 3, ..spread(labels::ZONE, "web") });
    };
    let mut pods = replicas("web", 2, 100, strict);
    for (at, mut pod) in replicas("web", 3, 900, loose).into_iter().enumerate() {
        pod.name = format!("loose-{at}").into();
        pod.uid = pod.name.clone();
        pods.push(pod);
    }
    let mut pool = pool("general");
    pool.requirements.add(zone_in(&["a", "b"]));
    let snapshot = snapshot(vec![pool], pods);
    let plan = planner::plan(&snapshot);
    assert!(plan.unplaced.is_empty(), "{:?}", plan.unplaced);
    assert_eq!(planner::check(&snapshot, &plan), []);
}

#[test]
fn a_node_that_is_there_goes_to_whoever_has_no_other_place() {
    let mut fixed = pod("p", 300);
    fixed.shape.node_selector.add(planner::model::Requirement::equal("disk", "fast"));
    let free = pod("f", 500);
    let mut there = node("n1", 600);
    there.labels.insert("disk".into(), "fast".into());
    let mut all = snapshot(vec![pool("general")], vec![free, fixed]);
    all.nodes.push(there);
    let plan = planner::plan(&all);
    assert!(plan.unplaced.is_empty(), "{:?}", plan.unplaced);
    assert_eq!((plan.launches.len(), plan.nominations.len()), (1, 1));
}
