//! Runs a controller: takes names from its queue and looks at the objects, so many at once, until it is stopped.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::queue::{Again, Backoff, Queue};
use crate::telemetry::{Metrics, Outcome};

/// Looks at one object at a time by its name.
pub trait Reconcile: Send + Sync + 'static {
    /// By which metrics and logs call it.
    const NAME: &'static str;
    /// How many objects are looked at at once.
    const WORKERS: usize;
    /// How long to wait after failures.
    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_mins(1) };

    /// Looks at what is there and does what is due. It may be dropped between any two writes and called again.
    fn reconcile(&self, name: &str) -> impl Future<Output = Result<Again, Fault>> + Send;
}

/// Works until `stop`. What is under way then is left to finish.
pub async fn run<R: Reconcile>(reconciler: Arc<R>, queue: Arc<Queue>, metrics: Metrics, stop: CancellationToken) {
    metrics.controller_runtime_max_concurrent_reconciles.set([R::NAME], usize_as_f64(R::WORKERS));
    metrics.controller_runtime_reconcile_panics_total.add([R::NAME], 0);
    // What is looked at and nobody who would wait: hundreds would all wake whenever something falls due. In one task: looks wait
    // for answers, and a task for each is dear to make.
    let mut looks = FuturesUnordered::new();
    loop {
        let name = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(()) = looks.next() => continue,
            name = queue.next(), if looks.len() < R::WORKERS => name,
        };
        let (reconciler, queue, metrics) = (&*reconciler, &*queue, &metrics);
        looks.push(async move {
            let again = look(reconciler, &name, metrics).await;
            queue.done(&name, again);
        });
    }
    while looks.next().await.is_some() {}
}

async fn look<R: Reconcile>(reconciler: &R, name: &str, metrics: &Metrics) -> Again {
    let reconciling = metrics.reconciling(R::NAME);
    // What a look leaves half done, another finds: it may be dropped between any two writes anyhow.
    let Ok(looked) = AssertUnwindSafe(reconciler.reconcile(name)).catch_unwind().await else {
        tracing::error!(controller = R::NAME, object = name, "a look broke off: this is a defect of the controller");
        metrics.controller_runtime_reconcile_panics_total.inc([R::NAME]);
        reconciling.end(Outcome::Error);
        return Again::Failed;
    };
    let (again, outcome) = match looked {
        Ok(again @ Again::After(_)) => (again, Outcome::RequeueAfter),
        Ok(again @ Again::OnChange) => (again, Outcome::Success),
        Ok(again) => (again, Outcome::Requeue),
        Err(fault) if fault.is_ordinary() => {
            tracing::debug!(controller = R::NAME, object = name, %fault, "to be looked at again");
            (fault.again(), Outcome::Requeue)
        }
        Err(fault) => {
            tracing::error!(controller = R::NAME, object = name, error = %fault, "Reconciler error");
            (fault.again(), Outcome::Error)
        }
    };
    reconciling.end(outcome);
    again
}

#[expect(clippy::cast_precision_loss, reason = "a handful of workers")]
fn usize_as_f64(n: usize) -> f64 {
    n as f64
}
