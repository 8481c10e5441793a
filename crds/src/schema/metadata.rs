//! The metadata of an object. CRDs say nothing of it: the API server has rules of its own, of which these are the ones
//! that a person who writes a file can break.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::Fault;
use super::leaf::excerpt;
use super::walk::walk;
use crate::words;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let texts = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let label =
        json!({ "type": "string", "maxLength": 63, "pattern": "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$" });
    let subdomain = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
    let time = json!({ "type": "string", "format": "date-time" });
    let metadata = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "maxLength": 253, "pattern": subdomain },
            "generateName": { "type": "string", "maxLength": 253 },
            "namespace": { "type": "string", "maxLength": 63, "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$" },
            "labels": { "type": "object", "additionalProperties": label },
            "annotations": texts,
            "finalizers": { "type": "array", "items": { "type": "string" } },
            "ownerReferences": { "type": "array", "items": {
                "type": "object",
                "required": ["apiVersion", "kind", "name", "uid"],
                "properties": {
                    "apiVersion": { "type": "string" },
                    "kind": { "type": "string" },
                    "name": { "type": "string" },
                    "uid": { "type": "string" },
                    "controller": { "type": "boolean" },
                    "blockOwnerDeletion": { "type": "boolean" }
                }
            } },
            "uid": { "type": "string" },
            "resourceVersion": { "type": "string" },
            "generation": { "type": "integer", "format": "int64" },
            "creationTimestamp": time,
            "deletionTimestamp": time,
            "deletionGracePeriodSeconds": { "type": "integer", "format": "int64" },
            "selfLink": { "type": "string" },
            "managedFields": { "type": "array", "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } }
        }
    });
    json!({ "type": "object", "properties": { "metadata": metadata } })
});

/// The faults of an object's metadata.
pub(super) fn validate(metadata: &Value) -> Vec<Fault> {
    let mut faults = walk(&SCHEMA, &json!({ "metadata": metadata }));
    let is_set = |field: &str| metadata.get(field).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if metadata.get("name").is_none_or(Value::is_null) && !is_set("generateName") {
        faults.push(Fault {
            path: "metadata.name".to_owned(),
            message: "required field is missing".to_owned(),
            remedy: "give the object a name".to_owned(),
        });
    }
    for key in metadata.get("labels").and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key) {
        if let Err(why) = words::label_key(key) {
            faults.push(Fault {
                path: format!("metadata.labels[{key}]"),
                message: format!("{:?} is no label key", excerpt(key)),
                remedy: format!("write another one: {why}"),
            });
        }
    }
    faults
}
