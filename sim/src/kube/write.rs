//! Creating and changing objects.

use std::sync::Arc;

use serde_json::{Value, json};

use super::custom::{self, Unknown};
use super::defaults;
use super::object::{Key, Object, Part, finalizers, is_deleting, member_of, metadata, text};
use super::patch::Patch;
use super::resource::Id;
use super::state::State;
use super::status::{Cause, Status};
use super::{apply, validate};

/// How a write is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Say what would become of it, and leave all as it is.
    pub dry_run: bool,
    /// `fieldManager`.
    pub manager: String,
    /// Whether an apply takes over what others own.
    pub force: bool,
    pub unknown: Unknown,
}

impl State {
    /// Stores a new object.
    pub fn create(
        &mut self,
        id: Id,
        namespace: &str,
        mut value: Value,
        options: &WriteOptions,
    ) -> Result<Arc<Object>, Status> {
        check_type(id, &value)?;
        let resource = id.resource();
        let api_version = id.stored().resource().api_version();
        let fields = member_of(&mut value);
        fields.insert("apiVersion".to_owned(), api_version.into());
        fields.insert("kind".to_owned(), resource.kind.into());
        self.place(id, namespace, &mut value)?;
        let name = text(&value, "/metadata/name").to_owned();
        if value.pointer("/metadata/resourceVersion").is_some_and(|version| version != "") {
            return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
        }
        let uid = self.new_uid();
        let meta = metadata(&mut value);
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink", "generation"] {
            meta.remove(field);
        }
        meta.insert("uid".to_owned(), uid.as_str().into());
        meta.insert("creationTimestamp".to_owned(), self.clock.text().into());
        if resource.counts_generation {
            meta.insert("generation".to_owned(), json!(1));
        }
        tidy(&mut value);
        if let Some(kind) = resource.crd {
            member_of(&mut value).remove("status");
            value = custom::normalize(kind, value, options.unknown)?;
        } else {
            defaults::on_create(id, &mut value, &uid, &self.store);
        }
        validate::create(id, &value)?;
        if let Some(kind) = resource.crd {
            custom::judge(kind, &value, None)?;
        }
        let key = Key::of(&value);
        if self.store.get(id, &key).is_some() {
            return Err(Status::already_exists(id, &name));
        }
        if options.dry_run {
            return Ok(Arc::new(Object::new(id.stored(), value, self.store.resource_version())));
        }
        Ok(self.commit(id, value))
    }

    /// Gives the new object its name and namespace, and sees that the namespace is there.
    fn place(&mut self, id: Id, namespace: &str, value: &mut Value) -> Result<(), Status> {
        let resource = id.resource();
        let stated = text(value, "/metadata/namespace").to_owned();
        if resource.is_namespaced && !stated.is_empty() && stated != namespace {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        let prefix = text(value, "/metadata/generateName").to_owned();
        let has_name = !text(value, "/metadata/name").is_empty();
        let suffix = if has_name || prefix.is_empty() { None } else { Some(self.suffix()) };
        let meta = metadata(value);
        if let Some(suffix) = suffix {
            meta.insert("name".to_owned(), format!("{prefix}{suffix}").into());
        } else if !has_name {
            let cause = Cause::required("metadata.name", "name or generateName is required");
            return Err(Status::invalid(id, "", &[cause]));
        }
        if !resource.is_namespaced {
            meta.remove("namespace");
            return Ok(());
        }
        meta.insert("namespace".to_owned(), namespace.into());
        let name = text(value, "/metadata/name");
        match self.store.get(Id::NAMESPACE, &Key::cluster(namespace)) {
            None => Err(Status::not_found(Id::NAMESPACE, namespace)),
            Some(object) if object.is_deleting() => {
                let words =
                    format!("unable to create new content in namespace {namespace} because it is being terminated");
                let mut status = Status::forbidden(id, name, words);
                let message = format!("namespace {namespace} is being terminated");
                status.details["causes"] =
                    json!([{ "reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace" }]);
                Err(status)
            }
            Some(_) => Ok(()),
        }
    }

    /// Puts `body` in the place of what is stored.
    pub fn replace(
        &mut self,
        id: Id,
        key: &Key,
        part: Part,
        body: &Value,
        options: &WriteOptions,
    ) -> Result<Arc<Object>, Status> {
        check_type(id, body)?;
        let stated = text(body, "/metadata/name");
        if stated != key.name {
            let message =
                format!("the name of the object ({stated}) does not match the name on the URL ({})", key.name);
            return Err(Status::bad_request(message));
        }
        let namespace = text(body, "/metadata/namespace");
        if !namespace.is_empty() && namespace != key.namespace {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        if id.resource().crd.is_some() && text(body, "/metadata/resourceVersion").is_empty() {
            let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            return Err(Status::invalid(id, &key.name, &[cause]));
        }
        self.update(id, key, part, options, |_| Ok(body.clone()))
    }

    /// Patches what is stored; an apply may also create.
    pub fn patch(
        &mut self,
        id: Id,
        key: &Key,
        part: Part,
        patch: &Patch,
        options: &WriteOptions,
    ) -> Result<(Arc<Object>, bool), Status> {
        let Patch::Apply(config) = patch else {
            let updated = self.update(id, key, part, options, |old| patch.on(id, old));
            return updated.map(|object| (object, false));
        };
        if options.manager.is_empty() {
            let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: \
                           is required for apply patch";
            return Err(Status { code: 422, ..Status::bad_request(message) });
        }
        check_type(id, config)?;
        let place = (id.stored(), key.clone());
        let (object, is_new) = if self.store.get(id, key).is_none() && part == Part::Main {
            let mut value = config.clone();
            metadata(&mut value).insert("name".to_owned(), key.name.as_str().into());
            (self.create(id, &key.namespace, value, options)?, true)
        } else {
            let applied = self.applied.get(&place).cloned().unwrap_or_default();
            let (manager, force) = (options.manager.clone(), options.force);
            let change = |old: &Value| {
                let mut new = apply::apply(old, config, &applied, &manager, force)?;
                if let Some(version) = config.pointer("/metadata/resourceVersion") {
                    metadata(&mut new).insert("resourceVersion".to_owned(), version.clone());
                }
                Ok(new)
            };
            (self.update(id, key, part, options, change)?, false)
        };
        if !options.dry_run && self.store.get(id, key).is_some() {
            let applied = self.applied.entry(place).or_default();
            if options.force {
                // Whoever owned a value that was overwritten does so no longer.
                applied.retain(|manager, theirs| *manager == options.manager || !disagrees(theirs, config));
            }
            applied.insert(options.manager.clone(), config.clone());
        }
        Ok((object, is_new))
    }

    /// Changes what is stored, with all that the server sees to.
    pub fn update(
        &mut self,
        id: Id,
        key: &Key,
        part: Part,
        options: &WriteOptions,
        change: impl FnOnce(&Value) -> Result<Value, Status>,
    ) -> Result<Arc<Object>, Status> {
        let Some(stored) = self.store.get(id, key).cloned() else {
            return Err(Status::not_found(id, &key.name));
        };
        let old = stored.value();
        let mut new = change(old)?;
        check_identity(id, &stored, &new)?;
        keep_identity(old, &mut new);
        let resource = id.resource();
        if part == Part::Status {
            new = with_status_of(id, old, new);
        } else if resource.has_status {
            let fields = member_of(&mut new);
            match old.get("status") {
                Some(status) => fields.insert("status".to_owned(), status.clone()),
                None => fields.remove("status"),
            };
        }
        tidy(&mut new);
        if let Some(kind) = resource.crd {
            new = custom::normalize(kind, new, options.unknown)?;
            custom::judge(kind, &new, Some(old))?;
        } else {
            defaults::on_update(id, &mut new);
        }
        validate::update(id, part, old, &new)?;
        if resource.counts_generation && part == Part::Main && custom::is_wanted_changed(old, &new) {
            let generation = old.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
            metadata(&mut new).insert("generation".to_owned(), json!(generation + 1));
        }
        if new == *old {
            return Ok(stored);
        }
        if options.dry_run {
            return Ok(Arc::new(Object::new(id.stored(), new, stored.resource_version())));
        }
        if is_to_be_removed(&new) {
            let last = self.remove(id, key);
            let version = last.map_or(0, |last| last.resource_version());
            metadata(&mut new).insert("resourceVersion".to_owned(), version.to_string().into());
            return Ok(Arc::new(Object::new(id.stored(), new, version)));
        }
        Ok(self.commit(id, new))
    }
}

/// Whether nothing holds the object back any longer.
fn is_to_be_removed(value: &Value) -> bool {
    let grace = value.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
    let is_namespace = value.get("kind").is_some_and(|kind| kind == "Namespace");
    is_deleting(value) && finalizers(value).is_empty() && grace.unwrap_or_default() == 0 && !is_namespace
}

fn check_type(id: Id, value: &Value) -> Result<(), Status> {
    let (api_version, kind) = (text(value, "/apiVersion"), text(value, "/kind"));
    let resource = id.resource();
    let expected = resource.api_version();
    if !kind.is_empty() && kind != resource.kind {
        let message = format!("{kind} in version {api_version:?} cannot be handled as a {}", resource.kind);
        return Err(Status::bad_request(message));
    }
    if !api_version.is_empty() && api_version != expected {
        let message =
            format!("the API version in the data ({api_version}) does not match the expected API version ({expected})");
        return Err(Status::bad_request(message));
    }
    Ok(())
}

/// Refuses writes that speak of another object, or of an older version of this one.
fn check_identity(id: Id, stored: &Object, new: &Value) -> Result<(), Status> {
    let uid = text(new, "/metadata/uid");
    if !uid.is_empty() && uid != stored.uid() {
        let words = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", stored.uid());
        return Err(Status::conflict(id, stored.name(), words));
    }
    let version = text(new, "/metadata/resourceVersion");
    if !version.is_empty() && version != stored.text("/metadata/resourceVersion") {
        return Err(Status::modified(id, stored.name()));
    }
    if text(new, "/metadata/name") != stored.name() {
        let cause = Cause::invalid("metadata.name", &new["metadata"]["name"], "field is immutable");
        return Err(Status::invalid(id, stored.name(), &[cause]));
    }
    Ok(())
}

/// Gives the new form what only the server may write.
fn keep_identity(old: &Value, new: &mut Value) {
    for field in ["apiVersion", "kind"] {
        if let Some(value) = old.get(field) {
            member_of(new).insert(field.to_owned(), value.clone());
        }
    }
    let meta = metadata(new);
    for field in [
        "name",
        "namespace",
        "generateName",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
    ] {
        match old.pointer("/metadata").and_then(|meta| meta.get(field)) {
            Some(value) => meta.insert(field.to_owned(), value.clone()),
            None => meta.remove(field),
        };
    }
}

/// The old form with the status of the new one. Of built-in kinds the labels, annotations and finalizers are taken too.
fn with_status_of(id: Id, old: &Value, mut new: Value) -> Value {
    let mut value = old.clone();
    let status = member_of(&mut new).remove("status");
    let fields = member_of(&mut value);
    match status {
        Some(status) => fields.insert("status".to_owned(), status),
        None => fields.remove("status"),
    };
    if id.resource().crd.is_none() {
        for field in ["labels", "annotations", "finalizers"] {
            match metadata(&mut new).remove(field) {
                Some(stated) => metadata(&mut value).insert(field.to_owned(), stated),
                None => metadata(&mut value).remove(field),
            };
        }
    }
    value
}

/// Leaves out empty lists and maps of the metadata, as they are not written on the wire.
fn tidy(value: &mut Value) {
    metadata(value).retain(|_, field| match field {
        Value::Array(elements) => !elements.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Null => false,
        _ => true,
    });
}

/// Whether two configurations say different things of one field.
fn disagrees(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.iter().any(|(name, value)| b.get(name).is_some_and(|other| disagrees(value, other)))
        }
        (a, b) => a != b,
    }
}
