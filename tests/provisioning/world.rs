//! A cluster in memory with the whole controller on it, the kwok provider, and a scheduler that binds what is nominated.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a world that does not come about has failed its test")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cloud::catalog::KwokSettings;
use jiff::Timestamp;
use millwright::act::{Names, Nominations};
use millwright::client::Clients;
use millwright::clock::Clock;
use millwright::controllers::{self, Deps, World as Seen};
use millwright::decide::{Decide, Decision, Settings};
use millwright::events::Recorder;
use millwright::kwok::{Kwok, Stock};
use millwright::observe::mirror::{Facts, Kind, Mirror};
use millwright::observe::{FeatureGates, Options, watch};
use millwright::telemetry::Metrics;
use serde_json::{Value, json};
use sim::kube::{ApiServer, Direct, Id, Session};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub const NODE_CLAIM: &str = "NodeClaim";

/// The cluster, and what works on it.
pub struct World {
    pub server: ApiServer,
    pub direct: Direct,
    pub session: Session,
    pub mirror: Mirror,
    pub stock: Stock,
    pub recorder: Recorder,
    pub decisions: tokio::sync::watch::Receiver<Option<Arc<Decision>>>,
    tasks: JoinSet<()>,
}

impl World {
    /// A cluster with one pool of kwok's linux machines, and the controller's halves running.
    pub fn start(limits: &Value) -> Self {
        Self::on(cluster(limits))
    }

    /// The same on a server that cannot stream lists.
    pub fn without_streams(limits: &Value) -> Self {
        let server = cluster(limits);
        let session = server.session("millwright");
        // A stream of initial events is refused without a version match, as by a server that has not the feature.
        let inner = session.clone();
        let service = tower::service_fn(move |mut request: http::Request<kube::client::Body>| {
            let uri = request.uri().to_string();
            if uri.contains("sendInitialEvents") {
                *request.uri_mut() = uri.replace("resourceVersionMatch=NotOlderThan", "").parse().unwrap();
            }
            tower::Service::call(&mut inner.clone(), request)
        });
        let metrics = Metrics::new();
        let clients = Clients::metered(service, &metrics);
        Self::over(server, session, &clients, &metrics, FeatureGates::default())
    }

    /// The same, with overlays applied.
    pub fn with_overlays(limits: &Value) -> Self {
        let server = cluster(limits);
        let session = server.session("millwright");
        let metrics = Metrics::new();
        let clients = Clients::metered(session.clone(), &metrics);
        Self::over(server, session, &clients, &metrics, FeatureGates { node_overlay: true, ..FeatureGates::default() })
    }

    /// The controller on a cluster that is there.
    pub fn on(server: ApiServer) -> Self {
        let session = server.session("millwright");
        let metrics = Metrics::new();
        let clients = Clients::metered(session.clone(), &metrics);
        Self::over(server, session, &clients, &metrics, FeatureGates::default())
    }

