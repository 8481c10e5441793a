//! Says of each `CapacityBuffer` whether it can be kept free, for how many pods, and whether there is room for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::Cloud;
use crds::capacity_buffer::{CapacityBufferStatus, LocalObjectRef};
use crds::{CapacityBuffer, Condition, ConditionStatus};
use planner::model::Str;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::deps::Deps;
use super::fault::Fault;
use super::status::{Seen, of_buffers};
use super::time;
use crate::act::free::{BufferName, KeptFree, StandIns, Version, name_of};
use crate::act::merge::merge_patch;
use crate::observe::k8s;
use crate::observe::mirror::{Kind, Mirror};

const READY: &str = "ReadyForProvisioning";
const PROVISIONING: &str = "Provisioning";
/// What a buffer is for if it does not say.
const ACTIVE_CAPACITY: &str = "buffer.x-k8s.io/active-capacity";
/// What changes what is to be said, beside plans. Workloads change often and are looked at with the next plan.
const KINDS: [Kind; 2] = [Kind::CapacityBuffer, Kind::PodTemplate];
/// All of them are read and judged anew so often. The reference's interval.
const PERIOD: Duration = Duration::from_secs(30);
/// Changes and plans often come together; they are looked at together.
const QUIET: Duration = Duration::from_millis(500);
/// After somebody else wrote first.
const AGAIN: Duration = Duration::from_secs(1);
/// Buffers of one page, and of all. Who has more of them sees no status on the rest.
const PAGE: u32 = 500;
const MOST: usize = 10_000;

/// What a buffer refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Resolved {
    Template {
        name: Str,
        generation: i64,
    },
    Workload,
    /// Reason and message.
    No(&'static str, String),
}

/// What is to be said of one buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    version: Version,
    resolved: Resolved,
    /// None if no plan has looked at it as it is now.
    stand_ins: Option<StandIns>,
}

type Verdicts = BTreeMap<BufferName, Verdict>;

/// Writes what there is to say after every change and every plan, until `stop`. Does nothing unless buffers are kept.
pub async fn run<C: Cloud>(deps: Arc<Deps<C>>, stop: CancellationToken) {
    if !deps.gates.capacity_buffer {
        return;
    }
    let mut changes = deps.world.mirror.changes(&KINDS);
    let mut plans = deps.world.kept_free();
    let mut seen = Seen::new(deps.clock.seconds(), None);
    let mut written: Option<Verdicts> = None;
    let mut next = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(next) => written = None,
            _ = changes.next() => tokio::time::sleep(QUIET).await,
            // The sender lives as long as the world.
            _ = plans.changed() => tokio::time::sleep(QUIET).await,
        }
        while changes.try_next().is_some() {}
        let free = plans.borrow_and_update().clone();
        let verdicts = verdicts(&deps.world.mirror, free.as_deref());
        if written.as_ref() == Some(&verdicts) {
            continue;
        }
        let wait = match write(&deps, &verdicts, &mut seen).await {
            Ok(()) => PERIOD,
            Err(fault) if fault.is_ordinary() => AGAIN,
            Err(fault) => {
                tracing::error!(error = %fault, "writing the status of CapacityBuffers");
                PERIOD
            }
        };
        written = Some(verdicts);
        next = Instant::now() + wait;
    }
}

fn verdicts(mirror: &Mirror, free: Option<&KeptFree>) -> Verdicts {
    let one = |buffer: &k8s::CapacityBuffer| {
        let (name, version) = (name_of(buffer), Version::of(buffer));
        let stand_ins = free.and_then(|free| free.stand_ins(&name, &version));
        (name, Verdict { version, resolved: resolve(buffer, mirror), stand_ins })
    };
    mirror.buffers().iter().filter(|buffer| !buffer.metadata.deleting()).map(|buffer| one(buffer)).collect()
}

fn resolve(buffer: &k8s::CapacityBuffer, mirror: &Mirror) -> Resolved {
    let namespace = buffer.metadata.namespace();
    if let Some(wanted) = &buffer.spec.pod_template_ref {
        return match mirror.pod_template(namespace, &wanted.name) {
            Some(found) => {
                let meta = &found.metadata;
                Resolved::Template { name: meta.name.clone(), generation: meta.generation }
            }
            None => missing("PodTemplateNotFound", "PodTemplate", &wanted.name, namespace),
        };
    }
    let Some(wanted) = &buffer.spec.scalable_ref else {
        return Resolved::No("ResolutionFailed", "Neither podTemplateRef nor scalableRef is set".to_owned());
    };
    let kind = match &*wanted.kind {
        "Deployment" => Kind::Deployment,
        "ReplicaSet" => Kind::ReplicaSet,
        "StatefulSet" => Kind::StatefulSet,
        other => {
            let message = format!("scalableRef kind {other:?} is none of Deployment, ReplicaSet and StatefulSet");
            return Resolved::No("ResolutionFailed", message);
        }
    };
    match mirror.workload(kind, namespace, &wanted.name) {
        Some(_) => Resolved::Workload,
        None => missing("ScalableRefNotFound", &wanted.kind, &wanted.name, namespace),
    }
}

