//! Resource names as dense indices, so that a fit is a few comparisons.

use std::collections::BTreeMap;

use crate::model::{Resources, Snapshot, Str};

/// The resources anything in a snapshot asks for, numbered in name order.
pub(crate) struct Dims {
    names: Vec<Str>,
    index: BTreeMap<Str, usize>,
}

impl Dims {
    /// Of everything that pods to place and `DaemonSets` request.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let pods = snapshot.groups.iter().map(|g| &g.shape.requests);
        let daemons = snapshot.daemons.iter().map(|d| &d.shape.requests);
        Self::new(pods.chain(daemons).flat_map(|r| r.iter().map(|(name, _)| name.clone())))
    }

    /// Of these names.
    pub(crate) fn new(names: impl IntoIterator<Item = Str>) -> Self {
        let index: BTreeMap<Str, usize> = names.into_iter().map(|name| (name, 0)).collect();
        let names: Vec<Str> = index.into_keys().collect();
        let index = names.iter().cloned().zip(0..).collect();
        Self { names, index }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Amounts by index; names that nothing asks for are left out.
    pub(crate) fn dense(&self, resources: &Resources) -> Vec<i64> {
        let mut out = vec![0; self.names.len()];
        for (name, amount) in resources.iter() {
            if let Some(at) = self.index.get(name) {
                out[*at] = amount;
            }
        }
        out
    }

    /// The name of a dimension.
    pub(crate) fn name(&self, at: usize) -> &Str {
        &self.names[at]
    }
}

/// No amount of `need` above that of `room`?
pub(crate) fn fits(need: &[i64], room: &[i64]) -> bool {
    need.iter().zip(room).all(|(need, room)| need <= room)
}

/// How many times `need` goes into `room`, at most `most`.
pub(crate) fn times(need: &[i64], room: impl Iterator<Item = i64>, most: u32) -> u32 {
    let mut out = i64::from(most);
    for (need, room) in need.iter().zip(room) {
        if *need > 0 {
            out = out.min(room / need);
        } else if room < 0 {
            out = 0;
        }
    }
    u32::try_from(out.max(0)).unwrap_or(0)
}

/// Adds `times` × `need`.
pub(crate) fn add(sum: &mut [i64], need: &[i64], times: i64) {
    for (sum, need) in sum.iter_mut().zip(need) {
        *sum = sum.saturating_add(need.saturating_mul(times));
    }
}

/// Raises each amount to at least that of `other`.
pub(crate) fn raise(top: &mut [i64], other: &[i64]) {
    for (top, other) in top.iter_mut().zip(other) {
        *top = (*top).max(*other);
    }
}
