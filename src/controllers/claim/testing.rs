//! Builders for tests of the steps: they state only what matters.

use cloud::{Instance, InstanceState};
use crds::{NodeClaim, NodeClassRef, ObjectMeta, Taint, TaintEffect};

use planner::model::{CapacityType, Resources, Str};

use super::draft::Draft;
use crate::controllers::node::object::{Node, NodeCondition, mark};

/// A claim of the kwok class `default` and the pool `p`, created at second 0.
pub fn claim(name: &str) -> NodeClaim {
    let mut metadata = ObjectMeta::named(name);
    metadata.uid = Some(format!("uid-of-{name}"));
    metadata.generation = Some(1);
    metadata.resource_version = Some("1".to_owned());
    metadata.creation_timestamp = Some("1970-01-01T00:00:00Z".to_owned());
    metadata.labels.insert("karpenter.sh/nodepool".to_owned(), "p".to_owned());
    let class = NodeClassRef {
        group: "karpenter.kwok.sh".to_owned(),
        kind: "KWOKNodeClass".to_owned(),
        name: "default".to_owned(),
    };
    NodeClaim {
        api_version: "karpenter.sh/v1".to_owned(),
        kind: "NodeClaim".to_owned(),
        metadata,
        spec: crds::node_claim::NodeClaimSpec { node_class_ref: class, ..Default::default() },
        status: None,
    }
}

/// The same with an instance behind it.
pub fn launched(name: &str) -> NodeClaim {
    let mut claim = claim(name);
    claim.status.get_or_insert_default().provider_id = Some(format!("kwok://{name}"));
    with(claim, 0, |draft| {
        draft.conditions.set_true(super::draft::LAUNCHED);
    })
}

/// The same whose node has joined.
pub fn registered(name: &str) -> NodeClaim {
    with(launched(name), 0, |draft| {
        draft.conditions.set_true(super::draft::REGISTERED);
    })
}

/// The same whose node takes pods.
pub fn initialized(name: &str) -> NodeClaim {
    with(registered(name), 0, |draft| {
        draft.conditions.set_true(super::draft::INITIALIZED);
    })
}

/// The claim after a change to its draft at second `now`.
pub fn with(claim: NodeClaim, now: i64, change: impl FnOnce(&mut Draft)) -> NodeClaim {
    let mut draft = Draft::new(claim, now);
    change(&mut draft);
    let mut claim = draft.claim;
    claim.status.get_or_insert_default().conditions = draft.conditions.into_conditions();
    claim
}

/// The Node of `launched(name)`, as a kubelet registers it.
pub fn node(name: &str) -> Node {
    let mut node = Node { metadata: ObjectMeta::named(name), ..Node::default() };
    node.metadata.resource_version = Some("9".to_owned());
    node.spec.provider_id = format!("kwok://{name}");
    node.spec.taints.push(mark("karpenter.sh/unregistered", TaintEffect::NoExecute));
    node
}

/// The same, registered and ready.
pub fn ready(name: &str) -> Node {
    let mut node = node(name);
    node.spec.taints.clear();
    node.metadata.labels.insert("karpenter.sh/registered".to_owned(), "true".to_owned());
    node.status.conditions.push(NodeCondition {
        reason: String::new(),
        type_: "Ready".to_owned(),
        status: "True".to_owned(),
        last_transition_time: Some("1970-01-01T00:00:00Z".to_owned()),
    });
    node
}

/// A taint with value.
pub fn taint(key: &str, value: &str, effect: TaintEffect) -> Taint {
    Taint { value: value.to_owned(), ..mark(key, effect) }
}

/// A machine of kwok.
pub fn instance() -> Instance {
    let label = |key: &str, value: &str| (Str::from(key), Str::from(value));
    Instance {
        provider_id: "kwok://n".into(),
        token: Some("uid-of-a".into()),
        claim: Some("a".into()),
        state: InstanceState::Pending,
        instance_type: "c-2x".into(),
        zone: "z".into(),
        capacity_type: CapacityType::Spot,
        reservation: None,
        image: None,
        subnet: None,
        security_groups: Vec::new(),
        labels: [label("topology.kubernetes.io/zone", "z"), label("karpenter.sh/nodepool", "not mine")].into(),
        tags: planner::model::Labels::new(),
        annotations: [label("mine", "new")].into(),
        capacity: Resources::of([("cpu", 2000), ("memory", 1 << 30), ("gpu", 0)]),
        allocatable: Resources::of([("cpu", 1900)]),
        launched_at: 0,
        refused: Vec::new(),
    }
}
