//! What the scheduler knows of a node: what it has, who is on it, and whether a pod may join them.

use std::collections::BTreeMap;
use std::sync::Arc;

use planner::model::taint::untolerated;
use planner::model::{Effect, Resources, Taint};
use serde_json::{Map, Value};

use crate::kube::object::{list, text};
use crate::kube::{Key, Object};

use super::pod::{COMMON, Pod, quantities};

/// A node with its pods.
#[derive(Debug)]
pub(super) struct Node {
    pub name: String,
    pub object: Arc<Object>,
    pub allocatable: Resources,
    pub used: Resources,
    /// What is left of what every pod asks for: millicores, bytes, pods.
    free: [i64; 3],
    pub taints: Vec<Taint>,
    pub pods: BTreeMap<Key, Arc<Pod>>,
}

impl Node {
    pub fn read(object: &Arc<Object>) -> Self {
        let mut node = Self {
            name: object.name().to_owned(),
            object: Arc::clone(object),
            allocatable: Resources::default(),
            used: Resources::default(),
            free: [0; 3],
            taints: Vec::new(),
            pods: BTreeMap::new(),
        };
        node.update(object);
        node
    }

    /// Takes note of a new form; true if a pod that found no place before may find one now.
    pub fn update(&mut self, object: &Arc<Object>) -> bool {
        let before = Arc::clone(&self.object);
        self.object = Arc::clone(object);
        self.allocatable = quantities(object.at("/status/allocatable"));
        self.taints = taints(object.value());
        self.count();
        let is_other = |pointer: &str| before.at(pointer) != object.at(pointer);
        ["/metadata/labels", "/spec/taints", "/spec/unschedulable", "/status/allocatable"].into_iter().any(is_other)
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels()?.get(key)?.as_str()
    }

    pub fn labels(&self) -> Option<&Map<String, Value>> {
        self.object.labels()
    }

    pub fn add(&mut self, pod: &Arc<Pod>) {
        if self.pods.insert(pod.key.clone(), Arc::clone(pod)).is_none() {
            self.used.add(&pod.requests);
            self.count();
        }
    }

    fn count(&mut self) {
        self.free = COMMON.map(|name| self.allocatable.get(name) - self.used.get(name));
    }

    /// Whether there is room for what every pod asks for: a quick look before the long one.
    pub fn may_hold(&self, pod: &Pod) -> bool {
        pod.common.iter().zip(self.free).all(|(asked, free)| *asked == 0 || *asked <= free)
    }

    pub fn remove(&mut self, key: &Key) -> Option<Arc<Pod>> {
        let pod = self.pods.remove(key)?;
        self.used.subtract(&pod.requests);
        self.count();
        Some(pod)
    }

    /// Why the pod may not join, as far as this node alone decides; `reserved` is room that is promised to others.
    pub fn refuses(&self, pod: &Pod, reserved: Option<&Resources>) -> Option<String> {
        for (name, amount) in pod.requests.iter() {
            let promised = reserved.map_or(0, |reserved| reserved.get(name));
            if amount > 0 && amount > self.allocatable.get(name) - self.used.get(name) - promised {
                let words = if &**name == "pods" { "Too many pods".to_owned() } else { format!("Insufficient {name}") };
                return Some(words);
            }
        }
        if self.object.at("/spec/unschedulable") == Some(&Value::Bool(true)) {
            return Some("node(s) were unschedulable".to_owned());
        }
        if let Some(taint) = untolerated(&self.taints, &pod.tolerations, false) {
            return Some(format!("node(s) had untolerated taint {{{}: {}}}", taint.key, taint.value));
        }
        if !pod.allows_node(&self.name, self.labels()) {
            return Some("node(s) didn't match Pod's node affinity/selector".to_owned());
        }
        let taken = self.pods.values().flat_map(|other| &other.host_ports);
        let wanted = &pod.host_ports;
        if !wanted.is_empty() && taken.into_iter().any(|port| wanted.iter().any(|other| is_same_port(port, other))) {
            return Some("node(s) didn't have free ports for the requested pod ports".to_owned());
        }
        None
    }
}

fn is_same_port(a: &(String, String, i64), b: &(String, String, i64)) -> bool {
    let any = "0.0.0.0";
    a.0 == b.0 && a.2 == b.2 && (a.1 == b.1 || a.1 == any || b.1 == any)
}

/// The taints of a node.
pub(in crate::world) fn taints(node: &Value) -> Vec<Taint> {
    let taints = list(node, "/spec/taints").filter_map(|taint| {
        Some(Taint {
            key: text(taint, "/key").into(),
            value: text(taint, "/value").into(),
            effect: Effect::parse(text(taint, "/effect"))?,
        })
    });
    taints.collect()
}
