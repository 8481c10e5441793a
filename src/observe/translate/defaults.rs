//! Spread constraints of pods that have none, from `--scheduler-config`.

use planner::model::pod::Spread;
use planner::model::selector::LabelSelector;

use super::super::error::InputError;
use super::super::k8s::{self, ObjectMeta};
use super::affinity::Of;
use super::labels::selector;

/// The default constraints of a pod that has none: over the pods its services and its owner select. None without both.
pub(super) fn spreads(of: &Of<'_>, owner: Option<&k8s::LabelSelector>) -> Result<Vec<Spread>, InputError> {
    if of.world.default_spreads.is_empty() {
        return Ok(Vec::new());
    }
    let mut labels = planner::model::Labels::new();
    for service in &of.world.objects.services {
        let wanted = &service.object.spec.selector;
        let selects = !wanted.is_empty() && wanted.iter().all(|(key, value)| of.labels.get(key) == Some(value));
        if service.object.metadata.namespace() == of.namespace && selects {
            labels.extend(wanted.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
    }
    let mut counted = LabelSelector::equal(labels);
    if let Some(owner) = owner {
        counted.0.extend(selector(of.at, "selector", owner)?.0);
    }
    if counted.0.is_empty() {
        return Ok(Vec::new());
    }
    let mut spreads = of.spreads(&of.world.default_spreads)?;
    for spread in &mut spreads {
        spread.selector = Some(counted.clone());
    }
    Ok(spreads)
}

/// The selector of what made a pod.
pub(super) fn owner_selector<'a>(world: &super::world::World<'a>, pod: &ObjectMeta) -> Option<&'a k8s::LabelSelector> {
    if world.default_spreads.is_empty() {
        return None;
    }
    let owner = pod.controller()?;
    let list = match &*owner.kind {
        "ReplicaSet" => &world.objects.replica_sets,
        "StatefulSet" => &world.objects.stateful_sets,
        "ReplicationController" => &world.objects.replication_controllers,
        _ => return None,
    };
    let mut here = list.iter().map(|w| &w.object).filter(|w| w.metadata.namespace() == pod.namespace());
    here.find(|w| w.metadata.name == owner.name)?.spec.selector.as_ref()
}
