//! Server-side apply, with ownership in its simplest useful form.
//!
//! For each manager the server remembers the configuration it applied last. Applying again sets what the configuration
//! says, takes away what the manager's last one said and no other manager's says, and refuses to overwrite a value that
//! another manager applied, unless forced. Fields written in other ways belong to nobody.

use std::collections::BTreeMap;

use serde_json::Value;

use super::status::{Cause, Status};
use super::strategic::{ListKey, is_same, list_key};

/// Manager → the configuration it applied last.
pub(super) type Applied = BTreeMap<String, Value>;

/// One step of a path into an object.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    /// The element that has these key fields (or, in a set, is this value).
    Element(Value),
}

type Path = Vec<Step>;

/// The object after `manager` applied `config`; the caller stores the configuration.
pub(super) fn apply(
    live: &Value,
    config: &Value,
    applied: &Applied,
    manager: &str,
    force: bool,
) -> Result<Value, Status> {
    let mut leaves = Vec::new();
    collect("", "", config, &mut Vec::new(), &mut leaves);
    let others: Vec<(&String, Vec<(Path, Value)>)> = applied
        .iter()
        .filter(|(other, _)| *other != manager)
        .map(|(other, config)| {
            let mut leaves = Vec::new();
            collect("", "", config, &mut Vec::new(), &mut leaves);
            (other, leaves)
        })
        .collect();
    let mut causes = Vec::new();
    for (path, value) in &leaves {
        let owner = others.iter().find(|(_, theirs)| theirs.iter().any(|(p, v)| p == path && v != value));
        // A value that the other manager applied but that is no longer there is not worth a conflict.
        if let Some((owner, theirs)) = owner
            && theirs.iter().any(|(p, v)| p == path && find(live, p) == Some(v))
        {
            let message = format!("conflict with {owner:?}");
            causes.push(Cause { reason: "FieldManagerConflict", field: words(path), message });
        }
    }
    if !causes.is_empty() && !force {
        return Err(Status::apply_conflict(&causes));
    }
    let mut new = live.clone();
    if let Some(last) = applied.get(manager) {
        let mut before = Vec::new();
        collect("", "", last, &mut Vec::new(), &mut before);
        // The fields that tell elements apart go last: without them the others would not be found.
        before.sort_by_key(|(path, _)| is_key_field(path));
        for (path, _) in before {
            let is_kept = leaves.iter().any(|(kept, _)| *kept == path)
                || others.iter().any(|(_, theirs)| theirs.iter().any(|(p, _)| *p == path));
            if !is_kept {
                remove(&mut new, &path);
            }
        }
    }
    for (path, value) in leaves {
        set(&mut new, &path, value);
    }
    Ok(new)
}

/// The leaves of a configuration: scalars, lists that are taken as a whole, and empty objects.
fn collect(parent: &str, field: &str, value: &Value, path: &mut Path, into: &mut Vec<(Path, Value)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, inner) in fields {
                let is_identity = path.is_empty() && matches!(name.as_str(), "apiVersion" | "kind")
                    || field == "metadata"
                        && path.len() == 1
                        && matches!(name.as_str(), "name" | "namespace" | "uid" | "resourceVersion");
                if is_identity {
                    continue;
                }
                path.push(Step::Field(name.clone()));
                collect(field, name, inner, path, into);
                path.pop();
            }
        }
        Value::Array(elements) => match list_key(parent, field) {
            Some(key) => {
                for element in elements {
                    path.push(Step::Element(identity(element, key)));
                    collect(parent, field, element, path, into);
                    path.pop();
                }
            }
            None => into.push((path.clone(), value.clone())),
        },
        _ => into.push((path.clone(), value.clone())),
    }
}

fn identity(element: &Value, key: ListKey) -> Value {
    match key {
        ListKey::Itself => element.clone(),
        ListKey::Fields(fields) => {
            let fields = fields.iter().filter_map(|field| Some(((*field).to_owned(), element.get(field)?.clone())));
            Value::Object(fields.collect())
        }
    }
}

/// Whether the element is the one that the step names.
fn is_named(element: &Value, identity: &Value) -> bool {
    match identity {
        Value::Object(fields) => fields.iter().all(|(field, value)| element.get(field) == Some(value)),
        other => is_same(element, other, ListKey::Itself),
    }
}

fn find<'a>(value: &'a Value, path: &[Step]) -> Option<&'a Value> {
    let mut place = value;
    for step in path {
        place = match step {
            Step::Field(name) => place.get(name)?,
            Step::Element(identity) => place.as_array()?.iter().find(|element| is_named(element, identity))?,
        };
    }
    Some(place)
}

