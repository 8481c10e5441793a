//! Watches: streams of changes that read from the store's window, so that a slow reader costs nothing but a 410.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use http_body::Frame;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::{Form, write_object};
use super::bell::Listener;
use super::call::Call;
use super::faults::Cut;
use super::object::{Key, Object, write_json};
use super::resource::Id;
use super::selector::{FieldSelector, LabelSelector};
use super::server::ApiServer;
use super::session::Connection;
use super::state::Lag;
use super::status::{Cause, Status};
use super::store::Change;

/// How long a watch may last if the client does not say.
const TIMEOUT: Duration = Duration::from_mins(30);
/// How often an idle watch gets a bookmark, if it wants any.
const BOOKMARK_EVERY: Duration = Duration::from_mins(1);
/// How many changes are read at once.
const BATCH: usize = 500;

/// One watch.
pub(super) struct Watch {
    server: ApiServer,
    connection: Arc<Connection>,
    id: Id,
    namespace: Option<String>,
    labels: LabelSelector,
    fields: FieldSelector,
    name: Option<String>,
    form: Form,
    wants_bookmarks: bool,
    /// Everything up to here was sent.
    version: u64,
    /// What is there already and must be sent first.
    first: VecDeque<Arc<Object>>,
    /// Whether a mark follows what was there first.
    wants_mark: bool,
    deadline: Instant,
    /// Nothing is sent from then on.
    silent_from: Option<Instant>,
    next_bookmark: Instant,
    /// Nothing but what was there first is sent before.
    held_back_until: Instant,
    closings: u64,
    changed: Listener,
    is_over: bool,
}

impl Watch {
    /// Starts a watch, as its parameters say.
    pub fn open(
        server: &ApiServer,
        connection: &Arc<Connection>,
        call: &Call,
        cut: Option<Cut>,
    ) -> Result<Self, Status> {
        let id = call.id;
        let labels = LabelSelector::parse(call.param("labelSelector"))?;
        let fields = FieldSelector::parse(id, call.param("fieldSelector"))?;
        let changed = server.subscribe(id);
        let wants_first = wants_first(call)?;
        let now = Instant::now();
        let timeout = call.param("timeoutSeconds").parse().map_or(TIMEOUT, Duration::from_secs);
        let (closed_after, silent_from) = match cut {
            Some(Cut::Closed(time)) => (time.min(timeout), None),
            Some(Cut::Silent(time)) => (timeout, Some(now + time)),
            None => (timeout, None),
        };
        let (version, first, closings, held_back) = server.locked(|state| {
            let current = state.store.resource_version();
            let closings = state.closings[id.stored().index()];
            let asked = parse_version(call.param("resourceVersion"))?;
            if asked > current {
                return Err(too_large(asked, current));
            }
            if !wants_first {
                return Ok((asked, VecDeque::new(), closings, Duration::ZERO));
            }
            // Without a version the present is meant, with 0 any will do.
            let lag = if call.param("resourceVersion") == "0" { state.lag } else { Lag::default() };
            let old = current.saturating_sub(lag.versions);
            let past = (old < current).then(|| state.store.at(id, old, None)).flatten();
            let Some(past) = past else {
                let first = state.store.iter(id, call.namespace.as_deref()).cloned().collect();
                return Ok((current, first, closings, Duration::ZERO));
            };
            let is_asked = |key: &Key| call.namespace.as_deref().is_none_or(|namespace| key.namespace == namespace);
            let first = past.into_iter().filter(|(key, _)| is_asked(key)).map(|(_, object)| object).collect();
            Ok((old, first, closings, lag.time))
        })?;
        let mut watch = Self {
            server: server.clone(),
            connection: Arc::clone(connection),
            id,
            namespace: call.namespace.clone(),
            labels,
            fields,
            name: call.name.clone(),
            form: Form::of(call),
            wants_bookmarks: call.flag("allowWatchBookmarks"),
            version,
            first,
            wants_mark: call.flag("sendInitialEvents") && call.flag("allowWatchBookmarks"),
            deadline: now + closed_after,
            silent_from,
            next_bookmark: now + BOOKMARK_EVERY,
            held_back_until: now + held_back,
            closings,
            changed,
            is_over: false,
        };
        let first: VecDeque<_> = std::mem::take(&mut watch.first);
        watch.first = first.into_iter().filter(|object| watch.matches(object)).collect();
        Ok(watch)
    }

    /// The body of the answer.
    pub fn into_stream(self) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send {
        futures::stream::unfold(self, |mut watch| async move {
            let chunk = watch.next().await?;
            Some((Ok(Frame::data(Bytes::from(chunk))), watch))
        })
    }

