//! The objects that others refer to, indexed.

use std::collections::{BTreeMap, BTreeSet};

use planner::model::selector::LabelSelector;
use planner::model::{Labels, Str};

use super::super::error::InputError;
use super::super::k8s::{self, NodeClaim};
use super::super::objects::{Objects, Sourced};
use super::super::options::Options;
use super::at::At;
use super::labels::selector;
use super::time;

/// Lookups while translating.
pub(super) struct World<'a> {
    pub(super) objects: &'a Objects,
    /// The snapshot's clock, seconds since the Unix epoch.
    pub(super) now: i64,
    namespaces: BTreeMap<Str, Labels>,
    pub(super) volumes: BTreeMap<&'a str, &'a Sourced<k8s::PersistentVolume>>,
    pub(super) claims: BTreeMap<(&'a str, &'a str), &'a Sourced<k8s::PersistentVolumeClaim>>,
    pub(super) classes: BTreeMap<&'a str, &'a Sourced<k8s::StorageClass>>,
    pub(super) default_class: Option<&'a str>,
    pub(super) runtimes: BTreeMap<&'a str, &'a Sourced<k8s::RuntimeClass>>,
    priorities: BTreeMap<&'a str, i32>,
    default_priority: i32,
    /// CSI drivers that have an attach limit on some node: only their volumes can matter.
    pub(super) limited_drivers: BTreeSet<&'a str>,
    /// Spread constraints of pods to place that have none.
    pub(super) default_spreads: Vec<k8s::pod::SpreadConstraint>,
    budgets: Vec<Budget<'a>>,
    claims_by_node: BTreeMap<&'a str, &'a Sourced<NodeClaim>>,
    claims_by_provider: BTreeMap<&'a str, &'a Sourced<NodeClaim>>,
    claims_by_name: BTreeMap<&'a str, &'a Sourced<NodeClaim>>,
    csi_nodes: BTreeMap<&'a str, &'a k8s::CsiNode>,
}

struct Budget<'a> {
    namespace: &'a str,
    selector: LabelSelector,
    /// Allows no eviction, whatever runs.
    blocking: bool,
    /// Evicts pods that are not ready all the same.
    spares_unready: bool,
}

impl<'a> World<'a> {
    pub(super) fn new(objects: &'a Objects, options: &Options) -> Result<Self, InputError> {
        let drivers = objects.csi_nodes.iter().flat_map(|node| &node.object.spec.drivers);
        let default = objects.storage_classes.iter().filter(|class| class.object.is_default());
        // Of several default classes the API server takes the newest.
        let default = default.max_by_key(|class| {
            (time::epoch(class.object.metadata.creation_timestamp.as_deref()), &class.object.metadata.name)
        });
        let global = objects.priority_classes.iter().filter(|class| class.object.global_default);
        Ok(Self {
            objects,
            now: options.now,
            default_spreads: options.scheduler_config.clone().unwrap_or_default().0,
            namespaces: namespaces(objects),
            volumes: objects.volumes.iter().map(|v| (&*v.object.metadata.name, &**v)).collect(),
            claims: objects
                .claims
                .iter()
                .map(|c| ((c.object.metadata.namespace(), &*c.object.metadata.name), &**c))
                .collect(),
            classes: objects.storage_classes.iter().map(|c| (&*c.object.metadata.name, &**c)).collect(),
            default_class: default.map(|class| &*class.object.metadata.name),
            runtimes: objects.runtime_classes.iter().map(|c| (&*c.object.metadata.name, &**c)).collect(),
            priorities: objects.priority_classes.iter().map(|c| (&*c.object.metadata.name, c.object.value)).collect(),
            default_priority: global.map(|class| class.object.value).min().unwrap_or(0),
            limited_drivers: drivers.filter(|d| d.allocatable.count.is_some()).map(|d| &*d.name).collect(),
            budgets: objects.budgets.iter().map(|b| budget(b)).collect::<Result<_, _>>()?,
            claims_by_node: by(objects, |claim| &claim.status.node_name),
            claims_by_provider: by(objects, |claim| &claim.status.provider_id),
            claims_by_name: by(objects, |claim| &claim.metadata.name),
            csi_nodes: objects.csi_nodes.iter().map(|csi| (&*csi.metadata.name, &csi.object)).collect(),
        })
    }

    /// Names of the namespaces whose labels match.
    pub(super) fn namespaces_where<'s>(&'s self, wanted: &'s LabelSelector) -> impl Iterator<Item = Str> + 's {
        self.namespaces.iter().filter(|(_, labels)| wanted.matches(labels)).map(|(name, _)| name.clone())
    }

