//! A control plane with what the tests put into it.

use std::time::Duration;

use control_plane::{Api, Options, Stack, wait_for};
use serde_json::{Value, json};

/// Long enough for anything that takes a second on an idle machine.
pub const SOON: Duration = Duration::from_secs(90);

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

    pub fn deployment(&self, name: &str, replicas: u32, cpu: &str) {
        let labels = json!({ "app": name });
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
            "spec": { "replicas": replicas, "selector": { "matchLabels": labels }, "template": {
                "metadata": { "labels": labels },
                "spec": { "terminationGracePeriodSeconds": 0,
                    "containers": [{ "name": "main", "image": "none", "resources": { "requests": { "cpu": cpu } } }] },
            } },
        });
        self.api.create("/apis/apps/v1/namespaces/default/deployments", &deployment).unwrap();
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
