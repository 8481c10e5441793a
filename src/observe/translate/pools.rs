//! Pools: their terms, whether they can be used, and what they can buy.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use crds::pool_validation::LabelRules;
use planner::model::catalog::Catalog;
use planner::model::labels::{CAPACITY_TYPE, NODEPOOL, ZONE};
use planner::model::{Code, InstanceType, Pool, Reason, Requirement, Str};

use super::super::error::InputError;
use super::super::k8s::NodePool;
use super::super::k8s::karpenter::Conditioned;
use super::super::objects::{Objects, Sourced};
use super::super::options::{FeatureGates, Options};
use super::at::At;
use super::classes::{Catalogs, Classes, Found, readiness};
use super::cluster::OnFault;
use super::labels::{normalized, pool_requirements};
use super::overlays::{OverlayFault, Overlays};
use super::taints::taints;

/// As many nodes as the largest clusters have (EKS). More of one static pool are a slip of the keyboard, or an attack.
const MOST_NODES: u32 = 100_000;

/// All pools, heaviest first, then by name from the end of the alphabet.
///
/// `given` are catalogues that the cloud has made; without them they are made here.
pub(super) fn pools(
    objects: &Objects,
    options: &Options,
    given: Option<&Catalogs>,
    notes: &mut Vec<String>,
    on_fault: &mut OnFault<'_>,
) -> Result<Vec<Pool>, InputError> {
    let asked = !options.assume_ready.unwrap_or_else(|| no_status(objects));
    let mut classes = Classes::new(objects, options, given);
    if !options.feature_gates.node_overlay && !objects.overlays.is_empty() {
        notes.push("NodeOverlays are not applied: the feature gate NodeOverlay is off".into());
    }
    let mut out = Vec::new();
    for source in &objects.node_pools {
        match pool(source, objects, options, asked, &mut classes, notes) {
            Ok(pool) => out.push(pool),
            Err(fault) => on_fault(fault)?,
        }
    }
    if options.feature_gates.node_overlay {
        let mut overlays = Overlays::new(objects, on_fault)?;
        for (name, fault) in overlays.settle(out.iter().map(|pool| (&pool.types, &pool.labels))) {
            let remedy = match fault {
                OverlayFault::Conflict { .. } => {
                    "; give them different weights, or requirements that exclude each other"
                }
                OverlayFault::Invalid(_) => "",
            };
            notes.push(format!("NodeOverlay {name} is not applied: {fault}{remedy}"));
        }
        for pool in &mut out {
            pool.types = overlays.apply(pool.types.clone(), &pool.labels);
        }
    }
    out.sort_by(|a, b| Reverse((a.weight, &a.name)).cmp(&Reverse((b.weight, &b.name))));
    Ok(out)
}

/// What is wrong with the overlays that are not applied, by name.
pub(crate) fn overlay_faults(
    objects: &Objects,
    options: &Options,
    given: &Catalogs,
) -> Result<BTreeMap<Str, OverlayFault>, InputError> {
    let mut faults = BTreeMap::new();
    // Whatever is wrong with pools is told of pools.
    let without =
        Options { feature_gates: FeatureGates { node_overlay: false, ..options.feature_gates }, ..options.clone() };
    let pools = pools(objects, &without, Some(given), &mut Vec::new(), &mut |_| Ok(()))?;
    for source in &objects.overlays {
        let alone = Objects { overlays: vec![source.clone()], ..Objects::default() };
        if let Err(fault) = Overlays::new(&alone, &mut Err) {
            let place = fault.field.as_deref().map(|field| format!("{field}: ")).unwrap_or_default();
            let why = format!("{place}{}", fault.message);
            faults.insert(source.object.metadata.name.clone(), OverlayFault::Invalid(why));
        }
    }
    let mut overlays = Overlays::new(objects, &mut |_| Ok(()))?;
    faults.extend(overlays.settle(pools.iter().map(|pool| (&pool.types, &pool.labels))));
    Ok(faults)
}

/// No pool and no class in the input has been seen by a controller.
fn no_status(objects: &Objects) -> bool {
    objects.node_pools.iter().all(|pool| pool.object.status.is_none())
        && objects.ec2_classes.iter().all(|class| class.object.status.is_none())
        && objects.kwok_classes.iter().all(|class| class.object.status.as_ref().is_none_or(at_birth))
}

/// The status that the API's default gives a kwok class: `Ready`, and nothing else.
fn at_birth(status: &Conditioned) -> bool {
    matches!(&status.conditions[..], [only] if &*only.kind == "Ready" && &*only.status == "True")
}

