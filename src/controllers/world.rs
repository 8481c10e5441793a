//! What the controllers know: the mirror in their own words, and what the clouds sell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloud::{Class, ClassRef, Instance, OfferingKey, Refused};
use crds::{NodeClaim, NodeClassRef, NodePool, ObjectMeta, OwnerReference, Quantity, Taint, TaintEffect, names};
use planner::disrupt::Obstacle;
use planner::model::pod::Owner;
use planner::model::selector::LabelSelector;
use planner::model::taint::{Effect, Toleration, TolerationOperator};
use planner::model::{InstanceType, Labels, Pool, Str};
use tokio::sync::watch;

use super::node::object::{NodeCondition, NodeSpec, NodeStatus};
use super::node::termination::Attachment;
use super::node::{Node, Pod};
use super::pods::Clocks;
use crate::act::free::KeptFree;
use crate::observe::mirror::{self, Facts, Mirror};
use crate::observe::{At, Origin, Seen, k8s, label_selector};

/// Until when the API server lets a pod end by itself if the pod does not say, in seconds.
const DEFAULT_GRACE_SECONDS: i64 = 30;
/// How long pods that a plan sends to a node are waited for if batches are as long as they are by default, in seconds.
const NOMINATED_SECONDS: i64 = 20;
/// The least of it, whatever batches are.
const LEAST_NOMINATED_SECONDS: i64 = 10;
/// Kubernetes' own classes for pods that the cluster, or a node, cannot do without.
const CRITICAL: [&str; 2] = ["system-cluster-critical", "system-node-critical"];

/// A Node of the mirror, and the same in the words of the controllers.
type ToldNode = (Seen<k8s::Node>, Arc<Node>);

/// What a pool sold when a plan was made.
struct Sold {
    types: Arc<Vec<InstanceType>>,
    /// Of the pool, its class among them.
    labels: Labels,
}

/// The mirror and the facts, as the controllers ask for them.
#[derive(Clone)]
pub struct World {
    pub mirror: Mirror,
    facts: Facts,
    /// What each node class sold when somebody last asked.
    types: Arc<Mutex<BTreeMap<ClassRef, Arc<Vec<InstanceType>>>>>,
    /// Node classes that were asked, whatever they answered.
    asked: Arc<Mutex<BTreeSet<ClassRef>>>,
    /// What each node class came to when somebody last asked.
    classes: Arc<Mutex<BTreeMap<ClassRef, Arc<Class>>>>,
    /// Nodes by name in the controllers' words, each with what it was made of: they are asked for far oftener than they change.
    told: Arc<Mutex<BTreeMap<Str, ToldNode>>>,
    /// Machines by provider id, as the cloud last listed them: those of which it tells more than that they are there.
    instances: Arc<Mutex<BTreeMap<Str, Arc<Instance>>>>,
    /// What each pool sells, overlays applied, as the last plan had it.
    of_pools: Arc<Mutex<BTreeMap<String, Sold>>>,
    /// Until when pods are expected on a node, in seconds since the epoch.
    nominated: Arc<Mutex<BTreeMap<String, i64>>>,
    nominated_seconds: i64,
    /// What the last plan keeps free for `CapacityBuffers`; None if there was no plan.
    kept_free: Arc<watch::Sender<Option<Arc<KeptFree>>>>,
    /// How long pods have waited.
    pub clocks: Clocks,
}

impl World {
    pub fn new(mirror: Mirror, facts: Facts) -> Self {
        let (types, classes, instances) = (Arc::default(), Arc::default(), Arc::default());
        let (of_pools, nominated, clocks) = (Arc::default(), Arc::default(), Clocks::default());
        let (nominated_seconds, kept_free) = (NOMINATED_SECONDS, Arc::new(watch::Sender::new(None)));
        let (asked, told) = (Arc::default(), Arc::default());
        Self {
            mirror,
            facts,
            types,
            asked,
            classes,
            told,
            instances,
            of_pools,
            nominated,
            nominated_seconds,
            kept_free,
            clocks,
        }
    }

    /// Waits for pods that a plan sends to a node for twice the longest batch.
    #[must_use]
    pub fn with_batches_of(self, longest: Duration) -> Self {
        let twice = i64::try_from(longest.as_secs()).unwrap_or(i64::MAX).saturating_mul(2);
        Self { nominated_seconds: twice.max(LEAST_NOMINATED_SECONDS), ..self }
    }