fn missing(reason: &'static str, kind: &str, name: &str, namespace: &str) -> Resolved {
    Resolved::No(reason, format!("{kind} {name:?} not found in namespace {namespace:?}"))
}

/// Reads all buffers and writes those of which something else is to be said; metrics and events follow what is there
/// then. One that cannot be written keeps none of the others.
async fn write<C: Cloud>(deps: &Deps<C>, verdicts: &Verdicts, seen: &mut Seen) -> Result<(), Fault> {
    let mut buffers = deps.api.list::<CapacityBuffer>(PAGE, MOST).await?;
    let mut first = Ok(());
    for buffer in &mut buffers {
        let namespace = buffer.metadata.namespace.clone().unwrap_or_default();
        let name = buffer.metadata.name().to_owned();
        let key: BufferName = (namespace.as_str().into(), name.as_str().into());
        let verdict = verdicts.get(&key);
        let is_it = |verdict: &&Verdict| buffer.metadata.uid.as_deref() == Some(&*verdict.version.uid);
        let Some(verdict) = verdict.filter(is_it).filter(|_| !buffer.metadata.is_deleting()) else { continue };
        let Some(patch) = patch(buffer, verdict, deps.clock.seconds()) else { continue };
        if let Resolved::No(reason, message) = &verdict.resolved {
            tracing::warn!(CapacityBuffer = %format!("{namespace}/{name}"), reason, message, "nothing is kept free");
        }
        match deps.api.merge_status(&namespace, &name, patch).await {
            Ok(written) => *buffer = written,
            Err(error) => first = first.and(Err(error.into())),
        }
    }
    of_buffers(deps, seen, &buffers);
    first
}

/// The patch of a buffer's status at second `now`, which the server refuses if anybody has written since; None if
/// nothing differs.
fn patch(buffer: &CapacityBuffer, verdict: &Verdict, now: i64) -> Option<Value> {
    let before = buffer.status.clone().unwrap_or_default();
    let status = status(buffer, before.clone(), verdict, now);
    let mut patch = merge_patch(&json!({ "status": before }), &json!({ "status": status }))?;
    if let Some(version) = &buffer.metadata.resource_version {
        patch["metadata"]["resourceVersion"] = version.as_str().into();
    }
    Some(patch)
}

