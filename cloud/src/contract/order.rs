//! What is asked of a cloud.

use planner::model::{Labels, Requirements, Resources, Str, Taint};

use super::{ClassRef, Offer};

/// One node, please.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaunchOrder {
    /// The uid of the claim. The same token never buys twice.
    pub token: Str,
    /// The claim's name.
    pub claim: Str,
    pub pool: Option<Str>,
    pub class: ClassRef,
    /// Ways to fill it, best first. Empty when nothing that the claim allows is in stock.
    pub offers: Vec<Offer>,
    /// Everything the claim says about the node's labels.
    pub requirements: Requirements,
    /// What it is to hold; may name devices that no type has.
    pub requests: Resources,
    /// What the node is to carry from the start.
    pub labels: Labels,
    pub annotations: Labels,
    /// Without the unregistered taint, which every cloud adds.
    pub taints: Vec<Taint>,
    pub startup_taints: Vec<Taint>,
    /// Less choice than `minValues` of the requirements ask for will do.
    pub takes_less_choice: bool,
}