    /// The next lines; nothing when the watch is over.
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if self.connection.is_stopped() || self.is_silent() {
                futures::future::pending::<()>().await;
            }
            if self.is_over {
                return None;
            }
            if !self.first.is_empty() || self.wants_mark {
                return Some(self.initial());
            }
            if Instant::now() < self.held_back_until {
                tokio::time::sleep_until(self.held_back_until).await;
                continue;
            }
            self.changed.hear();
            let (changes, version, closings) = self.server.locked(|state| {
                let changes = state.store.changes(self.id, self.version, BATCH);
                (changes, state.store.resource_version(), state.closings[self.id.stored().index()])
            });
            if closings != self.closings {
                return None;
            }
            let changes = match changes {
                Ok(changes) => changes,
                Err(oldest) => return Some(self.too_old(oldest)),
            };
            // With fewer than a full batch, nothing of this kind happened up to the newest version.
            let is_all = changes.len() < BATCH;
            let mut lines = Vec::new();
            for change in &changes {
                self.write_change(&mut lines, change);
                self.version = change.resource_version;
            }
            if is_all {
                self.version = version;
            }
            if !lines.is_empty() {
                return Some(lines);
            }
            if is_all {
                let until = if self.wants_bookmarks { self.deadline.min(self.next_bookmark) } else { self.deadline };
                let connection = Arc::clone(&self.connection);
                tokio::select! {
                    biased;
                    () = connection.stopped() => {}
                    () = self.changed.rung() => {}
                    () = tokio::time::sleep_until(until) => {
                        if !self.is_silent() {
                            return self.on_time();
                        }
                    }
                }
            }
        }
    }

    fn is_silent(&self) -> bool {
        self.silent_from.is_some_and(|from| Instant::now() >= from)
    }

    fn on_time(&mut self) -> Option<Vec<u8>> {
        let now = Instant::now();
        if !self.wants_bookmarks {
            return None;
        }
        self.is_over = now >= self.deadline;
        self.next_bookmark = now + BOOKMARK_EVERY;
        let mut line = Vec::new();
        self.write_bookmark(&mut line, false);
        Some(line)
    }

    /// Some of what was there first, and the mark behind the last of it.
    fn initial(&mut self) -> Vec<u8> {
        let mut lines = Vec::new();
        for _ in 0..BATCH {
            let Some(object) = self.first.pop_front() else { break };
            write_line(&mut lines, "ADDED", |out| write_object(out, &object, self.form));
        }
        if self.first.is_empty() && std::mem::take(&mut self.wants_mark) {
            self.write_bookmark(&mut lines, true);
        }
        lines
    }

    fn too_old(&mut self, oldest: u64) -> Vec<u8> {
        self.is_over = true;
        let status = Status::expired(format!("too old resource version: {} ({oldest})", self.version));
        let mut line = Vec::new();
        write_line(&mut line, "ERROR", |out| write_json(out, &status.to_value()));
        line
    }

    fn write_change(&self, out: &mut Vec<u8>, change: &Change) {
        let was_seen = change.old.as_deref().is_some_and(|old| self.matches(old));
        let is_seen = !change.is_deletion && self.matches(&change.new);
        let what = match (was_seen, is_seen) {
            (false, false) => return,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        write_line(out, what, |out| write_object(out, &change.new, self.form));
    }

    fn write_bookmark(&self, out: &mut Vec<u8>, is_mark: bool) {
        let resource = self.id.resource();
        let (kind, api_version) = match self.form {
            Form::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
            _ => (resource.kind, resource.api_version()),
        };
        let mut metadata = json!({ "resourceVersion": self.version.to_string(), "creationTimestamp": null });
        if is_mark {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let bookmark = json!({ "kind": kind, "apiVersion": api_version, "metadata": metadata });
        write_line(out, "BOOKMARK", |out| write_json(out, &bookmark));
    }

    fn matches(&self, object: &Object) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| namespace == object.namespace())
            && self.name.as_deref().is_none_or(|name| name == object.name())
            && (self.labels.is_empty() || self.labels.matches(object.labels()))
            && (self.fields.is_empty() || self.fields.matches(object))
    }
}

fn write_line(out: &mut Vec<u8>, what: &str, object: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(what.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    object(out);
    out.extend_from_slice(b"}\n");
}

/// Whether the watch begins with what is there.
fn wants_first(call: &Call) -> Result<bool, Status> {
    let version_match = call.param("resourceVersionMatch");
    match call.param("sendInitialEvents") {
        "" => {
            if !version_match.is_empty() {
                let message = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                return Err(Status::invalid_options(Cause::forbidden("resourceVersionMatch", message)));
            }
            Ok(matches!(call.param("resourceVersion"), "" | "0"))
        }
        wanted => {
            if version_match != "NotOlderThan" {
                let message =
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan for watch requests";
                let cause = Cause::forbidden("resourceVersionMatch", message);
                return Err(Status::invalid_options(cause));
            }
            Ok(wanted == "true")
        }
    }
}

/// The number of a resource version; nothing said is 0.
pub(super) fn parse_version(text: &str) -> Result<u64, Status> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| {
        let cause = Cause::invalid("resourceVersion", &Value::from(text), "strconv.ParseUint: invalid syntax");
        Status::invalid_options(cause)
    })
}

/// A version that is not there yet.
pub(super) fn too_large(asked: u64, current: u64) -> Status {
    let message = format!("Too large resource version: {asked}, current: {current}");
    let mut status = Status::timeout(message, 1);
    status.details["causes"] =
        json!([{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }]);
    status
}
