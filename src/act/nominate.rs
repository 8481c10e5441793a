//! Holds the pods of a plan to their nodes: `.status.nominatedNodeName`, written just before a node opens, and nodes of
//! one plan opened together where pods could stray.
//!
//! kube-scheduler counts nominated pods as present on their node when it tries others, so what the plan has put there
//! finds its room. It clears the field on the next attempt that fails, so a nomination written early is lost: it is
//! written when everything about the node is ready and only the gate (the unregistered taint) is still closed.
//!
//! A patch per pod is dear. The pods of one kind need none: with all others held to their nodes, the room that is left
//! takes as many of them as were planned, wherever they go. Unless others wait that no plan has placed yet.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crds::NodeClassRef;
use planner::model::{PodShape, Resources, Snapshot, Str};
use planner::plan::Plan;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

use super::gate::{Gate, Hold};
use super::wave::{Due, Host, Meant, PATIENCE, Pods, Taken, Turn, Waves};
use super::write::Writer;
use crate::observe::mirror::Mirror;
use crate::telemetry::Metrics;

/// No node waits longer for its own nominations; it opens without the rest.
const NODE_PATIENCE: Duration = Duration::from_secs(5);
/// Nor does a wave for those of all its nodes.
const WAVE_PATIENCE: Duration = Duration::from_secs(10);
/// After its gates were opened a wave is looked at again: a pod that was tried while its node was still shut has lost its
/// nomination, and its room may not be taken yet.
const MENDING: [Duration; 3] = [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(2)];
/// A nomination that comes to nothing is taken back: something else has the room. The scheduler would find that out within
/// five minutes, and a nominated pod gets no other node until then. It is taken back once the mirror shows so, and so long
/// after the node opened at the latest, whatever the reason; longer while the scheduler is busy.
const TAKE_BACK: Duration = Duration::from_secs(15);
/// A patch that takes one back may be lost, as the server may be busy. It is sent again after so long, until the mirror shows
/// that it has come through.
const TAKE_BACK_AGAIN: Duration = Duration::from_secs(5);
/// How often the nodes that have opened are looked at for that.
const STRAY_LOOK: Duration = Duration::from_secs(1);
/// How often waves are looked at while one is gathering: a claim that is gone may have been the last that was waited for.
const LOOK: Duration = Duration::from_millis(250);

/// Who was meant for which claim by the last plans. Cheap to clone.
#[derive(Clone)]
pub struct Nominations(Arc<Inner>);

struct Inner {
    mirror: Mirror,
    metrics: Metrics,
    writer: Writer,
    /// Whether pods are held to nodes at all.
    is_enforced: bool,
    waves: Mutex<Waves>,
    /// Claims that are to ask again.
    again: Mutex<Vec<Str>>,
    /// Nodes to which pods were nominated and that have opened.
    opened: Mutex<Vec<Visited>>,
    /// Told when a claim is ready.
    ready: Notify,
}

/// A plan is being carried out. Its claims may be ready before the last of them is made: none opens before the plan is
/// remembered, or this is dropped.
pub struct Launching(Nominations);

impl Drop for Launching {
    fn drop(&mut self) {
        let early = self.0.waves().launched();
        self.0.0.again.lock().unwrap_or_else(PoisonError::into_inner).extend(early);
        self.0.0.ready.notify_one();
    }
}

/// A node, and the pods meant for it.
type Meeting = (Str, Vec<Str>);
/// Nodes, and the pods to hold to each.
type Held = Vec<Meeting>;

/// A node to which pods may still be nominated.
struct Visited {
    node: Str,
    pods: Vec<Str>,
    /// When what is still nominated is taken back.
    until: Instant,
}

/// What became of the nominations for a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    pub written: usize,
    /// Pods that did not take it: bound elsewhere, gone, or no answer in time.
    pub missed: usize,
}

impl Nominations {
    pub fn new(client: kube::Client, mirror: Mirror, metrics: Metrics, is_enforced: bool) -> Self {
        Self(Arc::new(Inner {
            writer: Writer::new(client, mirror.clone(), metrics.clone()),
            mirror,
            metrics,
            is_enforced,
            waves: Mutex::default(),
            again: Mutex::default(),
            opened: Mutex::default(),
            ready: Notify::new(),
        }))
    }

    fn opened(&self) -> MutexGuard<'_, Vec<Visited>> {
        self.0.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waves(&self) -> MutexGuard<'_, Waves> {
        self.0.waves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims are about to be made.
    pub fn launching(&self) -> Launching {
        self.waves().launching();
        Launching(self.clone())
    }

    /// Remembers a plan: pods have their place on what is coming, and most are to be held to it. `claims` has the claim's
    /// name for each launch that was made.
    pub fn remember(&self, snapshot: &Snapshot, plan: &Plan, claims: &BTreeMap<Str, Str>) {
        let hosts = hosts(snapshot, plan, claims);
        for host in &hosts {
            self.0.mirror.promise(&host.claim, host.pods.iter().map(|pod| &pod.key));
        }
        if self.0.is_enforced {
            self.waves().add(hosts);
        }
    }

