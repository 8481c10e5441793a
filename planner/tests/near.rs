//! Pods that look at each other: who comes first, and what that costs.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use planner::model::node::BoundPods;
use planner::model::{CapacityType, MicroUsdPerHour, Node, Pod, Pool, Resources, Snapshot, labels};
use planner::plan::Plan;
use support::{pod, pool, replicas, snapshot, spread, term, types};

fn sound(snapshot: &Snapshot) -> Plan {
    let plan = planner::plan(snapshot);
    assert_eq!(planner::check(snapshot, &plan), []);
    plan
}

/// Two pods of one app, of which only the second has to be near one of them.
fn couple(first: i64, second: i64) -> Vec<Pod> {
    let mut pods = replicas("c", 2, first, |_| {});
    let follower = &mut pods[1];
    follower.shape.requests.set("cpu", second);
    follower.shape.affinity.push(term(labels::HOSTNAME, "c"));
    pods
}

#[test]
fn nobody_is_the_first_of_its_kind_beside_others_of_it() {
    // Apart they would need machines of 8 and 2 cores, together one of 16; the larger of the two may be either.
    for (first, second) in [(7_500, 1_500), (1_500, 7_500)] {
        let plan = sound(&snapshot(vec![pool("general")], couple(first, second)));
        assert!(plan.unplaced.is_empty(), "{:?}", plan.unplaced);
        assert_eq!(plan.launches.len(), 1, "{first}: {plan:?}");
    }
}

#[test]
fn who_has_to_be_near_its_own_kind_gathers_where_the_others_are() {
    let mut pods = replicas("c", 3, 500, |shape| shape.affinity.push(term(labels::ZONE, "c")));
    let mut anchor = pod("anchor", 100);
    anchor.shape.labels.insert("app".into(), "c".into());
    anchor.shape.node_selector.add(support::zone_in(&["c"]));
    pods.push(anchor);
    let plan = sound(&snapshot(vec![pool("general")], pods));
    assert!(plan.unplaced.is_empty(), "{:?}", plan.unplaced);
    let zones: BTreeSet<&str> = plan.launches.iter().map(|l| &*l.labels[labels::ZONE]).collect();
    assert_eq!(zones, BTreeSet::from(["c"]));
}

#[test]
fn the_first_of_a_kind_needs_no_company() {
    let pods = replicas("c", 4, 900, |shape| shape.affinity.push(term(labels::ZONE, "c")));
    let plan = sound(&snapshot(vec![pool("general")], pods));
    let zones: BTreeSet<&str> = plan.launches.iter().map(|l| &*l.labels[labels::ZONE]).collect();
    assert_eq!((plan.unplaced.len(), zones.len()), (0, 1));
}

#[test]
fn a_machine_that_brings_its_own_company_may_stand_in_any_zone() {
    let mut pods = couple(500, 300);
    pods[1].shape.affinity[0].key = labels::ZONE.into();
    // Far larger, and bound to zone a: of the same kind, so that the two are not the only ones.
    let mut far = pod("far", 63_800);
    far.shape.labels.insert("app".into(), "c".into());
    far.shape.node_selector.add(support::zone_in(&["a"]));
    pods.push(far);
    let plan = sound(&snapshot(vec![pool("general")], pods));
    let small = plan.launches.iter().find(|launch| launch.pods.len() == 2).unwrap();
    let zones: BTreeSet<&str> = small.offerings.iter().map(|offering| &*offering.zone).collect();
    assert_eq!(zones, BTreeSet::from(["a", "b", "c"]), "{small:?}");
}

/// On-demand, and spot at half the price.
fn with_spot() -> Pool {
    let mut pool = pool("general");
    let mut types = types(&["a", "b"]);
    for kind in &mut types {
        let mut spot = kind.offerings.clone();
        for offering in &mut spot {
            offering.capacity_type = CapacityType::Spot;
            offering.price = MicroUsdPerHour(offering.price.0 / 2);
        }
        kind.offerings.extend(spot);
    }
    pool.types = Arc::new(types);
    pool
}

fn node(name: &str, cpu: i64, bound: Vec<Pod>) -> Node {
    let capacity = Resources::of([("cpu", cpu), ("memory", 8 << 30), ("pods", 64)]);
    let bound = bound.into_iter().map(|pod| BoundPods {
        shape: Arc::new(pod.shape),
        pods: vec![format!("shop/{}", pod.name).into()],
        terminating: false,
        promised: false,
    });
    let mut out = support::node(name, cpu);
    out.labels.extend([(labels::ZONE, "b"), (labels::CAPACITY_TYPE, "spot")].map(|(k, v)| (k.into(), v.into())));
    Node { allocatable: capacity.clone(), capacity, pods: bound.collect(), ..out }
}

