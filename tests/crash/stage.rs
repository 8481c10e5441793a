//! A cluster for the crash tests: the simulated API server, a pool, a node class, and a kubelet of a few lines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cloud::catalog::KwokSettings;
use jiff::Timestamp;
use millwright::client::Clients;
use millwright::clock::Clock;
use millwright::controllers::{self, Deps, World};
use millwright::events::Recorder;
use millwright::kwok::{Kwok, Stock};
use millwright::observe::mirror::{Facts, Kind, Mirror};
use millwright::observe::watch;
use millwright::telemetry::Metrics;
use serde_json::{Value, json};
use sim::kube::object::Key;
use sim::kube::{ApiServer, DeleteOptions, Direct, Id, Moment, Object, Part};
use tokio_util::sync::CancellationToken;

/// The kinds that the controllers look at.
const KINDS: [Kind; 8] = [
    Kind::Pod,
    Kind::Node,
    Kind::NodeClaim,
    Kind::NodePool,
    Kind::KwokNodeClass,
    Kind::PodDisruptionBudget,
    Kind::PersistentVolumeClaim,
    Kind::VolumeAttachment,
];
/// How long one life may take, in virtual time: garbage is looked for every two minutes.
const LIMIT: Duration = Duration::from_mins(15);
const FINALIZER: &str = "karpenter.sh/termination";

/// One for all runs: making them anew would take longer than a run.
static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);
/// Likewise.
static RECORDER: LazyLock<Recorder> = LazyLock::new(Recorder::memory);

/// How one life of the controllers ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Killed,
    Converged,
    /// Neither within the limit.
    Late,
}

/// The cluster.
pub struct Stage {
    pub server: ApiServer,
    pub direct: Direct,
    clock: Clock,
    seed: u64,
    n_writes: AtomicU64,
    /// What the cloud has run out of.
    pub stock: Stock,
}

