//! Kubernetes Events: said once, never waited for.
//!
//! ```text
//! publish ─ said lately? ─ too many of its reason? ─ bounded queue ─ writer (rate limited) ─ create, or count up
//!              └ silent        └ counted                └ counted
//! ```

pub mod catalog;
mod dedupe;
mod writer;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::client::Clients;
use crate::clock::Clock;
use crate::telemetry::Metrics;
use dedupe::{Dedupe, Verdict};

/// For so long the same is not said again, unless the event says otherwise.
pub const DEFAULT_WINDOW: Duration = Duration::from_mins(2);
/// Events that wait to be written.
const MAX_WAITING: usize = 4096;

/// What an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    pub kind: Cow<'static, str>,
    pub api_version: Cow<'static, str>,
    /// Empty for cluster-scoped kinds.
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

impl About {
    /// A cluster-scoped object.
    pub fn cluster(kind: &'static str, api_version: &'static str, name: &str, uid: &str) -> Self {
        Self::namespaced(kind, api_version, "", name, uid)
    }

    pub fn namespaced(kind: &'static str, api_version: &'static str, namespace: &str, name: &str, uid: &str) -> Self {
        Self {
            kind: kind.into(),
            api_version: api_version.into(),
            namespace: namespace.into(),
            name: name.into(),
            uid: uid.into(),
        }
    }

    pub fn pod(namespace: &str, name: &str, uid: &str) -> Self {
        Self::namespaced("Pod", "v1", namespace, name, uid)
    }

    pub fn node(name: &str, uid: &str) -> Self {
        Self::cluster("Node", "v1", name, uid)
    }

    pub fn node_claim(name: &str, uid: &str) -> Self {
        Self::cluster("NodeClaim", "karpenter.sh/v1", name, uid)
    }

    pub fn ec2_node_class(name: &str, uid: &str) -> Self {
        Self::cluster("EC2NodeClass", "karpenter.k8s.aws/v1", name, uid)
    }

    pub fn capacity_buffer(namespace: &str, name: &str, uid: &str) -> Self {
        Self::namespaced("CapacityBuffer", "autoscaling.x-k8s.io/v1beta1", namespace, name, uid)
    }

    pub fn node_pool(name: &str, uid: &str) -> Self {
        Self::cluster("NodePool", "karpenter.sh/v1", name, uid)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Normal,
    Warning,
}

/// How many events of one reason may be said, all objects together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub per_second: u32,
    pub burst: u32,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub severity: Severity,
    /// One word in upper camel case, known to alerts and scripts.
    pub reason: &'static str,
    pub message: String,
    /// Together with the reason, what makes two events the same.
    pub dedupe: Vec<String>,
    /// For so long the same is not said again.
    pub window: Duration,
    pub rate: Option<Rate>,
}

impl Event {
    pub fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { severity: Severity::Normal, reason, message, dedupe: Vec::new(), window: DEFAULT_WINDOW, rate: None }
    }

    pub fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::normal(reason, message) }
    }

    /// Two events with this reason are the same when these are.
    #[must_use]
    pub fn dedupe<const N: usize>(mut self, values: [&str; N]) -> Self {
        self.dedupe = values.map(String::from).to_vec();
        self
    }

    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    #[must_use]
    pub fn rate(mut self, per_second: u32, burst: u32) -> Self {
        self.rate = Some(Rate { per_second, burst });
        self
    }
}

/// Says events. Clones share the memory of what was said.
#[derive(Clone, Debug)]
pub struct Recorder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dedupe: Mutex<Dedupe>,
    out: Out,
    metrics: Metrics,
}

#[derive(Debug)]
enum Out {
    Queue(mpsc::Sender<(About, Event)>),
    Memory(Mutex<Vec<(About, Event)>>),
}

impl Recorder {
    /// A recorder that writes to the API server until `stop`, and the writing itself, to be spawned. What waits at the
    /// stop is written for up to two seconds more.
    pub fn new(
        clients: &Clients,
        clock: Clock,
        metrics: &Metrics,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let writing = writer::run(clients.unthrottled.clone(), clock, metrics.clone(), waiting, stop);
        (Self::with(Out::Queue(queue), metrics), writing)
    }

