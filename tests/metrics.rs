//! What a controller shows on /metrics after a run, beside what Karpenter shows.
#![expect(clippy::unwrap_used, reason = "what is not there has failed the test")]
#![expect(clippy::expect_used, reason = "likewise")]

#[path = "whole/cluster.rs"]
mod cluster;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use cluster::{Cluster, claims, deployment};
use sim::kube::{DeleteOptions, Id, Key, Part};

/// Family by name, with its type.
type Families = BTreeMap<String, String>;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// What a scrape shows.
fn families(text: &str) -> Families {
    let of_type = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    of_type.map(|line| line.split_once(' ').unwrap()).map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// A list of names and types, one a line.
fn listed(name: &str) -> Families {
    let text = std::fs::read_to_string(file(name)).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap()).map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// Families that such a run does not show, and why.
const ELSEWHERE: [(&str, &str); 6] = [
    ("karpenter_cloudprovider_errors_total", "no call to the cloud fails"),
    ("karpenter_nodeclaims_instance_termination_duration_seconds", "instances of kwok end at once"),
    ("karpenter_scheduler_queue_depth", "only while a plan is made"),
    ("karpenter_scheduler_unfinished_work_seconds", "only while a plan is made"),
    ("leader_election_master_status", "there is no election"),
    ("operator_node_status_condition_transition_seconds", "nodes are ready from their first condition on"),
];

/// Scale up, pods for which there is no place, a node that is drained, scale down; scrapes of it all, put together, and
/// one of the cluster at work.
async fn scrapes() -> (Families, String) {
    let cluster = Cluster::new(1);
    let limit = |old: &serde_json::Value| {
        let mut pool = old.clone();
        pool["spec"]["limits"] = serde_json::json!({"cpu": "1000"});
        pool
    };
    cluster.direct.update(Id::of(crds::Kind::NodePool), &Key::new("", "general"), Part::Main, limit).unwrap();
    let life = cluster.live(cluster.server.session("millwright"));
    cluster.direct.put(deployment("web", 30, "900m", "3100Mi")).unwrap();
    cluster.direct.put(deployment("vast", 1, "9000", "1Gi")).unwrap();
    let mut seen = Families::new();
    let mut look = async |times: usize, every: Duration| {
        for _ in 0..times {
            tokio::time::sleep(every).await;
            seen.extend(families(&life.ground.metrics.render()));
        }
    };
    look(150, Duration::from_millis(100)).await;
    look(5, Duration::from_secs(5)).await;
    let busy = life.ground.metrics.render();
    assert_eq!(cluster.n_running(), 30);
    let claim = cluster.direct.list(claims())[0].name().to_owned();
    cluster.direct.delete(claims(), &Key::new("", &claim), &DeleteOptions::default()).unwrap();
    look(60, Duration::from_secs(2)).await;
    assert_eq!(cluster.n_running(), 30);
    cluster.scale("web", 0);
    look(60, Duration::from_secs(2)).await;
    assert_eq!(cluster.count(Id::NODE), 0);
    (seen, busy)
}

#[tokio::test(start_paused = true)]
async fn metrics_are_those_that_are_listed_and_those_of_karpenter_but_for_what_is_said_to_be_missing() {
    let (shown, busy) = scrapes().await;
    let list = "tests/metrics/shown.txt";
    if std::env::var_os("UPDATE_METRICS").is_some() {
        let lines: Vec<String> = shown.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        std::fs::write(file(list), lines.join("\n") + "\n").unwrap();
    }
    assert_eq!(shown, listed(list), "{list} differs; UPDATE_METRICS=1 writes it");

    let told = std::fs::read_to_string(file("docs/compatibility.md")).unwrap();
    let wrong: Vec<String> = listed("tests/metrics/karpenter.txt")
        .into_iter()
        .filter(|(name, kind)| match shown.get(name) {
            Some(ours) => ours != kind,
            None => !ELSEWHERE.iter().any(|(elsewhere, _)| elsewhere == name) && !told.contains(&format!("`{name}`")),
        })
        .map(|(name, kind)| format!("{name} {kind}, here {:?}", shown.get(&name)))
        .collect();
    assert!(wrong.is_empty(), "neither shown as Karpenter does nor in docs/compatibility.md: {wrong:#?}");

    let of = |line: &&str, name: &str, parts: &[&str]| {
        line.starts_with(&format!("{name}{{")) && parts.iter().all(|part| line.contains(part))
    };
    for (name, parts) in [
        (
            "karpenter_pods_state",
            &["phase=\"Running\"", "managed=\"true\"", "owner=\"/apis/apps/v1/namespaces/default/replicasets/"][..],
        ),
        ("karpenter_pods_unbound_time_seconds", &["name=\"vast-"]),
        ("karpenter_nodes_total_pod_requests", &["resource_type=\"cpu\"", "nodepool=\"general\""]),
        ("karpenter_cluster_utilization_percent", &["resource_type=\"memory\""]),
        ("karpenter_nodepools_cost_total", &["nodepool=\"general\""]),
        ("karpenter_cloudprovider_duration_seconds_count", &["method=\"Create\"", "provider=\"kwok\""]),
        ("karpenter_scheduler_pending_pods_by_effective_zone_count", &["zone=\"flexible\""]),
        ("workqueue_adds_total", &["name=\"nodepool\""]),
        ("operator_node_status_condition_count", &["type=\"Ready\"", "status=\"True\""]),
        ("operator_status_condition_count", &["kind=\"NodeClaim\"", "type=\"Launched\""]),
    ] {
        assert!(busy.lines().any(|line| of(&line, name, parts)), "no {name} with {parts:?} in\n{busy}");
    }
    let value = |name: &str| busy.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    assert!(value("karpenter_pods_bound_duration_seconds_count").is_some_and(|n| n >= 30.0), "{busy}");
}
