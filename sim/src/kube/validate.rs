//! What the server refuses of built-in kinds. Not all of it: names and labels, and those rules that a controller of
//! nodes, a scheduler or a writer of events can break.

use serde_json::Value;

use super::object::{Part, finalizers, is_deleting, list, text};
use super::resource::Id;
use super::status::{Cause, Status};

/// Judges a new object.
pub(super) fn create(id: Id, value: &Value) -> Result<(), Status> {
    let mut causes = metadata(value);
    match id {
        Id::POD if list(value, "/spec/containers").next().is_none() => {
            causes.push(Cause::required("spec.containers", ""));
        }
        Id::NEW_EVENT => new_event(value, &mut causes),
        _ => {}
    }
    if id == Id::EVENT || id == Id::NEW_EVENT {
        event_place(id, value, &mut causes);
    }
    refuse(id, value, &causes)
}

/// Judges a change.
pub(super) fn update(id: Id, part: Part, old: &Value, new: &Value) -> Result<(), Status> {
    let mut causes = metadata(new);
    if is_deleting(new) {
        let had = finalizers(old);
        let added: Vec<_> = finalizers(new).into_iter().filter(|finalizer| !had.contains(finalizer)).collect();
        if !added.is_empty() {
            let quoted: Vec<_> = added.iter().map(|finalizer| format!("{finalizer:?}")).collect();
            let message = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                quoted.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", message));
        }
    }
    match (id, part) {
        (Id::POD, Part::Main) => pod_spec(old, new, &mut causes),
        (Id::POD, Part::Status) => pod_status(old, new, &mut causes),
        (Id::NODE, _) => {
            let (before, after) = (text(old, "/spec/providerID"), text(new, "/spec/providerID"));
            if !before.is_empty() && before != after {
                let message = "node updates may not change providerID except from \"\" to valid";
                causes.push(Cause::forbidden("spec.providerID", message));
            }
        }
        (Id::DEPLOYMENT | Id::REPLICA_SET | Id::STATEFUL_SET | Id::DAEMON_SET | Id::JOB, Part::Main)
            if old.pointer("/spec/selector") != new.pointer("/spec/selector") =>
        {
            causes.push(Cause::invalid("spec.selector", &new["spec"]["selector"], "field is immutable"));
        }
        _ => {}
    }
    refuse(id, new, &causes)
}

fn refuse(id: Id, value: &Value, causes: &[Cause]) -> Result<(), Status> {
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid(id, text(value, "/metadata/name"), causes)) }
}

fn metadata(value: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = text(value, "/metadata/name");
    if !is_subdomain(name) {
        let message = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                       and must start and end with an alphanumeric character";
        causes.push(Cause::invalid("metadata.name", &name.into(), message));
    }
    let labels = value.pointer("/metadata/labels").and_then(Value::as_object);
    for (key, label) in labels.into_iter().flatten() {
        let label = label.as_str().unwrap_or_default();
        if !is_label_value(label) {
            let message = "a valid label must be an empty string or consist of at most 63 alphanumeric characters, \
                           '-', '_' or '.', and must start and end with an alphanumeric character";
            causes.push(Cause::invalid("metadata.labels", &label.into(), message));
        }
        let (prefix, local) = key.rsplit_once('/').unwrap_or(("x", key));
        if !is_subdomain(prefix) || local.is_empty() || !is_label_value(local) {
            causes.push(Cause::invalid("metadata.labels", &key.as_str().into(), "not a qualified name"));
        }
    }
    causes
}

/// Whether the text can be the name of an object.
fn is_subdomain(text: &str) -> bool {
    let is_part = |part: &str| {
        let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !part.is_empty() && part.chars().all(is_inner) && !part.starts_with('-') && !part.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_part)
}

fn is_label_value(text: &str) -> bool {
    let is_end = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && is_end(text.chars().next())
        && is_end(text.chars().last())
}

/// The fields of a pod's spec that may change are few.
fn pod_spec(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let before = text(old, "/spec/nodeName");
    if before != text(new, "/spec/nodeName") {
        causes.push(Cause::forbidden("spec.nodeName", "may not be changed directly; use the binding subresource"));
    }
    let has = |pod: &Value, list_at: &str, element: &Value| list(pod, list_at).any(|other| other == element);
    if list(old, "/spec/tolerations").any(|toleration| !has(new, "/spec/tolerations", toleration)) {
        let message = "existing toleration can not be modified except its tolerationSeconds";
        causes.push(Cause::forbidden("spec.tolerations", message));
    }
    if list(new, "/spec/schedulingGates").any(|gate| !has(old, "/spec/schedulingGates", gate)) {
        causes
            .push(Cause::forbidden("spec.schedulingGates", "only deletion is allowed, but found new scheduling gate"));
    }
    let is_gated = list(old, "/spec/schedulingGates").next().is_some();
    if fixed(old, is_gated) != fixed(new, is_gated) {
        let message = "pod updates may not change fields other than `spec.containers[*].image`,\
                       `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
                       `spec.tolerations` (only additions to existing tolerations)";
        causes.push(Cause::forbidden("spec", message));
    }
}

