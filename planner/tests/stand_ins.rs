//! Stand-ins of `CapacityBuffers` take what pods leave.

mod support;

use std::collections::BTreeSet;

use planner::model::group::collapse;
use planner::model::{Pod, Pool, Snapshot, labels};
use planner::plan::Plan;
use support::{node, pod, pool, replicas, snapshot, term};

/// These pods, and stand-ins for as many others.
fn beside(pools: Vec<Pool>, pods: Vec<Pod>, stand_ins: Vec<Pod>) -> Snapshot {
    let keys: BTreeSet<_> = pods.iter().flat_map(|p| p.shape.selector_keys().cloned()).collect();
    let all = pods.into_iter().map(|pod| (pod, false)).chain(stand_ins.into_iter().map(|pod| (pod, true)));
    Snapshot { groups: collapse(all, &keys), ..snapshot(pools, Vec::new()) }
}

fn spare(n: usize, cpu: i64) -> Vec<Pod> {
    replicas("capacity-buffer-spare", n, cpu, |shape| shape.priority = i32::MIN)
}

fn sound(snapshot: &Snapshot) -> Plan {
    let plan = planner::plan(snapshot);
    assert_eq!(planner::check(snapshot, &plan), []);
    plan
}

/// Who has a place on a node that is there.
fn nominated(plan: &Plan) -> Vec<&str> {
    plan.nominations.iter().map(|nomination| &*nomination.pod).collect()
}

#[test]
fn under_a_limit_pods_come_before_stand_ins_however_large() {
    for cpu in [300, 800, 1_800] {
        let mut small = pool("small");
        small.limits.set("cpu", 2_000);
        let plan = sound(&beside(vec![small], replicas("web", 2, 800, |_| {}), spare(2, cpu)));
        assert!(plan.unplaced.is_empty(), "{cpu}: {:?}", plan.unplaced);
        let bought: BTreeSet<&str> = plan.launches.iter().flat_map(|l| &l.pods).map(AsRef::as_ref).collect();
        assert!(bought.contains("shop/web-0") && bought.contains("shop/web-1"), "{cpu}: {bought:?}");
    }
}

#[test]
fn room_that_is_there_goes_to_pods_first_even_where_the_other_way_is_cheaper() {
    // On the node in place of the pods the stand-in would save a machine of 4 cores, and cost one of 2.
    let all = beside(vec![pool("general")], replicas("web", 2, 800, |_| {}), spare(1, 3_500));
    let plan = sound(&Snapshot { nodes: vec![node("n", 3_600)], ..all });
    assert_eq!(nominated(&plan), ["shop/web-0", "shop/web-1"]);
    assert_eq!(plan.launches.len(), 1, "{plan:?}");
    assert_eq!(&*plan.launches[0].pods[0], "shop/capacity-buffer-spare-0");
}

#[test]
fn of_equal_pods_and_stand_ins_the_pods_take_the_room() {
    let mut alike = spare(2, 800);
    for stand_in in &mut alike {
        stand_in.shape.priority = 0;
        stand_in.shape.labels.clear();
    }
    let all = beside(vec![pool("general")], replicas("web", 2, 800, |shape| shape.labels.clear()), alike);
    let plan = sound(&Snapshot { nodes: vec![node("n", 1_700)], ..all });
    assert_eq!(nominated(&plan), ["shop/web-0", "shop/web-1"]);
}

#[test]
fn stand_ins_fill_what_pods_leave_on_machines_that_are_bought_and_that_are_there() {
    let all = beside(vec![pool("general")], replicas("web", 3, 900, |_| {}), spare(3, 700));
    let plan = sound(&Snapshot { nodes: vec![node("n", 1_700)], ..all });
    assert_eq!(nominated(&plan), ["shop/capacity-buffer-spare-0", "shop/web-0"]);
    assert!(plan.unplaced.is_empty() && plan.stand_ins_left.is_empty());
    assert!(plan.cost <= plan.greedy_cost);
}

#[test]
fn nobody_comes_to_be_near_a_stand_in() {
    let mut front = pod("front", 500);
    front.shape.affinity.push(term(labels::HOSTNAME, "capacity-buffer-spare"));
    let all = beside(vec![pool("general")], vec![front], spare(1, 400));
    let plan = planner::plan(&all);
    assert_eq!(plan.unplaced.len(), 1, "{plan:?}");
    let mut couple = pod("front", 500);
    couple.shape.affinity.push(term(labels::HOSTNAME, "cache"));
    let cache = replicas("cache", 1, 600, |_| {});
    let mut spare = spare(4, 1_500);
    for stand_in in &mut spare {
        stand_in.shape.labels.insert("app".into(), "cache".into());
    }
    let plan = sound(&beside(vec![pool("general")], cache.into_iter().chain([couple]).collect(), spare));
    let seat = plan.launches.iter().find(|launch| launch.pods.iter().any(|pod| &**pod == "shop/front")).unwrap();
    assert!(seat.pods.iter().any(|pod| &**pod == "shop/cache-0"), "{:?}", seat.pods);
}
