//! What a plan buys is what is bought: the whole controller on a cluster in memory, whose scheduler spreads pods over the
//! nodes that are open, as kube-scheduler does.
#![expect(clippy::unwrap_used, reason = "what is not there has failed the test")]

use std::sync::Arc;
use std::time::Duration;

use cloud::catalog::KwokSettings;
use jiff::Timestamp;
use millwright::act::Names;
use millwright::app::{Ground, Insight, lead};
use millwright::client::Clients;
use millwright::clock::Clock;
use millwright::config::Config;
use millwright::events::Recorder;
use millwright::kwok::{Kwok, Stock};
use millwright::observe::mirror::Kind;
use millwright::telemetry::Metrics;
use millwright::telemetry::http::Health;
use serde_json::{Value, json};
use sim::kube::{ApiServer, Id};
use sim::world::{Options, World};
use tokio_util::sync::CancellationToken;

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

/// Pods of two sizes on nodes that join one after another.
async fn outcome(seed: u64, pods: [(usize, &str, &str); 2], course: Course) -> Outcome {
    let server = ApiServer::new(seed);
    let direct = server.direct("test");
    direct.put(class()).unwrap();
    direct.put(pool()).unwrap();
    // Boot times vary by a quarter either way: the last node is ready 5 s after the first.
    let world = Options { seed, node_ready: Duration::from_secs(10), ..Options::default() };
    tokio::spawn(World::new(&server, &world).run());
    let begin = |names: fn() -> Names| {
        let metrics = Metrics::new();
        let ground = Ground {
            config: Arc::new(Config { enforce_placement: course != Course::Loose, ..Config::default() }),
            clients: Clients::metered(server.session("millwright"), &metrics),
            clock: Clock::from(Timestamp::from_second(server.clock().seconds()).unwrap()),
            metrics,
            recorder: Recorder::memory(),
            health: Health::default(),
            insight: Insight::default(),
            names,
        };
        let decisions = ground.insight.decisions();
        let life = tokio::spawn(async move {
            let (once, clock) = (ground.clients.once.clone(), ground.clock);
            lead(&ground, &[Kind::KwokNodeClass], CancellationToken::new(), |mirror| {
                Ok(Kwok::new(once, mirror, clock, &KwokSettings::default(), Stock::default())?)
            })
            .await
            .unwrap();
        });
        (life, decisions)
    };
    let (life, mut decisions) = begin(|| Names::seeded(1));
    for (nth, (replicas, cpu, memory)) in pods.into_iter().enumerate() {
        direct.put(deployment(&format!("d{nth}"), replicas, cpu, memory)).unwrap();
    }
    let n_planned = decisions.wait_for(Option::is_some).await.unwrap().as_ref().unwrap().plan.launches.len();
    if course == Course::Killed {
        life.abort();
        tokio::time::sleep(Duration::from_secs(1)).await;
        begin(|| Names::seeded(2));
    }
    tokio::time::sleep(Duration::from_mins(2)).await;
    let n_running = direct.list(Id::POD).iter().filter(|pod| pod.is_condition_true("Ready")).count();
    Outcome { planned: n_planned, bought: direct.list(Id::of(crds::Kind::NodeClaim)).len(), running: n_running }
}

fn class() -> Value {
    json!({"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": {"name": "default"}})
}

fn pool() -> Value {
    json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "general"},
        "spec": {
            "template": {"spec": {
                "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"},
                "requirements": [
                    {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
                    {"key": "karpenter.kwok.sh/instance-cpu", "operator": "Lt", "values": ["32"]},
                ],
            }},
            "disruption": {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "Never"},
        },
    })
}

fn deployment(name: &str, replicas: usize, cpu: &str, memory: &str) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [
                {"name": "main", "image": "pause", "resources": {"requests": {"cpu": cpu, "memory": memory}}},
            ]},
        }},
    })
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
        let held = outcome(seed, pods, Course::Held).await;
        assert_eq!((held.bought, held.running), (held.planned, all), "{pods:?}: {held:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_takes_over_while_nodes_are_coming_buys_no_more() {
    for (seed, pods) in (1..).zip(MIXES) {
        let all = pods.iter().map(|(replicas, ..)| replicas).sum();
        let killed = outcome(seed, pods, Course::Killed).await;
        assert_eq!((killed.bought, killed.running), (killed.planned, all), "{pods:?}: {killed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_enforcement_pods_stray_and_more_is_bought() {
    let mut n_more = 0;
    for (seed, pods) in (1..).zip(MIXES) {
        let loose = outcome(seed, pods, Course::Loose).await;
        n_more += loose.bought - loose.planned;
    }
    assert!(n_more > 0, "the test above would pass without anything being held");
}
