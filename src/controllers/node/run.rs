//! Takes a Node that is being deleted through its steps, and replaces one that is ill.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloud::{Cloud, Termination};
use crds::{NodeClaim, names};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use planner::drain::{Drain, Order};
use planner::model::Str;
use tokio::time::Instant;

use super::object::Node;
use super::pod::Pod;
use super::repair;
use super::termination::{self, Instance, Scene, Step};
use crate::act::{Eviction, Preconditions};
use crate::controllers::claim::Draft;
use crate::controllers::claim::draft::DRAINED;
use crate::controllers::claim::finalize::written_deadline;
use crate::controllers::deps::{Deps, seconds};
use crate::controllers::fault::Fault;
use crate::controllers::queue::{Again, Backoff};
use crate::controllers::run::Reconcile;
use crate::controllers::strangers::has_strangers;
use crate::controllers::time;
use crate::controllers::wait::Unseen;
use crate::events::{About, catalog};

/// Steps of one look that lead to a write, at most.
const MAX_STEPS: usize = 8;
/// Requests for one node's pods under way at a time.
const MAX_EVICTIONS_AT_ONCE: usize = 16;
/// How often a drain and volumes are looked at if nothing wakes us.
const DRAIN_PERIOD: Duration = Duration::from_secs(1);
/// How often the cloud is asked whether an instance is gone.
const CLOUD_PERIOD: Duration = Duration::from_secs(5);
/// Between two evictions of one pod.
const EVICTION_BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(10) };
/// How long a pod whose eviction was accepted may take to show it.
const EVICTED_PAUSE: Duration = Duration::from_secs(10);
/// How long repair waits when too many nodes are ill.
const REPAIR_PAUSE: Duration = Duration::from_mins(5);

/// The controller `node.termination`.
pub struct Nodes<C> {
    deps: Arc<Deps<C>>,
    memory: Mutex<BTreeMap<String, Memory>>,
}

/// What is remembered of a node, by name. All of it can be lost.
#[derive(Debug, Default)]
struct Memory {
    /// Pods that were asked to leave.
    asked: BTreeMap<Str, Asked>,
    /// The API server itself has shown no pod that the mirror does not have.
    is_empty: bool,
    /// When the cloud last said that there is an instance.
    there_at: Option<Instant>,
    /// Uid of the claim whose end was asked for because the node is ill; the mirror may not show it yet.
    repaired: Option<String>,
    unseen: Unseen,
}

/// How a pod was asked to leave.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// Evictions that were refused.
    n_refused: u32,
    /// Not again before.
    pause: Instant,
    /// It was deleted, which no budget refuses: an eviction's pause is none for that.
    is_deleted: bool,
}

impl Asked {
    fn is_over(self, order: Order, now: Instant) -> bool {
        self.pause <= now || !self.is_deleted && matches!(order, Order::Delete { .. })
    }
}