fn status(buffer: &CapacityBuffer, before: CapacityBufferStatus, verdict: &Verdict, now: i64) -> CapacityBufferStatus {
    let mut status = before;
    let strategy = buffer.spec.provisioning_strategy.clone();
    status.provisioning_strategy = Some(strategy.unwrap_or_else(|| ACTIVE_CAPACITY.to_owned()));
    let mut set = |type_: &str, status_: ConditionStatus, reason: &str, message: String| {
        let same = status.conditions.iter_mut().find(|condition| condition.type_ == type_);
        let since = same.as_ref().filter(|same| same.status == status_).map(|same| same.last_transition_time.clone());
        let condition = Condition {
            type_: type_.to_owned(),
            status: status_,
            reason: reason.to_owned(),
            message,
            last_transition_time: since.unwrap_or_else(|| time::text(now)),
            observed_generation: verdict.version.generation,
        };
        match same {
            Some(same) => *same = condition,
            None => status.conditions.push(condition),
        }
    };
    if let Resolved::No(reason, message) = &verdict.resolved {
        set(READY, ConditionStatus::False, reason, message.clone());
        let message = "Buffer is not ReadyForProvisioning".to_owned();
        set(PROVISIONING, ConditionStatus::False, "NotReadyForProvisioning", message);
        return status;
    }
    set(READY, ConditionStatus::True, "Resolved", "Pod template resolved successfully".to_owned());
    if let Some(StandIns { all, on_new, failed }) = verdict.stand_ins {
        if all == 0 {
            set(PROVISIONING, ConditionStatus::False, "BufferEmpty", "Buffer has zero desired replicas".to_owned());
        } else if on_new == 0 && failed == 0 {
            let message = format!("All {all} virtual pods fit on existing capacity");
            set(PROVISIONING, ConditionStatus::True, "FitsExistingCapacity", message);
        } else {
            let message = format!("{on_new}/{all} virtual pods required new capacity, {failed} failed");
            set(PROVISIONING, ConditionStatus::False, "RequiresNewCapacity", message);
        }
        status.replicas = i32::try_from(all).ok();
    }
    (status.pod_template_ref, status.pod_template_generation) = match &verdict.resolved {
        Resolved::Template { name, generation } => (Some(LocalObjectRef { name: name.to_string() }), Some(*generation)),
        _ => (None, None),
    };
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::mirror::Object;

    fn buffer(spec: &Value) -> CapacityBuffer {
        serde_json::from_value(json!({
            "apiVersion": "autoscaling.x-k8s.io/v1beta1", "kind": "CapacityBuffer",
            "metadata": {"name": "spare", "namespace": "shop", "uid": "u", "generation": 2, "resourceVersion": "7"},
            "spec": spec,
        }))
        .unwrap()
    }

    fn resolved(spec: &Value) -> Resolved {
        let mirror = Mirror::new(&[]);
        let template =
            json!({"metadata": {"name": "t", "namespace": "shop", "generation": 3}, "template": {"spec": {}}});
        mirror.apply(Object::PodTemplate(serde_json::from_value(template).unwrap()));
        let workload = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"template": {"spec": {}}}});
        mirror.apply(Object::Deployment(serde_json::from_value(workload).unwrap()));
        resolve(&serde_json::from_value(serde_json::to_value(buffer(spec)).unwrap()).unwrap(), &mirror)
    }

    /// Status, reason and message of both conditions.
    fn said(buffer: &CapacityBuffer) -> Vec<String> {
        let conditions = &buffer.status.as_ref().unwrap().conditions;
        conditions.iter().map(|c| format!("{} {} {}: {}", c.type_, c.status, c.reason, c.message)).collect()
    }

    fn written(buffer: &mut CapacityBuffer, resolved: Resolved, stand_ins: Option<StandIns>, now: i64) -> bool {
        let verdict = Verdict { version: Version { uid: "u".into(), generation: 2 }, resolved, stand_ins };
        let Some(patch) = patch(buffer, &verdict, now) else { return false };
        assert_eq!(patch["metadata"], json!({"resourceVersion": "7"}));
        let mut all = serde_json::to_value(&buffer).unwrap();
        json_patch::merge(&mut all, &patch);
        *buffer = serde_json::from_value(all).unwrap();
        true
    }

    #[test]
    fn a_buffer_is_resolved_or_says_what_is_missing() {
        let template = Resolved::Template { name: "t".into(), generation: 3 };
        let no = |reason, message: &str| Resolved::No(reason, message.to_owned());
        for (spec, expected) in [
            (json!({"podTemplateRef": {"name": "t"}, "replicas": 1}), template),
            (json!({"scalableRef": {"apiGroup": "apps", "kind": "Deployment", "name": "web"}}), Resolved::Workload),
            (
                json!({"podTemplateRef": {"name": "x"}}),
                no("PodTemplateNotFound", "PodTemplate \"x\" not found in namespace \"shop\""),
            ),
            (
                json!({"scalableRef": {"apiGroup": "apps", "kind": "StatefulSet", "name": "web"}}),
                no("ScalableRefNotFound", "StatefulSet \"web\" not found in namespace \"shop\""),
            ),
            (
                json!({"scalableRef": {"apiGroup": "batch", "kind": "Job", "name": "web"}}),
                no("ResolutionFailed", "scalableRef kind \"Job\" is none of Deployment, ReplicaSet and StatefulSet"),
            ),
            (json!({}), no("ResolutionFailed", "Neither podTemplateRef nor scalableRef is set")),
        ] {
            assert_eq!(resolved(&spec), expected, "{spec}");
        }
    }

    #[test]
    fn the_status_says_how_the_last_plan_went_and_is_written_once() {
        let mut buffer = buffer(&json!({"podTemplateRef": {"name": "t"}, "replicas": 3}));
        let template = || Resolved::Template { name: "t".into(), generation: 3 };
        assert!(written(&mut buffer, template(), None, 10));
        let ready = "ReadyForProvisioning True Resolved: Pod template resolved successfully";
        assert_eq!(said(&buffer), [ready], "no plan has looked at it");
        let stand_ins = |on_new, failed| Some(StandIns { all: 3, on_new, failed });
        for (stand_ins, expected) in [
            (
                stand_ins(2, 1),
                "Provisioning False RequiresNewCapacity: 2/3 virtual pods required new capacity, 1 failed",
            ),
            (stand_ins(0, 0), "Provisioning True FitsExistingCapacity: All 3 virtual pods fit on existing capacity"),
            (Some(StandIns::default()), "Provisioning False BufferEmpty: Buffer has zero desired replicas"),
        ] {
            assert!(written(&mut buffer, template(), stand_ins, 20));
            assert_eq!(said(&buffer), [ready, expected]);
            assert!(!written(&mut buffer, template(), stand_ins, 30), "nothing is new");
        }
        let status = buffer.status.clone().unwrap();
        assert_eq!((status.replicas, status.pod_template_generation), (Some(0), Some(3)));
        assert_eq!(status.pod_template_ref.unwrap().name, "t");
        assert_eq!(status.provisioning_strategy.as_deref(), Some(ACTIVE_CAPACITY));
        assert_eq!(status.conditions[0].last_transition_time, "1970-01-01T00:00:10Z");
        assert!(written(&mut buffer, missing("PodTemplateNotFound", "PodTemplate", "t", "shop"), None, 40));
        let expected = [
            "ReadyForProvisioning False PodTemplateNotFound: PodTemplate \"t\" not found in namespace \"shop\"",
            "Provisioning False NotReadyForProvisioning: Buffer is not ReadyForProvisioning",
        ];
        assert_eq!(said(&buffer), expected);
    }
}
