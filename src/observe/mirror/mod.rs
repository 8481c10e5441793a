//! The mirror: what the cluster looks like as far as the watches have told, in memory, with indexes.
//!
//! One owner, many readers: [`Mirror`] is a handle, all state is behind its lock, and nobody waits while holding it.
//! Whatever is in here can be rebuilt by watching again; it is never written to the API server.

mod changes;
mod expectations;
mod facts;
mod kind;
mod pod;
mod promises;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use planner::model::{Resources, Str};
use tokio::sync::watch;

use super::k8s;
use super::objects::Seen;
use super::translate::Cache;
use state::State;

pub use changes::Changes;
pub use facts::Facts;
pub use kind::{Both, Change, Kind, Object};
pub use pod::{Form, Phase, Pod, Verdict};
pub use promises::MEANT_FOR;
pub use snapshot::Taken;

/// The cluster as it was last seen. Cheap to clone; all clones are one mirror.
#[derive(Clone, Debug)]
pub struct Mirror(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: RwLock<State>,
    /// Kinds whose first list has not ended.
    unsynced: watch::Sender<BTreeSet<Kind>>,
    /// What the last snapshots read and the next may read again.
    cache: Mutex<Cache>,
}

impl Mirror {
    /// An empty mirror that is synced once these kinds were listed.
    pub fn new(kinds: &[Kind]) -> Self {
        let unsynced = watch::Sender::new(kinds.iter().copied().collect());
        Self(Arc::new(Inner { state: RwLock::default(), unsynced, cache: Mutex::default() }))
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.state.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.state.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    // What watches tell.

    /// An object came or changed.
    pub fn apply(&self, object: Object) {
        self.write().apply(object);
    }

    /// An object is gone.
    pub fn remove(&self, kind: Kind, namespace: &str, name: &str) {
        self.write().remove(kind, &(namespace.into(), name.into()));
    }

    /// A list of a kind begins; what it does not show until its end is gone.
    pub fn list_begins(&self, kind: Kind) {
        self.write().list_begins(kind);
    }

    /// An object of a list.
    pub fn listed(&self, object: Object) {
        let mut state = self.write();
        let (kind, namespace, name) = object.identity();
        state.shown(kind, (namespace, name));
        state.apply(object);
    }

    /// The list has shown everything.
    pub fn list_ends(&self, kind: Kind) {
        self.write().list_ends(kind);
        self.0.unsynced.send_if_modified(|kinds| kinds.remove(&kind));
    }

    // Is it complete?

    /// Has every kind been listed?
    pub fn synced(&self) -> bool {
        self.0.unsynced.borrow().is_empty()
    }

    /// Has this kind been listed?
    pub fn is_listed(&self, kind: Kind) -> bool {
        !self.0.unsynced.borrow().contains(&kind)
    }

    /// Kinds whose first list has not ended.
    pub fn unsynced(&self) -> Vec<Kind> {
        self.0.unsynced.borrow().iter().copied().collect()
    }

    /// Waits until every kind has been listed.
    pub async fn until_synced(&self) {
        // The sender lives as long as this handle.
        let _ = self.0.unsynced.subscribe().wait_for(BTreeSet::is_empty).await;
    }

    /// What changes from now on, beginning with everything that is there.
    pub fn changes(&self, kinds: &[Kind]) -> Changes {
        let mut state = self.write();
        let mut present = Vec::new();
        for kind in kinds {
            let of_kind = state.names(*kind).into_iter();
            present.extend(of_kind.map(|(namespace, name)| Change { kind: *kind, namespace, name }));
        }
        present.sort();
        state.listeners.add(kinds, present)
    }

    // Claims.

    /// A claim by name, as the API server told of it.
    pub fn claim(&self, name: &str) -> Option<Arc<crds::NodeClaim>> {
        self.read().whole_claims.get(name).cloned()
    }

    /// All claims, by name.
    pub fn claims(&self) -> Vec<Arc<crds::NodeClaim>> {
        self.read().whole_claims.values().cloned().collect()
    }

    /// The claims with this provider id, by name: one, if all is well.
    pub fn claims_of_provider(&self, provider_id: &str) -> Vec<Arc<crds::NodeClaim>> {
        let state = self.read();
        let names = state.claim_by_provider.get(provider_id).into_iter().flatten();
        names.filter_map(|name| state.whole_claims.get(name).cloned()).collect()
    }

    /// The claim behind a node.
    pub fn claim_of(&self, node: &k8s::Node) -> Option<Arc<crds::NodeClaim>> {
        self.claims_of_provider(&node.spec.provider_id).into_iter().next()
    }

    // Nodes.

    /// A node by name.
    pub fn node(&self, name: &str) -> Option<Seen<k8s::Node>> {
        self.read().nodes.get(&(Str::default(), name.into())).cloned()
    }

    /// All nodes, by name.
    pub fn nodes(&self) -> Vec<Seen<k8s::Node>> {
        self.read().nodes.values().cloned().collect()
    }

    /// The nodes with this provider id, by name: one, if all is well.
    pub fn nodes_of_provider(&self, provider_id: &str) -> Vec<Seen<k8s::Node>> {
        let state = self.read();
        let names = state.node_by_provider.get(provider_id).into_iter().flatten();
        names.filter_map(|name| state.nodes.get(&(Str::default(), name.clone())).cloned()).collect()
    }

    /// The node of a claim; none before it has joined.
    pub fn node_of(&self, claim: &crds::NodeClaim) -> Option<Seen<k8s::Node>> {
        let provider_id = claim.status.as_ref()?.provider_id.as_deref()?;
        self.nodes_of_provider(provider_id).into_iter().next()
    }

    // Pools and classes.

    pub fn pool(&self, name: &str) -> Option<Arc<crds::NodePool>> {
        self.read().whole_pools.get(name).cloned()
    }

    /// All pools, by name.
    pub fn pools(&self) -> Vec<Arc<crds::NodePool>> {
        self.read().whole_pools.values().cloned().collect()
    }

    /// What a pool says that others go by, in a number: everything but its sums, which change with every node of it.
    pub fn pool_terms(&self, name: &str) -> Option<u64> {
        let pool = self.pool(name)?;
        let mut hasher = std::hash::DefaultHasher::new();
        let meta = &pool.metadata;
        (meta.uid.as_deref(), meta.generation, meta.deletion_timestamp.as_deref(), &meta.annotations).hash(&mut hasher);
        for condition in pool.status.iter().flat_map(|status| &status.conditions) {
            (&condition.type_, condition.status.to_string(), condition.observed_generation).hash(&mut hasher);
        }
        Some(hasher.finish())
    }

    pub fn ec2_class(&self, name: &str) -> Option<Arc<crds::Ec2NodeClass>> {
        self.read().whole_ec2.get(name).cloned()
    }

    /// All classes of EC2, by name.
    pub fn ec2_classes(&self) -> Vec<Arc<crds::Ec2NodeClass>> {
        self.read().whole_ec2.values().cloned().collect()
    }

    pub fn kwok_class(&self, name: &str) -> Option<Arc<crds::KwokNodeClass>> {
        self.read().whole_kwok.get(name).cloned()
    }

    // Pods.

    pub fn pod(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        self.read().pods.get(&*format!("{namespace}/{name}")).cloned()
    }

    /// All pods, by namespace and name.
    pub fn pods(&self) -> Vec<Arc<Pod>> {
        let mut pods: Vec<Arc<Pod>> = self.read().pods.values().cloned().collect();
        pods.sort_by(|a, b| a.key.cmp(&b.key));
        pods
    }

    /// Pods bound to a node that have not finished, by namespace and name.
    pub fn pods_on(&self, node: &str) -> Vec<Arc<Pod>> {
        let state = self.read();
        let keys = state.pods_by_node.get(node).into_iter().flatten();
        keys.filter_map(|key| state.pods.get(key)).filter(|pod| pod.node.as_deref() == Some(node)).cloned().collect()
    }

    /// Pods that are nominated to a node and not bound, by node.
    pub fn nominated(&self) -> BTreeMap<Str, Vec<Arc<Pod>>> {
        let state = self.read();
        let mut out = BTreeMap::<Str, Vec<Arc<Pod>>>::new();
        for pod in state.pods_by_node.values().flatten().filter_map(|key| state.pods.get(key)) {
            if let (None, Some(node), false) = (&pod.node, &pod.nominated, pod.is_deleting()) {
                out.entry(node.clone()).or_default().push(pod.clone());
            }
        }
        out
    }

    /// Are there pods bound to a node that need another place when it goes?
    pub fn has_movers(&self, node: &str) -> bool {
        self.read().has_movers(node)
    }

    /// What a node has left beside the pods that are bound to it; None where it does not say.
    pub fn room_on(&self, node: &str) -> Option<Resources> {
        self.read().room_on(&node.into())
    }

    /// Pods a node may be bought for, by namespace and name: those that the scheduler has refused, and those behind them that it
    /// has not come to.
    pub fn pending(&self) -> Vec<Arc<Pod>> {
        self.read().waiting.pending()
    }

    /// Is it one of those?
    pub fn is_pending(&self, pod: &Pod) -> bool {
        self.read().waiting.has(pod)
    }

    /// Those of them that the scheduler has not come to.
    pub fn untried(&self) -> Vec<Arc<Pod>> {
        self.read().waiting.untried().cloned().collect()
    }

    /// Is there any pod that a node may be bought for?
    pub fn has_pending(&self) -> bool {
        !self.read().waiting.is_empty()
    }

    /// How many pods are known.
    pub fn n_pods(&self) -> usize {
        self.read().pods.len()
    }

    // What pods depend on.

    /// All budgets, by namespace and name.
    pub fn pdbs(&self) -> Vec<Seen<k8s::PodDisruptionBudget>> {
        self.read().budgets.values().cloned().collect()
    }

    pub fn volume_claim(&self, namespace: &str, name: &str) -> Option<Seen<k8s::PersistentVolumeClaim>> {
        self.read().volume_claims.get(&(namespace.into(), name.into())).cloned()
    }

    pub fn volume(&self, name: &str) -> Option<Seen<k8s::PersistentVolume>> {
        self.read().volumes.get(&(Str::default(), name.into())).cloned()
    }

    /// Volumes attached to a node.
    pub fn attachments(&self, node: &str) -> Vec<Seen<k8s::VolumeAttachment>> {
        let state = self.read();
        state.attachments.values().filter(|attachment| &*attachment.spec.node_name == node).cloned().collect()
    }

    /// All `CapacityBuffers`, by namespace and name.
    pub fn buffers(&self) -> Vec<Seen<k8s::CapacityBuffer>> {
        self.read().buffers.values().cloned().collect()
    }

    pub fn pod_template(&self, namespace: &str, name: &str) -> Option<Seen<k8s::PodTemplate>> {
        self.read().pod_templates.get(&(namespace.into(), name.into())).cloned()
    }

    /// A Deployment, `ReplicaSet` or `StatefulSet`; none of any other kind.
    pub fn workload(&self, kind: Kind, namespace: &str, name: &str) -> Option<Seen<k8s::Workload>> {
        let state = self.read();
        let table = match kind {
            Kind::Deployment => &state.deployments,
            Kind::ReplicaSet => &state.replica_sets,
            Kind::StatefulSet => &state.stateful_sets,
            _ => return None,
        };
        table.get(&(namespace.into(), name.into())).cloned()
    }

    // What we have done and not seen yet.

    /// A claim is about to be sent: it counts from now on.
    pub fn expect(&self, claim: Arc<crds::NodeClaim>, now: i64) {
        self.write().expected.asked(claim, now);
    }

    /// The API server has made it.
    pub fn expect_made(&self, claim: Arc<crds::NodeClaim>, now: i64) {
        self.write().expected.made(claim, now);
    }

    /// The answer was lost.
    pub fn expect_unsure(&self, name: &str) {
        self.write().expected.unsure(name);
    }

    /// It was refused, or it is not there after all.
    pub fn expect_nothing(&self, name: &str) {
        self.write().expected.forget(name);
    }

    /// An expected claim was found by its name. One that has been seen in the meantime is known better already: it may have
    /// changed since, or be gone.
    pub fn found_expected(&self, claim: Both<crds::NodeClaim, k8s::NodeClaim>) {
        let mut state = self.write();
        if state.expected.contains(claim.whole.metadata.name()) {
            state.apply(Object::NodeClaim(Box::new(claim)));
        }
    }

    /// Claims that should have been seen by now: to be looked up by name.
    pub fn overdue(&self, now: i64) -> Vec<Str> {
        self.read().expected.overdue(now)
    }

    /// Claims that count although no watch has shown them, by name.
    pub fn expected(&self) -> Vec<Arc<crds::NodeClaim>> {
        self.read().expected.claims().cloned().collect()
    }

    /// These pods (`namespace/name`) have their place on the node of a claim, which is still to come.
    pub fn promise<'a>(&self, claim: &Str, pods: impl IntoIterator<Item = &'a Str>) {
        let mut state = self.write();
        for key in pods {
            let Some(pod) = state.pods.get(key) else { continue };
            let (key, uid) = (pod.key.clone(), pod.uid.clone());
            state.promises.give(key, uid, claim.clone());
        }
    }

