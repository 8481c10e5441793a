//! Garbage collection by owner references, and of namespaces.
//!
//! A real cluster does this in a controller, a moment after the write that makes it due. Here it is done at once, so
//! that a server without any world around it behaves alike.

use serde_json::Value;

use super::delete::{DeleteOptions, Propagation};
use super::object::{FOREGROUND, Key, Object, Part, metadata, text};
use super::resource::{self, Id, Resource};
use super::state::{State, Task};
use super::write::WriteOptions;

impl State {
    /// Does one task.
    pub fn run(&mut self, task: Task) {
        match task {
            Task::Gone(object) => self.after_removal(&object),
            Task::Dependent(id, key) => self.look_at_dependent(id, &key),
            Task::Foreground(uid) => {
                for (id, key) in self.store.dependents(&uid) {
                    self.tasks.push_back(Task::Dependent(id, key));
                }
                self.unblock(&uid);
            }
            Task::Unblock(uid) => self.unblock(&uid),
            Task::Orphan(uid) => self.orphan(&uid),
            Task::Sweep(namespace) => self.sweep(&namespace),
            Task::Emptied(namespace) => self.emptied(&namespace),
        }
    }

    /// Lets orphans go before the deletion that is under way.
    pub fn settle_orphans(&mut self) {
        let is_orphan = |task: &Task| matches!(task, Task::Orphan(_));
        let (orphans, rest): (Vec<Task>, Vec<Task>) = self.tasks.drain(..).partition(is_orphan);
        self.tasks = rest.into();
        for task in orphans {
            self.run(task);
        }
    }

    fn after_removal(&mut self, object: &Object) {
        for (id, key) in self.store.dependents(object.uid()) {
            self.tasks.push_back(Task::Dependent(id, key));
        }
        for owner in object.owners() {
            let uid = text(owner, "/uid");
            if self.store.by_uid(uid).is_some_and(|owner| owner.finalizers().contains(&FOREGROUND)) {
                self.tasks.push_back(Task::Unblock(uid.to_owned()));
            }
        }
        let namespace = Key::cluster(object.namespace());
        if self.store.get(Id::NAMESPACE, &namespace).is_some_and(|namespace| namespace.is_deleting()) {
            self.tasks.push_back(Task::Emptied(namespace.name));
        }
    }

    /// Deletes an object whose owners are all gone or going; takes references to missing owners off one that has others.
    fn look_at_dependent(&mut self, id: Id, key: &Key) {
        let Some(object) = self.store.get(id, key).cloned() else { return };
        let owners: Vec<&Value> = object.owners().collect();
        let solid = owners.iter().filter(|owner| {
            let owner = self.store.by_uid(text(owner, "/uid"));
            owner.is_some_and(|owner| !owner.finalizers().contains(&FOREGROUND))
        });
        let n_solid = solid.count();
        if owners.is_empty() || object.is_deleting() || n_solid == owners.len() {
            return;
        }
        if n_solid == 0 {
            let is_waited_for = owners.iter().any(|owner| self.store.by_uid(text(owner, "/uid")).is_some());
            let has_dependents = !self.store.dependents(object.uid()).is_empty();
            let propagation =
                if is_waited_for && has_dependents { Propagation::Foreground } else { Propagation::Background };
            let options = DeleteOptions { propagation, uid: Some(object.uid().to_owned()), ..DeleteOptions::default() };
            self.log.note(&self.clock, "garbage-collector", &format!("delete {} {key}", id.resource().qualified()));
            // It was there a moment ago and the lock is held: there is nothing that could refuse.
            drop(self.delete(id, key, &options));
        } else {
            self.drop_owners(id, key, |state, uid| state.store.by_uid(uid).is_some());
        }
    }

    /// Lets an owner go once nothing that it waits for is there.
    fn unblock(&mut self, uid: &str) {
        let Some(owner) = self.store.by_uid(uid).cloned() else { return };
        let blocks = |owner: &Value| owner["uid"] == uid && owner["blockOwnerDeletion"] == true;
        if self.store.dependents_of(uid).any(|dependent| dependent.owners().any(blocks)) {
            return;
        }
        let change = |old: &Value| {
            let mut new = old.clone();
            if let Some(Value::Array(finalizers)) = metadata(&mut new).get_mut("finalizers") {
                finalizers.retain(|finalizer| finalizer != FOREGROUND);
            }
            Ok(new)
        };
        drop(self.update(owner.id(), &owner.key(), Part::Main, &WriteOptions::default(), change));
    }

    fn orphan(&mut self, uid: &str) {
        for (id, key) in self.store.dependents(uid) {
            self.drop_owners(id, &key, |_, owner| owner != uid);
        }
    }

    /// Takes the owner references off that are not to be kept.
    fn drop_owners(&mut self, id: Id, key: &Key, is_kept: impl Fn(&Self, &str) -> bool) {
        let Some(object) = self.store.get(id, key) else { return };
        let kept: Vec<Value> = object.owners().filter(|owner| is_kept(self, text(owner, "/uid"))).cloned().collect();
        let change = |old: &Value| {
            let mut new = old.clone();
            metadata(&mut new).insert("ownerReferences".to_owned(), kept.into());
            Ok(new)
        };
        drop(self.update(id, key, Part::Main, &WriteOptions::default(), change));
    }

    /// Deletes what is in a namespace that is going.
    fn sweep(&mut self, namespace: &str) {
        for resource in namespaced() {
            let objects: Vec<_> = self.store.iter(resource.id, Some(namespace)).cloned().collect();
            for object in objects.iter().filter(|object| !object.is_deleting()) {
                drop(self.delete(resource.id, &object.key(), &DeleteOptions::default()));
            }
        }
        self.emptied(namespace);
    }

    /// Takes a namespace away that is going and holds nothing.
    fn emptied(&mut self, namespace: &str) {
        let is_empty = namespaced().all(|resource| self.store.iter(resource.id, Some(namespace)).next().is_none());
        if is_empty {
            self.remove(Id::NAMESPACE, &Key::cluster(namespace));
        }
    }
}

fn namespaced() -> impl Iterator<Item = &'static Resource> {
    resource::all().iter().filter(|resource| resource.is_namespaced && resource.id == resource.id.stored())
}
