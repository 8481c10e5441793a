//! When a node counts as broken.

use std::time::Duration;

/// A node condition that is not to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepairPolicy {
    /// The condition's type, such as `Ready`.
    pub condition: &'static str,
    /// The status that is bad.
    pub status: &'static str,
    /// How long it may last.
    pub toleration: Duration,
}
