//! Holds the pods of a plan to their node: `.status.nominatedNodeName`, written just before the node opens.
//!
//! kube-scheduler counts nominated pods as present on their node when it tries others, so what the plan has put there
//! finds its room. It clears the field on the next attempt that fails, so a nomination written early is lost: it is
//! written when everything about the node is ready and only the gate (the unregistered taint) is still closed.
//!
//! A patch per pod is dear. The pods of one group that may lie on any node of the plan need none: with all others held
//! to their nodes, the room that is left takes as many of them as were planned, wherever they go.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use http::Request;
use planner::model::{PodShape, Snapshot, Str};
use planner::plan::Plan;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::controllers::Gate;
use crate::observe::mirror::Mirror;
use crate::telemetry::Metrics;

/// No node waits longer for its nominations; it opens without the rest.
const PATIENCE: Duration = Duration::from_secs(5);
/// Patches under way for one node.
const AT_ONCE: usize = 16;
/// Patches under way for all nodes together: a share of what the client may send.
const AT_ONCE_IN_ALL: usize = 48;

/// Who was meant for which claim by the last plan. Cheap to clone.
#[derive(Clone)]
pub struct Nominations(Arc<Inner>);

struct Inner {
    client: kube::Client,
    mirror: Mirror,
    metrics: Metrics,
    /// Pods to hold to a claim's node (`namespace/name`), by claim.
    board: Mutex<HashMap<Str, Vec<Str>>>,
    slots: tokio::sync::Semaphore,
    /// The server refuses to have the field written.
    is_refused: AtomicBool,
}

/// What became of the nominations for a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    pub written: usize,
    /// Pods that did not take it: bound elsewhere, gone, or no answer in time.
    pub missed: usize,
}

impl Nominations {
    pub fn new(client: kube::Client, mirror: Mirror, metrics: Metrics) -> Self {
        Self(Arc::new(Inner {
            client,
            mirror,
            metrics,
            board: Mutex::default(),
            slots: tokio::sync::Semaphore::new(AT_ONCE_IN_ALL),
            is_refused: AtomicBool::new(false),
        }))
    }

    /// Remembers a plan: pods have their place on what is coming, and most are to be held to it. `claims` has the claim's name for each launch that was made.
    pub fn remember(&self, snapshot: &Snapshot, plan: &Plan, claims: &BTreeMap<Str, Str>) {
        let mut by_host: HashMap<Str, Vec<Str>> = HashMap::new();
        let spared = spared(snapshot, plan);
        // Capacity whose gate may still be closed, by the name that the plan has for it.
        let joined = snapshot.nodes.iter().filter(|node| !node.initialized);
        let joined = joined.filter_map(|node| Some((&node.name, node.claim.as_ref()?)));
        let coming: BTreeMap<&Str, &Str> =
            snapshot.claims.iter().map(|claim| (&claim.name, &claim.name)).chain(joined).collect();
        for nomination in &plan.nominations {
            let Some(claim) = coming.get(&nomination.node) else { continue };
            self.0.mirror.promise(claim, [&nomination.pod]);
            if !spared.contains(&nomination.pod) {
                by_host.entry((*claim).clone()).or_default().push(nomination.pod.clone());
            }
        }
        for launch in &plan.launches {
            let Some(claim) = claims.get(&launch.name) else { continue };
            self.0.mirror.promise(claim, &launch.pods);
            let held = launch.pods.iter().filter(|pod| !spared.contains(*pod)).cloned();
            by_host.entry(claim.clone()).or_default().extend(held);
        }
        let mut board = self.0.board.lock().unwrap_or_else(PoisonError::into_inner);
        // Who was held to a claim stays so while it is coming.
        let claims: BTreeSet<&Str> = coming.values().copied().collect();
        board.retain(|claim, _| claims.contains(claim));
        for (claim, pods) in by_host {
            board.entry(claim).or_default().extend(pods);
        }
    }

