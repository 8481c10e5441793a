//! Names for what is bought.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Snapshot, Str};
use crate::plan::Launch;

/// `<pool>-<n>`, skipping names that nodes and claims have.
pub(super) struct Names {
    taken: BTreeSet<Str>,
    last: BTreeMap<Str, usize>,
}

impl Names {
    /// None given yet, but those of these launches.
    pub(super) fn of(snapshot: &Snapshot, bought: &[Launch]) -> Self {
        let nodes = snapshot.nodes.iter().map(|n| n.name.clone());
        let bought = bought.iter().map(|launch| launch.name.clone());
        let taken = nodes.chain(snapshot.claims.iter().map(|c| c.name.clone())).chain(bought).collect();
        Self { taken, last: BTreeMap::new() }
    }

    /// The next of a pool.
    pub(super) fn next(&mut self, pool: &Str) -> Str {
        let last = self.last.entry(pool.clone()).or_insert(0);
        loop {
            *last += 1;
            let name: Str = format!("{pool}-{last}").into();
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}
