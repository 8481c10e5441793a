//! What happened on the server, line by line: every write, every fault that fired, and how often each verb was used.

use std::collections::{BTreeMap, VecDeque};

use crate::clock::Clock;

/// The most lines that are kept; older ones are counted.
pub const LIMIT: usize = 500_000;

/// The lines and the counts.
#[derive(Clone, Debug, Default)]
pub struct Log {
    lines: VecDeque<String>,
    n_dropped: u64,
    requests: BTreeMap<(String, &'static str), u64>,
}

impl Log {
    /// Adds a line with the time since the beginning in front.
    pub(super) fn note(&mut self, clock: &Clock, who: &str, what: &str) {
        if self.lines.len() == LIMIT {
            self.lines.pop_front();
            self.n_dropped += 1;
        }
        let elapsed = clock.elapsed();
        self.lines.push_back(format!("{:>6}.{:06} {who} {what}", elapsed.as_secs(), elapsed.subsec_micros()));
    }

    /// Counts a request.
    pub(super) fn count(&mut self, who: &str, verb: &'static str) {
        *self.requests.entry((who.to_owned(), verb)).or_default() += 1;
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// How many lines were too many to keep.
    pub fn n_dropped(&self) -> u64 {
        self.n_dropped
    }

    /// The number of requests by who made them and verb.
    pub fn requests(&self) -> &BTreeMap<(String, &'static str), u64> {
        &self.requests
    }
}
