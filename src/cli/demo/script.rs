//! Plays a scenario: does what its steps say, waits for what they wait for, and says what was missing when it does not
//! come.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use crds::names::core::NODE_POOL;
use serde_json::Value;
use sim::invariants::{When, breaches, leftovers};
use sim::kube::{DeleteOptions, Id, Key, Object, Part};
use tokio::time::{Instant, sleep};

use super::chronicle::{Chronicle, claims, is_daemon};
use super::lines::clock;
use super::on_ec2::moved_zone;
use super::pace::Pace;
use super::scenario::{Act, Goal, Scenario, Step};
use super::shelves::Shelves;
use super::stage::Stage;
use super::timeline::MomentKind;
use super::told::{count, dollars};

/// The namespace of the shop.
const NAMESPACE: &str = "shop";
const WORKLOADS: [Id; 2] = [Id::DEPLOYMENT, Id::STATEFUL_SET];
/// Pods and leftovers that a failure names.
const MOST_NAMED: usize = 5;

/// Plays the whole scenario.
///
/// # Errors
/// When a step does not come to what it waits for; the error says what was missing.
pub async fn play(scenario: &Scenario, stage: &Stage, chronicle: &Chronicle, pace: &Pace) -> Result<()> {
    let run = Run { scenario, stage, chronicle, pace };
    for step in &scenario.steps {
        run.step(step).await?;
        sleep(step.rest.min(pace.longest_rest)).await;
    }
    Ok(())
}

struct Run<'a> {
    scenario: &'a Scenario,
    stage: &'a Stage,
    chronicle: &'a Chronicle,
    pace: &'a Pace,
}

