//! The server without HTTP: for the controllers and node agents of a world, and for tests that set one up.

use std::sync::Arc;

use serde_json::Value;

use super::delete::{DeleteOptions, Deleted};
use super::object::{Key, Object, Part, member_of, text};
use super::resource::Id;
use super::server::ApiServer;
use super::status::Status;
use super::store::Change;
use super::write::WriteOptions;

/// A way into the server under a name, which the log shows.
#[derive(Clone, Debug)]
pub struct Direct {
    server: ApiServer,
    who: &'static str,
}

impl ApiServer {
    /// The server without HTTP, for `who`.
    pub fn direct(&self, who: &'static str) -> Direct {
        Direct { server: self.clone(), who }
    }
}

impl Direct {
    pub fn server(&self) -> &ApiServer {
        &self.server
    }

    pub fn get(&self, id: Id, key: &Key) -> Option<Arc<Object>> {
        self.server.locked(|state| state.store.get(id, key).cloned())
    }

    /// All objects of a kind, in order.
    pub fn list(&self, id: Id) -> Vec<Arc<Object>> {
        self.server.locked(|state| state.store.iter(id, None).cloned().collect())
    }

    /// All objects of a kind, and the version that the server has now.
    pub fn list_at(&self, id: Id) -> (u64, Vec<Arc<Object>>) {
        let read = |state: &mut super::state::State| {
            (state.store.resource_version(), state.store.iter(id, None).cloned().collect())
        };
        self.server.locked(read)
    }

    /// The objects that name the uid as an owner, in order.
    pub fn dependents(&self, uid: &str) -> Vec<Arc<Object>> {
        self.server.locked(|state| state.store.dependents_of(uid).cloned().collect())
    }

    /// Changes of a kind after a version; an error if some of them are forgotten.
    pub fn changes(&self, id: Id, after: u64, limit: usize) -> Result<Vec<Change>, u64> {
        self.server.locked(|state| state.store.changes(id, after, limit))
    }

    /// Creates an object; its kind and namespace are read from it (`default` if it names none).
    pub fn create(&self, value: Value) -> Result<Arc<Object>, Status> {
        let (id, namespace) = Self::place(&value)?;
        let name = format!("{}{}", text(&value, "/metadata/name"), text(&value, "/metadata/generateName"));
        self.logged("create", id, &Key::new(namespace.as_str(), name), |state| {
            state.create(id, &namespace, value, &WriteOptions::default())
        })
    }

    /// Creates an object or puts it in the place of the stored one, and gives it the status that it has in `value`: for
    /// setting up a world.
    pub fn put(&self, value: Value) -> Result<Arc<Object>, Status> {
        let (id, namespace) = Self::place(&value)?;
        let key = Key::new(namespace.as_str(), text(&value, "/metadata/name"));
        let status = value.get("status").cloned();
        if self.get(id, &key).is_some() {
            self.update(id, &key, Part::Main, |old| {
                let mut new = value.clone();
                if let Some(version) = old.pointer("/metadata/resourceVersion") {
                    super::object::metadata(&mut new).insert("resourceVersion".to_owned(), version.clone());
                }
                new
            })?;
        } else {
            self.create(value)?;
        }
        let Some(status) = status else {
            return self.get(id, &key).ok_or_else(|| Status::not_found(id, &key.name));
        };
        self.update(id, &key, Part::Status, |old| {
            let mut new = old.clone();
            member_of(&mut new).insert("status".to_owned(), status);
            new
        })
    }

    /// Changes an object.
    pub fn update(
        &self,
        id: Id,
        key: &Key,
        part: Part,
        change: impl FnOnce(&Value) -> Value,
    ) -> Result<Arc<Object>, Status> {
        let verb = if part == Part::Status { "update-status" } else { "update" };
        self.logged(verb, id, key, |state| state.update(id, key, part, &WriteOptions::default(), |old| Ok(change(old))))
    }

    pub fn delete(&self, id: Id, key: &Key, options: &DeleteOptions) -> Result<Deleted, Status> {
        self.logged("delete", id, key, |state| state.delete(id, key, options))
    }

    /// Assigns a pod to a node.
    pub fn bind(&self, key: &Key, node: &str) -> Result<(), Status> {
        let binding = serde_json::json!({ "target": { "kind": "Node", "name": node } });
        self.logged("bind", Id::POD, key, |state| state.bind(key, &binding, false))
    }

    fn place(value: &Value) -> Result<(Id, String), Status> {
        let (api_version, kind) = (text(value, "/apiVersion"), text(value, "/kind"));
        let id = Id::by_kind(api_version, kind)
            .ok_or_else(|| Status::bad_request(format!("no kind {kind:?} in version {api_version:?} is served")))?;
        let namespace = match (id.resource().is_namespaced, text(value, "/metadata/namespace")) {
            (false, _) => "",
            (true, "") => "default",
            (true, namespace) => namespace,
        };
        Ok((id, namespace.to_owned()))
    }

    fn logged<T>(
        &self,
        verb: &'static str,
        id: Id,
        key: &Key,
        write: impl FnOnce(&mut super::state::State) -> Result<T, Status>,
    ) -> Result<T, Status> {
        self.server.locked(|state| {
            let result = write(state);
            state.log.count(self.who, verb);
            let outcome = result.as_ref().err().map_or_else(|| "ok".to_owned(), |status| status.code.to_string());
            let clock = state.clock;
            state.log.note(&clock, self.who, &format!("{verb} {} {key}: {outcome}", id.resource().plural));
            result
        })
    }
}
