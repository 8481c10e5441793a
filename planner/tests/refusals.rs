//! What machines that are there have against a pod.

mod support;

use std::sync::Arc;

use planner::model::node::BoundPods;
use planner::model::pod::HostPort;
use planner::model::snapshot::Daemon;
use planner::model::{Claim, Effect, Node, Pod, Refusal, Requirement, Snapshot, Str, Taint, labels};
use support::{node, pod, pool, replicas, snapshot, term, zone_in};

fn taint() -> Taint {
    Taint { key: "team".into(), value: "a".into(), effect: Effect::NoSchedule }
}

fn holding(name: &str, cpu: i64, guest: Pod) -> Node {
    let pods = vec![BoundPods {
        shape: Arc::new(guest.shape),
        pods: vec!["shop/guest".into()],
        terminating: false,
        promised: false,
    }];
    Node { pods, ..node(name, cpu) }
}

#[test]
fn each_node_and_claim_names_the_first_predicate_that_refuses() {
    let port = HostPort { port: 80, protocol: "TCP".into(), address: "".into() };
    let mut asking = pod("web", 1000);
    asking.shape.host_ports.insert(port.clone());
    asking.shape.labels.insert("app".into(), "web".into());
    asking.shape.anti_affinity.push(term(labels::HOSTNAME, "db"));
    asking.shape.node_selector.add(zone_in(&["a", "b"]));
    asking.shape.preferred_node_terms = vec![(1, [Requirement::equal(labels::ZONE, "b")].into_iter().collect())];
    let mut with_port = pod("proxy", 100);
    with_port.shape.host_ports.insert(port);
    let database = replicas("db", 1, 100, |_| ()).remove(0);
    let mut far = node("far", 8000);
    far.labels.insert(labels::ZONE.into(), "c".into());
    let mut best = node("best", 8000);
    best.labels.insert(labels::ZONE.into(), "b".into());
    let claim = |name: &str, cpu: i64, deleting: bool| {
        let Node { labels, taints, capacity, allocatable, .. } = node(name, cpu);
        Claim { name: name.into(), labels, taints, capacity, allocatable, pool: None, deleting, bereft: false }
    };
    let snapshot = Snapshot {
        nodes: vec![
            best,
            holding("crowded", 8000, database),
            far,
            holding("full", 1500, pod("guest", 600)),
            Node { deleting: true, ..node("gone", 8000) },
            holding("served", 8000, with_port),
            node("small", 1400),
            Node { taints: vec![taint()], ..node("tainted", 8000) },
            holding("worn", 1000, pod("guest", 1200)),
            node("zone-a", 8000),
        ],
        claims: vec![claim("claim-gone", 8000, true), claim("claim-small", 500, false)],
        // 500 of each machine are for it.
        daemons: vec![Daemon {
            namespace: "shop".into(),
            name: "agent".into(),
            shape: Arc::new(pod("agent", 500).shape),
        }],
        ..snapshot(vec![pool("general")], vec![asking])
    };
    let (taint, cpu): (Taint, Str) = (taint(), "cpu".into());
    let found: Vec<(&str, Refusal)> = planner::refusals(&snapshot, 0).into_iter().map(|(n, r)| (&**n, r)).collect();
    let expected = [
        ("claim-gone", Refusal::Leaving),
        ("claim-small", Refusal::Room(&cpu)),
        ("crowded", Refusal::Topology),
        ("far", Refusal::Labels),
        ("full", Refusal::Room(&cpu)),
        ("gone", Refusal::Leaving),
        ("served", Refusal::HostPorts),
        ("small", Refusal::Room(&cpu)),
        ("tainted", Refusal::Taint(&taint)),
        ("worn", Refusal::Overdrawn),
        ("zone-a", Refusal::Wishes),
    ];
    assert_eq!(found, expected);
}
