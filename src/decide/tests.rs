//! Settings and the thinking half of a pass.

use std::sync::Arc;

use cloud::catalog::{KwokSettings, kwok};
use cloud::{ClassKind, ClassRef};
use planner::Fault;
use planner::model::{MicroUsdPerHour, Resources, Snapshot};
use planner::plan::Plan;
use serde_json::{Value, json};

use super::think::{Thought, think};
use crate::act::fallback::Room;
use crate::observe::mirror::{Both, Mirror, Object};
use crate::observe::{Catalogs, Options};

const KWOK: ClassKind = ClassKind { group: "karpenter.kwok.sh", kind: "KWOKNodeClass" };

fn pool(limit: Option<&str>) -> Object {
    let mut value = json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool",
        "metadata": {"name": "general", "uid": "pool-uid", "resourceVersion": "1"},
        "spec": {"template": {"spec": {
            "requirements": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}],
            "nodeClassRef": {"group": KWOK.group, "kind": KWOK.kind, "name": "default"}, "expireAfter": "720h"}}},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
    });
    if let Some(limit) = limit {
        value["spec"]["limits"] = json!({"cpu": limit});
    }
    let read = |value: &Value| Both {
        whole: serde_json::from_value(value.clone()).unwrap(),
        trimmed: serde_json::from_value(value.clone()).unwrap(),
    };
    Object::NodePool(Box::new(read(&value)))
}

fn class() -> Object {
    let value = json!({"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass",
        "metadata": {"name": "default", "resourceVersion": "1"}});
    Object::KwokNodeClass(Box::new(Both {
        whole: serde_json::from_value(value.clone()).unwrap(),
        trimmed: serde_json::from_value(value).unwrap(),
    }))
}

fn pod(name: &str, cpu: &str) -> Object {
    let value = json!({
        "metadata": {"namespace": "shop", "name": name, "uid": name},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}]},
        "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
    });
    Object::Pod(serde_json::from_value(value).unwrap())
}

fn catalogs() -> Catalogs {
    let class = ClassRef { group: KWOK.group.into(), kind: KWOK.kind.into(), name: "default".into() };
    Catalogs::from([(class, Arc::new(kwok(&KwokSettings::default()).unwrap()))])
}

fn options() -> Options {
    Options { now: 1_767_225_600, assume_ready: Some(false), ..Options::default() }
}

fn cluster(limit: Option<&str>) -> Mirror {
    let mirror = Mirror::new(&[]);
    mirror.apply(pool(limit));
    mirror.apply(class());
    mirror
}

fn thought(plan: impl Fn(&Snapshot) -> Plan, mirror: &Mirror) -> Thought {
    think(plan, mirror, (&[KWOK], &catalogs(), &options()), &mut 0).unwrap()
}

#[test]
fn pending_pods_become_launches_of_their_pool() {
    let mirror = cluster(None);
    for n in 0..10 {
        mirror.apply(pod(&format!("web-{n}"), "1"));
    }
    let thought = thought(planner::plan, &mirror);
    assert!(thought.faults.is_empty() && thought.notes.is_empty(), "{:?} {:?}", thought.faults, thought.notes);
    let plan = thought.plan.unwrap();
    assert!(plan.unplaced.is_empty());
    assert_eq!(plan.launches.iter().map(|l| l.pods.len()).sum::<usize>(), 10);
}

