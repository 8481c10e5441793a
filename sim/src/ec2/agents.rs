//! The agents on machines: one that runs reads its user data and joins the cluster as the node it is told to be; one that
//! is gone takes its node along, as the cluster's cloud controller has it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine as _;
use cloud::catalog::{Ec2Settings, ec2};
use planner::model::resources::quantity;
use planner::model::{InstanceType, Resources};
use serde_json::{Map, Value, json};

use super::{Ec2, Instance};
use crate::kube::{ApiServer, DeleteOptions, Id, Key};
use crate::world::FAKE;

/// How often machines are looked at.
const TICK: Duration = Duration::from_millis(500);

/// What user data tells a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub labels: BTreeMap<String, String>,
    /// Key, value, effect.
    pub taints: Vec<(String, String, String)>,
    pub max_pods: Option<i64>,
    pub cluster: String,
}

impl Told {
    /// Reads the `NodeConfig` of user data in base64, as nodeadm does: the last one counts.
    pub fn read(user_data: &str) -> Self {
        let bytes = base64::engine::general_purpose::STANDARD.decode(user_data).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let config = text.rsplit("Content-Type: application/node.eks.aws").next().unwrap_or_default();
        let mut told = Self::default();
        let mut in_taints = false;
        let mut taint = (String::new(), String::new(), String::new());
        let mut indent = 0;
        for line in config.lines() {
            let depth = line.len() - line.trim_start().len();
            let (key, value) = line.trim().split_once(':').unwrap_or((line.trim(), ""));
            let value = value.trim().trim_matches('"');
            if in_taints && depth <= indent && !line.trim().is_empty() {
                in_taints = false;
            }
            match key {
                "registerWithTaints" => (in_taints, indent) = (true, depth),
                "-" if in_taints => told.taints.extend(finished(&mut taint)),
                "effect" if in_taints => value.clone_into(&mut taint.2),
                "key" if in_taints => value.clone_into(&mut taint.0),
                "value" if in_taints => value.clone_into(&mut taint.1),
                "maxPods" => told.max_pods = value.parse().ok(),
                "name" => value.clone_into(&mut told.cluster),
                _ => {}
            }
            if let Some((_, labels)) = line.split_once("--node-labels=\\\"") {
                let labels = labels.split("\\\"").next().unwrap_or_default();
                let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
                told.labels.extend(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
            }
        }
        told.taints.extend(finished(&mut taint));
        told
    }
}

fn finished(taint: &mut (String, String, String)) -> Option<(String, String, String)> {
    Some(std::mem::take(taint)).filter(|(key, ..)| !key.is_empty())
}

/// The agents of all machines.
#[derive(Debug)]
pub struct Agents {
    types: Vec<InstanceType>,
    /// Node by machine.
    joined: BTreeMap<String, String>,
}

impl Agents {
    /// Agents for the machines of an EC2.
    pub fn new(service: &Ec2) -> Self {
        let region = service.locked(|state| state.region.name.clone());
        let types = ec2(&Ec2Settings { region, ..Ec2Settings::default() }).unwrap_or_default();
        Self { types, joined: BTreeMap::new() }
    }

