//! The mirror as its readers see it.

use cloud::ClassKind;
use serde_json::{Value, json};

use super::super::options::Options;
use super::super::translate::Catalogs;
use super::*;

fn claim(name: &str, provider_id: &str, version: &str) -> Object {
    let value = json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
        "metadata": {"name": name, "uid": format!("u-{name}"), "resourceVersion": version},
        "spec": {"requirements": [], "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"}},
        "status": {"providerID": provider_id},
    });
    Object::NodeClaim(Box::new(Both {
        whole: serde_json::from_value(value.clone()).unwrap(),
        trimmed: serde_json::from_value(value).unwrap(),
    }))
}

fn node(name: &str, provider_id: &str) -> Object {
    let value = json!({"metadata": {"name": name}, "spec": {"providerID": provider_id}});
    Object::Node(serde_json::from_value(value).unwrap())
}

fn pod(name: &str, status: &Value, node: &str) -> Object {
    let value = json!({
        "metadata": {"namespace": "shop", "name": name},
        "spec": {"nodeName": node, "containers": []}, "status": status,
    });
    Object::Pod(serde_json::from_value(value).unwrap())
}

fn waiting() -> Value {
    json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]})
}

fn names(pods: &[Arc<Pod>]) -> Vec<&str> {
    pods.iter().map(|pod| pod.name()).collect()
}

#[test]
fn a_claim_and_its_node_find_each_other_by_provider_id() {
    let mirror = Mirror::new(&[]);
    mirror.apply(claim("c", "", "1"));
    mirror.apply(node("n", "kwok://n"));
    assert!(mirror.node_of(&mirror.claim("c").unwrap()).is_none());
    mirror.apply(claim("c", "kwok://n", "2"));
    assert_eq!(&*mirror.node_of(&mirror.claim("c").unwrap()).unwrap().metadata.name, "n");
    assert_eq!(mirror.claim_of(&mirror.node("n").unwrap()).unwrap().metadata.name(), "c");
    mirror.remove(Kind::Node, "", "n");
    assert!(mirror.node_of(&mirror.claim("c").unwrap()).is_none());
    mirror.remove(Kind::NodeClaim, "", "c");
    assert!(mirror.claims_of_provider("kwok://n").is_empty() && mirror.claims().is_empty());
}

#[test]
fn pods_move_between_the_indexes_as_they_are_bound_and_end() {
    let mirror = Mirror::new(&[]);
    mirror.apply(pod("a", &waiting(), ""));
    mirror.apply(pod("b", &waiting(), ""));
    assert_eq!(names(&mirror.pending()), ["a", "b"]);
    mirror.apply(pod("a", &json!({"phase": "Running"}), "n"));
    assert_eq!((names(&mirror.pending()), names(&mirror.pods_on("n"))), (vec!["b"], vec!["a"]));
    mirror.apply(pod("a", &json!({"phase": "Succeeded"}), "n"));
    assert!(mirror.pods_on("n").is_empty());
    mirror.remove(Kind::Pod, "shop", "b");
    assert!(mirror.pending().is_empty());
    assert_eq!(mirror.n_pods(), 1);
}

#[test]
fn what_a_list_does_not_show_any_more_is_gone() {
    let mirror = Mirror::new(&[Kind::Node]);
    assert!(!mirror.synced());
    mirror.list_begins(Kind::Node);
    mirror.listed(node("a", "1"));
    mirror.listed(node("b", "2"));
    mirror.list_ends(Kind::Node);
    assert!(mirror.synced());
    let mut changes = mirror.changes(&[Kind::Node]);
    while changes.try_next().is_some() {}
    // The watch was cut off; in the meantime `a` went and `c` came.
    mirror.list_begins(Kind::Node);
    mirror.listed(node("b", "2"));
    mirror.listed(node("c", "3"));
    assert!(mirror.node("a").is_some(), "nothing vanishes before the list has ended");
    mirror.list_ends(Kind::Node);
    let all: Vec<_> = mirror.nodes().iter().map(|n| n.metadata.name.to_string()).collect();
    assert_eq!(all, ["b", "c"]);
    let told: BTreeSet<_> = std::iter::from_fn(|| changes.try_next()).map(|c| c.name.to_string()).collect();
    assert!(told.contains("a") && told.contains("c"));
}

#[test]
fn the_same_version_told_twice_changes_nothing() {
    let mirror = Mirror::new(&[]);
    mirror.apply(claim("c", "x", "7"));
    let mut changes = mirror.changes(&[Kind::NodeClaim]);
    assert!(changes.try_next().is_some());
    mirror.apply(claim("c", "x", "7"));
    assert!(changes.try_next().is_none());
}

#[tokio::test]
async fn whoever_waits_for_the_first_lists_is_woken_by_the_last() {
    let mirror = Mirror::new(&[Kind::Node, Kind::Pod]);
    let waiter = tokio::spawn({
        let mirror = mirror.clone();
        async move { mirror.until_synced().await }
    });
    for kind in [Kind::Pod, Kind::Node] {
        assert!(!waiter.is_finished());
        mirror.list_begins(kind);
        mirror.list_ends(kind);
    }
    waiter.await.unwrap();
}

