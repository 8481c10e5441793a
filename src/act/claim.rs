//! A launch of the plan as the `NodeClaim` that asks for it.

use std::collections::{BTreeMap, BTreeSet};

use cloud::ClassRef;
use crds::hash::{NODE_POOL_HASH_VERSION, node_pool};
use crds::names::core::{
    MIN_VALUES_RELAXED, NODE_POOL, NODE_POOL_HASH, NODE_POOL_HASH_VERSION as HASH_VERSION, TERMINATION_FINALIZER,
};
use crds::names::kubernetes::INSTANCE_TYPE;
use crds::node_claim::{NodeClaimSpec, ResourceRequirements};
use crds::{NodeClaim, NodePool, ObjectMeta, OwnerReference, Quantity, Requirement};
use planner::model::labels::{restricted, well_known};
use planner::model::resources::quantity;
use planner::model::{Operator, Pool, Requirements, Resources, Str};
use planner::plan::Launch;

use crate::observe::mirror::MEANT_FOR;

/// The claim of this name for a launch from a pool, read by the planner as `terms` and written as `pool`. `meant_for`: what
/// the mirror has it say of its pods.
pub fn claim(name: &str, launch: &Launch, terms: &Pool, pool: &NodePool, meant_for: &str) -> NodeClaim {
    let template = &pool.spec.template;
    let mut labels: BTreeMap<String, String> =
        terms.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let own = launch.labels.iter().filter(|(key, _)| !well_known(key) && !restricted(key));
    labels.extend(own.map(|(key, value)| (key.to_string(), value.to_string())));
    let class = &template.spec.node_class_ref;
    labels.insert(class.label_key(), class.name.clone());
    let mut annotations = template.metadata.annotations.clone().unwrap_or_default();
    annotations.insert(NODE_POOL_HASH.into(), node_pool(template));
    annotations.insert(HASH_VERSION.into(), NODE_POOL_HASH_VERSION.into());
    let is_relaxed = if launch.relaxed_min_values.is_empty() { "false" } else { "true" };
    annotations.insert(MIN_VALUES_RELAXED.into(), is_relaxed.into());
    if !meant_for.is_empty() {
        annotations.insert(MEANT_FOR.into(), meant_for.into());
    }
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
        metadata: ObjectMeta {
            labels,
            annotations,
            owner_references: vec![owner],
            // It is there before anything is bought, and takes no write of its own.
            finalizers: vec![TERMINATION_FINALIZER.to_owned()],
            ..ObjectMeta::named(name)
        },
        spec: NodeClaimSpec {
            requirements: requirements(launch),
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

/// A reference to a class in the cloud's words.
pub fn class_ref(class: &crds::NodeClassRef) -> ClassRef {
    ClassRef { group: class.group.as_str().into(), kind: class.kind.as_str().into(), name: class.name.as_str().into() }
}

fn requirements(launch: &Launch) -> Vec<Requirement> {
    let mut all: Requirements = (*launch.requirements).clone();
    let mut seen = BTreeSet::new();
    let named = launch.offerings.iter().map(|offering| &offering.instance_type);
    let types: Vec<Str> = named.filter(|name| seen.insert(*name)).cloned().collect();
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cloud::catalog::{KwokSettings, kwok};
    use planner::model::{CapacityType, Labels, MicroUsdPerHour, Requirement as Wanted};
    use planner::plan::RankedOffering;
    use serde_json::json;

    use super::*;

    fn terms() -> Pool {
        Pool {
            name: "general".into(),
            weight: 0,
            labels: Labels::from([("karpenter.sh/nodepool".into(), "general".into()), ("team".into(), "a".into())]),
            requirements: Requirements::new(),
            taints: Vec::new(),
            startup_taints: Vec::new(),
            limits: Resources::default(),
            replicas: None,
            not_ready: None,
            types: Arc::new(kwok(&KwokSettings::default()).unwrap()),
        }
    }

    fn launch() -> Launch {
        let offering = |instance_type: &str, price: i64| RankedOffering {
            price: MicroUsdPerHour(price),
            capacity_type: CapacityType::Spot,
            instance_type: instance_type.into(),
            zone: "test-zone-a".into(),
            reservation: None,
        };
        let mut requirements = Requirements::new();
        requirements.add(Wanted::new("size", Operator::Gt, ["3"]));
        let mut choice = Wanted::new("family", Operator::In, ["c", "m", "s"]);
        choice.min_values = Some(3);
        requirements.add(choice);
        Launch {
            name: "general-1".into(),
            pool: "general".into(),
            offerings: vec![
                offering("c-2x-amd64-linux", 1),
                offering("c-2x-amd64-linux", 2),
                offering("s-2x-amd64-linux", 3),
                offering("c-4x-amd64-linux", 4),
            ]
            .into(),
            offerings_total: 4,
            requests: Resources::of([("cpu", 1500), ("memory", 3 << 30), ("pods", 4)]),
            allocatable: Resources::default(),
            capacity: Resources::of([("cpu", 2000), ("memory", 4 << 30)]),
            labels: Labels::from([
                ("node.kubernetes.io/instance-type".into(), "c-2x-amd64-linux".into()),
                ("own".into(), "any".into()),
            ])
            .into(),
            taints: Vec::new(),
            startup_taints: Vec::new(),
            requirements: Arc::new(requirements),
            relaxed_min_values: [("family".into(), 2)].into(),
            pods: vec!["shop/web-0".into()],
        }
    }

    fn pool() -> NodePool {
        let value = json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "general", "uid": "pool-uid"},
            "spec": {"template": {
                "metadata": {"annotations": {"note": "x"}},
                "spec": {"requirements": [], "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"},
                    "startupTaints": [{"key": "warm", "effect": "NoSchedule"}], "terminationGracePeriod": "1h", "expireAfter": "Never"}}},
        });
        serde_json::from_value(value).unwrap()
    }

    fn types_of(claim: &NodeClaim) -> Vec<&str> {
        let of_types = claim.spec.requirements.iter().find(|r| r.key == INSTANCE_TYPE).unwrap();
        of_types.values.iter().map(String::as_str).collect()
    }

    #[test]
    fn a_claim_says_all_that_its_node_is_to_be() {
        let claim = claim("general-x7k2p", &launch(), &terms(), &pool(), "");
        let labels: Vec<_> = claim.metadata.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            labels,
            ["karpenter.kwok.sh/kwoknodeclass=default", "karpenter.sh/nodepool=general", "own=any", "team=a"]
        );
        let annotations = &claim.metadata.annotations;
        assert_eq!(annotations["karpenter.sh/nodepool-hash"], node_pool(&pool().spec.template));
        assert_eq!(annotations["karpenter.sh/nodeclaim-min-values-relaxed"], "true");
        assert_eq!(
            (annotations["note"].as_str(), annotations["karpenter.sh/nodepool-hash-version"].as_str()),
            ("x", "v3")
        );
        let owner = &claim.metadata.owner_references[0];
        assert_eq!((owner.uid.as_str(), owner.block_owner_deletion), ("pool-uid", Some(true)));
        assert_eq!(claim.spec.startup_taints.len(), 1);
        assert_eq!(claim.spec.expire_after, Some("Never".into()));
        assert_eq!(claim.spec.termination_grace_period, Some("1h".into()));
        let requests = &claim.spec.resources.as_ref().unwrap().requests;
        assert_eq!((requests["cpu"].as_str(), requests["memory"].as_str()), ("1500m", "3Gi"));
        let of = |key: &str| claim.spec.requirements.iter().find(|r| r.key == key).unwrap();
        assert_eq!((of("size").operator, of("size").values.as_slice()), (crds::Operator::Gte, &["4".to_owned()][..]));
        assert_eq!(of("family").min_values, Some(2));
        assert_eq!(types_of(&claim), ["c-2x-amd64-linux", "c-4x-amd64-linux", "s-2x-amd64-linux"]);
        let value = serde_json::to_value(&claim).unwrap();
        assert!(crds::check(crds::Kind::NodeClaim, &value, None).is_empty());
    }
}
