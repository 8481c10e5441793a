//! Takes a claim through its steps and writes what they changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloud::Cloud;
use crds::{NodeClaim, names};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::age::{Age, Turns};
use super::draft::{CONSOLIDATABLE, Draft, INITIALIZED, LAUNCHED, REGISTERED};
use super::finalize::{Ending, POLL_SECONDS};
use super::initialize::Initialization;
use super::launch::Launched;
use super::memory::{DELETION_SHOWN, Memory};
use super::register::Registration;
use super::rest::Guest;
use super::{age, consistency, drift, finalize, initialize, launch, register, rest, told};
use crate::act::{Hold, Preconditions};
use crate::controllers::deps::Deps;
use crate::controllers::fault::Fault;
use crate::controllers::node::Node;
use crate::controllers::pool::hash;
use crate::controllers::queue::Again;
use crate::controllers::run::Reconcile;
use crate::controllers::time;
use crate::events::{About, catalog};

/// Steps of one look that lead to a write, at most.
const MAX_WRITES: usize = 8;
/// Claims that are being bought at once, so that there are workers left for all that is not.
const MOST_LAUNCHING: usize = 384;
/// How long a claim waits that could not be bought because of that.
const NEXT_TURN: Duration = Duration::from_secs(1);

/// The controller `nodeclaim.lifecycle`.
pub struct Claims<C> {
    pub(super) deps: Arc<Deps<C>>,
    memory: Mutex<BTreeMap<String, Memory>>,
    launching: Semaphore,
    expiries: Mutex<Turns>,
}

