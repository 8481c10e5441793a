//! What feature gates switch on, end to end: static pools and capacity buffers, in a cluster in memory.
#![expect(clippy::expect_used, reason = "a test program; its helpers may panic too")]

#[path = "whole/cluster.rs"]
mod cluster;

use std::collections::BTreeSet;
use std::time::Duration;

use cluster::{Cluster, Life, Setup, claims, deployment};
use millwright::config::Config;
use millwright::observe::FeatureGates;
use serde_json::{Value, json};
use sim::kube::{Id, Key, Part};
use tokio::time::{Instant, sleep};

fn with(gates: FeatureGates, pool: Value) -> Cluster {
    Cluster::of(Setup { pool, config: Config { feature_gates: gates, ..Config::default() }, ..Setup::default() })
}

async fn until(what: &str, is_done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_mins(3);
    while !is_done() {
        assert!(Instant::now() < end, "not within three minutes: {what}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// Names of claims that are not on their way out.
fn staying(cluster: &Cluster) -> BTreeSet<String> {
    let all = cluster.direct.list(claims());
    all.iter().filter(|claim| !claim.is_deleting()).map(|claim| claim.name().to_owned()).collect()
}

fn has_said(life: &Life, text: &str) -> bool {
    life.ground.recorder.said().iter().any(|(_, event)| event.message.contains(text))
}

fn scale(cluster: &Cluster, replicas: usize) {
    let change = |old: &Value| {
        let mut new = old.clone();
        new["spec"]["replicas"] = replicas.into();
        new
    };
    let pool = Id::of(crds::Kind::NodePool);
    cluster.direct.update(pool, &Key::cluster("general"), Part::Main, change).expect("the pool is there");
}

#[tokio::test(start_paused = true)]
async fn a_static_pool_follows_its_replicas_up_and_down_and_spares_the_node_that_is_in_use() {
    let gates = FeatureGates { static_capacity: true, ..FeatureGates::default() };
    let cluster = with(gates, json!({"replicas": 4, "disruption": {"budgets": [{"nodes": "0"}]}}));
    let first = cluster.live(cluster.server.session("millwright"));
    let n_initialized = || cluster.direct.list(claims()).iter().filter(|c| c.is_condition_true("Initialized")).count();
    until("four nodes", || n_initialized() == 4).await;
    sleep(Duration::from_secs(1)).await;
    for condition in ["Launched", "Registered", "Initialized"] {
        let text = format!("Type: {condition}, Status: Unknown -> True");
        assert!(has_said(&first, &text), "{text}: {:?}", first.ground.recorder.said());
    }
    assert!(!has_said(&first, "Unknown -> Unknown"));
    first.kill();
    let second = cluster.live(cluster.server.session("millwright"));
    sleep(Duration::from_secs(30)).await;
    assert!(!has_said(&second, "NodePool not found"), "nobody knew yet what its class sells");
    cluster.deploy("web", 1, "100m", "100Mi");
    until("the pod runs", || cluster.n_running() == 1).await;
    let pods = cluster.direct.list(Id::POD);
    let in_use = pods[0].text("/spec/nodeName").to_owned();

    let before = staying(&cluster);
    scale(&cluster, 1);
    until("three go", || cluster.count(claims()) == 1 && cluster.count(Id::NODE) == 1).await;
    sleep(Duration::from_mins(3)).await;
    let after = staying(&cluster);
    assert_eq!((after.len(), cluster.n_running()), (1, 1), "and no more than three, whatever budgets say");
    assert!(before.is_superset(&after), "nothing was bought meanwhile");
    assert_eq!(cluster.direct.list(Id::NODE)[0].name(), in_use);

    scale(&cluster, 0);
    until("the last goes", || cluster.count(claims()) == 0).await;
    scale(&cluster, 2);
    until("two come", || n_initialized() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_node_has_not_joined_says_so_and_a_pool_of_none_is_not_blocked_by_its_budgets() {
    let cluster = with(FeatureGates::default(), json!({"disruption": {"budgets": [{"nodes": "0"}]}}));
    cluster
        .direct
        .put(
            json!({"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": {"name": "default"},
            "spec": {"nodeRegistrationDelay": "45s"}}),
        )
        .unwrap();
    let life = cluster.live(cluster.server.session("millwright"));
    cluster.deploy("web", 1, "100m", "100Mi");
    until("the claim says so", || has_said(&life, "Nodeclaim does not have an associated node")).await;
    assert_eq!(cluster.count(Id::NODE), 0);
    assert!(!has_said(&life, "due to blocking budget"));
    until("the node is there", || cluster.n_running() == 1).await;
    until("the pool says so", || has_said(&life, "due to blocking budget")).await;
}

fn buffer(spec: &Value) -> Value {
    json!({"apiVersion": "autoscaling.x-k8s.io/v1beta1", "kind": "CapacityBuffer", "metadata": {"name": "spare"}, "spec": spec})
}

/// Status, reason and message of a condition of the buffer.
fn said(cluster: &Cluster, condition: &str) -> String {
    let found = cluster.direct.get(Id::of(crds::Kind::CapacityBuffer), &Key::new("default", "spare"));
    let Some(condition) = found.as_ref().and_then(|found| found.condition(condition)) else { return String::new() };
    let text = |field: &str| condition[field].as_str().unwrap_or_default();
    format!("{} {}: {}", text("status"), text("reason"), text("message"))
}

fn replicas(cluster: &Cluster) -> Option<i64> {
    let found = cluster.direct.get(Id::of(crds::Kind::CapacityBuffer), &Key::new("default", "spare"))?;
    found.at("/status/replicas").and_then(Value::as_i64)
}

#[tokio::test(start_paused = true)]
async fn a_buffer_says_what_is_missing_what_is_bought_for_it_and_that_it_has_its_room() {
    let gates = FeatureGates { capacity_buffer: true, ..FeatureGates::default() };
    let cluster = with(gates, json!({}));
    let life = cluster.live(cluster.server.session("millwright"));
    let of_web = json!({"scalableRef": {"apiGroup": "apps", "kind": "Deployment", "name": "web"}, "percentage": 50});
    cluster.direct.put(buffer(&of_web)).unwrap();
    until("it says that there is no Deployment", || said(&cluster, "ReadyForProvisioning").starts_with("False")).await;
    let missing = "False ScalableRefNotFound: Deployment \"web\" not found in namespace \"default\"";
    assert_eq!(said(&cluster, "ReadyForProvisioning"), missing);
    assert!(said(&cluster, "Provisioning").starts_with("False NotReadyForProvisioning: "));

    let mut web = deployment("web", 4, "10m", "10Mi");
    web["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "900m".into();
    cluster.direct.put(web).unwrap();
    until("it is told that nodes are bought", || said(&cluster, "Provisioning").contains("RequiresNewCapacity")).await;
    assert!(said(&cluster, "Provisioning").ends_with("/2 virtual pods required new capacity, 0 failed"));
    let fits = "True FitsExistingCapacity: All 2 virtual pods fit on existing capacity";
    until("it has its room", || said(&cluster, "Provisioning") == fits).await;
    assert_eq!(said(&cluster, "ReadyForProvisioning"), "True Resolved: Pod template resolved successfully");
    assert_eq!(replicas(&cluster), Some(2));
    let events: Vec<String> = life.ground.recorder.said().into_iter().map(|(_, event)| event.message).collect();
    assert!(events.iter().any(|event| event.contains("Type: Provisioning, Status: False -> True")), "{events:?}");
    let metrics = life.ground.metrics.render();
    let series = "operator_capacitybuffer_status_condition_count{name=\"spare\",namespace=\"default\",\
                  reason=\"FitsExistingCapacity\",status=\"True\",type=\"Provisioning\"} 1";
    assert!(metrics.contains(series), "{metrics}");

    // The pods go and the buffer stays as large: nodes without pods that hold its room are kept, though nothing is on them.
    let fixed = json!({"scalableRef": {"apiGroup": "apps", "kind": "Deployment", "name": "web"}, "replicas": 2});
    cluster.direct.put(buffer(&fixed)).unwrap();
    cluster.scale("web", 0);
    sleep(Duration::from_mins(5)).await;
    assert_eq!((cluster.n_running(), said(&cluster, "Provisioning").as_str()), (0, fits));
    let kept = staying(&cluster);
    assert!(!kept.is_empty());
    sleep(Duration::from_mins(5)).await;
    assert_eq!(staying(&cluster), kept, "they are not bought anew again and again");

    let none = json!({"scalableRef": {"apiGroup": "apps", "kind": "Deployment", "name": "web"}, "replicas": 0});
    cluster.direct.put(buffer(&none)).unwrap();
    until("nodes go", || cluster.count(claims()) == 0).await;
    assert_eq!(
        (said(&cluster, "Provisioning").as_str(), replicas(&cluster)),
        ("False BufferEmpty: Buffer has zero desired replicas", Some(0))
    );
}
