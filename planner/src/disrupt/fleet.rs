//! The nodes that may be given up, with what decides whether they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Str;
use crate::model::budget::Budgets;

/// One eviction costs 1, written in units of 2^-27 so that priorities and deletion costs stay whole numbers.
pub const EVICTION_UNIT: i64 = 1 << 27;

/// All nodes and the terms of their pools at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fleet {
    /// Seconds since the epoch.
    pub now: i64,
    /// Sorted by node.
    pub machines: Vec<Machine>,
    pub pools: BTreeMap<Str, PoolTerms>,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub node: Str,
    /// The `NodeClaim` behind it; None for a node that nobody here bought.
    pub claim: Option<Str>,
    /// By label.
    pub pool: Option<Str>,
    pub initialized: bool,
    pub ready: bool,
    /// It is being deleted, or a disruption of it has begun.
    pub leaving: bool,
    /// Its instance is being terminated: it no longer counts as a node of the pool.
    pub terminating: bool,
    /// Pods are expected on it.
    pub nominated: bool,
    /// Stand-ins of `CapacityBuffers` that the last plan has on it.
    #[serde(default)]
    pub stand_ins: usize,
    /// `karpenter.sh/do-not-disrupt: "true"` on the node.
    pub protected: bool,
    /// The condition `Consolidatable`: nothing came or went for as long as the pool asks.
    pub consolidatable: bool,
    pub occupants: Vec<Occupant>,
}

/// A pod on the node that has not finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupant {
    /// `namespace/name`.
    pub key: Str,
    /// Would need another place: not of a daemon, not of the node itself, not on its way out.
    pub reschedulable: bool,
    /// In units of [`EVICTION_UNIT`]; see [`Occupant::eviction_cost`].
    pub cost: i64,
    pub obstacle: Option<Obstacle>,
}

/// Why a pod keeps its node from voluntary disruption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Obstacle {
    /// `karpenter.sh/do-not-disrupt`.
    Protected,
    /// This disruption budget allows no eviction now.
    Pdb(Str),
    /// More than one budget covers it, which the Eviction API refuses.
    SeveralPdbs,
}

/// What a pool says about giving up nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolTerms {
    pub budgets: Budgets,
    /// `consolidateAfter` is not `Never`.
    pub consolidates: bool,
    /// Keeps a number of nodes, whatever the pods.
    pub is_static: bool,
    /// What its node class sells is known.
    pub types_known: bool,
}

impl Occupant {
    /// What evicting a pod costs: 1 + deletion cost / 2^27 + priority / 2^25, from −10 to 10, in [`EVICTION_UNIT`]s.
    pub fn eviction_cost(deletion_cost: i32, priority: i32) -> i64 {
        let cost = EVICTION_UNIT + i64::from(deletion_cost) + 4 * i64::from(priority);
        cost.clamp(-10 * EVICTION_UNIT, 10 * EVICTION_UNIT)
    }
}

impl Machine {
    /// No pod on it whose move would cost anything.
    pub fn is_empty(&self) -> bool {
        self.occupants.iter().all(|occupant| !occupant.reschedulable || occupant.cost <= 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eviction_costs_one_moved_by_priority_and_deletion_cost_and_bounded() {
        for (deletion_cost, priority, expected) in [
            (0, 0, EVICTION_UNIT),
            (1 << 27, 0, 2 * EVICTION_UNIT),
            (0, 1 << 25, 2 * EVICTION_UNIT),
            (0, -(1 << 25), 0),
            (i32::MAX, i32::MAX, 10 * EVICTION_UNIT),
            (i32::MIN, i32::MIN, -10 * EVICTION_UNIT),
        ] {
            assert_eq!(Occupant::eviction_cost(deletion_cost, priority), expected, "{deletion_cost} {priority}");
        }
    }

    #[test]
    fn daemons_and_pods_that_cost_nothing_leave_a_node_empty() {
        let occupant = |reschedulable, cost| Occupant { key: "a/b".into(), reschedulable, cost, obstacle: None };
        for (reschedulable, cost, expected) in [(false, EVICTION_UNIT, true), (true, 0, true), (true, 1, false)] {
            let machine = Machine { occupants: vec![occupant(reschedulable, cost)], ..Machine::default() };
            assert_eq!(machine.is_empty(), expected, "{reschedulable} {cost}");
        }
    }
}