    fn over(
        server: ApiServer,
        session: Session,
        clients: &Clients,
        metrics: &Metrics,
        feature_gates: FeatureGates,
    ) -> Self {
        let direct = server.direct("test");
        let clock = Clock::from(Timestamp::from_second(server.clock().seconds()).unwrap());
        let kinds = watch::kinds(&[Kind::KwokNodeClass], &feature_gates, false);
        let mirror = Mirror::new(&kinds);
        let (facts, stock, recorder) = (Facts::default(), Stock::default(), Recorder::memory());
        let settings = KwokSettings::default();
        let kwok = Kwok::new(clients.once.clone(), mirror.clone(), clock, &settings, stock.clone()).unwrap();
        let nominations = Nominations::new(clients.client.clone(), mirror.clone(), metrics.clone(), true);
        let seen = Seen::new(mirror.clone(), facts.clone());
        let options = Options { assume_ready: Some(false), feature_gates, ..Options::default() };
        let (decisions, told) = tokio::sync::watch::channel(None);
        let decide = Decide {
            mirror: mirror.clone(),
            facts: facts.clone(),
            world: seen.clone(),
            cloud: Arc::new(kwok.clone()),
            once: clients.once.clone(),
            nominations: nominations.clone(),
            recorder: recorder.clone(),
            metrics: metrics.clone(),
            clock,
            names: Names::seeded(1),
            settings: Settings {
                batch_idle: Duration::from_secs(1),
                batch_max: Duration::from_secs(10),
                options: options.clone(),
            },
            decisions,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(watch::run(clients.client.clone(), mirror.clone(), kinds));
        tasks.spawn(decide.run());
        let mut deps = Deps::new(clients, Arc::new(kwok), seen, metrics.clone(), recorder.clone(), clock);
        deps.gate = Arc::new(nominations);
        deps.overlays = feature_gates.node_overlay.then_some(options);
        tasks.spawn(controllers::run(Arc::new(deps), CancellationToken::new()));
        tasks.spawn(bind(direct.clone()));
        Self { server, direct, session, mirror, stock, recorder, decisions: told, tasks }
    }

    /// Waits until this many claims are there and no pass has made more for a while.
    pub async fn settled(&self) {
        let mut last = usize::MAX;
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_secs(15)).await;
            let now = self.claims().len();
            if now == last {
                return;
            }
            last = now;
        }
        panic!("claims keep coming: {last}");
    }

    pub fn claims(&self) -> Vec<Value> {
        self.direct.list(id("karpenter.sh/v1", NODE_CLAIM)).iter().map(|o| o.value().clone()).collect()
    }

    pub fn nodes(&self) -> Vec<Value> {
        self.direct.list(Id::NODE).iter().map(|o| o.value().clone()).collect()
    }

    pub fn pods(&self) -> Vec<Value> {
        self.direct.list(Id::POD).iter().map(|o| o.value().clone()).collect()
    }

    /// Pods that the scheduler found no node for.
    pub fn waiting(&self, stem: &str, count: usize, cpu: &str, memory: &str) {
        for n in 0..count {
            self.direct.put(pod(&format!("{stem}-{n}"), cpu, memory)).unwrap();
        }
    }

    /// Ends the controller.
    pub async fn stop(mut self) {
        self.session.stop();
        self.tasks.shutdown().await;
    }
}

pub fn id(api_version: &str, kind: &str) -> Id {
    Id::by_kind(api_version, kind).unwrap()
}

/// A node class and a pool with these limits.
fn cluster(limits: &Value) -> ApiServer {
    let server = ApiServer::new(1);
    let direct = server.direct("test");
    direct.put(class()).unwrap();
    direct.put(pool(limits)).unwrap();
    server
}

fn class() -> Value {
    json!({"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": {"name": "default"}})
}

fn pool(limits: &Value) -> Value {
    json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "general"},
        "spec": {"limits": limits, "template": {
            "metadata": {"labels": {"team": "a"}, "annotations": {"note": "x"}},
            "spec": {
                "requirements": [
                    {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
                    {"key": "karpenter.kwok.sh/instance-cpu", "operator": "Lt", "values": ["33"]}],
                "taints": [], "expireAfter": "720h",
                "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"}}}},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
    })
}

pub fn pod(name: &str, cpu: &str, memory: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "default", "name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]},
        "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/0 nodes are available"}]},
    })
}

/// A scheduler that does as it is told: binds pods that are nominated to a node that is open, and nothing else.
async fn bind(direct: Direct) {
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let open: BTreeSet<String> = direct
            .list(Id::NODE)
            .iter()
            .filter(|node| {
                node.value()["spec"]["taints"]
                    .as_array()
                    .is_none_or(|taints| taints.iter().all(|t| t["key"] != "karpenter.sh/unregistered"))
            })
            .map(|node| node.name().to_owned())
            .collect();
        for pod in direct.list(Id::POD) {
            let node = pod.text("/status/nominatedNodeName");
            if open.contains(node) && pod.text("/spec/nodeName").is_empty() {
                direct.bind(&pod.key(), node).unwrap();
            }
        }
    }
}
