//! What the debug endpoints may look at: the last decision, and the mirror while this process leads.

use std::sync::{Arc, Mutex, PoisonError};

use planner::model::Snapshot;
use tokio::sync::watch;

use crate::config::Config;
use crate::telemetry::http::{Debug, Decision};

/// Takes a snapshot of the present.
type Observe = Arc<dyn Fn() -> Option<Arc<Snapshot>> + Send + Sync>;

/// Clones look at the same.
#[derive(Clone)]
pub struct Insight {
    last: Arc<watch::Sender<Option<Decision>>>,
    observe: Arc<Mutex<Option<Observe>>>,
}

impl Default for Insight {
    fn default() -> Self {
        Self { last: Arc::new(watch::Sender::new(None)), observe: Arc::default() }
    }
}

impl Insight {
    /// A plan was made.
    pub fn decided(&self, decision: Decision) {
        self.last.send_replace(Some(decision));
    }

    /// The last plan.
    pub fn last(&self) -> watch::Receiver<Option<Decision>> {
        self.last.subscribe()
    }

    /// From now on snapshots of the present are taken so; until nothing can be taken any more.
    pub fn observe_with(&self, observe: Option<Observe>) {
        *self.observe.lock().unwrap_or_else(PoisonError::into_inner) = observe;
    }

    /// The endpoints over it.
    pub(super) fn debug(&self, config: &Config) -> Debug {
        let observe = self.observe.clone();
        let present = move || {
            let take = observe.lock().unwrap_or_else(PoisonError::into_inner).clone();
            take.and_then(|take| take())
        };
        Debug::new(config.debug_endpoints, config.profiling, self.last(), present)
    }
}
