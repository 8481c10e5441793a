//! Every "no" has a typed reason.

use serde::{Deserialize, Serialize};

use super::Str;

/// Reason codes: stable names, also event reasons and metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Code {
    NoNodePool,
    NodePoolNotReady,
    TaintNotTolerated,
    RequirementConflict,
    UnknownLabel,
    RestrictedLabel,
    NoInstanceTypeFits,
    NoOffering,
    OfferingUnavailable,
    LimitExceeded,
    MinValuesNotMet,
    TopologySpread,
    PodAffinity,
    PodAntiAffinity,
    HostPortConflict,
    VolumeZone,
    VolumeAttachLimit,
    VolumeNotReady,
    ReservedCapacityHeld,
    DynamicResourcesUnsupported,
    UnsupportedField,
    SubnetAddressesExhausted,
    BudgetOfEffort,
    SchedulingGated,
    OptedOut,
    NotPending,
    NotInitialized,
    Nominated,
    DoNotDisruptNode,
    DoNotDisruptPod,
    PodDisruptionBudget,
    NotManaged,
    NodePoolMissing,
    InstanceTypeUnknown,
    ConsolidationDisabled,
    ConsolidateAfterPending,
    BudgetExhausted,
    NotCheaper,
    PodsWouldNotFit,
    SpotToSpotDisabled,
    SpotChoiceTooSmall,
    BelowThreshold,
    Settling,
    Optimal,
}

/// Why a pod has no place in one pool, or in any (`pool` empty).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reason {
    pub pool: Str,
    pub code: Code,
    /// Names the quantity asked and the largest available, in the units people write.
    pub message: String,
    /// The one change that would have let it pass.
    pub nearest_miss: Option<String>,
}

impl Reason {
    /// A reason that no pool can change.
    pub fn everywhere(code: Code, message: impl Into<String>, nearest_miss: Option<String>) -> Self {
        Self { pool: "".into(), code, message: message.into(), nearest_miss }
    }
}
