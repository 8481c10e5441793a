//! The API server's verdicts on our kinds are ours: every table of package `crds`, tried on the real one.

#[path = "../../crds/tests/rules/tables.rs"]
mod tables;

use std::collections::BTreeSet;

use control_plane::{Api, Options, Refusal};
use serde_json::{Value, json};
use tables::{tables, with};

use super::world::World;

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
    for (kind, table) in tables() {
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
