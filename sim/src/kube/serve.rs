//! From a call to its answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Response;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::Value;

use super::answer::{self, Body, Form, Page};
use super::call::{Call, Verb};
use super::custom::Unknown;
use super::delete::{DeleteOptions, Deleted};
use super::event_form;
use super::faults::Cut;
use super::object::{Key, Object, Part};
use super::patch::Patch;
use super::resource::Id;
use super::selector::{FieldSelector, LabelSelector};
use super::server::ApiServer;
use super::session::Connection;
use super::state::State;
use super::status::{self, Cause, Status};
use super::watch::{self, Watch};
use super::write::WriteOptions;

/// Executes a call. `cut` says what befalls it if it is a watch.
pub(super) fn serve(
    server: &ApiServer,
    connection: &Arc<Connection>,
    call: &Call,
    cut: Option<Cut>,
) -> Result<Response<Body>, Status> {
    match call.verb {
        Verb::Watch => {
            let watch = Watch::open(server, connection, call, cut)?;
            let mut response = answer::json(200, "");
            *response.body_mut() = StreamBody::new(watch.into_stream()).boxed_unsync();
            Ok(response)
        }
        Verb::List => {
            let labels = LabelSelector::parse(call.param("labelSelector"))?;
            let fields = FieldSelector::parse(call.id, call.param("fieldSelector"))?;
            let page = server.locked(|state| list(state, call, &labels, &fields))?;
            Ok(answer::list(&page, call.id.resource(), Form::of(call)))
        }
        Verb::Get => {
            let object = server.locked(|state| state.store.get(call.id, &call.key()).cloned());
            let name = call.name.as_deref().unwrap_or_default();
            let object = object.ok_or_else(|| Status::not_found(call.id, name))?;
            Ok(answer::object(200, &object, Form::of(call)))
        }
        Verb::Create => create(server, call),
        Verb::Update | Verb::Patch => change(server, call),
        Verb::Delete => {
            let options = delete_options(call)?;
            let deleted = server.locked(|state| state.delete(call.id, &call.key(), &options))?;
            Ok(match deleted {
                Deleted::Gone(object) if !call.id.resource().returns_deleted => {
                    answer::value(200, &status::success(Some((call.id, object.name(), object.uid()))))
                }
                Deleted::Gone(object) | Deleted::Going(object) => answer::object(200, &object, Form::of(call)),
            })
        }
        Verb::DeleteCollection => {
            let options = delete_options(call)?;
            let labels = LabelSelector::parse(call.param("labelSelector"))?;
            let fields = FieldSelector::parse(call.id, call.param("fieldSelector"))?;
            let page = server.locked(|state| {
                let page = list(state, call, &labels, &fields)?;
                for object in &page.objects {
                    state.delete(call.id, &object.key(), &options)?;
                }
                Ok(page)
            })?;
            Ok(answer::list(&page, call.id.resource(), Form::of(call)))
        }
    }
}

fn create(server: &ApiServer, call: &Call) -> Result<Response<Body>, Status> {
    let body = body(call)?;
    let mut success = status::success(None);
    success["code"] = 201.into();
    match call.subresource.as_deref() {
        Some("binding") => {
            server.locked(|state| state.bind(&call.key(), &body, call.is_dry_run()))?;
            return Ok(answer::value(201, &success));
        }
        Some("eviction") => {
            server.locked(|state| state.evict(&call.key(), &body, call.is_dry_run()))?;
            return Ok(answer::value(201, &success));
        }
        _ => {}
    }
    let namespace = call.namespace.as_deref().unwrap_or_default();
    let options = write_options(call);
    let object = server.locked(|state| state.create(call.id, namespace, body, &options))?;
    Ok(answer::object(201, &object, Form::of(call)))
}

fn change(server: &ApiServer, call: &Call) -> Result<Response<Body>, Status> {
    let part = if call.subresource.is_some() { Part::Status } else { Part::Main };
    let options = write_options(call);
    let key = call.key();
    if call.verb == Verb::Update {
        let body = body(call)?;
        let object = server.locked(|state| state.replace(call.id, &key, part, &body, &options))?;
        return Ok(answer::object(200, &object, Form::of(call)));
    }
    let mut patch = Patch::parse(&call.media_type, &call.body)?;
    if call.id == Id::NEW_EVENT {
        match &mut patch {
            Patch::Merge(value) | Patch::Strategic(value) | Patch::Apply(value) => *value = event_form::to_old(value),
            Patch::Json(_) => {
                return Err(Status::unsupported_media_type("events are not patched by JSON patches here"));
            }
        }
    }
    let (object, is_new) = server.locked(|state| state.patch(call.id, &key, part, &patch, &options))?;
    Ok(answer::object(if is_new { 201 } else { 200 }, &object, Form::of(call)))
}