    /// After a restart: what is coming and has pods promised to it becomes a wave again.
    pub fn recall(&self, snapshot: &Snapshot) {
        let mut hosts = Vec::new();
        for node in snapshot.nodes.iter().filter(|node| !node.initialized) {
            let Some(claim) = &node.claim else { continue };
            let all = node.pods.iter().flat_map(|bound| bound.pods.iter().map(|key| (key, &bound.shape)));
            let promised = all.filter(|(key, _)| self.0.mirror.is_promised(key));
            let pods: Vec<Meant> =
                promised.map(|(key, shape)| Meant { key: key.clone(), shape: shape.clone() }).collect();
            let mut room = node.free();
            for pod in &pods {
                room.add(&pod.shape.requests);
            }
            hosts.push(Host { claim: claim.clone(), room, pods });
        }
        hosts.retain(|host| !host.pods.is_empty());
        if self.0.is_enforced {
            self.waves().add(hosts);
        }
    }

    /// The node of a claim is about to open: writes down who is meant for it. Call it just before the unregistered
    /// taint is removed, and go on whatever it says.
    pub async fn open(&self, claim: &str, node: &str) -> Opened {
        let Taken { pods, claims, was_held } = self.waves().take(claim);
        let all: Vec<Str> = pods.held.iter().chain(&pods.spared).cloned().collect();
        let nodes = self.to_hold(vec![(node.into(), pods)], &claims);
        let until = Instant::now() + NODE_PATIENCE;
        // Of a wave only those that were cleared since; the others of it open now, so this one does not wait for the watch.
        let writer = &self.0.writer;
        let opened = if was_held { writer.nominate(&nodes, until).await.0 } else { writer.hold(&nodes, until).await };
        if !all.is_empty() {
            self.look_at(node.into(), all);
        }
        opened
    }

    /// What these pods are nominated to is opening: whatever comes of it is seen to.
    fn look_at(&self, node: Str, pods: Vec<Str>) {
        let until = Instant::now() + TAKE_BACK + self.0.mirror.backlog();
        self.opened().push(Visited { node, pods, until });
        self.0.ready.notify_one();
    }

    /// After a restart: what the process before has nominated and not seen bound is seen to by this one. Nominations to nodes
    /// of others are theirs, and those of pods that the scheduler itself makes room for.
    pub fn adopt(&self, is_ours: impl Fn(&NodeClassRef) -> bool) {
        if !self.0.is_enforced {
            return;
        }
        let mirror = &self.0.mirror;
        for (node, pods) in mirror.nominated() {
            if let Some(seen) = mirror.node(&node) {
                let claims = mirror.claims_of_provider(&seen.spec.provider_id);
                if !claims.iter().any(|claim| is_ours(&claim.spec.node_class_ref)) {
                    continue;
                }
            }
            let pods: Vec<Str> =
                pods.iter().filter(|pod| !self.0.writer.preempts(pod, &node)).map(|pod| pod.key.clone()).collect();
            if !pods.is_empty() {
                debug!(Node = &*node, n_pods = pods.len(), "pods that an earlier process nominated");
                self.look_at(node, pods);
            }
        }
    }

    /// Pods whose nomination has come to nothing, by node.
    fn stranded(&self) -> Held {
        let (now, writer, mut out) = (Instant::now(), &self.0.writer, Held::new());
        self.opened().retain_mut(|Visited { node, pods, until }| {
            let is_over = *until <= now;
            // What is taken back is looked after until its time is over: it may be nominated here once more.
            let lost = if is_over { writer.overdue(node, pods) } else { writer.stranded(node, pods) };
            if is_over {
                *until = now + TAKE_BACK_AGAIN;
            }
            if !lost.is_empty() {
                out.push((node.clone(), lost));
            }
            !pods.is_empty()
        });
        out
    }

    /// Whom to hold: those spared too if pods of other kinds wait that are not of these claims. They would take the room.
    fn to_hold(&self, nodes: Vec<(Str, Pods)>, claims: &BTreeSet<Str>) -> Held {
        let spared = nodes.iter().find_map(|(_, pods)| pods.spared.first());
        let are_all = spared.is_some_and(|spared| self.0.mirror.has_strangers(spared, claims));
        let pods = |pods: Pods| if are_all { [pods.held, pods.spared].concat() } else { pods.held };
        nodes.into_iter().map(|(node, own)| (node, pods(own))).collect()
    }

