//! Decides, purely: an immutable [`model::Snapshot`] in, a [`plan::Plan`] out. No clock, network, randomness or logging.

pub mod check;
pub mod disrupt;
pub mod drain;
pub mod model;
mod place;
pub mod plan;
mod provision;
mod sound_part;

pub use check::{Fault, check};
pub use place::refusals;
pub use sound_part::sound_part;

use model::Snapshot;
use plan::Plan;

/// Which nodes to buy for the pods of a snapshot, and why any has no place.
pub fn plan(snapshot: &Snapshot) -> Plan {
    provision::provision(snapshot)
}
