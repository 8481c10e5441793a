//! `explain pod`: where it goes and why, or why nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use anyhow::Result;
use planner::model::node::BoundPods;
use planner::model::{Node, PodShape, Snapshot, Str};
use planner::plan::{Launch, Plan};
use serde::Serialize;

use super::super::json::ReasonRow;
use super::super::text::{columns, count, some};
use super::verdicts::{Verdict, verdicts};
use super::{Answer, OfferingRow, answer, rooms, unknown};
use crate::observe::k8s::Pod;

/// Offerings shown beside the chosen one.
const ALTERNATIVES: usize = 5;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PodAnswer {
    kind: &'static str,
    name: String,
    outcome: Outcome,
    message: String,
    /// The node, claim or launch it is on or goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offering: Option<OfferingRow>,
    /// The next cheapest offerings that hold the same pods; for a pod on an existing node, the cheapest for it alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alternatives: Vec<OfferingRow>,
    requests: BTreeMap<String, String>,
    /// Other pods on the launch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    together_with: Vec<String>,
    /// What the pools (but that of its launch) say to this pod by itself, all others in their places.
    node_pools: Vec<Verdict>,
    /// Reasons of the plan, where it has no place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<ReasonRow>,
    /// How many existing nodes and claims do not take it once all others are in their places, by reason.
    existing_nodes: BTreeMap<String, usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    Running,
    ExistingNode,
    NewNode,
    Unplaced,
    Ignored,
}

/// A pod of the input, which the snapshot may leave out.
pub struct Other {
    key: String,
    /// Where it runs.
    node: Option<String>,
    /// Why the snapshot leaves it out, if it does.
    why: String,
}

impl Other {
    /// What is to be known of a pod.
    pub fn of(pod: &Pod) -> Self {
        let meta = &pod.metadata;
        let phase = &*pod.status.phase;
        let has_finished = matches!(phase, "Succeeded" | "Failed");
        let node = Some(pod.spec.node_name.to_string()).filter(|node| !has_finished && !node.is_empty());
        let why = match &node {
            None if has_finished => format!("not to be placed: it has finished ({phase})"),
            Some(node) => format!("bound to node {node}, which is not in the input"),
            None if meta.deleting() => "not to be placed: it is being deleted and never ran".into(),
            None if meta.owned_by("DaemonSet") => "not to be placed: it belongs to a DaemonSet".into(),
            None => "not to be placed: it belongs to its node".into(),
        };
        Self { key: format!("{}/{}", meta.namespace(), meta.name), node, why }
    }
}

/// The answer for a pod by `namespace/name`, or by a name that only one pod has. `others` are pods that the snapshot may
/// leave out.
pub fn explain(name: &str, snapshot: &Snapshot, others: &[Other], plan: &Plan) -> Result<Answer> {
    let key = find(name, snapshot, others, plan)?;
    let mut out = PodAnswer {
        kind: "Pod",
        name: key.clone(),
        outcome: Outcome::Ignored,
        message: String::new(),
        node: None,
        offering: None,
        alternatives: Vec::new(),
        requests: BTreeMap::new(),
        together_with: Vec::new(),
        node_pools: Vec::new(),
        reasons: Vec::new(),
        existing_nodes: BTreeMap::new(),
    };
    if let Some((node, bound)) = bound(snapshot, &key) {
        (out.outcome, out.message) = if bound.promised {
            let so_far = if node.is_coming() { ", which has not joined yet" } else { "" };
            (Outcome::ExistingNode, format!("waits for node {}{so_far}: its place there is kept", node.name))
        } else {
            (Outcome::Running, format!("bound to node {}", node.name))
        };
        out.node = Some(node.name.to_string());
        out.requests = asked(&bound.shape);
    } else if let Some((pod, shape)) = pending(snapshot, &key) {
        place(&mut out, &pod, &shape, snapshot, plan);
    } else if let Some(ignored) = plan.ignored.iter().find(|i| i.pods.iter().any(|pod| **pod == *key)) {
        out.message = format!("left out of the plan: {:?}: {}", ignored.code, ignored.message);
    } else if let Some(other) = others.iter().find(|other| other.key == key) {
        out.message.clone_from(&other.why);
        out.node.clone_from(&other.node);
        if out.node.is_some() {
            out.outcome = Outcome::Running;
        }
    }
    let well = out.outcome != Outcome::Unplaced;
    answer(table(&out), &out, well)
}

