//! What should be done: the planner's one answer.

mod notes;
mod offerings;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::snapshot::Ignored;
use crate::model::{CapacityType, Labels, MicroUsdPerHour, Reason, Requirements, Resources, Str, Taint};

pub use offerings::Offerings;

/// Which nodes to buy, who goes where, and why not.
#[must_use = "a plan is acted on or shown"]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub launches: Vec<Launch>,
    /// Pods for which there is room already, sorted by pod.
    pub nominations: Vec<Nomination>,
    pub unplaced: Vec<Unplaced>,
    /// Stand-ins of `CapacityBuffer`s without a place. They exist nowhere, so nobody waits: they count as no pods.
    #[serde(default)]
    pub stand_ins_left: Vec<Unplaced>,
    /// Static pools that cannot buy all the nodes they lack.
    #[serde(default)]
    pub short: Vec<Short>,
    pub ignored: Vec<Ignored>,
    /// Of the launches.
    pub cost: MicroUsdPerHour,
    /// No legal set of launches for the same pods costs less.
    pub cost_lower_bound: MicroUsdPerHour,
    /// What first-fit-decreasing would have bought for the same pods.
    pub greedy_cost: MicroUsdPerHour,
    /// Pods that were to be placed, without stand-ins.
    pub pods: usize,
    pub effort_spent: u64,
}

/// A node to buy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// `<pool>-<n>`, n from 1.
    pub name: Str,
    pub pool: Str,
    /// Offerings that hold the same contents, cheapest first; the first is the chosen one. Never empty. All of
    /// the 600 types that can be had cheapest (other types where `minValues` want them).
    pub offerings: Offerings,
    /// How many offerings hold the same contents, those of other types included.
    pub offerings_total: usize,
    /// What its pods and its `DaemonSets` ask for.
    pub requests: Resources,
    /// What the chosen offering has for pods.
    pub allocatable: Resources,
    /// What the chosen offering has at all.
    pub capacity: Resources,
    /// All labels the node will carry.
    pub labels: Arc<Labels>,
    pub taints: Vec<Taint>,
    pub startup_taints: Vec<Taint>,
    /// What the offerings and the open labels were narrowed to.
    pub requirements: Arc<Requirements>,
    /// `minValues` lowered to what could be had, by key.
    pub relaxed_min_values: BTreeMap<Str, u32>,
    /// `namespace/name`, sorted.
    pub pods: Vec<Str>,
}

/// One way to buy a launch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RankedOffering {
    pub price: MicroUsdPerHour,
    pub capacity_type: CapacityType,
    pub instance_type: Str,
    pub zone: Str,
    pub reservation: Option<Str>,
}

/// A pod and the capacity that will take it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Nomination {
    /// `namespace/name`.
    pub pod: Str,
    /// The node's name, or the claim's while no node has joined.
    pub node: Str,
}

/// Pods without a place, one reason per pool that could have bought for them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unplaced {
    /// `namespace/name`, sorted.
    pub pods: Vec<Str>,
    pub reasons: Vec<Reason>,
}

/// A static pool that lacks nodes, and why it cannot buy them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Short {
    /// How many more there should be.
    pub missing: u32,
    /// Names the pool.
    pub reason: Reason,
}

impl Launch {
    /// The offering the plan is priced with.
    pub fn chosen(&self) -> Option<&RankedOffering> {
        self.offerings.first()
    }

    /// Price of the chosen offering.
    pub fn price(&self) -> MicroUsdPerHour {
        self.chosen().map_or(MicroUsdPerHour(0), |offering| offering.price)
    }
}
