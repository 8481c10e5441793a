//! `NodeOverlay` (karpenter.sh/v1alpha1): another price or more capacity than the cloud says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::meta::ObjectMeta;
use crate::quantity::Quantity;
use crate::requirement::LabelRequirement;

/// One overlay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeOverlay {
    pub api_version: String,
    pub kind: String,
    pub metadata: ObjectMeta,
    pub spec: NodeOverlaySpec,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<NodeOverlayStatus>,
}

/// Which offerings are seen in another light, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeOverlaySpec {
    pub requirements: Vec<LabelRequirement>,
    /// `-0.5` in USD per hour or `+10%`; the sign is part of it. Never together with `price`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_adjustment: Option<String>,
    /// USD per hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
    /// Extended resources only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capacity: BTreeMap<String, Quantity>,
    /// 1 to 10000; none counts as 0. The highest one counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
}

/// What was last observed of the overlay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeOverlayStatus {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
