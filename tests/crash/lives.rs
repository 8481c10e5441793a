//! Lives of claims and nodes that nobody kills: what pods, budgets, deadlines and the stock of the cloud do to them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use cloud::catalog::UnavailablePattern;
use serde_json::Value;
use serde_json::json;
use sim::kube::object::Key;
use sim::kube::{DeleteOptions, Id, Part};

use super::stage::{Stage, claims};

/// A cluster with so many initialised nodes, `p-0` and on.
pub async fn nodes(seed: u64, n_nodes: usize) -> Stage {
    let stage = Stage::new(seed);
    stage.claims(n_nodes);
    stage.until(&[], |stage| stage.n_initialized() == n_nodes).await;
    stage
}

#[tokio::test(start_paused = true)]
async fn pods_are_evicted_tier_by_tier_and_then_the_node_goes() {
    let stage = nodes(10, 1).await;
    stage.pod("plain", "p-0", &json!({}));
    stage.pod("critical", "p-0", &json!({ "spec": { "priorityClassName": "system-cluster-critical" } }));
    stage.pod("tolerant", "p-0", &json!({ "spec": { "tolerations": [{ "operator": "Exists" }] } }));
    stage.delete_claims();
    stage.until(&[], |stage| stage.pods() == ["critical", "tolerant"]).await;
    stage.until(&[], |stage| stage.pods() == ["tolerant"]).await;
    stage.until(&[], Stage::is_bare).await;
}

#[tokio::test(start_paused = true)]
async fn a_disruption_budget_holds_a_node_until_it_gives_way() {
    let stage = nodes(11, 1).await;
    stage.pod("guarded", "p-0", &json!({}));
    let budget = json!({ "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": { "name": "b", "namespace": "default" },
        "spec": { "maxUnavailable": 0, "selector": { "matchLabels": { "app": "guarded" } } } });
    stage.direct.create(budget).unwrap();
    stage.delete_claims();
    stage.pass(Duration::from_mins(5)).await;
    assert_eq!(stage.pods(), ["guarded"]);
    let node = stage.direct.get(Id::NODE, &Key::cluster("p-0")).unwrap();
    assert!(node.is_deleting());
    let taints = node.at("/spec/taints").unwrap().to_string();
    assert!(taints.contains("karpenter.sh/disrupted"), "{taints}");
    let id = Id::by_kind("policy/v1", "PodDisruptionBudget").unwrap();
    stage.direct.delete(id, &Key::new("default", "b"), &DeleteOptions::now()).unwrap();
    stage.until(&[], Stage::is_bare).await;
}

#[tokio::test(start_paused = true)]
async fn a_protected_pod_stays_until_the_nodes_grace_period_leaves_it_no_more_than_its_own() {
    let stage = Stage::new(12);
    stage.claims_with(1, &json!({ "terminationGracePeriod": "3m" }));
    stage.until(&[], |stage| stage.n_initialized() == 1).await;
    stage.pod("protected", "p-0", &json!({ "metadata": { "annotations": { "karpenter.sh/do-not-disrupt": "true" } } }));
    stage.delete_claims();
    stage.pass(Duration::from_mins(2)).await;
    assert_eq!(stage.pods(), ["protected"]);
    // Three minutes less its own 30 s.
    stage.pass(Duration::from_secs(33)).await;
    assert!(stage.pods().is_empty());
    stage.until(&[], Stage::is_bare).await;
}

