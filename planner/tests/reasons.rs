//! What is said when there is no place, and what of it counts.

mod support;

use std::sync::Arc;

use planner::model::catalog::Reservation;
use planner::model::snapshot::Daemon;
use planner::model::{
    CapacityType, Code, Effect, MicroUsdPerHour, Operator, Pod, Pool, Reason, Requirement, Resources, Snapshot, Taint,
    labels,
};
use support::{pod, pool, replicas, snapshot, spread, term, types, zone_in};

fn only_reason(pool: Pool, pods: Vec<Pod>) -> Reason {
    let snapshot = snapshot(vec![pool], pods);
    let plan = planner::plan(&snapshot);
    assert_eq!(planner::check(&snapshot, &plan), []);
    assert_eq!((plan.unplaced.len(), plan.unplaced[0].reasons.len()), (1, 1), "{:?}", plan.unplaced);
    plan.unplaced[0].reasons[0].clone()
}

fn miss(reason: &Reason) -> &str {
    reason.nearest_miss.as_deref().unwrap_or_default()
}

#[test]
fn every_taint_that_is_in_the_way_is_named() {
    let mut pool = pool("gpu");
    let taint = |key: &str| Taint { key: key.into(), value: "yes".into(), effect: Effect::NoSchedule };
    pool.taints = vec![taint("dedicated"), taint("team")];
    let reason = only_reason(pool, vec![pod("web", 100)]);
    assert_eq!(reason.code, Code::TaintNotTolerated);
    assert_eq!(miss(&reason), "toleration for dedicated=yes:NoSchedule, toleration for team=yes:NoSchedule");
}

#[test]
fn every_amount_that_is_too_large_is_named() {
    let mut huge = pod("huge", 100_000);
    huge.shape.requests.set("memory", 400 << 30);
    let reason = only_reason(pool("general"), vec![huge]);
    assert_eq!(reason.code, Code::NoInstanceTypeFits);
    assert_eq!(miss(&reason), "cpu 100 → 63900m, memory 400Gi → 255.99Gi");
}

#[test]
fn every_limit_is_named_and_what_was_asked_of_it() {
    let mut small = pool("small");
    small.limits = Resources::of([("cpu", 1000), ("memory", 3 << 30), ("nodes", 5)]);
    let reason = only_reason(small, vec![pod("web", 1500)]);
    assert_eq!(reason.code, Code::LimitExceeded);
    assert_eq!(miss(&reason), "limits.cpu 1 → 2, limits.memory 3Gi → 8Gi");
    let asked =
        "limits.cpu is 1, 0 in use, 2 more asked (t-2x for the pod's 1500m); limits.memory is 3Gi, 0 in use, 8Gi";
    assert!(reason.message.contains(asked), "{}", reason.message);
}

#[test]
fn a_pool_that_contradicts_itself_is_told_so_and_not_its_types() {
    let mut torn = pool("torn");
    for arch in ["amd64", "arm64"] {
        torn.requirements.add(Requirement::equal(labels::ARCH, arch));
    }
    let mut by_label = pool("by-label");
    by_label.labels.insert("team".into(), "a".into());
    by_label.requirements.add(Requirement::equal("team", "b"));
    for (pool, key) in [(torn, labels::ARCH), (by_label, "team")] {
        let name = pool.name.clone();
        let reason = only_reason(pool, vec![pod("web", 100)]);
        assert_eq!(reason.code, Code::RequirementConflict);
        assert!(reason.message.contains(&format!("the requirements of NodePool {name} on {key} exclude each other")));
    }
}

#[test]
fn a_label_to_spread_over_that_no_node_has_is_named() {
    let pods = |n| replicas("web", n, 100, |shape| shape.spreads.push(spread("rack", "web")));
    let reason = only_reason(pool("general"), pods(2));
    assert_eq!((reason.code, miss(&reason)), (Code::TopologySpread, "label rack on NodePool general"));
    assert!(reason.message.contains("has label rack"), "{}", reason.message);
    let mut open = pool("open");
    open.requirements.add(Requirement::new("rack", Operator::Exists, Vec::<&str>::new()));
    let reason = only_reason(open, pods(2));
    assert_eq!((reason.code, miss(&reason)), (Code::TopologySpread, "values of rack named by NodePool open"));
}