    /// A pod's priority.
    pub(super) fn priority(&self, spec: &k8s::PodSpec) -> i32 {
        spec.priority.unwrap_or_else(|| match &*spec.priority_class_name {
            "" => self.default_priority,
            name => self.priorities.get(name).copied().unwrap_or(match name {
                "system-node-critical" => 2_000_001_000,
                "system-cluster-critical" => 2_000_000_000,
                _ => self.default_priority,
            }),
        })
    }

    /// Is eviction of this pod ruled out by a budget that can never allow one, or by more than one budget?
    pub(super) fn held_by_budget(&self, pod: &k8s::ObjectMeta, unready: bool) -> bool {
        let namespace = pod.namespace();
        let over = || self.budgets.iter().filter(|b| b.namespace == namespace && b.selector.matches(&pod.labels));
        over().nth(1).is_some() || over().any(|b| b.blocking && !(b.spares_unready && unready))
    }

    /// The CSI drivers on a node.
    pub(super) fn csi_node(&self, node: &str) -> Option<&'a k8s::CsiNode> {
        self.csi_nodes.get(node).copied()
    }

    /// The claim behind a node. Clouds give the name of a machine that is gone to another one, so a name counts only where
    /// one side has no provider id. A watch may show a node's registration, which makes the claim its owner, before it shows
    /// the claim's own status; without the owner the machine would count twice, as a node and as one that is coming.
    pub(super) fn claim_of(&self, node: &k8s::Node) -> Option<&'a Sourced<NodeClaim>> {
        let id = &*node.spec.provider_id;
        let is_unknown = |claim: &&&Sourced<NodeClaim>| id.is_empty() || claim.object.status.provider_id.is_empty();
        let by_status = self.claims_by_provider.get(id);
        let by_status = by_status.or_else(|| self.claims_by_node.get(&*node.metadata.name).filter(is_unknown));
        let owner = || node.metadata.owner_references.iter().find(|owner| &*owner.kind == "NodeClaim");
        by_status.or_else(|| self.claims_by_name.get(&*owner()?.name)).copied()
    }
}

fn by<'a>(objects: &'a Objects, key: impl Fn(&'a NodeClaim) -> &'a str) -> BTreeMap<&'a str, &'a Sourced<NodeClaim>> {
    let claims = objects.node_claims.iter().map(|claim| (key(&claim.object), &**claim));
    claims.filter(|(key, _)| !key.is_empty()).collect()
}

/// Namespaces with their labels; one that is only lived in has the label of its name.
fn namespaces(objects: &Objects) -> BTreeMap<Str, Labels> {
    let named = |name: &str| Labels::from([("kubernetes.io/metadata.name".into(), name.into())]);
    let pods = objects.pods.iter().map(|p| &p.object.metadata);
    let workloads =
        [&objects.deployments, &objects.replica_sets, &objects.stateful_sets, &objects.replication_controllers];
    let workloads = workloads.into_iter().flatten().map(|w| &w.object.metadata);
    let jobs = objects.jobs.iter().map(|j| &j.object.metadata);
    let mut out: BTreeMap<Str, Labels> = BTreeMap::new();
    for meta in pods.chain(workloads).chain(jobs) {
        let name = meta.namespace();
        if !out.contains_key(name) {
            out.insert(name.into(), named(name));
        }
    }
    out.extend(objects.namespaces.iter().map(|n| (n.object.metadata.name.clone(), n.object.labels())));
    out
}

fn budget(budget: &Sourced<k8s::PodDisruptionBudget>) -> Result<Budget<'_>, InputError> {
    let Sourced { origin, object } = budget;
    let at = At::new(origin, "PodDisruptionBudget", &object.metadata, "spec");
    let spec = &object.spec;
    let never = |amount: &Option<k8s::Amount>, texts: &[&str]| amount.as_ref().is_some_and(|a| texts.contains(&&*a.0));
    // No selector selects nothing: a condition nothing meets.
    let picks = match &spec.selector {
        Some(wanted) => selector(&at, "selector", wanted)?,
        None => LabelSelector::equal([("".into(), "".into())]),
    };
    Ok(Budget {
        namespace: object.metadata.namespace(),
        selector: picks,
        blocking: never(&spec.max_unavailable, &["0", "0%"]) || never(&spec.min_available, &["100%"]),
        spares_unready: &*spec.unhealthy_pod_eviction_policy == "AlwaysAllow",
    })
}