    /// Lets join what is due, and leave what is gone. `create` makes a Node and says whether it is there; `delete` takes
    /// one away by its name.
    pub fn step(&mut self, service: &Ec2, create: impl Fn(&Value) -> bool, delete: impl Fn(&str)) {
        let (due, there) = service.locked(|state| {
            let now = state.now();
            let registers = |id: &str| state.market.machine(id).map_or(i64::MAX, |machine| machine.registers_at);
            let due = state.instances.values().filter(|one| one.ends_at.is_none() && registers(&one.id) <= now);
            let due: Vec<Instance> = due.filter(|one| !self.joined.contains_key(&one.id)).cloned().collect();
            let there = state.instances.values().filter(|one| one.gone_at.is_none()).map(|one| one.id.clone());
            (due, there.collect::<BTreeSet<String>>())
        });
        for instance in due {
            let name = format!("ip-{}", instance.address.replace('.', "-"));
            let kind = self.types.iter().find(|kind| *kind.name == *instance.key.instance_type);
            // A node of that name may still be on its way out.
            if create(&node(&name, &instance, kind)) {
                self.joined.insert(instance.id, name);
            }
        }
        let gone: Vec<String> = self.joined.keys().filter(|id| !there.contains(*id)).cloned().collect();
        for name in gone.into_iter().filter_map(|id| self.joined.remove(&id)) {
            delete(&name);
        }
    }
}

/// Has machines join and leave a cluster in memory for as long as it is polled.
pub async fn agents(service: Ec2, server: ApiServer) {
    let api = server.direct("node-agents");
    let mut agents = Agents::new(&service);
    loop {
        tokio::time::sleep(TICK).await;
        let create = |node: &Value| api.create(node.clone()).is_ok();
        // One that is gone already is as good as deleted.
        let delete = |name: &str| drop(api.delete(Id::NODE, &Key::cluster(name), &DeleteOptions::default()));
        agents.step(&service, create, delete);
    }
}

fn amounts(resources: &Resources) -> Map<String, Value> {
    resources.iter().map(|(name, amount)| (name.to_string(), json!(quantity(name, amount).to_string()))).collect()
}

fn node(name: &str, instance: &Instance, kind: Option<&InstanceType>) -> Value {
    let told = Told::read(&instance.user_data);
    let mut labels = told.labels.clone();
    let zone = instance.zone.name.as_str();
    let arch = if instance.arch == "arm64" { "arm64" } else { "amd64" };
    for (key, value) in [
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", arch),
        ("node.kubernetes.io/instance-type", &instance.key.instance_type),
        ("topology.kubernetes.io/zone", zone),
        ("topology.kubernetes.io/region", zone.trim_end_matches(char::is_alphabetic)),
        ("topology.k8s.aws/zone-id", &instance.zone.id),
    ] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    let mut capacity = kind.map(|kind| amounts(&kind.capacity)).unwrap_or_default();
    let mut allocatable = kind.map(|kind| amounts(&kind.allocatable)).unwrap_or_default();
    if let Some(max_pods) = told.max_pods {
        for amounts in [&mut capacity, &mut allocatable] {
            amounts.insert("pods".to_owned(), json!(max_pods.to_string()));
        }
    }
    let taints = told.taints.iter().map(|(key, value, effect)| {
        let mut taint = json!({ "key": key, "effect": effect });
        // As the API server stores it.
        if !value.is_empty() {
            taint["value"] = json!(value);
        }
        taint
    });
    let taints: Vec<Value> = taints.collect();
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": name, "labels": labels, "annotations": { FAKE: "fake" } },
        "spec": { "providerID": format!("aws:///{zone}/{}", instance.id), "taints": taints },
        "status": { "capacity": capacity, "allocatable": allocatable },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_what_its_user_data_says() {
        let text = "--//\nContent-Type: application/node.eks.aws\n\nspec:\n  cluster:\n    name: shop\n  kubelet:\n    config:\n      \
                    maxPods: 29\n      registerWithTaints:\n        -\n          effect: NoSchedule\n          key: dedicated\n          value: gpu\n        \
                    -\n          effect: NoExecute\n          key: karpenter.sh/unregistered\n      shutdownGracePeriod: \"45s\"\n    flags:\n      - \
                    \"--node-labels=\\\"a=b,karpenter.sh/nodepool=x\\\"\"\n";
        let told = Told::read(&base64::engine::general_purpose::STANDARD.encode(text));
        let taint = |key: &str, value: &str, effect: &str| (key.to_owned(), value.to_owned(), effect.to_owned());
        assert_eq!(
            told.taints,
            [taint("dedicated", "gpu", "NoSchedule"), taint("karpenter.sh/unregistered", "", "NoExecute")]
        );
        assert_eq!((told.max_pods, told.cluster.as_str()), (Some(29), "shop"));
        assert_eq!(told.labels["karpenter.sh/nodepool"], "x");
    }
}
