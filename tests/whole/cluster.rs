//! A cluster in memory with one pool of kwok's linux machines, and lives of the whole controller on it.
#![allow(dead_code, reason = "each test program uses a part")]

use std::cell::Cell;
use std::sync::{Arc, LazyLock};
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
use sim::kube::{ApiServer, Direct, Id, Key, Part, Session};
use sim::world::{Options, World};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// One for all lives: making them anew would take longer than a life.
static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

thread_local! {
    /// Lives begun by this test. Each makes names of its own, as processes do.
    static LIVES: Cell<u64> = const { Cell::new(0) };
}

/// In what a cluster and its controller may differ.
pub struct Setup {
    pub seed: u64,
    /// From a node's creation to its being ready, on average.
    pub node_ready: Duration,
    /// Merged into the pool's `spec`.
    pub pool: Value,
    pub config: Config,
}

impl Default for Setup {
    fn default() -> Self {
        Self { seed: 1, node_ready: Options::default().node_ready, pool: json!({}), config: Config::default() }
    }
}

pub struct Cluster {
    pub server: ApiServer,
    pub direct: Direct,
    /// What the cloud has run out of.
    pub stock: Stock,
    config: Arc<Config>,
    clock: Clock,
    world: JoinHandle<()>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.world.abort();
    }
}

/// One process that leads.
pub struct Life {
    pub session: Session,
    pub ground: Ground,
    pub stop: CancellationToken,
    pub leading: JoinHandle<Result<(), AppError>>,
}

impl Life {
    /// As by `kill -9`.
    pub fn kill(&self) {
        self.session.stop();
        self.leading.abort();
    }
}

impl Cluster {
    pub fn new(seed: u64) -> Self {
        Self::of(Setup { seed, ..Setup::default() })
    }

    pub fn of(setup: Setup) -> Self {
        let Setup { seed, node_ready, pool: change, config } = setup;
        let server = ApiServer::new(seed);
        let direct = server.direct("test");
        let mut pool = pool();
        json_patch::merge(&mut pool["spec"], &change);
        direct.put(class()).expect("a valid class");
        direct.put(pool).expect("a valid pool");
        let world = tokio::spawn(World::new(&server, &Options { seed, node_ready, ..Options::default() }).run());
        let clock = Clock::from(Timestamp::from_second(server.clock().seconds()).expect("a time that can be written"));
        Self { server, direct, stock: Stock::default(), config: Arc::new(config), clock, world }
    }

    /// Begins a life. The session is this life's way to the API server.
    pub fn live(&self, session: Session) -> Life {
        LIVES.set(LIVES.get() + 1);
        let ground = Ground {
            config: self.config.clone(),
            clients: Clients::metered(session.clone(), &METRICS),
            clock: self.clock,
            metrics: METRICS.clone(),
            recorder: Recorder::memory(),
            health: Health::default(),
            insight: Insight::default(),
            names: || Names::seeded(LIVES.get()),
        };
        let stop = CancellationToken::new();
        let (on, until, stock) = (ground.clone(), stop.clone(), self.stock.clone());
        let leading = tokio::spawn(async move {
            let (once, clock) = (on.clients.once.clone(), on.clock);
            lead(&on, &[Kind::KwokNodeClass], until, |mirror, _| {
                Ok(Kwok::new(once, mirror, clock, &KwokSettings::default(), stock)?)
            })
            .await
        });
        Life { session, ground, stop, leading }
    }

    /// Deploys so many pods of one container.
    pub fn deploy(&self, name: &str, replicas: usize, cpu: &str, memory: &str) {
        self.direct.put(deployment(name, replicas, cpu, memory)).expect("a valid deployment");
    }

    pub fn count(&self, id: Id) -> usize {
        self.direct.list(id).len()
    }

    pub fn n_running(&self) -> usize {
        self.direct.list(Id::POD).iter().filter(|pod| pod.is_condition_true("Ready")).count()
    }

    pub fn scale(&self, name: &str, replicas: usize) {
        let change = |old: &Value| {
            let mut new = old.clone();
            new["spec"]["replicas"] = replicas.into();
            new
        };
        self.direct.update(Id::DEPLOYMENT, &Key::new("default", name), Part::Main, change).expect("it is there");
    }
}

pub fn claims() -> Id {
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

/// Pods of one container.
pub fn deployment(name: &str, replicas: usize, cpu: &str, memory: &str) -> Value {
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

/// The same, and no two of the pods on one host.
pub fn apart(name: &str, replicas: usize, cpu: &str, memory: &str) -> Value {
    let mut out = deployment(name, replicas, cpu, memory);
    out["spec"]["template"]["spec"]["affinity"] = json!({"podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"labelSelector": {"matchLabels": {"app": name}}, "topologyKey": "kubernetes.io/hostname"}],
    }});
    out
}
