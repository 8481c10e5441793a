//! The kinds of our own API, trimmed to what a plan is made from.

use planner::model::Str;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::meta::{Amount, Amounts, Condition, ObjectMeta};
use super::node::NodeTaint;
use super::storage::Present;

/// A pool of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct NodePool {
    pub metadata: ObjectMeta,
    pub spec: NodePoolSpec,
    pub status: Option<Conditioned>,
}

/// Its terms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct NodePoolSpec {
    pub weight: Option<i32>,
    /// Set for a static pool.
    pub replicas: Option<i64>,
    pub limits: Amounts,
    pub template: NodeTemplate,
}

/// What its nodes look like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct NodeTemplate {
    pub metadata: ObjectMeta,
    pub spec: NodeTerms,
}

/// Of a template or a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeTerms {
    pub node_class_ref: ClassRef,
    pub requirements: Vec<NodeRequirement>,
    pub taints: Vec<NodeTaint>,
    pub startup_taints: Vec<NodeTaint>,
    pub resources: ClaimResources,
}

/// What a claim was made to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct ClaimResources {
    pub requests: Amounts,
}

/// The node class.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(default)]
pub struct ClassRef {
    pub group: Str,
    pub kind: Str,
    pub name: Str,
}

/// What a label must be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeRequirement {
    pub key: Str,
    pub operator: Str,
    pub values: Vec<Str>,
    pub min_values: Option<u32>,
}

/// A status of which only the conditions matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Conditioned {
    pub conditions: Vec<Condition>,
}

/// A node that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct NodeClaim {
    pub metadata: ObjectMeta,
    pub spec: NodeTerms,
    pub status: NodeClaimStatus,
}

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeClaimStatus {
    pub node_name: Str,
    #[serde(rename = "providerID")]
    pub provider_id: Str,
    pub capacity: Amounts,
    pub allocatable: Amounts,
    pub conditions: Vec<Condition>,
}

/// Changes to what instance types cost and have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct NodeOverlay {
    pub metadata: ObjectMeta,
    pub spec: NodeOverlaySpec,
}

/// Which, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeOverlaySpec {
    pub requirements: Vec<NodeRequirement>,
    pub price: Option<Amount>,
    pub price_adjustment: Option<Amount>,
    pub capacity: Amounts,
    pub weight: Option<i32>,
}

/// Room kept free.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct CapacityBuffer {
    pub metadata: ObjectMeta,
    pub spec: CapacityBufferSpec,
}

/// How much, of which pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CapacityBufferSpec {
    pub pod_template_ref: Option<BufferRef>,
    pub scalable_ref: Option<BufferRef>,
    pub replicas: Option<i64>,
    pub percentage: Option<i64>,
    pub limits: Option<Amounts>,
}

/// A template, or a workload that has one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BufferRef {
    pub kind: Str,
    pub name: Str,
}

/// How EC2 nodes are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Ec2NodeClass {
    pub metadata: ObjectMeta,
    pub spec: Ec2NodeClassSpec,
    pub status: Option<Ec2NodeClassStatus>,
}

/// What changes the room on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ec2NodeClassSpec {
    pub ami_family: Str,
    pub ami_selector_terms: Vec<AmiSelectorTerm>,
    /// As it was written.
    pub kubelet: Map<String, Value>,
    pub block_device_mappings: Vec<BlockDeviceMapping>,
    pub instance_store_policy: Str,
    pub network_interfaces: Vec<NetworkInterface>,
    pub connection_tracking: Option<Present>,
    pub cpu_options: CpuOptions,
}

/// What the processor may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CpuOptions {
    /// `enabled` or `disabled`.
    pub nested_virtualization: Str,
}

/// `alias` names the family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct AmiSelectorTerm {
    pub alias: Str,
}

/// A disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockDeviceMapping {
    pub device_name: Str,
    pub root_volume: bool,
    pub ebs: Ebs,
}

/// Its volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ebs {
    pub volume_size: Option<Amount>,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkInterface {
    pub network_card_index: i64,
    pub device_index: i64,
    pub interface_type: Str,
}

/// What was found for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ec2NodeClassStatus {
    pub conditions: Vec<Condition>,
    pub subnets: Vec<Subnet>,
    pub capacity_reservations: Vec<CapacityReservation>,
}

/// A subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Subnet {
    pub id: Str,
    pub zone: Str,
    #[serde(rename = "zoneID")]
    pub zone_id: Str,
}

/// A capacity reservation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CapacityReservation {
    pub id: Str,
    pub availability_zone: Str,
    pub instance_type: Str,
    pub reservation_type: Str,
    pub interruptible: bool,
    pub state: Str,
}

/// How kwok nodes are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct KwokNodeClass {
    pub metadata: ObjectMeta,
    pub status: Option<Conditioned>,
}
