//! Tells of conditions of claims, pools and nodes as they change: an event each, and how long the last status stood.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cloud::Cloud;
use crds::{Condition, ConditionStatus, NodeClassRef, ObjectMeta, names};
use tokio_util::sync::CancellationToken;

use super::deps::{Deps, seconds};
use super::node::object::NodeCondition;
use super::time;
use crate::events::{About, catalog};
use crate::telemetry::{OfKind, Standing, Told};

/// How often it looks. What changes twice in between is told of once.
const PERIOD: Duration = Duration::from_secs(5);

/// Types of conditions that events are named after.
const TYPES: [&str; 20] = [
    "Ready",
    "Launched",
    "Registered",
    "Initialized",
    "Consolidatable",
    "Drifted",
    "DisruptionReason",
    "Drained",
    "VolumesDetached",
    "InstanceTerminating",
    "ConsistentStateFound",
    "ValidationSucceeded",
    "NodeClassReady",
    "NodeRegistrationHealthy",
    "AMIsReady",
    "SubnetsReady",
    "SecurityGroupsReady",
    "InstanceProfileReady",
    "PlacementGroupReady",
    "CapacityReservationsReady",
];

/// Group and kind, as series of all kinds have them.
const CLAIM: [&str; 2] = ["karpenter.sh", "NodeClaim"];
const EC2_CLASS: [&str; 2] = ["karpenter.k8s.aws", "EC2NodeClass"];
const POOL: [&str; 2] = ["karpenter.sh", "NodePool"];

/// One condition as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Last {
    status: String,
    reason: String,
    since: i64,
}

/// What was last seen of the objects of one kind, by name.
#[derive(Debug, Default)]
struct Seen(BTreeMap<String, Object>);

/// Conditions by type, the further labels of their series, and since when the object is being deleted.
#[derive(Debug, PartialEq, Eq)]
struct Object {
    extra: Vec<String>,
    conditions: BTreeMap<String, Last>,
    ends_since: Option<i64>,
}

/// A condition that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Transition {
    condition: Condition,
    /// None for one that was not there.
    from: Option<Last>,
}

impl Seen {
    /// Takes in the conditions of one object; gives those whose status or reason changed, and those that are gone.
    /// An object that is seen for the first time has no transitions: nobody knows when they happened.
    fn look(
        &mut self,
        meta: &ObjectMeta,
        extra: &[&str],
        conditions: &[Condition],
    ) -> (Vec<Transition>, Vec<(String, Last)>) {
        let (name, extra) = (meta.name(), extra.iter().map(ToString::to_string).collect());
        let ends_since = meta.deletion_timestamp.as_deref().and_then(time::seconds);
        let conditions_now = conditions.iter().map(|c| (c.type_.clone(), last(c))).collect();
        let now = Object { extra, conditions: conditions_now, ends_since };
        let Some(before) = self.0.insert(name.to_owned(), now) else { return (Vec::new(), Vec::new()) };
        let before = before.conditions;
        let changed = conditions.iter().filter_map(|condition| {
            let from = before.get(&condition.type_).cloned();
            let is_same = from
                .as_ref()
                .is_some_and(|from| from.status == condition.status.to_string() && from.reason == condition.reason);
            (!is_same).then(|| Transition { condition: condition.clone(), from })
        });
        let changed: Vec<_> = changed.collect();
        let is_gone = |type_: &String| !conditions.iter().any(|condition| condition.type_ == *type_);
        (changed, before.into_iter().filter(|(type_, _)| is_gone(type_)).collect())
    }

    /// What was seen of an object whose further labels are others now.
    fn relabelled(&mut self, name: &str, extra: &[&str]) -> Option<Object> {
        let old = self.0.get(name).filter(|old| old.extra != extra)?;
        Some(Object { extra: old.extra.clone(), conditions: old.conditions.clone(), ends_since: old.ends_since })
    }

    /// Objects that are not among these are gone.
    fn forget(&mut self, there: &BTreeSet<&str>) -> Vec<(String, Object)> {
        let gone: Vec<String> = self.0.keys().filter(|name| !there.contains(name.as_str())).cloned().collect();
        gone.into_iter().filter_map(|name| self.0.remove_entry(&name)).collect()
    }
}

fn last(condition: &Condition) -> Last {
    Last {
        status: condition.status.to_string(),
        reason: condition.reason.clone(),
        since: time::seconds(&condition.last_transition_time).unwrap_or_default(),
    }
}

