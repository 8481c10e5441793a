//! The provider without an API server: what it writes it can read.

use cloud::catalog::{KwokSettings, UnavailablePattern, kwok};
use cloud::{ClassRef, InstanceState, LaunchOrder, Offer, offers};
use planner::model::{Labels, Requirement, Requirements, Resources};

use super::{Stock, node};

fn order() -> LaunchOrder {
    let mut requirements = Requirements::new();
    requirements.add(Requirement::equal("kubernetes.io/os", "linux"));
    requirements.add(Requirement::equal("kubernetes.io/arch", "arm64"));
    requirements.add(Requirement::equal("topology.kubernetes.io/zone", "test-zone-b"));
    let requests = Resources::of([("cpu", 3000), ("memory", 1 << 30)]);
    let types = kwok(&KwokSettings::default()).unwrap();
    LaunchOrder {
        token: "0b5a".into(),
        claim: "general-x7k2p".into(),
        pool: Some("general".into()),
        class: ClassRef { group: "karpenter.kwok.sh".into(), kind: "KWOKNodeClass".into(), name: "default".into() },
        offers: offers(&types, &requirements, &requests),
        requirements,
        requests,
        labels: Labels::from([
            ("karpenter.sh/nodepool".into(), "general".into()),
            ("team".into(), "a".into()),
            // A claim never overrules what was bought.
            ("topology.kubernetes.io/zone".into(), "elsewhere".into()),
        ]),
        annotations: Labels::from([("note".into(), "x".into())]),
        taints: Vec::new(),
        startup_taints: Vec::new(),
        takes_less_choice: false,
    }
}

fn best(order: &LaunchOrder) -> &Offer {
    &order.offers[0]
}

#[test]
fn a_node_carries_what_was_bought_and_keeps_pods_away_until_it_registers() {
    let order = order();
    let node = node::of(&order, best(&order));
    let labels = node.metadata.labels.as_ref().unwrap();
    for (key, value) in [
        ("kubernetes.io/hostname", "general-x7k2p"),
        ("kwok.x-k8s.io/node", "fake"),
        ("node.kubernetes.io/instance-type", "c-4x-arm64-linux"),
        ("topology.kubernetes.io/zone", "test-zone-b"),
        ("karpenter.sh/capacity-type", "spot"),
        ("karpenter.sh/nodepool", "general"),
        ("team", "a"),
    ] {
        assert_eq!(labels.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert!(labels["kwok-partition"].starts_with("partition-"));
    assert_eq!(node.metadata.annotations.as_ref().unwrap()["kwok.x-k8s.io/node"], "fake");
    let spec = node.spec.as_ref().unwrap();
    assert_eq!(spec.provider_id.as_deref(), Some("kwok://general-x7k2p"));
    let taints: Vec<_> = spec.taints.iter().flatten().map(|t| (t.key.as_str(), t.effect.as_str())).collect();
    assert_eq!(taints, [("karpenter.sh/unregistered", "NoExecute")]);
    let status = node.status.as_ref().unwrap();
    assert_eq!(status.capacity.as_ref().unwrap()["cpu"].0, "4");
    assert_eq!(status.allocatable.as_ref().unwrap()["cpu"].0, "3900m");
}

#[test]
fn the_instance_read_back_is_the_one_that_was_bought() {
    let order = order();
    let types = kwok(&KwokSettings::default()).unwrap();
    let instance = node::instance(&node::of(&order, best(&order)), &types).unwrap();
    assert_eq!(instance.token.as_deref(), Some("0b5a"));
    assert_eq!(instance.claim.as_deref(), Some("general-x7k2p"));
    assert_eq!(instance.state, InstanceState::Running);
    assert_eq!(instance.labels, best(&order).labels);
    assert_eq!(instance.capacity, best(&order).capacity);
    assert_eq!(instance.allocatable, best(&order).allocatable);
}

#[test]
fn a_node_of_somebody_else_is_no_instance() {
    let order = order();
    let types = kwok(&KwokSettings::default()).unwrap();
    let mut node = node::of(&order, best(&order));
    node.spec.as_mut().unwrap().provider_id = Some("aws:///us-east-1a/i-1".into());
    assert!(node::instance(&node, &types).is_none());
}

#[test]
fn a_stock_that_is_out_of_something_says_so_to_all_who_hold_it() {
    let stock = Stock::default();
    let other = stock.clone();
    let order = order();
    assert!(!stock.is_out(&best(&order).key));
    other.set_out(vec![UnavailablePattern::parse("c-*/*/spot").unwrap()]);
    assert!(stock.is_out(&best(&order).key));
    other.set_out(Vec::new());
    assert!(!stock.is_out(&best(&order).key));
}
