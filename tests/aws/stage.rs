//! A cluster in memory whose machines are EC2's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloud::aws::Connection;
use jiff::Timestamp;
use millwright::act::Names;
use millwright::app::{AppError, Ground, Insight, lead_on_aws};
use millwright::client::Clients;
use millwright::clock::Clock;
use millwright::config::{AwsConfig, Config, Provider};
use millwright::events::Recorder;
use millwright::observe::FeatureGates;
use millwright::telemetry::Metrics;
use millwright::telemetry::http::Health;
use serde_json::{Value, json};
use sim::ec2::{Ec2, Level, Options, agents};
use sim::kube::{ApiServer, DeleteOptions, Direct, Id, Key, Part};
use sim::world::{Options as WorldOptions, World};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

pub struct Stage {
    pub ec2: Ec2,
    pub direct: Direct,
    pub metrics: Metrics,
    stop: CancellationToken,
    leading: JoinHandle<Result<(), AppError>>,
    _beside: JoinSet<()>,
}

/// What a stage is opened with.
pub struct Setup {
    pub options: Options,
    pub aws: AwsConfig,
    /// Of the API server, as the kubeconfig has it.
    pub authority: Option<String>,
    /// The class and the pool.
    pub objects: Vec<Value>,
    pub gates: FeatureGates,
    /// Of the operator's own.
    pub prices: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        let options = Options {
            region: "us-west-2".into(),
            level: Level::Each(50),
            profile_visible_after: 8_000_000,
            ..Options::default()
        };
        let aws = AwsConfig {
            cluster_name: "demo".into(),
            cluster_endpoint: Some("https://api.demo".into()),
            cluster_ca_bundle: Some("Q0E=".into()),
            interruption_queue: Some("demo".into()),
            ..AwsConfig::default()
        };
        Self {
            options,
            aws,
            authority: None,
            objects: vec![class(), pool()],
            gates: FeatureGates::default(),
            prices: None,
        }
    }
}

impl Stage {
    /// A cluster `demo` with a class and a pool, the controller at work, and fifty of everything in us-west-2.
    pub fn open(change: impl FnOnce(&mut Options)) -> Self {
        Self::open_with(change, |_| {})
    }

    /// The same, with EC2 prepared before the controller starts.
    pub fn open_with(change: impl FnOnce(&mut Options), prepare: impl FnOnce(&Ec2)) -> Self {
        Self::open_as(change, prepare, |_| {})
    }

    /// The same, with other settings of the controller.
    pub fn open_as(
        change: impl FnOnce(&mut Options),
        prepare: impl FnOnce(&Ec2),
        set: impl FnOnce(&mut AwsConfig),
    ) -> Self {
        let change = |setup: &mut Setup| {
            change(&mut setup.options);
            set(&mut setup.aws);
        };
        Self::set_up(change, prepare)
    }

    /// The same, with anything of it changed.
    pub fn set_up(change: impl FnOnce(&mut Setup), prepare: impl FnOnce(&Ec2)) -> Self {
        let server = ApiServer::new(1);
        let mut setup = Setup::default();
        change(&mut setup);
        let Setup { options, aws, authority, objects, gates, prices } = setup;
        let ec2 = Ec2::new(options, server.clock()).unwrap();
        prepare(&ec2);
        let direct = server.direct("test");
        for object in objects {
            direct.put(object).unwrap();
        }
        let metrics = Metrics::new();
        let clients = Clients { authority, ..Clients::metered(server.session("millwright"), &metrics) };
        let clock = Clock::from(Timestamp::from_second(server.clock().seconds()).unwrap());
        let stop = CancellationToken::new();
        let (recorder, writing) = Recorder::new(&clients, clock, &metrics, stop.clone());
        let shown = metrics.clone();
        let ground = Ground {
            config: Arc::new(Config {
                provider: Provider::Aws,
                aws,
                feature_gates: gates,
                prices_file: prices,
                ..Config::default()
            }),
            clients,
            clock,
            metrics,
            recorder,
            health: Health::default(),
            insight: Insight::default(),
            names: || Names::seeded(1),
        };
        let connection =
            Connection { region: Some("us-west-2".into()), transport: Some(ec2.transport()), ..Connection::default() };
        let until = stop.clone();
        let leading = tokio::spawn(async move { lead_on_aws(&ground, connection, until).await });
        let mut beside = JoinSet::new();
        beside.spawn(World::new(&server, &WorldOptions::default()).run());
        beside.spawn(agents(ec2.clone(), server));
        beside.spawn(writing);
        Self { ec2, direct, metrics: shown, stop, leading, _beside: beside }
    }

