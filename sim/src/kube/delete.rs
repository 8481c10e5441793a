//! Deleting objects: preconditions, grace periods, propagation, finalizers.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock;

use super::object::{FOREGROUND, Key, Object, finalizers, metadata, text};
use super::resource::Id;
use super::state::{State, Task};
use super::status::Status;

/// What becomes of the objects that name the deleted one as their owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted afterwards.
    #[default]
    Background,
    /// They are deleted before.
    Foreground,
    /// They live on without an owner.
    Orphan,
}

/// How a deletion is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Seconds; of pods only. Nothing means what the pod says.
    pub grace: Option<i64>,
    pub propagation: Propagation,
    /// Preconditions.
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    pub dry_run: bool,
}

impl DeleteOptions {
    /// Reads a `DeleteOptions` object.
    pub fn from_value(value: &Value) -> Result<Self, Status> {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let propagation = match text("/propagationPolicy").as_deref() {
            None | Some("Background") => Propagation::Background,
            Some("Foreground") => Propagation::Foreground,
            Some("Orphan") => Propagation::Orphan,
            Some(other) => {
                let message = format!(
                    "DeleteOptions is invalid: propagationPolicy: Invalid value: {other:?}: not one of Foreground, \
                     Background, Orphan"
                );
                return Err(Status { code: 422, reason: "Invalid", ..Status::bad_request(message) });
            }
        };
        let dry_run = value.get("dryRun").and_then(Value::as_array).is_some_and(|runs| !runs.is_empty());
        Ok(Self {
            grace: value.get("gracePeriodSeconds").and_then(Value::as_i64),
            propagation,
            uid: text("/preconditions/uid"),
            resource_version: text("/preconditions/resourceVersion"),
            dry_run,
        })
    }

    /// At once.
    pub fn now() -> Self {
        Self { grace: Some(0), ..Self::default() }
    }
}

/// What became of a deletion.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// The object is gone; its last form.
    Gone(Arc<Object>),
    /// The object waits for its grace period or its finalizers.
    Going(Arc<Object>),
}

impl State {
    /// Deletes an object, or marks it as to be deleted.
    pub fn delete(&mut self, id: Id, key: &Key, options: &DeleteOptions) -> Result<Deleted, Status> {
        let Some(stored) = self.store.get(id, key).cloned() else {
            return Err(Status::not_found(id, &key.name));
        };
        check_preconditions(id, &stored, options)?;
        let grace = if id == Id::POD { pod_grace(stored.value(), options.grace) } else { 0 };
        let granted = stored.at("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
        if stored.is_deleting() && granted.is_none_or(|granted| granted <= grace) {
            let is_held = granted.unwrap_or_default() > 0 || !stored.finalizers().is_empty() || id == Id::NAMESPACE;
            if is_held {
                return Ok(Deleted::Going(stored));
            }
        }
        let mut held: Vec<String> = finalizers(stored.value()).into_iter().map(str::to_owned).collect();
        if !stored.is_deleting() {
            match options.propagation {
                Propagation::Foreground => held.push(FOREGROUND.to_owned()),
                Propagation::Orphan if !options.dry_run => self.tasks.push_back(Task::Orphan(stored.uid().to_owned())),
                _ => {}
            }
        }
        if grace == 0 && held.is_empty() && id != Id::NAMESPACE {
            if options.dry_run {
                return Ok(Deleted::Gone(stored));
            }
            // Orphans are let go before their owner is.
            self.settle_orphans();
            let last = self.remove(id, key).unwrap_or(stored);
            return Ok(Deleted::Gone(last));
        }
        let mut value = stored.value().clone();
        let deadline = clock::text_of(self.clock.seconds() + grace);
        let meta = metadata(&mut value);
        let generation = meta.get("generation").and_then(Value::as_i64);
        if let (Some(generation), false) = (generation, stored.is_deleting()) {
            meta.insert("generation".to_owned(), json!(generation + 1));
        }
        meta.insert("deletionTimestamp".to_owned(), deadline.into());
        meta.insert("deletionGracePeriodSeconds".to_owned(), json!(grace));
        if !held.is_empty() {
            meta.insert("finalizers".to_owned(), json!(held));
        }
        if id == Id::NAMESPACE {
            value["status"]["phase"] = "Terminating".into();
        }
        if options.dry_run {
            return Ok(Deleted::Going(Arc::new(Object::new(id.stored(), value, stored.resource_version()))));
        }
        let object = self.commit(id, value);
        if options.propagation == Propagation::Foreground {
            self.tasks.push_back(Task::Foreground(object.uid().to_owned()));
        }
        if id == Id::NAMESPACE {
            self.tasks.push_back(Task::Sweep(object.name().to_owned()));
        }
        Ok(Deleted::Going(object))
    }
}

fn check_preconditions(id: Id, stored: &Object, options: &DeleteOptions) -> Result<(), Status> {
    let version = stored.text("/metadata/resourceVersion");
    for (what, wanted, found) in
        [("UID", &options.uid, stored.uid()), ("ResourceVersion", &options.resource_version, version)]
    {
        if let Some(wanted) = wanted
            && wanted != found
        {
            let words =
                format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}");
            return Err(Status::conflict(id, stored.name(), words));
        }
    }
    Ok(())
}

/// Seconds that a pod gets: none if it never started or has ended.
fn pod_grace(pod: &Value, asked: Option<i64>) -> i64 {
    let own = pod.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    let grace = asked.or(own).unwrap_or(30);
    let has_ended = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
    if text(pod, "/spec/nodeName").is_empty() || has_ended {
        0
    } else if grace < 0 {
        1
    } else {
        grace
    }
}
