//! The API server's verdicts on our kinds are ours: every table of package `crds`, tried on the real one.

use std::collections::{BTreeMap, BTreeSet};

use control_plane::{Api, Options, Refusal};
use crds::{Kind, Lookup};
use serde::Deserialize;
use serde_json::{Value, json};

use super::world::World;

#[derive(Deserialize)]
struct Table {
    base: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    #[serde(default)]
    set: BTreeMap<String, Value>,
    old: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    faults: Vec<BTreeMap<String, String>>,
}

const TABLES: [&str; 5] = [
    include_str!("../../crds/tests/rules/node_pool.yaml"),
    include_str!("../../crds/tests/rules/node_claim.yaml"),
    include_str!("../../crds/tests/rules/node_overlay.yaml"),
    include_str!("../../crds/tests/rules/capacity_buffer.yaml"),
    include_str!("../../crds/tests/rules/ec2_node_class.yaml"),
];

/// The base with some of its fields set, or taken away by a null.
fn with(base: &Value, changes: &BTreeMap<String, Value>) -> Value {
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

/// What the API server says to the object; `old` is there before.
fn verdict(api: &Api, collection: &str, object: &Value, old: Option<&Value>) -> Result<(), Refusal> {
    let Some(old) = old else {
        return api.create(&format!("{collection}?dryRun=All"), object).map(|_| ());
    };
    let stored = api.create(collection, old).unwrap_or_else(|refusal| panic!("{old}: {refusal:?}"));
    let path = format!("{collection}/{}", stored["metadata"]["name"].as_str().unwrap());
    let mut object = object.clone();
    object["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
    let said = api.replace(&format!("{path}?dryRun=All"), &object).map(|_| ());
    api.delete(&path).unwrap();
    said
}

/// Whether the causes are these, each as `field: message`. The server puts the value it found before the message.
fn are_these(causes: &[(String, String)], due: &BTreeSet<(String, String)>) -> bool {
    let is_due = |(field, said): &(String, String)| {
        let said = said.strip_prefix("Invalid value: ").unwrap_or(said);
        due.iter().any(|(path, message)| {
            path == field && said.strip_suffix(message).is_some_and(|value| value.is_empty() || value.ends_with(": "))
        })
    };
    causes.len() == due.len() && causes.iter().all(is_due)
}

#[test]
fn the_api_server_takes_every_crd_and_judges_every_object_of_the_tables_as_we_do() {
    let world = World::start(Options::default()).with_crds();
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } });
    world.api.create("/api/v1/namespaces", &namespace).unwrap();
    let (mut n_cases, mut different) = (0, Vec::new());
    for text in TABLES {
        let table: Table = serde_saphyr::from_str(text).unwrap();
        let (version, kind) = (table.base["apiVersion"].as_str().unwrap(), table.base["kind"].as_str().unwrap());
        let Lookup::Known(kind) = Kind::lookup(version, kind) else { panic!("{kind} is no kind of ours") };
        let crd = crds::all().iter().find(|crd| crd.kind == kind).unwrap();
        let namespace = if crd.is_namespaced { "namespaces/shop/" } else { "" };
        let collection = format!("/apis/{}/{}/{namespace}{}", crd.group, crd.version, crd.plural);
        for case in &table.cases {
            n_cases += 1;
            let object = with(&table.base, &case.set);
            let old = case.old.as_ref().map(|changes| with(&table.base, changes));
            let due = case.faults.iter().flatten().map(|(path, message)| (path.clone(), message.clone())).collect();
            let said = verdict(&world.api, &collection, &object, old.as_ref());
            let is_same = match &said {
                Ok(()) => case.faults.is_empty(),
                Err(refusal) => refusal.code == 422 && are_these(&refusal.causes, &due),
            };
            if !is_same {
                different.push(format!("{kind}: {}:\n  due   {due:?}\n  found {said:?}", case.name));
            }
        }
    }
    assert!(n_cases > 100, "only {n_cases} cases were read");
    assert!(different.is_empty(), "{} of {n_cases} differ:\n{}", different.len(), different.join("\n"));
}
