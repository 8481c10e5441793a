//! A scheduler: binds pods to nodes by predicates of its own, never by those of the planner.
//!
//! What it has of kube-scheduler: the order of the queue, back-off, retries on events that may help, predicates, the
//! preference for empty nodes, and what it does with nominations: a nominated pod is tried on its node first, counts as
//! present there when pods of no higher priority are tried, and loses the nomination whenever an attempt fails (unless
//! it may not preempt). What it has not: preemption, extenders, profiles.

mod judge;
mod node;
mod pod;
mod topology;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use planner::model::Resources;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::kube::object::{list, member};
use crate::kube::{ApiServer, Change, Direct, Id, Key, Object, Part, set_condition};

use judge::Judge;
use node::Node;
use pod::Pod;
use topology::Counts;
use volumes::Volumes;

pub(super) use node::taints;
pub(crate) use pod::requests;
pub(super) use volumes::provision;

/// How long a pass waits for company after the event that caused it.
const LATENCY: Duration = Duration::from_millis(10);
/// Attempts in one pass, and the time until the next: about a thousand pods per second.
const PER_PASS: usize = 100;
const PASS_EVERY: Duration = Duration::from_millis(100);
/// A search ends when so many nodes would do.
const ENOUGH: usize = 100;
/// Back-off after failed attempts, first and longest.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
/// A pod that nothing has helped for so long is tried all the same (`podMaxInUnschedulablePodsDuration`).
const LONGEST_PARKED: Duration = Duration::from_mins(5);

/// Highest priority first, then first come first served.
type Place = (i64, u64, Key);

#[derive(Debug)]
struct Parked {
    /// Not tried before.
    until: Instant,
    /// Something happened that may help.
    is_wanted: bool,
    /// Tried then in any case.
    at_last: Instant,
}

impl Parked {
    fn new(now: Instant, backoff: Duration, is_wanted: bool) -> Self {
        Self { until: now + backoff, is_wanted, at_last: now + LONGEST_PARKED }
    }
}

#[derive(Debug)]
pub(super) struct Scheduler {
    api: Direct,
    nodes: BTreeMap<String, Node>,
    /// Pods without a node.
    pending: BTreeMap<Key, Arc<Pod>>,
    /// Where pods are.
    placed: BTreeMap<Key, (String, Arc<Pod>)>,
    arrivals: BTreeMap<Key, u64>,
    attempts: BTreeMap<Key, u32>,
    active: BTreeSet<Place>,
    parked: BTreeMap<Key, Parked>,
    /// Pending pods that look at where other pods are.
    companions: BTreeSet<Key>,
    /// Node → pods nominated to it.
    nominated: BTreeMap<String, BTreeMap<Key, (i64, Resources)>>,
    counts: Counts,
    /// Pods on nodes that are not known (yet).
    strays: BTreeMap<String, BTreeSet<Key>>,
    /// How many nodes were looked at so far: the next search begins behind them.
    n_looked_at: usize,
    /// Shapes that fit nowhere as things are, with the reasons.
    hopeless: BTreeMap<String, String>,
    n_arrived: u64,
    has_news: bool,
    due: Option<Instant>,
}

impl Scheduler {
    pub fn new(server: &ApiServer) -> Self {
        Self {
            api: server.direct("scheduler"),
            nodes: BTreeMap::new(),
            pending: BTreeMap::new(),
            placed: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            attempts: BTreeMap::new(),
            active: BTreeSet::new(),
            parked: BTreeMap::new(),
            companions: BTreeSet::new(),
            nominated: BTreeMap::new(),
            counts: Counts::default(),
            strays: BTreeMap::new(),
            n_looked_at: 0,
            hopeless: BTreeMap::new(),
            n_arrived: 0,
            has_news: false,
            due: None,
        }
    }

    /// Takes note of a change.
    pub fn observe(&mut self, change: &Change) {
        let object = &change.new;
        match object.id() {
            Id::POD if change.is_deletion => self.forget(&object.key()),
            Id::POD => self.pod(object),
            Id::NODE if change.is_deletion => self.node_gone(object.name()),
            Id::NODE => self.node(object),
            Id::CLAIM_OF_VOLUME | Id::VOLUME | Id::STORAGE_CLASS => self.news(),
            _ => {}
        }
    }