    /// A claim by name.
    pub fn claim(&self, name: &str) -> Option<Arc<NodeClaim>> {
        self.mirror.claim(name)
    }

    /// The claim behind a node.
    pub fn claim_of(&self, node: &Node) -> Option<Arc<NodeClaim>> {
        self.claim_of_provider(&node.spec.provider_id)
    }

    /// The claim of an instance.
    pub fn claim_of_provider(&self, provider_id: &str) -> Option<Arc<NodeClaim>> {
        if provider_id.is_empty() {
            return None;
        }
        let claims = self.mirror.claims_of_provider(provider_id);
        // Two claims for one instance are as good as none: nothing is to be ended because of either.
        if let [claim] = &claims[..] { Some(claim.clone()) } else { None }
    }

    /// The Nodes that say they are this instance.
    pub fn nodes_of(&self, provider_id: &str) -> Vec<Arc<Node>> {
        if provider_id.is_empty() {
            return Vec::new();
        }
        self.mirror.nodes_of_provider(provider_id).into_iter().map(|node| self.told(node)).collect()
    }

    /// A Node by name.
    pub fn node(&self, name: &str) -> Option<Arc<Node>> {
        self.mirror.node(name).map(|node| self.told(node))
    }

    /// All Nodes.
    pub fn nodes(&self) -> Vec<Arc<Node>> {
        let all: BTreeMap<_, _> =
            self.mirror.nodes().into_iter().map(|node| (node.metadata.name.clone(), node)).collect();
        // The only place that sees which are gone.
        self.told.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| all.contains_key(name));
        all.into_values().map(|node| self.told(node)).collect()
    }

    fn told(&self, node: Seen<k8s::Node>) -> Arc<Node> {
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, told)) = all.get(&node.metadata.name)
            && Arc::ptr_eq(of, &node)
        {
            return told.clone();
        }
        let told = Arc::new(of_mirror(&node));
        all.insert(node.metadata.name.clone(), (node, told.clone()));
        told
    }

    /// A pool by name.
    pub fn pool(&self, name: &str) -> Option<Arc<NodePool>> {
        self.mirror.pool(name)
    }

    /// Pods bound to a node that have not finished.
    pub fn pods_on(&self, node: &str) -> Vec<Pod> {
        self.mirror.pods_on(node).iter().map(|pod| self.pod(pod)).collect()
    }

    /// The same, each with what disruption budgets say against its eviction.
    pub fn guarded_pods_on(&self, node: &str, budgets: &Budgets) -> Vec<(Pod, Option<Obstacle>)> {
        self.mirror.pods_on(node).iter().map(|pod| (self.pod(pod), budgets.obstacle(pod))).collect()
    }

    /// The `PersistentVolume`s that are attached to a node.
    pub fn attached(&self, node: &str) -> Vec<Attachment> {
        let attached = self.mirror.attachments(node);
        let all = attached.iter().map(|attachment| Attachment {
            name: attachment.metadata.name.clone(),
            volume: attachment.spec.source.persistent_volume_name.clone(),
        });
        all.filter(|attachment| !attachment.volume.is_empty()).collect()
    }

    /// What the class sold when it was last asked; None if it never was.
    pub fn types(&self, class: &ClassRef) -> Option<Arc<Vec<InstanceType>>> {
        self.types.lock().unwrap_or_else(PoisonError::into_inner).get(class).cloned()
    }

    /// What a pool sold with its overlays when the last plan was made; None if there was none, or the pool had another class
    /// than this.
    pub fn sold_by(&self, pool: &str, class: &NodeClassRef) -> Option<Arc<Vec<InstanceType>>> {
        let of_pools = self.of_pools.lock().unwrap_or_else(PoisonError::into_inner);
        let sold = of_pools.get(pool)?;
        let is_of = sold.labels.get(class.label_key().as_str()).is_some_and(|name| **name == *class.name);
        is_of.then(|| sold.types.clone())
    }

    /// A plan was made with these pools.
    pub fn planned_with(&self, pools: &[Pool]) {
        let of = |pool: &Pool| {
            let (types, labels) = (pool.types.clone(), pool.labels.clone());
            (pool.name.to_string(), Sold { types, labels })
        };
        *self.of_pools.lock().unwrap_or_else(PoisonError::into_inner) = pools.iter().map(of).collect();
    }

    /// The class was asked what it sells.
    pub fn sells(&self, class: &ClassRef, types: Arc<Vec<InstanceType>>) {
        self.types.lock().unwrap_or_else(PoisonError::into_inner).insert(class.clone(), types);
    }

    /// Somebody has asked the class what it sells, and has an answer or knows why there is none.
    pub fn has_asked(&self, class: &ClassRef) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(class.clone());
    }

    /// Whether anybody has, since this process began.
    pub fn was_asked(&self, class: &ClassRef) -> bool {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).contains(class)
    }

    /// What the class came to when it was last resolved; None if it never was.
    pub fn class(&self, class: &ClassRef) -> Option<Arc<Class>> {
        self.classes.lock().unwrap_or_else(PoisonError::into_inner).get(class).cloned()
    }

    /// The class was resolved.
    pub fn resolved(&self, class: &ClassRef, into: Class) {
        self.classes.lock().unwrap_or_else(PoisonError::into_inner).insert(class.clone(), Arc::new(into));
    }

    /// A machine as the cloud last listed it; None if it tells nothing that could drift.
    pub fn instance(&self, provider_id: &str) -> Option<Arc<Instance>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).get(provider_id).cloned()
    }

    /// The cloud has listed its machines.
    pub fn listed(&self, instances: &[Instance]) {
        let told = instances.iter().filter(|one| one.image.is_some() || one.subnet.is_some());
        let told = told.map(|one| (one.provider_id.clone(), Arc::new(one.clone()))).collect();
        *self.instances.lock().unwrap_or_else(PoisonError::into_inner) = told;
    }

    /// These offerings were refused at `now`.
    pub fn refused(&self, offerings: &[Refused], now: i64) {
        self.facts.refused(offerings, now);
    }

    /// Whether the offering is to be left alone at `now`.
    pub fn is_refused(&self, offering: &OfferingKey, now: i64) -> bool {
        self.facts.is_refused(offering, now)
    }

    /// A plan made at `now` sends pods to this node: for a while it is not to be taken away.
    pub fn nominate(&self, node: &str, now: i64) {
        let mut all = self.nominated.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, until| *until > now);
        all.insert(node.to_owned(), now + self.nominated_seconds);
    }

    /// Whether pods are expected on the node at `now`.
    pub fn is_nominated(&self, node: &str, now: i64) -> bool {
        let all = self.nominated.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(node).is_some_and(|until| *until > now)
    }

    /// A plan was acted on that keeps this free.
    pub fn keeps_free(&self, free: KeptFree) {
        self.kept_free.send_if_modified(|before| {
            let is_new = before.as_deref() != Some(&free);
            *before = Some(Arc::new(free));
            is_new
        });
    }

    /// What the last plan keeps free, and whenever that changes; None before the first plan.
    pub fn kept_free(&self) -> watch::Receiver<Option<Arc<KeptFree>>> {
        self.kept_free.subscribe()
    }

    fn pod(&self, pod: &mirror::Pod) -> Pod {
        let spec = &pod.form.spec;
        let meta = &pod.form.meta;
        let cost = meta.annotations.get(names::kubernetes::POD_DELETION_COST);
        let volumes = spec.volumes.iter().filter_map(|volume| {
            let name = match (&volume.persistent_volume_claim, &volume.ephemeral) {
                (Some(source), _) => source.claim_name.to_string(),
                (None, Some(_)) => format!("{}-{}", pod.name(), volume.name),
                (None, None) => return None,
            };
            let claim = self.mirror.volume_claim(pod.namespace(), &name)?;
            (!claim.spec.volume_name.is_empty()).then(|| claim.spec.volume_name.clone())
        });
        Pod {
            namespace: pod.namespace().into(),
            name: pod.name().into(),
            uid: pod.uid.clone(),
            finished: pod.is_finished(),
            daemon: pod.form.owner() == Owner::DaemonSet,
            mirror: pod.form.owner() == Owner::Node,
            stateful: pod.form.owner() == Owner::StatefulSet,
            critical: CRITICAL.contains(&&*spec.priority_class_name),
            tolerates_disrupted: spec.tolerations.iter().any(tolerates_disrupted),
            do_not_disrupt: pod.form.do_not_disrupt().map(Into::into),
            priority: spec.priority.unwrap_or_default(),
            deletion_cost: cost.and_then(|cost| cost.parse().ok()).unwrap_or_default(),
            started: pod.started,
            grace_seconds: spec.termination_grace_period_seconds.unwrap_or(DEFAULT_GRACE_SECONDS),
            gone_by: pod.deletion,
            volumes: volumes.collect(),
        }
    }
}

