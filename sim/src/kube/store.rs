//! What is stored: the newest version of every object, and for each kind a window of changes that watchers read from.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::object::{Key, Object, metadata, text};
use super::resource::{self, Id};

/// How many changes of a kind are remembered unless the world says otherwise.
pub const WINDOW: usize = 65_536;

/// One change: from `old` to `new`. Of a deletion, `new` is the last form with the version of the deletion.
#[derive(Clone, Debug)]
pub struct Change {
    pub resource_version: u64,
    pub old: Option<Arc<Object>>,
    pub new: Arc<Object>,
    pub is_deletion: bool,
}

#[derive(Debug, Default)]
struct Table {
    objects: BTreeMap<Key, Arc<Object>>,
    log: VecDeque<Change>,
    /// Changes up to this version are forgotten.
    forgotten: u64,
}

/// An owner's uid with those that name it as owner.
type Dependents = BTreeMap<String, BTreeSet<(Id, Key)>>;

#[derive(Debug)]
pub(super) struct Store {
    resource_version: u64,
    tables: Vec<Table>,
    dependents: Dependents,
    by_uid: BTreeMap<String, (Id, Key)>,
    window: usize,
    /// Kinds that changed since the watchers were last told, as bits.
    touched: u64,
}

impl Store {
    pub fn new(window: usize) -> Self {
        let tables = resource::all().iter().map(|_| Table::default()).collect();
        Self {
            resource_version: 1,
            tables,
            dependents: BTreeMap::new(),
            by_uid: BTreeMap::new(),
            window: window.max(1),
            touched: 0,
        }
    }

    /// The version of the last write.
    pub fn resource_version(&self) -> u64 {
        self.resource_version
    }

    pub fn get(&self, id: Id, key: &Key) -> Option<&Arc<Object>> {
        self.tables[id.stored().index()].objects.get(key)
    }

    /// The objects of a kind in order of their keys; of one namespace if one is given.
    pub fn iter<'a>(&'a self, id: Id, namespace: Option<&'a str>) -> impl Iterator<Item = &'a Arc<Object>> {
        let objects = &self.tables[id.stored().index()].objects;
        let start = Key::new(namespace.unwrap_or_default(), "");
        objects
            .range(start..)
            .take_while(move |(key, _)| namespace.is_none_or(|namespace| key.namespace == namespace))
            .map(|(_, object)| object)
    }

    /// The objects as they were at a version, from keys after `start` on; nothing if that is forgotten.
    pub fn at(&self, id: Id, version: u64, start: Option<&Key>) -> Option<BTreeMap<Key, Arc<Object>>> {
        let table = &self.tables[id.stored().index()];
        if version < table.forgotten || version > self.resource_version {
            return None;
        }
        let is_after = |key: &Key| start.is_none_or(|start| key > start);
        let now = table.objects.iter().filter(|(key, _)| is_after(key));
        let mut objects: BTreeMap<Key, Arc<Object>> = now.map(|(k, o)| (k.clone(), Arc::clone(o))).collect();
        for change in table.log.iter().rev().take_while(|change| change.resource_version > version) {
            let key = change.new.key();
            if !is_after(&key) {
                continue;
            }
            match &change.old {
                Some(old) => objects.insert(key, Arc::clone(old)),
                None => objects.remove(&key),
            };
        }
        Some(objects)
    }

    /// The changes of a kind after a version, at most `limit`; an error, the oldest version that can be asked for, if
    /// some of them are forgotten.
    pub fn changes(&self, id: Id, after: u64, limit: usize) -> Result<Vec<Change>, u64> {
        let table = &self.tables[id.stored().index()];
        if after < table.forgotten {
            return Err(table.forgotten);
        }
        let from = table.log.partition_point(|change| change.resource_version <= after);
        Ok(table.log.iter().skip(from).take(limit).cloned().collect())
    }

    /// Forgets the changes of a kind, so that whoever has not read them must list again.
    pub fn compact(&mut self, id: Id) {
        let version = self.resource_version;
        let table = &mut self.tables[id.stored().index()];
        table.log.clear();
        table.forgotten = version;
        self.touch(id);
    }

    /// Wakes the watchers of a kind though nothing changed.
    pub fn touch(&mut self, id: Id) {
        self.touched |= 1 << id.stored().index();
    }

    /// The kinds that changed since this was last asked.
    pub fn take_touched(&mut self) -> u64 {
        std::mem::take(&mut self.touched)
    }