#[test]
fn a_claim_that_was_sent_and_not_seen_counts_and_is_not_bought_again() {
    let mirror = cluster(Some("16"));
    for n in 0..10 {
        mirror.apply(pod(&format!("web-{n}"), "1"));
    }
    let first = thought(planner::plan, &mirror);
    let plan = first.plan.unwrap();
    let pools = mirror.pools();
    let mut room = Room::new(&first.snapshot, &plan.launches);
    for launch in &plan.launches {
        let name = format!("{}-x", launch.name);
        let claim = crate::act::claim(&name, &room.narrow(launch).unwrap(), &first.snapshot.pools[0], &pools[0], "");
        mirror.expect(Arc::new(claim), 0);
    }
    let again = thought(planner::plan, &mirror);
    assert!(again.faults.is_empty(), "{:?}", again.faults);
    let second = again.plan.unwrap();
    assert!(second.launches.is_empty(), "{:?}", second.launches);
    assert_eq!(second.nominations.len(), 10);
    // And what they may become counts against the limit at its largest.
    let used: i64 = again.snapshot.claims.iter().map(|claim| claim.capacity.get("cpu")).sum();
    let bought: i64 = plan.launches.iter().map(|launch| launch.capacity.get("cpu")).sum();
    assert_eq!(used, bought);
}

#[test]
fn a_pool_of_another_provider_is_none_of_ours() {
    let mirror = cluster(None);
    mirror.apply(pod("a", "1"));
    let other = ClassKind { group: "karpenter.k8s.aws", kind: "EC2NodeClass" };
    let thought = think(planner::plan, &mirror, (&[other], &catalogs(), &options()), &mut 0).unwrap();
    assert!(thought.snapshot.pools.is_empty());
    assert_eq!(thought.plan.unwrap().unplaced.len(), 1);
}

#[test]
fn a_pod_that_cannot_be_read_keeps_nobody_from_a_place() {
    let mirror = cluster(None);
    mirror.apply(pod("good", "1"));
    mirror.apply(pod("bad", "one"));
    let thought = thought(planner::plan, &mirror);
    assert!(thought.notes.iter().any(|note| note.contains("Pod shop/bad")), "{:?}", thought.notes);
    let plan = thought.plan.unwrap();
    assert_eq!(plan.launches[0].pods[..], ["shop/good".into()]);
    assert_eq!(plan.ignored.len(), 1);
}

/// A small pod and two large ones that no machine holds together.
fn two_sizes() -> Mirror {
    let mirror = cluster(None);
    mirror.apply(pod("small", "1"));
    mirror.apply(pod("large", "150"));
    mirror.apply(pod("other", "150"));
    mirror
}

#[test]
fn a_bound_above_the_cost_stops_no_launch() {
    let planned = |snapshot: &Snapshot| {
        let plan = planner::plan(snapshot);
        Plan { cost_lower_bound: plan.cost + MicroUsdPerHour(1), ..plan }
    };
    let thought = thought(planned, &two_sizes());
    assert_eq!(thought.faults.iter().map(Fault::code).collect::<Vec<_>>(), ["Bound"]);
    let plan = thought.plan.unwrap();
    assert_eq!((plan.launches.len(), plan.cost_lower_bound, thought.held_back), (2, plan.cost, 0));
}

#[test]
fn only_the_pods_of_an_unsound_launch_wait() {
    let planned = |snapshot: &Snapshot| {
        let mut plan = planner::plan(snapshot);
        plan.launches[0].requests = Resources::default();
        plan
    };
    let thought = thought(planned, &two_sizes());
    assert!(thought.faults.iter().all(|fault| fault.code() == "WrongRequests"), "{:?}", thought.faults);
    let plan = thought.plan.unwrap();
    let placed: usize = plan.launches.iter().map(|launch| launch.pods.len()).sum();
    assert_eq!((plan.launches.len(), plan.pods, thought.held_back), (1, placed, 3 - placed));
    assert_eq!(planner::check(&thought.snapshot, &plan), []);
}

#[test]
fn a_plan_that_is_wrong_as_a_whole_is_dropped() {
    let planned = |snapshot: &Snapshot| Plan { pods: 7, ..planner::plan(snapshot) };
    let thought = thought(planned, &two_sizes());
    assert!(thought.plan.is_none() && thought.held_back == 0, "{:?}", thought.plan);
    assert_eq!(thought.snapshot.groups.iter().map(|group| group.pods.len()).sum::<usize>(), 3);
}
