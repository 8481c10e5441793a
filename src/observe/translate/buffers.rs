//! `CapacityBuffers`: stand-ins for pods that may come.

use planner::model::Pod;
use planner::model::pod::Owner;

use super::super::error::InputError;
use super::super::k8s::pod::PodTemplateSpec;
use super::super::k8s::{CapacityBuffer, PodSpec, Workload};
use super::super::objects::{Objects, Seen, Sourced};
use super::at::At;
use super::pods::Source;
use super::requests;
use super::world::World;

/// More stand-ins than anybody means.
const MOST: i64 = 1_000_000;

/// The stand-ins of one buffer: one of them, and how many there are.
pub(super) struct StandIns {
    /// Its name ends in `-0`.
    pub(super) first: Pod,
    pub(super) stem: String,
    pub(super) count: usize,
}

/// The stand-ins of every buffer.
pub(super) fn stand_ins(world: &World<'_>, notes: &mut Vec<String>) -> Result<Vec<StandIns>, InputError> {
    let mut out = Vec::new();
    for source in &world.objects.buffers {
        if !source.object.metadata.deleting() {
            out.extend(of_buffer(source, world, notes)?);
        }
    }
    Ok(out)
}

fn of_buffer(
    source: &Sourced<CapacityBuffer>,
    world: &World<'_>,
    notes: &mut Vec<String>,
) -> Result<Option<StandIns>, InputError> {
    let Sourced { origin, object } = source;
    let (meta, spec) = (&object.metadata, &object.spec);
    let at = At::new(origin, "CapacityBuffer", meta, "spec");
    let Some((template, scale)) = template(object, world.objects) else {
        let why = match (&spec.pod_template_ref, &spec.scalable_ref) {
            (None, None) => "neither podTemplateRef nor scalableRef is set",
            (None, Some(wanted)) if !["Deployment", "ReplicaSet", "StatefulSet"].contains(&&*wanted.kind) => {
                "its scalableRef is none of Deployment, ReplicaSet and StatefulSet"
            }
            _ => "what it refers to does not exist",
        };
        notes.push(format!("CapacityBuffer {}/{} keeps nothing free: {why}", meta.namespace(), meta.name));
        return Ok(None);
    };
    let template_spec = PodSpec { node_name: "".into(), volumes: Vec::new(), ..template.spec.clone() };
    let no_negative = |field: &str, value: Option<i64>| match value {
        Some(value) if !(0..=MOST).contains(&value) => Err(at
            .fault(field, &value.to_string(), "is out of range")
            .remedy(format!("write a number from 0 to {MOST}"))),
        value => Ok(value),
    };
    let percent = no_negative("percentage", spec.percentage)?;
    let share = percent.map(|percent| ((percent * scale + 99) / 100).max(1));
    // The larger of the two; none where neither is given, so that the limits alone say how many.
    let wanted = no_negative("replicas", spec.replicas)?.max(share);
    let asks = requests::of_pod(&at, &template_spec, None, None)?;
    let mut fits = None;
    if let Some(limits) = &spec.limits {
        let limits = at.resources("limits", limits)?;
        fits = limits.iter().filter(|(name, _)| asks.get(name) > 0).map(|(name, most)| most / asks.get(name)).min();
    }
    let count = match (wanted, fits) {
        (Some(wanted), Some(fits)) => wanted.min(fits),
        (wanted, fits) => wanted.or(fits).unwrap_or(0),
    };
    let count = usize::try_from(count.min(MOST)).unwrap_or(0);
    if count == 0 {
        return Ok(None);
    }
    let stem = format!("capacity-buffer-{}", meta.name);
    let source = Source {
        at,
        namespace: meta.namespace(),
        name: &stem,
        labels: &template.metadata.labels,
        annotations: &template.metadata.annotations,
        spec: &template_spec,
        status: None,
        owner: Owner::Other,
        templates: &[],
        owner_selector: None,
    };
    let mut shape = source.shape(world)?;
    source.finish(&mut shape, true, world)?;
    // They give way to everybody.
    shape.priority = i32::MIN;
    let first =
        Pod { name: format!("{stem}-0").into(), uid: "".into(), created: 0, node: None, terminating: false, shape };
    Ok(Some(StandIns { first, stem, count }))
}

/// The template, and how many pods its workload has.
fn template<'a>(buffer: &CapacityBuffer, objects: &'a Objects) -> Option<(&'a PodTemplateSpec, i64)> {
    let namespace = buffer.metadata.namespace();
    if let Some(wanted) = &buffer.spec.pod_template_ref {
        let here = |t: &&Seen<super::super::k8s::PodTemplate>| {
            t.object.metadata.name == wanted.name && t.object.metadata.namespace() == namespace
        };
        return objects.pod_templates.iter().find(here).map(|t| (&t.object.template, 0));
    }
    let wanted = buffer.spec.scalable_ref.as_ref()?;
    let list = match &*wanted.kind {
        "Deployment" => &objects.deployments,
        "StatefulSet" => &objects.stateful_sets,
        "ReplicaSet" => &objects.replica_sets,
        _ => return None,
    };
    let here =
        |w: &&Seen<Workload>| w.object.metadata.name == wanted.name && w.object.metadata.namespace() == namespace;
    list.iter().find(here).map(|w| (&w.object.spec.template, w.object.spec.replicas.unwrap_or(1)))
}