    /// Stores a new form of an object and gives it the next version.
    pub fn put(&mut self, id: Id, mut value: Value) -> Arc<Object> {
        let id = id.stored();
        let version = self.next(&mut value);
        let object = Arc::new(Object::new(id, value, version));
        let key = object.key();
        let old = self.tables[id.index()].objects.insert(key.clone(), Arc::clone(&object));
        if let Some(old) = &old {
            self.forget_owners(old, &key);
        }
        for owner in object.owners() {
            let uid = text(owner, "/uid").to_owned();
            self.dependents.entry(uid).or_default().insert((id, key.clone()));
        }
        self.by_uid.insert(object.uid().to_owned(), (id, key));
        self.log(id, Change { resource_version: version, old, new: Arc::clone(&object), is_deletion: false });
        object
    }

    /// Takes an object away; what comes back is its last form, with the version of the deletion.
    pub fn remove(&mut self, id: Id, key: &Key) -> Option<Arc<Object>> {
        let id = id.stored();
        let old = self.tables[id.index()].objects.remove(key)?;
        self.forget_owners(&old, key);
        self.by_uid.remove(old.uid());
        let mut value = old.value().clone();
        let version = self.next(&mut value);
        let last = Arc::new(Object::new(id, value, version));
        let change = Change { resource_version: version, old: Some(old), new: Arc::clone(&last), is_deletion: true };
        self.log(id, change);
        Some(last)
    }

    /// Those that name the uid as an owner, in order.
    pub fn dependents(&self, uid: &str) -> Vec<(Id, Key)> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// The objects that name the uid as an owner.
    pub fn dependents_of(&self, uid: &str) -> impl Iterator<Item = &Arc<Object>> {
        self.dependents.get(uid).into_iter().flatten().filter_map(|(id, key)| self.get(*id, key))
    }

    /// The object with the uid.
    pub fn by_uid(&self, uid: &str) -> Option<&Arc<Object>> {
        let (id, key) = self.by_uid.get(uid)?;
        self.get(*id, key)
    }

    fn next(&mut self, value: &mut Value) -> u64 {
        self.resource_version += 1;
        metadata(value).insert("resourceVersion".to_owned(), self.resource_version.to_string().into());
        self.resource_version
    }

    fn forget_owners(&mut self, object: &Object, key: &Key) {
        for owner in object.owners() {
            let uid = text(owner, "/uid");
            if let Some(dependents) = self.dependents.get_mut(uid) {
                dependents.remove(&(object.id(), key.clone()));
                if dependents.is_empty() {
                    self.dependents.remove(uid);
                }
            }
        }
    }

    fn log(&mut self, id: Id, change: Change) {
        let window = self.window;
        let table = &mut self.tables[id.index()];
        table.log.push_back(change);
        while table.log.len() > window {
            if let Some(first) = table.log.pop_front() {
                table.forgotten = first.resource_version;
            }
        }
        self.touch(id);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(objects: &BTreeMap<Key, Arc<Object>>) -> Vec<String> {
        objects.values().map(|o| format!("{}={}", o.name(), o.text("/data/x"))).collect()
    }

    fn put(store: &mut Store, name: &str, x: &str) -> u64 {
        let value = json!({ "metadata": { "namespace": "d", "name": name, "uid": name }, "data": { "x": x } });
        store.put(Id::CONFIG_MAP, value).resource_version()
    }

    #[test]
    fn the_past_can_be_listed_until_it_is_forgotten() {
        let mut store = Store::new(10);
        put(&mut store, "a", "1");
        let then = put(&mut store, "b", "1");
        put(&mut store, "a", "2");
        put(&mut store, "c", "1");
        store.remove(Id::CONFIG_MAP, &Key::new("d", "b"));
        let at = |store: &Store, version| store.at(Id::CONFIG_MAP, version, None).map(|objects| names(&objects));
        assert_eq!(at(&store, then).unwrap(), ["a=1", "b=1"]);
        assert_eq!(at(&store, store.resource_version()).unwrap(), ["a=2", "c=1"]);
        assert_eq!(at(&store, store.resource_version() + 1), None);
        store.compact(Id::CONFIG_MAP);
        assert_eq!(at(&store, then), None);
    }

    #[test]
    fn a_reader_that_is_too_slow_is_told_so() {
        let mut store = Store::new(2);
        let first = put(&mut store, "a", "1");
        put(&mut store, "a", "2");
        put(&mut store, "a", "3");
        let changes = store.changes(Id::CONFIG_MAP, first, 10).unwrap();
        assert_eq!(changes.len(), 2);
        put(&mut store, "a", "4");
        assert_eq!(store.changes(Id::CONFIG_MAP, first, 10).unwrap_err(), first + 1);
    }
}