    /// A recorder that keeps what is said, for tests.
    pub fn memory() -> Self {
        Self::with(Out::Memory(Mutex::default()), &Metrics::new())
    }

    fn with(out: Out, metrics: &Metrics) -> Self {
        Self { inner: Arc::new(Inner { dedupe: Mutex::default(), out, metrics: metrics.clone() }) }
    }

    /// Says it, unless the same was said lately or too many of its reason were. Never waits.
    pub fn publish(&self, about: About, event: Event) {
        let inner = &*self.inner;
        let mut dedupe = inner.dedupe.lock().unwrap_or_else(PoisonError::into_inner);
        match dedupe.judge(&event) {
            Verdict::Said => return,
            Verdict::TooMany => {
                inner.metrics.events_dropped_total.inc(["rate_limited"]);
                return;
            }
            Verdict::New => {}
        }
        match &inner.out {
            Out::Memory(said) => said.lock().unwrap_or_else(PoisonError::into_inner).push((about, event)),
            Out::Queue(queue) => {
                if let Err(refused) = queue.try_send((about, event)) {
                    // It was not said, so it may be said the next time.
                    dedupe.forget(&refused.into_inner().1);
                    inner.metrics.events_dropped_total.inc(["queue_full"]);
                }
            }
        }
    }

    /// What a recorder of [`Recorder::memory`] was told, oldest first; nothing for any other.
    pub fn said(&self) -> Vec<(About, Event)> {
        match &self.inner.out {
            Out::Memory(said) => said.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Out::Queue(_) => Vec::new(),
        }
    }

    /// Their reasons alone.
    pub fn reasons(&self) -> Vec<&'static str> {
        self.said().into_iter().map(|(_, event)| event.reason).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(uid: &str) -> About {
        About::pod("shop", "web-0", uid)
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_is_said_once_in_two_minutes() {
        let recorder = Recorder::memory();
        let event = || Event::normal("Evicted", "Evicted pod: Empty").dedupe(["web-0"]);
        recorder.publish(pod("1"), event());
        recorder.publish(pod("1"), event());
        tokio::time::advance(Duration::from_secs(119)).await;
        recorder.publish(pod("1"), event());
        assert_eq!(recorder.said().len(), 1);
        recorder.publish(pod("1"), event().dedupe(["web-1"]));
        assert_eq!(recorder.said().len(), 2, "another pod's eviction is another event");
        tokio::time::advance(Duration::from_secs(2)).await;
        recorder.publish(pod("1"), event());
        assert_eq!(recorder.said().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reason_with_a_rate_limit_is_said_so_often_at_most() {
        let recorder = Recorder::memory();
        let say = |n: usize| {
            let uid = n.to_string();
            recorder.publish(pod(&uid), catalog::nominated(&uid, Some("general-1"), None));
        };
        (0..100).for_each(say);
        assert_eq!(recorder.said().len(), 10, "the burst");
        tokio::time::advance(Duration::from_secs(2)).await;
        (100..200).for_each(say);
        assert_eq!(recorder.said().len(), 20, "five per second");
        say(0);
        assert_eq!(recorder.said().len(), 20, "the first was said already");
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_found_no_room_may_be_said_later() {
        let metrics = Metrics::new();
        let (queue, mut waiting) = mpsc::channel(1);
        let recorder = Recorder::with(Out::Queue(queue), &metrics);
        let say = |uid: &str| recorder.publish(pod(uid), catalog::failed_scheduling(uid, "no room"));
        say("1");
        say("2");
        assert_eq!(metrics.events_dropped_total.get(["queue_full"]), 1);
        assert_eq!(waiting.try_recv().unwrap().0.uid, "1");
        say("2");
        assert_eq!(waiting.try_recv().unwrap().0.uid, "2");
    }
}
