//! How often and how long reconcilers work, as controller-runtime counts it.

use tokio::time::Instant;

use super::Metrics;

/// What a reconcile ended in, by controller-runtime's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing more to do until something changes.
    Success,
    /// To be looked at again after some time.
    RequeueAfter,
    /// To be looked at again at once.
    Requeue,
    Error,
}

impl Outcome {
    fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::RequeueAfter => "requeue_after",
            Self::Requeue => "requeue",
            Self::Error => "error",
        }
    }
}

/// A reconcile under way; dropped without [`Reconciling::end`], it was cut off and only stops counting as active.
#[derive(Debug)]
pub struct Reconciling {
    metrics: Metrics,
    controller: &'static str,
    since: Instant,
}

impl Metrics {
    /// A reconcile of this controller begins.
    pub fn reconciling(&self, controller: &'static str) -> Reconciling {
        self.controller_runtime_active_workers.add([controller], 1.0);
        Reconciling { metrics: self.clone(), controller, since: Instant::now() }
    }

    /// Counts and times a reconcile that succeeds or errs.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn reconcile<T, E>(
        &self,
        controller: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let reconciling = self.reconciling(controller);
        let result = work.await;
        reconciling.end(if result.is_ok() { Outcome::Success } else { Outcome::Error });
        result
    }
}

impl Reconciling {
    /// It has ended so.
    pub fn end(self, outcome: Outcome) {
        let (metrics, controller) = (&self.metrics, self.controller);
        metrics.controller_runtime_reconcile_total.inc([controller, outcome.label()]);
        if outcome == Outcome::Error {
            metrics.controller_runtime_reconcile_errors_total.inc([controller]);
        }
        metrics.controller_runtime_reconcile_time_seconds.observe_since([controller], self.since);
        metrics.workqueue_work_duration_seconds.observe_since([controller, controller], self.since);
    }
}

impl Drop for Reconciling {
    fn drop(&mut self) {
        self.metrics.controller_runtime_active_workers.add([self.controller], -1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reconcile_is_counted_by_how_it_ended() {
        let metrics = Metrics::new();
        metrics.reconcile("nodeclaim.lifecycle", async { Ok::<(), ()>(()) }).await.unwrap();
        metrics.reconcile("nodeclaim.lifecycle", async { Err::<(), ()>(()) }).await.unwrap_err();
        metrics.reconciling("nodeclaim.lifecycle").end(Outcome::RequeueAfter);
        drop(metrics.reconciling("nodeclaim.lifecycle"));
        let text = metrics.render();
        for (result, n) in [("success", 1), ("error", 1), ("requeue_after", 1)] {
            let line = format!(
                "controller_runtime_reconcile_total{{controller=\"nodeclaim.lifecycle\",result=\"{result}\"}} {n}"
            );
            assert!(text.contains(&line), "{text}");
        }
        assert!(text.contains("controller_runtime_active_workers{controller=\"nodeclaim.lifecycle\"} 0"), "{text}");
    }
}
