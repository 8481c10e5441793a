//! A control plane with one `NodePool`, and what can be asked of it cheaply while it is busy.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use cloud::catalog::{KwokSettings, kwok};
use control_plane::{Api, Options, Stack, wait_for};
use planner::model::MicroUsdPerHour;
use serde_json::{Value, json};

use super::workload::Deployment;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const NODES: &str = "/api/v1/nodes";
const CLAIMS: &str = "/apis/karpenter.sh/v1/nodeclaims";
const SERVED_LIMIT: Duration = Duration::from_mins(1);

pub struct Cluster {
    pub stack: Stack,
    api: Api,
    /// Node class and pool.
    pub setting: [Value; 2],
    /// By instance type, zone and capacity type.
    prices: BTreeMap<(String, String, String), MicroUsdPerHour>,
}

/// Node and claim counts, and what the nodes cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    pub n_nodes: u64,
    pub n_claims: u64,
    pub cost: MicroUsdPerHour,
}

impl Cluster {
    /// On-demand Linux machines of fewer than 32 vCPU; nodes go as soon as they are empty for `consolidate_after`.
    pub fn start(consolidate_after: &str) -> anyhow::Result<Self> {
        let stack = Stack::start(Options::default())?;
        let api = stack.api("admin")?;
        for crd in crds::all() {
            api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &crd.definition)?;
        }
        for crd in crds::all() {
            let path = format!("/apis/{}/{}/{}", crd.group, crd.version, crd.plural);
            wait_for(&format!("{path} is served"), SERVED_LIMIT, || api.list(&path))?;
        }
        let setting = [class(), pool(consolidate_after)];
        api.create("/apis/karpenter.kwok.sh/v1alpha1/kwoknodeclasses", &setting[0])?;
        api.create("/apis/karpenter.sh/v1/nodepools", &setting[1])?;
        let mut prices = BTreeMap::new();
        for kind in kwok(&KwokSettings::default()).context("the kwok catalogue")? {
            for offering in &kind.offerings {
                let key =
                    (kind.name.to_string(), offering.zone.to_string(), offering.capacity_type.as_str().to_owned());
                prices.insert(key, offering.price);
            }
        }
        Ok(Self { stack, api, setting, prices })
    }

    pub fn create(&self, deployments: &[Deployment]) -> anyhow::Result<()> {
        for deployment in deployments {
            self.api.create(DEPLOYMENTS, &deployment.object())?;
        }
        Ok(())
    }

    pub fn scale(&self, name: &str, replicas: u64) -> anyhow::Result<()> {
        self.api.patch(&format!("{DEPLOYMENTS}/{name}"), &json!({ "spec": { "replicas": replicas } }))?;
        Ok(())
    }

    /// Pods wanted, existing and ready, over all Deployments; read from these alone, since listing the pods themselves
    /// would be the heaviest request of all.
    pub fn pods(&self) -> anyhow::Result<Pods> {
        let mut pods = Pods::default();
        for deployment in self.api.list(DEPLOYMENTS)? {
            let count = |value: &Value| value.as_u64().unwrap_or(0);
            pods.n_wanted += count(&deployment["spec"]["replicas"]);
            let status = &deployment["status"];
            pods.n_existing += count(&status["replicas"]);
            pods.n_ready += count(&status["readyReplicas"]);
            pods.is_settled &= status["observedGeneration"] == deployment["metadata"]["generation"];
        }
        Ok(pods)
    }

    pub fn n_nodes(&self) -> anyhow::Result<u64> {
        Ok(self.api.count(NODES)?)
    }

    pub fn n_claims(&self) -> anyhow::Result<u64> {
        Ok(self.api.count(CLAIMS)?)
    }

    /// Everything that was bought, with its price. Lists all nodes.
    pub fn fleet(&self) -> anyhow::Result<Fleet> {
        let nodes = self.api.list(NODES)?;
        let mut cost = MicroUsdPerHour(0);
        for node in &nodes {
            let label = |key: &str| node["metadata"]["labels"][key].as_str().unwrap_or_default().to_owned();
            let key = (
                label("node.kubernetes.io/instance-type"),
                label("topology.kubernetes.io/zone"),
                label("karpenter.sh/capacity-type"),
            );
            let price = self.prices.get(&key).with_context(|| format!("nothing like {key:?} is sold"))?;
            cost = MicroUsdPerHour(cost.0 + price.0);
        }
        Ok(Fleet { n_nodes: nodes.len() as u64, n_claims: self.n_claims()?, cost })
    }

    /// Every node has its claim, every claim its node, and no provider id stands on two.
    pub fn check_nothing_leaked(&self) -> anyhow::Result<()> {
        let ids = |objects: Vec<Value>, at: &str| -> Vec<String> {
            let id = |object: &Value| object.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
            let mut ids: Vec<_> = objects.iter().map(id).collect();
            ids.sort();
            ids
        };
        let nodes = ids(self.api.list(NODES)?, "/spec/providerID");
        let claims = ids(self.api.list(CLAIMS)?, "/status/providerID");
        ensure!(nodes == claims, "nodes and claims differ: {} nodes, {} claims", nodes.len(), claims.len());
        let mut once = nodes.clone();
        once.dedup();
        ensure!(once == nodes, "a provider id stands on more than one node");
        Ok(())
    }

    /// Whether the controller wrote an event with a reason; the scheduler has words of its own under the same reasons. Of
    /// tens of thousands one is asked for.
    pub fn has_event(&self, reason: &str) -> anyhow::Result<bool> {
        let path = format!("/api/v1/events?limit=1&fieldSelector=reason%3D{reason}%2Csource%3Dkarpenter");
        Ok(!self.api.list(&path)?.is_empty())
    }
}

/// Counts over all Deployments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pods {
    pub n_wanted: u64,
    pub n_existing: u64,
    pub n_ready: u64,
    /// The counts are those of what was last asked for.
    pub is_settled: bool,
}

impl Default for Pods {
    fn default() -> Self {
        Self { n_wanted: 0, n_existing: 0, n_ready: 0, is_settled: true }
    }
}

impl Pods {
    pub fn all_run(&self) -> bool {
        self.is_settled && self.n_ready == self.n_wanted && self.n_existing == self.n_wanted
    }
}

fn class() -> Value {
    json!({ "apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": { "name": "default" },
        "spec": {} })
}

fn pool(consolidate_after: &str) -> Value {
    let among = |key: &str, values: &[&str]| json!({ "key": key, "operator": "In", "values": values });
    json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": "default" },
        "spec": {
            "disruption": { "consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": consolidate_after,
                "budgets": [{ "nodes": "100%" }] },
            "template": { "spec": {
                "expireAfter": "Never",
                "nodeClassRef": { "group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default" },
                "requirements": [
                    among("kubernetes.io/os", &["linux"]),
                    among("karpenter.sh/capacity-type", &["on-demand"]),
                    { "key": "karpenter.kwok.sh/instance-cpu", "operator": "Lt", "values": ["32"] },
                ],
            } },
        },
    })
}
