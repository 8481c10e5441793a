//! Plans of unusual clusters that are legal, and that the independent reader calls legal.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use planner::model::snapshot::Daemon;
use planner::model::{InstanceType, Operator, Pod, PodShape, Pool, Requirement, Snapshot, labels};
use planner::plan::Plan;
use support::{pod, pool, replicas, snapshot, spread, term, zone_in};

/// A plan that the reader finds no fault with.
fn sound(snapshot: &Snapshot) -> Plan {
    let plan = planner::plan(snapshot);
    assert_eq!(planner::check(snapshot, &plan), [], "{plan:#?}");
    plan
}

fn types_of(plan: &Plan) -> Vec<&str> {
    plan.launches.iter().map(|launch| &*launch.offerings[0].instance_type).collect()
}

const TEAM: &str = "example.com/team";

fn one_of(key: &str, values: &[&str]) -> Requirement {
    Requirement::new(key, Operator::In, values.iter().copied())
}

/// A pool whose nodes are of team blue or gold, and a `DaemonSet` of one core that runs on gold ones.
fn teams(pods: Vec<Pod>) -> Snapshot {
    let mut pool = pool("yard");
    pool.requirements.add(one_of(TEAM, &["blue", "gold"]));
    let mut shape = PodShape { requests: pod("agent", 1000).shape.requests, ..PodShape::default() };
    shape.node_selector.add(Requirement::equal(TEAM, "gold"));
    let daemon = Daemon { namespace: "shop".into(), name: "agent".into(), shape: Arc::new(shape) };
    Snapshot { daemons: vec![daemon], ..snapshot(vec![pool], pods) }
}

