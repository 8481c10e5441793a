//! What happened on the server, read in one order by all parts of the world.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::kube::{ApiServer, Change, Direct, Id, Key, Listener, Object};

/// The kinds that the world looks at, in the order in which their changes are read.
const KINDS: [Id; 10] = [
    Id::STORAGE_CLASS,
    Id::VOLUME,
    Id::CLAIM_OF_VOLUME,
    Id::NODE,
    Id::DEPLOYMENT,
    Id::REPLICA_SET,
    Id::STATEFUL_SET,
    Id::DAEMON_SET,
    Id::JOB,
    Id::POD,
];

/// The most changes of a kind that are read at once.
const BATCH: usize = 10_000;

#[derive(Debug)]
pub(super) struct Feed {
    api: Direct,
    cursors: Vec<Cursor>,
}

#[derive(Debug)]
struct Cursor {
    id: Id,
    /// Everything up to here was read; nothing before the first look.
    version: Option<u64>,
    /// What is there as far as was read, to find out what vanished in a gap.
    known: BTreeMap<Key, Arc<Object>>,
    changed: Listener,
}

impl Feed {
    pub fn new(server: &ApiServer) -> Self {
        let cursor = |id: Id| Cursor { id, version: None, known: BTreeMap::new(), changed: server.subscribe(id) };
        Self { api: server.direct("world"), cursors: KINDS.into_iter().map(cursor).collect() }
    }

    /// Returns when there is something to read.
    pub async fn changed(&mut self) {
        let waits = self.cursors.iter_mut().map(|cursor| Box::pin(cursor.changed.rung()));
        // The server outlives its feed.
        drop(futures::future::select_all(waits).await);
    }

    pub fn has_more(&self) -> bool {
        self.cursors.iter().any(|cursor| cursor.version.is_none() || cursor.changed.has_rung())
    }

    /// What changed since the last time.
    pub fn read(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for cursor in &mut self.cursors {
            cursor.changed.hear();
            let read = cursor.version.map(|version| self.api.changes(cursor.id, version, BATCH));
            let Some(Ok(read)) = read else {
                changes.extend(cursor.list(&self.api));
                continue;
            };
            if let Some(last) = read.last() {
                cursor.version = Some(last.resource_version);
            }
            if read.len() == BATCH {
                cursor.changed.forget();
            }
            for change in &read {
                if change.is_deletion {
                    cursor.known.remove(&change.new.key());
                } else {
                    cursor.known.insert(change.new.key(), Arc::clone(&change.new));
                }
            }
            changes.extend(read);
        }
        changes
    }
}

impl Cursor {
    /// Everything that is there, as changes from what was known.
    fn list(&mut self, api: &Direct) -> Vec<Change> {
        let (version, objects) = api.list_at(self.id);
        self.version = Some(version);
        let now: BTreeMap<Key, Arc<Object>> = objects.into_iter().map(|object| (object.key(), object)).collect();
        let mut changes = Vec::new();
        for (key, old) in &self.known {
            if now.get(key).is_none_or(|new| new.uid() != old.uid()) {
                let new = Arc::clone(old);
                changes.push(Change { resource_version: version, old: Some(Arc::clone(old)), new, is_deletion: true });
            }
        }
        for (key, new) in &now {
            let old = self.known.get(key).filter(|old| old.uid() == new.uid()).cloned();
            if old.as_ref().is_none_or(|old| old.resource_version() != new.resource_version()) {
                let change = Change { resource_version: version, old, new: Arc::clone(new), is_deletion: false };
                changes.push(change);
            }
        }
        self.known = now;
        changes
    }
}
