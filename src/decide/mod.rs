//! The loop that decides: wake → wait for quiet → snapshot → plan → check → act.
//!
//! One loop, one pass at a time. Nothing is kept between passes that the next snapshot does not show: a claim that is
//! still launching counts as capacity that is coming and pauses nobody.

mod batch;
mod market;
#[cfg(test)]
mod tests;
mod think;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::Cloud;
use planner::model::{Snapshot, Str};
use planner::plan::Plan;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::time::Instant;
use tracing::{debug, error, warn};

use crate::act::free::{self, KeptFree};
use crate::act::report::{self, Line, Phases};
use crate::act::{LaunchError, Launcher, Launching, Names, Nominations};
use crate::clock::Clock;
use crate::config::Config;
use crate::controllers::World;
use crate::events::Recorder;
use crate::observe::mirror::{Facts, Mirror};
use crate::observe::{InputError, Options};
use crate::telemetry::Metrics;
use batch::Batcher;
use market::Market;
use think::{Thought, think};

pub use batch::Wake;

/// While pods wait they are planned for again after so long. The reference's interval.
const RECHECK: Duration = Duration::from_secs(10);
/// How often pods that have a place are looked at, if they are few: something else may have taken it.
const STRAY_LOOK: Duration = Duration::from_secs(1);
/// With so many of them, as long again between two looks. The scheduler is busy, and whatever is bought meanwhile makes it
/// try all pods anew.
const MANY_STRAYS: usize = 500;

/// How long until pods that have a place, of which there are so many, are looked at again.
fn stray_look(n_promises: usize) -> Duration {
    let many = u32::try_from(n_promises / MANY_STRAYS).unwrap_or(u32::MAX);
    if n_promises == 0 { RECHECK } else { STRAY_LOOK.saturating_mul(many.saturating_add(1)).min(RECHECK) }
}

/// What the last pass came to, for those who ask.
#[derive(Clone, Debug)]
pub struct Decision {
    pub wake: Wake,
    pub snapshot: Arc<Snapshot>,
    pub plan: Arc<Plan>,
    /// The claim that was made for each launch, by the launch's name in the plan.
    pub claims: BTreeMap<Str, Str>,
    /// Objects that stayed out of the snapshot, and why.
    pub notes: Vec<String>,
    pub phases: Phases,
}

/// Everything the loop needs.
pub struct Decide<C> {
    pub mirror: Mirror,
    pub facts: Facts,
    /// Told which nodes pods are expected on.
    pub world: World,
    pub cloud: Arc<C>,
    /// Sends each request once: for creates.
    pub once: kube::Client,
    pub nominations: Nominations,
    pub recorder: Recorder,
    pub metrics: Metrics,
    pub clock: Clock,
    pub names: Names,
    pub settings: Settings,
    /// Told after each pass.
    pub decisions: watch::Sender<Option<Arc<Decision>>>,
}

/// What can be set about it.
#[derive(Clone, Debug)]
pub struct Settings {
    pub batch_idle: Duration,
    pub batch_max: Duration,
    /// How objects are read; its clock is set at each pass.
    pub options: Options,
}

impl Settings {
    /// From the settings of the process.
    pub fn of(config: &Config) -> Self {
        Self {
            batch_idle: config.batch_idle,
            batch_max: config.batch_max,
            options: Options {
                preference_policy: config.preference_policy,
                min_values_policy: config.min_values_policy,
                feature_gates: config.feature_gates,
                effort: config.effort,
                // In a cluster a status says what is ready.
                assume_ready: Some(false),
                instance_types_file: config.instance_types_file.clone(),
                scheduler_config: config.scheduler_config.clone(),
                ..Options::default()
            },
        }
    }
}