#[test]
fn room_for_a_daemon_that_goes_by_an_open_label_is_not_called_waste() {
    for team in [None, Some("blue"), Some("gold")] {
        let mut plain = pod("plain", 1500);
        if let Some(team) = team {
            plain.shape.node_selector.add(Requirement::equal(TEAM, team));
        }
        let plan = sound(&teams(vec![plain]));
        assert_eq!(plan.launches.len(), 1, "{:?}", plan.unplaced);
    }
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

/// A pool of Linux machines whose types of four cores may run `systems`, while the others run Linux and nothing else.
fn two_systems(systems: &[&str]) -> Pool {
    let mut pool = pool("mixed");
    let mut types: Vec<InstanceType> = (*pool.types).clone();
    for kind in types.iter_mut().filter(|kind| *kind.name == *"t-4x") {
        kind.labels.remove(labels::OS);
        kind.open_labels.push((labels::OS.into(), systems.iter().map(|system| (*system).into()).collect()));
    }
    pool.types = Arc::new(types);
    pool
}

fn on(system: &str, name: &str, cpu: i64) -> Pod {
    let mut pod = pod(name, cpu);
    pod.shape.node_selector.add(Requirement::equal(labels::OS, system));
    pod
}

#[test]
fn types_with_one_operating_system_are_sold_beside_those_with_two() {
    for systems in [["linux", "windows"], ["windows", "linux"]] {
        let mut linux_only = two_systems(&systems);
        linux_only.requirements.add(one_of(labels::OS, &["linux"]));
        for pool in [two_systems(&systems), linux_only.clone()] {
            for (cpu, kind) in [(800, "t-1x"), (3500, "t-4x"), (30_000, "t-32x")] {
                let plan = sound(&snapshot(vec![pool.clone()], vec![on("linux", "web", cpu)]));
                assert_eq!(types_of(&plan), [kind]);
                assert_eq!(&*plan.launches[0].labels[labels::OS], "linux");
            }
        }
        let plan = sound(&snapshot(vec![linux_only], vec![pod("any", 800), pod("large", 30_000)]));
        assert!(plan.unplaced.is_empty(), "{:?}", plan.unplaced);
        let plan = sound(&snapshot(vec![two_systems(&systems)], vec![on("windows", "desk", 800)]));
        assert_eq!(types_of(&plan), ["t-4x"]);
        assert_eq!(&*plan.launches[0].labels[labels::OS], "windows");
    }
}

#[test]
fn pods_keep_apart_over_a_label_that_types_have_or_leave_open() {
    for systems in [["linux", "windows"], ["windows", "linux"]] {
        let of = |plan: &Plan| -> BTreeSet<String> {
            assert!(plan.unplaced.is_empty(), "{:?}", plan.unplaced);
            plan.launches.iter().map(|launch| launch.labels[labels::OS].to_string()).collect()
        };
        let both = BTreeSet::from(["linux".to_string(), "windows".to_string()]);
        let spreading = replicas("web", 2, 800, |shape| shape.spreads.push(spread(labels::OS, "web")));
        assert_eq!(of(&sound(&snapshot(vec![two_systems(&systems)], spreading))), both);
        let apart = replicas("web", 2, 800, |shape| shape.anti_affinity.push(term(labels::OS, "web")));
        assert_eq!(of(&sound(&snapshot(vec![two_systems(&systems)], apart))), both);
        let mut near = replicas("near", 2, 800, |shape| shape.affinity.push(term(labels::OS, "desk")));
        let mut desk = on("windows", "desk", 800);
        desk.shape.labels.insert("app".into(), "desk".into());
        near.push(desk);
        let windows = BTreeSet::from(["windows".to_string()]);
        assert_eq!(of(&sound(&snapshot(vec![two_systems(&systems)], near))), windows);
    }
}

#[test]
fn a_daemon_of_one_operating_system_has_its_room_on_types_that_run_no_other() {
    let mut agent = on("linux", "agent", 500).shape;
    agent.namespace = "kube-system".into();
    let daemon = Daemon { namespace: "kube-system".into(), name: "agent".into(), shape: Arc::new(agent) };
    let pods = vec![pod("web", 800)];
    let snapshot = Snapshot { daemons: vec![daemon], ..snapshot(vec![two_systems(&["linux", "windows"])], pods) };
    assert_eq!(types_of(&sound(&snapshot)), ["t-2x"]);
}

#[test]
fn pods_that_refuse_an_operating_system_stay_off_types_that_have_it_alone() {
    let mut pool = two_systems(&["linux", "windows"]);
    let mut types = (*pool.types).clone();
    types[0].labels.insert(labels::OS.into(), "windows".into());
    pool.types = Arc::new(types);
    let mut web = pod("web", 800);
    web.shape.node_selector.add(Requirement::new(labels::OS, Operator::NotIn, ["windows"]));
    assert_eq!(types_of(&sound(&snapshot(vec![pool], vec![web]))), ["t-2x"]);
}

#[test]
fn a_part_of_a_plan_leaves_out_the_unsound_and_who_needs_them() {
    let mut pods = replicas("cache", 1, 40_000, |_| {});
    pods.extend(replicas("front", 1, 40_000, |shape| shape.affinity.push(term(labels::ZONE, "cache"))));
    pods.extend(replicas("web", 2, 40_000, |_| {}));
    pods.extend(replicas("huge", 1, 300_000, |_| {}));
    let snapshot = snapshot(vec![pool("general")], pods);
    let mut plan = sound(&snapshot);
    let of_cache = plan.launches.iter_mut().find(|launch| launch.pods[..] == ["shop/cache-0".into()]).unwrap();
    of_cache.requests.set("cpu", 1);
    let faults = planner::check(&snapshot, &plan);
    let (rest, part) = planner::sound_part(&snapshot, &plan, &faults).unwrap();
    assert_eq!(planner::check(&rest, &part), []);
    let bought: Vec<&str> = part.launches.iter().flat_map(|launch| &launch.pods).map(AsRef::as_ref).collect();
    assert_eq!(bought.len(), 2, "{bought:?}");
    assert!(bought.iter().all(|pod| pod.starts_with("shop/web-")), "{bought:?}");
    assert_eq!((part.pods, part.unplaced.len(), part.launches.len()), (3, 1, 2));
    let whole = [planner::Fault::PodCount { told: 1, there: 2 }];
    assert_eq!(planner::sound_part(&snapshot, &plan, &whole), None);
}
