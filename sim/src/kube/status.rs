//! Refusals, with the codes, reasons and words of a real API server.

use std::fmt;

use serde_json::{Value, json};

use super::resource::{Id, Resource};

/// A `Status` that says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// HTTP.
    pub code: u16,
    /// Machine-readable, `NotFound` for example.
    pub reason: &'static str,
    pub message: String,
    /// `details`, null if there are none.
    pub details: Value,
}

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldValueForbidden`, …
    pub reason: &'static str,
    /// Path, empty for the whole object.
    pub field: String,
    /// Begins with the reason in words: `Invalid value: …`.
    pub message: String,
}

impl Cause {
    pub fn invalid(field: impl Into<String>, value: &Value, message: &str) -> Self {
        let message = format!("Invalid value: {value}: {message}");
        Self { reason: "FieldValueInvalid", field: field.into(), message }
    }

    pub fn forbidden(field: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { reason: "FieldValueForbidden", field: field.into(), message: format!("Forbidden: {message}") }
    }

    pub fn required(field: impl Into<String>, message: &str) -> Self {
        let message = format!("Required value: {message}").trim_end_matches(": ").to_owned();
        Self { reason: "FieldValueRequired", field: field.into(), message }
    }
}

impl Status {
    fn new(code: u16, reason: &'static str, message: String) -> Self {
        Self { code, reason, message, details: Value::Null }
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        self.details = json!({ "name": name, "kind": resource.plural });
        if !resource.group.is_empty() {
            self.details["group"] = resource.group.into();
        }
        self
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message.into())
    }

    pub fn forbidden(id: Id, name: &str, message: impl fmt::Display) -> Self {
        let resource = id.resource();
        let words = format!("{} {name:?} is forbidden: {message}", resource.qualified());
        Self::new(403, "Forbidden", words).about(resource, name)
    }

    pub fn not_found(id: Id, name: &str) -> Self {
        let resource = id.resource();
        Self::new(404, "NotFound", format!("{} {name:?} not found", resource.qualified())).about(resource, name)
    }

    /// No such path.
    pub fn no_such_path() -> Self {
        let mut status = Self::new(404, "NotFound", "the server could not find the requested resource".to_owned());
        status.details = json!({});
        status
    }

    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource".to_owned();
        Self::new(405, "MethodNotAllowed", message)
    }

    pub fn already_exists(id: Id, name: &str) -> Self {
        let resource = id.resource();
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", resource.qualified()))
            .about(resource, name)
    }

    pub fn conflict(id: Id, name: &str, message: impl fmt::Display) -> Self {
        let resource = id.resource();
        let words = format!("Operation cannot be fulfilled on {} {name:?}: {message}", resource.qualified());
        Self::new(409, "Conflict", words).about(resource, name)
    }

    /// Somebody else was quicker.
    pub fn modified(id: Id, name: &str) -> Self {
        let message = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(id, name, message)
    }

    /// Another applier owns the fields.
    pub fn apply_conflict(causes: &[Cause]) -> Self {
        let words = causes.iter().map(|cause| format!("{}: {}", cause.message, cause.field)).collect::<Vec<_>>();
        let noun = if causes.len() == 1 { "conflict" } else { "conflicts" };
        let message = format!("Apply failed with {} {noun}: {}", causes.len(), words.join(", "));
        let mut status = Self::new(409, "Conflict", message);
        status.details = json!({ "causes": causes_of(causes) });
        status
    }

    /// A test of a JSON patch has failed. That is all the server says of it.
    pub fn unprocessable() -> Self {
        Self::new(422, "Invalid", "the server rejected our request due to an error in our request".to_owned())
    }

    /// What was asked for is no longer remembered.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message.into())
    }

    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message.into())
    }

    pub fn invalid(id: Id, name: &str, causes: &[Cause]) -> Self {
        let resource = id.resource();
        let kind = if resource.group.is_empty() {
            resource.kind.to_owned()
        } else {
            format!("{}.{}", resource.kind, resource.group)
        };
        Self::invalid_as(&kind, resource.kind, resource.group, name, causes)
    }

    /// Parameters of a list or watch that exclude each other.
    pub fn invalid_options(cause: Cause) -> Self {
        Self::invalid_as("ListOptions.meta.k8s.io", "ListOptions", "meta.k8s.io", "", &[cause])
    }

    fn invalid_as(qualified: &str, kind: &str, group: &str, name: &str, causes: &[Cause]) -> Self {
        let words: Vec<_> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let text = if words.len() == 1 { words.concat() } else { format!("[{}]", words.join(", ")) };
        let mut status = Self::new(422, "Invalid", format!("{qualified} {name:?} is invalid: {text}"));
        status.details = json!({ "name": name, "kind": kind, "causes": causes_of(causes) });
        if !group.is_empty() {
            status.details["group"] = group.into();
        }
        status
    }

    /// 429 with one cause, as a disruption budget answers.
    pub fn too_many_requests(message: &str, cause: Option<(&str, String)>, retry_after: Option<u32>) -> Self {
        let mut status = Self::new(429, "TooManyRequests", message.to_owned());
        let mut details = json!({});
        if let Some((reason, message)) = cause {
            details["causes"] = json!([{ "reason": reason, "message": message }]);
        }
        if let Some(seconds) = retry_after {
            details["retryAfterSeconds"] = seconds.into();
        }
        status.details = details;
        status
    }

    pub fn internal(message: impl fmt::Display) -> Self {
        let mut status = Self::new(500, "InternalError", format!("Internal error occurred: {message}"));
        status.details = json!({ "causes": [{ "message": message.to_string() }] });
        status
    }

    pub fn unavailable(message: &str) -> Self {
        Self::new(503, "ServiceUnavailable", message.to_owned())
    }

    pub fn timeout(message: impl Into<String>, retry_after: u32) -> Self {
        let mut status = Self::new(504, "Timeout", message.into());
        status.details = json!({ "retryAfterSeconds": retry_after });
        status
    }

    /// Seconds after which the caller is asked to try again.
    pub fn retry_after(&self) -> Option<u64> {
        self.details.get("retryAfterSeconds").and_then(Value::as_u64)
    }

    /// The object on the wire.
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code
        });
        if !self.details.is_null() {
            value["details"] = self.details.clone();
        }
        value
    }
}

/// The answer to a deletion that took effect at once, and to a binding or an eviction.
pub(super) fn success(details: Option<(Id, &str, &str)>) -> Value {
    let mut value = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" });
    if let Some((id, name, uid)) = details {
        value["details"] = json!({ "name": name, "kind": id.resource().plural, "uid": uid });
        if !id.resource().group.is_empty() {
            value["details"]["group"] = id.resource().group.into();
        }
    }
    value
}

fn causes_of(causes: &[Cause]) -> Vec<Value> {
    let cause = |c: &Cause| json!({ "reason": c.reason, "message": c.message, "field": c.field });
    causes.iter().map(cause).collect()
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.reason, self.message)
    }
}

impl std::error::Error for Status {}