impl<C: Cloud> Decide<C> {
    /// Decides for ever. Dropped at any point it leaves nothing behind that the next start does not find.
    pub async fn run(self) {
        self.mirror.until_synced().await;
        let gates = self.settings.options.feature_gates;
        let terms_buy = gates.static_capacity || gates.capacity_buffer;
        let Settings { batch_idle, batch_max, .. } = self.settings;
        let mut batcher = Batcher::new(self.mirror.clone(), batch_idle, batch_max, terms_buy);
        let launcher = Launcher {
            once: self.once.clone(),
            mirror: self.mirror.clone(),
            clock: self.clock,
            metrics: self.metrics.clone(),
            names: self.names,
        };
        // Until it is known what claims were bought for, none of them opens.
        let starting = self.nominations.launching();
        self.mirror.promise_anew();
        let kinds = self.cloud.classes();
        self.nominations.adopt(|class| kinds.iter().any(|kind| kind.is(&class.group, &class.kind)));
        let mut pass = Pass {
            mirror: self.mirror,
            facts: self.facts,
            world: self.world,
            cloud: self.cloud,
            launcher,
            nominations: self.nominations,
            recorder: self.recorder,
            metrics: self.metrics,
            clock: self.clock,
            options: self.settings.options,
            market: Market::default(),
            decisions: self.decisions,
            said: Vec::new(),
            line: Line::default(),
            turn: 0,
            is_cut: false,
            starting: Some(starting).filter(|_| batcher.waits()),
        };
        loop {
            let wait = if pass.is_cut { Duration::ZERO } else { RECHECK };
            // A pod that is nominated does not wait; if it comes to nothing, it has to be planned anew all the same.
            let recheck = (batcher.waits() || pass.mirror.n_promises() > 0).then(|| Instant::now() + wait);
            let (wake, open) = loop {
                let look = recheck.map(|at| at.min(Instant::now() + stray_look(pass.mirror.n_promises())));
                let next = batcher.next(look).await;
                let is_early = next.0 == Wake::Recheck && recheck.is_some_and(|at| Instant::now() < at);
                if !is_early || pass.mirror.has_broken_promises(pass.clock.seconds()) {
                    break next;
                }
            };
            let seen = batcher.settle();
            let reconciling = pass.metrics.reconciling("provisioner");
            let outcome = pass.run(wake, open).await;
            for at in seen {
                pass.metrics.pods_scheduling_decision_duration_seconds.observe_since([], at);
            }
            reconciling.end(if outcome {
                crate::telemetry::Outcome::Success
            } else {
                crate::telemetry::Outcome::Error
            });
        }
    }
}