/// All disruption budgets by namespace, as they stand, each with the pods it covers.
pub struct Budgets(BTreeMap<Str, Vec<(Seen<k8s::PodDisruptionBudget>, LabelSelector)>>);

impl Budgets {
    pub fn of(world: &World) -> Self {
        let mut all = BTreeMap::<Str, Vec<_>>::new();
        for budget in world.mirror.pdbs() {
            if let Some(covered) = covered(&budget) {
                all.entry(budget.metadata.namespace().into()).or_default().push((budget, covered));
            }
        }
        Self(all)
    }

    /// What keeps the pod from being evicted now.
    fn obstacle(&self, pod: &mirror::Pod) -> Option<Obstacle> {
        let all = self.0.get(pod.namespace()).into_iter().flatten();
        let mut covering = all.filter(|(_, covered)| covered.matches(&pod.form.meta.labels));
        let (budget, _) = covering.next()?;
        if covering.next().is_some() {
            return Some(Obstacle::SeveralPdbs);
        }
        let is_free = &*budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow" && !pod.ready;
        let allowed = budget.status.as_ref().map_or(0, |status| status.disruptions_allowed);
        let name = || format!("{}/{}", budget.metadata.namespace(), budget.metadata.name);
        (!is_free && allowed <= 0).then(|| Obstacle::Pdb(name().into()))
    }
}

