//! Tells of conditions of claims, pools and nodes as they change: an event each, and how long the last status stood.

mod seen;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cloud::Cloud;
use crds::conditions::ConditionTypes;
use crds::{CapacityBuffer, Condition, Ec2NodeClass, NodeClaim, NodePool, ObjectMeta, names};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::deps::{Deps, seconds};
use super::time;
use crate::events::{About, catalog};
use crate::observe::k8s;
use crate::observe::mirror::Kind;
use crate::telemetry::{OfKind, Standing, Told};
use seen::{Object, Transition, last};

pub(super) use seen::Seen;

/// What changes is told of as it comes; how often it is told how long all else has stood.
const PERIOD: Duration = Duration::from_secs(5);

/// The kinds whose conditions are told of from the mirror.
const KINDS: [Kind; 4] = [Kind::NodeClaim, Kind::NodePool, Kind::Ec2NodeClass, Kind::Node];

/// Types of conditions that events are named after.
const TYPES: [&str; 22] = [
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
    "ReadyForProvisioning",
    "Provisioning",
];

/// Group and kind, as series of all kinds have them.
const CLAIM: [&str; 2] = ["karpenter.sh", "NodeClaim"];
const EC2_CLASS: [&str; 2] = ["karpenter.k8s.aws", "EC2NodeClass"];
const POOL: [&str; 2] = ["karpenter.sh", "NodePool"];
const BUFFER: [&str; 2] = ["autoscaling.x-k8s.io", "CapacityBuffer"];

/// What was seen of each kind.
#[derive(Debug)]
struct AllSeen {
    claims: Seen,
    pools: Seen,
    ec2_classes: Seen,
    nodes: Seen,
}

/// Tells of each change as it comes, and every few seconds how long everything has stood, until `stop`.
pub async fn run<C: Cloud>(deps: Arc<Deps<C>>, stop: CancellationToken) {
    let now = deps.clock.seconds();
    let seen = |types: ConditionTypes| Seen::new(now, Some(&types));
    let mut seen = AllSeen {
        claims: seen(ConditionTypes::node_claim()),
        pools: seen(ConditionTypes::node_pool()),
        ec2_classes: seen(ConditionTypes::ec2_node_class(true)),
        nodes: Seen::new(now, None),
    };
    let mut changes = deps.world.mirror.changes(&KINDS);
    let mut sweep_at = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(sweep_at) => {
                sweep(&deps, &mut seen);
                sweep_at = Instant::now() + PERIOD;
            }
            change = changes.next() => look(&deps, &mut seen, change.kind, &change.name),
        }
    }
}

/// One object has changed.
fn look<C: Cloud>(deps: &Deps<C>, seen: &mut AllSeen, kind: Kind, name: &str) {
    let family = &deps.metrics.conditions;
    let (world, now) = (&deps.world, deps.clock.seconds());
    match kind {
        Kind::NodeClaim => match world.claim(name).filter(|claim| deps.is_managed(&claim.spec.node_class_ref)) {
            Some(claim) => of_claim(deps, &mut seen.claims, &claim, now),
            None => end(&family.nodeclaim, Some((&family.any, CLAIM)), seen.claims.forget(name), now),
        },
        Kind::NodePool => {
            let is_ours = |pool: &Arc<NodePool>| deps.is_managed(&pool.spec.template.spec.node_class_ref);
            match world.pool(name).filter(is_ours) {
                Some(pool) => of_pool(deps, &mut seen.pools, &pool, now),
                None => end(&family.nodepool, Some((&family.any, POOL)), seen.pools.forget(name), now),
            }
        }
        Kind::Ec2NodeClass => match world.mirror.ec2_class(name) {
            Some(class) => of_ec2_class(deps, &mut seen.ec2_classes, &class, now),
            None => end(&family.ec2nodeclass, Some((&family.any, EC2_CLASS)), seen.ec2_classes.forget(name), now),
        },
        Kind::Node => match world.mirror.node(name) {
            Some(node) => of_node(deps, &mut seen.nodes, &node, now),
            None => end(&family.node, None, seen.nodes.forget(name), now),
        },
        _ => {}
    }
}