/// Why there is no snapshot of the present.
#[derive(Debug, thiserror::Error)]
pub enum Unseen {
    #[error("nothing is known yet: this replica does not lead, or its mirror is being filled")]
    NotYet,
    #[error("no snapshot can be taken: {0}")]
    Input(#[from] InputError),
    #[error("taking a snapshot was cut off: {0}")]
    CutOff(#[from] JoinError),
}

/// A snapshot of the present, as a pass would take it, for those who ask.
///
/// # Errors
/// While the mirror is not filled, and where a pass would come to nothing.
pub async fn observe<C: Cloud>(
    mirror: Mirror,
    facts: Facts,
    cloud: Arc<C>,
    options: Options,
    clock: Clock,
) -> Result<Snapshot, Unseen> {
    if !mirror.synced() {
        return Err(Unseen::NotYet);
    }
    let now = clock.seconds();
    let catalogs = Market::default().catalogs(&*cloud, &mirror, &facts, now).await;
    let options = Options { now, ..options };
    let kinds = cloud.classes().to_vec();
    let taken = clock.aside(move || mirror.snapshot(&kinds, &catalogs, &options)).await;
    Ok(taken??.snapshot)
}

/// One pass after another.
struct Pass<C> {
    mirror: Mirror,
    facts: Facts,
    world: World,
    cloud: Arc<C>,
    launcher: Launcher,
    nominations: Nominations,
    recorder: Recorder,
    metrics: Metrics,
    clock: Clock,
    options: Options,
    market: Market,
    decisions: watch::Sender<Option<Arc<Decision>>>,
    /// Notes of the last pass: each is said once while it lasts.
    said: Vec<String>,
    /// What the log said of the last plan.
    line: Line,
    /// The group with which the next pass begins, where there are too many for one.
    turn: usize,
    /// The last pass has left groups to the next.
    is_cut: bool,
    /// Until the first pass.
    starting: Option<Launching>,
}

impl<C: Cloud> Pass<C> {
    /// False if it came to nothing.
    async fn run(&mut self, wake: Wake, open: Duration) -> bool {
        // However it ends, nodes open after it.
        let starting = self.starting.take();
        self.launcher.settle_overdue().await;
        let now = self.clock.seconds();
        let catalogs = self.market.catalogs(&*self.cloud, &self.mirror, &self.facts, now).await;
        let options = Options { now, ..self.options.clone() };
        let (mirror, kinds) = (self.mirror.clone(), self.cloud.classes().to_vec());
        let pools = self.mirror.pools();
        let mut turn = self.turn;
        let buffers = free::versions(&self.mirror);
        let plain = self.options.feature_gates.node_overlay.then(|| catalogs.clone());
        let planning = self.metrics.planning(self.mirror.pending().len());
        let thinking = move || {
            let asked = (&kinds[..], &catalogs, &options);
            think(planner::plan, &mirror, asked, &mut turn).map(|thought| (thought, turn))
        };
        let thought = self.clock.aside(thinking).await;
        let Thought { snapshot, plan, faults, held_back, notes, mut phases, left } = match thought {
            Ok(Ok((thought, turn))) => {
                self.turn = turn;
                thought
            }
            Ok(Err(fault)) => {
                error!(error = %fault, "no snapshot can be taken");
                return false;
            }
            Err(join) => {
                error!(error = %join, "planning was cut off");
                self.metrics.plan_faults_total.inc(["panic"]);
                return false;
            }
        };
        drop(planning);
        self.say(&notes);
        self.is_cut = left > 0;
        if left > 0 {
            warn!(left, "too many kinds of pods for one pass: the next follows at once");
        }
        for fault in &faults {
            self.metrics.plan_faults_total.inc([fault.code()]);
            if fault.is_harmless() {
                error!(fault = %fault, "the plan is not the best, or a figure of it is wrong; it is acted on all the same");
            } else {
                error!(fault = %fault, "the plan is unsound and was dropped");
            }
        }
        if held_back > 0 {
            error!(pods = held_back, "what was planned for some pods is unsound: they wait, the others do not");
        }
        self.world.planned_with(&snapshot.pools);
        let Some(plan) = plan else { return false };
        let placed = plan.nominations.iter().map(|n| &n.pod).chain(plan.launches.iter().flat_map(|l| &l.pods));
        let refused = plan.unplaced.iter().flat_map(|u| &u.pods).chain(plan.ignored.iter().flat_map(|i| &i.pods));
        self.world.clocks.decided(placed, refused, now);
        phases.batch = open;
        let begun = Instant::now();
        let launching = (!plan.launches.is_empty()).then(|| self.nominations.launching());
        let made = self.launcher.launch(&plan.launches, &snapshot, &pools, plain.as_ref()).await;
        let is_whole = made.iter().all(|(_, claim)| claim.as_ref().err().is_none_or(LaunchError::is_wait));
        let told = made.iter().filter_map(|(launch, claim)| Some((launch.clone(), claim.as_ref().err()?.told()?)));
        let held: BTreeMap<Str, String> = told.collect();
        let claims: BTreeMap<Str, Str> =
            made.into_iter().filter_map(|(launch, claim)| Some((launch, claim.ok()?.metadata.name().into()))).collect();
        if starting.is_some() {
            self.nominations.recall(&snapshot);
        }
        self.nominations.remember(&snapshot, &plan, &claims);
        drop(launching);
        for host in free::visited(&snapshot, &plan, &claims) {
            self.world.nominate(host, now);
        }
        let before = self.world.kept_free().borrow().clone().filter(|_| left > 0 || held_back > 0);
        self.world.keeps_free(KeptFree::of((&snapshot, &plan), &claims, buffers, before.as_deref()));
        for claim in self.mirror.promised() {
            let node = self.mirror.claim(&claim).and_then(|claim| self.mirror.node_of(&claim));
            self.world.nominate(node.as_ref().map_or(&claim, |node| &node.metadata.name), now);
        }
        report::report(&snapshot, &plan, (&claims, &held), &self.mirror, &self.recorder, &self.metrics);
        report::log(&snapshot, &plan, &mut self.line);
        phases.act = begun.elapsed();
        phases.observe(&self.metrics);
        debug!(?wake, ?phases, "decided");
        let (snapshot, plan) = (Arc::new(snapshot), Arc::new(plan));
        let decision = Decision { wake, snapshot, plan, claims, notes, phases };
        self.decisions.send_replace(Some(Arc::new(decision)));
        is_whole
    }

    /// Says what was left out, once while it lasts.
    fn say(&mut self, notes: &[String]) {
        for note in notes.iter().filter(|note| !self.said.contains(note)) {
            warn!(note, "left out of the plan");
        }
        self.said = notes.to_vec();
    }
}