#[test]
fn nobody_keeps_apart_over_a_label_whose_values_nobody_knows() {
    let open = |operator, values: &[&str]| {
        let mut pool = pool("open");
        pool.requirements.add(Requirement::new("rack", operator, values.iter().copied()));
        pool
    };
    let pods = |n| replicas("web", n, 100, |shape| shape.anti_affinity.push(term("rack", "web")));
    for pool in [open(Operator::Exists, &[]), open(Operator::Gt, &["3"])] {
        let mut with_others = pods(2);
        with_others.push(pod("other", 100));
        let reason = only_reason(pool, with_others);
        assert_eq!((reason.code, miss(&reason)), (Code::PodAntiAffinity, "values of rack named by NodePool open"));
    }
    let reason = only_reason(open(Operator::In, &["r1", "r2"]), pods(3));
    assert_eq!((reason.code, miss(&reason)), (Code::PodAntiAffinity, "one more rack"));
    // Where nodes need not have the label, those that are bought do not.
    let snapshot = snapshot(vec![open(Operator::NotIn, &["r1"])], pods(2));
    let plan = planner::plan(&snapshot);
    assert_eq!((plan.unplaced.len(), plan.launches.len()), (0, 1));
}

#[test]
fn what_min_values_lack_once_a_zone_is_settled_is_named() {
    let mut pool = pool("general");
    let mut zones = zone_in(&["a", "b", "c"]);
    zones.min_values = Some(3);
    pool.requirements.add(zones);
    let reason = only_reason(pool, replicas("web", 3, 500, |shape| shape.spreads.push(spread(labels::ZONE, "web"))));
    let change = "minValues of topology.kubernetes.io/zone 3 → 1";
    assert_eq!((reason.code, miss(&reason)), (Code::MinValuesNotMet, change));
    let said =
        "at least 3 values of topology.kubernetes.io/zone to choose from, 1 holds the pod once its zone is settled";
    assert!(reason.message.ends_with(said), "{}", reason.message);
}

#[test]
fn a_limit_that_leaves_no_machine_where_a_spread_wants_one_is_named() {
    let mut pool = pool("general");
    let mut types = types(&["a", "b", "c"]);
    types.iter_mut().filter(|t| *t.name != *"t-64x").for_each(|t| t.offerings.retain(|o| *o.zone != *"c"));
    pool.types = Arc::new(types);
    pool.limits.set("cpu", 8_000);
    let reason = only_reason(pool, replicas("web", 3, 500, |shape| shape.spreads.push(spread(labels::ZONE, "web"))));
    assert_eq!((reason.code, miss(&reason)), (Code::LimitExceeded, "limits.cpu 8 → 66"));
}

#[test]
fn a_spread_that_goes_where_an_affinity_does_not_is_named() {
    let mut pods = replicas("db", 2, 500, |shape| shape.anti_affinity.push(term(labels::ZONE, "db")));
    pods.extend(replicas("web", 4, 500, |shape| {
        shape.affinity.push(term(labels::ZONE, "db"));
        shape.spreads.push(spread(labels::ZONE, "web"));
    }));
    let reason = only_reason(pool("general"), pods);
    assert_eq!((reason.code, miss(&reason)), (Code::TopologySpread, "maxSkew 1 → 2, or room in c"));
    let said = "could add to is already 1 ahead of the emptiest (a: 1, b: 1); c: 0, where it can buy nothing for the pod; \
                the pod's other constraints leave no other zone";
    assert!(reason.message.ends_with(said), "{}", reason.message);
}

