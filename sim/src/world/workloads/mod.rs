//! The workload controllers: what makes pods and takes them away.
//!
//! They are simpler than the real ones: no rollout limits, no history, no failure policy.

mod common;
mod daemons;
mod deployments;
mod jobs;
mod replicas;
mod stateful;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::kube::object::text;
use crate::kube::{ApiServer, Change, Direct, Id, Key, Object};

use super::options::Options;
use common::{is_active, is_ready};

/// So many delays go by before a workload's status is told anew.
const STATUS_DELAYS: u32 = 10;

const KINDS: [Id; 5] = [Id::DEPLOYMENT, Id::REPLICA_SET, Id::STATEFUL_SET, Id::DAEMON_SET, Id::JOB];

#[derive(Debug)]
pub(super) struct Workloads {
    api: Direct,
    delay: Duration,
    /// Workloads to look at.
    dirty: BTreeSet<(Id, Key)>,
    due: Option<Instant>,
}

impl Workloads {
    pub fn new(server: &ApiServer, options: &Options) -> Self {
        Self { api: server.direct("workloads"), delay: options.workloads, dirty: BTreeSet::new(), due: None }
    }

    pub fn observe(&mut self, change: &Change) {
        let object = &change.new;
        match object.id() {
            Id::NODE => {
                let is_other =
                    |pointer: &str| change.old.as_ref().and_then(|old| old.at(pointer)) != object.at(pointer);
                if change.is_deletion || ["/metadata/labels", "/spec"].into_iter().any(is_other) {
                    for daemon in self.api.list(Id::DAEMON_SET) {
                        self.mark(Id::DAEMON_SET, daemon.key(), self.delay);
                    }
                }
            }
            id if KINDS.contains(&id) && !change.is_deletion => self.mark(id, object.key(), self.delay),
            _ => {}
        }
        let known = change.old.as_ref().filter(|_| object.id() == Id::POD && !change.is_deletion);
        if known.is_some_and(|old| is_alike(old, object)) {
            return;
        }
        // Nothing has to be made or deleted for a pod that is there as before: only the status is to be told.
        let is_told = known.is_some_and(|old| is_active(old) == is_active(object));
        let is_hurried = !is_told || object.owners().any(|owner| owner["kind"] == "StatefulSet");
        let delay = if is_hurried { self.delay } else { self.delay * STATUS_DELAYS };
        for owner in object.owners().filter(|owner| owner["controller"] == true) {
            let id = Id::by_kind(text(owner, "/apiVersion"), text(owner, "/kind"));
            if let Some(id) = id.filter(|id| KINDS.contains(id)) {
                self.mark(id, Key::new(object.namespace(), text(owner, "/name")), delay);
            }
        }
    }

    fn mark(&mut self, id: Id, key: Key, delay: Duration) {
        self.dirty.insert((id, key));
        let due = Instant::now() + delay;
        self.due = Some(self.due.map_or(due, |other| other.min(due)));
    }

    /// Does what is due; when to come back.
    pub fn act(&mut self, now: Instant) -> Option<Instant> {
        if self.due.is_none_or(|due| due > now) {
            return self.due;
        }
        self.due = None;
        for (id, key) in std::mem::take(&mut self.dirty) {
            let Some(workload) = self.api.get(id, &key).filter(|workload| !workload.is_deleting()) else { continue };
            let is_done = match id {
                Id::DEPLOYMENT => deployments::sync(&self.api, &workload),
                Id::REPLICA_SET => replicas::sync(&self.api, &workload),
                Id::STATEFUL_SET => stateful::sync(&self.api, &workload),
                Id::JOB => jobs::sync(&self.api, &workload),
                _ => daemons::sync(&self.api, &workload),
            };
            if !is_done {
                self.mark(id, key, self.delay);
            }
        }
        self.due
    }
}

/// Whether two forms of a pod are the same for whoever counts pods.
fn is_alike(old: &Object, new: &Object) -> bool {
    is_active(old) == is_active(new)
        && is_ready(old) == is_ready(new)
        && old.text("/status/phase") == new.text("/status/phase")
        && old.text("/spec/nodeName").is_empty() == new.text("/spec/nodeName").is_empty()
}