    /// The node of a claim is about to open: writes down who is meant for it. Call it just before the unregistered
    /// taint is removed, and go on whatever it says.
    pub async fn open(&self, claim: &str, node: &str) -> Opened {
        let pods = {
            let mut board = self.0.board.lock().unwrap_or_else(PoisonError::into_inner);
            board.remove(claim).unwrap_or_default()
        };
        if pods.is_empty() || self.0.is_refused.load(Ordering::Relaxed) {
            return Opened::default();
        }
        let until = Instant::now() + PATIENCE;
        let mut opened = self.write(&pods, node, until).await;
        // A failed attempt in the meantime has cleared it again: once more for those.
        let cleared: Vec<Str> = pods.into_iter().filter(|pod| self.waits(pod)).collect();
        if !cleared.is_empty() && opened.written > 0 && cleared.len() < opened.written {
            let again = self.write(&cleared, node, until).await;
            opened.missed += again.missed;
        }
        opened
    }

    /// Still without node and nomination, as far as the watch has told.
    fn waits(&self, key: &str) -> bool {
        let Some((namespace, name)) = key.split_once('/') else { return false };
        self.0.mirror.pod(namespace, name).is_some_and(|pod| pod.is_provisionable())
    }

    async fn write(&self, pods: &[Str], node: &str, until: Instant) -> Opened {
        let waiting: Vec<&Str> = pods.iter().filter(|pod| self.waits(pod)).collect();
        let all = waiting.len();
        let patches: Vec<_> = waiting.into_iter().map(|pod| self.patch(pod, node, until)).collect();
        let written = stream::iter(patches).buffer_unordered(AT_ONCE).filter(|done| futures::future::ready(*done));
        let written = written.count().await;
        Opened { written, missed: all - written }
    }

    async fn patch(&self, key: &str, node: &str, until: Instant) -> bool {
        let result = self.try_patch(key, node, until).await;
        self.0.metrics.nominations_total.inc([result]);
        result == "written"
    }

    async fn try_patch(&self, key: &str, node: &str, until: Instant) -> &'static str {
        let Some((namespace, name)) = key.split_once('/') else { return "gone" };
        let Ok(Ok(_slot)) = tokio::time::timeout_at(until, self.0.slots.acquire()).await else { return "late" };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || self.0.is_refused.load(Ordering::Relaxed) {
            return "late";
        }
        let body = format!(r#"{{"status":{{"nominatedNodeName":"{node}"}}}}"#);
        let request = Request::patch(format!("/api/v1/namespaces/{namespace}/pods/{name}/status"))
            .header("Content-Type", "application/merge-patch+json")
            .body(body.into_bytes());
        let Ok(request) = request else { return "gone" };
        match timeout(left, self.0.client.request_text(request)).await {
            Err(_) => "late",
            Ok(Ok(_)) => "written",
            // Not allowed to, or a server that does not have the field as ours to write: done without from now on.
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 403 | 405) => {
                if !self.0.is_refused.swap(true, Ordering::Relaxed) {
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

impl Gate for Nominations {
    fn before_open<'a>(&'a self, claim: &'a str, node: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            self.open(claim, node).await;
        })
    }
}

/// Pods that need no nomination: those of the largest group that has no wish about where it lies, as long as every
/// other pod is held to its node.
fn spared<'a>(snapshot: &'a Snapshot, plan: &'a Plan) -> BTreeSet<&'a Str> {
    let placed: BTreeSet<&Str> =
        plan.launches.iter().flat_map(|l| &l.pods).chain(plan.nominations.iter().map(|n| &n.pod)).collect();
    let free = snapshot.groups.iter().filter(|group| has_no_wish(&group.shape));
    let largest = free
        .map(|group| group.pods.iter().map(|pod| &pod.key).filter(|key| placed.contains(key)).collect::<BTreeSet<_>>())
        .max_by_key(BTreeSet::len);
    // Groups come largest pods first, and of equal counts the last is taken: small pods find room more easily.
    largest.unwrap_or_default()
}

/// May a pod of this shape lie on any node that has room?
fn has_no_wish(shape: &PodShape) -> bool {
    shape.node_selector.iter().next().is_none()
        && shape.node_terms.is_none()
        && shape.preferred_node_terms.is_empty()
        && shape.spreads.is_empty()
        && shape.affinity.is_empty()
        && shape.anti_affinity.is_empty()
        && shape.preferred_affinity.is_empty()
        && shape.preferred_anti_affinity.is_empty()
        && shape.host_ports.is_empty()
        && shape.volumes.is_empty()
        && shape.attachments.is_empty()
}
