//! Every CEL rule of every CRD, by tables of good and bad objects with the messages that are due (`rules/*.yaml`).
#![cfg(feature = "cel")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot read its table has failed")]

#[path = "rules/tables.rs"]
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use crds::Kind;
use serde_json::Value;
use tables::{tables, with};

/// Path and message of each rule that the tables say is broken; indices are left out.
type Broken = BTreeSet<(Kind, String, String)>;

fn without_indices(path: &str) -> String {
    let mut parts = path.split(['[', ']']);
    let mut text = parts.next().unwrap_or_default().to_owned();
    while let (Some(_index), Some(rest)) = (parts.next(), parts.next()) {
        text.push_str("[]");
        text.push_str(rest);
    }
    text
}

#[test]
fn each_object_breaks_the_rules_that_its_table_says_and_no_other() {
    for (kind, table) in tables() {
        for case in &table.cases {
            let object = with(&table.base, &case.set);
            let old = case.old.as_ref().map(|changes| with(&table.base, changes));
            let form = crds::schema::validate(kind, &object);
            assert_eq!(form, [], "{kind}: {}: an API server would not come to the rules", case.name);
            let mut found: Vec<(String, String)> = crds::cel::validate(kind, &object, old.as_ref())
                .into_iter()
                .map(|fault| {
                    let message = fault.message.rsplit("evaluating rule: ").next().unwrap_or_default().to_owned();
                    (fault.path, message)
                })
                .collect();
            let mut expected: Vec<(String, String)> =
                case.faults.iter().flatten().map(|(path, message)| (path.clone(), message.clone())).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{kind}: {}", case.name);
        }
    }
}

fn collect_rules(kind: Kind, schema: &Value, path: &str, into: &mut Broken) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        assert!(rule["message"].is_string(), "{kind} {path}: every rule has a message");
        into.insert((kind, path.to_owned(), rule["message"].as_str().unwrap().to_owned()));
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect_rules(kind, inner, &path, into);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            collect_rules(kind, &schema[inner], &format!("{path}[]"), into);
        }
    }
}

#[test]
fn every_rule_is_broken_by_some_object_of_the_tables() {
    let mut rules = Broken::new();
    for crd in crds::all() {
        collect_rules(crd.kind, &crd.schema, "", &mut rules);
    }
    let mut broken = Broken::new();
    for (kind, table) in tables() {
        let faults = table.cases.iter().flat_map(|case| &case.faults).flatten();
        broken.extend(faults.map(|(path, message)| (kind, without_indices(path), message.clone())));
    }
    assert_eq!(rules.difference(&broken).collect::<Vec<_>>(), Vec::<&(Kind, String, String)>::new(), "not covered");
    assert_eq!(broken.difference(&rules).collect::<Vec<_>>(), Vec::<&(Kind, String, String)>::new(), "no such rule");
    assert_eq!(rules.len(), 85, "the number of rules is part of docs/adr/0010-crd-yaml.md");
}

#[test]
fn a_rule_that_stumbles_over_a_value_still_says_what_it_wants() {
    let (kind, table) = tables().remove(0);
    let requirements = serde_json::json!([{ "key": "a", "operator": "Gt", "values": ["many"] }]);
    let object = with(&table.base, &BTreeMap::from([("/spec/template/spec/requirements".to_owned(), requirements)]));
    let faults = crds::check(kind, &object, None);
    assert_eq!(faults.len(), 1);
    assert!(faults[0].message.contains("evaluating rule: requirements operator 'Gt'"), "{}", faults[0].message);
    assert!(faults[0].remedy.starts_with("it must hold that self.all("), "{}", faults[0].remedy);
}