/// All objects, and those that are gone: how long each condition has stood changes by itself.
fn sweep<C: Cloud>(deps: &Deps<C>, seen: &mut AllSeen) {
    let mirror = &deps.world.mirror;
    let (claims, pools, classes, nodes) = (mirror.claims(), mirror.pools(), mirror.ec2_classes(), mirror.nodes());
    let claims: BTreeSet<&str> = claims.iter().map(|claim| claim.metadata.name()).collect();
    let pools: BTreeSet<&str> = pools.iter().map(|pool| pool.metadata.name()).collect();
    let classes: BTreeSet<&str> = classes.iter().map(|class| class.metadata.name()).collect();
    let nodes: BTreeSet<&str> = nodes.iter().map(|node| &*node.metadata.name).collect();
    for (kind, there) in
        [(Kind::NodeClaim, claims), (Kind::NodePool, pools), (Kind::Ec2NodeClass, classes), (Kind::Node, nodes)]
    {
        let known = match kind {
            Kind::NodeClaim => &seen.claims,
            Kind::NodePool => &seen.pools,
            Kind::Ec2NodeClass => &seen.ec2_classes,
            _ => &seen.nodes,
        };
        let gone = known.without(|name| there.contains(name));
        for name in gone.iter().map(String::as_str).chain(there) {
            look(deps, seen, kind, name);
        }
    }
}

fn of_claim<C: Cloud>(deps: &Deps<C>, seen: &mut Seen, claim: &NodeClaim, now: i64) {
    let (meta, family) = (&claim.metadata, &deps.metrics.conditions);
    let conditions = claim.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let pool = meta.labels.get(names::core::NODE_POOL).map(String::as_str).unwrap_or_default();
    let about = About::node_claim(meta.name(), meta.uid.as_deref().unwrap_or_default());
    let extra = [claim.spec.node_class_ref.name.as_str(), pool];
    let told = Told { own: (&family.nodeclaim, extra), any: Some((&family.any, CLAIM)), holds: true };
    tell(deps, &told, seen, (meta, conditions), Some(&about), now);
}

fn of_pool<C: Cloud>(deps: &Deps<C>, seen: &mut Seen, pool: &NodePool, now: i64) {
    let (meta, family) = (&pool.metadata, &deps.metrics.conditions);
    let conditions = pool.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let about = About::node_pool(meta.name(), meta.uid.as_deref().unwrap_or_default());
    let told = Told { own: (&family.nodepool, []), any: Some((&family.any, POOL)), holds: true };
    tell(deps, &told, seen, (meta, conditions), Some(&about), now);
}

/// Classes of EC2's machines, where there are some.
fn of_ec2_class<C: Cloud>(deps: &Deps<C>, seen: &mut Seen, class: &Ec2NodeClass, now: i64) {
    let (meta, family) = (&class.metadata, &deps.metrics.conditions);
    let conditions = class.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let about = About::ec2_node_class(meta.name(), meta.uid.as_deref().unwrap_or_default());
    let told = Told { own: (&family.ec2nodeclass, []), any: Some((&family.any, EC2_CLASS)), holds: true };
    tell(deps, &told, seen, (meta, conditions), Some(&about), now);
}

/// Nodes: measured, and left to kubelet and node controller to speak of.
fn of_node<C: Cloud>(deps: &Deps<C>, seen: &mut Seen, node: &k8s::Node, now: i64) {
    let label = |key: &str| node.metadata.labels.get(key).map(|value| &**value).unwrap_or_default();
    let claim = deps.world.claim_of_provider(&node.spec.provider_id);
    let class = claim.as_ref().map_or("", |claim| claim.spec.node_class_ref.name.as_str());
    let extra = [class, label(names::core::NODE_POOL), label(names::core::INITIALIZED)];
    let conditions: Vec<Condition> = node.status.conditions.iter().map(seen::of_node).collect();
    let meta = seen::meta_of_node(&node.metadata);
    let told = Told { own: (&deps.metrics.conditions.node, extra), any: None, holds: false };
    tell(deps, &told, seen, (&meta, &conditions), None, now);
}