    /// Waits until something is so, and fails after so many seconds.
    pub async fn until(&self, seconds: u64, what: &str, is_so: impl Fn(&Self) -> bool) {
        for _ in 0..seconds {
            if is_so(self) {
                return;
            }
            assert!(!self.leading.is_finished(), "the controller has ended");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let log = self.ec2.log();
        let odd: Vec<_> = log.entries().filter(|entry| entry.outcome != "ok").take(5).collect();
        let said = |object: &Value| {
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let words = conditions.iter().filter(|condition| condition["status"] != "True");
            words.map(|c| format!("{}={} {} {}", c["type"], c["status"], c["reason"], c["message"])).collect::<Vec<_>>()
        };
        let claims = self.claims();
        let claims: Vec<_> = claims.iter().take(3).map(|claim| (said(claim), &claim["status"]["capacity"])).collect();
        let nodes = self.nodes();
        let events = self.all(Id::by_kind("v1", "Event").unwrap());
        let events: Vec<_> = events.iter().rev().take(5).map(|event| (&event["reason"], &event["message"])).collect();
        let node = |node: &Value| format!("{} {} {:?}", node["spec"]["taints"], node["status"]["capacity"], said(node));
        let nodes: Vec<_> = nodes.iter().take(3).map(node).collect();
        assert!(
            is_so(self),
            "not within {seconds} s: {what}\n{} claims, {} nodes, {} of {} pods run\ncalls {:?}\nrefused {odd:?}\nclass {:?}\n\
             claims {claims:?}\nnodes {nodes:?}\nevents {events:?}",
            self.claims().len(),
            self.nodes().len(),
            self.running(),
            self.pods().len(),
            log.counts(),
            said(&self.class()),
        );
    }

    fn all(&self, id: Id) -> Vec<Value> {
        self.direct.list(id).iter().map(|object| object.value().clone()).collect()
    }

    pub fn pods(&self) -> Vec<Value> {
        self.all(Id::POD)
    }

    pub fn nodes(&self) -> Vec<Value> {
        self.all(Id::NODE)
    }

    pub fn claims(&self) -> Vec<Value> {
        self.all(Id::by_kind("karpenter.sh/v1", "NodeClaim").unwrap())
    }

    /// The class, null if it is gone.
    pub fn class(&self) -> Value {
        let found =
            self.direct.get(Id::by_kind("karpenter.k8s.aws/v1", "EC2NodeClass").unwrap(), &Key::cluster("default"));
        found.map(|class| class.value().clone()).unwrap_or_default()
    }

    /// How many objects of a kind are ready.
    pub fn n_ready(&self, version: &str, kind: &str) -> usize {
        let is_ready = |class: &&Value| {
            let conditions = class["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        };
        self.all(Id::by_kind(version, kind).unwrap()).iter().filter(is_ready).count()
    }

    /// A condition of the class, null if it has none of the kind.
    pub fn condition(&self, kind: &str) -> Value {
        let class = self.class();
        let all = class["status"]["conditions"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default()
    }

    /// Whether the class is ready.
    pub fn is_ready(&self) -> bool {
        self.condition("Ready")["status"] == "True"
    }

    pub fn running(&self) -> usize {
        self.pods().iter().filter(|pod| pod["status"]["phase"] == "Running").count()
    }

    pub fn delete_pods(&self) {
        for pod in self.direct.list(Id::POD) {
            self.direct.delete(Id::POD, &pod.key(), &DeleteOptions::default()).unwrap();
        }
    }

    /// Changes the class as a user would.
    pub fn change_class(&self, change: impl Fn(&mut Value)) {
        let id = Id::by_kind("karpenter.k8s.aws/v1", "EC2NodeClass").unwrap();
        let changed = |old: &Value| {
            let mut class = old.clone();
            change(&mut class);
            class["spec"].as_object_mut().unwrap().retain(|_, value| !value.is_null());
            class
        };
        self.direct.update(id, &Key::cluster("default"), Part::Main, changed).unwrap();
    }

    /// Lets the pool use what is reserved.
    pub fn allow_reserved(&self) {
        let id = Id::by_kind("karpenter.sh/v1", "NodePool").unwrap();
        let changed = |old: &Value| {
            let mut pool = old.clone();
            let all = json!(["reserved", "spot", "on-demand"]);
            pool["spec"]["template"]["spec"]["requirements"][0]["values"] = all;
            pool
        };
        self.direct.update(id, &Key::cluster("general"), Part::Main, changed).unwrap();
    }

    pub fn delete_claim(&self, name: &str) {
        let id = Id::by_kind("karpenter.sh/v1", "NodeClaim").unwrap();
        self.direct.delete(id, &Key::cluster(name), &DeleteOptions::default()).unwrap();
    }

    /// Whether an event with this reason was written.
    pub fn has_said(&self, reason: &str) -> bool {
        self.all(Id::by_kind("v1", "Event").unwrap()).iter().any(|event| event["reason"] == reason)
    }

    /// Whether an event with this reason was written about an object of a kind.
    pub fn has_told_of(&self, kind: &str, reason: &str) -> bool {
        let events = self.all(Id::by_kind("v1", "Event").unwrap());
        events.iter().any(|event| event["reason"] == reason && event["involvedObject"]["kind"] == kind)
    }

    /// Whether an event with these words was written.
    pub fn has_told(&self, words: &str) -> bool {
        let events = self.all(Id::by_kind("v1", "Event").unwrap());
        events.iter().any(|event| event["message"].as_str().is_some_and(|message| message.contains(words)))
    }

    pub fn delete_class(&self) {
        let id = Id::by_kind("karpenter.k8s.aws/v1", "EC2NodeClass").unwrap();
        self.direct.delete(id, &Key::cluster("default"), &DeleteOptions::default()).unwrap();
    }

    pub async fn close(self) {
        self.stop.cancel();
        self.leading.await.unwrap().unwrap();
    }
}

fn class() -> Value {
    let discovery = json!([{ "tags": { "karpenter.sh/discovery": "demo" } }]);
    json!({
        "apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": { "name": "default" },
        "spec": {
            "amiSelectorTerms": [{ "alias": "al2023@latest" }],
            "subnetSelectorTerms": discovery, "securityGroupSelectorTerms": discovery,
            "role": "KarpenterNodeRole-demo",
            "metadataOptions": { "httpEndpoint": "enabled", "httpProtocolIPv6": "disabled", "httpPutResponseHopLimit": 1, "httpTokens": "required" },
        },
    })
}

fn pool() -> Value {
    json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": "general" },
        "spec": {
            "disruption": { "consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "30s", "budgets": [{ "nodes": "100%" }] },
            "template": { "spec": {
                "requirements": [
                    { "key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot", "on-demand"] },
                    { "key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["c", "m", "r", "g"] },
                ],
                "expireAfter": "720h",
                "nodeClassRef": { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" } } },
        },
    })
}

pub fn pod(name: &str, cpu: &str, memory: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "namespace": "default", "name": name, "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "c", "image": "i", "resources": { "requests": { "cpu": cpu, "memory": memory } } }] },
    })
}

/// So many pods that come again when they are evicted.
pub fn deployment(replicas: u32, cpu: &str, memory: &str) -> Value {
    let template = pod("", cpu, memory)["spec"].clone();
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "namespace": "default", "name": "web" },
        "spec": {
            "replicas": replicas, "selector": { "matchLabels": { "app": "web" } },
            "template": { "metadata": { "labels": { "app": "web" } }, "spec": template },
        },
    })
}

/// A pod for an NVIDIA T4 with on-demand capacity.
pub fn gpu_pod(name: &str) -> Value {
    let mut pod = pod(name, "3", "12Gi");
    pod["spec"]["containers"][0]["resources"]["limits"] = json!({ "nvidia.com/gpu": "1" });
    pod["spec"]["containers"][0]["resources"]["requests"]["nvidia.com/gpu"] = json!("1");
    pod["spec"]["nodeSelector"] =
        json!({ "karpenter.k8s.aws/instance-gpu-name": "t4", "karpenter.sh/capacity-type": "on-demand" });
    pod
}
