//! The plan under way: how many pods it is for, and since when.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::Metrics;

/// By which metrics call what plans.
const PROVISIONER: &str = "provisioner";

/// The plan under way, for those who ask meanwhile.
#[derive(Debug, Default)]
pub(super) struct UnderWay(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Plans so far.
    n: u64,
    since: Option<Instant>,
}

/// A plan under way; dropped, it is over.
#[derive(Debug)]
pub struct Planning {
    metrics: Metrics,
    id: String,
}

impl Metrics {
    /// A plan for so many pods begins.
    pub fn planning(&self, n_pods: usize) -> Planning {
        let id = {
            let mut state = self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.n += 1;
            state.since = Some(Instant::now());
            state.n.to_string()
        };
        self.scheduler_queue_depth.set([PROVISIONER, &id], n_pods as f64);
        Planning { metrics: self.clone(), id }
    }

    /// Brings up to now what only grows.
    pub(super) fn bring_up(&self) {
        let state = self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = state.since {
            let labels = [PROVISIONER, &state.n.to_string()];
            self.scheduler_unfinished_work_seconds.set(labels, since.elapsed().as_secs_f64());
        }
    }
}

impl Drop for Planning {
    fn drop(&mut self) {
        let mut state = self.metrics.under_way.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.since = None;
        self.metrics.scheduler_queue_depth.remove([PROVISIONER, &self.id]);
        self.metrics.scheduler_unfinished_work_seconds.remove([PROVISIONER, &self.id]);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_plan_is_seen_while_it_is_made_and_not_afterwards() {
        let metrics = Metrics::new();
        let planning = metrics.planning(7);
        tokio::time::advance(Duration::from_secs(3)).await;
        let text = metrics.render();
        assert!(text.contains("karpenter_scheduler_queue_depth{controller=\"provisioner\",scheduling_id=\"1\"} 7"));
        assert!(
            text.contains(
                "karpenter_scheduler_unfinished_work_seconds{controller=\"provisioner\",scheduling_id=\"1\"} 3"
            )
        );
        drop(planning);
        let text = metrics.render();
        assert!(!text.contains("scheduling_id"), "{text}");
    }
}
