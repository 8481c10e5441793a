//! The node agents: nodes that pretend become ready, pods that are bound to them run, and pods that shall go end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::kube::object::member;
use crate::kube::{ApiServer, Change, DeleteOptions, Direct, Id, Key, Object, Part, set_condition};
use crate::rng::SplitMix64;

use super::options::Options;
use super::timers::Timers;

/// Nodes with this annotation, set to `fake`, have an agent here.
pub const FAKE: &str = "kwok.x-k8s.io/node";
/// On pods: seconds from running to success.
pub const RUN_SECONDS: &str = "sim.millwright.dev/run-seconds";
/// On pods: seconds that they take to end when they shall, at most their grace period.
pub const STOP_SECONDS: &str = "sim.millwright.dev/stop-seconds";

#[derive(Debug)]
enum Due {
    NodeReady(String),
    PodRuns(Key, String),
    PodSucceeds(Key, String),
    PodEnds(Key, String),
}

#[derive(Debug)]
pub(super) struct Kubelet {
    api: Direct,
    rng: SplitMix64,
    options: Options,
    timers: Timers<Due>,
    /// Nodes that have an agent, with their uids.
    nodes: BTreeMap<String, String>,
    /// Pods whose start, success and end are on their way, by uid.
    known: BTreeMap<Key, Known>,
    /// Node → pods that were bound to it before it had an agent.
    early: BTreeMap<String, BTreeSet<Key>>,
    n_addresses: u64,
}

#[derive(Debug, Default)]
struct Known {
    uid: String,
    is_starting: bool,
    is_ending: bool,
}

impl Kubelet {
    pub fn new(server: &ApiServer, options: &Options, seed: u64) -> Self {
        Self {
            api: server.direct("kubelet"),
            rng: SplitMix64::new(seed),
            options: options.clone(),
            timers: Timers::new(),
            nodes: BTreeMap::new(),
            known: BTreeMap::new(),
            early: BTreeMap::new(),
            n_addresses: 0,
        }
    }

    pub fn observe(&mut self, change: &Change) {
        let object = &change.new;
        match object.id() {
            Id::NODE if change.is_deletion => drop(self.nodes.remove(object.name())),
            Id::NODE => self.node(object),
            Id::POD if change.is_deletion => drop(self.known.remove(&object.key())),
            Id::POD => self.pod(object),
            _ => {}
        }
    }

    fn node(&mut self, node: &Object) {
        if node.annotation(FAKE) != Some("fake") {
            return;
        }
        let known = self.nodes.insert(node.name().to_owned(), node.uid().to_owned());
        if known.as_deref() == Some(node.uid()) {
            return;
        }
        if node.condition("Ready").is_none() {
            let delay = self.vary(self.options.node_ready);
            self.timers.set(Instant::now() + delay, Due::NodeReady(node.name().to_owned()));
        }
        for key in self.early.remove(node.name()).unwrap_or_default() {
            if let Some(pod) = self.api.get(Id::POD, &key) {
                self.pod(&pod);
            }
        }
    }

    fn pod(&mut self, pod: &Object) {
        let node = pod.text("/spec/nodeName");
        if node.is_empty() {
            return;
        }
        let key = pod.key();
        if !self.nodes.contains_key(node) {
            self.early.entry(node.to_owned()).or_default().insert(key);
            return;
        }
        let known = self.known.entry(key.clone()).or_default();
        if known.uid != pod.uid() {
            *known = Known { uid: pod.uid().to_owned(), ..Known::default() };
        }
        let now = Instant::now();
        if pod.is_deleting() {
            if !std::mem::replace(&mut known.is_ending, true) {
                let delay = stop_delay(pod, self.options.pod_stop);
                self.timers.set(now + delay, Due::PodEnds(key, pod.uid().to_owned()));
            }
        } else if pod.text("/status/phase") == "Pending" && !std::mem::replace(&mut known.is_starting, true) {
            let delay = self.vary(self.options.pod_start);
            self.timers.set(now + delay, Due::PodRuns(key, pod.uid().to_owned()));
        }
    }

    /// From three quarters to five quarters of a duration.
    fn vary(&mut self, duration: Duration) -> Duration {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(micros - micros / 4 + self.rng.below(micros / 2 + 1))
    }

    /// Does what is due; when to come back.
    pub fn act(&mut self, now: Instant) -> Option<Instant> {
        while let Some(due) = self.timers.pop(now) {
            match due {
                Due::NodeReady(name) => self.node_ready(&name),
                Due::PodRuns(key, uid) => self.pod_runs(&key, &uid, now),
                Due::PodSucceeds(key, uid) => self.pod_succeeds(&key, &uid),
                Due::PodEnds(key, uid) => {
                    let options = DeleteOptions { uid: Some(uid), ..DeleteOptions::now() };
                    // It may be gone already.
                    drop(self.api.delete(Id::POD, &key, &options));
                }
            }
        }
        self.timers.next()
    }

