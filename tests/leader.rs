//! The whole controller, as a leader runs it, on a cluster in memory and under a virtual clock.
#![expect(clippy::unwrap_used, reason = "what is not there has failed the test")]

use std::sync::Arc;
use std::time::Duration;

use cloud::catalog::KwokSettings;
use jiff::Timestamp;
use millwright::act::Names;
use millwright::app::{AppError, Ground, Insight, lead};
use millwright::client::Clients;
use millwright::clock::Clock;
use millwright::config::Config;
use millwright::events::Recorder;
use millwright::kwok::{Kwok, Stock};
use millwright::observe::mirror::Kind;
use millwright::telemetry::Metrics;
use millwright::telemetry::http::Health;
use serde_json::{Value, json};
use sim::kube::{ApiServer, Direct, Id, Key, Part};
use sim::world::{Options, World};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Cluster {
    direct: Direct,
    ground: Ground,
    stop: CancellationToken,
    leading: JoinHandle<Result<(), AppError>>,
}

impl Cluster {
    /// A cluster with one pool of kwok's linux machines, and a leader at work.
    fn start() -> Self {
        let server = ApiServer::new(1);
        let direct = server.direct("test");
        direct.put(class()).unwrap();
        direct.put(pool()).unwrap();
        tokio::spawn(World::new(&server, &Options::default()).run());
        let metrics = Metrics::new();
        let ground = Ground {
            config: Arc::new(Config::default()),
            clients: Clients::metered(server.session("millwright"), &metrics),
            clock: Clock::from(Timestamp::from_second(server.clock().seconds()).unwrap()),
            metrics,
            recorder: Recorder::memory(),
            health: Health::default(),
            insight: Insight::default(),
            names: || Names::seeded(1),
        };
        let stop = CancellationToken::new();
        let (on, until) = (ground.clone(), stop.clone());
        let leading = tokio::spawn(async move {
            let (once, clock) = (on.clients.once.clone(), on.clock);
            lead(&on, &[Kind::KwokNodeClass], until, |mirror| {
                Ok(Kwok::new(once, mirror, clock, &KwokSettings::default(), Stock::default())?)
            })
            .await
        });
        Self { direct, ground, stop, leading }
    }

    fn count(&self, id: Id) -> usize {
        self.direct.list(id).len()
    }

    fn running(&self) -> usize {
        self.direct.list(Id::POD).iter().filter(|pod| pod.is_condition_true("Ready")).count()
    }

    fn scale(&self, name: &str, replicas: usize) {
        let change = |old: &Value| {
            let mut new = old.clone();
            new["spec"]["replicas"] = replicas.into();
            new
        };
        self.direct.update(Id::DEPLOYMENT, &Key::new("default", name), Part::Main, change).unwrap();
    }
}

fn claims() -> Id {
    Id::of(crds::Kind::NodeClaim)
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
                "requirements": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}],
            }},
            "disruption": {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "10s", "budgets": [{"nodes": "100%"}]},
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

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn pods_get_nodes_and_when_the_pods_go_the_nodes_go() {
    let cluster = Cluster::start();
    cluster.direct.put(deployment("small", 60, "900m", "3100Mi")).unwrap();
    cluster.direct.put(deployment("large", 60, "3500m", "28Gi")).unwrap();
    pass(60).await;
    assert_eq!(cluster.running(), 120);
    assert_eq!(cluster.count(claims()), cluster.count(Id::NODE));
    let decision = cluster.ground.insight.decisions().borrow().clone().unwrap();
    assert!(decision.plan.unplaced.is_empty());
    assert!(cluster.ground.metrics.render().contains("karpenter_nodeclaims_created_total{"));

    cluster.scale("small", 0);
    cluster.scale("large", 0);
    pass(120).await;
    assert_eq!((cluster.count(Id::NODE), cluster.count(claims())), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_told_to_stop_stops_and_nothing_is_written_afterwards() {
    let cluster = Cluster::start();
    cluster.direct.put(deployment("web", 20, "3", "4Gi")).unwrap();
    pass(30).await;
    assert_eq!(cluster.running(), 20);
    cluster.stop.cancel();
    cluster.leading.await.unwrap().unwrap();
    let nodes = cluster.direct.list(Id::NODE).len();
    cluster.direct.put(deployment("more", 20, "3", "4Gi")).unwrap();
    pass(120).await;
    assert_eq!(cluster.direct.list(Id::NODE).len(), nodes);
}
