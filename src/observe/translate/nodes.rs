//! Nodes that have joined, and claims whose node has not.

use std::collections::{BTreeMap, BTreeSet};

use planner::model::labels::{HOSTNAME, INITIALIZED, NODEPOOL, REGISTERED};
use planner::model::{Claim, Effect, Labels, Node, Resources, Str, Taint};

use super::super::error::{InputError, Origin};
use super::super::k8s::meta::condition;
use super::super::k8s::{self, NodeClaim};
use super::super::objects::{Seen, Sourced};
use super::at::At;
use super::labels::{normalized, pool_requirements};
use super::taints::{UNSCHEDULABLE, ephemeral, taints};
use super::world::World;

/// A node without its pods.
pub(super) fn node(source: &Sourced<k8s::Node>, world: &World<'_>) -> Result<Node, InputError> {
    let Sourced { origin, object } = source;
    let at = At::new(origin, "Node", &object.metadata, "");
    let claim = world.claim_of(object);
    let own = normalized(&object.metadata.labels);
    let said = |key: &str| own.get(key).is_some_and(|value| &**value == "true");
    // What nobody manages has nothing to wait for.
    let (registered, initialized) = (claim.is_none() || said(REGISTERED), claim.is_none() || said(INITIALIZED));
    let mut labels = match claim {
        Some(claim) if !registered => claim_labels(claim)?,
        _ => Labels::new(),
    };
    labels.extend(own);
    labels.entry(HOSTNAME.into()).or_insert_with(|| object.metadata.name.clone());

    let mut marks = taints(&at, "spec.taints", &object.spec.taints)?;
    if object.spec.unschedulable {
        marks.push(Taint { key: UNSCHEDULABLE.into(), value: "".into(), effect: Effect::NoSchedule });
    }
    if let (Some(claim), false) = (claim, initialized) {
        let claim_at = At::new(&claim.origin, "NodeClaim", &claim.object.metadata, "spec");
        let startup = taints(&claim_at, "startupTaints", &claim.object.spec.startup_taints)?;
        let goes =
            |mark: &Taint| ephemeral(mark) || startup.iter().any(|s| s.key == mark.key && s.effect == mark.effect);
        marks.retain(|mark| !goes(mark));
        if !registered {
            marks.extend(taints(&claim_at, "taints", &claim.object.spec.taints)?);
        }
    }
    marks.sort();
    marks.dedup();

    let status = &object.status;
    let mut capacity = at.resources("status.capacity", &status.capacity)?;
    let mut allocatable = if status.allocatable.is_empty() {
        capacity.clone()
    } else {
        at.resources("status.allocatable", &status.allocatable)?
    };
    if let (Some(claim), false) = (claim, initialized) {
        let (promised_capacity, promised) = promised(claim)?;
        fill_zeros(&mut capacity, &promised_capacity);
        fill_zeros(&mut allocatable, &promised);
    }
    let claim_deleting = claim.is_some_and(|claim| claim_deleting(&claim.object));
    Ok(Node {
        name: object.metadata.name.clone(),
        pool: labels.get(NODEPOOL).cloned(),
        labels,
        taints: marks,
        capacity,
        allocatable,
        claim: claim.map(|claim| claim.object.metadata.name.clone()),
        initialized,
        deleting: object.metadata.deleting() || claim_deleting,
        pods: Vec::new(),
        attach_limits: attach_limits(&object.metadata.name, world),
    })
}

/// Claims that no node in the input belongs to.
pub(super) fn claims<'a>(world: &World<'a>) -> impl Iterator<Item = &'a Seen<NodeClaim>> + use<'a> {
    let joined: BTreeSet<&str> = world
        .objects
        .nodes
        .iter()
        .filter_map(|node| world.claim_of(&node.object))
        .map(|claim| &*claim.object.metadata.name)
        .collect();
    world.objects.node_claims.iter().filter(move |claim| !joined.contains(&*claim.object.metadata.name))
}

/// A claim whose node has not joined, or has joined and is gone. The latter has no room: nothing is coming. It counts
/// against limits for as long as its machine may be there.
pub(super) fn claim(source: &Seen<NodeClaim>) -> Result<Claim, InputError> {
    let Sourced { origin, object } = &**source;
    let at = At::new(origin, "NodeClaim", &object.metadata, "spec");
    let mut labels = claim_labels(source)?;
    labels.entry(HOSTNAME.into()).or_insert_with(|| object.metadata.name.clone());
    let (capacity, mut allocatable) = promised(source)?;
    let registered = condition(&object.status.conditions, "Registered");
    let bereft = registered.is_some_and(|registered| &*registered.status == "True");
    if bereft {
        allocatable = Resources::default();
    }
    Ok(Claim {
        name: object.metadata.name.clone(),
        pool: labels.get(NODEPOOL).cloned(),
        labels,
        taints: taints(&at, "taints", &object.spec.taints)?,
        capacity,
        allocatable,
        deleting: claim_deleting(object),
        bereft,
    })
}

/// Being deleted, or its instance is being terminated.
fn claim_deleting(claim: &NodeClaim) -> bool {
    let terminating = condition(&claim.status.conditions, "InstanceTerminating");
    claim.metadata.deleting() || terminating.is_some_and(|c| &*c.status == "True")
}

/// Its labels, and requirements that leave one value.
fn claim_labels(claim: &Sourced<NodeClaim>) -> Result<Labels, InputError> {
    let Sourced { origin, object } = claim;
    let at = At::new(origin, "NodeClaim", &object.metadata, "spec");
    let requirements = pool_requirements(&at, "requirements", &object.spec.requirements)?;
    let single = requirements.iter().filter_map(|r| Some((r.key.clone(), r.single()?.clone())));
    let mut labels: Labels = single.collect();
    labels.extend(normalized(&object.metadata.labels));
    Ok(labels)
}

/// What a node says it has for pods; None where that cannot be read.
pub(crate) fn allocatable(node: &k8s::Node) -> Option<Resources> {
    let origin = Origin { file: "cluster".into(), line: 0 };
    At::new(&origin, "Node", &node.metadata, "").resources("status.allocatable", &node.status.allocatable).ok()
}

/// Capacity and allocatable that a claim will have; before its launch, what it was asked to hold.
fn promised(claim: &Sourced<NodeClaim>) -> Result<(Resources, Resources), InputError> {
    let Sourced { origin, object } = claim;
    let at = At::new(origin, "NodeClaim", &object.metadata, "");
    let asked = at.resources("spec.resources.requests", &object.spec.resources.requests)?;
    let or_asked = |field: &str, amounts: &k8s::Amounts| {
        if amounts.is_empty() { Ok(asked.clone()) } else { at.resources(field, amounts) }
    };
    Ok((
        or_asked("status.capacity", &object.status.capacity)?,
        or_asked("status.allocatable", &object.status.allocatable)?,
    ))
}

fn fill_zeros(have: &mut Resources, promised: &Resources) {
    for (name, amount) in promised.iter() {
        if have.get(name) == 0 {
            have.set(name, amount);
        }
    }
}

fn attach_limits(node: &str, world: &World<'_>) -> BTreeMap<Str, u32> {
    let drivers = world.csi_node(node).into_iter().flat_map(|csi| &csi.spec.drivers);
    let limit = |count: i64| u32::try_from(count.max(0)).unwrap_or(u32::MAX);
    drivers.filter_map(|driver| Some((driver.name.clone(), limit(driver.allocatable.count?)))).collect()
}