#[tokio::test(start_paused = true)]
async fn only_the_empty_node_is_taken_and_the_other_follows_its_last_pod() {
    let stage = nodes(13, 2).await;
    stage.pod("busy", "p-1", &json!({}));
    stage.pod(
        "daemon",
        "p-0",
        &json!({ "metadata": { "ownerReferences": [
        { "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "d", "controller": true }] },
        "spec": { "tolerations": [{ "operator": "Exists" }] } }),
    );
    stage.let_empty_nodes_go();
    let left = |stage: &Stage| stage.direct.list(claims()).iter().map(|c| c.name().to_owned()).collect::<Vec<_>>();
    stage.until(&[], |stage| left(stage) == ["p-1"]).await;
    stage.pass(Duration::from_mins(2)).await;
    assert_eq!(left(&stage), ["p-1"]);
    let claim = stage.direct.get(claims(), &Key::cluster("p-1")).unwrap();
    assert!(!claim.text("/status/lastPodEventTime").is_empty(), "the pod's coming was noted");
    stage.direct.delete(Id::POD, &Key::new("default", "busy"), &DeleteOptions::now()).unwrap();
    stage.until(&[], |stage| left(stage).is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn nodes_of_one_age_expire_a_second_apart() {
    const N_CLAIMS: usize = 5;
    let stage = Stage::new(18);
    stage.claims_with(N_CLAIMS, &json!({ "expireAfter": "5m" }));
    stage.until(&[], |stage| stage.n_initialized() == N_CLAIMS).await;
    let ends = RefCell::new(BTreeMap::new());
    let is_bare = |stage: &Stage| {
        let claims = stage.direct.list(claims());
        let deleted = claims.iter().filter(|claim| claim.is_deleting());
        let when = |claim: &sim::kube::Object| claim.text("/metadata/deletionTimestamp").to_owned();
        ends.borrow_mut().extend(deleted.map(|claim| (when(claim), claim.name().to_owned())));
        stage.is_bare()
    };
    stage.until(&[], is_bare).await;
    assert_eq!(ends.borrow().len(), N_CLAIMS, "one in each second: {ends:?}");
}

#[tokio::test(start_paused = true)]
async fn marks_on_nodes_of_another_autoscaler_are_left_alone() {
    let stage = nodes(19, 1).await;
    let mut claim = stage.direct.get(claims(), &Key::cluster("p-0")).unwrap().value().clone();
    let mut node = stage.direct.get(Id::NODE, &Key::cluster("p-0")).unwrap().value().clone();
    for object in [&mut claim, &mut node] {
        object["metadata"] = json!({ "name": "foreign", "labels": { "karpenter.sh/nodepool": "other" } });
    }
    claim["spec"]["nodeClassRef"] = json!({ "group": "example.com", "kind": "Theirs", "name": "default" });
    claim["status"]["providerID"] = "theirs://foreign".into();
    node["spec"] = json!({ "providerID": "theirs://foreign",
        "taints": [{ "key": "karpenter.sh/disrupted", "effect": "NoSchedule" }] });
    stage.direct.put(claim).unwrap();
    stage.direct.put(node).unwrap();
    let mark = |old: &Value| {
        let mut new = old.clone();
        new["spec"]["taints"] = json!([{ "key": "karpenter.sh/disrupted", "effect": "NoSchedule" }]);
        new
    };
    stage.direct.update(Id::NODE, &Key::cluster("p-0"), Part::Main, mark).unwrap();
    stage.pass(Duration::from_mins(1)).await;
    let taints = |name: &str| {
        let node = stage.direct.get(Id::NODE, &Key::cluster(name)).unwrap();
        let taints = node.at("/spec/taints").and_then(Value::as_array).cloned().unwrap_or_default();
        taints.iter().filter(|taint| taint["key"] == "karpenter.sh/disrupted").count()
    };
    assert_eq!((taints("p-0"), taints("foreign")), (0, 1), "ours were left behind by a process that ended");
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_given_up_when_nothing_is_in_stock_and_takes_what_there_is_otherwise() {
    let stage = Stage::new(14);
    stage.stock.set_out(vec![UnavailablePattern::parse("*/*/*").unwrap()]);
    stage.claims(1);
    stage.until(&[], Stage::is_bare).await;
    stage.stock.set_out(vec![UnavailablePattern::parse("*/test-zone-a/*").unwrap()]);
    stage.claims(1);
    stage.until(&[], |stage| stage.n_initialized() == 1).await;
    let claim = stage.direct.get(claims(), &Key::cluster("p-0")).unwrap();
    assert_ne!(claim.label("topology.kubernetes.io/zone"), Some("test-zone-a"));
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_node_does_not_come_is_given_up_after_a_quarter_of_an_hour() {
    let stage = Stage::new(15);
    let slow = |old: &serde_json::Value| {
        let mut new = old.clone();
        new["spec"] = json!({ "nodeRegistrationDelay": "1h" });
        new
    };
    let class = Id::of(crds::Kind::KwokNodeClass);
    stage.direct.update(class, &Key::cluster("default"), Part::Main, slow).unwrap();
    stage.claims(1);
    stage.pass(Duration::from_mins(14)).await;
    assert_eq!(stage.direct.list(claims()).len(), 1);
    stage.until(&[], Stage::is_bare).await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_a_claim_is_ended_and_what_names_no_claim_is_left_alone() {
    let stage = nodes(16, 2).await;
    for (name, annotations) in
        [("lost", json!({ "millwright.dev/nodeclaim-uid": "gone" })), ("hand-made", json!({ "mine": "yes" }))]
    {
        let node = stage.direct.get(Id::NODE, &Key::cluster("p-0")).unwrap();
        let mut copy = json!({ "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": name, "labels": node.labels(), "annotations": annotations },
            "spec": { "providerID": format!("kwok://{name}") } });
        copy["metadata"]["labels"]["kubernetes.io/hostname"] = name.into();
        stage.direct.create(copy).unwrap();
    }
    stage.pass(Duration::from_mins(5)).await;
    let names: Vec<_> = stage.direct.list(Id::NODE).iter().map(|node| node.name().to_owned()).collect();
    assert_eq!(names, ["hand-made", "p-0", "p-1"]);
    assert_eq!(stage.n_initialized(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pool_shows_whether_it_may_be_used_and_what_its_nodes_have() {
    let stage = nodes(17, 2).await;
    stage.pass(Duration::from_secs(10)).await;
    let pool = stage.direct.get(Id::of(crds::Kind::NodePool), &Key::cluster("p")).unwrap();
    assert!(pool.is_condition_true("Ready") && pool.is_condition_true("NodeClassReady"));
    assert_eq!(pool.at("/status/resources/cpu").unwrap(), "2");
    assert_eq!(pool.at("/status/nodes").unwrap(), 2);
    assert!(pool.annotation("karpenter.sh/nodepool-hash").is_some());
}
