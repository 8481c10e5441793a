//! Writes down what happens in a run: reads what changed on the API server, what the controller decided and what the
//! cloud refused, and makes moments of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use crds::names::core::{CAPACITY_TYPE, UNREGISTERED_TAINT};
use crds::names::kubernetes::{INSTANCE_TYPE, ZONE};
use planner::model::MicroUsdPerHour;
use sim::kube::{Change, Direct, Id, Object};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::batch::Batch;
use super::held::Held;
use super::lines;
use super::meter::Meter;
use super::pace::Pace;
use super::seller::Shortages;
use super::shelves::Prices;
use super::stage::Stage;
use super::timeline::{Finish, Moment, MomentKind, Point, Summary, Timeline};
use super::told::{Words, bought, unplaced};
use crate::decide::Decision;

/// Changes of a kind that are read at once.
const BATCH: usize = 10_000;

/// The record of a run. Clones write the same.
#[derive(Clone)]
pub struct Chronicle(Arc<Mutex<State>>);

struct State {
    direct: Direct,
    /// What happens within so many milliseconds is told in one line.
    gather: u64,
    prices: Prices,
    /// Up to which version each kind was read.
    versions: [u64; 3],
    decisions: watch::Receiver<Option<Arc<Decision>>>,
    shortages: Shortages,
    /// Shortages whose plan was not told yet.
    held: Held,
    /// Pods that never were ready, by uid: when they came.
    waiting: BTreeMap<String, u64>,
    /// How long each pod waited, in milliseconds.
    waited: Vec<u64>,
    /// Claims with an instance, by name.
    owned: BTreeMap<String, MicroUsdPerHour>,
    batch: Batch,
    /// What was last said of pods without a place.
    said: Option<Words>,
    meter: Meter,
    summary: Summary,
    timeline: watch::Sender<Timeline>,
    /// When the last moment was, in milliseconds.
    last: u64,
    /// Moments go to standard output as they come; cancelled when nobody reads them any more.
    unread: Option<CancellationToken>,
    /// Something was told that no point stands beside.
    has_news: bool,
}

