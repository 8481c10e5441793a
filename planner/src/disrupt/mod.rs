//! Which nodes may be given up, and which should be.
//!
//! Every method asks the same questions in the same order: may this node be touched at all ([`candidates`]), does the
//! method want it (one file per method), does the pool's budget still allow it ([`allowance`]), and was it proposed
//! before ([`settle`]). Each "no" is a [`Kept`] with a code and a sentence.

pub mod allowance;
pub mod candidates;
pub mod empty;
mod fleet;
pub mod settle;
pub mod surplus;

pub use fleet::{EVICTION_UNIT, Fleet, Machine, Obstacle, Occupant, PoolTerms};

use crate::model::budget::DisruptionReason;
use crate::model::{Code, Str};

/// A node to be given up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retirement {
    pub node: Str,
    pub claim: Str,
    pub pool: Str,
    pub reason: DisruptionReason,
}

/// A node that stays, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    pub node: Str,
    pub code: Code,
    pub message: String,
}

/// What one method says of every node of the fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "nothing is disrupted before it is acted on"]
pub struct Verdict {
    /// Within budgets; sorted by node.
    pub retire: Vec<Retirement>,
    /// Sorted by node.
    pub kept: Vec<Kept>,
    /// How many nodes the method would take if no budget said no.
    pub n_eligible: usize,
}
