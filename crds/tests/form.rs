//! The form of the CRDs themselves, and what the walk says of objects that do not keep to it.
#![expect(clippy::unwrap_used, reason = "a test that cannot build its object has failed")]

use crds::schema::{defaulted, validate, walk, with_defaults};
use crds::{Kind, all};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Path and message and remedy of every fault.
fn faults(kind: Kind, object: &Value) -> Vec<String> {
    validate(kind, object).iter().map(ToString::to_string).collect()
}

fn pool() -> Value {
    json!({
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": { "name": "general" },
        "spec": { "template": { "spec": {
            "nodeClassRef": { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" },
            "requirements": []
        } } }
    })
}

fn pool_with(path: &str, value: Value) -> Value {
    with(pool(), path, value)
}

fn with(mut object: Value, path: &str, value: Value) -> Value {
    let mut place = &mut object;
    for step in path.split('/') {
        place = match step.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[step],
        };
    }
    *place = value;
    object
}

fn class_with(path: &str, value: Value) -> Value {
    let class = json!({
        "apiVersion": "karpenter.k8s.aws/v1",
        "kind": "EC2NodeClass",
        "metadata": { "name": "default" },
        "spec": {
            "role": "node",
            "amiSelectorTerms": [{ "alias": "al2023@latest" }],
            "subnetSelectorTerms": [{ "id": "subnet-1" }],
            "securityGroupSelectorTerms": [{ "id": "sg-1" }]
        }
    });
    with(class, path, value)
}

#[test]
fn columns_are_those_that_users_of_kubectl_know() {
    let columns = |kind: Kind| -> Vec<String> {
        let columns = kind.crd().definition["spec"]["versions"][0]["additionalPrinterColumns"].clone();
        let line = |column: &Value| {
            let priority = column["priority"].as_i64().unwrap_or_default();
            format!("{} {} {priority}", column["name"].as_str().unwrap(), column["type"].as_str().unwrap())
        };
        columns.as_array().into_iter().flatten().map(line).collect()
    };
    assert_eq!(
        columns(Kind::NodePool),
        [
            "NodeClass string 0",
            "Nodes string 0",
            "Ready string 0",
            "Age date 0",
            "Weight integer 1",
            "CPU string 1",
            "Memory string 1"
        ]
    );
    assert_eq!(
        columns(Kind::NodeClaim),
        [
            "Type string 0",
            "Capacity string 0",
            "Zone string 0",
            "Node string 0",
            "Ready string 0",
            "Age date 0",
            "ImageID string 1",
            "ID string 1",
            "NodePool string 1",
            "NodeClass string 1",
            "Drifted string 1"
        ]
    );
    assert_eq!(columns(Kind::NodeOverlay), ["Ready string 0", "Age date 0", "Weight integer 1"]);
    assert_eq!(columns(Kind::Ec2NodeClass), ["Ready string 0", "Age date 0", "Role string 1"]);
    assert_eq!(columns(Kind::KwokNodeClass), Vec::<String>::new());
    assert_eq!(
        columns(Kind::CapacityBuffer),
        [
            "Strategy string 0",
            "PodTemplate string 0",
            "Replicas integer 0",
            "ConditionsType string 0",
            "ConditionsStatus string 0",
            "ConditionsReason string 0",
            "Age date 0"
        ]
    );
}

