//! The budget of steps, so that equal inputs give equal answers on any machine, and the flag that ends work early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::search::NODE;

/// Elementary operations in one step: a step is then near one microsecond on a 2020s server core.
const OPERATIONS_PER_STEP: u64 = 1000;

/// How much work to spend, in steps. Never seconds: the same effort gives the same answer everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Effort(pub u64);

impl Effort {
    /// Only the first plan and bound.
    pub const FIRST: Self = Self(1);
    /// Near 25 ms.
    pub const QUICK: Self = Self(25_000);
    /// Near 0.1 s: what the planner uses while pods wait.
    pub const DEFAULT: Self = Self(100_000);
    /// Near 2 s: the quality mode, for work in the background.
    pub const HIGH: Self = Self(2_000_000);
}

impl Effort {
    /// The steps that so many operations are, rounded up.
    pub(crate) fn of_operations(operations: u64) -> Self {
        Self(operations.div_ceil(OPERATIONS_PER_STEP))
    }
}

impl Default for Effort {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Ends work at the next opportunity when raised from another thread; the best answer so far is returned.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the work to end.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the end was asked for.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts operations against a limit.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    spent: u64,
    limit: u64,
    cancel: Cancel,
}

impl Meter {
    pub(crate) fn new(effort: Effort, cancel: &Cancel) -> Self {
        Self { spent: 0, limit: effort.0.saturating_mul(OPERATIONS_PER_STEP), cancel: cancel.clone() }
    }

    /// A meter that starts at zero and may spend what is left until this one has spent `steps`, or all that is left.
    pub(crate) fn until(&self, steps: u64) -> Self {
        let end = steps.saturating_mul(OPERATIONS_PER_STEP).min(self.limit);
        self.part(end.saturating_sub(self.spent))
    }

    /// A meter that starts at zero and may spend `operations`, under the same flag.
    pub(crate) fn part(&self, operations: u64) -> Self {
        Self { spent: 0, limit: operations, cancel: self.cancel.clone() }
    }

    #[inline]
    pub(crate) fn charge(&mut self, operations: usize) {
        self.spent += operations as u64;
    }

    /// Counts work that was measured in steps elsewhere.
    pub(crate) fn charge_steps(&mut self, steps: u64) {
        self.spent = self.spent.saturating_add(steps.saturating_mul(OPERATIONS_PER_STEP));
    }

    /// Adds what a part has spent.
    pub(crate) fn absorb(&mut self, part: &Self) {
        self.spent += part.spent;
    }

    pub(crate) fn is_out(&self) -> bool {
        self.spent >= self.limit || self.cancel.is_cancelled()
    }

    /// Operations left.
    pub(crate) fn left(&self) -> u64 {
        if self.cancel.is_cancelled() { 0 } else { self.limit.saturating_sub(self.spent) }
    }

    /// Nodes of each of `n` searches that together take at most half of what is left.
    pub(crate) fn nodes_for(&self, n: usize) -> usize {
        let all = usize::try_from(self.left()).unwrap_or(usize::MAX);
        all / (2 * NODE * n.max(1))
    }

    /// Steps spent, rounded up.
    pub(crate) fn steps(&self) -> u64 {
        Effort::of_operations(self.spent).0
    }
}
