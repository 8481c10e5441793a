//! The tables behind the mirror, with their indexes. Plain values: the mirror's lock is around all of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crds::names::core::INITIALIZED;
use planner::model::{Resources, Str};

use super::super::k8s::{self, ObjectMeta};
use super::super::objects::{Seen, Sourced};
use super::super::translate::allocatable;
use super::changes::Listeners;
use super::expectations::Expectations;
use super::kind::{Both, Change, Kind, Object};
use super::pod::{Forms, Pod};
use super::promises::{self, MEANT_FOR, Promises, Stage, Standing};
use super::waiting::Waiting;

/// Namespace and name; the namespace is empty for kinds without.
pub(super) type Name = (Str, Str);
/// Objects of one kind.
pub(super) type Table<T> = BTreeMap<Name, Seen<T>>;

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) forms: Forms,
    /// By `namespace/name`.
    pub(super) pods: HashMap<Str, Arc<Pod>>,
    /// Pods that are bound to a node or promised to one.
    pub(super) pods_by_node: HashMap<Str, BTreeSet<Str>>,
    pub(super) waiting: Waiting,
    pub(super) whole_claims: BTreeMap<Str, Arc<crds::NodeClaim>>,
    pub(super) whole_pools: BTreeMap<Str, Arc<crds::NodePool>>,
    pub(super) whole_ec2: BTreeMap<Str, Arc<crds::Ec2NodeClass>>,
    pub(super) whole_kwok: BTreeMap<Str, Arc<crds::KwokNodeClass>>,
    pub(super) claim_by_provider: HashMap<Str, BTreeSet<Str>>,
    pub(super) node_by_provider: HashMap<Str, BTreeSet<Str>>,
    pub(super) nodes: Table<k8s::Node>,
    pub(super) claims: Table<k8s::NodeClaim>,
    pub(super) pools: Table<k8s::NodePool>,
    pub(super) ec2_classes: Table<k8s::Ec2NodeClass>,
    pub(super) kwok_classes: Table<k8s::KwokNodeClass>,
    pub(super) overlays: Table<k8s::NodeOverlay>,
    pub(super) buffers: Table<k8s::CapacityBuffer>,
    pub(super) daemon_sets: Table<k8s::DaemonSet>,
    pub(super) budgets: Table<k8s::PodDisruptionBudget>,
    pub(super) volume_claims: Table<k8s::PersistentVolumeClaim>,
    pub(super) volumes: Table<k8s::PersistentVolume>,
    pub(super) storage_classes: Table<k8s::StorageClass>,
    pub(super) csi_nodes: Table<k8s::CsiNode>,
    pub(super) attachments: Table<k8s::VolumeAttachment>,
    pub(super) namespaces: Table<k8s::Namespace>,
    pub(super) priority_classes: Table<k8s::PriorityClass>,
    pub(super) runtime_classes: Table<k8s::RuntimeClass>,
    pub(super) services: Table<k8s::Service>,
    pub(super) deployments: Table<k8s::Workload>,
    pub(super) replica_sets: Table<k8s::Workload>,
    pub(super) stateful_sets: Table<k8s::Workload>,
    pub(super) replication_controllers: Table<k8s::Workload>,
    pub(super) pod_templates: Table<k8s::PodTemplate>,
    pub(super) expected: Expectations,
    pub(super) promises: Promises,
    pub(super) listeners: Listeners,
    /// Lists under way, with what they have shown so far.
    relists: HashMap<Kind, HashSet<Name>>,
    /// Goes up whenever an object changes that pods are read by (not pods, nodes, claims or pools).
    pub(super) world_version: u64,
}

fn name_of(meta: &ObjectMeta) -> Name {
    (meta.namespace.clone(), meta.name.clone())
}

/// Objects have metadata.
trait Meta: PartialEq {
    fn meta(&self) -> &ObjectMeta;
    fn meta_mut(&mut self) -> &mut ObjectMeta;
}