impl<C: Cloud> Nodes<C> {
    pub fn new(deps: Arc<Deps<C>>) -> Self {
        Self { deps, memory: Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, BTreeMap<String, Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember<T>(&self, node: &str, change: impl FnOnce(&mut Memory) -> T) -> T {
        change(self.memory().entry(node.to_owned()).or_default())
    }

    async fn end(&self, mut node: Node) -> Result<Again, Fault> {
        let deps = &self.deps;
        let pods = deps.world.pods_on(node.name());
        let attached = deps.world.attached(node.name());
        let mut claim = deps.world.claim_of(&node).map(|claim| Draft::new(claim, deps.clock.seconds()));
        let mut instance = Instance::NotAsked;
        for _ in 0..MAX_STEPS {
            let now = deps.clock.seconds();
            let scene = Scene { node: &node, pods: &pods, attached: &attached, instance, now };
            let step = termination::next(&scene, claim.as_mut());
            if let (Some(draft), false) = (&mut claim, matches!(step, Step::DeleteClaim | Step::Nothing)) {
                let is_drained = draft.is_true(DRAINED) && !draft.was_true(DRAINED);
                self.flush(draft).await?;
                if is_drained {
                    let pool = node.metadata.labels.get(names::core::NODE_POOL).map_or("", String::as_str);
                    deps.metrics.nodes_drained_total.inc([pool]);
                    tracing::info!(Node = node.name(), NodeClaim = draft.claim.metadata.name(), "drained node");
                }
                if let Some(deadline) = draft.claim.metadata.annotations.get(names::core::TERMINATION_TIMESTAMP) {
                    self.say(&node, catalog::termination_grace_period_expiring(node.name(), deadline));
                }
            }
            if step == Step::Terminate && self.has_strangers(&node, claim.as_ref(), now).await? {
                return Ok(Again::After(DRAIN_PERIOD));
            }
            match step {
                Step::Nothing => return Ok(Again::OnChange),
                Step::DeleteClaim => {
                    if let Some(draft) = &claim {
                        let meta = &draft.claim.metadata;
                        let which = Preconditions::uid(meta.uid.as_deref().unwrap_or_default());
                        deps.api.delete::<NodeClaim>("", meta.name(), &which, None).await?;
                    }
                    return Ok(Again::After(DRAIN_PERIOD));
                }
                Step::AskCloud => instance = self.ask_cloud(&node).await?,
                Step::Mark(after) => {
                    self.patch(&mut node, &after).await?;
                    tracing::info!(Node = node.name(), "taint.Key" = names::core::DISRUPTED_TAINT, "tainted node");
                }
                Step::Drain(drain) => return self.drain(&node, claim.as_ref(), &pods, &drain).await,
                Step::AwaitPods { until } => {
                    let wait = u64::try_from(until - now).unwrap_or_default().max(1);
                    return Ok(Again::After(Duration::from_secs(wait)));
                }
                Step::AwaitVolumes(attachments) => {
                    let attachments: Vec<&str> = attachments.iter().map(AsRef::as_ref).collect();
                    self.say(&node, catalog::awaiting_volume_detachment(node.name(), &attachments));
                    return Ok(Again::After(DRAIN_PERIOD));
                }
                Step::Terminate => match deps.terminate(&node.spec.provider_id).await? {
                    Termination::Gone => instance = Instance::Gone,
                    Termination::Started => {
                        if let Some(draft) = &mut claim {
                            termination::terminating(draft);
                            self.flush(draft).await?;
                        }
                        return Ok(Again::After(CLOUD_PERIOD));
                    }
                },
                Step::Release(after) => {
                    self.patch(&mut node, &after).await?;
                    self.count_end(&node);
                    return Ok(Again::OnChange);
                }
            }
        }
        Ok(Again::After(DRAIN_PERIOD))
    }

    /// Whether the mirror misses pods on the node. That it misses none is asked once; past the deadline it is all the same.
    async fn has_strangers(&self, node: &Node, claim: Option<&Draft>, now: i64) -> Result<bool, Fault> {
        let deadline = claim.and_then(|draft| written_deadline(&draft.claim));
        if deadline.is_some_and(|deadline| deadline <= now) || self.remember(node.name(), |memory| memory.is_empty) {
            return Ok(false);
        }
        let has_some = has_strangers(&self.deps, node.name()).await?;
        self.remember(node.name(), |memory| memory.is_empty = !has_some);
        Ok(has_some)
    }

    /// Whether there is an instance. An answer that there is one is good for a while.
    async fn ask_cloud(&self, node: &Node) -> Result<Instance, Fault> {
        let is_recent = |at: &Instant| at.elapsed() < CLOUD_PERIOD;
        if self.remember(node.name(), |memory| memory.there_at.as_ref().is_some_and(is_recent)) {
            return Ok(Instance::There);
        }
        let deps = &self.deps;
        let call = deps.calling("node.termination", "Get");
        if deps.metrics.cloud_call(call, deps.cloud.instance(&node.spec.provider_id), |_| "").await?.is_none() {
            return Ok(Instance::Gone);
        }
        self.remember(node.name(), |memory| memory.there_at = Some(Instant::now()));
        Ok(Instance::There)
    }

    async fn flush(&self, draft: &mut Draft) -> Result<(), Fault> {
        if let Some(patch) = draft.status_patch() {
            let name = draft.claim.metadata.name().to_owned();
            draft.stored(self.deps.api.merge_status("", &name, patch).await?);
        }
        Ok(())
    }

    async fn patch(&self, node: &mut Node, after: &Node) -> Result<(), Fault> {
        let Some(patch) = node.patch_to(after) else { return Ok(()) };
        let (name, read) = (node.name().to_owned(), node.metadata.resource_version.clone());
        *node = self.deps.api.steps("", &name, patch).await?;
        self.remember(&name, |memory| memory.unseen.wrote(read));
        Ok(())
    }

    fn say(&self, node: &Node, event: crate::events::Event) {
        let uid = node.metadata.uid.as_deref().unwrap_or_default();
        self.deps.recorder.publish(About::node(node.name(), uid), event);
    }

    /// Sends off the pods whose turn it is, and says what is still waited for.
    async fn drain(&self, node: &Node, claim: Option<&Draft>, pods: &[Pod], drain: &Drain) -> Result<Again, Fault> {
        let reason = termination::reason(claim);
        let now = Instant::now();
        let orders = termination::orders(drain, pods);
        let due: Vec<_> = self.remember(node.name(), |memory| {
            memory.asked.retain(|uid, _| pods.iter().any(|pod| pod.uid == *uid));
            let is_due = |pod: &Pod, order| memory.asked.get(&pod.uid).is_none_or(|asked| asked.is_over(order, now));
            orders.iter().copied().filter(|(pod, order)| is_due(pod, *order)).collect()
        });
        let mut requests: Vec<BoxFuture<'_, Result<(), Fault>>> = Vec::new();
        for (pod, order) in due {
            requests.push(self.send_off(node, pod, order, &reason).boxed());
        }
        let answers: Vec<_> = stream::iter(requests).buffer_unordered(MAX_EVICTIONS_AT_ONCE).collect().await;
        let n_left = drain.n_left();
        let waiting = format!("{n_left} pods are waiting to be evicted");
        self.say(node, catalog::failed_draining(node.name(), &waiting));
        answers.into_iter().collect::<Result<Vec<()>, Fault>>()?;
        // Pods that are on their way need no order, however long they take.
        let next_order = self.remember(node.name(), |memory| {
            orders.iter().filter_map(|(pod, _)| memory.asked.get(&pod.uid)).map(|asked| asked.pause).min()
        });
        let soon = next_order.map_or(DRAIN_PERIOD, |at| at.saturating_duration_since(Instant::now()));
        Ok(Again::After(soon.clamp(EVICTION_BACKOFF.first, DRAIN_PERIOD)))
    }

    async fn send_off(&self, node: &Node, pod: &Pod, order: Order, reason: &str) -> Result<(), Fault> {
        let deps = &self.deps;
        let about = || About::pod(&pod.namespace, &pod.name, &pod.uid);
        match order {
            Order::Delete { grace_seconds } => {
                let which = Preconditions::uid(&pod.uid);
                deps.api.delete::<PodName>(&pod.namespace, &pod.name, &which, Some(grace_seconds)).await?;
                deps.recorder.publish(about(), catalog::disrupted_pod(&pod.name, grace_seconds, pod.grace_seconds));
                deps.metrics.pods_drained_total.inc([reason]);
                self.asked(node, pod, true);
            }
            Order::Evict => match deps.api.evict(&pod.namespace, &pod.name, &pod.uid).await {
                Ok(Eviction::Accepted) => {
                    deps.metrics.pods_eviction_requests_total.inc(["201"]);
                    deps.recorder.publish(about(), catalog::evicted(&pod.name, reason));
                    deps.metrics.pods_drained_total.inc([reason]);
                    self.asked(node, pod, false);
                }
                Ok(Eviction::Gone { code }) => {
                    deps.metrics.pods_eviction_requests_total.inc([code.to_string().as_str()]);
                    self.asked(node, pod, false);
                }
                Ok(Eviction::Blocked { code, why }) => {
                    deps.metrics.pods_eviction_requests_total.inc([code.to_string().as_str()]);
                    self.say(node, catalog::failed_draining(node.name(), why));
                    self.refused(node, pod);
                }
                Err(error) => {
                    let code = error.code().map_or_else(|| "0".to_owned(), |code| code.to_string());
                    deps.metrics.pods_eviction_requests_total.inc([&*code]);
                    self.refused(node, pod);
                    return Err(error.into());
                }
            },
        }
        Ok(())
    }

    /// Not again before the pause is over.
    fn asked(&self, node: &Node, pod: &Pod, is_deleted: bool) {
        let asked = Asked { n_refused: 0, pause: Instant::now() + EVICTED_PAUSE, is_deleted };
        self.remember(node.name(), |memory| memory.asked.insert(pod.uid.clone(), asked));
    }

    /// Not again before its back-off is over.
    fn refused(&self, node: &Node, pod: &Pod) {
        self.remember(node.name(), |memory| {
            let first = Asked { n_refused: 0, pause: Instant::now(), is_deleted: false };
            let asked = memory.asked.entry(pod.uid.clone()).or_insert(first);
            asked.n_refused = asked.n_refused.saturating_add(1);
            asked.pause = Instant::now() + EVICTION_BACKOFF.after(asked.n_refused);
        });
    }

    fn count_end(&self, node: &Node) {
        let meta = &node.metadata;
        let label = |key: &str| meta.labels.get(key).map(String::as_str).unwrap_or_default();
        let pool = label(names::core::NODE_POOL);
        let metrics = &self.deps.metrics;
        let now = self.deps.clock.seconds();
        metrics.nodes_terminated_total.inc([pool, label(names::kubernetes::ZONE)]);
        if let Some(asked) = meta.deletion_timestamp.as_deref().and_then(time::seconds) {
            metrics.nodes_termination_duration_seconds.observe([pool], seconds(now - asked));
        }
        if let Some(born) = meta.creation_timestamp.as_deref().and_then(time::seconds) {
            metrics.nodes_lifetime_duration_seconds.observe([pool], seconds(now - born));
        }
        tracing::info!(Node = node.name(), NodePool = pool, "provider-id" = &*node.spec.provider_id, "deleted node");
        let uid = meta.uid.as_deref().unwrap_or_default();
        self.say(node, catalog::finalized(uid));
    }

    /// Gives a node of an earlier version the label of its node class.
    async fn hydrate(&self, node: Arc<Node>) -> Result<Arc<Node>, Fault> {
        if !node.said(names::core::REGISTERED) {
            return Ok(node);
        }
        let Some(claim) = self.deps.world.claim_of(&node) else { return Ok(node) };
        let class = &claim.spec.node_class_ref;
        let key = class.label_key();
        if node.metadata.labels.contains_key(&key) {
            return Ok(node);
        }
        let mut node = Arc::unwrap_or_clone(node);
        let mut after = node.clone();
        after.metadata.labels.insert(key, class.name.clone());
        self.patch(&mut node, &after).await?;
        Ok(Arc::new(node))
    }

    /// Replaces a node that has been ill for too long, unless many are.
    async fn repair(&self, node: &Node) -> Result<Again, Fault> {
        let deps = &self.deps;
        let policies = deps.cloud.repair_policies();
        let Some(illness) = repair::illness(node, policies) else { return Ok(Again::OnChange) };
        let Some(claim) = deps.world.claim_of(node).filter(|claim| !claim.metadata.is_deleting()) else {
            return Ok(Again::OnChange);
        };
        let now = deps.clock.seconds();
        if now < illness.until {
            let wait = u64::try_from(illness.until - now).unwrap_or_default();
            return Ok(Again::After(Duration::from_secs(wait)));
        }
        let pool = node.metadata.labels.get(names::core::NODE_POOL);
        let nodes = deps.world.nodes();
        let is_peer = |peer: &&Node| pool.is_none() || peer.metadata.labels.get(names::core::NODE_POOL) == pool;
        if !repair::few_are_ill(nodes.iter().map(|node| &**node).filter(is_peer), policies) {
            let uid = node.metadata.uid.as_deref().unwrap_or_default();
            self.say(node, catalog::node_repair_blocked(uid, pool.is_some()));
            return Ok(Again::After(REPAIR_PAUSE));
        }
        let uid = claim.metadata.uid.as_deref().unwrap_or_default();
        if self.remember(node.name(), |memory| memory.repaired.as_deref() == Some(uid)) {
            return Ok(Again::OnChange);
        }
        let mut draft = Draft::new(claim.clone(), now);
        let written = written_deadline(&claim);
        if written.is_none_or(|deadline| deadline > now) {
            let key = names::core::TERMINATION_TIMESTAMP.to_owned();
            draft.claim.metadata.annotations.insert(key, time::text(now));
            if let Some(patch) = draft.metadata_patch() {
                draft.written(deps.api.merge("", claim.metadata.name(), patch).await?);
            }
        }
        deps.api.delete::<NodeClaim>("", claim.metadata.name(), &Preconditions::uid(uid), None).await?;
        self.remember(node.name(), |memory| memory.repaired = Some(uid.to_owned()));
        deps.disrupted(&claim, "unhealthy");
        let label = |key: &str| claim.metadata.labels.get(key).map(String::as_str).unwrap_or_default();
        let image = claim.status.as_ref().and_then(|status| status.image_id.as_deref()).unwrap_or_default();
        let condition = repair::snake_case(illness.condition);
        let labels = [&*condition, label(names::core::NODE_POOL), label(names::core::CAPACITY_TYPE), image];
        deps.metrics.nodeclaims_unhealthy_disrupted_total.inc(labels);
        Ok(Again::OnChange)
    }
}

/// A pod that is only named.
#[derive(Debug, serde::Deserialize)]
struct PodName {}

impl crate::act::Object for PodName {
    const KIND: &'static str = "Pod";
    const API: &'static str = "/api/v1";
    const PLURAL: &'static str = "pods";
    const NAMESPACED: bool = true;
}

impl<C: Cloud> Reconcile for Nodes<C> {
    const NAME: &'static str = "node.termination";
    const WORKERS: usize = 64;
    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(10) };

    async fn reconcile(&self, name: &str) -> Result<Again, Fault> {
        let Some(node) = self.deps.world.node(name) else {
            self.memory().remove(name);
            return Ok(Again::OnChange);
        };
        let is_labelled = self
            .deps
            .cloud
            .classes()
            .iter()
            .any(|kind| node.metadata.labels.contains_key(&format!("{}/{}", kind.group, kind.kind.to_lowercase())));
        let claim = self.deps.world.claim_of(&node);
        if !is_labelled && !claim.is_some_and(|claim| self.deps.is_managed(&claim.spec.node_class_ref)) {
            return Ok(Again::OnChange);
        }
        if !node.metadata.is_deleting() {
            let node = self.hydrate(node).await?;
            return if self.deps.repairs { self.repair(&node).await } else { Ok(Again::OnChange) };
        }
        let version = node.metadata.resource_version.clone();
        if let Some(wait) = self.remember(name, |memory| memory.unseen.wait(version.as_deref())) {
            return Ok(Again::After(wait));
        }
        self.end(Arc::unwrap_or_clone(node)).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::Clients;
    use crate::clock::Clock;
    use crate::controllers::World;
    use crate::controllers::claim::testing::initialized;
    use crate::events::Recorder;
    use crate::kwok::{Kwok, Stock};
    use crate::observe::mirror::{Both, Facts, Mirror, Object};
    use crate::telemetry::Metrics;

    #[tokio::test]
    async fn an_ill_node_is_replaced_once_though_the_mirror_does_not_show_it_yet() {
        let claim = initialized("a");
        let body = serde_json::to_vec(&claim).unwrap();
        let clients = Clients::from_service(tower::service_fn(move |_: http::Request<kube::client::Body>| {
            let body = http_body_util::Full::new(bytes::Bytes::from(body.clone()));
            async move { Ok::<_, http::Error>(http::Response::new(body)) }
        }));
        let (clock, metrics, mirror) = (Clock::system(), Metrics::new(), Mirror::new(&[]));
        let node = json!({
            "metadata": { "name": "a", "uid": "u", "labels": { "karpenter.kwok.sh/kwoknodeclass": "default" } },
            "spec": { "providerID": "kwok://a" },
            "status": { "conditions":
                [{ "type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z" }] },
        });
        mirror.apply(Object::Node(serde_json::from_value(node).unwrap()));
        let trimmed = serde_json::from_value(serde_json::to_value(&claim).unwrap()).unwrap();
        mirror.apply(Object::NodeClaim(Box::new(Both { whole: claim, trimmed })));
        let settings = cloud::catalog::KwokSettings::default();
        let kwok = Kwok::new(clients.once.clone(), mirror.clone(), clock, &settings, Stock::default()).unwrap();
        let world = World::new(mirror, Facts::default());
        let mut deps = Deps::new(&clients, Arc::new(kwok), world, metrics.clone(), Recorder::memory(), clock);
        deps.repairs = true;
        let nodes = Nodes::new(Arc::new(deps));
        for _ in 0..2 {
            assert_eq!(nodes.reconcile("a").await.unwrap(), Again::OnChange);
        }
        let text = metrics.render();
        let n_replaced = text.lines().find(|line| line.starts_with("karpenter_nodeclaims_unhealthy_disrupted_total{"));
        assert!(n_replaced.is_some_and(|line| line.ends_with(" 1")), "{n_replaced:?}");
    }

    #[test]
    fn a_pod_that_is_to_be_deleted_does_not_wait_for_the_pause_of_its_eviction() {
        let now = Instant::now();
        let evicted = Asked { n_refused: 1, pause: now + EVICTED_PAUSE, is_deleted: false };
        let delete = Order::Delete { grace_seconds: 30 };
        assert!(!evicted.is_over(Order::Evict, now) && evicted.is_over(delete, now));
        let deleted = Asked { is_deleted: true, ..evicted };
        assert!(!deleted.is_over(delete, now) && deleted.is_over(delete, now + EVICTED_PAUSE));
    }
}
