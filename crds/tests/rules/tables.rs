//! The tables of objects with the rules that each of them breaks, as they are tried on our CEL and on a real API server.

use std::collections::BTreeMap;

use crds::{Kind, Lookup};
use serde::Deserialize;
use serde_json::Value;

/// One kind's objects.
#[derive(Deserialize)]
pub struct Table {
    /// An object without fault.
    pub base: Value,
    pub cases: Vec<Case>,
}

/// The base with changes, and what is wrong with it then.
#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
    /// The object that is there before, for rules on updates.
    pub old: Option<BTreeMap<String, Value>>,
    /// Path and message of each.
    #[serde(default)]
    pub faults: Vec<BTreeMap<String, String>>,
}

const TABLES: [&str; 5] = [
    include_str!("node_pool.yaml"),
    include_str!("node_claim.yaml"),
    include_str!("node_overlay.yaml"),
    include_str!("capacity_buffer.yaml"),
    include_str!("ec2_node_class.yaml"),
];

/// All tables with their kinds.
pub fn tables() -> Vec<(Kind, Table)> {
    let read = |text: &str| {
        let table: Table = serde_saphyr::from_str(text).unwrap();
        let names = (table.base["apiVersion"].as_str().unwrap(), table.base["kind"].as_str().unwrap());
        let Lookup::Known(kind) = Kind::lookup(names.0, names.1) else { panic!("{names:?} is no kind") };
        (kind, table)
    };
    TABLES.into_iter().map(read).collect()
}

/// The base with some of its fields set, or taken away by a null.
pub fn with(base: &Value, changes: &BTreeMap<String, Value>) -> Value {
    let mut object = base.clone();
    for (path, value) in changes {
        let mut place = &mut object;
        let (parents, last) = path.rsplit_once('/').unwrap();
        for parent in parents.split('/').skip(1) {
            place = &mut place[parent];
        }
        if value.is_null() {
            place.as_object_mut().unwrap().remove(last);
        } else {
            place[last] = value.clone();
        }
    }
    object
}
