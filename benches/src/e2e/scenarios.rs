//! The scenarios, phase by phase.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use control_plane::wait_for;

use super::cluster::Cluster;
use super::controller::{Controller, Start};
use super::options::{Options, Scenario};
use super::planned;
use super::row::Row;
use super::workload::{Deployment, Placement, twenty, two_sizes};

/// No phase takes longer on a machine that does nothing else.
const PHASE_LIMIT: Duration = Duration::from_mins(10);
/// How long claims may be ahead of their nodes when a phase ends.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);
/// Time between two looks at the counts. Each look costs the API server one small list.
const LOOK: Duration = Duration::from_millis(100);
/// The memory of a small container, in bytes.
const SMALL_MEMORY: u64 = 256 << 20;

pub fn run(scenario: Scenario, options: &Options) -> anyhow::Result<Vec<Row>> {
    let share = if options.quick { 10 } else { 1 };
    let enforced = ("MILLWRIGHT_ENFORCE_PLACEMENT".to_owned(), (!options.loose).to_string());
    let how = Start { arguments: &[], environment: vec![enforced], logs: options.logs.clone(), memory: None };
    match scenario {
        Scenario::Basic => basic(1000 / share, how),
        Scenario::Wide => wide(5120 / share, how),
        Scenario::Stuck => stuck(15_000 / share, how),
        Scenario::Crash => crash(1000 / share, how),
    }
}

fn basic(n_pods: u64, how: Start) -> anyhow::Result<Vec<Row>> {
    let cluster = Cluster::start("30s")?;
    let mut bench = Bench::new(Scenario::Basic, &cluster, how)?;
    let up = bench.fill(&two_sizes(n_pods))?;
    let down = bench.phase(
        &format!("{n_pods} to {} pods", n_pods * 7 / 10),
        || scale_all(&cluster, &two_sizes(n_pods * 7 / 10)),
        all_run,
    )?;
    let none = bench.phase(
        &format!("{} to 0 pods, to the last node", n_pods * 7 / 10),
        || scale_all(&cluster, &two_sizes(0)),
        nothing_left,
    )?;
    Ok(vec![up, down, none])
}

fn wide(n_pods: u64, how: Start) -> anyhow::Result<Vec<Row>> {
    // Nodes stay, to see how long the same pods take where all of them are there already.
    let cluster = Cluster::start("1h")?;
    let mut bench = Bench::new(Scenario::Wide, &cluster, how)?;
    let all = twenty(n_pods);
    let up = bench.fill(&all)?;
    let none: Vec<_> = all.iter().map(|deployment| Deployment { replicas: 0, ..deployment.clone() }).collect();
    let down =
        bench.phase(&format!("{n_pods} pods to none, the nodes stay"), || scale_all(&cluster, &none), all_run)?;
    let again =
        bench.phase(&format!("0 to {n_pods} pods on nodes that are there"), || scale_all(&cluster, &all), all_run)?;
    Ok(vec![up, down, again])
}

fn stuck(n_pods: u64, how: Start) -> anyhow::Result<Vec<Row>> {
    let cluster = Cluster::start("30s")?;
    let how = Start { memory: Some(SMALL_MEMORY), ..how };
    let mut bench = Bench::new(Scenario::Stuck, &cluster, how)?;
    let nowhere = Deployment {
        name: "nowhere".to_owned(),
        replicas: n_pods,
        cpu: "100m",
        memory: "64Mi",
        placement: Placement::Nowhere,
    };
    let flood = bench.phase(
        &format!("{n_pods} pods that fit nowhere, until all are known to and one says why"),
        || cluster.create(std::slice::from_ref(&nowhere)),
        |bench| {
            let n_known = bench.running()?.metric("karpenter_scheduler_unschedulable_pods_count")?;
            Ok(n_known >= n_pods as f64 && bench.cluster.has_event("FailedScheduling")?)
        },
    )?;
    let small = Deployment { name: "small".to_owned(), replicas: 1, placement: Placement::Anywhere, ..nowhere };
    let meanwhile = bench.phase(
        "one small pod beside them",
        || cluster.create(&[small]),
        |bench| Ok(bench.cluster.pods()?.n_ready == 1),
    )?;
    ensure!(bench.n_started == 1, "the controller was started {} times", bench.n_started);
    Ok(vec![flood, meanwhile])
}

fn crash(n_nodes: u64, how: Start) -> anyhow::Result<Vec<Row>> {
    let cluster = Cluster::start("0s")?;
    let mut bench = Bench::new(Scenario::Crash, &cluster, how)?;
    let alone = |replicas| Deployment {
        name: "alone".to_owned(),
        replicas,
        cpu: "500m",
        memory: "512Mi",
        placement: Placement::OnePerHost,
    };
    let up = bench.phase_with_a_kill(
        &format!("0 to {n_nodes} nodes, killed at a third"),
        || cluster.create(&[alone(n_nodes)]),
        |bench| Ok(bench.cluster.n_nodes()? >= n_nodes / 3),
        all_run,
    )?;
    ensure!(up.nodes == n_nodes, "{n_nodes} nodes were due and {} were bought", up.nodes);
    let down = bench.phase_with_a_kill(
        &format!("{n_nodes} nodes to none, killed at two thirds"),
        || cluster.scale("alone", 0),
        |bench| Ok(bench.cluster.n_nodes()? <= n_nodes * 2 / 3),
        nothing_left,
    )?;
    Ok(vec![up, down])
}

