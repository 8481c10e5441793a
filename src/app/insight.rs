//! What whoever asks the controller may look at: the last decision, and the mirror while this process leads.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use planner::model::Snapshot;
use tokio::sync::watch;

use crate::decide::{Decision, Unseen};

/// Takes a snapshot of the present.
pub type Observe = Arc<dyn Fn() -> BoxFuture<'static, Result<Snapshot, Unseen>> + Send + Sync>;

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

    /// A snapshot of the present, as the next pass would take it.
    ///
    /// # Errors
    /// While nobody leads, and where the next pass would come to nothing.
    pub async fn snapshot(&self) -> Result<Snapshot, Unseen> {
        let observe = self.observe.lock().unwrap_or_else(PoisonError::into_inner).clone();
        observe.ok_or(Unseen::NotYet)?().await
    }
}
