//! The Node object that stands for a machine, written and read.

use std::collections::BTreeMap;

use cloud::{Instance, InstanceState, LaunchOrder, Offer};
use crds::names::core::{CAPACITY_TYPE, UNREGISTERED_TAINT};
use crds::names::kubernetes::{HOSTNAME, INSTANCE_TYPE, ZONE};
use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use planner::model::resources::quantity;
use planner::model::{CapacityType, InstanceType, Labels, Offering, Resources, Str};

use crate::observe::mirror::MEANT_FOR;

/// What a provider id begins with; the Node's name follows.
pub(super) const PREFIX: &str = "kwok://";
/// Finds all Nodes of ours.
pub(super) const SELECTOR: &str = "kwok.x-k8s.io/node=fake";

const KWOK: &str = "kwok.x-k8s.io/node";
const FAKE: &str = "fake";
/// The kwok controllers of a large cluster share the nodes among them by this label.
const PARTITION: &str = "kwok-partition";
const PARTITIONS: [&str; 10] = [
    "partition-a",
    "partition-b",
    "partition-c",
    "partition-d",
    "partition-e",
    "partition-f",
    "partition-g",
    "partition-h",
    "partition-i",
    "partition-j",
];
/// Shown by eks-node-viewer.
const PRICE: &str = "eks-node-viewer/instance-price";
/// The uid of the claim a Node was made for.
const TOKEN: &str = "millwright.dev/nodeclaim-uid";

/// The Node of an order filled by an offer.
pub(super) fn of(order: &LaunchOrder, offer: &Offer) -> Node {
    let mut labels = texts(&order.labels);
    // Zone, type and the like are as bought, whatever the claim left open.
    labels.extend(texts(&offer.labels));
    let room = (amounts(&offer.capacity), amounts(&offer.allocatable));
    made(&order.claim, &order.token, labels, texts(&order.annotations), &offer.price.to_string(), room)
}

/// The same of a claim that was launched, by what the launch wrote into it. Nothing for one of another provider.
pub(super) fn of_claim(claim: &crds::NodeClaim, types: &[InstanceType]) -> Option<Node> {
    let (meta, status) = (&claim.metadata, claim.status.as_ref()?);
    if status.provider_id.as_deref()?.strip_prefix(PREFIX)? != meta.name() {
        return None;
    }
    let label = |key: &str| meta.labels.get(key).map(String::as_str);
    let kind = types.iter().find(|kind| Some(&*kind.name) == label(INSTANCE_TYPE))?;
    let is_it =
        |one: &&Offering| Some(&*one.zone) == label(ZONE) && Some(one.capacity_type.as_str()) == label(CAPACITY_TYPE);
    let price = kind.offerings.iter().find(is_it)?.price.to_string();
    let annotations = meta.annotations.iter().filter(|(key, _)| *key != MEANT_FOR);
    let annotations = annotations.map(|(key, value)| (key.clone(), value.clone())).collect();
    let quantities = |of: &BTreeMap<String, crds::Quantity>| -> Amounts {
        of.iter().map(|(name, amount)| (name.clone(), Quantity(amount.as_str().to_owned()))).collect()
    };
    let room = (quantities(&status.capacity), quantities(&status.allocatable));
    Some(made(meta.name(), meta.uid.as_deref()?, meta.labels.clone(), annotations, &price, room))
}

type Texts = BTreeMap<String, String>;
type Amounts = BTreeMap<String, Quantity>;

/// `room`: capacity and what of it is allocatable.
fn made(
    claim: &str,
    token: &str,
    mut labels: Texts,
    mut annotations: Texts,
    price: &str,
    (capacity, allocatable): (Amounts, Amounts),
) -> Node {
    let own = [(HOSTNAME, claim), (KWOK, FAKE), (PARTITION, partition(token)), (PRICE, price)];
    labels.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
    annotations.extend([(KWOK, FAKE), (TOKEN, token)].map(|(key, value)| (key.to_owned(), value.to_owned())));
    Node {
        metadata: ObjectMeta {
            name: Some(claim.to_owned()),
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            provider_id: Some(format!("{PREFIX}{claim}")),
            taints: Some(vec![Taint {
                key: UNREGISTERED_TAINT.into(),
                effect: "NoExecute".into(),
                ..Taint::default()
            }]),
            ..NodeSpec::default()
        }),
        status: Some(NodeStatus { capacity: Some(capacity), allocatable: Some(allocatable), ..NodeStatus::default() }),
    }
}

