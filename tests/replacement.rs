//! What is bought for pods of a node that drains stands there for them, however long the drain takes.
#![expect(clippy::unwrap_used, reason = "what is not there has failed the test")]
#![expect(clippy::expect_used, reason = "likewise")]

#[path = "whole/cluster.rs"]
mod cluster;

use std::collections::BTreeSet;
use std::time::Duration;

use cloud::catalog::UnavailablePattern;
use cluster::{Cluster, claims, deployment};
use serde_json::json;
use sim::kube::{DeleteOptions, Id};
use tokio::time::{Instant, sleep};

/// One node with a pod that takes so long to end and one whose turn to be evicted comes after it. The node drains from now
/// on. Gives the name of its claim.
async fn draining(cluster: &Cluster, stop_seconds: u64) -> String {
    let mut last = deployment("last", 1, "1", "1Gi");
    last["spec"]["template"]["spec"]["priorityClassName"] = "system-cluster-critical".into();
    cluster.direct.put(last).unwrap();
    until(cluster, |cluster| cluster.n_running() == 1).await;
    let nodes = cluster.direct.list(Id::NODE);
    let slow = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "slow", "namespace": "default",
            "annotations": {"sim.millwright.dev/stop-seconds": stop_seconds.to_string()}},
        "spec": {"nodeName": nodes[0].name(), "terminationGracePeriodSeconds": stop_seconds + 60,
            "containers": [{"name": "main", "image": "pause", "resources": {"requests": {"cpu": "10m"}}}]},
    });
    cluster.direct.put(slow).unwrap();
    until(cluster, |cluster| cluster.n_running() == 2).await;
    let claim = cluster.direct.list(claims())[0].clone();
    cluster.direct.delete(claims(), &claim.key(), &DeleteOptions::default()).unwrap();
    claim.name().to_owned()
}

async fn until(cluster: &Cluster, is_done: impl Fn(&Cluster) -> bool) {
    let end = Instant::now() + Duration::from_mins(2);
    while !is_done(cluster) {
        assert!(Instant::now() < end, "not within two minutes");
        sleep(Duration::from_millis(200)).await;
    }
}

fn names(cluster: &Cluster) -> BTreeSet<String> {
    cluster.direct.list(claims()).iter().map(|claim| claim.name().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_replacement_is_not_retired_as_empty_while_its_pods_are_still_to_be_evicted() {
    let cluster = Cluster::new(1);
    cluster.live(cluster.server.session("millwright"));
    let old = draining(&cluster, 240).await;
    let mut seen = BTreeSet::new();
    for _ in 0..300 {
        sleep(Duration::from_secs(1)).await;
        seen.extend(names(&cluster));
    }
    assert_eq!(cluster.n_running(), 1);
    assert!(!names(&cluster).contains(&old), "the drain has ended");
    assert_eq!(seen.len(), 2, "one replacement, bought once: {seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_could_not_be_bought_is_tried_again_before_the_pods_are_evicted() {
    let cluster = Cluster::new(1);
    cluster.live(cluster.server.session("millwright"));
    let old = draining(&cluster, 600).await;
    cluster.stock.set_out(vec![UnavailablePattern::parse("*/*/*").unwrap()]);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(names(&cluster), BTreeSet::from([old.clone()]), "there is nothing to be bought");
    cluster.stock.set_out(Vec::new());
    // What was refused is left alone for three minutes.
    sleep(Duration::from_mins(4)).await;
    assert!(names(&cluster).contains(&old), "the drain goes on");
    let initialized =
        cluster.direct.list(claims()).iter().filter(|claim| claim.is_condition_true("Initialized")).count();
    assert_eq!(initialized, 2);
}
