//! A plan as the documented JSON (and, through it, YAML): the same bytes for the same plan.

use std::collections::BTreeMap;

use planner::model::resources::quantity;
use planner::model::{Code, MicroUsdPerHour, Pool, Reason, Resources, Snapshot, Taint};
use planner::plan::{Launch, Plan, RankedOffering, Unplaced};
use serde::Serialize;

use super::offerings;

/// The answer of `millwright plan`, fields in the order they are printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    api_version: &'static str,
    kind: &'static str,
    pub summary: Summary,
    pub launches: Vec<LaunchRow>,
    pub nominations: Vec<NominationRow>,
    /// Nodes to give up: part of the contract, and empty, as a plan proposes none yet.
    disruptions: Vec<serde_json::Value>,
    pub unplaced: Vec<UnplacedRow>,
    pub ignored: Vec<IgnoredRow>,
    /// Nodes that are not given up, and why: likewise.
    kept: Vec<serde_json::Value>,
}

/// The plan in ten numbers. Money is decimal US dollars per hour.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub pods: usize,
    pub placed_on_existing_nodes: usize,
    pub placed_on_new_nodes: usize,
    pub unplaced: usize,
    pub ignored: usize,
    pub new_nodes: usize,
    pub hourly_cost: String,
    pub hourly_cost_lower_bound: String,
    /// Cost over the bound, in percent, rounded to a tenth.
    pub gap_percent: f64,
    pub greedy_hourly_cost: String,
    /// The cost itself disproves the bound.
    #[serde(skip)]
    pub is_bound_disproved: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchRow {
    pub name: String,
    pub node_pool: String,
    pub instance_type: String,
    pub zone: String,
    pub capacity_type: &'static str,
    pub hourly_price: String,
    offerings: Vec<OfferingRow>,
    offerings_total: usize,
    requests: BTreeMap<String, String>,
    allocatable: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    taints: Vec<TaintRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    startup_taints: Vec<TaintRow>,
    pub pods: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OfferingRow {
    instance_type: String,
    zone: String,
    capacity_type: &'static str,
    hourly_price: String,
}

#[derive(Serialize)]
struct TaintRow {
    key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    value: String,
    effect: &'static str,
}

#[derive(Serialize)]
pub struct NominationRow {
    pub pod: String,
    pub node: String,
}

#[derive(Serialize)]
pub struct UnplacedRow {
    pub pods: Vec<String>,
    pub reasons: Vec<ReasonRow>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReasonRow {
    pub node_pool: String,
    pub code: Code,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest_miss: Option<String>,
}

#[derive(Serialize)]
pub struct IgnoredRow {
    pub pods: Vec<String>,
    pub code: Code,
    pub message: String,
}

/// The document for a plan of a snapshot.
pub fn document(snapshot: &Snapshot, plan: &Plan) -> Document {
    let pools: BTreeMap<&str, &Pool> = snapshot.pools.iter().map(|pool| (pool.name.as_ref(), pool)).collect();
    Document {
        api_version: "millwright.dev/v1alpha1",
        kind: "Plan",
        summary: summary(snapshot, plan),
        launches: plan
            .launches
            .iter()
            .map(|launch| launch_row(launch, pools.get(launch.pool.as_ref()).copied()))
            .collect(),
        nominations: plan
            .nominations
            .iter()
            .map(|n| NominationRow { pod: n.pod.to_string(), node: n.node.to_string() })
            .collect(),
        disruptions: Vec::new(),
        unplaced: plan.unplaced.iter().map(unplaced_row).collect(),
        ignored: plan
            .ignored
            .iter()
            .map(|i| IgnoredRow { pods: strings(&i.pods), code: i.code, message: i.message.clone() })
            .collect(),
        kept: Vec::new(),
    }
}

/// The ten numbers; stand-ins of capacity buffers are not counted.
pub fn summary(snapshot: &Snapshot, plan: &Plan) -> Summary {
    let stand_ins: std::collections::BTreeSet<&str> =
        snapshot.groups.iter().flat_map(|g| &g.pods).filter(|p| p.stand_in).map(|p| p.key.as_ref()).collect();
    let real =
        |pods: &mut dyn Iterator<Item = &planner::model::Str>| pods.filter(|p| !stand_ins.contains(p.as_ref())).count();
    Summary {
        pods: plan.pods,
        placed_on_existing_nodes: real(&mut plan.nominations.iter().map(|n| &n.pod)),
        placed_on_new_nodes: real(&mut plan.launches.iter().flat_map(|l| &l.pods)),
        unplaced: plan.unplaced.iter().map(|u| u.pods.len()).sum(),
        ignored: plan.ignored.iter().map(|i| i.pods.len()).sum(),
        new_nodes: plan.launches.len(),
        hourly_cost: plan.cost.to_string(),
        hourly_cost_lower_bound: plan.cost_lower_bound.to_string(),
        gap_percent: gap_percent(plan.cost, plan.cost_lower_bound),
        greedy_hourly_cost: plan.greedy_cost.to_string(),
        is_bound_disproved: plan.cost_lower_bound > plan.cost,
    }
}

/// Cost over bound in percent, to a tenth; 0 where nothing is bought, 100 where nothing is proven.
pub fn gap_percent(cost: MicroUsdPerHour, bound: MicroUsdPerHour) -> f64 {
    match (cost.0, bound.0) {
        (cost, _) if cost <= 0 => 0.0,
        (_, bound) if bound <= 0 => 100.0,
        (cost, bound) => ((cost as f64 / bound as f64 - 1.0) * 1000.0).round().max(0.0) / 10.0,
    }
}

fn launch_row(launch: &Launch, pool: Option<&Pool>) -> LaunchRow {
    let (instance_type, zone, capacity_type) = match launch.chosen() {
        Some(o) => (o.instance_type.to_string(), o.zone.to_string(), o.capacity_type.as_str()),
        None => (String::new(), String::new(), ""),
    };
    let taints = |list: &[Taint]| -> Vec<TaintRow> {
        let row =
            |t: &Taint| TaintRow { key: t.key.to_string(), value: t.value.to_string(), effect: t.effect.as_str() };
        list.iter().map(row).collect()
    };
    LaunchRow {
        name: launch.name.to_string(),
        node_pool: launch.pool.to_string(),
        instance_type,
        zone,
        capacity_type,
        hourly_price: launch.price().to_string(),
        offerings: offerings::shown(launch, pool).into_iter().map(offering_row).collect(),
        offerings_total: launch.offerings_total,
        requests: amounts(&launch.requests),
        allocatable: amounts(&launch.allocatable),
        labels: launch.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        taints: taints(&launch.taints),
        startup_taints: taints(&launch.startup_taints),
        pods: strings(&launch.pods),
    }
}

/// Each message names the pods, so that it can be read by itself.
fn unplaced_row(unplaced: &Unplaced) -> UnplacedRow {
    let who = match unplaced.pods.as_slice() {
        [] => String::new(),
        [pod] => format!("pod {pod}: "),
        [first, others @ ..] => format!("pod {first} and {} more: ", others.len()),
    };
    let named = |reason: &Reason| ReasonRow { message: format!("{who}{}", reason.message), ..reason.into() };
    UnplacedRow { pods: strings(&unplaced.pods), reasons: unplaced.reasons.iter().map(named).collect() }
}

fn offering_row(offering: &RankedOffering) -> OfferingRow {
    OfferingRow {
        instance_type: offering.instance_type.to_string(),
        zone: offering.zone.to_string(),
        capacity_type: offering.capacity_type.as_str(),
        hourly_price: offering.price.to_string(),
    }
}

impl From<&Reason> for ReasonRow {
    fn from(reason: &Reason) -> Self {
        Self {
            node_pool: reason.pool.to_string(),
            code: reason.code,
            message: reason.message.clone(),
            nearest_miss: reason.nearest_miss.clone(),
        }
    }
}

fn amounts(resources: &Resources) -> BTreeMap<String, String> {
    resources.iter().map(|(name, amount)| (name.to_string(), quantity(name, amount).to_string())).collect()
}

fn strings(list: &[planner::model::Str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}