/// The uid of the claim it was made for.
pub(super) fn token(node: &Node) -> Option<&str> {
    node.metadata.annotations.as_ref()?.get(TOKEN).map(String::as_str)
}

/// What a Node says of its machine; nothing for a Node that is none of ours.
pub(super) fn instance(node: &Node, types: &[InstanceType]) -> Option<Instance> {
    let spec = node.spec.as_ref()?;
    let provider_id = spec.provider_id.as_deref()?;
    if !provider_id.starts_with(PREFIX) {
        return None;
    }
    let labels = node.metadata.labels.as_ref()?;
    let label = |key: &str| labels.get(key).map(String::as_str);
    let annotations = node.metadata.annotations.as_ref();
    let token = annotations.and_then(|all| all.get(TOKEN)).map(|uid| uid.as_str().into());
    let state = match &node.metadata.deletion_timestamp {
        Some(_) => InstanceState::Terminating,
        None => InstanceState::Running,
    };
    let launched_at = node.metadata.creation_timestamp.as_ref().map_or(0, |created| created.0.as_second());
    let base = machine(provider_id, label, types)?;
    let claim: Str = provider_id.strip_prefix(PREFIX)?.into();
    Some(Instance { token, claim: Some(claim), state, launched_at, ..base })
}

/// The machine of a claim that was launched and whose Node is still to come.
pub(super) fn instance_of_claim(claim: &crds::NodeClaim, types: &[InstanceType]) -> Option<Instance> {
    let provider_id = claim.status.as_ref()?.provider_id.as_deref()?;
    let label = |key: &str| claim.metadata.labels.get(key).map(String::as_str);
    let base = machine(provider_id, label, types)?;
    Some(Instance {
        token: claim.metadata.uid.as_deref().map(Into::into),
        claim: Some(claim.metadata.name().into()),
        state: InstanceState::Pending,
        ..base
    })
}

fn machine<'a>(provider_id: &str, label: impl Fn(&str) -> Option<&'a str>, types: &[InstanceType]) -> Option<Instance> {
    let instance_type = label(INSTANCE_TYPE)?;
    let kind = types.iter().find(|kind| &*kind.name == instance_type)?;
    let zone: Str = label(ZONE)?.into();
    let capacity_type = CapacityType::parse(label(CAPACITY_TYPE)?)?;
    let mut labels = kind.labels.clone();
    for (key, _) in &kind.open_labels {
        labels.extend(label(key).map(|value| (key.clone(), value.into())));
    }
    labels.insert(ZONE.into(), zone.clone());
    labels.insert(CAPACITY_TYPE.into(), capacity_type.as_str().into());
    Some(Instance {
        provider_id: provider_id.into(),
        token: None,
        claim: None,
        state: InstanceState::Running,
        instance_type: kind.name.clone(),
        zone,
        capacity_type,
        reservation: None,
        image: None,
        subnet: None,
        security_groups: Vec::new(),
        labels,
        tags: Labels::new(),
        annotations: Labels::new(),
        capacity: kind.capacity.clone(),
        allocatable: kind.allocatable.clone(),
        launched_at: 0,
        refused: Vec::new(),
    })
}

/// One of ten, the same for the same claim.
fn partition(token: &str) -> &'static str {
    let sum = token.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    PARTITIONS[sum % PARTITIONS.len()]
}

fn texts(labels: &Labels) -> Texts {
    labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn amounts(resources: &Resources) -> Amounts {
    resources.iter().map(|(name, amount)| (name.to_string(), Quantity(quantity(name, amount).to_string()))).collect()
}