/// Capacity buffers, as far as whoever keeps their status has read them.
pub(super) fn of_buffers<C: Cloud>(deps: &Deps<C>, seen: &mut Seen, buffers: &[CapacityBuffer]) {
    let (family, now) = (&deps.metrics.conditions, deps.clock.seconds());
    let any = Some((&family.any, BUFFER));
    for buffer in buffers {
        let meta = &buffer.metadata;
        let conditions = buffer.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let (namespace, uid) = (meta.namespace.as_deref().unwrap_or_default(), meta.uid.as_deref().unwrap_or_default());
        let about = About::capacity_buffer(namespace, meta.name(), uid);
        let told = Told { own: (&family.capacitybuffer, []), any, holds: true };
        tell(deps, &told, seen, (meta, conditions), Some(&about), now);
    }
    let there: BTreeSet<String> = buffers.iter().map(|buffer| seen::key(&buffer.metadata)).collect();
    for key in seen.without(|key| there.contains(key)) {
        end(&family.capacitybuffer, any, seen.forget(&key), now);
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
    let (namespace, name) = (meta.namespace.as_deref().unwrap_or_default(), meta.name());
    if let Some(since) = meta.deletion_timestamp.as_deref().and_then(time::seconds) {
        told.ending(namespace, name, seconds(now - since));
    }
    // Series of an object whose further labels change would stand beside the new ones.
    if let Some(old) = seen.relabelled(&seen::key(meta), &told.own.1) {
        end_one(told.own.0, told.any, &old, None);
    }
    let (changed, gone) = seen.look(meta, &told.own.1, conditions);
    for transition in changed {
        let Transition { condition, from } = &transition;
        let status = condition.status.to_string();
        let after =
            Standing { namespace, name, condition: &condition.type_, status: &status, reason: &condition.reason };
        if let Some(from) = from {
            told.stands_no_more(&Standing { status: &from.status, reason: &from.reason, ..after });
        }
        if !transition.is_of_status() {
            continue;
        }
        let Some(from) = from else {
            told.came(&after);
            continue;
        };
        told.changed(&after, &from.status, seconds(last(condition).since - from.since));
        let type_ = TYPES.into_iter().find(|type_| *type_ == condition.type_);
        if let (Some(type_), Some(about)) = (type_, about) {
            let (reason, message) = (&condition.reason, &condition.message);
            let event = catalog::condition_changed(type_, &about.uid, &from.status, &status, reason, message);
            deps.recorder.publish(about.clone(), event);
        }
    }
    for (type_, last) in gone {
        told.stands_no_more(&Standing {
            namespace,
            name,
            condition: &type_,
            status: &last.status,
            reason: &last.reason,
        });
    }
    for condition in conditions {
        let last = last(condition);
        let standing =
            Standing { namespace, name, condition: &condition.type_, status: &last.status, reason: &last.reason };
        told.stands(&standing, seconds(now - last.since));
    }
}

/// Where all kinds are told of, with group and kind.
type Any<'a> = Option<(&'a OfKind<2>, [&'a str; 2])>;

/// An object is gone, if it was seen.
fn end<const N: usize>(own: &OfKind<N>, any: Any<'_>, gone: Option<Object>, now: i64) {
    if let Some(object) = gone {
        end_one(own, any, &object, Some(now));
    }
}

/// The series of an object disappear; with a time, the object has ended then.
fn end_one<const N: usize>(own: &OfKind<N>, any: Any<'_>, object: &Object, ended: Option<i64>) {
    let extra = std::array::from_fn(|idx| object.extra.get(idx).map(String::as_str).unwrap_or_default());
    let (told, namespace, name) = (Told { own: (own, extra), any, holds: true }, &*object.namespace, &*object.name);
    for (type_, last) in &object.conditions {
        told.stands_no_more(&Standing {
            namespace,
            name,
            condition: type_,
            status: &last.status,
            reason: &last.reason,
        });
    }
    if let (Some(since), Some(now)) = (object.ends_since, ended) {
        told.ended(namespace, name, seconds(now - since));
    }
}