/// The part of a pod's spec that never changes.
fn fixed(pod: &Value, is_gated: bool) -> Value {
    let mut spec = pod.get("spec").cloned().unwrap_or_default();
    if let Some(fields) = spec.as_object_mut() {
        for field in
            ["nodeName", "tolerations", "schedulingGates", "activeDeadlineSeconds", "terminationGracePeriodSeconds"]
        {
            fields.remove(field);
        }
        if is_gated {
            fields.remove("nodeSelector");
            fields.remove("affinity");
        }
        for containers in ["containers", "initContainers"] {
            for container in fields.get_mut(containers).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(container) = container.as_object_mut() {
                    container.remove("image");
                }
            }
        }
    }
    spec
}

fn pod_status(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let nominated = text(new, "/status/nominatedNodeName");
    if nominated.is_empty() || nominated == text(old, "/status/nominatedNodeName") {
        return;
    }
    if !is_subdomain(nominated) {
        causes.push(Cause::invalid("status.nominatedNodeName", &nominated.into(), "not the name of a node"));
    }
    if !text(new, "/spec/nodeName").is_empty() {
        let message = "may not be set on a pod that is assigned to a node";
        causes.push(Cause::forbidden("status.nominatedNodeName", message));
    }
}

/// Events of the newer form must be complete.
fn new_event(value: &Value, causes: &mut Vec<Cause>) {
    // They are stored, and judged, in the older form.
    for (pointer, field) in [
        ("/eventTime", "eventTime"),
        ("/reportingComponent", "reportingController"),
        ("/reportingInstance", "reportingInstance"),
        ("/action", "action"),
        ("/reason", "reason"),
    ] {
        if text(value, pointer).is_empty() {
            causes.push(Cause::required(field, ""));
        }
    }
    if !matches!(text(value, "/type"), "Normal" | "Warning") {
        causes.push(Cause::invalid("type", &value["type"], "has invalid value"));
    }
    if text(value, "/message").len() > 1024 {
        causes.push(Cause::invalid("note", &"".into(), "can have at most 1024 bytes"));
    }
}

/// An event stands beside what it is about; one about a cluster-wide object stands in `default`.
fn event_place(id: Id, value: &Value, causes: &mut Vec<Cause>) {
    let (at, about) = (text(value, "/metadata/namespace"), text(value, "/involvedObject/namespace"));
    let is_right = if about.is_empty() { at == "default" } else { at == about };
    if !is_right {
        let field = if id == Id::EVENT { "involvedObject.namespace" } else { "regarding.namespace" };
        causes.push(Cause::invalid(field, &about.into(), "does not match event.namespace"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_labels_are_looked_at() {
        let of = |name: &str, label: &str| {
            metadata(&json!({ "metadata": { "name": name, "labels": { "a/b": label } } })).len()
        };
        assert_eq!(of("a-b.c", "A_b.c"), 0);
        assert_eq!(of("a-b.c", ""), 0);
        assert_eq!(of("-a", "x"), 1);
        assert_eq!(of("a", "x y"), 1);
        assert_eq!(of("A", "-"), 2);
    }

    #[test]
    fn a_bound_pod_cannot_be_nominated_but_the_field_can_be_cleared() {
        let pod = |node: &str, nominated: &str| json!({ "metadata": { "name": "a" }, "spec": { "nodeName": node }, "status": { "nominatedNodeName": nominated } });
        let change = |old: &Value, new: &Value| update(Id::POD, Part::Status, old, new);
        assert!(change(&pod("", ""), &pod("", "n1")).is_ok());
        assert_eq!(change(&pod("n1", ""), &pod("n1", "n1")).unwrap_err().code, 422);
        assert!(change(&pod("n1", "n1"), &pod("n1", "")).is_ok());
        assert_eq!(change(&pod("", ""), &pod("", "No Name")).unwrap_err().code, 422);
    }

    #[test]
    fn a_pod_is_moved_by_nobody() {
        let pod = json!({ "metadata": { "name": "a" }, "spec": { "containers": [{ "name": "c", "image": "x" }] } });
        let mut moved = pod.clone();
        moved["spec"]["nodeName"] = "n".into();
        assert!(update(Id::POD, Part::Main, &pod, &moved).is_err());
        let mut image = pod.clone();
        image["spec"]["containers"][0]["image"] = "y".into();
        assert!(update(Id::POD, Part::Main, &pod, &image).is_ok());
        let mut renamed = pod.clone();
        renamed["spec"]["containers"][0]["name"] = "y".into();
        assert!(update(Id::POD, Part::Main, &pod, &renamed).is_err());
    }
}
