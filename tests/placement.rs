//! What a plan buys is what is bought: the whole controller on a cluster in memory, whose scheduler spreads pods over the
//! nodes that are open, as kube-scheduler does.
#![expect(clippy::unwrap_used, reason = "what is not there has failed the test")]
#![expect(clippy::expect_used, reason = "likewise")]

#[path = "whole/cluster.rs"]
mod cluster;

use std::time::Duration;

use cluster::{Cluster, Setup, claims};
use millwright::config::Config;
use serde_json::json;
use sim::kube::Id;
use tokio::time::sleep;

/// How many nodes were planned at first, and how many there are when all pods run.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    planned: usize,
    bought: usize,
    running: usize,
}

/// What happens to the controller on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// It holds pods to their nodes.
    Held,
    /// It does not.
    Loose,
    /// It is killed when all claims are made and no node is ready, and another takes over.
    Killed,
}

/// Machines of fewer than 32 cores, which nobody takes away. Boot times vary by a quarter either way: the last node is
/// ready 5 s after the first.
fn setup(seed: u64) -> Setup {
    let pool = json!({
        "template": {"spec": {"requirements": [
            {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
            {"key": "karpenter.kwok.sh/instance-cpu", "operator": "Lt", "values": ["32"]},
        ]}},
        "disruption": {"consolidateAfter": "Never"},
    });
    Setup { seed, node_ready: Duration::from_secs(10), pool, ..Setup::default() }
}

/// Pods of some sizes on nodes that join one after another.
async fn outcome(seed: u64, pods: &[(usize, &str, &str)], course: Course) -> Outcome {
    let config = Config { enforce_placement: course != Course::Loose, ..Config::default() };
    let cluster = Cluster::of(Setup { config, ..setup(seed) });
    let life = cluster.live(cluster.server.session("millwright"));
    for (nth, (replicas, cpu, memory)) in pods.iter().enumerate() {
        cluster.deploy(&format!("d{nth}"), *replicas, cpu, memory);
    }
    let mut decisions = life.ground.insight.decisions();
    let planned = decisions.wait_for(Option::is_some).await.unwrap().as_ref().unwrap().plan.launches.len();
    if course == Course::Killed {
        life.kill();
        sleep(Duration::from_secs(1)).await;
        cluster.live(cluster.server.session("millwright"));
    }
    sleep(Duration::from_mins(2)).await;
    Outcome { planned, bought: cluster.count(claims()), running: cluster.n_running() }
}

/// Sizes of which the large ones find room where small ones were planned.
const MIXES: [[(usize, &str, &str); 2]; 4] = [
    [(40, "900m", "3100Mi"), (40, "3500m", "28Gi")],
    [(90, "500m", "1Gi"), (30, "3", "6Gi")],
    [(60, "1", "4Gi"), (25, "5", "10Gi")],
    [(100, "300m", "2Gi"), (20, "6", "12Gi")],
];

#[tokio::test(start_paused = true)]
async fn as_many_nodes_are_bought_as_were_planned() {
    for (seed, pods) in (1..).zip(MIXES) {
        let all = pods.iter().map(|(replicas, ..)| replicas).sum();
        let held = outcome(seed, &pods, Course::Held).await;
        assert_eq!((held.bought, held.running), (held.planned, all), "{pods:?}: {held:?}");
    }
}

/// Sizes that do not all fit any more when they are put on the same machines in another order.
const TIGHT_MIXES: [&[(usize, &str, &str)]; 4] = [
    &[(19, "300m", "20Gi"), (6, "2700m", "7Gi"), (24, "900m", "500Mi")],
    &[(16, "700m", "7Gi"), (27, "1900m", "3100Mi"), (11, "3500m", "5Gi"), (14, "900m", "1700Mi")],
    &[(34, "900m", "5Gi"), (23, "5", "5Gi"), (6, "2700m", "12Gi"), (15, "700m", "3100Mi"), (26, "1900m", "1Gi")],
    &[(20, "1900m", "5Gi"), (19, "2700m", "12Gi"), (12, "1900m", "5Gi"), (19, "500m", "500Mi")],
];

#[tokio::test(start_paused = true)]
async fn a_controller_that_takes_over_while_nodes_are_coming_buys_no_more() {
    for (seed, pods) in (1..).zip(TIGHT_MIXES) {
        let all = pods.iter().map(|(replicas, ..)| replicas).sum();
        let killed = outcome(seed, pods, Course::Killed).await;
        assert_eq!((killed.bought, killed.running), (killed.planned, all), "{pods:?}: {killed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_enforcement_pods_stray_and_more_is_bought() {
    let mut n_more = 0;
    for (seed, pods) in (1..).zip(MIXES) {
        let loose = outcome(seed, &pods, Course::Loose).await;
        n_more += loose.bought - loose.planned;
    }
    assert!(n_more > 0, "the test above would pass without anything being held");
}

#[tokio::test(start_paused = true)]
async fn pods_whose_room_was_taken_while_they_were_nominated_to_it_are_planned_anew() {
    let cluster = Cluster::of(setup(1));
    cluster.live(cluster.server.session("millwright"));
    cluster.deploy("small", 20, "500m", "1Gi");
    cluster.deploy("large", 10, "3", "6Gi");
    let has_nodes = || cluster.count(Id::NODE) > 0;
    until(Duration::from_secs(30), has_nodes).await;
    let nodes = cluster.direct.list(Id::NODE);
    let node = nodes.iter().max_by_key(|node| cpu(node.text("/status/allocatable/cpu"))).unwrap();
    // As somebody does who asks no scheduler.
    let room = cpu(node.text("/status/allocatable/cpu"));
    cluster
        .direct
        .put(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "intruder", "namespace": "default"},
            "spec": {"nodeName": node.name(), "tolerations": [{"operator": "Exists"}], "containers": [
                {"name": "main", "image": "pause", "resources": {"requests": {"cpu": format!("{room}m")}}},
            ]},
        }))
        .unwrap();
    // The scheduler itself would try them again after five minutes.
    until(Duration::from_secs(90), || cluster.n_running() == 31).await;
}

async fn until(limit: Duration, is_done: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + limit;
    while !is_done() {
        assert!(tokio::time::Instant::now() < end, "not within {limit:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

fn cpu(quantity: &str) -> i64 {
    quantity.strip_suffix('m').map_or_else(|| quantity.parse::<i64>().unwrap() * 1000, |milli| milli.parse().unwrap())
}
