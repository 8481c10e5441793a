//! The server's state, and the one way in which it changes: a write, then all that follows from it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::clock::Clock;
use crate::rng::SplitMix64;

use super::apply::Applied;
use super::budget::Budgets;
use super::log::Log;
use super::object::{Key, Object};
use super::resource::Id;
use super::store::Store;

/// Everything behind the server's lock.
pub(super) struct State {
    pub store: Store,
    pub clock: Clock,
    pub rng: SplitMix64,
    /// Configurations of server-side apply.
    pub applied: BTreeMap<(Id, Key), Applied>,
    pub budgets: Budgets,
    /// What garbage collection has still to look at.
    pub tasks: VecDeque<Task>,
    pub log: Log,
    /// For each kind, how often all its watches were closed.
    pub closings: Vec<u64>,
    pub lag: Lag,
}

/// How old the picture is that a watch without a version begins with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lag {
    /// So many writes.
    pub versions: u64,
    /// How long it takes until what came later is shown.
    pub time: Duration,
}

/// Something that garbage collection has to look at.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// An object is gone.
    Gone(Arc<Object>),
    /// An object with owners appeared, or an owner of it is gone.
    Dependent(Id, Key),
    /// The object with the uid waits for its dependents, which are to be deleted.
    Foreground(String),
    /// One of those dependents is gone.
    Unblock(String),
    /// The dependents of the uid shall forget their owner.
    Orphan(String),
    /// The contents of the namespace shall go.
    Sweep(String),
    /// Something of the contents is gone.
    Emptied(String),
}

impl State {
    pub fn new(clock: Clock, seed: u64, window: usize) -> Self {
        Self {
            store: Store::new(window),
            clock,
            rng: SplitMix64::new(seed),
            applied: BTreeMap::new(),
            budgets: Budgets::default(),
            tasks: VecDeque::new(),
            log: Log::default(),
            closings: vec![0; super::resource::all().len()],
            lag: Lag::default(),
        }
    }

    /// A random name for an object, as versions 4 are written.
    pub fn new_uid(&mut self) -> String {
        let (a, b) = (self.rng.next_u64(), self.rng.next_u64());
        let high = format!("{a:016x}");
        let low = format!("{b:016x}");
        format!("{}-{}-4{}-a{}-{}", &high[..8], &high[8..12], &high[13..16], &low[1..4], &low[4..16])
    }

    /// Five letters and digits that a server puts behind `generateName`.
    pub fn suffix(&mut self) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..5).map(|_| char::from(*self.rng.pick(ALPHABET))).collect()
    }

    /// Stores a form of an object that was judged and found good.
    pub fn commit(&mut self, id: Id, value: Value) -> Arc<Object> {
        let id = id.stored();
        let old = self.store.get(id, &Key::of(&value)).cloned();
        let new = self.store.put(id, value);
        self.budgets.observe(&self.store, id, old.as_deref(), Some(&new));
        if old.is_none() && new.owners().next().is_some() {
            self.tasks.push_back(Task::Dependent(id, new.key()));
        }
        new
    }

    /// Takes an object away for good.
    pub fn remove(&mut self, id: Id, key: &Key) -> Option<Arc<Object>> {
        let id = id.stored();
        let last = self.store.remove(id, key)?;
        self.applied.remove(&(id, key.clone()));
        self.budgets.observe(&self.store, id, Some(&last), None);
        self.tasks.push_back(Task::Gone(Arc::clone(&last)));
        Some(last)
    }

    /// Does all that follows from what was written.
    pub fn settle(&mut self) {
        loop {
            while let Some(task) = self.tasks.pop_front() {
                self.run(task);
            }
            if !self.update_budgets() {
                return;
            }
        }
    }
}
