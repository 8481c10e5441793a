//! A control plane with what the tests put into it.

use std::time::Duration;

use control_plane::{Api, Options, Stack, wait_for};
use serde_json::{Value, json};

/// Long enough for anything that takes a second on an idle machine.
pub const SOON: Duration = Duration::from_secs(90);

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

pub struct World {
    pub stack: Stack,
    /// As `admin`.
    pub api: Api,
}

impl World {
    pub fn start(options: Options) -> Self {
        let stack = Stack::start(options).unwrap_or_else(|error| panic!("{error}"));
        let api = stack.api("admin").unwrap();
        Self { stack, api }
    }

    /// Our CRDs, served.
    pub fn with_crds(self) -> Self {
        for crd in crds::all() {
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            if let Err(refusal) = self.api.create(path, &crd.definition) {
                panic!("the API server does not take the CRD {}: {refusal}", crd.name);
            }
        }
        for crd in crds::all() {
            let path = format!("/apis/{}/{}/{}", crd.group, crd.version, crd.plural);
            wait_for(&format!("{path} is served"), SOON, || self.api.list(&path)).unwrap();
        }
        self
    }

    /// A Node that kwok takes for its own.
    pub fn node(&self, name: &str, cpu: &str) {
        let room = json!({ "cpu": cpu, "memory": "16Gi", "pods": "110" });
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name },
                "annotations": { "kwok.x-k8s.io/node": "fake" } },
            "status": { "capacity": room, "allocatable": room },
        });
        self.api.create("/api/v1/nodes", &node).unwrap();
    }

    /// Pods that are all alike and may run anywhere.
    pub fn deployment(&self, name: &str, replicas: u32, cpu: &str) {
        self.deploy(name, replicas, cpu, &json!({}));
    }

    /// Pods of which no two share a host.
    pub fn one_per_host(&self, name: &str, replicas: u32) {
        let term = json!({ "topologyKey": "kubernetes.io/hostname",
            "labelSelector": { "matchLabels": { "app": name } } });
        let affinity = json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [term] } });
        self.deploy(name, replicas, "500m", &affinity);
    }

    fn deploy(&self, name: &str, replicas: u32, cpu: &str, affinity: &Value) {
        let labels = json!({ "app": name });
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
            "spec": { "replicas": replicas, "selector": { "matchLabels": labels }, "template": {
                "metadata": { "labels": labels },
                "spec": { "terminationGracePeriodSeconds": 0, "affinity": affinity,
                    "containers": [{ "name": "main", "image": "none", "resources": { "requests": { "cpu": cpu } } }] },
            } },
        });
        self.api.create(DEPLOYMENTS, &deployment).unwrap();
    }

    pub fn scale(&self, name: &str, replicas: u32) {
        let patch = json!({ "spec": { "replicas": replicas } });
        self.api.patch(&format!("{DEPLOYMENTS}/{name}"), &patch).unwrap();
    }

    /// How many pods of a workload are ready, as its Deployment counts them.
    pub fn n_ready(&self, name: &str) -> u64 {
        let deployment = self.api.get(&format!("{DEPLOYMENTS}/{name}")).unwrap();
        deployment["status"]["readyReplicas"].as_u64().unwrap_or(0)
    }

    /// Waits for [`World::n_ready`]; lighter than [`World::wait_running`] where there are many.
    pub fn wait_ready(&self, name: &str, n_pods: u64, limit: Duration) {
        let look = || match self.n_ready(name) {
            n_ready if n_ready == n_pods => Ok(()),
            n_ready => Err(format!("{n_ready} are ready")),
        };
        wait_for(&format!("{n_pods} pods of {name} are ready"), limit, look).unwrap();
    }

    /// The pods of a workload.
    pub fn pods(&self, app: &str) -> Vec<Value> {
        self.api.list(&format!("/api/v1/namespaces/default/pods?labelSelector=app%3D{app}")).unwrap()
    }

    /// Waits until so many pods of a workload run, and no other are left of it.
    pub fn wait_running(&self, app: &str, n_pods: usize, limit: Duration) -> Vec<Value> {
        let look = || {
            let pods = self.pods(app);
            let n_running = pods.iter().filter(|pod| pod["status"]["phase"] == "Running").count();
            let is_so = n_running == n_pods && pods.len() == n_pods;
            if is_so { Ok(pods) } else { Err(format!("{n_running} of {} run", pods.len())) }
        };
        wait_for(&format!("{n_pods} pods of {app} run"), limit, look).unwrap()
    }
}

/// The status of one of an object's conditions, `""` if it has none of that type.
pub fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().find(|c| c["type"] == kind).and_then(|c| c["status"].as_str()).unwrap_or_default()
}