#[test]
fn an_affinity_that_goes_where_anti_affinity_does_not_is_named() {
    let mut racks = pool("general");
    racks.requirements.add(Requirement::new("rack", Operator::In, ["a", "b", "c"]));
    for (pool, key) in [(pool("general"), labels::ZONE), (racks, "rack")] {
        let there = |shape: &mut planner::model::PodShape| shape.node_selector.add(Requirement::equal(key, "a"));
        let mut pods = replicas("db", 1, 500, there);
        pods.extend(replicas("noisy", 1, 500, there));
        pods.extend(replicas("web", 1, 500, |shape| {
            shape.affinity.push(term(key, "db"));
            shape.anti_affinity.push(term(key, "noisy"));
        }));
        let reason = only_reason(pool, pods);
        assert_eq!(reason.code, Code::PodAffinity);
        assert!(miss(&reason).ends_with(" with such a pod and room beside it"), "{}", miss(&reason));
        let said = "a pod with app=db in namespace shop (b: 0, c: 0); the pod's other constraints leave no other ";
        assert!(reason.message.contains(said), "{}", reason.message);
    }
}

/// A pod that asks for this of its node.
fn picky(requirement: Requirement) -> Vec<Pod> {
    let mut pod = pod("picky", 100);
    pod.shape.node_selector.add(requirement);
    vec![pod]
}

#[test]
fn counts_and_cores_are_never_shortened() {
    let mut large = pool("large");
    large.limits = Resources::of([("cpu", 1_000_000)]);
    large.requirements.add(Requirement::equal(labels::INSTANCE_TYPE, "t-64x"));
    let reason = only_reason(large, replicas("web", 1000, 60_000, |_| {}));
    assert_eq!((reason.code, miss(&reason)), (Code::LimitExceeded, "limits.cpu 1000 → 1024"));
    assert!(reason.message.contains("limits.cpu is 1000, 960 in use"), "{}", reason.message);
    let reason = only_reason(pool("general"), vec![pod("typo", 500_000_000)]);
    assert_eq!(miss(&reason), "cpu 500000 → 63900m");
}

#[test]
fn what_a_pool_would_have_to_allow_is_named() {
    let team = |operator, values: &[&str]| Requirement::new("team", operator, values.iter().copied());
    let with = |requirement: Requirement| {
        let mut pool = pool("general");
        pool.requirements.add(requirement);
        pool
    };
    let mut labelled = pool("general");
    labelled.labels.insert("team".into(), "q".into());
    let zones = || with(zone_in(&["a", "b"]));
    let another = Requirement::new(labels::ZONE, Operator::NotIn, ["a", "b"]);
    let kind = |value: &str| Requirement::equal(labels::INSTANCE_TYPE, value);
    for (pool, asked, change) in [
        (zones(), zone_in(&["c"]), "zone c added to NodePool general"),
        (zones(), another, "zone c added to NodePool general"),
        (zones(), zone_in(&["moon"]), "zone a asked for by the pod"),
        (with(kind("t-1x")), kind("t-2x"), "node.kubernetes.io/instance-type t-2x added to NodePool general"),
        (labelled.clone(), team(Operator::In, &["z"]), "label team=q → team=z on NodePool general"),
        (labelled.clone(), team(Operator::NotIn, &["q"]), "another value of label team on NodePool general"),
        (labelled, team(Operator::DoesNotExist, &[]), "label team left off NodePool general"),
        (with(team(Operator::In, &["q"])), team(Operator::In, &["z"]), "team z added to NodePool general"),
        (with(team(Operator::NotIn, &["z"])), team(Operator::In, &["z"]), "team z allowed by NodePool general"),
        (
            with(team(Operator::DoesNotExist, &[])),
            team(Operator::In, &["z"]),
            "team DoesNotExist → In [z] in NodePool general",
        ),
        (
            with(team(Operator::In, &["q"])),
            team(Operator::DoesNotExist, &[]),
            "no requirement on team in NodePool general",
        ),
        (
            pool("general"),
            Requirement::equal(labels::NODEPOOL, "other"),
            "karpenter.sh/nodepool general allowed by the pod",
        ),
    ] {
        let reason = only_reason(pool, picky(asked));
        assert_eq!((reason.code, miss(&reason)), (Code::RequirementConflict, change), "{}", reason.message);
    }
}

