//! What each `DaemonSet` will put on a node that comes.

use std::collections::BTreeMap;
use std::sync::Arc;

use planner::model::PodShape;
use planner::model::pod::Owner;
use planner::model::snapshot::Daemon;

use super::super::error::InputError;
use super::super::k8s::pod::PodStatus;
use super::super::k8s::{DaemonSet, ObjectMeta, PodSpec};
use super::super::objects::Sourced;
use super::affinity;
use super::at::At;
use super::cluster::OnFault;
use super::pods::{Source, uses_dynamic_resources};
use super::taints;
use super::world::World;

/// A pod that exists. Admission changes pods and not templates: a `VerticalPodAutoscaler`, a `LimitRange`, a sidecar that is
/// put in.
#[derive(Clone, Copy)]
pub(super) struct Made<'a> {
    pub(super) name: &'a str,
    /// Seconds since the Unix epoch.
    pub(super) created: i64,
    /// Namespace, labels, annotations and owners.
    pub(super) meta: &'a ObjectMeta,
    pub(super) spec: &'a PodSpec,
    pub(super) status: &'a PodStatus,
}

/// The newest pod of each `DaemonSet` that has one, by namespace and name of the set.
#[derive(Default)]
pub(super) struct Newest<'a>(BTreeMap<(&'a str, &'a str), Made<'a>>);

impl<'a> Newest<'a> {
    /// Of these pods, which have not finished.
    pub(super) fn of(world: &World<'a>, pods: impl Iterator<Item = Made<'a>>) -> Self {
        let sets = world.objects.daemon_sets.iter().map(|set| &set.object.metadata);
        let uids: BTreeMap<(&str, &str), &str> =
            sets.map(|meta| ((meta.namespace(), &*meta.name), &*meta.uid)).collect();
        let mut newest: BTreeMap<(&str, &str), Made<'a>> = BTreeMap::new();
        for pod in pods {
            let Some(owner) = pod.meta.owner_references.iter().find(|owner| &*owner.kind == "DaemonSet") else {
                continue;
            };
            let set = (pod.meta.namespace(), &*owner.name);
            // A set that was made anew under its old name has other pods; files may leave out who is who.
            let is_of = |uid: &&str| uid.is_empty() || owner.uid.is_empty() || **uid == *owner.uid;
            if !uids.get(&set).is_some_and(is_of) {
                continue;
            }
            let known = newest.entry(set).or_insert(pod);
            if (known.created, known.name) < (pod.created, pod.name) {
                *known = pod;
            }
        }
        Self(newest)
    }
}

/// One shape per `DaemonSet`: its newest pod's, or its template's while there is none.
pub(super) fn daemons(
    world: &World<'_>,
    newest: &Newest<'_>,
    on_fault: &mut OnFault<'_>,
) -> Result<Vec<Daemon>, InputError> {
    let mut out = Vec::new();
    for source in &world.objects.daemon_sets {
        match daemon(source, newest, world) {
            Ok(daemon) => out.extend(daemon),
            Err(fault) => on_fault(fault)?,
        }
    }
    out.sort_by(|a, b| (&a.name, &a.namespace).cmp(&(&b.name, &b.namespace)));
    Ok(out)
}

fn daemon(source: &Sourced<DaemonSet>, newest: &Newest<'_>, world: &World<'_>) -> Result<Option<Daemon>, InputError> {
    let Sourced { origin, object } = source;
    let (meta, template) = (&object.metadata, &object.spec.template);
    if meta.deleting() {
        return Ok(None);
    }
    let at = At::new(origin, "DaemonSet", meta, "spec.template.spec");
    let of_template = Source {
        at,
        namespace: meta.namespace(),
        name: &meta.name,
        labels: &template.metadata.labels,
        annotations: &template.metadata.annotations,
        spec: &template.spec,
        status: None,
        owner: Owner::DaemonSet,
        templates: &[],
        owner_selector: None,
    };
    let of_pod = newest.0.get(&(meta.namespace(), &*meta.name)).map(|made| Source {
        labels: &made.meta.labels,
        annotations: &made.meta.annotations,
        spec: made.spec,
        status: Some(made.status),
        ..of_template
    });
    // What is wrong with a pod is told where the pod itself is read.
    let read = of_pod.as_ref().and_then(|of_pod| Some((of_pod.spec, of_pod.shape(world).ok()?)));
    let (spec, mut shape): (&PodSpec, PodShape) = match read {
        Some(read) => read,
        None => (&template.spec, of_template.shape(world)?),
    };
    if uses_dynamic_resources(spec) {
        return Ok(None);
    }
    // The controller pins each pod to its node by required affinity.
    shape.node_terms = affinity::node_terms(&at, &template.spec)?;
    shape.tolerations.extend(taints::of_daemons(spec.host_network));
    shape.tolerations.sort();
    shape.tolerations.dedup();
    Ok(Some(Daemon { namespace: meta.namespace().into(), name: meta.name.clone(), shape: Arc::new(shape) }))
}
