//! How quick the cluster of a world is.

use std::time::Duration;

/// How quick the cluster is, and its seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub seed: u64,
    /// From the creation of a pretended node to its being ready; varies by a quarter either way.
    pub node_ready: Duration,
    /// From binding to running; varies by a quarter either way.
    pub pod_start: Duration,
    /// From the request to end to the end, never beyond the grace period.
    pub pod_stop: Duration,
    /// From a change to the reaction of the workload controllers.
    pub workloads: Duration,
    /// From a change of a node's readiness to its taints.
    pub node_controller: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            node_ready: Duration::from_secs(1),
            pod_start: Duration::from_secs(1),
            pod_stop: Duration::from_secs(1),
            workloads: Duration::from_millis(50),
            node_controller: Duration::from_millis(200),
        }
    }
}
