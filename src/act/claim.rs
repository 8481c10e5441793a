//! A launch of the plan as the `NodeClaim` that asks for it.

use std::collections::{BTreeMap, BTreeSet};

use crds::hash::{NODE_POOL_HASH_VERSION, node_pool};
use crds::names::core::{MIN_VALUES_RELAXED, NODE_POOL, NODE_POOL_HASH, NODE_POOL_HASH_VERSION as HASH_VERSION};
use crds::names::kubernetes::INSTANCE_TYPE;
use crds::node_claim::{NodeClaimSpec, ResourceRequirements};
use crds::{NodeClaim, NodePool, ObjectMeta, OwnerReference, Quantity, Requirement};
use planner::model::labels::{restricted, well_known};
use planner::model::resources::{NODES, quantity};
use planner::model::{Operator, Pool, Requirements, Resources, Str};
use planner::plan::Launch;

/// A claim lists no more types than this; the cheapest are kept. The reference's number.
const MOST_TYPES: usize = 600;

/// The claim of this name for a launch from a pool, read by the planner as `terms` and written as `pool`.
pub fn claim(name: &str, launch: &Launch, terms: &Pool, pool: &NodePool) -> NodeClaim {
    let template = &pool.spec.template;
    let mut labels: BTreeMap<String, String> =
        terms.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let own = launch.labels.iter().filter(|(key, _)| !well_known(key) && !restricted(key));
    labels.extend(own.map(|(key, value)| (key.to_string(), value.to_string())));
    let mut annotations = template.metadata.annotations.clone().unwrap_or_default();
    annotations.insert(NODE_POOL_HASH.into(), node_pool(template));
    annotations.insert(HASH_VERSION.into(), NODE_POOL_HASH_VERSION.into());
    let is_relaxed = if launch.relaxed_min_values.is_empty() { "false" } else { "true" };
    annotations.insert(MIN_VALUES_RELAXED.into(), is_relaxed.into());
    let owner = OwnerReference {
        api_version: crds::Kind::NodePool.api_version().into(),
        kind: crds::Kind::NodePool.as_str().into(),
        name: pool.metadata.name().into(),
        uid: pool.metadata.uid.clone().unwrap_or_default(),
        controller: None,
        block_owner_deletion: Some(true),
    };
    NodeClaim {
        api_version: crds::Kind::NodeClaim.api_version().into(),
        kind: crds::Kind::NodeClaim.as_str().into(),
        metadata: ObjectMeta { labels, annotations, owner_references: vec![owner], ..ObjectMeta::named(name) },
        spec: NodeClaimSpec {
            requirements: requirements(launch, terms),
            resources: Some(ResourceRequirements { requests: amounts(&launch.requests) }),
            node_class_ref: template.spec.node_class_ref.clone(),
            taints: template.spec.taints.clone().unwrap_or_default(),
            startup_taints: template.spec.startup_taints.clone().unwrap_or_default(),
            expire_after: template.spec.expire_after.clone(),
            termination_grace_period: template.spec.termination_grace_period.clone(),
        },
        status: None,
    }
}

fn requirements(launch: &Launch, terms: &Pool) -> Vec<Requirement> {
    let mut all: Requirements = (*launch.requirements).clone();
    let types = types(launch, terms);
    if !types.is_empty() {
        all.add(planner::model::Requirement::new(INSTANCE_TYPE, Operator::In, types));
    }
    let mut out = Vec::new();
    for requirement in all.iter() {
        let lowered = launch.relaxed_min_values.get(&requirement.key).copied();
        let min_values = lowered.or(requirement.min_values).filter(|least| *least > 0);
        for (operator, values) in requirement.entries() {
            out.push(Requirement {
                key: requirement.key.to_string(),
                operator: written(operator),
                values: values.iter().map(ToString::to_string).collect(),
                min_values: min_values.and_then(|least| i32::try_from(least).ok()),
            });
        }
    }
    // The pool is a label; a requirement on it would say nothing more.
    out.retain(|requirement| requirement.key != NODE_POOL || requirement.operator != crds::Operator::Exists);
    out
}

/// The types that the claim may become: the plan's, the cheapest first kept. Where the pool has limits, none that takes
/// more of what is limited than the one planned: several claims that fall back at once must not overshoot together.
fn types(launch: &Launch, terms: &Pool) -> Vec<Str> {
    let mut seen = BTreeSet::new();
    let limited: Vec<&Str> = terms.limits.iter().map(|(name, _)| name).filter(|name| &***name != NODES).collect();
    let within = |name: &Str| {
        let mut same = terms.types.iter().filter(|kind| kind.name == *name);
        limited.is_empty() || same.all(|kind| limited.iter().all(|r| kind.capacity.get(r) <= launch.capacity.get(r)))
    };
    let mut out = Vec::new();
    for offering in launch.offerings.iter() {
        let name = &offering.instance_type;
        if out.len() < MOST_TYPES && seen.insert(name.clone()) && within(name) {
            out.push(name.clone());
        }
    }
    out
}

fn written(operator: Operator) -> crds::Operator {
    match operator {
        Operator::In => crds::Operator::In,
        Operator::NotIn => crds::Operator::NotIn,
        Operator::Exists => crds::Operator::Exists,
        Operator::DoesNotExist => crds::Operator::DoesNotExist,
        Operator::Gt => crds::Operator::Gt,
        Operator::Lt => crds::Operator::Lt,
        Operator::Gte => crds::Operator::Gte,
        Operator::Lte => crds::Operator::Lte,
    }
}

/// Resources as the API writes them.
pub fn amounts(resources: &Resources) -> BTreeMap<String, Quantity> {
    resources.iter().map(|(name, amount)| (name.to_string(), Quantity(quantity(name, amount).to_string()))).collect()
}
