//! Nodes and what describes them.

use crds::names::core::DISRUPTED_TAINT;
use planner::model::{Labels, Str};
use serde::Deserialize;

use super::meta::{Amounts, Condition, ObjectMeta};

/// A machine that has joined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Node {
    pub metadata: ObjectMeta,
    pub spec: NodeSpec,
    pub status: NodeStatus,
}

/// Its identity and who may use it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    #[serde(rename = "providerID")]
    pub provider_id: Str,
    pub taints: Vec<NodeTaint>,
    pub unschedulable: bool,
}

/// A taint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeTaint {
    pub key: Str,
    pub value: Str,
    pub effect: Str,
    /// RFC 3339.
    pub time_added: Option<Str>,
}

/// What it has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    pub capacity: Amounts,
    pub allocatable: Amounts,
    pub conditions: Vec<Condition>,
}

impl Node {
    /// Is it on its way out?
    pub fn is_going(&self) -> bool {
        self.metadata.deleting() || self.spec.taints.iter().any(|taint| &*taint.key == DISRUPTED_TAINT)
    }
}

/// A namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Namespace {
    pub metadata: ObjectMeta,
}

impl Namespace {
    /// Its labels with the name label that the API server adds.
    pub fn labels(&self) -> Labels {
        let mut labels = self.metadata.labels.clone();
        labels.insert("kubernetes.io/metadata.name".into(), self.metadata.name.clone());
        labels
    }
}

/// The CSI drivers on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct CsiNode {
    pub metadata: ObjectMeta,
    pub spec: CsiNodeSpec,
}

/// One entry per driver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct CsiNodeSpec {
    pub drivers: Vec<CsiDriver>,
}

/// How much one driver can attach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct CsiDriver {
    pub name: Str,
    pub allocatable: CsiAllocatable,
}

/// Volumes at a time; unset: no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct CsiAllocatable {
    pub count: Option<i64>,
}
