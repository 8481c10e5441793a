//! Pods and their templates.

use planner::model::{Labels, Str};
use serde::Deserialize;

use super::meta::{Amounts, Condition, ObjectMeta, condition};
use super::selector::{LabelSelector, NodeSelector, NodeSelectorTerm};
use super::storage::ClaimTemplate;

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pod {
    pub metadata: ObjectMeta,
    pub spec: PodSpec,
    pub status: PodStatus,
}

/// What a workload makes its pods from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodTemplateSpec {
    pub metadata: ObjectMeta,
    pub spec: PodSpec,
}

/// A template that stands by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodTemplate {
    pub metadata: ObjectMeta,
    pub template: PodTemplateSpec,
}

/// What a pod asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    pub node_name: Str,
    pub node_selector: Labels,
    pub affinity: Affinity,
    pub tolerations: Vec<Toleration>,
    pub topology_spread_constraints: Vec<SpreadConstraint>,
    pub init_containers: Vec<Container>,
    pub containers: Vec<Container>,
    /// For the pod as a whole.
    pub resources: Option<ResourceRequirements>,
    pub overhead: Option<Amounts>,
    pub runtime_class_name: Str,
    pub priority: Option<i32>,
    pub priority_class_name: Str,
    pub scheduler_name: Str,
    pub host_network: bool,
    pub scheduling_gates: Vec<Named>,
    pub volumes: Vec<Volume>,
    pub resource_claims: Vec<Named>,
    pub termination_grace_period_seconds: Option<i64>,
}

/// Something with a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Named {
    pub name: Str,
}

/// One container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    pub name: Str,
    pub resources: ResourceRequirements,
    pub ports: Vec<ContainerPort>,
    /// `Always` on an init container makes it a sidecar.
    pub restart_policy: Str,
}

impl Container {
    /// An init container that keeps running beside the others.
    pub fn is_sidecar(&self) -> bool {
        &*self.restart_policy == "Always"
    }
}

/// Requests and limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceRequirements {
    pub requests: Amounts,
    pub limits: Amounts,
    /// Dynamic resource allocation.
    pub claims: Vec<Named>,
}

/// A port a container opens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    pub container_port: i64,
    pub host_port: i64,
    #[serde(rename = "hostIP")]
    pub host_ip: Str,
    pub protocol: Str,
}

/// The three kinds of affinity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Affinity {
    pub node_affinity: NodeAffinity,
    pub pod_affinity: PodAffinity,
    pub pod_anti_affinity: PodAffinity,
}

/// Which nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct NodeAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Option<NodeSelector>,
    #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution")]
    pub preferred: Vec<PreferredNodes>,
}

/// Rather these nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct PreferredNodes {
    /// 1–100; anything else is told when the pod is read.
    pub weight: i64,
    pub preference: NodeSelectorTerm,
}

/// Which neighbours, or which not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct PodAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Vec<PodAffinityTerm>,
    #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution")]
    pub preferred: Vec<PreferredPods>,
}

/// Rather these neighbours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PreferredPods {
    /// 1–100; anything else is told when the pod is read.
    pub weight: i64,
    pub pod_affinity_term: PodAffinityTerm,
}

/// Pods picked by label within a topology.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodAffinityTerm {
    pub label_selector: Option<LabelSelector>,
    pub topology_key: Str,
    pub namespaces: Vec<Str>,
    pub namespace_selector: Option<LabelSelector>,
    pub match_label_keys: Vec<Str>,
    pub mismatch_label_keys: Vec<Str>,
}

/// Permission to ignore a taint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Toleration {
    pub key: Str,
    pub operator: Str,
    pub value: Str,
    pub effect: Str,
}

/// How evenly pods must lie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpreadConstraint {
    pub max_skew: Option<i64>,
    pub topology_key: Str,
    pub when_unsatisfiable: Str,
    pub label_selector: Option<LabelSelector>,
    pub min_domains: Option<i64>,
    pub node_affinity_policy: Str,
    pub node_taints_policy: Str,
    pub match_label_keys: Vec<Str>,
}

/// A volume; kinds that tie a pod to no place are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    pub name: Str,
    pub persistent_volume_claim: Option<ClaimSource>,
    pub ephemeral: Option<EphemeralSource>,
}

/// A claim mounted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSource {
    pub claim_name: Str,
}

/// A claim made for the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EphemeralSource {
    pub volume_claim_template: ClaimTemplate,
}

/// How it is going.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    pub phase: Str,
    pub conditions: Vec<Condition>,
    pub container_statuses: Vec<ContainerStatus>,
    pub init_container_statuses: Vec<ContainerStatus>,
    pub nominated_node_name: Str,
    /// RFC 3339.
    pub start_time: Option<Str>,
    /// Before Kubernetes 1.33: `Infeasible`, `Deferred`, `Proposed`, `InProgress`.
    pub resize: Str,
}

/// Does it say of itself that it is not ready?
pub fn is_unready(status: &PodStatus) -> bool {
    condition(&status.conditions, "Ready").is_some_and(|ready| &*ready.status == "False")
}

/// What a container has been given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    pub name: Str,
    pub allocated_resources: Option<Amounts>,
    pub resources: Option<ResourceRequirements>,
}
