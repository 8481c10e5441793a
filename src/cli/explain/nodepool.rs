//! `explain nodepool`: can it be used, how much of its limits is used, what it can buy, what it buys, whom it refuses.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use planner::model::resources::NODES;
use planner::model::shown::shown;
use planner::model::{Code, MicroUsdPerHour, Pool, Resources, Snapshot, labels};
use planner::plan::Plan;
use serde::Serialize;

use super::super::market::{choices, distinct};
use super::super::text::{columns, count, some};
use super::{Answer, answer, unknown};
use crate::observe::Objects;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PoolAnswer {
    kind: &'static str,
    name: String,
    ready: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    weight: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    replicas: Option<i64>,
    /// Of `replicas` that are asked for: that the gate is off.
    #[serde(skip)]
    is_idle: bool,
    /// Of `replicas`: how many are missing that cannot be bought, and why.
    #[serde(skip)]
    short: Option<String>,
    requirements: String,
    taints: Vec<String>,
    limits: Vec<LimitRow>,
    catalogue: Catalogue,
    nodes: Vec<String>,
    launches: Vec<LaunchRow>,
    /// Of the launches, decimal US dollars per hour.
    hourly_cost: String,
    refused: Vec<RefusedRow>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LimitRow {
    resource: String,
    limit: String,
    /// Of nodes and claims that are not on their way out.
    used: String,
    /// The same with the launches of this plan.
    after: String,
}

/// What its requirements leave of what its node class sells.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Catalogue {
    instance_types: usize,
    of_instance_types: usize,
    offerings: usize,
    unavailable: usize,
    zones: Vec<String>,
    capacity_types: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cheapest: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LaunchRow {
    name: String,
    instance_type: String,
    zone: String,
    capacity_type: &'static str,
    hourly_price: String,
    pods: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RefusedRow {
    pods: Vec<String>,
    code: Code,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest_miss: Option<String>,
}

/// How many nodes a static pool asks for; the planner's pool has none while the feature gate is off.
pub fn replicas(name: &str, objects: &Objects) -> Option<i64> {
    objects.node_pools.iter().find(|pool| *pool.object.metadata.name == *name)?.object.spec.replicas
}

/// The answer for a pool; `replicas` are those of its object, where that is at hand.
pub fn explain(name: &str, replicas: Option<i64>, snapshot: &Snapshot, plan: &Plan) -> Result<Answer> {
    let pool = snapshot
        .pools
        .iter()
        .find(|pool| *pool.name == *name)
        .ok_or_else(|| unknown("NodePool", name, snapshot.pools.iter().map(|pool| pool.name.as_ref())))?;
    let belongs = |of: &Option<planner::model::Str>| of.as_ref() == Some(&pool.name);
    let nodes = snapshot.nodes.iter().filter(|n| belongs(&n.pool)).map(|n| n.name.to_string());
    let claims = snapshot.claims.iter().filter(|c| belongs(&c.pool)).map(|c| c.name.to_string());
    let found = PoolAnswer {
        kind: "NodePool",
        name: name.to_string(),
        ready: pool.not_ready.is_none(),
        message: pool.not_ready.as_ref().map_or_else(String::new, |reason| reason.message.clone()),
        weight: pool.weight,
        replicas: replicas.or(pool.replicas.map(i64::from)),
        is_idle: replicas.is_some_and(|asked| asked > 0) && pool.replicas == Some(0),
        short: short(pool, plan),
        requirements: pool.requirements.to_string(),
        taints: pool.taints.iter().map(ToString::to_string).collect(),
        limits: limits(pool, snapshot, plan),
        catalogue: catalogue(pool),
        nodes: nodes.chain(claims).collect(),
        launches: launches(pool, plan),
        hourly_cost: cost(pool, plan).to_string(),
        refused: refused(pool, plan),
    };
    let well = found.ready;
    answer(table(&found), &found, well)
}

fn short(pool: &Pool, plan: &Plan) -> Option<String> {
    let short = plan.short.iter().find(|short| short.reason.pool == pool.name)?;
    Some(format!("{} missing: {:?}: {}", short.missing, short.reason.code, short.reason.message))
}

fn limits(pool: &Pool, snapshot: &Snapshot, plan: &Plan) -> Vec<LimitRow> {
    let mut used = Resources::default();
    let nodes = snapshot.nodes.iter().filter(|n| !n.deleting).map(|n| (&n.pool, &n.capacity));
    let claims = snapshot.claims.iter().filter(|c| !c.deleting).map(|c| (&c.pool, &c.capacity));
    let one = Resources::of([(NODES, 1)]);
    for (_, capacity) in nodes.chain(claims).filter(|(of, _)| of.as_ref() == Some(&pool.name)) {
        used.add(capacity);
        used.add(&one);
    }
    let mut after = used.clone();
    for launch in plan.launches.iter().filter(|launch| launch.pool == pool.name) {
        after.add(&launch.capacity);
        after.add(&one);
    }
    pool.limits
        .iter()
        .map(|(name, limit)| LimitRow {
            resource: name.to_string(),
            limit: shown(name, limit),
            used: shown(name, used.get(name)),
            after: shown(name, after.get(name)),
        })
        .collect()
}

fn catalogue(pool: &Pool) -> Catalogue {
    let choices = choices(pool);
    let all = || choices.iter().flat_map(|choice| choice.offerings.iter().map(move |o| (choice.of, *o)));
    let text = |key: &str| distinct(&choices, key, &pool.labels).into_iter().map(str::to_string).collect();
    let cheapest =
        all().filter(|(_, o)| o.available).min_by_key(|(of, o)| (o.price, o.capacity_type, &of.name, &o.zone));
    Catalogue {
        instance_types: choices.len(),
        of_instance_types: pool.types.len(),
        offerings: all().count(),
        unavailable: all().filter(|(_, o)| !o.available).count(),
        zones: text(labels::ZONE),
        capacity_types: text(labels::CAPACITY_TYPE),
        cheapest: cheapest
            .map(|(of, o)| format!("{} in {}, {}, ${}", of.name, o.zone, o.capacity_type.as_str(), o.price)),
    }
}

fn launches(pool: &Pool, plan: &Plan) -> Vec<LaunchRow> {
    let own = plan.launches.iter().filter(|launch| launch.pool == pool.name);
    own.filter_map(|launch| {
        let o = launch.chosen()?;
        Some(LaunchRow {
            name: launch.name.to_string(),
            instance_type: o.instance_type.to_string(),
            zone: o.zone.to_string(),
            capacity_type: o.capacity_type.as_str(),
            hourly_price: o.price.to_string(),
            pods: launch.pods.len(),
        })
    })
    .collect()
}

fn cost(pool: &Pool, plan: &Plan) -> MicroUsdPerHour {
    plan.launches.iter().filter(|launch| launch.pool == pool.name).map(planner::plan::Launch::price).sum()
}

fn refused(pool: &Pool, plan: &Plan) -> Vec<RefusedRow> {
    let mut rows: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for unplaced in &plan.unplaced {
        for reason in unplaced.reasons.iter().filter(|reason| reason.pool == pool.name) {
            rows.entry(reason).or_default().extend(unplaced.pods.iter().map(ToString::to_string));
        }
    }
    rows.into_iter()
        .map(|(reason, pods)| RefusedRow {
            pods,
            code: reason.code,
            message: reason.message.clone(),
            nearest_miss: reason.nearest_miss.clone(),
        })
        .collect()
}

fn table(pool: &PoolAnswer) -> String {
    let mut out = String::new();
    let state = if pool.ready { "ready".to_string() } else { format!("not ready: {}", pool.message) };
    let _ = writeln!(out, "NodePool {}: {state}", pool.name);
    let _ = writeln!(out, "  weight        {}", pool.weight);
    if let Some(replicas) = pool.replicas {
        let nodes = count(usize::try_from(replicas).unwrap_or(0), "node");
        let idle = if pool.is_idle { " asked for, none bought: the feature gate StaticCapacity is off" } else { "" };
        let short = pool.short.as_ref().map_or_else(String::new, |short| format!(", {short}"));
        let _ = writeln!(out, "  static        {nodes}{idle}{short}");
    }
    let any = if pool.requirements.is_empty() { "none" } else { &pool.requirements };
    let _ = writeln!(out, "  requirements  {any}");
    if !pool.taints.is_empty() {
        let _ = writeln!(out, "  taints        {}", pool.taints.join(", "));
    }
    let c = &pool.catalogue;
    let _ = if c.offerings == 0 {
        writeln!(out, "  can buy       nothing: none of {} is sold to it", count(c.of_instance_types, "type"))
    } else {
        writeln!(
            out,
            "  can buy       {} of {} types, {} in {}, {} ({} out of capacity)",
            c.instance_types,
            c.of_instance_types,
            count(c.offerings, "offering"),
            some(&c.zones, 6),
            some(&c.capacity_types, 3),
            c.unavailable
        )
    };
    if let Some(cheapest) = &c.cheapest {
        let _ = writeln!(out, "  cheapest      {cheapest} an hour");
    }
    if !pool.nodes.is_empty() {
        let _ = writeln!(out, "  has           {}: {}", count(pool.nodes.len(), "node"), some(&pool.nodes, 10));
    }
    if !pool.limits.is_empty() {
        let row = |l: &LimitRow| vec![l.resource.clone(), l.used.clone(), l.after.clone(), l.limit.clone()];
        let rows: Vec<Vec<String>> = pool.limits.iter().map(row).collect();
        out.push('\n');
        out += &columns(&["LIMIT", "USED", "AFTER THE PLAN", "OF"], &rows);
    }
    if !pool.launches.is_empty() {
        let row = |l: &LaunchRow| {
            let capacity = l.capacity_type.to_string();
            let (name, of, zone) = (l.name.clone(), l.instance_type.clone(), l.zone.clone());
            vec![name, of, zone, capacity, l.hourly_price.clone(), l.pods.to_string()]
        };
        let rows: Vec<Vec<String>> = pool.launches.iter().map(row).collect();
        out.push('\n');
        out += &columns(&["TO BUY", "TYPE", "ZONE", "CAPACITY", "$/H", "PODS"], &rows);
        let _ = writeln!(out, "{} to buy, ${} an hour", count(pool.launches.len(), "node"), pool.hourly_cost);
    }
    if !pool.refused.is_empty() {
        out += "\nrefuses\n";
        for refused in &pool.refused {
            let n = count(refused.pods.len(), "pod");
            let _ = writeln!(out, "  {n}, {:?}: {}\n    {}", refused.code, some(&refused.pods, 3), refused.message);
            if let Some(miss) = &refused.nearest_miss {
                let _ = writeln!(out, "    would help: {miss}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use planner::model::{Reason, Requirements};
    use planner::plan::Short;

    use super::*;

    #[test]
    fn a_static_pool_that_lacks_nodes_says_why() {
        let pool = Pool {
            name: "web".into(),
            weight: 0,
            labels: planner::model::Labels::default(),
            requirements: Requirements::new(),
            taints: Vec::new(),
            startup_taints: Vec::new(),
            limits: Resources::of([(NODES, 1)]),
            replicas: Some(3),
            not_ready: None,
            types: std::sync::Arc::default(),
        };
        let snapshot = Snapshot { pools: vec![pool], ..Snapshot::default() };
        let message = "limits.nodes of NodePool web is 1, 3 replicas are asked for".to_owned();
        let reason = Reason { pool: "web".into(), code: Code::LimitExceeded, message, nearest_miss: None };
        let plan = Plan { short: vec![Short { missing: 2, reason }], ..Plan::default() };
        let table = explain("web", Some(3), &snapshot, &plan).unwrap().table;
        let line = "  static        3 nodes, 2 missing: LimitExceeded: limits.nodes of NodePool web is 1, 3 replicas are asked for\n";
        assert!(table.contains(line), "{table}");
    }
}