#[test]
fn names_are_those_that_users_of_kubectl_know() {
    let names = |kind: Kind| {
        let names = &kind.crd().definition["spec"]["names"];
        let list = |field: &str| -> Vec<String> {
            names[field].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        (kind.crd().name.as_str(), list("shortNames").join(","), list("categories").join(","))
    };
    let of = |short: &str, category: &str| (short.to_owned(), category.to_owned());
    let table = [
        (Kind::NodePool, "nodepools.karpenter.sh", of("", "karpenter")),
        (Kind::NodeClaim, "nodeclaims.karpenter.sh", of("", "karpenter")),
        (Kind::NodeOverlay, "nodeoverlays.karpenter.sh", of("overlays", "karpenter")),
        (Kind::Ec2NodeClass, "ec2nodeclasses.karpenter.k8s.aws", of("ec2nc,ec2ncs", "karpenter")),
        (Kind::KwokNodeClass, "kwoknodeclasses.karpenter.kwok.sh", of("kwoknc,kwokncs", "karpenter")),
        (Kind::CapacityBuffer, "capacitybuffers.autoscaling.x-k8s.io", of("cb", "autoscaling")),
    ];
    for (kind, name, (short, category)) in table {
        assert_eq!(names(kind), (name, short, category));
    }
    let scale = &Kind::NodePool.crd().definition["spec"]["versions"][0]["subresources"]["scale"];
    assert_eq!(scale, &json!({ "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.nodes" }));
}

/// What an API server would refuse in a structural schema.
fn malformed(schema: &Value, path: &str, found: &mut Vec<String>) {
    let is_int_or_string = schema["x-kubernetes-int-or-string"] == true;
    if !schema["type"].is_string() && !is_int_or_string {
        found.push(format!("{path}: no type"));
    }
    let is_root = path.split('.').count() < 2;
    if !is_root && path != "root.metadata" && !is_int_or_string && path.split('.').next_back() != Some("[]") {
        let is_described = schema["description"].as_str().is_some_and(|text| text.len() > 8);
        if !is_described {
            found.push(format!("{path}: no description"));
        }
    }
    if let Some(default) = schema.get("default") {
        let problems = walk(schema, default);
        if !problems.is_empty() || &defaulted(schema, default.clone()) != default && !default.is_object() {
            found.push(format!("{path}: the default is refused: {problems:?}"));
        }
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        if schema["properties"].get(required.as_str().unwrap()).is_none() {
            found.push(format!("{path}: {required} is required and unknown"));
        }
    }
    if let Some(keys) = schema["x-kubernetes-list-map-keys"].as_array() {
        let required = schema["items"]["required"].as_array().unwrap();
        if !keys.iter().all(|key| required.contains(key)) {
            found.push(format!("{path}: a key of the list is not required"));
        }
    }
    if schema.get("properties").is_some() && schema.get("additionalProperties").is_some() {
        found.push(format!("{path}: both named and free fields"));
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        malformed(inner, &format!("{path}.{name}"), found);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            malformed(&schema[inner], &format!("{path}.[]"), found);
        }
    }
}