/// The pods that a budget covers; none for one without a selector, or with one that no API server takes.
fn covered(budget: &k8s::PodDisruptionBudget) -> Option<LabelSelector> {
    let origin = Origin { file: "cluster".into(), line: 0 };
    let at = At::new(&origin, "PodDisruptionBudget", &budget.metadata, "spec");
    label_selector(&at, "selector", budget.spec.selector.as_ref()?).ok()
}

fn tolerates_disrupted(toleration: &k8s::pod::Toleration) -> bool {
    let taint = planner::model::Taint {
        key: names::core::DISRUPTED_TAINT.into(),
        value: "".into(),
        effect: Effect::NoSchedule,
    };
    let operator =
        if &*toleration.operator == "Exists" { TolerationOperator::Exists } else { TolerationOperator::Equal };
    let effect = Effect::parse(&toleration.effect);
    if effect.is_none() && !toleration.effect.is_empty() {
        return false;
    }
    let toleration = Toleration { key: toleration.key.clone(), operator, value: toleration.value.clone(), effect };
    toleration.tolerates(&taint)
}

/// A Node of the mirror in the words of the controllers.
fn of_mirror(node: &k8s::Node) -> Node {
    let meta = &node.metadata;
    let text = |map: &planner::model::Labels| -> BTreeMap<String, String> {
        map.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    };
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let owner = |owner: &k8s::OwnerReference| OwnerReference {
        api_version: owner.api_version.to_string(),
        kind: owner.kind.to_string(),
        name: owner.name.to_string(),
        uid: owner.uid.to_string(),
        controller: owner.controller.then_some(true),
        block_owner_deletion: owner.block_owner_deletion,
    };
    let metadata = ObjectMeta {
        name: some(&meta.name),
        uid: some(&meta.uid),
        generation: Some(meta.generation),
        resource_version: some(&meta.resource_version),
        labels: text(&meta.labels),
        annotations: text(&meta.annotations),
        finalizers: meta.finalizers.iter().map(ToString::to_string).collect(),
        owner_references: meta.owner_references.iter().map(owner).collect(),
        creation_timestamp: meta.creation_timestamp.as_ref().map(ToString::to_string),
        deletion_timestamp: meta.deletion_timestamp.as_ref().map(ToString::to_string),
        ..ObjectMeta::default()
    };
    let amounts = |map: &k8s::Amounts| -> BTreeMap<String, Quantity> {
        map.iter().map(|(name, amount)| (name.to_string(), Quantity(amount.0.to_string()))).collect()
    };
    let condition = |condition: &k8s::Condition| NodeCondition {
        type_: condition.kind.to_string(),
        status: condition.status.to_string(),
        reason: condition.reason.to_string(),
        last_transition_time: condition.last_transition_time.as_ref().map(ToString::to_string),
    };
    Node {
        metadata,
        spec: NodeSpec {
            provider_id: node.spec.provider_id.to_string(),
            taints: node.spec.taints.iter().filter_map(taint).collect(),
        },
        status: NodeStatus {
            capacity: amounts(&node.status.capacity),
            allocatable: amounts(&node.status.allocatable),
            conditions: node.status.conditions.iter().map(condition).collect(),
        },
    }
}