impl Stage {
    pub fn new(seed: u64) -> Self {
        let server = ApiServer::new(seed);
        let clock = Clock::from(Timestamp::from_second(server.clock().seconds()).expect("a time that can be written"));
        let direct = server.direct("test");
        let class = json!({ "apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass",
            "metadata": { "name": "default" } });
        let pool = json!({ "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": "p" },
            "spec": { "disruption": { "consolidateAfter": "Never", "budgets": [{ "nodes": "100%" }] },
                "template": { "spec": { "expireAfter": "Never", "nodeClassRef": class_ref(),
                    "requirements": [{ "key": "kubernetes.io/os", "operator": "In", "values": ["linux"] }] } } } });
        for object in [class, pool] {
            direct.create(object).expect("the set-up is valid");
        }
        Self { server, direct, clock, seed, n_writes: AtomicU64::new(0), stock: Stock::default() }
    }

    /// Makes claims, as a plan would.
    pub fn claims(&self, n_claims: usize) {
        self.claims_with(n_claims, &json!({}));
    }

    /// The same with `spec` merged into each.
    pub fn claims_with(&self, n_claims: usize, spec: &Value) {
        for idx in 0..n_claims {
            let mut claim = json!({ "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
                "metadata": { "name": format!("p-{idx}"), "labels": { "karpenter.sh/nodepool": "p" } },
                "spec": { "nodeClassRef": class_ref(), "expireAfter": "Never",
                    "resources": { "requests": { "cpu": "900m", "memory": "1Gi" } },
                    "requirements": [{ "key": "kubernetes.io/os", "operator": "In", "values": ["linux"] }] } });
            json_patch::merge(&mut claim["spec"], spec);
            self.direct.create(claim).expect("the claim is valid");
        }
    }

    pub fn delete_claims(&self) {
        self.delete_all(claims());
    }

    pub fn delete_nodes(&self) {
        self.delete_all(Id::NODE);
    }

    fn delete_all(&self, id: Id) {
        for object in self.direct.list(id) {
            self.direct
                .delete(id, &object.key(), &DeleteOptions::from_value(&json!({})).expect("no options"))
                .expect("it is there");
        }
    }

    /// From now on the pool lets empty nodes go.
    pub fn let_empty_nodes_go(&self) {
        let id = Id::of(crds::Kind::NodePool);
        let change = |old: &Value| {
            let mut new = old.clone();
            new["spec"]["disruption"]["consolidateAfter"] = "0s".into();
            new
        };
        self.direct.update(id, &Key::cluster("p"), Part::Main, change).expect("the pool is there");
    }

    pub fn n_initialized(&self) -> usize {
        self.direct.list(claims()).iter().filter(|claim| claim.is_condition_true("Initialized")).count()
    }

    /// Neither a claim nor a Node is left.
    pub fn is_bare(&self) -> bool {
        self.direct.list(claims()).is_empty() && self.direct.list(Id::NODE).is_empty()
    }

    /// Lives of the controllers, the first of which are killed at these writes; gives how many writes they made. The
    /// last one must converge.
    pub async fn until(&self, kills: &[(u64, Moment)], is_done: impl Fn(&Self) -> bool) -> u64 {
        self.n_writes.store(0, Ordering::Relaxed);
        for kill in kills {
            if self.life(Some(*kill), &is_done).await == Ended::Converged {
                return self.n_writes.load(Ordering::Relaxed);
            }
        }
        let ended = self.life(None, &is_done).await;
        assert_eq!(ended, Ended::Converged, "seed {}, kills {kills:?}\n{}", self.seed, self.picture());
        self.n_writes.load(Ordering::Relaxed)
    }

    /// One life of the controllers.
    pub async fn life(&self, kill: Option<(u64, Moment)>, is_done: impl Fn(&Self) -> bool) -> Ended {
        let session = self.server.session("controller");
        if let Some((number, moment)) = kill {
            session.stop_at(number, moment);
        }
        let clients = Clients::metered(session.clone(), &METRICS);
        let mirror = Mirror::new(&KINDS);
        let kwok =
            Kwok::new(clients.once.clone(), mirror.clone(), self.clock, &KwokSettings::default(), self.stock.clone())
                .expect("the generated types");
        let world = World::new(mirror.clone(), Facts::default());
        let (metrics, recorder) = (METRICS.clone(), RECORDER.clone());
        let deps = Deps::new(&clients, Arc::new(kwok), world, metrics, recorder, self.clock);
        let watching = watch::run(clients.client.clone(), mirror, KINDS.to_vec());
        let running = controllers::run(Arc::new(deps), CancellationToken::new());
        let ended = tokio::select! {
            biased;
            () = session.stopped() => Ended::Killed,
            () = self.converge(&is_done) => Ended::Converged,
            () = tokio::time::sleep(LIMIT) => Ended::Late,
            () = watching => Ended::Late,
            () = running => Ended::Late,
            () = self.kubelet() => Ended::Late,
        };
        session.stop();
        self.n_writes.fetch_add(session.n_writes(), Ordering::Relaxed);
        ended
    }

    async fn converge(&self, is_done: impl Fn(&Self) -> bool) {
        while !is_done(self) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The controllers live for so long.
    pub async fn pass(&self, time: Duration) {
        let end = tokio::time::Instant::now() + time;
        let ended = self.life(None, |_| tokio::time::Instant::now() >= end).await;
        assert_eq!(ended, Ended::Converged);
    }

    /// A running pod on a node; `change` is merged into it.
    pub fn pod(&self, name: &str, node: &str, change: &Value) {
        let mut pod = json!({ "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": name, "namespace": "default", "labels": { "app": name } },
            "spec": { "nodeName": node, "terminationGracePeriodSeconds": 30, "containers": [{ "name": "c", "image": "i" }] },
            "status": { "phase": "Running", "startTime": self.server.clock().text() } });
        json_patch::merge(&mut pod, change);
        self.direct.put(pod).expect("the pod is valid");
    }

    /// Names of the pods that are there and not on their way out.
    pub fn pods(&self) -> Vec<String> {
        let pods = self.direct.list(Id::POD);
        pods.iter().filter(|pod| !pod.is_deleting()).map(|pod| pod.name().to_owned()).collect()
    }

    /// Makes every Node ready a moment after it came, and lets go of pods on their way out.
    async fn kubelet(&self) {
        loop {
            for pod in self.direct.list(Id::POD).iter().filter(|pod| pod.is_deleting()) {
                drop(self.direct.delete(Id::POD, &pod.key(), &DeleteOptions::now()));
            }
            for node in self.direct.list(Id::NODE).iter().filter(|node| !node.is_condition_true("Ready")) {
                let ready = |old: &Value| {
                    let mut new = old.clone();
                    let now = self.server.clock().text();
                    new["status"]["conditions"] = json!([{ "type": "Ready", "status": "True", "reason": "KubeletReady",
                        "message": "", "lastHeartbeatTime": now, "lastTransitionTime": now }]);
                    new
                };
                // Gone in the meantime is as good.
                drop(self.direct.update(Id::NODE, &node.key(), Part::Status, ready));
                let is_not_ready = |taint: &Value| taint["key"] == "node.kubernetes.io/not-ready";
                if node
                    .at("/spec/taints")
                    .and_then(Value::as_array)
                    .is_some_and(|taints| taints.iter().any(is_not_ready))
                {
                    let untaint = |old: &Value| {
                        let mut new = old.clone();
                        if let Some(taints) = new["spec"]["taints"].as_array_mut() {
                            taints.retain(|taint| !is_not_ready(taint));
                        }
                        new
                    };
                    drop(self.direct.update(Id::NODE, &node.key(), Part::Main, untaint));
                }
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Every claim has one node of its own, and both are held back until their instance is gone.
    pub fn check_up(&self, n_claims: usize, kills: &[(u64, Moment)]) {
        let (claims, nodes) = (self.direct.list(claims()), self.direct.list(Id::NODE));
        let told = || format!("seed {}, kills {kills:?}\n{}", self.seed, self.picture());
        assert_eq!((claims.len(), nodes.len()), (n_claims, n_claims), "{}", told());
        let by_provider: BTreeMap<&str, &Arc<Object>> =
            nodes.iter().map(|node| (node.text("/spec/providerID"), node)).collect();
        let ids: BTreeSet<&str> = claims.iter().map(|claim| claim.text("/status/providerID")).collect();
        assert_eq!(ids.len(), n_claims, "no two claims have one instance: {}", told());
        for claim in &claims {
            let node = by_provider.get(claim.text("/status/providerID")).unwrap_or_else(|| panic!("{}", told()));
            for object in [claim, *node] {
                assert_eq!(object.finalizers(), [FINALIZER], "{}", told());
            }
            assert_eq!(claim.text("/status/nodeName"), node.name(), "{}", told());
            let owners: Vec<_> = node.owners().map(|owner| owner["uid"].as_str().unwrap_or_default()).collect();
            assert_eq!(owners, [claim.uid()], "{}", told());
            let gate = node.at("/spec/taints").and_then(Value::as_array).into_iter().flatten();
            assert_eq!(gate.filter(|taint| taint["key"] == "karpenter.sh/unregistered").count(), 0, "{}", told());
        }
    }

    /// Nothing is left.
    pub fn check_down(&self, kills: &[(u64, Moment)]) {
        assert!(self.is_bare(), "seed {}, kills {kills:?}\n{}", self.seed, self.picture());
    }

    /// Claims and Nodes, and the last lines of the log.
    fn picture(&self) -> String {
        let mut out = String::new();
        for id in [claims(), Id::NODE] {
            for object in self.direct.list(id) {
                out.push_str(&object.value().to_string());
                out.push('\n');
            }
        }
        let log = self.server.log();
        let lines: Vec<&str> = log.lines().collect();
        out.push_str(&lines[lines.len().saturating_sub(40)..].join("\n"));
        out
    }
}

pub fn claims() -> Id {
    Id::of(crds::Kind::NodeClaim)
}

fn class_ref() -> Value {
    json!({ "group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default" })
}

/// The first seed and how many: `SEED=7` is that one, `SEEDS=1000` the first thousand; else as many as fit into every run
/// of the tests.
pub fn seeds(usual: u64) -> (u64, u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match (number("SEED"), number("SEEDS")) {
        (Some(seed), n) => (seed, n.unwrap_or(1)),
        (None, Some(n)) => (0, n),
        (None, None) => (0, usual),
    }
}

/// Numbers drawn from a seed (xorshift64*).
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// From 1 to `n`.
    pub fn number(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        1 + (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }

    /// From 0 to below `n`, a small number.
    pub fn below(&mut self, n: u8) -> usize {
        usize::try_from(self.number(u64::from(n))).map_or(0, |number| number - 1)
    }
}
