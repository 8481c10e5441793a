//! What the solver answers: bins with their contents, what has no place, and how near to the proven optimum it is.

use std::sync::Arc;

use crate::problem::{ItemIdx, KindIdx, StartedIdx};

/// A packing that keeps every rule of its [`Problem`](crate::Problem) ([`verify`](crate::verify) agrees).
#[must_use = "a solution is the answer"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Solution {
    /// New bins, then started bins that received something. In a stable order; equal problems give equal orders.
    pub bins: Vec<Bin>,
    /// Things that have no place, by item.
    pub unpacked: Vec<(ItemIdx, u32)>,
    /// Micro-dollars per hour of the new bins.
    pub cost: i64,
    /// What was minimised: equals `cost` unless [`Options`](crate::Options) price flexibility or charge per bin.
    pub objective: i64,
    /// No packing of the same things costs less than this (micro-dollars per hour).
    pub cost_lower_bound: i64,
    /// How much is proven.
    pub proof: Proof,
    /// Steps used.
    pub effort_spent: u64,
}

/// How much is proven about a cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// Nothing: no bound was computed.
    #[default]
    Unproven,
    /// Within the gap between `cost` and `cost_lower_bound`.
    Bounded,
    /// No cheaper packing exists.
    Optimal,
}

/// One bin and what goes into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bin {
    /// What it is.
    pub kind: BinRef,
    /// How many of which item, by ascending item.
    pub contents: Vec<(ItemIdx, u32)>,
    /// Every kind that holds the contents and may hold each of them, cheapest first (the chosen one is among them;
    /// caps and availability are not looked at). Empty for a started bin. Equal bins share one list.
    pub alternatives: Arc<[KindIdx]>,
}

/// A new bin of a kind, or one that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BinRef {
    /// To be bought.
    New(KindIdx),
    /// There already.
    Started(StartedIdx),
}

/// A proven lower bound on the cost of packing everything that can be packed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LowerBound {
    /// Micro-dollars per hour; never above the cost of any packing of all items.
    pub cost: i64,
    /// The value of one thing of each item at which the bound holds (micro-dollars per hour): what it adds to the bill.
    pub values: Vec<f64>,
    /// Steps used.
    pub effort_spent: u64,
}

impl Solution {
    /// Cost over the bound, minus one, in percent; 0 when both are 0.
    pub fn gap_percent(&self) -> f64 {
        if self.cost <= self.cost_lower_bound || self.cost_lower_bound <= 0 {
            return if self.cost > 0 && self.cost_lower_bound <= 0 { 100.0 } else { 0.0 };
        }
        (self.cost as f64 / self.cost_lower_bound as f64 - 1.0) * 100.0
    }

    /// How many new bins there are.
    pub fn n_new(&self) -> usize {
        self.bins.iter().filter(|b| matches!(b.kind, BinRef::New(_))).count()
    }

    /// How many things have no place.
    pub fn n_unpacked(&self) -> u64 {
        self.unpacked.iter().map(|u| u64::from(u.1)).sum()
    }
}