#[test]
fn of_all_that_a_pod_asks_only_what_no_type_has_is_named() {
    const CPU: &str = "karpenter.k8s.aws/instance-cpu";
    let mut types = types(&["a"]);
    for (at, kind) in types.iter_mut().enumerate() {
        kind.labels.insert(CPU.into(), (1 << at).to_string().into());
    }
    let mut sold = pool("general");
    sold.requirements.add(Requirement::equal(labels::ARCH, "amd64"));
    sold.types = Arc::new(types);
    let kind = Requirement::equal(labels::INSTANCE_TYPE, "t-6x");
    for (asked, said, change) in [
        (
            kind,
            "the pod asks for node.kubernetes.io/instance-type In [t-6x], which no instance type of NodePool general meets",
            "node.kubernetes.io/instance-type t-6x → t-16x",
        ),
        (
            Requirement::new(CPU, Operator::Gt, ["500"]),
            "the pod asks for karpenter.k8s.aws/instance-cpu Gt [500], which no instance type of NodePool general meets",
            "karpenter.k8s.aws/instance-cpu Gt [500] → 64",
        ),
    ] {
        let reason = only_reason(sold.clone(), picky(asked));
        assert_eq!((reason.code, reason.message.as_str(), miss(&reason)), (Code::RequirementConflict, said, change));
    }
    // Each is there, and nothing is both.
    let mut both = picky(Requirement::equal(labels::INSTANCE_TYPE, "t-2x"));
    both[0].shape.node_selector.add(Requirement::equal(CPU, "8"));
    let reason = only_reason(sold.clone(), both);
    assert_eq!((reason.code, miss(&reason)), (Code::NoInstanceTypeFits, "karpenter.k8s.aws/instance-cpu 8 → 2"));
    sold.requirements.add(Requirement::equal(labels::INSTANCE_TYPE, "t-32"));
    let reason = only_reason(sold, vec![pod("web", 100)]);
    assert_eq!(
        (reason.code, miss(&reason)),
        (Code::NoInstanceTypeFits, "node.kubernetes.io/instance-type t-32 → t-32x in NodePool general")
    );
}

#[test]
fn only_the_place_that_is_in_the_way_is_named() {
    let mut elsewhere = pool("general");
    elsewhere.requirements.add(zone_in(&["moon"]));
    elsewhere.requirements.add(Requirement::equal(labels::CAPACITY_TYPE, "on-demand"));
    let reason = only_reason(elsewhere, vec![pod("web", 100)]);
    assert_eq!((reason.code, miss(&reason)), (Code::NoOffering, "zone a added to NodePool general"));
    let under = "but none of them is sold under topology.kubernetes.io/zone In [moon] of NodePool general";
    assert!(reason.message.ends_with(under), "{}", reason.message);
    let mut spot = pool("general");
    spot.requirements.add(Requirement::equal(labels::CAPACITY_TYPE, "spot"));
    let reason = only_reason(spot, vec![pod("web", 100)]);
    let change = "capacity type on-demand added to NodePool general, or a price for spot";
    assert_eq!((reason.code, miss(&reason)), (Code::NoOffering, change));
    let reason = only_reason(pool("general"), picky(Requirement::equal(labels::CAPACITY_TYPE, "spot")));
    let change = "capacity type on-demand allowed by the pod, or a price for spot";
    assert_eq!((reason.code, miss(&reason)), (Code::NoOffering, change));
}

#[test]
fn a_label_that_only_a_provider_can_define_is_no_unknown_label() {
    let reason = only_reason(pool("general"), picky(Requirement::equal("topology.k8s.aws/zone-id", "use1-az4")));
    assert_eq!(reason.code, Code::RequirementConflict);
    assert_eq!(miss(&reason), "topology.k8s.aws/zone-id not asked for");
}

