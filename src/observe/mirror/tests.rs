//! The mirror as its readers see it.

use serde_json::{Value, json};

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