fn body(call: &Call) -> Result<Value, Status> {
    let value: Value = serde_json::from_slice(&call.body).map_err(|error| {
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {error}",
            call.id.resource().kind
        ))
    })?;
    Ok(if call.id == Id::NEW_EVENT { event_form::to_old(&value) } else { value })
}

fn write_options(call: &Call) -> WriteOptions {
    WriteOptions {
        dry_run: call.is_dry_run(),
        manager: call.param("fieldManager").to_owned(),
        force: call.flag("force"),
        unknown: if call.param("fieldValidation") == "Strict" { Unknown::Refused } else { Unknown::Pruned },
    }
}

/// The options of a deletion, from its body or its parameters.
fn delete_options(call: &Call) -> Result<DeleteOptions, Status> {
    let body = if call.body.is_empty() { Value::Null } else { body(call)? };
    let mut options = DeleteOptions::from_value(&body)?;
    if let Ok(grace) = call.param("gracePeriodSeconds").parse() {
        options.grace = Some(grace);
    }
    if !call.param("propagationPolicy").is_empty() {
        let asked = serde_json::json!({ "propagationPolicy": call.param("propagationPolicy") });
        options.propagation = DeleteOptions::from_value(&asked)?.propagation;
    }
    options.dry_run |= call.is_dry_run();
    Ok(options)
}

/// One page of a list.
fn list(state: &State, call: &Call, labels: &LabelSelector, fields: &FieldSelector) -> Result<Page, Status> {
    let store = &state.store;
    let current = store.resource_version();
    let limit = call.param("limit").parse::<usize>().ok().filter(|limit| *limit > 0);
    let (version, start) = match call.param("continue") {
        "" => (asked_version(call, current)?, None),
        token => parse_token(token).ok_or_else(|| Status::bad_request("continue key is not valid"))?,
    };
    let namespace = call.namespace.as_deref();
    let past: Option<BTreeMap<Key, Arc<Object>>> = if version == current && start.is_none() {
        None
    } else {
        Some(store.at(call.id, version, start.as_ref()).ok_or_else(|| Status::expired(EXPIRED))?)
    };
    let is_wanted = |object: &&Arc<Object>| {
        namespace.is_none_or(|namespace| namespace == object.namespace())
            && (labels.is_empty() || labels.matches(object.labels()))
            && (fields.is_empty() || fields.matches(object))
    };
    let mut wanted: Box<dyn Iterator<Item = &Arc<Object>>> = match &past {
        Some(past) => Box::new(past.values().filter(is_wanted)),
        None => Box::new(store.iter(call.id, namespace).filter(is_wanted)),
    };
    let objects: Vec<Arc<Object>> = wanted.by_ref().take(limit.unwrap_or(usize::MAX)).cloned().collect();
    let n_remaining = wanted.count();
    let last = objects.last().filter(|_| n_remaining > 0);
    let token = last.map(|last| format!("{version}/{}/{}", last.namespace(), last.name()));
    let is_counted = labels.is_empty() && fields.is_empty();
    Ok(Page { objects, resource_version: version, token, n_remaining: is_counted.then_some(n_remaining) })
}

const EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new \
                       list without the continue parameter, or use the continue token in this response to retrieve the \
                       remainder of the results. Continuing with the provided token results in an inconsistent list - \
                       objects that were created, modified, or deleted between the time the first chunk was returned and \
                       now may show up in the list.";

/// The version that a list is to show.
fn asked_version(call: &Call, current: u64) -> Result<u64, Status> {
    let asked = watch::parse_version(call.param("resourceVersion"))?;
    let version_match = call.param("resourceVersionMatch");
    if !version_match.is_empty() && call.param("resourceVersion").is_empty() {
        let message = "resourceVersionMatch is forbidden unless resourceVersion is provided";
        return Err(Status::invalid_options(Cause::forbidden("resourceVersionMatch", message)));
    }
    if asked > current {
        return Err(watch::too_large(asked, current));
    }
    Ok(if version_match == "Exact" { asked } else { current })
}

fn parse_token(token: &str) -> Option<(u64, Option<Key>)> {
    let mut parts = token.splitn(3, '/');
    let version = parts.next()?.parse().ok()?;
    Some((version, Some(Key::new(parts.next()?, parts.next()?))))
}
