//! What the debug endpoints may look at: the last decision, and the mirror while this process leads.

use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use planner::model::Snapshot;
use tokio::sync::watch;

use crate::config::Config;
use crate::decide::Decision;
use crate::telemetry::http::{Debug, Observe, Planned};

/// Clones look at the same.
#[derive(Clone)]
pub struct Insight {
    decisions: watch::Sender<Option<Arc<Decision>>>,
    observe: Arc<Mutex<Option<Observe>>>,
}

impl Default for Insight {
    fn default() -> Self {
        Self { decisions: watch::Sender::new(None), observe: Arc::default() }
    }
}

impl Insight {
    /// Where each decision is told.
    pub(super) fn teller(&self) -> watch::Sender<Option<Arc<Decision>>> {
        self.decisions.clone()
    }

    /// The decisions from now on; at first the last one, if there is one.
    pub fn decisions(&self) -> watch::Receiver<Option<Arc<Decision>>> {
        self.decisions.subscribe()
    }

    /// From now on snapshots of the present are taken so; `None`: there is nothing to take one of.
    pub(super) fn observe_with(&self, observe: Option<Observe>) {
        *self.observe.lock().unwrap_or_else(PoisonError::into_inner) = observe;
    }

    /// A snapshot of the present, as the next pass would take it; none while nobody leads.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        let observe = self.observe.lock().unwrap_or_else(PoisonError::into_inner).clone();
        observe?().await
    }

    /// The endpoints over it.
    pub(super) fn debug(&self, config: &Config) -> Debug {
        let observe = self.observe.clone();
        let present: Observe = Arc::new(move || {
            let take = observe.lock().unwrap_or_else(PoisonError::into_inner).clone();
            async move { take?().await }.boxed()
        });
        let decisions = self.decisions.clone();
        let last = move || {
            let decision = decisions.borrow().clone()?;
            Some(Planned { snapshot: decision.snapshot.clone(), plan: decision.plan.clone() })
        };
        Debug::new(config.debug_endpoints, config.profiling, last, present)
    }
}
