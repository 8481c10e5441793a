//! What was asked of EC2, and what it said.

use std::collections::BTreeMap;

use crate::clock::Micros;

/// The most calls that are kept; older ones are only counted.
const MOST: usize = 1_000_000;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub at: Micros,
    pub action: String,
    /// `ok`, the code of a refusal, or how a fault took it.
    pub outcome: String,
}

/// The calls, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: std::collections::VecDeque<Entry>,
    counts: BTreeMap<String, u64>,
}

impl Log {
    pub(super) fn note(&mut self, at: Micros, action: &str, outcome: String) {
        if self.entries.len() == MOST {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { at, action: action.to_owned(), outcome });
        *self.counts.entry(action.to_owned()).or_default() += 1;
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// How often an action was called.
    pub fn count(&self, action: &str) -> u64 {
        self.counts.get(action).copied().unwrap_or(0)
    }

    /// How often each action was called.
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }
}
