//! Kinds that make pods.

use planner::model::{Labels, Str};
use serde::{Deserialize, Deserializer};

use super::meta::{Condition, ObjectMeta};
use super::pod::PodTemplateSpec;
use super::selector::LabelSelector;
use super::storage::ClaimTemplate;

/// A `Deployment`, `ReplicaSet`, `StatefulSet` or `ReplicationController`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Workload {
    pub metadata: ObjectMeta,
    pub spec: WorkloadSpec,
}

/// How many pods of which template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadSpec {
    /// 1 when unset.
    pub replicas: Option<i64>,
    #[serde(deserialize_with = "selector")]
    pub selector: Option<LabelSelector>,
    pub template: PodTemplateSpec,
    /// `StatefulSet` only.
    pub volume_claim_templates: Vec<ClaimTemplate>,
    /// `StatefulSet` only.
    pub ordinals: Ordinals,
}

/// A selector; that of a `ReplicationController` is the labels themselves.
fn selector<'de, D: Deserializer<'de>>(from: D) -> Result<Option<LabelSelector>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Labels(Labels),
        Selector(LabelSelector),
    }
    let written = Option::<Written>::deserialize(from)?;
    Ok(written.map(|written| match written {
        Written::Labels(match_labels) => LabelSelector { match_labels, ..LabelSelector::default() },
        Written::Selector(selector) => selector,
    }))
}

/// Where a `StatefulSet` begins to count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Ordinals {
    pub start: i64,
}

/// One pod per node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct DaemonSet {
    pub metadata: ObjectMeta,
    pub spec: DaemonSetSpec,
}

/// Of which template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct DaemonSetSpec {
    pub selector: Option<LabelSelector>,
    pub template: PodTemplateSpec,
}

/// Pods that run to their end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Job {
    pub metadata: ObjectMeta,
    pub spec: JobSpec,
    pub status: JobStatus,
}

/// How many, and how many at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobSpec {
    /// 1 when unset.
    pub parallelism: Option<i64>,
    /// Unset beside a set parallelism: until the first one succeeds. 1 when both are unset.
    pub completions: Option<i64>,
    pub suspend: bool,
    pub selector: Option<LabelSelector>,
    pub template: PodTemplateSpec,
}

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct JobStatus {
    pub succeeded: i64,
    pub conditions: Vec<Condition>,
}

impl Job {
    /// Is it over, well or not?
    pub fn finished(&self) -> bool {
        let over = |kind: &Str| matches!(&**kind, "Complete" | "Failed" | "SuccessCriteriaMet" | "FailureTarget");
        self.status.conditions.iter().any(|c| &*c.status == "True" && over(&c.kind))
    }
}