#[test]
fn a_daemon_asks_for_what_its_newest_pod_does_and_goes_where_its_template_says() {
    let mirror = Mirror::new(&[]);
    let asks = |cpu: &str| json!([{"name": "c", "resources": {"requests": {"cpu": cpu}}}]);
    let on = |field: &str, key: &str, value: &str| {
        let term = json!({field: [{"key": key, "operator": "In", "values": [value]}]});
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}})
    };
    let set = json!({
        "metadata": {"namespace": "shop", "name": "agent", "uid": "new"},
        "spec": {"template": {"spec": {"containers": asks("100m"), "affinity": on("matchExpressions", "disk", "ssd")}}},
    });
    mirror.apply(Object::DaemonSet(serde_json::from_value(set).unwrap()));
    let asked = || {
        let taken = mirror.snapshot(&[], &Catalogs::default(), &Options::default()).unwrap();
        let shape = taken.snapshot.daemons[0].shape.clone();
        let terms = shape.node_terms.clone().unwrap();
        assert!(terms.len() == 1 && terms[0].get("disk").is_some(), "{terms:?}");
        shape.requests.get("cpu")
    };
    assert_eq!(asked(), 100);
    let made =
        [("a", "new", "05", "700m"), ("b", "new", "07", "900m"), ("c", "new", "06", "800m"), ("d", "old", "09", "2")];
    for (name, set, hour, cpu) in made {
        let owner =
            json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": set, "controller": true});
        let pod = json!({
            "metadata": {"namespace": "shop", "name": name, "creationTimestamp": format!("2026-01-01T{hour}:00:00Z"),
                "ownerReferences": [owner]},
            "spec": {"nodeName": "n", "containers": asks(cpu), "affinity": on("matchFields", "metadata.name", "n")},
        });
        mirror.apply(Object::Pod(serde_json::from_value(pod).unwrap()));
    }
    assert_eq!(asked(), 900);
}

fn expected(name: &str) -> Arc<crds::NodeClaim> {
    let Object::NodeClaim(both) = claim(name, "", "1") else { unreachable!() };
    Arc::new(both.whole)
}

#[test]
fn what_was_looked_up_while_a_watch_showed_the_claims_end_does_not_bring_it_back() {
    let found = |name: &str| {
        let Object::NodeClaim(both) = claim(name, "", "1") else { unreachable!() };
        *both
    };
    let mirror = Mirror::new(&[]);
    mirror.expect(expected("here"), 0);
    mirror.expect(expected("gone"), 0);
    mirror.apply(claim("gone", "", "1"));
    mirror.remove(Kind::NodeClaim, "", "gone");
    mirror.found_expected(found("here"));
    mirror.found_expected(found("gone"));
    assert!(mirror.claim("here").is_some() && mirror.claim("gone").is_none());
    assert!(mirror.expected().is_empty());
}

fn at_stage(name: &str, provider_id: &str, is_registered: bool) -> Object {
    let Object::NodeClaim(mut both) = claim(name, provider_id, "1") else { unreachable!() };
    if is_registered {
        let conditions = json!([{"type": "Registered", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z",
            "reason": "Registered", "message": ""}]);
        both.whole.status.as_mut().unwrap().conditions = serde_json::from_value(conditions.clone()).unwrap();
        both.trimmed.status.conditions = serde_json::from_value(conditions).unwrap();
    }
    Object::NodeClaim(both)
}

#[test]
fn a_place_on_a_machine_whose_node_is_gone_is_a_place_no_more() {
    let mirror = Mirror::new(&[]);
    for (name, is_registered) in [("coming", false), ("joined", true), ("bereft", true)] {
        mirror.apply(at_stage(name, &format!("kwok://{name}"), is_registered));
        mirror.apply(pod(name, &waiting(), ""));
        mirror.promise(&name.into(), [&format!("shop/{name}").into()]);
    }
    mirror.apply(node("joined", "kwok://joined"));
    assert!(mirror.has_broken_promises(0));
    let kept: Vec<_> = mirror.promised().iter().map(ToString::to_string).collect();
    assert_eq!(kept, ["coming", "joined"]);
}

/// Where pods lie in a snapshot, `node: pod`, those marked with a star that are not bound to it.
fn places(mirror: &Mirror) -> Vec<String> {
    let kinds = [ClassKind { group: "karpenter.kwok.sh", kind: "KWOKNodeClass" }];
    let taken = mirror.snapshot(&kinds, &Catalogs::default(), &Options::default()).unwrap();
    assert_eq!(taken.notes, Vec::<String>::new());
    let mut out = Vec::new();
    for node in &taken.snapshot.nodes {
        for bound in &node.pods {
            let star = if bound.promised { "*" } else { "" };
            out.extend(bound.pods.iter().map(|pod| format!("{}: {}{star}", node.name, &pod["shop/".len()..])));
        }
    }
    out
}

#[test]
fn a_pod_that_is_not_bound_to_the_node_it_lies_on_is_marked_as_promised() {
    let mirror = Mirror::new(&[]);
    mirror.apply(claim("coming", "", "1"));
    mirror.apply(node("there", "kwok://there"));
    let going = json!({"metadata": {"name": "going", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    mirror.apply(Object::Node(serde_json::from_value(going).unwrap()));
    let nominated = json!({"nominatedNodeName": "there", "conditions": waiting()["conditions"]});
    for (name, status, node) in [
        ("bound", json!({"phase": "Running"}), "there"),
        ("nominated", nominated, ""),
        ("planned", waiting(), ""),
        ("moving", json!({"phase": "Running"}), "going"),
        ("unplanned", json!({"phase": "Running"}), "going"),
    ] {
        mirror.apply(pod(name, &status, node));
    }
    mirror.promise(&"coming".into(), [&"shop/planned".into(), &"shop/moving".into()]);
    let expected = ["coming: moving*", "coming: planned*", "there: bound", "there: nominated*"];
    assert_eq!(places(&mirror), expected, "and what still needs another place lies nowhere");
}