    /// Looks after waves for ever.
    async fn look_after(&self, may_open: &(dyn Fn(&str) + Send + Sync)) {
        let mut writing: JoinSet<(u64, Held)> = JoinSet::new();
        let mut mending: JoinSet<()> = JoinSet::new();
        // Every node that opens wakes this loop, and each look goes over all of them.
        let mut strays_at = Instant::now();
        loop {
            let next = self.waves().next().map(|at| at.min(Instant::now() + LOOK));
            let strays = (!self.opened().is_empty()).then_some(strays_at);
            let next = next.into_iter().chain(strays).min();
            let pause = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = pause => {}
                () = self.0.ready.notified() => {}
                Some(Ok((wave, nodes))) = writing.join_next() => {
                    for claim in self.waves().open(wave) {
                        may_open(&claim);
                    }
                    let writer = self.0.writer.clone();
                    mending.spawn(async move {
                        for pause in MENDING {
                            sleep(pause).await;
                            let opened = writer.hold(&writer.with_room(&nodes), Instant::now() + NODE_PATIENCE).await;
                            debug!(?opened, "pods that lost their nomination while nodes opened");
                        }
                    });
                }
                Some(_) = mending.join_next() => {}
            }
            let again = std::mem::take(&mut *self.0.again.lock().unwrap_or_else(PoisonError::into_inner));
            for claim in again {
                may_open(&claim);
            }
            let is_time = strays_at <= Instant::now();
            if is_time {
                strays_at = Instant::now() + STRAY_LOOK;
            }
            for (node, pods) in if is_time { self.stranded() } else { Held::new() } {
                let writer = self.0.writer.clone();
                mending.spawn(async move {
                    let n_pods = writer.take_back(&node, &pods, Instant::now() + NODE_PATIENCE).await;
                    if n_pods > 0 {
                        debug!(
                            Node = &*node,
                            n_pods, "pods that found no room where they were nominated are planned anew"
                        );
                    }
                });
            }
            let mirror = &self.0.mirror;
            let due = self.waves().due(Instant::now(), |claim| {
                mirror.claim(claim).map_or_else(|| mirror.has_claim(claim), |claim| !claim.metadata.is_deleting())
            });
            let lost = self.waves().take_lost();
            for (node, pods) in lost.into_iter().filter(|(_, pods)| !pods.is_empty()) {
                self.look_at(node, pods);
            }
            for Due { wave, held, nodes, claims } in due {
                let nodes = self.to_hold(nodes, &claims);
                self.0.metrics.wave_held_seconds.observe([], held.as_secs_f64());
                let writer = self.0.writer.clone();
                writing.spawn(async move {
                    let pods: usize = nodes.iter().map(|(_, pods)| pods.len()).sum();
                    let opened = writer.hold(&nodes, Instant::now() + WAVE_PATIENCE).await;
                    debug!(nodes = nodes.len(), pods, ?opened, ?held, "nodes of one plan open together");
                    (wave, nodes)
                });
            }
        }
    }
}

impl Gate for Nominations {
    fn hold(&self, claim: &str, node: &str) -> Hold {
        if !self.0.is_enforced {
            return Hold::Open;
        }
        let turn = self.waves().ready(claim, node, Instant::now());
        match turn {
            Turn::Now => Hold::Open,
            Turn::Held => {
                self.0.ready.notify_one();
                Hold::Shut(PATIENCE + WAVE_PATIENCE)
            }
        }
    }

    fn run<'a>(&'a self, may_open: &'a (dyn Fn(&str) + Send + Sync)) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(self.look_after(may_open))
    }

    fn before_open<'a>(&'a self, claim: &'a str, node: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let opened = self.open(claim, node).await;
            debug!(NodeClaim = claim, Node = node, ?opened, "a node opens");
        })
    }
}

/// What a plan puts on each claim that is coming.
fn hosts(snapshot: &Snapshot, plan: &Plan, claims: &BTreeMap<Str, Str>) -> Vec<Host> {
    if plan.launches.is_empty() && plan.nominations.is_empty() {
        return Vec::new();
    }
    let groups = snapshot.groups.iter();
    let shapes: HashMap<&Str, &Arc<PodShape>> =
        groups.flat_map(|group| group.pods.iter().map(|pod| (&pod.key, &group.shape))).collect();
    let meant = |key: &Str| Some(Meant { key: key.clone(), shape: (*shapes.get(key)?).clone() });
    let mut out = Vec::new();
    for launch in &plan.launches {
        let Some(claim) = claims.get(&launch.name) else { continue };
        let pods: Vec<Meant> = launch.pods.iter().filter_map(meant).collect();
        // Without what its daemons take.
        let mut room = launch.allocatable.clone();
        room.subtract(&launch.requests);
        for pod in &pods {
            room.add(&pod.shape.requests);
        }
        out.push(Host { claim: claim.clone(), room, pods });
    }
    // Capacity whose gate may still be closed, by the name that the plan has for it.
    let mut coming: HashMap<&Str, (&Str, Resources)> =
        snapshot.claims.iter().map(|claim| (&claim.name, (&claim.name, claim.allocatable.clone()))).collect();
    let joined = snapshot.nodes.iter().filter(|node| !node.initialized);
    coming.extend(joined.filter_map(|node| Some((&node.name, (node.claim.as_ref()?, node.free())))));
    let mut on_coming: BTreeMap<&Str, Vec<Meant>> = BTreeMap::new();
    for nomination in plan.nominations.iter().filter(|nomination| coming.contains_key(&nomination.node)) {
        on_coming.entry(&nomination.node).or_default().extend(meant(&nomination.pod));
    }
    for (name, pods) in on_coming {
        if let Some((claim, room)) = coming.remove(name) {
            out.push(Host { claim: claim.clone(), room, pods });
        }
    }
    out
}

#[cfg(test)]
mod tests;