impl<C: Cloud> Claims<C> {
    pub fn new(deps: Arc<Deps<C>>) -> Self {
        Self { deps, memory: Mutex::default(), launching: Semaphore::new(MOST_LAUNCHING), expiries: Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, BTreeMap<String, Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is remembered of this very claim.
    pub(super) fn remember<T>(&self, claim: &NodeClaim, change: impl FnOnce(&mut Memory) -> T) -> T {
        let mut all = self.memory();
        let memory = all.entry(claim.metadata.name().to_owned()).or_default();
        let uid = claim.metadata.uid.as_deref().unwrap_or_default();
        if memory.uid != uid {
            *memory = Memory { uid: uid.to_owned(), ..Memory::default() };
        }
        change(memory)
    }

    /// Writes what the draft changed.
    async fn flush(&self, draft: &mut Draft) -> Result<(), Fault> {
        let name = draft.claim.metadata.name().to_owned();
        let was_at_rest = draft.was_true(CONSOLIDATABLE);
        let reached = told::reached(draft);
        if let Some(patch) = draft.metadata_patch() {
            let read = draft.claim.metadata.resource_version.clone();
            draft.written(self.deps.api.merge("", &name, patch).await?);
            self.remember(&draft.claim, |memory| memory.unseen.wrote(read));
        }
        if let Some(patch) = draft.status_patch() {
            let read = draft.claim.metadata.resource_version.clone();
            draft.stored(self.deps.api.merge_status("", &name, patch).await?);
            self.remember(&draft.claim, |memory| memory.unseen.wrote(read));
        }
        told::tell(draft, &reached);
        if draft.is_true(CONSOLIDATABLE) && !was_at_rest {
            self.deps.rested.notify_one();
        }
        Ok(())
    }

    async fn live(&self, mut draft: Draft) -> Result<Again, Fault> {
        // A change from before the deletion may be shown first, and nothing is to be bought for it, nor ended twice.
        if self.remember(&draft.claim, |memory| memory.is_deleted()) {
            return Ok(Again::After(Duration::from_secs(POLL_SECONDS)));
        }
        let mut next = Next::default();
        let class = &draft.claim.spec.node_class_ref;
        let (key, value) = (class.label_key(), class.name.clone());
        draft.claim.metadata.labels.entry(key).or_insert(value);
        if !draft.has_finalizer() {
            draft.claim.metadata.finalizers.push(names::core::TERMINATION_FINALIZER.to_owned());
            let patch = draft.metadata_patch().unwrap_or_default();
            let name = draft.claim.metadata.name().to_owned();
            let read = draft.claim.metadata.resource_version.clone();
            draft.written(self.deps.api.merge("", &name, patch).await?);
            self.remember(&draft.claim, |memory| memory.unseen.wrote(read));
        }
        // What fails keeps nothing from its end: how old the claim may become is looked at whatever happens.
        let (mut retry, mut fault, mut tried_at) = (None, None, None);
        if draft.is_open(LAUNCHED) {
            // Whoever sells may have them wait for their turn, and what becomes of other claims is not to wait with them.
            let Ok(_turn) = self.launching.try_acquire() else { return Ok(Again::After(NEXT_TURN)) };
            let now = draft.now;
            tried_at = Some(self.remember(&draft.claim, |memory| *memory.tried_at.get_or_insert(now)));
            match self.launch(&mut draft).await {
                Launched::Bought => fault = self.flush(&mut draft).await.err(),
                Launched::Hopeless { reason, message } => return self.hopeless(&draft, reason, &message).await,
                Launched::Again { after } => retry = Some(after.map_or(Again::Failed, Again::FailedFor)),
            }
        }
        let provider_id = draft.claim.status.as_ref().and_then(|status| status.provider_id.clone()).unwrap_or_default();
        let mut nodes = self.deps.world.nodes_of(&provider_id);
        if fault.is_none() {
            fault = self.join(&mut draft, &mut nodes, &mut next).await.err();
        }
        for at in [LAUNCHED, REGISTERED].into_iter().filter_map(|reached| draft.patience(reached)) {
            if draft.is_open(INITIALIZED) {
                next.at(at);
            }
        }
        for age in [age::overdue(&draft, tried_at), self.expired(&draft)] {
            match age {
                Age::Over(reason) => {
                    let unwritten = self.flush(&mut draft).await.err();
                    if let Some(error) = fault.or(unwritten) {
                        tracing::warn!(NodeClaim = draft.claim.metadata.name(), %error, reason, "ending a claim that fails");
                    }
                    let again = self.end(&draft, reason).await?;
                    tracing::info!(NodeClaim = draft.claim.metadata.name(), reason, "deleting nodeclaim");
                    return Ok(again);
                }
                Age::Until(at) => next.at(at),
                Age::Unlimited => {}
            }
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        self.marks(&mut draft, nodes.first().map(|node| &**node), &mut next);
        self.flush(&mut draft).await?;
        Ok(retry.unwrap_or_else(|| next.again(self.deps.clock.seconds())))
    }

    /// Whether the claim has expired and it is its turn to end for that.
    fn expired(&self, draft: &Draft) -> Age {
        let age = age::expired(draft);
        let Age::Over(_) = age else { return age };
        let now = Instant::now();
        let turn = self.remember(&draft.claim, |memory| memory.expires_at);
        let turn = turn.unwrap_or_else(|| self.expiries.lock().unwrap_or_else(PoisonError::into_inner).take(now));
        self.remember(&draft.claim, |memory| memory.expires_at = Some(turn));
        if turn <= now {
            return age;
        }
        let wait = turn.duration_since(now).as_secs().saturating_add(1);
        Age::Until(draft.now.saturating_add_unsigned(wait))
    }

    /// Lets the node in, and sees whether it is complete.
    async fn join(&self, draft: &mut Draft, nodes: &mut [Arc<Node>], next: &mut Next) -> Result<(), Fault> {
        self.register(draft, nodes, next).await?;
        self.initialize(draft, nodes).await
    }

    /// Syncs the node and opens its gate, and writes that into the draft.
    async fn register(&self, draft: &mut Draft, nodes: &mut [Arc<Node>], next: &mut Next) -> Result<(), Fault> {
        let found = register::look(draft, &nodes.iter().map(|node| &**node).collect::<Vec<_>>());
        register::settle(draft, &found);
        if let Registration::Shut { until } = found {
            next.at(until);
        }
        if let Registration::Open { after, taint_was_missing } = found {
            let [node] = nodes else { return Ok(()) };
            let meta = &draft.claim.metadata;
            if let Hold::Shut(wait) = self.deps.gate.hold(meta.name(), node.name()) {
                next.at(draft.now + i64::try_from(wait.as_secs()).unwrap_or_default());
                return Ok(());
            }
            if taint_was_missing {
                let uid = meta.uid.as_deref().unwrap_or_default();
                tracing::error!(NodeClaim = meta.name(), Node = node.name(), "the node joined without its gate");
                self.deps
                    .recorder
                    .publish(About::node_claim(meta.name(), uid), catalog::unregistered_taint_missing(uid));
            }
            self.deps.gate.before_open(meta.name(), node.name()).await;
            let after = initialize::with_registration(&draft.claim, *after);
            if let Err(fault) = self.patch_node(node, &after).await {
                if !fault.is_conflict() {
                    return Err(fault);
                }
                // The pods are nominated and the scheduler tries them: what the mirror is to show soon is asked for now.
                let Some(fresh) = self.deps.api.get::<Node>("", node.name()).await? else { return Err(fault) };
                *node = Arc::new(fresh);
                if let Registration::Open { after, .. } = register::look(draft, &[node]) {
                    self.patch_node(node, &initialize::with_registration(&draft.claim, *after)).await?;
                }
            }
            let found = register::look(draft, &[node]);
            register::settle(draft, &found);
        }
        if draft.is_true(REGISTERED) && !draft.was_true(REGISTERED) {
            let labels = &draft.claim.metadata.labels;
            let label = |key: &str| labels.get(key).map(String::as_str).unwrap_or_default();
            let (pool, zone) = (label(names::core::NODE_POOL), label(names::kubernetes::ZONE));
            self.deps.metrics.nodes_created_total.inc([pool, zone]);
            self.deps.joined(&draft.claim, true);
        }
        Ok(())
    }

    async fn initialize(&self, draft: &mut Draft, nodes: &mut [Arc<Node>]) -> Result<(), Fault> {
        let found = initialize::look(draft, nodes.first().map(|node| &**node));
        initialize::settle(draft, &found);
        if let (Initialization::Label(after), Some(node)) = (found, nodes.first_mut()) {
            self.patch_node(node, &after).await?;
            let found = initialize::look(draft, Some(node));
            initialize::settle(draft, &found);
        }
        Ok(())
    }

    async fn patch_node(&self, node: &mut Arc<Node>, after: &Node) -> Result<(), Fault> {
        if let Some(patch) = node.patch_to(after) {
            let name = node.name().to_owned();
            *node = Arc::new(self.deps.api.steps("", &name, patch).await?);
        }
        Ok(())
    }

    /// What is said of a claim beside its way: drift, rest, consistency, and the hash of its pool.
    fn marks(&self, draft: &mut Draft, node: Option<&Node>, next: &mut Next) {
        let deps = &self.deps;
        let now = draft.now;
        let pool = draft.claim.metadata.labels.get(names::core::NODE_POOL).and_then(|pool| deps.world.pool(pool));
        if let Some(pool) = &pool {
            hash::adopt(draft, pool);
            let of = launch::class(&draft.claim);
            let (types, class) = (deps.world.types(&of), deps.world.class(&of));
            let provider_id = draft.claim.status.as_ref().and_then(|status| status.provider_id.as_deref());
            let instance = provider_id.and_then(|id| deps.world.instance(id));
            drift::mark(
                draft,
                &drift::Wanted {
                    pool: Some(pool),
                    types: types.as_deref().map(Vec::as_slice),
                    class: class.as_deref(),
                    instance: instance.as_deref(),
                },
            );
            next.at(now + drift::PERIOD_SECONDS);
        }
        if let Some(node) = node {
            let pods = deps.world.pods_on(node.name());
            let guests = pods.iter().filter(|pod| !pod.daemon && !pod.mirror).map(|pod| Guest {
                uid: pod.uid.clone(),
                leaving: !pod.is_active(),
                started: pod.started,
            });
            let guests: Vec<_> = guests.collect();
            let written = draft.claim.status.as_ref().and_then(|status| status.last_pod_event_time.as_deref());
            let written = written.and_then(time::seconds);
            self.remember(&draft.claim, |memory| {
                let event = memory.guests.look(&guests, written, now);
                memory.event = event.or(memory.event);
            });
            let is_due = self.remember(&draft.claim, |memory| {
                memory.checked_at.is_none_or(|at| now - at >= consistency::PERIOD_SECONDS)
            });
            if is_due && draft.is_true(INITIALIZED) {
                self.consistency(draft, node);
            }
        }
        let after = pool.as_ref().filter(|pool| pool.spec.replicas.is_none()).map(|pool| consolidate_after(pool));
        let event = self.remember(&draft.claim, |memory| memory.event);
        if let Some(at) = rest::mark(draft, event, after.flatten()) {
            next.at(at);
        }
        // Pods come many at a time, and whoever reads it cares about minutes: a write of its own has time, but a write
        // that is due anyhow says it too.
        if let Some(at) = event {
            let due = at + rest::EVENT_PERIOD_SECONDS;
            if now >= due || draft.status_patch().is_some() {
                rest::note_event(draft, at);
                self.remember(&draft.claim, |memory| memory.event = None);
            } else {
                next.at(due);
            }
        }
    }

    fn consistency(&self, draft: &mut Draft, node: &Node) {
        let faults = consistency::check(draft, node);
        consistency::settle(draft, &faults);
        let meta = &draft.claim.metadata;
        let uid = meta.uid.as_deref().unwrap_or_default();
        for fault in &faults {
            let about = About::node_claim(meta.name(), uid);
            self.deps.recorder.publish(about, catalog::failed_consistency_check(uid, fault));
        }
        let now = draft.now;
        self.remember(&draft.claim, |memory| memory.checked_at = Some(now));
    }

    /// Asks for the claim's deletion.
    pub(super) async fn end(&self, draft: &Draft, reason: &'static str) -> Result<Again, Fault> {
        let meta = &draft.claim.metadata;
        let which = Preconditions::uid(meta.uid.as_deref().unwrap_or_default());
        self.deps.api.delete::<NodeClaim>("", meta.name(), &which, None).await?;
        if self.remember(&draft.claim, Memory::deleted) {
            self.deps.disrupted(&draft.claim, reason);
            if reason.ends_with("_timeout") {
                self.deps.joined(&draft.claim, false);
            }
        }
        // If the answer was about another claim of the name, this one is looked at again.
        Ok(Again::After(Duration::from_secs(POLL_SECONDS)))
    }

    async fn finalize(&self, mut draft: Draft) -> Result<Again, Fault> {
        let status = draft.claim.status.clone().unwrap_or_default();
        let cached = self.remember(&draft.claim, |memory| memory.instance.as_ref().map(|i| i.provider_id.to_string()));
        let mut provider_id = status.provider_id.filter(|id| !id.is_empty()).or(cached);
        if let Some(id) = &provider_id
            && self.leaves_to_another(&draft.claim, id).await?
        {
            provider_id = None;
        }
        let mut is_gone = false;
        for _ in 0..MAX_WRITES {
            let nodes = self.deps.world.nodes_of(provider_id.as_deref().unwrap_or_default());
            let nodes: Vec<&Node> = nodes.iter().map(|node| &**node).collect();
            match finalize::next(&mut draft, &nodes, provider_id.as_deref(), is_gone) {
                Ending::Released => return Ok(Again::OnChange),
                Ending::Deadline(deadline) => {
                    let meta = &draft.claim.metadata;
                    let about = About::node_claim(meta.name(), meta.uid.as_deref().unwrap_or_default());
                    let event = catalog::termination_grace_period_expiring(meta.name(), &deadline);
                    self.deps.recorder.publish(about, event);
                    self.flush(&mut draft).await?;
                }
                Ending::DeleteNodes(names) => {
                    // The mirror may not show yet what was asked for, and asking again helps nobody.
                    if self.remember(&draft.claim, Memory::nodes_are_asked) {
                        return Ok(Again::After(DELETION_SHOWN));
                    }
                    for node in nodes.iter().filter(|node| names.iter().any(|name| name == node.name())) {
                        let which = Preconditions::uid(node.metadata.uid.as_deref().unwrap_or_default());
                        self.deps.api.delete::<Node>("", node.name(), &which, None).await?;
                    }
                    return Ok(Again::After(Duration::from_secs(POLL_SECONDS)));
                }
                Ending::AwaitNodes => return Ok(Again::After(Duration::from_secs(POLL_SECONDS))),
                Ending::Terminate(id) => {
                    if self.deps.terminate(&id).await? == cloud::Termination::Started {
                        finalize::terminating(&mut draft);
                        self.flush(&mut draft).await?;
                        return Ok(Again::After(Duration::from_secs(POLL_SECONDS)));
                    }
                    is_gone = true;
                }
                Ending::Release => {
                    let patch = draft.metadata_patch().unwrap_or_default();
                    let name = draft.claim.metadata.name().to_owned();
                    self.deps.api.merge::<NodeClaim>("", &name, patch).await?;
                    self.deps.claim_ended(&draft);
                    return Ok(Again::OnChange);
                }
            }
        }
        Ok(Again::After(Duration::from_secs(1)))
    }
}

/// In seconds; None for `Never`. Without a word in the pool, at once.
fn consolidate_after(pool: &crds::NodePool) -> Option<i64> {
    match pool.spec.disruption.as_ref().and_then(|disruption| disruption.consolidate_after.as_ref()) {
        Some(after) => time::span(after),
        None => Some(0),
    }
}

impl<C: Cloud> Reconcile for Claims<C> {
    const NAME: &'static str = "nodeclaim.lifecycle";
    const WORKERS: usize = 512;

    async fn reconcile(&self, name: &str) -> Result<Again, Fault> {
        let Some(claim) = self.deps.world.claim(name) else {
            self.memory().remove(name);
            return Ok(Again::OnChange);
        };
        if !self.deps.is_managed(&claim.spec.node_class_ref) {
            return Ok(Again::OnChange);
        }
        let version = claim.metadata.resource_version.clone();
        if let Some(wait) = self.remember(&claim, |memory| memory.unseen.wait(version.as_deref())) {
            return Ok(Again::After(wait));
        }
        let draft = Draft::new(claim, self.deps.clock.seconds());
        if draft.claim.metadata.is_deleting() { self.finalize(draft).await } else { self.live(draft).await }
    }
}

/// The earliest of several times.
#[derive(Debug, Default)]
struct Next(Option<i64>);

impl Next {
    fn at(&mut self, at: i64) {
        self.0 = Some(self.0.map_or(at, |other| other.min(at)));
    }

    fn again(&self, now: i64) -> Again {
        let Some(at) = self.0 else { return Again::OnChange };
        let seconds = u64::try_from(at.saturating_sub(now)).unwrap_or_default();
        // A second more than none, so that a time that has just come does not spin.
        Again::After(Duration::from_secs(seconds.max(1)))
    }
}