    fn node_ready(&mut self, name: &str) {
        self.n_addresses += 1;
        let address = format!(
            "10.{}.{}.{}",
            64 + self.n_addresses / 65536 % 64,
            self.n_addresses / 256 % 256,
            self.n_addresses % 256
        );
        let time = self.api.server().clock().text();
        let change = |old: &Value| {
            let mut new = old.clone();
            let name = old["metadata"]["name"].clone();
            let status = member(&mut new, "status");
            status.insert("phase".to_owned(), "Running".into());
            status.entry("addresses").or_insert_with(
                || json!([{ "type": "InternalIP", "address": address }, { "type": "Hostname", "address": name }]),
            );
            let info = status.entry("nodeInfo").or_insert_with(|| json!({}));
            for (field, value) in
                [("kubeletVersion", "v1.35.4"), ("operatingSystem", "linux"), ("containerRuntimeVersion", "sim")]
            {
                if info.get(field).is_none() {
                    info[field] = value.into();
                }
            }
            for (of_type, is_true, reason) in [
                ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                ("PIDPressure", "False", "KubeletHasSufficientPID"),
                ("Ready", "True", "KubeletReady"),
            ] {
                let condition = json!({ "type": of_type, "status": is_true, "reason": reason, "message": "",
                    "lastHeartbeatTime": time, "lastTransitionTime": time });
                set_condition(status, condition);
            }
            new
        };
        // The node may be gone.
        drop(self.api.update(Id::NODE, &Key::cluster(name), Part::Status, change));
    }

    fn pod_runs(&mut self, key: &Key, uid: &str, now: Instant) {
        let Some(pod) = self.api.get(Id::POD, key).filter(|pod| pod.uid() == uid && !pod.is_deleting()) else { return };
        self.n_addresses += 1;
        let address = format!(
            "10.{}.{}.{}",
            128 + self.n_addresses / 65536 % 64,
            self.n_addresses / 256 % 256,
            self.n_addresses % 256
        );
        let time = self.api.server().clock().text();
        let change = |old: &Value| {
            let mut new = old.clone();
            let containers: Vec<Value> = crate::kube::object::list(old, "/spec/containers")
                .map(|container| {
                    json!({ "name": container["name"], "image": container["image"], "imageID": "", "ready": true,
                        "started": true, "restartCount": 0, "state": { "running": { "startedAt": time } } })
                })
                .collect();
            let status = member(&mut new, "status");
            status.insert("phase".to_owned(), "Running".into());
            status.insert("startTime".to_owned(), time.as_str().into());
            status.insert("podIP".to_owned(), address.as_str().into());
            status.insert("podIPs".to_owned(), json!([{ "ip": address }]));
            status.insert("containerStatuses".to_owned(), containers.into());
            for of_type in ["PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"] {
                set_condition(status, json!({ "type": of_type, "status": "True", "lastTransitionTime": time }));
            }
            new
        };
        if self.api.update(Id::POD, key, Part::Status, change).is_ok()
            && let Some(seconds) = pod.annotation(RUN_SECONDS).and_then(|text| text.parse().ok())
        {
            self.timers.set(now + Duration::from_secs(seconds), Due::PodSucceeds(key.clone(), uid.to_owned()));
        }
    }

    fn pod_succeeds(&mut self, key: &Key, uid: &str) {
        let is_running = |pod: &std::sync::Arc<Object>| pod.uid() == uid && pod.text("/status/phase") == "Running";
        if !self.api.get(Id::POD, key).is_some_and(|pod| is_running(&pod)) {
            return;
        }
        let time = self.api.server().clock().text();
        let change = |old: &Value| {
            let mut new = old.clone();
            let status = member(&mut new, "status");
            status.insert("phase".to_owned(), "Succeeded".into());
            for of_type in ["ContainersReady", "Ready"] {
                set_condition(
                    status,
                    json!({ "type": of_type, "status": "False", "reason": "PodCompleted", "lastTransitionTime": time }),
                );
            }
            new
        };
        drop(self.api.update(Id::POD, key, Part::Status, change));
    }
}

/// How long a pod takes to end: what it says or the usual time, but never beyond its grace.
fn stop_delay(pod: &Object, usual: Duration) -> Duration {
    let own = pod.annotation(STOP_SECONDS).and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let grace = pod.at("/metadata/deletionGracePeriodSeconds").and_then(Value::as_u64).unwrap_or_default();
    own.unwrap_or(usual).min(Duration::from_secs(grace))
}
