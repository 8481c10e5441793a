//! `/healthz`: the process lives. `/readyz`: it can do its work, or is a replica that waits for the lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use super::text;

/// What the probes look at. Clones are the same health.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Checks>);

#[derive(Debug, Default)]
struct Checks {
    /// The API server was reached, and serves `NodePool`s and `NodeClaim`s.
    served: AtomicBool,
    /// This replica leads.
    leads: AtomicBool,
    /// The mirror has been filled once.
    synced: AtomicBool,
}

impl Health {
    /// The API server serves the kinds that are needed.
    pub fn kinds_served(&self, is_so: bool) {
        self.0.served.store(is_so, Ordering::Relaxed);
    }

    /// This replica leads, and is ready once its mirror is filled; one that waits is ready to take over.
    pub fn leads(&self, is_so: bool) {
        self.0.leads.store(is_so, Ordering::Relaxed);
    }

    /// The mirror has been filled.
    pub fn synced(&self, is_so: bool) {
        self.0.synced.store(is_so, Ordering::Relaxed);
    }

    /// Why it is not ready, if so.
    fn unready(&self) -> Option<&'static str> {
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        if !is(&self.0.served) {
            Some("the API server was not reached, or serves no NodePools and NodeClaims (millwright crds prints them)")
        } else if is(&self.0.leads) && !is(&self.0.synced) {
            Some("the mirror of the cluster is being filled")
        } else {
            None
        }
    }

    pub(super) fn router(self) -> Router {
        let readyz = |State(health): State<Self>| async move {
            match health.unready() {
                None => text(StatusCode::OK, "ok"),
                Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, why),
            }
        };
        let healthz = || async { text(StatusCode::OK, "ok") };
        Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).with_state(self)
    }
}