fn place(out: &mut PodAnswer, pod: &Str, shape: &Arc<PodShape>, snapshot: &Snapshot, plan: &Plan) {
    out.requests = asked(shape);
    let theirs = plan.unplaced.iter().chain(&plan.stand_ins_left).filter(|u| u.pods.contains(pod));
    out.reasons = theirs.flat_map(|u| u.reasons.iter().map(ReasonRow::from)).collect();
    if let Some(nomination) = plan.nominations.iter().find(|n| n.pod == *pod) {
        out.outcome = Outcome::ExistingNode;
        out.message =
            format!("goes to {}, which has room; existing room is used before anything is bought", nomination.node);
        out.node = Some(nomination.node.to_string());
        let offerings;
        (out.node_pools, offerings) = verdicts(pod, shape, snapshot, plan);
        out.alternatives = offerings.iter().take(ALTERNATIVES).map(OfferingRow::from).collect();
        return;
    }
    out.existing_nodes = rooms::against(pod, shape, snapshot, plan);
    if let Some(launch) = plan.launches.iter().find(|l| l.pods.contains(pod)) {
        on_launch(out, pod, launch);
        (out.node_pools, _) = verdicts(pod, shape, snapshot, plan);
        out.node_pools.retain(|verdict| verdict.node_pool != *launch.pool);
    } else {
        out.outcome = Outcome::Unplaced;
        out.message = "has no place".into();
    }
}

fn on_launch(out: &mut PodAnswer, pod: &Str, launch: &Launch) {
    out.outcome = Outcome::NewNode;
    out.node = Some(launch.name.to_string());
    out.offering = launch.chosen().map(OfferingRow::from);
    out.alternatives = launch.offerings.iter().skip(1).take(ALTERNATIVES).map(OfferingRow::from).collect();
    out.together_with = launch.pods.iter().filter(|other| *other != pod).map(ToString::to_string).collect();
    let others = count(out.together_with.len(), "other pod");
    let choices = count(launch.offerings_total, "offering");
    out.message = match &out.offering {
        Some(o) => format!(
            "goes to new node {} of NodePool {} with {others}: {} in {}, {}, ${} an hour, the cheapest of {choices} that hold them",
            launch.name, launch.pool, o.instance_type, o.zone, o.capacity_type, o.hourly_price
        ),
        None => format!("goes to new node {} of NodePool {}", launch.name, launch.pool),
    };
}

/// The full name of the pod that is meant.
fn find(name: &str, snapshot: &Snapshot, others: &[Other], plan: &Plan) -> Result<String> {
    let mut known: BTreeSet<String> = snapshot.groups.iter().flat_map(|g| &g.pods).map(|p| p.key.to_string()).collect();
    known.extend(snapshot.nodes.iter().flat_map(|n| &n.pods).flat_map(|b| &b.pods).map(ToString::to_string));
    known.extend(plan.ignored.iter().flat_map(|i| &i.pods).map(ToString::to_string));
    known.extend(others.iter().map(|other| other.key.clone()));
    if known.contains(name) {
        return Ok(name.to_string());
    }
    let tail = |key: &&String| key.split_once('/').is_some_and(|(_, tail)| tail == name);
    let same: Vec<&String> = known.iter().filter(tail).collect();
    match same[..] {
        [one] => Ok(one.clone()),
        [] => Err(unknown("pod", name, known.iter().map(String::as_str))),
        _ => Err(anyhow::anyhow!("pod {name}: several pods have this name\n  remedy: name one of {}", some(&same, 5))),
    }
}

fn bound<'a>(snapshot: &'a Snapshot, key: &str) -> Option<(&'a Node, &'a BoundPods)> {
    snapshot.nodes.iter().find_map(|node| {
        let on_it = node.pods.iter().find(|bound| bound.pods.iter().any(|pod| **pod == *key))?;
        Some((node, on_it))
    })
}

fn pending(snapshot: &Snapshot, key: &str) -> Option<(Str, Arc<PodShape>)> {
    snapshot.groups.iter().find_map(|group| {
        let pod = group.pods.iter().find(|pod| *pod.key == *key)?;
        Some((pod.key.clone(), Arc::clone(&group.shape)))
    })
}

fn asked(shape: &PodShape) -> BTreeMap<String, String> {
    let text = |(name, amount): (&Str, i64)| (name.to_string(), planner::model::shown::shown(name, amount));
    shape.requests.iter().map(text).collect()
}