impl Chronicle {
    /// Begins to write into `timeline`, and to standard output if there is an `unread` to cancel when its reader goes away.
    pub fn begin(
        stage: &Stage,
        pace: &Pace,
        timeline: watch::Sender<Timeline>,
        unread: Option<CancellationToken>,
    ) -> Result<Self> {
        let prices = stage.shelves.prices()?;
        let version = stage.server.resource_version();
        Ok(Self(Arc::new(Mutex::new(State {
            direct: stage.direct.clone(),
            gather: millis(pace.gather),
            prices,
            versions: [version; 3],
            decisions: stage.ground.insight.decisions(),
            shortages: stage.shortages.clone(),
            held: Held::default(),
            waiting: BTreeMap::new(),
            waited: Vec::new(),
            owned: BTreeMap::new(),
            batch: Batch::default(),
            said: None,
            meter: Meter::default(),
            summary: Summary::default(),
            timeline,
            last: 0,
            unread,
            has_news: false,
        }))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what happened since the last time; true if something was told since it was asked last.
    pub fn catch_up(&self) -> bool {
        let mut state = self.state();
        state.catch_up();
        std::mem::take(&mut state.has_news)
    }

    /// When something gathered is to be told, in milliseconds.
    pub fn due(&self) -> Option<u64> {
        let state = self.state();
        let held = state.held.since().map(|since| since + state.gather);
        state.batch.due(state.gather).into_iter().chain(held).min()
    }

    /// Tells of something that the script did or saw, after all that happened before.
    pub fn tell(&self, kind: MomentKind, text: impl Into<String>) {
        let mut state = self.state();
        state.catch_up();
        state.flush();
        let millis = state.now();
        state.tell(Moment { millis, kind, text: text.into(), details: Vec::new() });
    }

    /// Adds a point of now, as far as a look at the cluster gave it; the rest is filled in here.
    pub fn add(&self, mut point: Point) {
        let mut state = self.state();
        state.catch_up();
        let yardstick = super::scratch::Yardstick { bound: point.hourly_bound, greedy: point.hourly_greedy };
        state.meter.yardstick = yardstick;
        point.seconds = state.now() as f64 / 1e3;
        point.hourly_cost = state.meter.hourly;
        (point.pods_pending, point.pods_running) = state.pods();
        let end = state.summary();
        state.timeline.send_modify(|timeline| {
            timeline.points.push(point);
            timeline.end = end;
        });
    }

    /// A shortage was outlived.
    pub fn survived(&self) {
        self.state().summary.shortages_survived += 1;
    }

    /// So many spot machines were taken back at once, and all pods run elsewhere.
    pub fn survived_storm(&self, machines: usize) {
        let mut state = self.state();
        state.summary.storms_survived += 1;
        state.summary.machines_interrupted += machines;
    }

    /// The calls that the cloud was asked, and how many of all came too fast for it.
    pub fn called(&self, calls: Vec<(String, u64)>, too_fast: usize) {
        let mut state = self.state();
        (state.summary.calls, state.summary.calls_too_fast) = (calls, too_fast);
    }

    /// Something that must never be.
    pub fn breach(&self, text: String) {
        let mut state = self.state();
        if !state.summary.breaches.contains(&text) {
            state.summary.breaches.push(text);
        }
    }

    /// How many things were seen that must never be.
    pub fn breaches(&self) -> usize {
        self.state().summary.breaches.len()
    }

    /// Launches so far that asked in vain for something.
    pub fn n_refused(&self) -> usize {
        let mut state = self.state();
        state.catch_up();
        state.summary.launches_refused
    }

    /// How many nodes there are, bought or joined, and what they cost.
    pub fn fleet(&self) -> (usize, MicroUsdPerHour) {
        let mut state = self.state();
        state.catch_up();
        (state.owned.len(), state.meter.hourly)
    }

    /// Nodes bought and given up so far: while the number stands, the cluster is at rest.
    pub fn n_moves(&self) -> usize {
        let mut state = self.state();
        state.catch_up();
        state.summary.nodes_bought + state.summary.nodes_removed
    }

    /// The last plan's words about pods without a place.
    pub fn unplaced(&self) -> Option<Words> {
        self.state().said.clone()
    }

    /// Ends the record.
    pub fn end(&self, finish: Finish) -> Timeline {
        let mut state = self.state();
        state.catch_up();
        state.gather_shortages(u64::MAX);
        state.flush();
        state.summary.finish = finish;
        let end = state.summary();
        state.timeline.send_modify(|timeline| timeline.end = end);
        state.timeline.borrow().clone()
    }
}

impl State {
    fn now(&self) -> u64 {
        millis(self.direct.server().clock().elapsed())
    }

    fn catch_up(&mut self) {
        let now = self.now();
        self.meter.advance(now);
        // In this order: a claim is told of before its node.
        for (idx, id) in [Id::POD, claims(), Id::NODE].into_iter().enumerate() {
            self.read(idx, id, now);
        }
        for shortage in self.shortages.read() {
            self.summary.launches_refused += 1;
            self.held.hold(now, shortage);
        }
        let long_ago = now.saturating_sub(self.gather);
        self.gather_shortages(long_ago);
        if self.decisions.has_changed().unwrap_or(false) {
            let decision = self.decisions.borrow_and_update().clone();
            if let Some(decision) = decision {
                self.decided(&decision, now);
                self.held.told(decision.claims.values());
                self.gather_shortages(long_ago);
            }
        }
        if self.batch.due(self.gather).is_some_and(|due| due <= now) {
            self.flush();
        }
    }

    fn read(&mut self, idx: usize, id: Id, now: u64) {
        loop {
            let changes = match self.direct.changes(id, self.versions[idx], BATCH) {
                Ok(changes) => changes,
                Err(version) => {
                    let text = format!("the record has a gap: changes of {} were forgotten", id.resource().plural);
                    self.summary.breaches.push(text);
                    self.versions[idx] = version;
                    return;
                }
            };
            for change in &changes {
                match id {
                    Id::POD => self.pod(change, now),
                    Id::NODE => self.node(change, now),
                    _ => self.claim(change, now),
                }
            }
            let Some(last) = changes.last() else { return };
            self.versions[idx] = last.resource_version;
        }
    }

    fn pod(&mut self, change: &Change, now: u64) {
        let pod = &change.new;
        if is_daemon(pod) {
            return;
        }
        if change.is_deletion {
            self.waiting.remove(pod.uid());
        } else if change.old.is_none() {
            self.waiting.insert(pod.uid().to_owned(), now);
        } else if pod.is_condition_true("Ready")
            && let Some(came) = self.waiting.remove(pod.uid())
        {
            self.waited.push(now - came);
        }
    }

    fn claim(&mut self, change: &Change, now: u64) {
        let claim = &change.new;
        let had = change.old.as_ref().is_some_and(|old| has_instance(old));
        if has_instance(claim) && !had {
            let label = |key| claim.label(key).unwrap_or_default().to_owned();
            let key = (label(INSTANCE_TYPE), label(ZONE), label(CAPACITY_TYPE));
            let price = self.prices.get(&key).copied();
            if price.is_none() {
                self.summary.breaches.push(format!("claim {} has no known price: {key:?}", claim.name()));
            }
            let price = price.unwrap_or_default();
            self.owned.insert(claim.name().to_owned(), price);
            self.meter.hourly = self.meter.hourly + price;
            self.summary.nodes_bought += 1;
            self.summary.most_nodes = self.summary.most_nodes.max(self.owned.len());
        }
        let was_deleting = change.old.as_ref().is_some_and(|old| old.is_deleting());
        if claim.is_deleting()
            && !was_deleting
            && let Some(price) = self.owned.get(claim.name())
        {
            self.batch.retired(now, &reason(claim), *price);
        }
        if change.is_deletion
            && let Some(price) = self.owned.remove(claim.name())
        {
            self.meter.hourly = self.meter.hourly - price;
            self.summary.nodes_removed += 1;
            self.batch.removed(now);
        }
    }

    fn node(&mut self, change: &Change, now: u64) {
        if change.old.as_ref().is_some_and(|old| is_closed(old)) && !is_closed(&change.new) && !change.is_deletion {
            self.batch.opened(now);
        }
    }

    fn decided(&mut self, decision: &Decision, now: u64) {
        let bought = bought(&decision.plan);
        let unplaced = unplaced(&decision.plan.unplaced);
        let is_news = unplaced.is_some() && unplaced != self.said;
        self.said.clone_from(&unplaced);
        let news = [(MomentKind::Planned, bought), (MomentKind::Unplaced, unplaced.filter(|_| is_news))];
        for (kind, words) in news {
            let Some(Words { text, details }) = words else { continue };
            // What led to it comes first.
            self.flush();
            self.tell(Moment { millis: now, kind, text, details });
        }
    }

    fn gather_shortages(&mut self, long_ago: u64) {
        for (since, shortage) in self.held.release(long_ago) {
            self.batch.shortage(since, shortage);
        }
    }

    fn flush(&mut self) {
        let moments = self.batch.take(self.now(), self.owned.len(), self.meter.hourly);
        for moment in moments {
            self.tell(moment);
        }
    }

    fn tell(&mut self, mut moment: Moment) {
        self.has_news = true;
        self.last = self.last.max(moment.millis);
        moment.millis = self.last;
        if let Some(unread) = &self.unread
            && !lines::tell(&moment)
        {
            unread.cancel();
        }
        let end = self.summary();
        self.timeline.send_modify(|timeline| {
            timeline.moments.push(moment);
            timeline.end = end;
        });
    }

    /// Pods without a node, and pods that are ready.
    fn pods(&self) -> (usize, usize) {
        let pods = self.direct.list(Id::POD);
        let ours: Vec<_> = pods.iter().filter(|pod| !is_daemon(pod)).collect();
        let pending = ours.iter().filter(|pod| pod.text("/spec/nodeName").is_empty()).count();
        (pending, ours.iter().filter(|pod| pod.is_condition_true("Ready")).count())
    }

    fn summary(&self) -> Summary {
        let mut waited = self.waited.clone();
        waited.sort_unstable();
        let seconds = |millis: Option<&u64>| millis.map_or(0.0, |millis| *millis as f64 / 1e3);
        Summary {
            seconds: self.now() as f64 / 1e3,
            pods_ran: waited.len(),
            pods_waiting: self.waiting.len(),
            spent: self.meter.spent(),
            spent_bound: self.meter.spent_bound(),
            spent_greedy: self.meter.spent_greedy(),
            median_pending_seconds: seconds(waited.get(waited.len() / 2)),
            longest_pending_seconds: seconds(waited.last()),
            ..self.summary.clone()
        }
    }
}

/// The kind `NodeClaim`.
pub fn claims() -> Id {
    Id::of(crds::Kind::NodeClaim)
}

/// A `DaemonSet`'s pod: it comes with its node.
pub fn is_daemon(pod: &Object) -> bool {
    pod.owners().any(|owner| owner["kind"] == "DaemonSet")
}

fn has_instance(claim: &Object) -> bool {
    !claim.text("/status/providerID").is_empty()
}

fn is_closed(node: &Object) -> bool {
    sim::kube::object::list(node.value(), "/spec/taints").any(|taint| taint["key"] == UNREGISTERED_TAINT)
}

/// Why a claim goes, in words.
fn reason(claim: &Object) -> String {
    let reason = claim.condition("DisruptionReason").and_then(|condition| condition["reason"].as_str());
    match reason {
        Some("Empty") => "Empty: nothing but daemons on them".to_owned(),
        Some(other) => other.to_owned(),
        None => "deleted".to_owned(),
    }
}

pub(super) fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