fn taint(taint: &k8s::NodeTaint) -> Option<Taint> {
    let effect = match &*taint.effect {
        "NoSchedule" => TaintEffect::NoSchedule,
        "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
        "NoExecute" => TaintEffect::NoExecute,
        // The API server takes in no other.
        _ => return None,
    };
    Some(Taint {
        key: taint.key.to_string(),
        value: taint.value.to_string(),
        effect,
        time_added: taint.time_added.as_ref().map(ToString::to_string),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_pool_sold_of_another_class_is_nothing_to_go_by() {
        let world = World::new(Mirror::new(&[]), Facts::default());
        let class = |name: &str| NodeClassRef { group: "g".into(), kind: "Class".into(), name: name.into() };
        let labels = [("g/class".into(), "new".into())].into();
        world.planned_with(&[Pool {
            name: "p".into(),
            weight: 0,
            labels,
            requirements: planner::model::Requirements::default(),
            taints: Vec::new(),
            startup_taints: Vec::new(),
            limits: planner::model::Resources::default(),
            replicas: None,
            not_ready: None,
            types: Arc::default(),
        }]);
        assert!(world.sold_by("p", &class("new")).is_some());
        assert!(world.sold_by("p", &class("old")).is_none() && world.sold_by("q", &class("new")).is_none());
    }

    #[test]
    fn a_budget_covers_pods_as_the_api_server_says() {
        let labels: planner::model::Labels = [("app".into(), "web".into())].into();
        for (written, expected) in [
            (json!(null), false),
            (json!({}), true),
            (json!({ "matchLabels": { "app": "web" } }), true),
            (json!({ "matchLabels": { "app": "db" } }), false),
            (json!({ "matchExpressions": [{ "key": "app", "operator": "In", "values": ["web", "db"] }] }), true),
            (json!({ "matchExpressions": [{ "key": "app", "operator": "NotIn", "values": ["web"] }] }), false),
            (json!({ "matchExpressions": [{ "key": "x", "operator": "NotIn", "values": ["web"] }] }), true),
            (json!({ "matchExpressions": [{ "key": "x", "operator": "Exists" }] }), false),
            (json!({ "matchExpressions": [{ "key": "x", "operator": "DoesNotExist" }] }), true),
        ] {
            let budget: k8s::PodDisruptionBudget =
                serde_json::from_value(json!({ "metadata": { "name": "b" }, "spec": { "selector": written } }))
                    .unwrap();
            assert_eq!(covered(&budget).is_some_and(|c| c.matches(&labels)), expected, "{written}");
        }
    }

    #[test]
    fn only_a_toleration_of_the_disrupted_taint_lets_a_pod_stay() {
        for (written, expected) in [
            (json!({ "operator": "Exists" }), true),
            (json!({ "key": "karpenter.sh/disrupted", "operator": "Exists" }), true),
            (json!({ "key": "karpenter.sh/disrupted", "operator": "Exists", "effect": "NoExecute" }), false),
            (json!({ "key": "karpenter.sh/disrupted", "operator": "Equal", "effect": "NoSchedule" }), true),
            (json!({ "key": "karpenter.sh/disrupted", "value": "x" }), false),
            (json!({ "key": "other", "operator": "Exists" }), false),
        ] {
            let toleration: k8s::pod::Toleration = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(tolerates_disrupted(&toleration), expected, "{written}");
        }
    }

    #[test]
    fn a_node_keeps_all_that_a_patch_could_take_away() {
        let written = json!({
            "metadata": { "name": "a", "uid": "u", "resourceVersion": "5", "labels": { "l": "1" }, "finalizers": ["f"],
                "ownerReferences": [{ "apiVersion": "v1", "kind": "K", "name": "n", "uid": "o", "blockOwnerDeletion": true }] },
            "spec": { "providerID": "kwok://a",
                "taints": [{ "key": "k", "value": "v", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z" }] },
            "status": { "capacity": { "cpu": "4" }, "conditions": [{ "type": "Ready", "status": "True" }] }
        });
        let direct: Node = serde_json::from_value(written.clone()).unwrap();
        let seen: k8s::Node = serde_json::from_value(written).unwrap();
        let mut seen = of_mirror(&seen);
        seen.metadata.generation = direct.metadata.generation;
        assert_eq!(seen, direct);
    }
}