    /// What a claim for these pods (`namespace/name`) is to say, so that the promise can be given anew: see [`MEANT_FOR`].
    pub fn meant_for<'a>(&self, pods: impl IntoIterator<Item = &'a Str>) -> String {
        let state = self.read();
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        for pod in pods.into_iter().filter_map(|key| state.pods.get(key)) {
            *counts.entry(pod.form.mark()).or_default() += 1;
        }
        promises::written(&counts)
    }

    /// Gives the promises anew that the process before this one has given, as far as its claims say.
    pub fn promise_anew(&self) {
        self.write().promise_anew();
    }

    /// How many pods wait that have their place on what is coming.
    pub fn n_promises(&self) -> usize {
        self.read().promises.len()
    }

    /// How long a busy scheduler takes to come to all of these.
    pub fn backlog(&self) -> Duration {
        Duration::from_secs(self.read().promises.backlog())
    }

    /// Forgets promises that cannot come true any more; whether there was one.
    pub fn has_broken_promises(&self, now: i64) -> bool {
        self.write().keep_promises(now)
    }

    /// Has the pod its place on what is coming?
    pub fn is_promised(&self, pod: &str) -> bool {
        self.read().promises.contains(pod)
    }

    /// Do pods of another form than this pod's wait that have no place on any of these claims?
    pub fn has_strangers(&self, pod: &str, claims: &BTreeSet<Str>) -> bool {
        let state = self.read();
        let form = state.pods.get(pod).map(|pod| &pod.form);
        let is_stranger = |other: &Arc<Pod>| {
            let is_alike = form.is_some_and(|form| Arc::ptr_eq(&other.form, form));
            !is_alike && state.promises.claim(&other.key).is_none_or(|claim| !claims.contains(claim))
        };
        state.waiting.iter().any(is_stranger)
    }

    /// Claims on which pods have their place.
    pub fn promised(&self) -> BTreeSet<Str> {
        self.read().promises.by_pod().into_values().collect()
    }

    /// Is there a claim of this name, seen or expected?
    pub fn has_claim(&self, name: &str) -> bool {
        let state = self.read();
        state.whole_claims.contains_key(name) || state.expected.contains(name)
    }
}