#[test]
fn too_few_domains_are_said_to_be_too_few() {
    let four_zones = |shape: &mut planner::model::PodShape| {
        let spread = planner::model::pod::Spread { min_domains: Some(4), ..spread(labels::ZONE, "web") };
        shape.spreads.push(spread);
    };
    let reason = only_reason(pool("general"), replicas("web", 5, 100, four_zones));
    assert_eq!((reason.code, miss(&reason)), (Code::TopologySpread, "minDomains 4 → 3, or one more zone"));
    let said = "minDomains 4 over topology.kubernetes.io/zone, of which there are 3: ";
    assert!(reason.message.starts_with(said) && reason.message.contains("a: 1"), "{}", reason.message);
}

#[test]
fn who_the_others_are_is_said() {
    let mut front = pod("front", 100);
    front.shape.affinity.push(term(labels::ZONE, "cache"));
    let reason = only_reason(pool("general"), vec![front]);
    let change = "a place for a pod with app=cache in namespace shop";
    assert_eq!((reason.code, miss(&reason)), (Code::PodAffinity, change));
    let pods = replicas("kafka", 4, 300, |shape| shape.anti_affinity.push(term(labels::ZONE, "kafka")));
    let reason = only_reason(pool("general"), pods);
    assert_eq!((reason.code, miss(&reason)), (Code::PodAntiAffinity, "one more zone"));
    assert!(reason.message.contains("a pod with app=kafka in namespace shop (a: 1, "), "{}", reason.message);
}

/// One reservation of so many small machines, beside what else is sold.
fn reserved(count: u32, and_on_demand: bool) -> Pool {
    let mut pool = pool("reserved");
    let mut types = types(&["a"]);
    let mut reserved = types[0].offerings[0].clone();
    reserved.capacity_type = CapacityType::Reserved;
    reserved.price = MicroUsdPerHour(1);
    reserved.reservation = Some(Reservation { id: "cr-1".into(), count });
    types[0].offerings.push(reserved);
    pool.types = Arc::new(types);
    if !and_on_demand {
        pool.requirements.add(Requirement::equal(labels::CAPACITY_TYPE, "reserved"));
    }
    pool
}

#[test]
fn a_reservation_that_is_used_up_is_named_with_its_size() {
    let pods = || replicas("web", 3, 800, |_| {});
    for (count, said) in [(1, "the 1 machine left in reservation cr-1"), (0, "reservation cr-1 has no machine left")] {
        let reason = only_reason(reserved(count, false), pods());
        assert_eq!(reason.code, Code::ReservedCapacityHeld, "{}", reason.message);
        assert_eq!(miss(&reason), "capacity type on-demand allowed, or a larger reservation cr-1");
        assert!(reason.message.contains(said), "{}", reason.message);
    }
}

#[test]
fn one_reserved_machine_does_not_make_the_bound_worthless() {
    let snapshot = snapshot(vec![reserved(1, true)], replicas("web", 3, 800, |_| {}));
    let plan = planner::plan(&snapshot);
    assert_eq!(planner::check(&snapshot, &plan), []);
    assert_eq!(plan.cost.0, 60_001);
    assert!((55_000..=60_001).contains(&plan.cost_lower_bound.0), "{}", plan.cost_lower_bound.0);
}