/// What was seen of each kind.
#[derive(Debug, Default)]
struct AllSeen {
    claims: Seen,
    pools: Seen,
    ec2_classes: Seen,
    nodes: Seen,
}

/// Looks until `stop`.
pub async fn run<C: Cloud>(deps: Arc<Deps<C>>, stop: CancellationToken) {
    let mut seen = AllSeen::default();
    loop {
        look(&deps, &mut seen);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

fn look<C: Cloud>(deps: &Deps<C>, seen: &mut AllSeen) {
    let family = &deps.metrics.conditions;
    let now = deps.clock.seconds();
    let is_ours = |class: &NodeClassRef| deps.is_managed(class);
    let claims = deps.world.mirror.claims();
    for claim in claims.iter().filter(|claim| is_ours(&claim.spec.node_class_ref)) {
        let meta = &claim.metadata;
        let conditions = claim.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let pool = meta.labels.get(names::core::NODE_POOL).map(String::as_str).unwrap_or_default();
        let about = About::node_claim(meta.name(), meta.uid.as_deref().unwrap_or_default());
        let extra = [claim.spec.node_class_ref.name.as_str(), pool];
        let told = Told { own: (&family.nodeclaim, extra), any: Some((&family.any, CLAIM)), holds: true };
        tell(deps, &told, &mut seen.claims, (meta, conditions), Some(&about), now);
    }
    let there = claims.iter().map(|claim| claim.metadata.name()).collect();
    end(&family.nodeclaim, Some((&family.any, CLAIM)), seen.claims.forget(&there), now);
    let pools = deps.world.mirror.pools();
    for pool in pools.iter().filter(|pool| is_ours(&pool.spec.template.spec.node_class_ref)) {
        let meta = &pool.metadata;
        let conditions = pool.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let about = About::node_pool(meta.name(), meta.uid.as_deref().unwrap_or_default());
        let told = Told { own: (&family.nodepool, []), any: Some((&family.any, POOL)), holds: true };
        tell(deps, &told, &mut seen.pools, (meta, conditions), Some(&about), now);
    }
    let there = pools.iter().map(|pool| pool.metadata.name()).collect();
    end(&family.nodepool, Some((&family.any, POOL)), seen.pools.forget(&there), now);
    ec2_classes(deps, &mut seen.ec2_classes, now);
    nodes(deps, &mut seen.nodes, now);
}

/// Classes of EC2's machines, where there are some.
fn ec2_classes<C: Cloud>(deps: &Deps<C>, seen: &mut Seen, now: i64) {
    let family = &deps.metrics.conditions;
    let classes = deps.world.mirror.ec2_classes();
    for class in &classes {
        let meta = &class.metadata;
        let conditions = class.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let about = About::ec2_node_class(meta.name(), meta.uid.as_deref().unwrap_or_default());
        let told = Told { own: (&family.ec2nodeclass, []), any: Some((&family.any, EC2_CLASS)), holds: true };
        tell(deps, &told, seen, (meta, conditions), Some(&about), now);
    }
    let there = classes.iter().map(|class| class.metadata.name()).collect();
    end(&family.ec2nodeclass, Some((&family.any, EC2_CLASS)), seen.forget(&there), now);
}

/// Nodes: measured, and left to kubelet and node controller to speak of.
fn nodes<C: Cloud>(deps: &Deps<C>, seen: &mut Seen, now: i64) {
    let family = &deps.metrics.conditions.node;
    let nodes = deps.world.nodes();
    for node in &nodes {
        let label = |key: &str| node.metadata.labels.get(key).map(String::as_str).unwrap_or_default();
        let claim = deps.world.claim_of(node);
        let class = claim.as_ref().map_or("", |claim| claim.spec.node_class_ref.name.as_str());
        let extra = [class, label(names::core::NODE_POOL), label(names::core::INITIALIZED)];
        let conditions: Vec<Condition> = node.status.conditions.iter().map(of_node).collect();
        let told = Told { own: (family, extra), any: None, holds: false };
        tell(deps, &told, seen, (&node.metadata, &conditions), None, now);
    }
    end(family, None, seen.forget(&nodes.iter().map(super::node::Node::name).collect()), now);
}

fn of_node(condition: &NodeCondition) -> Condition {
    let status = match condition.status.as_str() {
        "True" => ConditionStatus::True,
        "False" => ConditionStatus::False,
        _ => ConditionStatus::Unknown,
    };
    Condition {
        type_: condition.type_.clone(),
        status,
        reason: condition.reason.clone(),
        message: String::new(),
        last_transition_time: condition.last_transition_time.clone().unwrap_or_default(),
        observed_generation: 0,
    }
}

fn tell<C: Cloud, const N: usize>(
    deps: &Deps<C>,
    told: &Told<'_, N>,
    seen: &mut Seen,
    (meta, conditions): (&ObjectMeta, &[Condition]),
    about: Option<&About>,
    now: i64,
) {
    let name = meta.name();
    if let Some(since) = meta.deletion_timestamp.as_deref().and_then(time::seconds) {
        told.ending("", name, seconds(now - since));
    }
    // Series of an object whose further labels change would stand beside the new ones.
    if let Some(old) = seen.relabelled(name, &told.own.1) {
        end_one(told.own.0, told.any, name, &old, None);
    }
    let (changed, gone) = seen.look(meta, &told.own.1, conditions);
    for Transition { condition, from } in changed {
        let status = condition.status.to_string();
        let after =
            Standing { namespace: "", name, condition: &condition.type_, status: &status, reason: &condition.reason };
        if let Some(from) = &from {
            told.stands_no_more(&Standing { status: &from.status, reason: &from.reason, ..after });
        }
        let left = from.as_ref().map_or("Unknown", |from| from.status.as_str());
        if from.as_ref().is_some_and(|from| from.status == status) {
            continue;
        }
        let stood = last(&condition).since - from.as_ref().map_or(last(&condition).since, |from| from.since);
        told.changed(&after, left, seconds(stood));
        let type_ = TYPES.into_iter().find(|type_| *type_ == condition.type_);
        if let (Some(type_), Some(about)) = (type_, about) {
            let event =
                catalog::condition_changed(type_, &about.uid, left, &status, &condition.reason, &condition.message);
            deps.recorder.publish(about.clone(), event);
        }
    }
    for (type_, last) in gone {
        let standing = Standing { namespace: "", name, condition: &type_, status: &last.status, reason: &last.reason };
        told.stands_no_more(&standing);
    }
    for condition in conditions {
        let last = last(condition);
        let standing =
            Standing { namespace: "", name, condition: &condition.type_, status: &last.status, reason: &last.reason };
        told.stands(&standing, seconds(now - last.since));
    }
}

fn end<const N: usize>(own: &OfKind<N>, any: Any<'_>, gone: Vec<(String, Object)>, now: i64) {
    for (name, object) in gone {
        end_one(own, any, &name, &object, Some(now));
    }
}

/// Where all kinds are told of, with group and kind.
type Any<'a> = Option<(&'a OfKind<2>, [&'a str; 2])>;

/// The series of an object disappear; with a time, the object has ended then.
fn end_one<const N: usize>(own: &OfKind<N>, any: Any<'_>, name: &str, object: &Object, ended: Option<i64>) {
    let extra = std::array::from_fn(|idx| object.extra.get(idx).map(String::as_str).unwrap_or_default());
    let told = Told { own: (own, extra), any, holds: true };
    for (type_, last) in &object.conditions {
        let standing = Standing { namespace: "", name, condition: type_, status: &last.status, reason: &last.reason };
        told.stands_no_more(&standing);
    }
    if let (Some(since), Some(now)) = (object.ends_since, ended) {
        told.ended("", name, seconds(now - since));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::claim::testing::{launched, registered};

    fn conditions(claim: &crds::NodeClaim) -> &[Condition] {
        &claim.status.as_ref().unwrap().conditions
    }

    #[test]
    fn the_first_look_tells_nothing_and_later_ones_what_changed() {
        let mut seen = Seen::default();
        let (before, after) = (launched("a"), registered("a"));
        assert_eq!(seen.look(&before.metadata, &[], conditions(&before)), (Vec::new(), Vec::new()));
        assert_eq!(seen.look(&before.metadata, &[], conditions(&before)), (Vec::new(), Vec::new()));
        let (changed, gone) = seen.look(&after.metadata, &[], conditions(&after));
        let types: Vec<_> = changed.iter().map(|t| (t.condition.type_.as_str(), t.condition.is_true())).collect();
        assert_eq!(types, [("Registered", true)]);
        assert_eq!(gone, []);
        let (_, gone) = seen.look(&after.metadata, &[], &[]);
        assert_eq!(gone.len(), 4);
        assert_eq!(seen.forget(&BTreeSet::new()).len(), 1);
    }
}
