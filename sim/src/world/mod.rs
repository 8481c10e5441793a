//! The rest of a cluster around the API server: workload controllers, node controller, scheduler, node agents.
//!
//! One task runs them all, in a fixed order, on tokio's clock and one seed: the same seed and the same requests from
//! outside give the same run.

mod feed;
mod kubelet;
mod nodes;
mod options;
mod scheduler;
mod timers;
mod volumes;
mod workloads;

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
pub use options::Options;

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
