//! What the controller manager does about nodes: taints by condition, eviction by taint, pods of nodes that are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use planner::model::Effect;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::kube::object::{list, member, text};
use crate::kube::{ApiServer, Change, DeleteOptions, Direct, Id, Key, Object, Part};

use super::options::Options;
use super::scheduler::taints;
use super::timers::Timers;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// How long pods outlive their node, about: the pod garbage collector waits 40 s and looks every 20 s.
const ORPHANS_LIVE: Duration = Duration::from_mins(1);

#[derive(Debug)]
enum Due {
    Taint(String),
    Orphans(String),
    Evict(Key, String),
}

#[derive(Debug)]
pub(super) struct Nodes {
    api: Direct,
    delay: Duration,
    timers: Timers<Due>,
    /// Nodes with the status of their condition `Ready` that taints were made for.
    ready: BTreeMap<String, String>,
    /// Nodes with taints that drive pods away.
    expelling: BTreeSet<String>,
    /// Node → the pods that are on it.
    pods: BTreeMap<String, BTreeSet<Key>>,
}

impl Nodes {
    pub fn new(server: &ApiServer, options: &Options) -> Self {
        Self {
            api: server.direct("node-controller"),
            delay: options.node_controller,
            timers: Timers::new(),
            ready: BTreeMap::new(),
            expelling: BTreeSet::new(),
            pods: BTreeMap::new(),
        }
    }

    pub fn observe(&mut self, change: &Change) {
        let object = &change.new;
        match object.id() {
            Id::NODE if change.is_deletion => {
                self.ready.remove(object.name());
                self.expelling.remove(object.name());
                self.timers.set(Instant::now() + ORPHANS_LIVE, Due::Orphans(object.name().to_owned()));
            }
            Id::NODE => self.node(object),
            Id::POD if change.is_deletion => {
                if let Some(pods) = self.pods.get_mut(object.text("/spec/nodeName")) {
                    pods.remove(&object.key());
                }
            }
            Id::POD => {
                let node = object.text("/spec/nodeName");
                if node.is_empty() {
                    return;
                }
                self.pods.entry(node.to_owned()).or_default().insert(object.key());
                if self.expelling.contains(node)
                    && let Some(node) = self.api.get(Id::NODE, &Key::cluster(node))
                {
                    self.expel(&node, object);
                }
            }
            _ => {}
        }
    }

    fn node(&mut self, node: &Arc<Object>) {
        let ready = node.condition("Ready").map_or("", |condition| text(condition, "/status"));
        if !ready.is_empty() && self.ready.get(node.name()).is_none_or(|known| known != ready) {
            self.ready.insert(node.name().to_owned(), ready.to_owned());
            self.timers.set(Instant::now() + self.delay, Due::Taint(node.name().to_owned()));
        }
        if taints(node.value()).iter().any(|taint| taint.effect == Effect::NoExecute) {
            self.expelling.insert(node.name().to_owned());
            for pod in self.on(node.name()) {
                self.expel(node, &pod);
            }
        } else {
            self.expelling.remove(node.name());
        }
    }

    fn on(&self, node: &str) -> Vec<Arc<Object>> {
        let keys = self.pods.get(node).into_iter().flatten();
        keys.filter_map(|key| self.api.get(Id::POD, key)).filter(|pod| pod.text("/spec/nodeName") == node).collect()
    }

    /// Sees to it that a pod goes, now or later, that a taint of its node drives away.
    fn expel(&mut self, node: &Object, pod: &Object) {
        if !pod.is_deleting()
            && let Some(after) = patience(node, pod)
        {
            self.timers.set(Instant::now() + after, Due::Evict(pod.key(), pod.uid().to_owned()));
        }
    }

    /// Does what is due; when to come back.
    pub fn act(&mut self, now: Instant) -> Option<Instant> {
        while let Some(due) = self.timers.pop(now) {
            match due {
                Due::Taint(name) => self.taint(&name),
                Due::Orphans(name) => self.orphans(&name),
                Due::Evict(key, uid) => self.evict(&key, uid),
            }
        }
        self.timers.next()
    }

    fn taint(&mut self, name: &str) {
        let change = |old: &Value| {
            let mut new = old.clone();
            let ready = list(old, "/status/conditions").find(|condition| condition["type"] == "Ready");
            let wanted = match ready.map_or("Unknown", |ready| text(ready, "/status")) {
                "True" => None,
                "False" => Some(NOT_READY),
                _ => Some(UNREACHABLE),
            };
            let is_mine = |taint: &&Value| matches!(text(taint, "/key"), NOT_READY | UNREACHABLE);
            let mut taints: Vec<Value> = list(old, "/spec/taints").filter(|taint| !is_mine(taint)).cloned().collect();
            for effect in wanted.iter().flat_map(|_| ["NoSchedule", "NoExecute"]) {
                taints.push(json!({ "key": wanted, "effect": effect }));
            }
            let spec = member(&mut new, "spec");
            if taints.is_empty() {
                spec.remove("taints");
            } else {
                spec.insert("taints".to_owned(), taints.into());
            }
            new
        };
        // The node may be gone.
        drop(self.api.update(Id::NODE, &Key::cluster(name), Part::Main, change));
    }

    fn orphans(&mut self, name: &str) {
        if self.api.get(Id::NODE, &Key::cluster(name)).is_some() {
            return;
        }
        for pod in self.on(name) {
            drop(self.api.delete(Id::POD, &pod.key(), &DeleteOptions::now()));
        }
    }

    fn evict(&mut self, key: &Key, uid: String) {
        let Some(pod) = self.api.get(Id::POD, key).filter(|pod| !pod.is_deleting()) else { return };
        let Some(node) = self.api.get(Id::NODE, &Key::cluster(pod.text("/spec/nodeName"))) else { return };
        // The taint may be gone, or the pod another one.
        if patience(&node, &pod).is_some() {
            let options = DeleteOptions { uid: Some(uid), ..DeleteOptions::default() };
            drop(self.api.delete(Id::POD, key, &options));
        }
    }
}

/// How long a pod stays on a node with its taints; nothing if it may stay for good.
fn patience(node: &Object, pod: &Object) -> Option<Duration> {
    let mut least: Option<u64> = None;
    for taint in taints(node.value()).iter().filter(|taint| taint.effect == Effect::NoExecute) {
        let matching = list(pod.value(), "/spec/tolerations").filter(|toleration| {
            let (key, effect) = (text(toleration, "/key"), text(toleration, "/effect"));
            let is_key = key.is_empty() && toleration["operator"] == "Exists" || key == &*taint.key;
            let is_value = toleration["operator"] == "Exists" || text(toleration, "/value") == &*taint.value;
            is_key && is_value && matches!(effect, "" | "NoExecute")
        });
        let seconds: Vec<Option<u64>> = matching.map(|toleration| toleration["tolerationSeconds"].as_u64()).collect();
        if seconds.is_empty() {
            return Some(Duration::ZERO);
        }
        if let Some(bound) = seconds.into_iter().flatten().min() {
            least = Some(least.map_or(bound, |least| least.min(bound)));
        }
    }
    least.map(Duration::from_secs)
}
