//! What all workload controllers do: find the pods of a workload, make and delete them, and tell its status.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::kube::object::{member, metadata};
use crate::kube::{DeleteOptions, Direct, Id, Object, Part};

/// The most pods that one pass makes for one workload.
const BURST: usize = 500;

/// The pods of a workload.
pub(super) fn pods_of(api: &Direct, workload: &Object) -> Vec<Arc<Object>> {
    let is_ours = |pod: &Arc<Object>| pod.id() == Id::POD && is_controlled_by(pod, workload);
    api.dependents(workload.uid()).into_iter().filter(is_ours).collect()
}

/// Whether `owner` controls the object.
pub(super) fn is_controlled_by(object: &Object, owner: &Object) -> bool {
    object.owners().any(|reference| reference["controller"] == true && reference["uid"] == owner.uid())
}

/// Whether a pod counts as one that runs or will.
pub(super) fn is_active(pod: &Object) -> bool {
    !pod.is_deleting() && !matches!(pod.text("/status/phase"), "Succeeded" | "Failed")
}

/// Whether a pod is ready and stays.
pub(super) fn is_ready(pod: &Object) -> bool {
    !pod.is_deleting() && pod.is_condition_true("Ready")
}

/// The number at a JSON pointer; 0 if there is none.
pub(super) fn number(object: &Object, pointer: &str) -> usize {
    object.at(pointer).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).unwrap_or_default()
}

/// A reference to the workload that controls an object.
pub(super) fn owner_reference(workload: &Object) -> Value {
    json!({ "apiVersion": workload.id().resource().api_version(), "kind": workload.id().resource().kind,
        "name": workload.name(), "uid": workload.uid(), "controller": true, "blockOwnerDeletion": true })
}

/// A pod as the workload's template says.
pub(super) fn pod(workload: &Object, adjust: impl FnOnce(&mut Value)) -> Value {
    let template = workload.at("/spec/template").cloned().unwrap_or_default();
    let mut pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": template["spec"] });
    let meta = metadata(&mut pod);
    for field in ["labels", "annotations"] {
        if let Some(value) = template.pointer("/metadata").and_then(|meta| meta.get(field)) {
            meta.insert(field.to_owned(), value.clone());
        }
    }
    meta.insert("namespace".to_owned(), workload.namespace().into());
    meta.insert("ownerReferences".to_owned(), json!([owner_reference(workload)]));
    adjust(&mut pod);
    pod
}

/// Makes `n` pods, at most as many as one pass may; true if that was all.
pub(super) fn create(api: &Direct, n: usize, make: impl Fn(usize) -> Value) -> bool {
    for at in 0..n.min(BURST) {
        if api.create(make(at)).is_err() {
            return false;
        }
    }
    n <= BURST
}

/// Deletes this very pod, not another that has its name by then.
pub(super) fn delete(api: &Direct, pod: &Object) {
    let options = DeleteOptions { uid: Some(pod.uid().to_owned()), ..DeleteOptions::default() };
    // It may be gone already.
    drop(api.delete(pod.id(), &pod.key(), &options));
}

/// Writes the fields into the status.
pub(super) fn set_status(api: &Direct, workload: &Object, fields: &Value) {
    let generation = workload.at("/metadata/generation").cloned().unwrap_or_default();
    let change = |old: &Value| {
        let mut new = old.clone();
        let status: &mut Map<String, Value> = member(&mut new, "status");
        for (name, field) in fields.as_object().into_iter().flatten() {
            status.insert(name.clone(), field.clone());
        }
        status.insert("observedGeneration".to_owned(), generation);
        new
    };
    drop(api.update(workload.id(), &workload.key(), Part::Status, change));
}
