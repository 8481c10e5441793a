//! The rest of a cluster around the API server: workload controllers, node controller, scheduler, node agents.
//!
//! One task runs them all, in a fixed order, on tokio's clock and one seed: the same seed and the same requests from
//! outside give the same run.

mod feed;
mod kubelet;
mod nodes;
mod scheduler;
mod timers;
mod volumes;
mod workloads;

use std::time::Duration;

use tokio::time::Instant;

use crate::kube::ApiServer;

use feed::Feed;
use kubelet::Kubelet;
use nodes::Nodes;
use scheduler::Scheduler;
use volumes::Volumes;
use workloads::Workloads;

pub(crate) use scheduler::requests;

pub use kubelet::{FAKE, RUN_SECONDS, STOP_SECONDS};

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

/// Everything but the server.
#[derive(Debug)]
pub struct World {
    feed: Feed,
    workloads: Workloads,
    volumes: Volumes,
    nodes: Nodes,
    kubelet: Kubelet,
    scheduler: Scheduler,
}

impl World {
    pub fn new(server: &ApiServer, options: &Options) -> Self {
        Self {
            feed: Feed::new(server),
            workloads: Workloads::new(server, options),
            volumes: Volumes::new(server),
            nodes: Nodes::new(server, options),
            kubelet: Kubelet::new(server, options, options.seed),
            scheduler: Scheduler::new(server),
        }
    }

    /// Runs until it is dropped.
    pub async fn run(mut self) {
        loop {
            let next = self.step();
            tokio::select! {
                biased;
                () = self.feed.changed() => {}
                () = sleep_until(next) => {}
            }
        }
    }

    /// Reads what changed and does what is due, until nothing is left; when something is due next.
    fn step(&mut self) -> Option<Instant> {
        loop {
            let changes = self.feed.read();
            for change in &changes {
                self.workloads.observe(change);
                self.volumes.observe(change);
                self.nodes.observe(change);
                self.kubelet.observe(change);
                self.scheduler.observe(change);
            }
            let now = Instant::now();
            let wishes = [self.workloads.act(now), self.nodes.act(now), self.kubelet.act(now), self.scheduler.act(now)];
            let next = wishes.into_iter().flatten().min();
            if !self.feed.has_more() && next.is_none_or(|next| next > now) {
                return next;
            }
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