#[test]
fn every_schema_is_structural_and_every_field_is_described() {
    let mut found = Vec::new();
    for crd in all() {
        malformed(&crd.schema, "root", &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn limits_and_patterns_of_a_pool_hold() {
    let spec = "spec/template/spec";
    let requirement = |changes: Value| {
        let mut requirement = json!({ "key": "a", "operator": "Exists" });
        requirement.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!([requirement])
    };
    let budget = |budget: Value| json!({ "consolidateAfter": "0s", "budgets": [budget] });
    let good = [
        ("spec/weight", json!(100)),
        ("spec/limits", json!({ "cpu": 1000, "memory": "1Ti", "x": "1e3", "y": "-.5" })),
        ("spec/disruption", json!({ "consolidateAfter": "1h30m" })),
        ("spec/disruption", json!({ "consolidateAfter": "Never", "consolidationPolicy": "Balanced" })),
        (
            "spec/disruption",
            budget(
                json!({ "nodes": "100%", "reasons": ["Empty", "Drifted"], "schedule": "0 9 * * 1-5", "duration": "8h30m0s" }),
            ),
        ),
        ("spec/disruption", budget(json!({ "nodes": "1000", "schedule": "@hourly and anything after it" }))),
        (
            spec,
            json!({ "nodeClassRef": { "group": "g", "kind": "k", "name": "n" }, "requirements": [], "expireAfter": "Never", "terminationGracePeriod": "0s" }),
        ),
        ("spec/template/metadata", json!({ "labels": { "a": "" }, "annotations": { "b": "any text" } })),
        (
            "spec/template/spec/requirements",
            requirement(json!({ "minValues": 50, "values": ["by accident any text"] })),
        ),
        (
            "spec/template/spec/taints",
            json!([{ "key": "a.b/c", "value": "d", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z" }]),
        ),
        ("spec/template/spec/taints", Value::Null),
        ("status", json!({ "nodes": 3, "resources": { "cpu": "3" } })),
    ];
    for (path, value) in good {
        assert_eq!(faults(Kind::NodePool, &pool_with(path, value.clone())), Vec::<String>::new(), "{path} {value}");
    }
    let bad = [
        ("spec/weight", json!(0)),
        ("spec/weight", json!(101)),
        ("spec/weight", json!("10")),
        ("spec/weight", json!(1.5)),
        ("spec/replicas", json!(-1)),
        ("spec/limits", json!({ "cpu": "1K" })),
        ("spec/limits", json!({ "cpu": 0.5 })),
        ("spec/disruption", json!({ "consolidateAfter": "1d" })),
        ("spec/disruption", json!({ "consolidateAfter": "1h", "consolidationPolicy": "WhenUnderutilized" })),
        ("spec/disruption", budget(json!({ "nodes": "101%" }))),
        ("spec/disruption", budget(json!({ "nodes": 5 }))),
        ("spec/disruption", budget(json!({ "nodes": "1", "reasons": ["Expired"] }))),
        ("spec/disruption", budget(json!({ "nodes": "1", "reasons": ["Empty", "Empty"] }))),
        ("spec/disruption", budget(json!({ "nodes": "1", "schedule": "@never" }))),
        ("spec/disruption", budget(json!({ "nodes": "1", "duration": "30s" }))),
        ("spec/disruption", json!({ "consolidateAfter": "0s", "budgets": vec![json!({ "nodes": "1" }); 51] })),
        ("spec/template/spec/expireAfter", json!("never")),
        ("spec/template/spec/terminationGracePeriod", json!("Never")),
        ("spec/template/metadata", json!({ "labels": { "a": "-" } })),
        ("spec/template/metadata", json!({ "labels": { "a": "x".repeat(64) } })),
        ("spec/template/metadata", json!({ "labels": { "a": true } })),
        ("spec/template/metadata", json!({ "name": "n" })),
        ("spec/template/spec/requirements", requirement(json!({ "minValues": 51 }))),
        ("spec/template/spec/requirements", requirement(json!({ "operator": "Equals" }))),
        ("spec/template/spec/requirements", requirement(json!({ "key": "a b" }))),
        ("spec/template/spec/requirements", requirement(json!({ "values": "x" }))),
        ("spec/template/spec/requirements", json!(vec![json!({ "key": "a", "operator": "Exists" }); 101])),
        ("spec/template/spec/requirements", Value::Null),
        ("spec/template/spec/taints", json!([{ "key": "", "effect": "NoSchedule" }])),
        ("spec/template/spec/taints", json!([{ "key": "a", "value": "", "effect": "NoSchedule" }])),
        ("spec/template/spec/taints", json!([{ "key": "a" }])),
        ("spec/template/spec/taints", json!([{ "key": "a", "effect": "Never" }])),
        ("spec/template/spec/nodeClassRef/group", json!("karpenter.k8s.aws/v1")),
        ("spec", json!({})),
        ("spec", json!([])),
        ("metadata", json!({})),
        ("metadata", json!({ "name": "Big" })),
        ("metadata", json!({ "name": "a", "lables": {} })),
        ("apiVersion", json!("karpenter.sh/v1beta1")),
        ("kind", json!("Nodepool")),
    ];
    for (path, value) in bad {
        let found = faults(Kind::NodePool, &pool_with(path, value.clone()));
        assert!(!found.is_empty(), "{path} {value}");
        assert!(found[0].starts_with(&path.split('/').next().unwrap().to_owned()), "{found:?}");
    }
}

#[test]
fn limits_and_patterns_of_a_class_hold() {
    let volume = |size: &str| json!([{ "ebs": { "volumeSize": size } }]);
    let path = "spec/blockDeviceMappings";
    for size in ["1Gi", "59000Gi", "64000G", "9Ti", "57Ti", "58Ti", "64T", "Ti", "T"] {
        assert_eq!(faults(Kind::Ec2NodeClass, &class_with(path, volume(size))), Vec::<String>::new(), "{size}");
    }
    for size in ["0Gi", "59001Gi", "64001G", "18Ti", "19Ti", "28Ti", "59Ti", "65T", "100Mi", "1.5Ti", "20"] {
        assert_eq!(faults(Kind::Ec2NodeClass, &class_with(path, volume(size))).len(), 1, "{size}");
    }
    let good = [
        ("spec/kubelet", json!({ "maxPods": "vcpus * 8", "anything": [1] })),
        ("spec/subnetSelectorTerms", json!([{ "id": "by accident x subnet-1 !" }])),
        ("spec/metadataOptions", json!({ "httpPutResponseHopLimit": 64 })),
        (
            "spec/connectionTracking",
            json!({ "tcpEstablishedTimeout": 432_000, "udpStreamTimeout": 180, "udpTimeout": 60 }),
        ),
        ("spec/amiFamily", json!("Windows2025")),
        (
            "status",
            json!({ "capacityReservations": [{ "availabilityZone": "a", "id": "cr-1", "instanceMatchCriteria": "open", "instanceType": "m5.large", "ownerID": "123456789012" }] }),
        ),
    ];
    for (path, value) in good {
        assert_eq!(
            faults(Kind::Ec2NodeClass, &class_with(path, value.clone())),
            Vec::<String>::new(),
            "{path} {value}"
        );
    }
    let bad = [
        ("spec/amiSelectorTerms", json!([])),
        ("spec/amiSelectorTerms", json!(vec![json!({ "id": "ami-1" }); 31])),
        ("spec/amiSelectorTerms", json!([{ "alias": format!("al2023@{}", "v".repeat(24)) }])),
        ("spec/subnetSelectorTerms", json!([{ "id": "sg-1" }])),
        ("spec/subnetSelectorTerms", Value::Null),
        ("spec/capacityReservationSelectorTerms", json!([{ "id": "cr-1", "ownerID": "1" }])),
        ("spec/placementGroupSelector", json!({ "name": "" })),
        ("spec/ipPrefixCount", json!(-1)),
        ("spec/instanceStorePolicy", json!("RAID10")),
        ("spec/networkInterfaces", json!([{ "networkCardIndex": 0 }])),
        ("spec/metadataOptions", json!({ "httpPutResponseHopLimit": 65 })),
        ("spec/metadataOptions", json!({ "httpTokens": true })),
        ("spec/connectionTracking", json!({ "udpTimeout": 61 })),
        ("spec/cpuOptions", json!({ "nestedVirtualization": "on" })),
        ("spec/blockDeviceMappings", json!([{ "ebs": { "volumeType": "gp4" } }])),
        ("spec/blockDeviceMappings", json!([{ "ebs": { "volumeInitializationRate": 99 } }])),
    ];
    for (path, value) in bad {
        assert!(!faults(Kind::Ec2NodeClass, &class_with(path, value.clone())).is_empty(), "{path} {value}");
    }
}

#[test]
fn a_fault_names_its_place_and_a_remedy() {
    let table = [
        (
            pool_with("spec/disruption", json!({ "consolidateafter": "1m" })),
            "spec.disruption.consolidateafter: unknown field \"consolidateafter\" (did you mean consolidateAfter?)",
        ),
        (
            pool_with("spec/disruption", json!({ "expireAfter": "1h" })),
            "spec.disruption.expireAfter: unknown field \"expireAfter\" (it belongs at spec.template.spec.expireAfter)",
        ),
        (
            pool_with("spec/template/spec/requirements", json!([{ "key": "a", "operator": "exist" }])),
            "spec.template.spec.requirements[0].operator: \"exist\" is not allowed (did you mean Exists?)",
        ),
        (
            pool_with("spec/limits", json!({ "cpu": 0.5 })),
            "spec.limits[cpu]: expected integer or text, found number 0.5 (put it in quotes: \"0.5\")",
        ),
        (
            pool_with("spec/weight", json!("10")),
            "spec.weight: expected integer, found text \"10\" (without quotes: 10)",
        ),
        (pool_with("spec/weight", json!(500)), "spec.weight: 500 is too large (write at most 100)"),
        (
            pool_with("spec/template/spec/nodeClassRef", json!({ "group": "g", "kind": "k" })),
            "spec.template.spec.nodeClassRef.name: required field is missing (add name: The name of the node class)",
        ),
        (
            pool_with(
                "spec/template/spec/nodeClassRef",
                json!({ "group": "g", "kind": "k", "name": "n", "apiVersion": "karpenter.kwok.sh/v1alpha1" }),
            ),
            "spec.template.spec.nodeClassRef.apiVersion: unknown field \"apiVersion\" (write group: karpenter.kwok.sh)",
        ),
        (
            pool_with("spec/disruption", json!({ "kind": "x" })),
            "spec.disruption.kind: unknown field \"kind\" (remove it; known here are budgets, consolidateAfter, consolidationPolicy)",
        ),
        (
            pool_with("apiVersion", json!("karpenter.sh/v1beta1")),
            "apiVersion: expected \"karpenter.sh/v1\", found \"karpenter.sh/v1beta1\" (write apiVersion: karpenter.sh/v1)",
        ),
        (pool_with("metadata/name", json!(null)), "metadata.name: required field is missing (give the object a name)"),
    ];
    for (object, expected) in table {
        assert_eq!(faults(Kind::NodePool, &object), [expected]);
    }
}

#[test]
fn the_walk_serves_any_schema() {
    let schema = json!({
        "type": "object",
        "properties": {
            "one": { "oneOf": [{ "required": ["a"] }, { "required": ["b"] }], "type": "object", "properties": { "a": {}, "b": {} } },
            "any": { "anyOf": [{ "type": "string" }, { "type": "integer" }] },
            "not": { "not": { "enum": ["x"] } },
            "all": { "allOf": [{ "minimum": 1 }, { "maximum": 3, "exclusiveMaximum": true }] },
            "step": { "type": "number", "multipleOf": 5 },
            "open": { "type": "object" },
            "null": { "type": "string", "nullable": true },
            "unique": { "type": "array", "uniqueItems": true, "items": { "type": "integer" } },
            "keyed": { "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": { "type": "object", "properties": { "k": {}, "v": {} } } },
            "few": { "type": "object", "minProperties": 1, "maxProperties": 2, "additionalProperties": { "type": "boolean" } },
            "small": { "type": "integer", "format": "int32" },
            "when": { "type": "string", "format": "date-time" }
        }
    });
    let good = [
        json!({ "one": { "a": 1 }, "any": 1, "not": "y", "all": 2, "step": 10, "open": { "z": 1 }, "null": null }),
        json!({ "unique": [1, 2], "keyed": [{ "k": 1 }, { "k": 2 }], "few": { "a": true }, "small": 1, "when": "2026-01-01T00:00:00Z" }),
        json!({ "small": null }),
    ];
    for object in good {
        assert_eq!(walk(&schema, &object), [], "{object}");
    }
    let bad = [
        json!({ "one": { "a": 1, "b": 1 } }),
        json!({ "one": {} }),
        json!({ "any": true }),
        json!({ "not": "x" }),
        json!({ "all": 3 }),
        json!({ "step": 7 }),
        json!({ "unique": [1, 1] }),
        json!({ "keyed": [{ "k": 1, "v": 1 }, { "k": 1, "v": 2 }] }),
        json!({ "few": {} }),
        json!({ "few": { "a": 1 } }),
        json!({ "small": 3_000_000_000_u32 }),
        json!({ "when": "yesterday" }),
        json!({ "unique": [null] }),
        json!({ "other": 1 }),
        json!([]),
    ];
    for object in bad {
        assert_eq!(walk(&schema, &object).len(), 1, "{object}: {:?}", walk(&schema, &object));
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("spec".to_owned()),
        Just("template".to_owned()),
        Just("requirements".to_owned()),
        Just("status".to_owned()),
        Just("metadata".to_owned()),
        Just("labels".to_owned()),
        Just("limits".to_owned()),
        "\\PC{0,6}"
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_object_is_too_odd_to_be_judged(object in any_json()) {
        for kind in Kind::ALL {
            let _ = crds::check(kind, &object, Some(&object));
            let once = with_defaults(kind, object.clone());
            prop_assert_eq!(&with_defaults(kind, once.clone()), &once, "defaults are filled in once");
        }
    }

    #[test]
    fn quantities_and_durations_of_any_text_are_judged(text in "[-+0-9.eEinukKMGTPmsh]{0,12}|\\PC{0,8}") {
        if let Some(canonical) = crds::Quantity::from(text.as_str()).canonical() {
            prop_assert_eq!(crds::Quantity(canonical.clone()).canonical(), Some(canonical));
        }
        let _ = crds::Duration(text).span();
    }
}

#[test]
fn the_labels_that_a_closed_domain_lets_through_are_those_that_have_a_name_here() {
    use crds::names::{aws, core, kwok};
    let properties = "/properties/spec/properties/template/properties/spec/properties/requirements/items/properties";
    let rules = Kind::NodePool.crd().schema.pointer(&format!("{properties}/key/x-kubernetes-validations")).unwrap();
    let with_class = |labels: &[&'static str], class: &'static str| [labels, &[class]].concat();
    let table = [
        (core::GROUP, core::WELL_KNOWN_LABELS.to_vec()),
        (aws::GROUP, with_class(&aws::WELL_KNOWN_LABELS, aws::NODE_CLASS)),
        (kwok::GROUP, with_class(&kwok::WELL_KNOWN_LABELS, kwok::NODE_CLASS)),
    ];
    for (group, mut labels) in table {
        labels.retain(|label| *label != aws::ZONE_ID);
        labels.sort_unstable();
        let message = format!("label domain \"{group}\" is restricted");
        let rule = rules.as_array().unwrap().iter().find(|rule| rule["message"] == *message).unwrap();
        let list = rule["rule"].as_str().unwrap().split(['[', ']']).nth(1).unwrap();
        let mut listed: Vec<&str> = list.split(", ").map(|label| label.trim_matches('\'')).collect();
        listed.sort_unstable();
        assert_eq!(listed, labels, "{group}");
    }
}
