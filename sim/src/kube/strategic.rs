//! Strategic merge patches: like merge patches, but lists whose elements have a key are merged by it.
//!
//! Which lists those are stands in the `patchMergeKey` marks of the Kubernetes API types; the table holds the ones that
//! the kinds here have. Every other list is replaced as a whole (a Node's taints, for example).

use serde_json::{Map, Value};

/// How the elements of a list are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListKey {
    /// By the values of these fields.
    Fields(&'static [&'static str]),
    /// A set: the elements are their own keys.
    Itself,
}

/// The key of the list in the field, if it is merged; `parent` is the field the list's object is in.
pub(super) fn list_key(parent: &str, field: &str) -> Option<ListKey> {
    let fields: &'static [&'static str] = match field {
        "finalizers" => return Some(ListKey::Itself),
        "conditions" | "addresses" => &["type"],
        "ownerReferences" => &["uid"],
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets" => &["name"],
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "topologySpreadConstraints" => &["topologyKey"],
        "hostAliases" | "podIPs" | "hostIPs" => &["ip"],
        "ports" if parent == "containers" || parent == "initContainers" => &["containerPort"],
        "ports" => &["port"],
        _ => return None,
    };
    Some(ListKey::Fields(fields))
}

/// Applies the patch.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    merge_field("", target, patch);
}

fn merge_field(field: &str, target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if patch.get("$patch").is_some_and(|directive| directive == "replace") {
        let rest = patch.iter().filter(|(name, _)| !name.starts_with('$'));
        *target = Value::Object(rest.map(|(name, value)| (name.clone(), value.clone())).collect());
        return;
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else { return };
    if let Some(retained) = patch.get("$retainKeys").and_then(Value::as_array) {
        target.retain(|name, _| retained.iter().any(|kept| kept == name));
    }
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(elements)), Some(gone)) = (target.get_mut(list), value.as_array()) {
                elements.retain(|element| !gone.contains(element));
            }
        } else if name.starts_with('$') {
            // The order of elements says nothing about the object.
        } else if value.is_null() {
            target.remove(name);
        } else if let (Some(key), Value::Array(patched)) = (list_key(field, name), value) {
            let list = target.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new()));
            merge_list(name, list, patched, key);
        } else {
            merge_field(name, target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

fn merge_list(field: &str, target: &mut Value, patch: &[Value], key: ListKey) {
    let is_directive = |element: &Value, directive: &str| element.get("$patch").is_some_and(|d| d == directive);
    if patch.iter().any(|element| is_directive(element, "replace")) || !target.is_array() {
        let kept = patch.iter().filter(|element| element.get("$patch").is_none());
        *target = Value::Array(kept.cloned().collect());
        return;
    }
    let Some(elements) = target.as_array_mut() else { return };
    for patched in patch {
        let position = elements.iter().position(|element| is_same(element, patched, key));
        match position {
            Some(at) if is_directive(patched, "delete") => {
                elements.remove(at);
            }
            None if is_directive(patched, "delete") => {}
            Some(at) => merge_field(field, &mut elements[at], patched),
            None => {
                let mut element = Value::Null;
                merge_field(field, &mut element, patched);
                elements.push(element);
            }
        }
    }
}

/// Whether two elements of a list are the same one.
pub(super) fn is_same(a: &Value, b: &Value, key: ListKey) -> bool {
    match key {
        ListKey::Itself => a == b,
        ListKey::Fields(fields) => fields.iter().all(|field| a.get(field) == b.get(field)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_are_merged_by_type() {
        let mut node = json!({ "status": { "conditions": [
            { "type": "Ready", "status": "False", "reason": "Booting" }, { "type": "DiskPressure", "status": "False" }] } });
        merge(
            &mut node,
            &json!({ "status": { "conditions": [
                { "type": "Ready", "status": "True" }, { "type": "New", "status": "True" }, { "$patch": "delete", "type": "DiskPressure" }] } }),
        );
        let expected =
            json!([{ "type": "Ready", "status": "True", "reason": "Booting" }, { "type": "New", "status": "True" }]);
        assert_eq!(node["status"]["conditions"], expected);
    }

    #[test]
    fn finalizers_are_a_set_and_taints_are_replaced() {
        let mut node = json!({ "metadata": { "finalizers": ["a", "b"] }, "spec": { "taints": [{ "key": "x" }] } });
        let patch = json!({ "metadata": { "finalizers": ["b", "c"], "$deleteFromPrimitiveList/finalizers": ["a"] },
            "spec": { "taints": [{ "key": "y" }] } });
        merge(&mut node, &patch);
        assert_eq!(node["metadata"]["finalizers"], json!(["b", "c"]));
        assert_eq!(node["spec"]["taints"], json!([{ "key": "y" }]));
    }

    #[test]
    fn a_container_is_changed_by_name_and_its_ports_by_number() {
        let mut pod = json!({ "spec": { "containers": [
            { "name": "a", "image": "x", "ports": [{ "containerPort": 80 }] }, { "name": "b", "image": "y" }] } });
        let patch = json!({ "spec": { "containers": [
            { "name": "a", "image": "z", "ports": [{ "containerPort": 81, "name": "p" }] }] } });
        merge(&mut pod, &patch);
        assert_eq!(pod["spec"]["containers"][0]["image"], "z");
        assert_eq!(
            pod["spec"]["containers"][0]["ports"],
            json!([{ "containerPort": 80 }, { "containerPort": 81, "name": "p" }])
        );
        assert_eq!(pod["spec"]["containers"][1]["image"], "y");
    }
}