#[test]
fn stand_ins_without_a_place_count_as_no_pods_and_are_remarked_on() {
    let mut snapshot = snapshot(vec![pool("general")], Vec::new());
    let stand_ins = replicas("capacity-buffer-spare", 2, 600_000, |shape| shape.priority = i32::MIN);
    snapshot.groups = planner::model::group::collapse(stand_ins.into_iter().map(|pod| (pod, true)), &[].into());
    let plan = planner::plan(&snapshot);
    assert_eq!(planner::check(&snapshot, &plan), []);
    assert_eq!((plan.pods, plan.unplaced.len()), (0, 0));
    assert_eq!(plan.stand_ins_left[0].pods.len(), 2);
    let notes = plan.notes(&snapshot);
    assert_eq!(notes.len(), 1);
    let start =
        "CapacityBuffer shop/spare: 2 of 2 stand-ins have no place: NoInstanceTypeFits: no instance type of NodePool";
    assert!(notes[0].starts_with(start), "{notes:?}");
    let silent = planner::plan::Plan { stand_ins_left: Vec::new(), ..plan.clone() };
    assert_ne!(planner::check(&snapshot, &silent), [], "stand-ins are told too");
    let as_pods = planner::plan::Plan { unplaced: plan.stand_ins_left.clone(), stand_ins_left: Vec::new(), ..plan };
    assert_ne!(planner::check(&snapshot, &as_pods), [], "and not as pods");
}

fn fixed(replicas: u32) -> Pool {
    Pool { replicas: Some(replicas), ..pool("fixed") }
}

fn daemon(cpu: i64) -> Daemon {
    let mut shape = pod("agent", cpu).shape;
    shape.node_selector.add(Requirement::equal(labels::ARCH, "amd64"));
    Daemon { namespace: "shop".into(), name: "agent".into(), shape: Arc::new(shape) }
}

#[test]
fn a_static_pool_buys_machines_that_hold_its_daemon_sets() {
    for (cpu, kind) in [(0, "t-1x"), (800, "t-1x"), (1500, "t-2x")] {
        let snapshot = Snapshot { daemons: vec![daemon(cpu)], ..snapshot(vec![fixed(2)], Vec::new()) };
        let plan = planner::plan(&snapshot);
        assert_eq!(planner::check(&snapshot, &plan), []);
        let kinds: Vec<&str> = plan.launches.iter().map(|l| &*l.offerings[0].instance_type).collect();
        assert_eq!(kinds, [kind; 2], "{cpu}");
        assert!(plan.launches[0].offerings.iter().all(|o| cpu < 1000 || *o.instance_type != *"t-1x"));
        assert!(plan.short.is_empty());
    }
}

#[test]
fn a_static_pool_that_cannot_be_filled_says_why() {
    let sold_out = {
        let mut pool = fixed(3);
        let mut types = types(&["a"]);
        types.iter_mut().flat_map(|t| &mut t.offerings).for_each(|offering| offering.available = false);
        pool.types = Arc::new(types);
        pool
    };
    let limited = {
        let mut pool = fixed(3);
        pool.limits.set("nodes", 2);
        pool
    };
    let torn = {
        let mut pool = fixed(3);
        for arch in ["amd64", "arm64"] {
            pool.requirements.add(Requirement::equal(labels::ARCH, arch));
        }
        pool
    };
    let held = Pool { replicas: Some(3), ..reserved(1, false) };
    let nowhere = {
        let mut pool = fixed(3);
        pool.requirements.add(zone_in(&["z"]));
        pool
    };
    for (pool, daemons, missing, code) in [
        (sold_out, vec![], 3, Code::OfferingUnavailable),
        (limited, vec![], 1, Code::LimitExceeded),
        (torn, vec![], 3, Code::RequirementConflict),
        (held, vec![], 2, Code::ReservedCapacityHeld),
        (nowhere, vec![], 3, Code::NoOffering),
        (fixed(3), vec![daemon(100_000)], 3, Code::NoInstanceTypeFits),
    ] {
        let snapshot = Snapshot { daemons, ..snapshot(vec![pool], Vec::new()) };
        let plan = planner::plan(&snapshot);
        assert_eq!(planner::check(&snapshot, &plan), []);
        assert_eq!((plan.short[0].missing, plan.short[0].reason.code), (missing, code), "{:?}", plan.short);
        assert_eq!(plan.launches.len(), 3 - missing as usize);
        assert!(plan.notes(&snapshot)[0].contains("short of its replicas"), "{:?}", plan.notes(&snapshot));
    }
}
