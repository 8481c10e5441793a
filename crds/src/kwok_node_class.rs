//! `KWOKNodeClass` (karpenter.kwok.sh/v1alpha1): nodes that exist in the API only, for tests of the control plane.

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::duration::Duration;
use crate::meta::ObjectMeta;

/// One class of pretended nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KwokNodeClass {
    pub api_version: String,
    pub kind: String,
    pub metadata: ObjectMeta,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<KwokNodeClassSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<KwokNodeClassStatus>,
}

/// How pretended nodes behave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KwokNodeClassSpec {
    /// From launch to registration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_registration_delay: Option<Duration>,
}

/// The schema's default says that the class is ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KwokNodeClassStatus {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
