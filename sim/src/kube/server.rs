//! The server itself: its state behind one lock, its faults, and who is woken by a write.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::clock::Clock;

use super::bell::{Bell, Listener};
use super::faults::{Fault, Faults, Rule};
use super::log::Log;
use super::resource::{self, Id};
use super::state::{Lag, State};
use super::store::WINDOW;
use super::write::WriteOptions;

/// The server. Clones are the same server.
#[derive(Clone)]
pub struct ApiServer {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    faults: Mutex<Faults>,
    /// One for each kind, rung when an object of it changed.
    changed: Vec<Bell>,
    clock: Clock,
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("resource_version", &self.resource_version()).finish_non_exhaustive()
    }
}

impl ApiServer {
    /// A server with the namespaces `default`, `kube-system` and `kube-node-lease`, and a clock that starts now.
    pub fn new(seed: u64) -> Self {
        Self::with_window(seed, Clock::new(), WINDOW)
    }

    /// A server that remembers `window` changes of each kind.
    pub fn with_window(seed: u64, clock: Clock, window: usize) -> Self {
        let changed = resource::all().iter().map(|_| Bell::default()).collect();
        let state = Mutex::new(State::new(clock, seed, window));
        let server = Self { shared: Arc::new(Shared { state, faults: Mutex::default(), changed, clock }) };
        server.locked(|state| {
            for name in ["default", "kube-node-lease", "kube-system"] {
                let namespace = json!({ "metadata": { "name": name } });
                // Nothing is there yet that could stand in the way.
                drop(state.create(Id::NAMESPACE, "", namespace, &WriteOptions::default()));
            }
        });
        server
    }

    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// The version of the last write.
    pub fn resource_version(&self) -> u64 {
        self.locked(|state| state.store.resource_version())
    }

    /// What happened so far.
    pub fn log(&self) -> Log {
        self.locked(|state| state.log.clone())
    }

    /// Adds a line to the log.
    pub fn note(&self, who: &str, what: &str) {
        let clock = self.shared.clock;
        self.locked(|state| state.log.note(&clock, who, what));
    }

    /// Adds a fault by rule.
    pub fn add_fault(&self, rule: Rule) {
        self.faults().add(rule);
    }

    /// Lets the requests of a session meet one of the faults, by chance: so many of a thousand.
    pub fn add_random_faults(&self, session: &str, seed: u64, per_mille: u64, faults: &[Fault]) {
        self.faults().add_chance(session, seed, per_mille, faults);
    }

    /// From now on a watch from any version begins with what was there so many writes ago, as an API server does that has
    /// not read on from its store yet; what came later follows after this time.
    pub fn set_lag(&self, versions: u64, time: Duration) {
        self.locked(|state| state.lag = Lag { versions, time });
    }

    /// Forgets the changes of a kind and ends its watches, so that each of them must list again.
    pub fn compact(&self, id: Id) {
        self.locked(|state| {
            state.store.compact(id);
            let clock = state.clock;
            state.log.note(&clock, "server", &format!("compact {}", id.resource().plural));
        });
    }

    /// Ends all watches of a kind.
    pub fn close_watches(&self, id: Id) {
        self.locked(|state| {
            state.closings[id.stored().index()] += 1;
            state.store.touch(id);
            let clock = state.clock;
            state.log.note(&clock, "server", &format!("close watches of {}", id.resource().plural));
        });
    }

    /// Wakes when an object of the kind changes.
    pub fn subscribe(&self, id: Id) -> Listener {
        self.shared.changed[id.stored().index()].listen()
    }

    /// Does something under the lock, then what follows from it, then wakes the watchers.
    pub(super) fn locked<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let (result, touched) = {
            let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut state);
            state.settle();
            (result, state.store.take_touched())
        };
        if touched != 0 {
            for (index, changed) in self.shared.changed.iter().enumerate() {
                if touched & (1 << index) != 0 {
                    changed.ring();
                }
            }
        }
        result
    }

    pub(super) fn faults(&self) -> std::sync::MutexGuard<'_, Faults> {
        self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
