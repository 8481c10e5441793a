//! Kinds that say how pods are treated.

use planner::model::{Labels, Str};
use serde::Deserialize;

use super::meta::{Amount, Amounts, ObjectMeta};
use super::selector::LabelSelector;

/// How many pods may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct PodDisruptionBudget {
    pub metadata: ObjectMeta,
    pub spec: BudgetSpec,
    pub status: Option<BudgetStatus>,
}

/// Of which pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetSpec {
    pub selector: Option<LabelSelector>,
    pub min_available: Option<Amount>,
    pub max_unavailable: Option<Amount>,
    pub unhealthy_pod_eviction_policy: Str,
}

/// How many evictions it allows now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetStatus {
    pub disruptions_allowed: i64,
}

/// A name for a priority.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PriorityClass {
    pub metadata: ObjectMeta,
    pub value: i32,
    pub global_default: bool,
}

/// A container runtime and what it costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct RuntimeClass {
    pub metadata: ObjectMeta,
    pub overhead: Option<Overhead>,
    pub scheduling: RuntimeScheduling,
}

/// Per pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Overhead {
    pub pod_fixed: Amounts,
}

/// Which nodes have the runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RuntimeScheduling {
    pub node_selector: Labels,
    pub tolerations: Vec<super::pod::Toleration>,
}

/// A service, for the selectors of default spread constraints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Service {
    pub metadata: ObjectMeta,
    pub spec: ServiceSpec,
}

/// Which pods it leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct ServiceSpec {
    pub selector: Labels,
}
