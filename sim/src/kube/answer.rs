//! Answers on the wire: objects, lists and refusals, in the forms that clients ask for.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use super::call::Call;
use super::event_form;
use super::object::{Object, write_json};
use super::resource::{Id, Resource};
use super::status::Status;

/// The body of every answer.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// How an object is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Full,
    /// `PartialObjectMetadata`.
    Metadata,
    /// An event in the form of `events.k8s.io`.
    NewEvent,
}

impl Form {
    pub fn of(call: &Call) -> Self {
        match (call.is_metadata_only, call.id) {
            (true, _) => Self::Metadata,
            (false, Id::NEW_EVENT) => Self::NewEvent,
            _ => Self::Full,
        }
    }
}

/// Writes an object with its type.
pub(super) fn write_object(out: &mut Vec<u8>, object: &Object, form: Form) {
    match form {
        Form::Full => object.write(out),
        Form::Metadata => {
            let value = json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": object.value()["metadata"] });
            write_json(out, &value);
        }
        Form::NewEvent => write_json(out, &event_form::to_new(object.value())),
    }
}

/// An answer of JSON.
pub(super) fn json(code: u16, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(bytes.into()).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

pub(super) fn value(code: u16, value: &Value) -> Response<Body> {
    json(code, value.to_string())
}

pub(super) fn object(code: u16, object: &Object, form: Form) -> Response<Body> {
    let mut out = Vec::new();
    write_object(&mut out, object, form);
    json(code, out)
}

pub(super) fn refusal(status: &Status) -> Response<Body> {
    let mut response = value(status.code, &status.to_value());
    if let Some(seconds) = status.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// A page of objects.
pub(super) struct Page {
    pub objects: Vec<Arc<Object>>,
    pub resource_version: u64,
    /// Where the next page begins.
    pub token: Option<String>,
    /// How many objects come after this page, if that is known.
    pub n_remaining: Option<usize>,
}

pub(super) fn list(page: &Page, resource: &Resource, form: Form) -> Response<Body> {
    let mut metadata = json!({ "resourceVersion": page.resource_version.to_string() });
    if let Some(token) = &page.token {
        metadata["continue"] = token.as_str().into();
    }
    if let (Some(n_remaining), true) = (page.n_remaining, page.token.is_some()) {
        metadata["remainingItemCount"] = n_remaining.into();
    }
    let (kind, api_version) = match form {
        Form::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
        _ => (format!("{}List", resource.kind), resource.api_version()),
    };
    let head = json!({ "kind": kind, "apiVersion": api_version, "metadata": metadata }).to_string();
    let mut out = Vec::with_capacity(256 + page.objects.len() * 1024);
    out.extend_from_slice(head.strip_suffix('}').unwrap_or(&head).as_bytes());
    out.extend_from_slice(b",\"items\":[");
    for (at, object) in page.objects.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match form {
            Form::Full => object.write_item(&mut out),
            _ => write_object(&mut out, object, form),
        }
    }
    out.extend_from_slice(b"]}");
    json(200, out)
}
