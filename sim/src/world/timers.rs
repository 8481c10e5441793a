//! What is due later, in order of time and then of being asked for.

use std::collections::BTreeMap;

use tokio::time::Instant;

/// Things that become due.
#[derive(Debug)]
pub(super) struct Timers<T> {
    due: BTreeMap<(Instant, u64), T>,
    n_set: u64,
}

impl<T> Timers<T> {
    pub fn new() -> Self {
        Self { due: BTreeMap::new(), n_set: 0 }
    }

    pub fn set(&mut self, at: Instant, what: T) {
        self.n_set += 1;
        self.due.insert((at, self.n_set), what);
    }

    /// The next thing that is due by now.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// When something is due next.
    pub fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }
}
