//! Looks at the cluster from time to time, and at every moment: the points of the record.

use std::collections::BTreeSet;
use std::time::Duration;

use crds::names::core::NODE_POOL;
use crds::names::{aws, kwok};
use planner::model::labels::CAPACITY_TYPE;
use planner::model::resources::{CPU, MEMORY};
use planner::model::{PodGroup, Snapshot, Str};
use sim::invariants::{When, breaches};
use sim::kube::{ApiServer, Id};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::chronicle::{Chronicle, claims};
use super::pace::Pace;
use super::scratch::{Yardstick, alike, from_scratch, measure};
use super::stage::Stage;
use super::timeline::Point;
use crate::app::Insight;
use crate::clock::Clock;

/// Between something that happens and the look at it.
const SETTLE: Duration = Duration::from_millis(20);

/// Follows a run.
pub struct Sampler {
    server: ApiServer,
    insight: Insight,
    clock: Clock,
    chronicle: Chronicle,
    period: Duration,
    /// The pods that were measured last, and the result.
    measured: (Vec<PodGroup>, Yardstick),
}

impl Sampler {
    pub fn new(stage: &Stage, pace: &Pace, chronicle: &Chronicle) -> Self {
        Self {
            server: stage.server.clone(),
            insight: stage.ground.insight.clone(),
            clock: stage.ground.clock,
            chronicle: chronicle.clone(),
            period: pace.sample,
            measured: (Vec::new(), Yardstick::default()),
        }
    }

    /// Looks whenever something happens and at every period, until `stop`.
    pub async fn run(mut self, shortages: super::seller::Shortages, stop: CancellationToken) {
        let mut changed = [Id::POD, Id::NODE, claims()].map(|id| self.server.subscribe(id));
        let mut decisions = self.insight.decisions();
        let mut next = Instant::now();
        loop {
            let [pods, nodes, machines] = &mut changed;
            let due = self.chronicle.due().map(|due| self.until(due));
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = pods.rung() => {}
                () = nodes.rung() => {}
                () = machines.rung() => {}
                Ok(()) = decisions.changed() => {}
                () = shortages.came() => {}
                () = sleep_until(due.map_or(next, |due| due.min(next))) => {}
            }
            if self.chronicle.catch_up() || next <= Instant::now() {
                // What else happens at this moment has happened then: watches have shown it.
                sleep(SETTLE).await;
                self.look().await;
                next = Instant::now() + self.period;
            }
        }
        self.look().await;
    }

    /// When a time of the record is, in milliseconds.
    fn until(&self, due: u64) -> Instant {
        Instant::now() + Duration::from_millis(due).saturating_sub(self.server.clock().elapsed())
    }

    /// One point, and a look for what must not be.
    async fn look(&mut self) {
        for breach in breaches(&self.server, When::Always) {
            self.chronicle.breach(breach.to_string());
        }
        // Nobody leads at the beginning and at the end.
        let Ok(snapshot) = self.insight.snapshot().await else { return };
        let scratch = from_scratch(&snapshot);
        if !alike(&scratch.groups, &self.measured.0) {
            let groups = scratch.groups.clone();
            if let Ok(yardstick) = self.clock.aside(move || measure(&scratch)).await {
                self.measured = (groups, yardstick);
            }
        }
        let api = self.server.direct("demo");
        let nodes = api.list(Id::NODE);
        let nodes: BTreeSet<&str> =
            nodes.iter().filter(|node| node.label(NODE_POOL).is_some()).map(|node| node.name()).collect();
        let claims = api.list(claims()).len().saturating_sub(nodes.len());
        let mut point = Point { nodes: nodes.len(), claims, ..point(&snapshot, &nodes) };
        (point.hourly_bound, point.hourly_greedy) = (self.measured.1.bound, self.measured.1.greedy);
        self.chronicle.add(point);
    }
}

/// What a snapshot shows of these nodes. (A node that is still to come stands in it too, once pods have their place there.)
fn point(snapshot: &Snapshot, there: &BTreeSet<&str>) -> Point {
    let mut point = Point::default();
    let mut sums = [(0, 0); 2];
    for node in snapshot.nodes.iter().filter(|node| there.contains(&*node.name)) {
        point.leaving += usize::from(node.deleting);
        let label = |key| node.labels.get(key).map_or("unknown", |value: &Str| value);
        *point.by_capacity_type.entry(label(CAPACITY_TYPE).to_owned()).or_default() += 1;
        let families = [kwok::INSTANCE_FAMILY, aws::INSTANCE_FAMILY];
        let family = families.iter().find_map(|key| node.labels.get(*key)).map_or("unknown", |value: &Str| value);
        *point.by_family.entry(family.to_owned()).or_default() += 1;
        for ((used, room), resource) in sums.iter_mut().zip([CPU, MEMORY]) {
            *room += node.allocatable.get(resource);
            for bound in &node.pods {
                let n = i64::try_from(bound.pods.len()).unwrap_or(i64::MAX);
                *used += bound.shape.requests.get(resource).saturating_mul(n);
            }
        }
    }
    let share = |(used, room): (i64, i64)| if room > 0 { used as f64 / room as f64 } else { 0.0 };
    (point.cpu, point.memory) = (share(sums[0]), share(sums[1]));
    point
}