macro_rules! meta {
    ($($kind:ident)*) => {$(
        impl Meta for k8s::$kind {
            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    )*};
}

meta! {
    Node NodeClaim NodePool Ec2NodeClass KwokNodeClass NodeOverlay CapacityBuffer DaemonSet PodDisruptionBudget
    PersistentVolumeClaim PersistentVolume StorageClass CsiNode VolumeAttachment Namespace PriorityClass RuntimeClass
    Service Workload PodTemplate
}

/// Puts an object in its table. Gives its name if it is new to us.
fn put<T: Meta>(table: &mut Table<T>, object: T) -> Option<Name> {
    let name = name_of(object.meta());
    let version = &object.meta().resource_version;
    if table.get(&name).is_some_and(|old| !version.is_empty() && old.meta().resource_version == *version) {
        return None;
    }
    table.insert(name.clone(), Arc::new(Sourced::watched(object)));
    Some(name)
}

/// The same for objects of which all that anybody looks at is in the trimmed form: one that differs in its version only,
/// as after a heartbeat, is kept for its version and told to nobody.
fn put_quietly<T: Meta>(table: &mut Table<T>, mut object: T) -> Option<Name> {
    let name = name_of(object.meta());
    if let Some(old) = table.get_mut(&name) {
        let version = std::mem::replace(&mut object.meta_mut().resource_version, old.meta().resource_version.clone());
        let is_same = object == old.object;
        object.meta_mut().resource_version = version;
        if is_same {
            *old = Arc::new(Sourced::watched(object));
            return None;
        }
    }
    put(table, object)
}

fn link(index: &mut HashMap<Str, BTreeSet<Str>>, key: &Str, name: &Str) {
    if !key.is_empty() {
        index.entry(key.clone()).or_default().insert(name.clone());
    }
}

fn unlink(index: &mut HashMap<Str, BTreeSet<Str>>, key: &Str, name: &Str) {
    if let Some(names) = index.get_mut(key) {
        names.remove(name);
        if names.is_empty() {
            index.remove(key);
        }
    }
}

macro_rules! tables {
    ($($kind:ident => $table:ident),* $(,)?) => {
        impl State {
            /// Objects of the kinds that need no index: puts one in its table.
            fn put_plain(&mut self, object: Object) -> Option<(Kind, Name)> {
                match object {
                    $(Object::$kind(object) => put_quietly(&mut self.$table, *object).map(|name| (Kind::$kind, name)),)*
                    Object::Pod(_) | Object::Node(_) | Object::NodeClaim(_) | Object::NodePool(_)
                    | Object::Ec2NodeClass(_) | Object::KwokNodeClass(_) => None,
                }
            }

            fn take_plain(&mut self, kind: Kind, name: &Name) -> bool {
                match kind {
                    $(Kind::$kind => self.$table.remove(name).is_some(),)*
                    Kind::Pod | Kind::Node | Kind::NodeClaim | Kind::NodePool | Kind::Ec2NodeClass | Kind::KwokNodeClass => false,
                }
            }

            /// Names of all objects of a kind.
            pub(super) fn names(&self, kind: Kind) -> Vec<Name> {
                match kind {
                    Kind::Pod => self.pods.keys().map(|key| split(key)).collect(),
                    Kind::Node => self.nodes.keys().cloned().collect(),
                    Kind::NodeClaim => self.claims.keys().cloned().collect(),
                    Kind::NodePool => self.pools.keys().cloned().collect(),
                    Kind::Ec2NodeClass => self.ec2_classes.keys().cloned().collect(),
                    Kind::KwokNodeClass => self.kwok_classes.keys().cloned().collect(),
                    $(Kind::$kind => self.$table.keys().cloned().collect(),)*
                }
            }
        }
    };
}

tables! {
    NodeOverlay => overlays,
    CapacityBuffer => buffers,
    DaemonSet => daemon_sets,
    PodDisruptionBudget => budgets,
    PersistentVolumeClaim => volume_claims,
    PersistentVolume => volumes,
    StorageClass => storage_classes,
    CsiNode => csi_nodes,
    VolumeAttachment => attachments,
    Namespace => namespaces,
    PriorityClass => priority_classes,
    RuntimeClass => runtime_classes,
    Service => services,
    Deployment => deployments,
    ReplicaSet => replica_sets,
    StatefulSet => stateful_sets,
    ReplicationController => replication_controllers,
    PodTemplate => pod_templates,
}

fn split(key: &Str) -> Name {
    key.split_once('/')
        .map_or_else(|| (Str::default(), key.clone()), |(namespace, name)| (namespace.into(), name.into()))
}

impl State {
    /// Takes in an object that came or changed.
    pub(super) fn apply(&mut self, object: Object) {
        let changed = match object {
            Object::Pod(pod) => {
                let name = (pod.metadata.namespace().into(), pod.metadata.name.clone());
                self.put_pod(*pod).then_some((Kind::Pod, name))
            }
            Object::Node(node) => self.put_node(*node).map(|name| (Kind::Node, name)),
            Object::NodeClaim(claim) => self.put_claim(*claim).map(|name| (Kind::NodeClaim, name)),
            Object::NodePool(pool) => {
                let Both { whole, trimmed } = *pool;
                let name = put(&mut self.pools, trimmed);
                name.map(|name| {
                    self.whole_pools.insert(name.1.clone(), Arc::new(whole));
                    (Kind::NodePool, name)
                })
            }
            Object::Ec2NodeClass(class) => {
                let Both { whole, trimmed } = *class;
                let name = put(&mut self.ec2_classes, trimmed);
                name.map(|name| {
                    self.whole_ec2.insert(name.1.clone(), Arc::new(whole));
                    (Kind::Ec2NodeClass, name)
                })
            }
            Object::KwokNodeClass(class) => {
                let Both { whole, trimmed } = *class;
                let name = put(&mut self.kwok_classes, trimmed);
                name.map(|name| {
                    self.whole_kwok.insert(name.1.clone(), Arc::new(whole));
                    (Kind::KwokNodeClass, name)
                })
            }
            other => self.put_plain(other),
        };
        if let Some((kind, name)) = changed {
            self.changed(kind, name);
        }
    }

    /// Notes that an object of a list was shown, so that it does not count as vanished at the list's end.
    pub(super) fn shown(&mut self, kind: Kind, name: Name) {
        if let Some(shown) = self.relists.get_mut(&kind) {
            shown.insert(name);
        }
    }

    /// An object is gone.
    pub(super) fn remove(&mut self, kind: Kind, name: &Name) {
        let was_there = match kind {
            Kind::Pod => self.take_pod(&format!("{}/{}", name.0, name.1)),
            Kind::Node => self.nodes.remove(name).is_some_and(|node| {
                unlink(&mut self.node_by_provider, &node.spec.provider_id, &name.1);
                true
            }),
            Kind::NodeClaim => {
                self.whole_claims.remove(&name.1);
                self.expected.forget(&name.1);
                self.claims.remove(name).is_some_and(|claim| {
                    unlink(&mut self.claim_by_provider, &claim.status.provider_id, &name.1);
                    true
                })
            }
            Kind::NodePool => {
                self.whole_pools.remove(&name.1);
                self.pools.remove(name).is_some()
            }
            Kind::Ec2NodeClass => {
                self.whole_ec2.remove(&name.1);
                self.ec2_classes.remove(name).is_some()
            }
            Kind::KwokNodeClass => {
                self.whole_kwok.remove(&name.1);
                self.kwok_classes.remove(name).is_some()
            }
            other => self.take_plain(other, name),
        };
        if was_there {
            self.changed(kind, name.clone());
        }
    }

    /// Forgets promises that have come true or cannot any more; whether a pod waits that had one.
    pub(super) fn keep_promises(&mut self, now: i64) -> bool {
        let mut promises = std::mem::take(&mut self.promises);
        let standing = |key: &str, uid: &str| {
            let Some(pod) = self.pods.get(key).filter(|pod| *pod.uid == *uid && !pod.is_deleting()) else {
                return Standing::Settled;
            };
            match &pod.node {
                None => Standing::Waits,
                Some(node) if self.is_going(node) && pod.is_mover() => Standing::Moves,
                Some(_) => Standing::Settled,
            }
        };
        let stage = |name: &str| match self.whole_claims.get(name) {
            None if self.expected.contains(name) => Stage::Coming,
            None => Stage::Gone,
            Some(claim) if claim.metadata.is_deleting() => Stage::Gone,
            Some(claim) if self.is_initialized(claim) => Stage::Initialized,
            Some(claim) if self.is_bereft(claim) => Stage::Gone,
            Some(_) => Stage::Coming,
        };
        let mut rooms: HashMap<Str, Option<Resources>> = HashMap::new();
        // Of several that wait for what is left for one, all but one are planned anew.
        let takes_room = |pod: &str, claim: &Str| {
            let room = rooms.entry(claim.clone()).or_insert_with(|| {
                let node = self.whole_claims.get(claim).and_then(|claim| self.node_of(claim));
                self.room_on(&node?.metadata.name)
            });
            self.pods.get(pod).zip(room.as_mut()).is_none_or(|(pod, room)| room.take(&pod.requests()))
        };
        let is_left = promises.keep(now, standing, stage, takes_room);
        self.promises = promises;
        is_left
    }

    /// What a node has left beside the pods that are bound to it; None where it does not say.
    pub(super) fn room_on(&self, node: &Str) -> Option<Resources> {
        let mut room = allocatable(&self.nodes.get(&(Str::default(), node.clone()))?.object)?;
        let there = self.pods_by_node.get(node).into_iter().flatten().filter_map(|key| self.pods.get(key));
        for pod in there.filter(|pod| pod.node.as_ref() == Some(node) && !pod.is_finished()) {
            room.subtract(&pod.requests());
        }
        Some(room)
    }

    fn node_of(&self, claim: &crds::NodeClaim) -> Option<&Seen<k8s::Node>> {
        let provider = claim.status.as_ref().and_then(|status| status.provider_id.as_deref()).unwrap_or_default();
        let mut names = self.node_by_provider.get(provider).into_iter().flatten();
        names.find_map(|name| self.nodes.get(&(Str::default(), name.clone())))
    }

    /// Is a node on its way out?
    fn is_going(&self, node: &Str) -> bool {
        let Some(node) = self.nodes.get(&(Str::default(), node.clone())) else { return false };
        let claims = self.claim_by_provider.get(&node.spec.provider_id).into_iter().flatten();
        let mut claims = claims.filter_map(|name| self.whole_claims.get(name));
        node.is_going() || claims.any(|claim| claim.metadata.is_deleting())
    }

    /// Are there pods bound to a node that need another place when it goes?
    pub(super) fn has_movers(&self, node: &str) -> bool {
        let mut there = self.pods_by_node.get(node).into_iter().flatten().filter_map(|key| self.pods.get(key));
        there.any(|pod| pod.node.as_deref() == Some(node) && pod.is_mover())
    }

    /// May pods run on its node?
    fn is_initialized(&self, claim: &crds::NodeClaim) -> bool {
        let label =
            |node: &Seen<k8s::Node>| node.metadata.labels.get(INITIALIZED).is_some_and(|value| &**value == "true");
        self.node_of(claim).is_some_and(label)
    }

    /// Has its node come and gone? A claim is registered only once its node was seen here.
    fn is_bereft(&self, claim: &crds::NodeClaim) -> bool {
        let conditions = claim.status.iter().flat_map(|status| &status.conditions);
        let mut registered = conditions.filter(|condition| condition.type_ == "Registered");
        registered.any(crds::Condition::is_true) && self.node_of(claim).is_none()
    }

    /// Gives pods that wait their place on claims that are coming and were bought for pods of their form.
    pub(super) fn promise_anew(&mut self) {
        let mut waiting: HashMap<u64, Vec<Arc<Pod>>> = HashMap::new();
        for pod in self.waiting.pending().into_iter().rev() {
            waiting.entry(pod.form.mark()).or_default().push(pod);
        }
        let coming = self.whole_claims.values().chain(self.expected.claims());
        let coming = coming
            .filter(|claim| !claim.metadata.is_deleting() && !self.is_initialized(claim) && !self.is_bereft(claim));
        let mut given = Vec::new();
        for claim in coming {
            let Some(text) = claim.metadata.annotations.get(MEANT_FOR) else { continue };
            let mut counts = promises::read(text);
            // Some may be nominated or bound to its node already.
            let there = self.node_of(claim).and_then(|node| self.pods_by_node.get(&node.metadata.name));
            for pod in there.into_iter().flatten().filter_map(|key| self.pods.get(key)) {
                counts.entry(pod.form.mark()).and_modify(|n| *n = n.saturating_sub(1));
            }
            for (form, n) in counts {
                let Some(pods) = waiting.get_mut(&form) else { continue };
                let pods = pods.drain(pods.len().saturating_sub(n)..).rev();
                given.extend(pods.map(|pod| (pod.key.clone(), pod.uid.clone(), claim.metadata.name().into())));
            }
        }
        for (pod, uid, claim) in given {
            self.promises.give(pod, uid, claim);
        }
    }

    /// A list begins: what it does not show is gone.
    pub(super) fn list_begins(&mut self, kind: Kind) {
        self.relists.insert(kind, HashSet::new());
    }

    /// The list has shown everything.
    pub(super) fn list_ends(&mut self, kind: Kind) {
        let Some(shown) = self.relists.remove(&kind) else { return };
        for name in self.names(kind).into_iter().filter(|name| !shown.contains(name)) {
            self.remove(kind, &name);
        }
    }

    fn changed(&mut self, kind: Kind, (namespace, name): Name) {
        if !matches!(kind, Kind::Pod | Kind::Node | Kind::NodeClaim | Kind::NodePool | Kind::VolumeAttachment) {
            self.world_version += 1;
        }
        self.listeners.tell(&Change { kind, namespace, name });
    }

    fn put_pod(&mut self, pod: k8s::Pod) -> bool {
        let pod = self.forms.take_in(pod);
        let old = self.pods.get(&pod.key);
        if old.is_some_and(|old| **old == pod) {
            return false;
        }
        let place = |pod: &Pod| pod.node.clone().or_else(|| pod.nominated.clone()).filter(|_| !pod.is_finished());
        let (before, after) = (old.and_then(|old| place(old)), place(&pod));
        let key = old.map_or_else(|| pod.key.clone(), |old| old.key.clone());
        if before != after {
            if let Some(node) = before {
                unlink(&mut self.pods_by_node, &node, &key);
            }
            if let Some(node) = &after {
                link(&mut self.pods_by_node, node, &key);
            }
        }
        if let Some(old) = old {
            self.waiting.take(old);
        }
        let pod = Arc::new(pod);
        self.waiting.put(&pod);
        self.pods.insert(key, pod);
        true
    }

    fn take_pod(&mut self, key: &str) -> bool {
        let Some(pod) = self.pods.remove(key) else { return false };
        self.waiting.take(&pod);
        if let Some(node) = pod.node.as_ref().or(pod.nominated.as_ref()) {
            unlink(&mut self.pods_by_node, node, &pod.key);
        }
        true
    }

    fn put_node(&mut self, node: k8s::Node) -> Option<Name> {
        let key = name_of(&node.metadata);
        let provider = node.spec.provider_id.clone();
        let before = self.nodes.get(&key).map(|old| old.spec.provider_id.clone());
        let name = put_quietly(&mut self.nodes, node)?;
        if let Some(before) = before.filter(|before| *before != provider) {
            unlink(&mut self.node_by_provider, &before, &name.1);
        }
        link(&mut self.node_by_provider, &provider, &name.1);
        Some(name)
    }

    fn put_claim(&mut self, claim: Both<crds::NodeClaim, k8s::NodeClaim>) -> Option<Name> {
        let Both { whole, trimmed } = claim;
        self.expected.forget(&trimmed.metadata.name);
        let provider = trimmed.status.provider_id.clone();
        let before = self.claims.get(&name_of(&trimmed.metadata)).map(|old| old.status.provider_id.clone());
        let name = put(&mut self.claims, trimmed)?;
        if let Some(before) = before.filter(|before| *before != provider) {
            unlink(&mut self.claim_by_provider, &before, &name.1);
        }
        link(&mut self.claim_by_provider, &provider, &name.1);
        self.whole_claims.insert(name.1.clone(), Arc::new(whole));
        Some(name)
    }
}