impl Run<'_> {
    async fn step(&self, step: &Step) -> Result<()> {
        self.chronicle.tell(MomentKind::Scripted, step.says.as_str());
        let (begun, refused) = (Instant::now(), self.chronicle.n_refused());
        let mut interrupted = None;
        for act in &step.acts {
            if *act == Act::Interrupt {
                interrupted = Some(self.interrupt().with_context(|| step.says.clone())?);
            } else {
                self.act(act).with_context(|| step.says.clone())?;
            }
        }
        self.wait(step, begun).await?;
        if let Some(wanted) = step.wants.filter(|wanted| !self.stage.shelves.has(wanted)) {
            bail!("{}: no {wanted} was bought for it", step.says);
        }
        if let Some(machines) = interrupted {
            self.chronicle.survived_storm(machines);
        }
        let (nodes, hourly) = self.chronicle.fleet();
        let text = match step.until {
            Goal::AllRun | Goal::AtRest => {
                let what = if step.until == Goal::AllRun { "run" } else { "run and the cluster is at rest" };
                let pods = self.pods().len();
                format!("all {} {what} on {} at {}/h", count(pods, "pod"), count(nodes, "node"), dollars(hourly))
            }
            Goal::Gone => "every pod and every node is gone".to_owned(),
        };
        let took = clock(begun.elapsed().as_secs());
        self.chronicle.tell(MomentKind::Reached, format!("{text}, {took} after the change"));
        if step.is_shortage {
            if self.chronicle.n_refused() == refused {
                bail!("{}: no launch was refused, so nothing was shown", step.says);
            }
            self.chronicle.survived();
        }
        let found = breaches(&self.stage.server, When::AtRest);
        if let Some(first) = found.first() {
            for breach in &found {
                self.chronicle.breach(breach.to_string());
            }
            bail!("{}: what must never be: {first}", step.says);
        }
        Ok(())
    }

    async fn wait(&self, step: &Step, begun: Instant) -> Result<()> {
        let (mut moves, mut since) = (usize::MAX, Instant::now());
        loop {
            sleep(self.pace.poll).await;
            if self.stage.is_left_alone() {
                bail!("{}: the controller has ended", step.says);
            }
            let now = self.chronicle.n_moves();
            if now != moves {
                (moves, since) = (now, Instant::now());
            }
            let missing = match step.until {
                Goal::AtRest if since.elapsed() < self.pace.quiet => Some(self.restless(since.elapsed())),
                Goal::AllRun | Goal::AtRest => self.not_running(),
                Goal::Gone => self.still_there(),
            };
            let Some(missing) = missing else { return Ok(()) };
            if begun.elapsed() > step.within {
                let limit = clock(step.within.as_secs());
                bail!("{}: not reached within {limit}: {missing}{}", step.says, self.why());
            }
        }
    }

    fn act(&self, act: &Act) -> Result<()> {
        match act {
            Act::PutAll => self.scenario.objects.iter().try_for_each(|object| self.put(object)),
            Act::Scale { deployment, replicas } => self.scale(deployment, *replicas),
            Act::PutLater => self.scenario.later.iter().try_for_each(|object| self.put(object)),
            Act::SellOut(patterns) => {
                let is_moved = matches!(self.stage.shelves, Shelves::Ec2(_));
                let here = |text: &&str| if is_moved { moved_zone(text) } else { (*text).to_owned() };
                self.stage.shelves.set_out(&patterns.iter().map(here).collect::<Vec<_>>())
            }
            Act::Interrupt => self.interrupt().map(drop),
            Act::CloseDown => {
                for object in
                    [Id::DEPLOYMENT, Id::STATEFUL_SET, Id::DAEMON_SET, Id::JOB].map(|id| self.stage.direct.list(id))
                {
                    object.iter().try_for_each(|object| self.delete(object))?;
                }
                Ok(())
            }
        }
    }

    /// Takes all spot machines back; how many there are.
    fn interrupt(&self) -> Result<usize> {
        let machines = self.stage.shelves.interrupt()?;
        if machines == 0 {
            bail!("there is no spot machine to take back, so nothing would be shown");
        }
        let given = format!("{} given two minutes' notice", count(machines, "spot machine"));
        self.chronicle.tell(MomentKind::Scripted, given);
        Ok(machines)
    }

    fn put(&self, object: &Value) -> Result<()> {
        let named = || format!("create {} {}", object["kind"], object["metadata"]["name"]);
        self.stage.direct.put(object.clone()).map_err(|status| anyhow::anyhow!("{status:?}")).with_context(named)?;
        Ok(())
    }

    fn scale(&self, deployment: &str, replicas: usize) -> Result<()> {
        let change = |old: &Value| {
            let mut new = old.clone();
            new["spec"]["replicas"] = replicas.into();
            new
        };
        let key = Key::new(NAMESPACE, deployment);
        let scaled = self.stage.direct.update(Id::DEPLOYMENT, &key, Part::Main, change);
        scaled.map_err(|status| anyhow::anyhow!("{status:?}")).with_context(|| format!("scale {key} to {replicas}"))?;
        Ok(())
    }

    fn delete(&self, object: &Object) -> Result<()> {
        let (key, options) = (object.key(), DeleteOptions::default());
        let deleted = self.stage.direct.delete(object.id(), &key, &options);
        deleted.map_err(|status| anyhow::anyhow!("{status:?}")).with_context(|| format!("delete {key}"))?;
        Ok(())
    }

    /// Pods that do not belong to a `DaemonSet` and have work to do.
    fn pods(&self) -> Vec<std::sync::Arc<Object>> {
        let is_over = |pod: &Object| matches!(pod.text("/status/phase"), "Succeeded" | "Failed");
        self.stage.direct.list(Id::POD).into_iter().filter(|pod| !is_daemon(pod) && !is_over(pod)).collect()
    }

    /// Jobs of one pod that have not ended.
    fn n_jobs(&self) -> u64 {
        self.stage.direct.list(Id::JOB).iter().filter(|job| !job.is_condition_true("Complete")).count() as u64
    }

    /// What is missing until every replica is ready.
    fn not_running(&self) -> Option<String> {
        let replicas = |object: &Object| object.at("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
        let workloads = WORKLOADS.iter().flat_map(|id| self.stage.direct.list(*id));
        let wanted: u64 = workloads.map(|workload| replicas(&workload)).sum::<u64>() + self.n_jobs();
        let warned = self.stage.shelves.n_warned();
        if warned > 0 {
            return Some(format!("{} with notice still there", count(warned, "machine")));
        }
        let pods = self.pods();
        let is_ready = |pod: &&std::sync::Arc<Object>| !pod.is_deleting() && pod.is_condition_true("Ready");
        let ready = pods.iter().filter(is_ready).count();
        if ready as u64 == wanted && pods.len() == ready {
            return None;
        }
        let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
        for pod in pods.iter().filter(|pod| !is_ready(pod)) {
            *waiting.entry(pod.label("app").unwrap_or_else(|| pod.name())).or_default() += 1;
        }
        let named: Vec<String> = waiting.iter().take(MOST_NAMED).map(|(app, n)| format!("{n} of {app}")).collect();
        let more = if waiting.len() > MOST_NAMED { ", …" } else { "" };
        Some(format!("{ready} of {wanted} pods are ready; not ready are {}{more}", named.join(", ")))
    }

    fn restless(&self, quiet: Duration) -> String {
        let (nodes, _) = self.chronicle.fleet();
        format!("the last of {} came or went only {} ago", count(nodes, "node"), clock(quiet.as_secs()))
    }

    /// What is left of pods, nodes and claims.
    fn still_there(&self) -> Option<String> {
        let mut left = leftovers(&self.stage.server);
        left.extend(self.pods().iter().map(|pod| format!("Pod {}", pod.key())));
        let named: Vec<String> = left.iter().take(MOST_NAMED).cloned().collect();
        let more = if left.len() > MOST_NAMED { ", …" } else { "" };
        (!left.is_empty()).then(|| format!("{} still there: {}{more}", left.len(), named.join(", ")))
    }

    /// The controller's own reasons, and machines that did not come.
    fn why(&self) -> String {
        let mut why = String::new();
        if let Some(words) = self.chronicle.unplaced() {
            let first = words.details.first().map(String::as_str).unwrap_or_default();
            let _ = write!(why, "; the last plan: {}, {first}", words.text);
        }
        if let Some(pod) = self.pods().iter().find(|pod| pod.text("/spec/nodeName").is_empty()) {
            let said = pod.condition("PodScheduled").and_then(|condition| condition["message"].as_str());
            let _ = write!(why, "; the scheduler of {}: {}", pod.name(), said.unwrap_or("nothing yet"));
            let meant = self.stage.ground.insight.decisions().borrow().clone().and_then(|decision| {
                let key = pod.key().to_string();
                let found = decision.plan.nominations.iter().find(|nomination| *nomination.pod == *key);
                found.map(|nomination| nomination.node.to_string())
            });
            if let Some(node) = meant {
                let _ = write!(why, "; the last plan sends it to {node}");
            }
        }
        let joined = self.stage.direct.list(Id::NODE).iter().filter(|node| node.label(NODE_POOL).is_some()).count();
        let bought = self.stage.direct.list(claims()).len();
        if bought > joined {
            let _ = write!(why, "; {} wait for their nodes", count(bought - joined, "claim"));
        }
        why
    }
}