    fn wake(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Something happened that may help pods that found no place.
    fn news(&mut self) {
        self.has_news = true;
        self.hopeless.clear();
        if !self.parked.is_empty() || !self.active.is_empty() {
            self.wake(Instant::now() + LATENCY);
        }
    }

    fn node(&mut self, object: &Arc<Object>) {
        let helps = if let Some(node) = self.nodes.get_mut(object.name()) {
            node.update(object)
        } else {
            self.nodes.insert(object.name().to_owned(), Node::read(object));
            for key in self.strays.remove(object.name()).unwrap_or_default() {
                if let Some((node, pod)) = self.placed.get(&key).cloned()
                    && node == object.name()
                {
                    self.enter(&pod, &node);
                }
            }
            true
        };
        if helps {
            self.news();
        }
    }

    fn node_gone(&mut self, name: &str) {
        if let Some(node) = self.nodes.remove(name) {
            node.pods.values().for_each(|pod| self.counts.observe(pod, name, -1));
            self.strays.insert(name.to_owned(), node.pods.into_keys().collect());
            self.news();
        }
    }

    fn enter(&mut self, pod: &Arc<Pod>, node: &str) {
        if let Some(found) = self.nodes.get_mut(node) {
            found.add(pod);
            self.counts.observe(pod, node, 1);
        } else {
            self.strays.entry(node.to_owned()).or_default().insert(pod.key.clone());
        }
    }

    fn leave(&mut self, key: &Key, node: &str) {
        if let Some(pod) = self.nodes.get_mut(node).and_then(|node| node.remove(key)) {
            self.counts.observe(&pod, node, -1);
        }
    }

    fn forget(&mut self, key: &Key) {
        self.unqueue(key);
        self.arrivals.remove(key);
        self.attempts.remove(key);
        if let Some((node, _)) = self.placed.remove(key) {
            self.leave(key, &node);
            self.news();
        }
    }

    fn unqueue(&mut self, key: &Key) {
        if let Some(pod) = self.pending.remove(key) {
            self.active.remove(&self.place_of(&pod));
            self.parked.remove(key);
            self.companions.remove(key);
            self.unnominate(&pod);
        }
    }

    fn unnominate(&mut self, pod: &Pod) {
        if let Some(pods) = self.nominated.get_mut(pod.nominated()) {
            if pods.remove(&pod.key).is_some() {
                // The room that was kept for it is free to whoever is tried next.
                self.hopeless.clear();
            }
            if pods.is_empty() {
                self.nominated.remove(pod.nominated());
            }
        }
    }

    fn place_of(&self, pod: &Pod) -> Place {
        (-pod.priority, self.arrivals.get(&pod.key).copied().unwrap_or_default(), pod.key.clone())
    }

    fn pod(&mut self, object: &Arc<Object>) {
        let key = object.key();
        if matches!(object.text("/status/phase"), "Succeeded" | "Failed") {
            return self.forget(&key);
        }
        let node = object.text("/spec/nodeName");
        if !node.is_empty() {
            if let Some((known, pod)) = self.placed.get(&key)
                && known == node
                && pod.object.labels() == object.labels()
            {
                return;
            }
            self.unqueue(&key);
            if let Some((known, _)) = self.placed.remove(&key) {
                self.leave(&key, &known);
            }
            let pod = Arc::new(Pod::read(object));
            self.placed.insert(key, (node.to_owned(), Arc::clone(&pod)));
            self.enter(&pod, node);
            return;
        }
        let is_ours = object.text("/spec/schedulerName") == "default-scheduler"
            && list(object.value(), "/spec/schedulingGates").next().is_none()
            && !object.is_deleting();
        if !is_ours {
            return self.unqueue(&key);
        }
        self.queue(object, &key);
    }

    fn queue(&mut self, object: &Arc<Object>, key: &Key) {
        let pod = Arc::new(Pod::read(object));
        let known = self.pending.get(key).cloned();
        if !self.arrivals.contains_key(key) {
            self.n_arrived += 1;
            self.arrivals.insert(key.clone(), self.n_arrived);
        }
        if let Some(known) = &known {
            self.unnominate(known);
        }
        if !pod.nominated().is_empty() {
            let pods = self.nominated.entry(pod.nominated().to_owned()).or_default();
            pods.insert(key.clone(), (pod.priority, pod.requests.clone()));
        }
        if !pod.affinity.is_empty() || !pod.spread.is_empty() {
            self.companions.insert(key.clone());
        }
        let is_same = known.is_some_and(|known| known.object.uid() == object.uid() && known.shape == pod.shape);
        self.pending.insert(key.clone(), Arc::clone(&pod));
        if !is_same {
            self.parked.remove(key);
            self.active.insert(self.place_of(&pod));
            self.wake(Instant::now() + LATENCY);
        }
    }

    /// Tries what is due; when to come back.
    pub fn act(&mut self, now: Instant) -> Option<Instant> {
        if self.due.is_none_or(|due| due > now) {
            return self.due;
        }
        self.due = None;
        let news = std::mem::take(&mut self.has_news);
        let mut ready = Vec::new();
        let mut next: Option<Instant> = None;
        for (key, parked) in &mut self.parked {
            parked.is_wanted |= news || parked.at_last <= now;
            if parked.is_wanted && parked.until <= now {
                ready.push(key.clone());
            } else {
                let due = if parked.is_wanted { parked.until } else { parked.at_last };
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        for key in ready {
            self.parked.remove(&key);
            if let Some(pod) = self.pending.get(&key) {
                self.active.insert(self.place_of(pod));
            }
        }
        for _ in 0..PER_PASS {
            let Some((_, _, key)) = self.active.pop_first() else { break };
            if let Some(pod) = self.pending.get(&key).cloned() {
                self.attempt(&pod, now);
            }
        }
        if let Some(next) = next {
            self.wake(next);
        }
        if !self.active.is_empty() {
            self.wake(now + PASS_EVERY);
        }
        self.due
    }

    fn attempt(&mut self, pod: &Arc<Pod>, now: Instant) {
        let is_nominated = !pod.nominated().is_empty();
        if let (Some(reasons), false) = (self.hopeless.get(&pod.shape), is_nominated) {
            let reasons = reasons.clone();
            return self.fail(pod, &reasons, now);
        }
        let volumes = match Volumes::read(&self.api, pod) {
            Ok(volumes) => volumes,
            Err(reason) => {
                let words = format!("0/{} nodes are available: {reason}.", self.nodes.len());
                return self.fail(pod, &words, now);
            }
        };
        match self.find(pod, &volumes) {
            Ok(node) => {
                if let Some(node) = self.nodes.get(&node) {
                    volumes.provision(&self.api, node);
                }
                if self.api.bind(&pod.key, &node).is_err() {
                    // Somebody was quicker, or the pod is gone: its change will tell.
                    self.parked.insert(pod.key.clone(), Parked::new(now, FIRST_BACKOFF, true));
                    return self.wake(now + FIRST_BACKOFF);
                }
                self.unqueue(&pod.key);
                self.attempts.remove(&pod.key);
                self.placed.insert(pod.key.clone(), (node.clone(), Arc::clone(pod)));
                self.enter(pod, &node);
                self.wake_companions(now);
            }
            Err(reasons) => {
                self.hopeless.insert(pod.shape.clone(), reasons.clone());
                self.fail(pod, &reasons, now);
            }
        }
    }

    /// A pod that has found its place may help those that want to be near others, or spread among them.
    fn wake_companions(&mut self, now: Instant) {
        if self.companions.is_empty() {
            return;
        }
        self.hopeless.retain(|shape, _| !shape.contains("odAffinity") && !shape.contains("topologySpread"));
        let mut is_any = false;
        for key in &self.companions {
            if let Some(parked) = self.parked.get_mut(key) {
                parked.is_wanted = true;
                is_any = true;
            }
        }
        if is_any {
            self.wake(now + LATENCY);
        }
    }

    /// The best node for the pod, or the reasons against every one.
    fn find(&mut self, pod: &Pod, volumes: &Volumes) -> Result<String, String> {
        let judge = Judge::new(pod, &self.nodes, &mut self.counts);
        let reserved = |node: &str| -> Option<Resources> {
            let mut sum = Resources::default();
            for (key, (priority, requests)) in self.nominated.get(node)? {
                if *key != pod.key && *priority >= pod.priority {
                    sum.add(requests);
                }
            }
            Some(sum)
        };
        let refuses =
            |node: &Node| judge.refuses(node, reserved(&node.name).as_ref()).or_else(|| volumes.refuses(node));
        if let Some(node) = self.nodes.get(pod.nominated())
            && refuses(node).is_none()
        {
            return Ok(node.name.clone());
        }
        // As kube-scheduler: not every node that would do is looked at, and the next search begins behind the last.
        let n_nodes = self.nodes.len();
        let first = self.n_looked_at % n_nodes.max(1);
        let (mut best, mut n_found): (Option<(i64, &Node)>, usize) = (None, 0);
        for node in self.nodes.values().skip(first).chain(self.nodes.values().take(first)) {
            self.n_looked_at += 1;
            if !node.may_hold(pod) || refuses(node).is_some() {
                continue;
            }
            let score = judge.score(node);
            if best.is_none_or(|(most, _)| score > most) {
                best = Some((score, node));
            }
            n_found += 1;
            if n_found == ENOUGH {
                break;
            }
        }
        match best {
            Some((_, node)) => Ok(node.name.clone()),
            None if n_nodes == 0 => Err("no nodes available to schedule pods".to_owned()),
            None => {
                let mut counts: BTreeMap<String, usize> = BTreeMap::new();
                for reason in self.nodes.values().filter_map(refuses) {
                    *counts.entry(reason).or_default() += 1;
                }
                let reasons: Vec<String> = counts.into_iter().map(|(reason, n)| format!("{n} {reason}")).collect();
                Err(format!("0/{n_nodes} nodes are available: {}.", reasons.join(", ")))
            }
        }
    }

    /// Says on the pod why it has no place, and tries again later.
    fn fail(&mut self, pod: &Arc<Pod>, reasons: &str, now: Instant) {
        let attempts = self.attempts.entry(pod.key.clone()).or_default();
        let backoff = FIRST_BACKOFF.saturating_mul(1 << (*attempts).min(4)).min(LONGEST_BACKOFF);
        *attempts += 1;
        self.parked.insert(pod.key.clone(), Parked::new(now, backoff, false));
        self.wake(now + LONGEST_PARKED);
        let keeps_nomination = pod.object.text("/spec/preemptionPolicy") == "Never";
        let clears = !pod.nominated().is_empty() && !keeps_nomination;
        let is_said = pod.object.condition("PodScheduled").is_some_and(|condition| condition["message"] == reasons);
        if is_said && !clears {
            return;
        }
        let time = self.api.server().clock().text();
        let change = |old: &Value| {
            let mut new = old.clone();
            let status = member(&mut new, "status");
            if clears {
                status.remove("nominatedNodeName");
            }
            set_condition(
                status,
                json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": reasons,
                    "lastTransitionTime": time }),
            );
            new
        };
        // A pod that is gone needs no reasons.
        drop(self.api.update(Id::POD, &pod.key, Part::Status, change));
    }
}

/// The nodes that daemons of a kind are meant for: room is not asked for, nor is anything that other pods decide.
#[derive(Debug)]
pub(super) struct Meant {
    pod: Pod,
}

impl Meant {
    /// Reads a pod that is not yet bound to a node.
    pub fn read(pod: &Value) -> Self {
        Self { pod: Pod::read(&Arc::new(Object::new(Id::POD, pod.clone(), 0))) }
    }

    /// Whether a daemon is meant for the node; taints with `NoSchedule` and `NoExecute` count.
    pub fn is_for(&self, node: &Object) -> bool {
        let is_tolerated =
            planner::model::taint::untolerated(&taints(node.value()), &self.pod.tolerations, false).is_none();
        is_tolerated && self.pod.allows_node(node.name(), node.labels())
    }
}