fn scale_all(cluster: &Cluster, deployments: &[Deployment]) -> anyhow::Result<()> {
    deployments.iter().try_for_each(|deployment| cluster.scale(&deployment.name, deployment.replicas))
}

fn all_run(bench: &Bench) -> anyhow::Result<bool> {
    Ok(bench.cluster.pods()?.all_run())
}

fn nothing_left(bench: &Bench) -> anyhow::Result<bool> {
    Ok(bench.cluster.n_nodes()? == 0 && bench.cluster.n_claims()? == 0)
}

/// A cluster, its controller, and what has been counted so far.
struct Bench<'a> {
    scenario: Scenario,
    cluster: &'a Cluster,
    how: Start,
    /// None only between a kill and the next start.
    controller: Option<Controller>,
    n_started: u32,
    /// CPU and decision seconds of controllers that were killed in this phase.
    of_the_killed: (f64, f64),
}

impl<'a> Bench<'a> {
    fn new(scenario: Scenario, cluster: &'a Cluster, how: Start) -> anyhow::Result<Self> {
        let controller = Some(Controller::start(&cluster.stack, 0, scenario.name(), &how)?);
        Ok(Self { scenario, cluster, how, controller, n_started: 1, of_the_killed: (0.0, 0.0) })
    }

    /// From nothing to these Deployments, beside what they would cost if all were planned at once.
    fn fill(&mut self, deployments: &[Deployment]) -> anyhow::Result<Row> {
        let planned = planned::hourly_cost(&self.cluster.setting, deployments)?;
        let n_pods: u64 = deployments.iter().map(|deployment| deployment.replicas).sum();
        let cluster = self.cluster;
        let row = self.phase(&format!("0 to {n_pods} pods"), || cluster.create(deployments), all_run)?;
        Ok(Row { planned_hourly_cost: Some(planned), ..row })
    }

    fn phase(
        &mut self,
        name: &str,
        change: impl FnOnce() -> anyhow::Result<()>,
        is_done: impl Fn(&Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Row> {
        self.measure(name, change, |bench| bench.wait(name, &is_done))
    }

    /// Kills the controller when it is time, and starts it anew at once.
    fn phase_with_a_kill(
        &mut self,
        name: &str,
        change: impl FnOnce() -> anyhow::Result<()>,
        is_time: impl Fn(&Self) -> anyhow::Result<bool>,
        is_done: impl Fn(&Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Row> {
        self.measure(name, change, |bench| {
            bench.wait(&format!("{name} (the kill)"), &is_time)?;
            let killed = bench.used()?;
            if let Some(controller) = bench.controller.take() {
                controller.kill()?;
            }
            bench.of_the_killed.0 += killed.0;
            bench.of_the_killed.1 += killed.1;
            bench.controller =
                Some(Controller::start(&bench.cluster.stack, bench.n_started, bench.scenario.name(), &bench.how)?);
            bench.n_started += 1;
            bench.wait(name, &is_done)
        })
    }

    fn measure(
        &mut self,
        name: &str,
        change: impl FnOnce() -> anyhow::Result<()>,
        until: impl FnOnce(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<Row> {
        let requests_before = self.cluster.stack.audit_by_verb()?;
        let (cpu_before, decision_before) = self.used()?;
        self.of_the_killed = (0.0, 0.0);
        let begin = Instant::now();
        change()?;
        until(self)?;
        let seconds = begin.elapsed().as_secs_f64();
        let (cpu, decision) = self.used()?;
        let peak_rss_mb = self.running()?.usage()?.peak_rss_mib;
        let mut requests = self.cluster.stack.audit_by_verb()?;
        for (verb, n_before) in requests_before {
            requests.entry(verb).and_modify(|n| *n -= n_before);
        }
        requests.retain(|_, n| *n > 0);
        // A node and its claim do not go at the same instant.
        wait_for("nodes and claims match", SETTLE_LIMIT, || self.cluster.check_nothing_leaked())?;
        let fleet = self.cluster.fleet()?;
        // A controller that was started in this phase had used nothing before it.
        Ok(Row {
            scenario: self.scenario.name(),
            phase: name.to_owned(),
            seconds,
            decision_seconds: decision + self.of_the_killed.1 - decision_before,
            cpu_seconds: cpu + self.of_the_killed.0 - cpu_before,
            peak_rss_mb,
            nodes: fleet.n_nodes,
            hourly_cost: fleet.cost.to_string(),
            planned_hourly_cost: None,
            requests_by_verb: requests,
        })
    }

    fn running(&self) -> anyhow::Result<&Controller> {
        self.controller.as_ref().context("no controller runs")
    }

    /// CPU and decision seconds of the controller that runs.
    fn used(&self) -> anyhow::Result<(f64, f64)> {
        let controller = self.running()?;
        let decision = controller.metric("karpenter_scheduler_scheduling_duration_seconds_sum")?;
        Ok((controller.usage()?.cpu_seconds, decision))
    }

    fn wait(&mut self, what: &str, is_done: &impl Fn(&Self) -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let begin = Instant::now();
        loop {
            if is_done(self)? {
                return Ok(());
            }
            if let Some(controller) = &mut self.controller {
                controller.check_alive()?;
            }
            if begin.elapsed() > PHASE_LIMIT {
                let (pods, nodes) = (self.cluster.pods()?, self.cluster.n_nodes()?);
                bail!("not within {PHASE_LIMIT:?}: {what}; last seen: {pods:?}, {nodes} nodes");
            }
            thread::sleep(LOOK);
        }
    }
}
