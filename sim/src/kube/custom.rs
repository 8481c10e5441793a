//! What the server does to objects of custom resources before it stores them: prune, fill in defaults, judge.

use crds::schema;
use serde_json::{Map, Value};

use super::object::text;
use super::resource::Id;
use super::status::{Cause, Status};

/// What is done about fields that the schema does not know (`fieldValidation`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// They are left out (also under `Warn`).
    #[default]
    Pruned,
    /// The request is refused.
    Refused,
}

/// Leaves out unknown fields, fills in defaults.
pub(super) fn normalize(kind: crds::Kind, value: Value, unknown: Unknown) -> Result<Value, Status> {
    let mut value = value;
    let mut pruned = Vec::new();
    prune(&kind.crd().schema, &mut value, "", true, &mut pruned);
    if unknown == Unknown::Refused && !pruned.is_empty() {
        let fields: Vec<_> = pruned.iter().map(|path| format!("unknown field {path:?}")).collect();
        return Err(Status::bad_request(format!("strict decoding error: {}", fields.join(", "))));
    }
    Ok(schema::with_defaults(kind, value))
}

/// Refuses what breaks the schema or a rule. A part that did not change is not judged again.
pub(super) fn judge(kind: crds::Kind, new: &Value, old: Option<&Value>) -> Result<(), Status> {
    let is_same = |field: &str| old.is_some_and(|old| old.get(field) == new.get(field));
    let faults = if is_same("spec") {
        if is_same("status") { Vec::new() } else { schema::validate(kind, new) }
    } else {
        crds::check(kind, new, old)
    };
    // Faults of the spec that were there before do not keep anyone from writing the status.
    let faults = faults.into_iter().filter(|fault| !(is_same("spec") && fault.path.starts_with("spec")));
    let causes: Vec<_> = faults.map(|fault| cause(new, &fault)).collect();
    if causes.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(Id::of(kind), text(new, "/metadata/name"), &causes))
}

fn cause(object: &Value, fault: &crds::Fault) -> Cause {
    if fault.message == "required field is missing" {
        return Cause::required(fault.path.clone(), "");
    }
    let pointer = format!("/{}", fault.path.replace(['.', '['], "/").replace(']', ""));
    match object.pointer(&pointer) {
        Some(value @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) => {
            Cause::invalid(fault.path.clone(), value, &fault.message)
        }
        Some(Value::Array(_)) => Cause::invalid(fault.path.clone(), &"array".into(), &fault.message),
        _ => Cause::invalid(fault.path.clone(), &"object".into(), &fault.message),
    }
}

/// Takes away the fields that the schema does not know; where they were goes to `pruned`.
fn prune(schema: &Value, value: &mut Value, path: &str, is_root: bool, pruned: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let additional = schema.get("additionalProperties");
            let is_open =
                flag(schema, "x-kubernetes-preserve-unknown-fields") || additional == Some(&Value::Bool(true));
            let embedded = is_root || flag(schema, "x-kubernetes-embedded-resource");
            let known = |name: &str| {
                properties.is_some_and(|properties| properties.contains_key(name))
                    || additional.is_some_and(Value::is_object)
                    || embedded && matches!(name, "apiVersion" | "kind" | "metadata")
            };
            if !is_open {
                let unknown: Vec<String> = fields.keys().filter(|name| !known(name)).cloned().collect();
                for name in unknown {
                    fields.remove(&name);
                    pruned.push(join(path, &name));
                }
            }
            for (name, field) in fields.iter_mut() {
                let inner = properties.and_then(|properties| properties.get(name));
                let is_metadata = embedded && name == "metadata";
                if let Some(inner) = inner.or(additional.filter(|a| a.is_object()))
                    && !is_metadata
                {
                    prune(inner, field, &join(path, name), false, pruned);
                }
            }
        }
        Value::Array(elements) => {
            if let Some(items) = schema.get("items") {
                for (at, element) in elements.iter_mut().enumerate() {
                    prune(items, element, &format!("{path}[{at}]"), false, pruned);
                }
            }
        }
        _ => {}
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool).unwrap_or_default()
}

/// Whether anything but metadata and status differs: what makes a new generation.
pub(super) fn is_wanted_changed(old: &Value, new: &Value) -> bool {
    let wanted = |value: &Value| -> Map<String, Value> {
        let fields = value.as_object().into_iter().flatten();
        let fields = fields.filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status" | "apiVersion" | "kind"));
        fields.map(|(name, field)| (name.clone(), field.clone())).collect()
    };
    wanted(old) != wanted(new)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pool() -> Value {
        json!({ "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": "p" }, "spec": { "template": {
            "spec": { "requirements": [], "nodeClassRef": { "group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default" } } } } })
    }

    #[test]
    fn unknown_fields_go_and_defaults_come() {
        let mut value = pool();
        value["spec"]["colour"] = "red".into();
        value["spec"]["template"]["metadata"] = json!({ "labels": { "a": "b" } });
        let pool = normalize(crds::Kind::NodePool, value.clone(), Unknown::Pruned).unwrap();
        assert!(pool["spec"].get("colour").is_none());
        assert_eq!(pool["metadata"], json!({ "name": "p" }));
        assert_eq!(pool["spec"]["template"]["metadata"]["labels"]["a"], "b");
        assert_eq!(pool["spec"]["disruption"]["consolidateAfter"], "0s");
        let refused = normalize(crds::Kind::NodePool, value, Unknown::Refused).unwrap_err();
        assert_eq!(refused.message, "strict decoding error: unknown field \"spec.colour\"");
    }

    #[test]
    fn a_rule_that_is_broken_is_named_with_its_field() {
        let mut value = pool();
        value["spec"]["template"]["spec"]["requirements"] =
            json!([{ "key": "karpenter.sh/nodepool", "operator": "In", "values": ["x"] }]);
        let value = normalize(crds::Kind::NodePool, value, Unknown::Pruned).unwrap();
        let refused = judge(crds::Kind::NodePool, &value, None).unwrap_err();
        assert_eq!((refused.code, refused.reason), (422, "Invalid"));
        assert!(refused.message.starts_with("NodePool.karpenter.sh \"p\" is invalid: spec.template.spec.requirements"));
        assert!(judge(crds::Kind::NodePool, &value, Some(&value)).is_ok());
    }
}