#[test]
fn what_one_pod_wishes_makes_no_other_dearer() {
    let mut running = replicas("b", 1, 100, |_| {});
    running[0].name = "r".into();
    let mut pods = replicas("b", 2, 3_000, |_| {});
    let mut wish = spread(labels::CAPACITY_TYPE, "b");
    wish.hard = false;
    pods[0].shape.requests.set("cpu", 0);
    pods[0].shape.spreads.push(wish);
    let snapshot = Snapshot { nodes: vec![node("n0", 1_000, running)], ..snapshot(vec![with_spot()], pods) };
    let plan = sound(&snapshot);
    let launch = plan.launches.iter().find(|launch| launch.pods.contains(&"shop/b-1".into())).unwrap();
    assert_eq!(launch.offerings[0].capacity_type, CapacityType::Spot, "{launch:?}");
}

#[test]
fn a_pod_that_is_merely_counted_leaves_running_machines_to_those_who_spread_over_them() {
    let mut pods = replicas("b", 3, 700, |shape| {
        let mut two = spread(labels::HOSTNAME, "b");
        two.max_skew = 2;
        shape.spreads.push(two);
    });
    pods[2].shape.spreads.clear();
    pods[2].shape.requests.set("cpu", 250);
    let big = pod("big", 6_000);
    pods.push(big);
    let snapshot = Snapshot { nodes: vec![node("n0", 4_000, Vec::new())], ..snapshot(vec![pool("general")], pods) };
    let plan = sound(&snapshot);
    assert!(plan.unplaced.is_empty());
    let on_node = plan.nominations.iter().filter(|nomination| nomination.pod.contains("/b-")).count();
    assert_eq!(on_node, 2, "{:?}", plan.nominations);
}

#[test]
fn a_pod_without_constraints_has_a_place_though_min_values_leave_open_where_it_counts() {
    let mut wide = pool("wide");
    let mut zones = support::zone_in(&["a", "b"]);
    zones.min_values = Some(2);
    wide.requirements.add(zones);
    let mut spreader = pod("s", 200);
    spreader.shape.spreads.push(spread(labels::ZONE, "plain"));
    let mut pods = replicas("plain", 1, 200, |_| {});
    pods.push(spreader);
    let snapshot = snapshot(vec![wide], pods);
    let plan = sound(&snapshot);
    assert!(plan.launches.iter().any(|launch| launch.pods.contains(&"shop/plain-0".into())), "{:?}", plan.unplaced);
    let zones: BTreeSet<&str> = plan.launches[0].offerings.iter().map(|offering| &*offering.zone).collect();
    assert_eq!(zones.len(), 2, "what is bought still has the choice that minValues want");
}

#[test]
fn a_node_with_less_than_nothing_left_of_anything_takes_nobody() {
    let mut hungry = pod("hungry", 100);
    hungry.shape.requests.set("memory", 9 << 30);
    let mut small = pod("small", 100);
    small.shape.requests = Resources::of([("cpu", 100), ("pods", 1)]);
    let at = |bound| Snapshot {
        nodes: vec![node("n0", 4_000, bound)],
        ..snapshot(vec![pool("general")], vec![small.clone()])
    };
    assert_eq!(sound(&at(vec![])).nominations.len(), 1);
    assert_eq!(sound(&at(vec![hungry])).launches.len(), 1);
}

#[test]
fn the_bound_lets_pods_that_keep_apart_share_a_node_that_lacks_the_label() {
    let pods = |n, cpu| replicas("web", n, cpu, |shape| shape.anti_affinity.push(term("rack", "web")));
    let labelled = |name| {
        let mut pool = pool(name);
        pool.labels.insert("rack".into(), "1".into());
        pool
    };
    let plan = sound(&snapshot(vec![pool("general")], pods(2, 300)));
    assert_eq!((plan.cost.0, plan.cost_lower_bound.0), (30_000, 30_000));
    let plan = sound(&snapshot(vec![labelled("p"), pool("q")], pods(4, 200)));
    assert!(plan.unplaced.is_empty() && plan.cost_lower_bound <= plan.cost, "{plan:?}");
    // The node has no label and room for two.
    let there = Snapshot { nodes: vec![support::node("n-1", 2_000)], ..snapshot(vec![labelled("p")], pods(3, 900)) };
    let plan = sound(&there);
    assert_eq!((plan.nominations.len(), plan.cost.0, plan.cost_lower_bound.0), (2, 30_000, 30_000));
    // Where all that is bought has the label, each needs a machine to itself.
    let plan = sound(&snapshot(
        vec![pool("general")],
        replicas("web", 3, 300, |shape| {
            shape.anti_affinity.push(term(labels::ZONE, "web"));
        }),
    ));
    assert_eq!((plan.cost.0, plan.cost_lower_bound.0), (90_000, 90_000));
}