fn pool(
    source: &Sourced<NodePool>,
    objects: &Objects,
    options: &Options,
    asked: bool,
    classes: &mut Classes<'_>,
    notes: &mut Vec<String>,
) -> Result<Pool, InputError> {
    let Sourced { origin, object } = source;
    let (name, spec) = (&object.metadata.name, &object.spec);
    let at = At::new(origin, "NodePool", &object.metadata, "spec");
    let terms = &spec.template.spec;
    let class = &terms.node_class_ref;
    let mut labels = normalized(&spec.template.metadata.labels);
    labels.insert(NODEPOOL.into(), name.clone());
    labels.insert(format!("{}/{}", class.group, class.kind.to_lowercase()).into(), class.name.clone());
    let replicas = match spec.replicas {
        Some(_) if !options.feature_gates.static_capacity => {
            notes.push(format!("NodePool {name} is static and buys nothing: the feature gate StaticCapacity is off"));
            Some(0)
        }
        Some(n) => Some(u32::try_from(n).ok().filter(|n| *n <= MOST_NODES).ok_or_else(|| {
            let remedy = format!("write a number from 0 to {MOST_NODES}");
            at.fault("replicas", &n.to_string(), "is out of range").remedy(remedy)
        })?),
        None => None,
    };
    let types = classes.catalog(class)?;
    let mut requirements = pool_requirements(&at, "template.spec.requirements", &terms.requirements)?;
    // A label that machines have by what they are says which of them are meant.
    for (key, value) in labels.iter().filter(|(key, _)| is_of_machines(&types, key)) {
        requirements.add(Requirement::equal(key, value.clone()));
    }
    Ok(Pool {
        name: name.clone(),
        weight: spec.weight.unwrap_or(0),
        labels,
        requirements,
        taints: taints(&at, "template.spec.taints", &terms.taints)?,
        startup_taints: taints(&at, "template.spec.startupTaints", &terms.startup_taints)?,
        limits: at.resources("limits", &spec.limits)?,
        replicas,
        not_ready: not_ready(object, asked, classes)
            .or_else(|| invalid(object, objects))
            .or_else(|| of_invalid_class(object, classes)),
        types,
    })
}

/// Does any of these types come with the label, or with a choice of values for it?
fn is_of_machines(types: &Catalog, key: &str) -> bool {
    let has = |kind: &InstanceType| {
        kind.labels.contains_key(key)
            || kind.open_labels.iter().any(|(open, _)| &**open == key)
            || kind.offerings.iter().any(|offering| offering.labels.contains_key(key))
    };
    [ZONE, CAPACITY_TYPE].contains(&key) || types.iter().any(has)
}

fn not_ready(pool: &NodePool, asked: bool, classes: &Classes<'_>) -> Option<Reason> {
    let name = &pool.metadata.name;
    let class = &pool.spec.template.spec.node_class_ref;
    let reason = |message: String, miss: Option<String>| {
        Some(Reason { pool: name.clone(), code: Code::NodePoolNotReady, message, nearest_miss: miss })
    };
    if pool.metadata.deleting() {
        return reason(format!("NodePool {name} is being deleted"), None);
    }
    let who = format!("{} {}", class.kind, class.name);
    match classes.find(class, asked) {
        Found::Foreign => {
            let message =
                format!("NodePool {name} refers to {who} of {}, which no provider here sells for", class.group);
            return reason(message, Some("an EC2NodeClass or a KWOKNodeClass".into()));
        }
        Found::Missing if asked => {
            return reason(
                format!("NodePool {name} refers to {who}, which does not exist"),
                Some(format!("{who} created")),
            );
        }
        Found::Here { unready: Some(why) } => {
            return reason(format!("NodePool {name}: {who} {why}"), Some(format!("{who} ready")));
        }
        Found::Missing | Found::Here { unready: None } => {}
    }
    if !asked {
        return None;
    }
    let why = match &pool.status {
        Some(status) => readiness(&status.conditions),
        None => Some("has no status yet".into()),
    };
    why.and_then(|why| {
        reason(format!("NodePool {name} {why}"), Some(format!("NodePool {name} ready, or --assume-ready")))
    })
}

/// What a controller would say against the pool's class that its schema cannot.
fn of_invalid_class(pool: &NodePool, classes: &Classes<'_>) -> Option<Reason> {
    let class = &pool.spec.template.spec.node_class_ref;
    let why = classes.invalid(class)?;
    let (name, who) = (&pool.metadata.name, format!("{} {}", class.kind, class.name));
    let message = format!("NodePool {name}: {who} is not valid: {why}");
    Some(Reason {
        pool: name.clone(),
        code: Code::NodePoolNotReady,
        message,
        nearest_miss: Some(format!("{who} valid")),
    })
}

/// What a controller would say against the pool that its schema cannot.
fn invalid(pool: &NodePool, objects: &Objects) -> Option<Reason> {
    let name = &pool.metadata.name;
    let whole = objects.whole_pools.iter().find(|whole| whole.metadata.name() == &**name).cloned();
    let whole = whole.or_else(|| as_written(name, objects).map(Arc::new))?;
    let rules = LabelRules::of_group(&pool.spec.template.spec.node_class_ref.group);
    let faults = crds::pool_validation::validate(&whole, &rules);
    (!faults.is_empty()).then(|| Reason {
        pool: name.clone(),
        code: Code::NodePoolNotReady,
        message: format!("NodePool {name} is not valid: {}", faults.join("; ")),
        nearest_miss: None,
    })
}

fn as_written(name: &str, objects: &Objects) -> Option<crds::NodePool> {
    let mut written = objects.custom.iter().filter(|(kind, _)| *kind == "NodePool").map(|(_, written)| &written.object);
    let written = written.find(|value| value.pointer("/metadata/name").and_then(|n| n.as_str()) == Some(name))?;
    serde_json::from_value(written.clone()).ok()
}