fn table(pod: &PodAnswer) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "Pod {}\n  {}", pod.name, pod.message);
    if !pod.requests.is_empty() {
        let asks: Vec<String> = pod.requests.iter().map(|(name, amount)| format!("{name} {amount}")).collect();
        let _ = writeln!(out, "  asks for {}", asks.join(", "));
    }
    if !pod.together_with.is_empty() {
        let _ = writeln!(out, "  together with {}", some(&pod.together_with, 5));
    }
    if !pod.reasons.is_empty() {
        out += "\nwhy it has no place\n";
        for reason in &pod.reasons {
            let pool = if reason.node_pool.is_empty() { String::new() } else { format!("{}: ", reason.node_pool) };
            let _ = writeln!(out, "  {pool}{:?}: {}", reason.code, reason.message);
            if let Some(miss) = &reason.nearest_miss {
                let _ = writeln!(out, "    would help: {miss}");
            }
        }
    }
    if !pod.alternatives.is_empty() {
        out += match pod.outcome {
            Outcome::ExistingNode => "\ncheapest that could be bought for it instead\n",
            _ => "\nnext cheapest for the same pods\n",
        };
        let rows: Vec<Vec<String>> = pod
            .alternatives
            .iter()
            .map(|o| vec![o.instance_type.clone(), o.zone.clone(), o.capacity_type.to_string(), o.hourly_price.clone()])
            .collect();
        out += &columns(&["TYPE", "ZONE", "CAPACITY", "$/H"], &rows);
    }
    if !pod.node_pools.is_empty() {
        out += match pod.outcome {
            Outcome::NewNode => "\nother pools, asked for this pod by itself\n",
            _ => "\npools, asked for this pod by itself\n",
        };
        for verdict in &pod.node_pools {
            out += &line(verdict);
        }
    }
    if !pod.existing_nodes.is_empty() {
        out += "\nexisting nodes\n";
        for (why, n) in &pod.existing_nodes {
            let _ = writeln!(out, "  {}: {why}", count(*n, "node"));
        }
    }
    out
}

fn line(verdict: &Verdict) -> String {
    let mut out = format!("  {} (weight {}): ", verdict.node_pool, verdict.weight);
    match (&verdict.would_buy, verdict.code) {
        (Some(o), _) => {
            let _ =
                writeln!(out, "would buy {} in {}, {}, ${}", o.instance_type, o.zone, o.capacity_type, o.hourly_price);
        }
        (None, Some(code)) => {
            let _ = writeln!(out, "{code:?}: {}", verdict.message);
            if let Some(miss) = &verdict.nearest_miss {
                let _ = writeln!(out, "    would help: {miss}");
            }
        }
        (None, None) => out += "buys nothing for it\n",
    }
    out
}

#[cfg(test)]
mod tests {
    use planner::model::{Labels, Resources};

    use super::*;

    #[test]
    fn a_pod_that_waits_for_a_node_is_not_bound_to_it() {
        let pods = |name: &str, promised: bool| BoundPods {
            shape: Arc::default(),
            pods: vec![name.into()],
            terminating: false,
            promised,
        };
        let node = Node {
            name: "a".into(),
            labels: Labels::default(),
            taints: Vec::new(),
            capacity: Resources::default(),
            allocatable: Resources::default(),
            pool: None,
            claim: Some("a".into()),
            initialized: false,
            deleting: false,
            pods: vec![pods("shop/bound", false), pods("shop/waits", true)],
            attach_limits: BTreeMap::new(),
        };
        let mut snapshot = Snapshot { nodes: vec![node], ..Snapshot::default() };
        let said = |name: &str, snapshot: &Snapshot| {
            let json = explain(name, snapshot, &[], &Plan::default()).unwrap().json;
            let answer: serde_json::Value = serde_json::from_str(&json).unwrap();
            format!("{} {} {}", answer["outcome"].as_str().unwrap(), answer["node"], answer["message"])
        };
        assert_eq!(said("bound", &snapshot), r#"running "a" "bound to node a""#);
        let waits = r#"existingNode "a" "waits for node a, which has not joined yet: its place there is kept""#;
        assert_eq!(said("waits", &snapshot), waits);
        snapshot.nodes[0].initialized = true;
        assert_eq!(said("waits", &snapshot), r#"existingNode "a" "waits for node a: its place there is kept""#);
    }
}
