//! Stored objects: immutable, shared by the store and everyone who watches, encoded at most once.

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::resource::Id;

/// Holds an object back until its dependents are gone.
pub(super) const FOREGROUND: &str = "foregroundDeletion";

/// Namespace (empty for cluster-wide kinds) and name: the order in which lists are given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// A key of a cluster-wide kind.
    pub fn cluster(name: impl Into<String>) -> Self {
        Self::new("", name)
    }

    /// The key of an object in JSON.
    pub fn of(value: &Value) -> Self {
        Self::new(text(value, "/metadata/namespace"), text(value, "/metadata/name"))
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// Which part of an object a write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All but the status.
    Main,
    /// The status alone.
    Status,
}

/// One version of an object.
#[derive(Debug)]
pub struct Object {
    id: Id,
    resource_version: u64,
    value: Value,
    /// The fields beside `apiVersion` and `kind`, without the brace that opens them.
    inner: OnceLock<Bytes>,
}

impl Object {
    pub(crate) fn new(id: Id, value: Value, resource_version: u64) -> Self {
        Self { id, resource_version, value, inner: OnceLock::new() }
    }

    pub fn id(&self) -> Id {
        self.id
    }

    /// The number that `metadata.resourceVersion` shows.
    pub fn resource_version(&self) -> u64 {
        self.resource_version
    }

    /// The object in full.
    pub fn value(&self) -> &Value {
        &self.value
    }

    pub fn key(&self) -> Key {
        Key::of(&self.value)
    }

    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    pub fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    /// The text at a JSON pointer; empty if there is none.
    pub fn text(&self, pointer: &str) -> &str {
        text(&self.value, pointer)
    }

    /// What is at a JSON pointer.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        at(&self.value, pointer)
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.value.get("metadata")?.get("labels")?.get(key)?.as_str()
    }

    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.value.get("metadata")?.get("annotations")?.get(key)?.as_str()
    }

    pub fn labels(&self) -> Option<&Map<String, Value>> {
        self.value.get("metadata")?.get("labels")?.as_object()
    }

    pub fn is_deleting(&self) -> bool {
        is_deleting(&self.value)
    }

    pub fn finalizers(&self) -> Vec<&str> {
        finalizers(&self.value)
    }

    pub fn owners(&self) -> impl Iterator<Item = &Value> {
        list(&self.value, "/metadata/ownerReferences")
    }

    /// The condition of the type, if the status has it.
    pub fn condition(&self, of_type: &str) -> Option<&Value> {
        list(&self.value, "/status/conditions").find(|condition| condition["type"] == of_type)
    }

    /// Whether the status of the condition is `True`.
    pub fn is_condition_true(&self, of_type: &str) -> bool {
        self.condition(of_type).is_some_and(|condition| condition["status"] == "True")
    }

    fn inner(&self) -> &Bytes {
        self.inner.get_or_init(|| {
            let mut out = Vec::with_capacity(1024);
            let fields = self.value.as_object().into_iter().flatten();
            for (name, field) in fields.filter(|(name, _)| *name != "apiVersion" && *name != "kind") {
                if !out.is_empty() {
                    out.push(b',');
                }
                write_json(&mut out, &Value::from(name.as_str()));
                out.push(b':');
                write_json(&mut out, field);
            }
            out.push(b'}');
            Bytes::from(out)
        })
    }

    /// Writes the object in full.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let resource = self.id.resource();
        out.extend_from_slice(b"{\"kind\":\"");
        out.extend_from_slice(resource.kind.as_bytes());
        out.extend_from_slice(b"\",\"apiVersion\":\"");
        out.extend_from_slice(resource.api_version().as_bytes());
        out.extend_from_slice(b"\",");
        out.extend_from_slice(self.inner());
    }

    /// Writes the object as lists hold it: without its type, if the kind is built in.
    pub(super) fn write_item(&self, out: &mut Vec<u8>) {
        if self.id.resource().crd.is_some() {
            self.write(out);
        } else {
            out.push(b'{');
            out.extend_from_slice(self.inner());
        }
    }
}

/// Appends a value; a `Vec` takes all that is written to it.
pub(super) fn write_json(out: &mut Vec<u8>, value: &Value) {
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.extend_from_slice(b"null");
    }
}

/// What is at a JSON pointer without escapes. (`Value::pointer` makes two strings for every step.)
pub fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    pointer.split('/').skip(1).try_fold(value, |place, step| match place {
        Value::Object(fields) => fields.get(step),
        Value::Array(elements) => elements.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The text at a JSON pointer; empty if there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The elements of the list at a JSON pointer.
pub fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    at(value, pointer).and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn is_deleting(value: &Value) -> bool {
    at(value, "/metadata/deletionTimestamp").is_some_and(Value::is_string)
}

pub(super) fn finalizers(value: &Value) -> Vec<&str> {
    list(value, "/metadata/finalizers").filter_map(Value::as_str).collect()
}

/// The metadata to be changed; made if it is not there.
pub fn metadata(value: &mut Value) -> &mut Map<String, Value> {
    member(value, "metadata")
}

/// The object that is a field of an object; made if there is none.
pub fn member<'a>(value: &'a mut Value, field: &str) -> &'a mut Map<String, Value> {
    member_of(member_of(value).entry(field.to_owned()).or_insert(Value::Null))
}

/// The value as an object; made one if it is none.
#[expect(clippy::expect_used, reason = "it is made an object just before")]
pub fn member_of(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("an object")
}