#[test]
fn a_broken_rule_is_told_at_the_element_that_breaks_it_with_its_value() {
    let (kind, table) = tables().remove(0);
    let told = |path: &str, value: Value| {
        let object = with(&table.base, &BTreeMap::from([(path.to_owned(), value)]));
        let faults = crds::cel::explain(kind, &object);
        faults.into_iter().map(|fault| (fault.path, fault.message, fault.remedy)).collect::<Vec<_>>()
    };
    let good = serde_json::json!({ "key": "a", "operator": "Exists" });
    for values in [serde_json::json!(["1", "2"]), serde_json::json!(["99999999999999999999"])] {
        let bad = serde_json::json!({ "key": "b", "operator": "Gt", "values": values });
        let found = told("/spec/template/spec/requirements", serde_json::json!([good, bad, good]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "spec.template.spec.requirements[1]");
        assert_eq!(found[0].1, format!("{bad} is not allowed"));
        assert!(found[0].2.starts_with("requirements operator 'Gt'"), "{}", found[0].2);
    }
    let budgets = serde_json::json!([{ "nodes": "1" }, { "nodes": "2", "schedule": "@daily" }]);
    let found = told("/spec/disruption/budgets", budgets);
    assert_eq!(found[0].0, "spec.disruption.budgets[1]");
    assert_eq!(found[0].2, "'schedule' must be set with 'duration'");
    let found = told("/spec/template/metadata", serde_json::json!({ "labels": { "a": "b", "karpenter.sh/x": "y" } }));
    assert_eq!(found[0].0, "spec.template.metadata.labels[karpenter.sh/x]");
    assert_eq!(found[0].1, "\"y\" is not allowed");
}

/// A kind, what is changed in its base, and what is told.
type Change<'t> = (Kind, &'t [(&'t str, Value)], &'t str);

#[test]
fn a_broken_rule_about_fields_is_told_at_the_field_its_message_names_beside_the_others() {
    let tables = tables();
    let told = |kind: Kind, changes: &[(&str, Value)]| {
        let (kind, table) = tables.iter().find(|(known, _)| *known == kind).unwrap();
        let changes: BTreeMap<String, Value> =
            changes.iter().map(|(path, value)| ((*path).to_owned(), value.clone())).collect();
        let faults = crds::cel::explain(*kind, &with(&table.base, &changes));
        faults.into_iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect::<Vec<_>>()
    };
    let one = serde_json::json!(1);
    let table: [Change<'_>; 8] = [
        (
            Kind::NodePool,
            &[("/spec/replicas", one.clone()), ("/spec/weight", serde_json::json!(5))],
            "spec.weight: 5 is not allowed",
        ),
        (
            Kind::NodePool,
            &[("/spec/replicas", one.clone()), ("/spec/limits", serde_json::json!({"cpu": "5"}))],
            "spec.limits: {\"cpu\":\"5\"} is not allowed",
        ),
        (
            Kind::NodePool,
            &[("/spec/template/metadata", serde_json::json!({"labels": {"kubernetes.io/hostname": "n"}}))],
            "spec.template.metadata.labels[kubernetes.io/hostname]: \"n\" is not allowed",
        ),
        (
            Kind::NodeOverlay,
            &[("/spec/price", "1".into()), ("/spec/priceAdjustment", "-10%".into())],
            "spec.price: \"1\" is not allowed beside priceAdjustment \"-10%\"",
        ),
        (
            Kind::NodeOverlay,
            &[("/spec/capacity", serde_json::json!({"cpu": "2", "example.com/a": "1"}))],
            "spec.capacity[cpu]: \"2\" is not allowed",
        ),
        (
            Kind::Ec2NodeClass,
            &[("/spec/role", "r".into()), ("/spec/instanceProfile", "y".into())],
            "spec.role: \"r\" is not allowed beside instanceProfile \"y\"",
        ),
        (
            Kind::Ec2NodeClass,
            &[("/spec/placementGroupSelector", serde_json::json!({}))],
            "spec.placementGroupSelector: has none of id, name",
        ),
        (
            Kind::CapacityBuffer,
            &[
                ("/spec/podTemplateRef", serde_json::json!({"name": "t"})),
                ("/spec/scalableRef", serde_json::json!({"apiGroup": "apps", "kind": "Deployment", "name": "w"})),
                ("/spec/replicas", one.clone()),
            ],
            "spec.scalableRef: {\"apiGroup\":\"apps\",\"kind\":\"Deployment\",\"name\":\"w\"} is not allowed beside podTemplateRef {\"name\":\"t\"}",
        ),
    ];
    for (kind, changes, expected) in table {
        assert!(told(kind, changes).iter().any(|fault| fault == expected), "{expected}: {:?}", told(kind, changes));
    }
}

#[test]
fn rules_are_not_looked_at_while_the_form_is_wrong() {
    let (kind, table) = tables().remove(0);
    let changes = [("/spec/replicas", Value::from(1)), ("/spec/weight", Value::from(1_000))];
    let object = with(&table.base, &changes.map(|(path, value)| (path.to_owned(), value)).into());
    let faults = crds::check(kind, &object, None);
    assert_eq!(faults.iter().map(|fault| fault.path.as_str()).collect::<Vec<_>>(), ["spec.weight"]);
}
