//! `millwright explain`: why a pod, a node or a pool is as it is.

mod node;
mod nodepool;
mod pod;
mod rooms;
mod settled;
mod verdicts;

use anyhow::Result;
use planner::model::{MicroUsdPerHour, Snapshot};
use planner::plan::{Plan, RankedOffering};
use serde::Serialize;

use super::args::{ExplainArgs, ExplainKind, Plain};
use super::exit::{DONE, UNPLACED};
use super::near::near;
use super::phases::Phases;
use super::plan::{print, to_json};
use super::{cluster, input};
use pod::Other;

/// An answer in both forms.
pub struct Answer {
    pub table: String,
    pub json: String,
    /// What was asked about has a place, or works.
    pub well: bool,
}

/// An offering with its price, as `plan -o json` writes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfferingRow {
    pub instance_type: String,
    pub zone: String,
    pub capacity_type: &'static str,
    pub hourly_price: String,
}

impl From<&RankedOffering> for OfferingRow {
    fn from(offering: &RankedOffering) -> Self {
        let RankedOffering { price, capacity_type, instance_type, zone, .. } = offering;
        Self::new(instance_type, zone, capacity_type.as_str(), *price)
    }
}

impl OfferingRow {
    fn new(instance_type: &str, zone: &str, capacity_type: &'static str, price: MicroUsdPerHour) -> Self {
        let (instance_type, zone) = (instance_type.to_string(), zone.to_string());
        Self { instance_type, zone, capacity_type, hourly_price: price.to_string() }
    }
}

/// Plans, then tells about one thing. Exit code 2 where it has no place or cannot be used.
pub fn run(args: &ExplainArgs) -> Result<u8> {
    let mut phases = Phases::new(args.input.verbose);
    let (snapshot, plan, others, replicas) = if let Some(controller) = &args.controller {
        let recording = phases.run("fetch", || cluster::recording(controller))?;
        (recording.snapshot, recording.plan, Vec::new(), None)
    } else {
        let observed = input::observe(&args.input, &args.validate, &mut phases)?;
        let plan = phases.run("plan", || planner::plan(&observed.snapshot));
        let others = observed.objects.pods.iter().map(|pod| Other::of(&pod.object)).collect();
        let replicas = nodepool::replicas(&args.name, &observed.objects);
        (observed.snapshot, plan, others, replicas)
    };
    let answer = phases.run("explain", || match args.kind {
        ExplainKind::Pod => pod::explain(&args.name, &snapshot, &others, &plan),
        ExplainKind::Node => node::explain(&args.name, &snapshot, &plan),
        ExplainKind::Nodepool => nodepool::explain(&args.name, replicas, &snapshot, &plan),
    })?;
    print(if args.output == Plain::Json { &answer.json } else { &answer.table })?;
    phases.report();
    Ok(if answer.well { DONE } else { UNPLACED })
}

/// Why a pod is where it is or nowhere, as `explain pod -o json` prints it.
///
/// # Errors
/// When there is no such pod.
pub fn pod_as_json(name: &str, snapshot: &Snapshot, plan: &Plan) -> Result<String> {
    pod::explain(name, snapshot, &[], plan).map(|answer| answer.json)
}

/// An answer from its two forms.
fn answer<T: Serialize>(table: String, document: &T, well: bool) -> Result<Answer> {
    Ok(Answer { table, json: to_json(document)?, well })
}

/// There is no such thing; names what may have been meant.
fn unknown<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> anyhow::Error {
    let known: Vec<&str> = known.into_iter().collect();
    let meant = near(name, known.iter().copied(), 5);
    let remedy = match (meant.is_empty(), known.is_empty()) {
        (false, _) => format!("did you mean {}?", meant.join(", ")),
        (true, true) => format!("the input holds no {kind}"),
        (true, false) => format!("known: {}", super::text::some(&known, 10)),
    };
    anyhow::anyhow!("{kind} {name}: not in the input nor in the plan for it\n  remedy: {remedy}")
}
