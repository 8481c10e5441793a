//! Writes nominations: many patches, at a bounded rate, looked at again before anybody relies on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use http::Request;
use planner::model::Str;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::warn;

use super::nominate::Opened;
use crate::observe::mirror::{Mirror, Pod};
use crate::telemetry::Metrics;

/// Patches under way: a share of what the client may send.
const AT_ONCE: usize = 48;
/// How long the watch may take to show what was written. It takes some milliseconds on a server that is not busy.
const SHOWN: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(10);

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Writer {
    client: kube::Client,
    mirror: Mirror,
    metrics: Metrics,
    slots: Arc<Semaphore>,
    /// The server refuses to have the field written.
    is_refused: Arc<AtomicBool>,
}

/// How a pod stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// It has neither a node nor a nomination.
    Waits,
    Nominated,
    /// It is bound, or on its way out, or not there.
    Settled,
}

impl Writer {
    pub(super) fn new(client: kube::Client, mirror: Mirror, metrics: Metrics) -> Self {
        let (slots, is_refused) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::default());
        Self { client, mirror, metrics, slots, is_refused }
    }

    /// Nominates pods to nodes that are about to open, those that wait. A failed attempt of the scheduler in the meantime
    /// clears a nomination: once the watch has shown them, those that are cleared are written once more.
    pub(super) async fn hold(&self, nodes: &[(Str, Vec<Str>)], until: Instant) -> Opened {
        let (mut opened, written) = self.nominate(nodes, until).await;
        let cleared = self.cleared(written, until).await;
        let n_cleared = cleared.len();
        opened.missed += n_cleared - self.write(cleared, until).await.len();
        opened
    }

    /// Nominates those that wait, once. Gives those that were written, too.
    pub(super) async fn nominate<'a>(
        &self,
        nodes: &'a [(Str, Vec<Str>)],
        until: Instant,
    ) -> (Opened, Vec<(&'a Str, &'a Str)>) {
        let all = nodes.iter().flat_map(|(node, pods)| pods.iter().map(move |pod| (node, pod)));
        let waiting: Vec<(&Str, &Str)> = all.filter(|(_, pod)| self.stand(pod) == Stand::Waits).collect();
        if self.is_refused.load(Ordering::Relaxed) {
            return (Opened::default(), Vec::new());
        }
        let n_waiting = waiting.len();
        let written = self.write(waiting, until).await;
        (Opened { written: written.len(), missed: n_waiting - written.len() }, written)
    }

    /// Takes back the nominations of those of the pods that are still nominated to this node and not bound. Gives how many.
    pub(super) async fn take_back(&self, node: &str, pods: &[Str], until: Instant) -> usize {
        let is_left =
            |pod: &&Str| self.pod(pod).is_some_and(|pod| pod.node.is_none() && pod.nominated.as_deref() == Some(node));
        let patches = pods.iter().filter(is_left).map(|pod| async move {
            let result = self.patch(pod, None, until).await;
            self.metrics.nominations_total.inc([if result == "written" { "taken_back" } else { result }]);
            result == "written"
        });
        let patches: Vec<_> = patches.collect();
        stream::iter(patches).buffer_unordered(AT_ONCE).filter(|done| std::future::ready(*done)).count().await
    }

    /// Takes out of `pods` those that need not be looked after any more, and gives those nominated to this node that find no
    /// room on it: something else has been bound there.
    pub(super) fn stranded(&self, node: &str, pods: &mut Vec<Str>) -> Vec<Str> {
        pods.retain(|pod| self.stand(pod) != Stand::Settled);
        let is_nominated = |pod: &Pod| pod.node.is_none() && pod.nominated.as_deref() == Some(node);
        let nominated: Vec<Arc<Pod>> =
            pods.iter().filter_map(|pod| self.pod(pod)).filter(|pod| is_nominated(pod)).collect();
        let Some(mut room) = nominated.first().and_then(|_| self.mirror.room_on(node)) else { return Vec::new() };
        let lost = nominated.iter().filter(|pod| !room.take(&pod.requests()) && !self.preempts(pod, node));
        lost.map(|pod| pod.key.clone()).collect()
    }

    /// Leaves in `pods` those that are still nominated to this node, and gives those of them to take back. None are left once
    /// the server does not let us.
    pub(super) fn overdue(&self, node: &str, pods: &mut Vec<Str>) -> Vec<Str> {
        if self.is_refused.load(Ordering::Relaxed) {
            pods.clear();
        }
        let nominated = |key: &Str| {
            self.pod(key)
                .filter(|pod| pod.node.is_none() && !pod.is_deleting() && pod.nominated.as_deref() == Some(node))
        };
        pods.retain(|key| nominated(key).is_some());
        let is_left = |key: &&Str| nominated(key).is_some_and(|pod| !self.preempts(&pod, node));
        pods.iter().filter(is_left).cloned().collect()
    }

    /// Does the scheduler itself make room for the pod on this node? It has sent others away from there, and nominates the
    /// pod until they are gone.
    pub(super) fn preempts(&self, pod: &Pod, node: &str) -> bool {
        let priority = |pod: &Pod| pod.form.spec.priority.unwrap_or_default();
        let is_victim = |other: &Arc<Pod>| other.is_deleting() && priority(other) < priority(pod);
        pod.may_preempt() && self.mirror.pods_on(node).iter().any(is_victim)
    }

    /// The pods that wait and whose room is still there, node by node.
    pub(super) fn with_room(&self, nodes: &[(Str, Vec<Str>)]) -> Vec<(Str, Vec<Str>)> {
        let of_node = |(node, pods): &(Str, Vec<Str>)| {
            let pods = || pods.iter().filter_map(|pod| self.pod(pod));
            let waiting: Vec<Arc<Pod>> = pods().filter(|pod| pod.waits()).collect();
            let mut room = waiting.first().and_then(|_| self.mirror.room_on(node))?;
            for pod in pods().filter(|pod| pod.node.is_none() && pod.nominated.as_ref() == Some(node)) {
                room.subtract(&pod.requests());
            }
            let fitting = waiting.iter().filter(|pod| room.take(&pod.requests()));
            Some((node.clone(), fitting.map(|pod| pod.key.clone()).collect()))
        };
        nodes.iter().filter_map(of_node).collect()
    }

    fn pod(&self, key: &str) -> Option<Arc<Pod>> {
        key.split_once('/').and_then(|(namespace, name)| self.mirror.pod(namespace, name))
    }

    /// Waits until the watch has shown the nominations; gives those that were taken back since.
    async fn cleared<'a>(&self, written: Vec<(&'a Str, &'a Str)>, until: Instant) -> Vec<(&'a Str, &'a Str)> {
        let until = until.min(Instant::now() + SHOWN);
        let (mut unseen, mut seen) = (written, Vec::new());
        loop {
            let (waits, shown): (Vec<_>, Vec<_>) =
                unseen.into_iter().partition(|(_, pod)| self.stand(pod) == Stand::Waits);
            unseen = waits;
            seen.extend(shown);
            if unseen.is_empty() || Instant::now() >= until {
                break;
            }
            sleep(LOOK).await;
        }
        // What the watch has not shown in this time was shown and cleared between two looks, if it was not lost.
        seen.retain(|(_, pod)| self.stand(pod) == Stand::Waits);
        unseen.extend(seen);
        unseen
    }

    /// As far as the watch has told.
    fn stand(&self, key: &str) -> Stand {
        match self.pod(key) {
            Some(pod) if pod.waits() => Stand::Waits,
            Some(pod) if pod.nominated.is_some() && pod.node.is_none() => Stand::Nominated,
            _ => Stand::Settled,
        }
    }

    /// Gives those that were written.
    async fn write<'a>(&self, pods: Vec<(&'a Str, &'a Str)>, until: Instant) -> Vec<(&'a Str, &'a Str)> {
        let patches = pods.into_iter().map(|(node, pod)| async move {
            let result = self.patch(pod, Some(node), until).await;
            self.metrics.nominations_total.inc([result]);
            (result == "written").then_some((node, pod))
        });
        // A stream of futures that borrow needs them in a list.
        let patches: Vec<_> = patches.collect();
        stream::iter(patches).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await
    }

    async fn patch(&self, key: &str, node: Option<&str>, until: Instant) -> &'static str {
        let Some((namespace, name)) = key.split_once('/') else { return "gone" };
        let Ok(Ok(_slot)) = timeout_at(until, self.slots.acquire()).await else { return "late" };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || self.is_refused.load(Ordering::Relaxed) {
            return "late";
        }
        let body = serde_json::json!({ "status": { "nominatedNodeName": node } }).to_string();
        let request = Request::patch(format!("/api/v1/namespaces/{namespace}/pods/{name}/status"))
            .header("Content-Type", "application/merge-patch+json")
            .body(body.into_bytes());
        let Ok(request) = request else { return "gone" };
        match timeout(left, self.client.request_text(request)).await {
            Err(_) => "late",
            Ok(Ok(_)) => "written",
            // Not allowed to, or a server that does not have the field as ours to write: done without from now on.
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 403 | 405) => {
                if !self.is_refused.swap(true, Ordering::Relaxed) {
                    warn!(
                        code = status.code,
                        message = status.message,
                        "pods cannot be nominated: nodes open without, and pods may stray from the plan"
                    );
                }
                "refused"
            }
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409 | 422) => "gone",
            Ok(Err(_)) => "failed",
        }
    }
}