fn set(value: &mut Value, path: &[Step], leaf: Value) {
    let Some((first, rest)) = path.split_first() else {
        *value = leaf;
        return;
    };
    match first {
        Step::Field(name) => {
            let fields = super::object::member_of(value);
            set(fields.entry(name.clone()).or_insert(Value::Null), rest, leaf);
        }
        Step::Element(identity) => {
            if !value.is_array() {
                *value = Value::Array(Vec::new());
            }
            let Some(elements) = value.as_array_mut() else { return };
            let at = elements.iter().position(|element| is_named(element, identity)).unwrap_or_else(|| {
                elements.push(identity.clone());
                elements.len() - 1
            });
            set(&mut elements[at], rest, leaf);
        }
    }
}

/// Whether the path ends at a field that its element is known by.
fn is_key_field(path: &[Step]) -> bool {
    match path {
        [.., Step::Element(Value::Object(identity)), Step::Field(name)] => identity.contains_key(name),
        _ => false,
    }
}

/// Takes a leaf away, and whatever holds nothing but it.
fn remove(value: &mut Value, path: &[Step]) {
    let Some((first, rest)) = path.split_first() else { return };
    match first {
        Step::Field(name) => {
            let Some(fields) = value.as_object_mut() else { return };
            if let Some(inner) = fields.get_mut(name) {
                if !rest.is_empty() {
                    remove(inner, rest);
                }
                let is_empty = inner.as_object().is_some_and(serde_json::Map::is_empty)
                    || inner.as_array().is_some_and(Vec::is_empty);
                if rest.is_empty() || is_empty {
                    fields.remove(name);
                }
            }
        }
        Step::Element(identity) => {
            let Some(elements) = value.as_array_mut() else { return };
            let Some(at) = elements.iter().position(|element| is_named(element, identity)) else { return };
            if !rest.is_empty() {
                remove(&mut elements[at], rest);
            }
            if rest.is_empty() || elements[at].as_object().is_some_and(serde_json::Map::is_empty) {
                elements.remove(at);
            }
        }
    }
}

/// The path in the form of messages: `.spec.taints`, `.status.conditions[type="Ready"].status`.
fn words(path: &[Step]) -> String {
    let step = |step: &Step| match step {
        Step::Field(name) => format!(".{name}"),
        Step::Element(Value::Object(fields)) => {
            let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}]", fields.join(","))
        }
        Step::Element(value) => format!("[={value}]"),
    };
    path.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_manager_no_longer_says_goes_away_and_the_rest_stays() {
        let live = json!({ "metadata": { "labels": { "a": "1", "b": "1", "by-hand": "x" } } });
        let applied = Applied::from([("me".to_owned(), json!({ "metadata": { "labels": { "a": "1", "b": "1" } } }))]);
        let new = apply(&live, &json!({ "metadata": { "labels": { "a": "2" } } }), &applied, "me", false).unwrap();
        assert_eq!(new, json!({ "metadata": { "labels": { "a": "2", "by-hand": "x" } } }));
    }

    #[test]
    fn a_value_of_another_manager_is_a_conflict_unless_forced() {
        let live = json!({ "spec": { "replicas": 1 } });
        let applied = Applied::from([("other".to_owned(), live.clone())]);
        let config = json!({ "spec": { "replicas": 2 } });
        let refused = apply(&live, &config, &applied, "me", false).unwrap_err();
        assert_eq!((refused.code, refused.reason), (409, "Conflict"));
        assert_eq!(refused.message, "Apply failed with 1 conflict: conflict with \"other\": .spec.replicas");
        assert_eq!(apply(&live, &config, &applied, "me", true).unwrap(), config);
    }

    #[test]
    fn elements_of_keyed_lists_are_owned_one_by_one() {
        let live = json!({ "status": { "conditions": [{ "type": "A", "status": "True" }] } });
        let config = json!({ "status": { "conditions": [{ "type": "B", "status": "False" }] } });
        let new = apply(&live, &config, &Applied::new(), "me", false).unwrap();
        let both = json!([{ "type": "A", "status": "True" }, { "type": "B", "status": "False" }]);
        assert_eq!(new["status"]["conditions"], both);
        let applied = Applied::from([("me".to_owned(), config)]);
        let new = apply(&new, &json!({ "metadata": { "labels": {} } }), &applied, "me", false).unwrap();
        assert_eq!(new["status"]["conditions"], live["status"]["conditions"]);
    }
}
