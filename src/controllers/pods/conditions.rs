//! Conditions of nodes as they stand, as text for whoever scrapes.

use std::sync::Arc;

use crds::names;

use super::super::deps::seconds;
use super::super::node::Node;
use super::super::time;
use super::super::world::World;
use crate::telemetry::label_name;
use crate::telemetry::page::{self, Labels};

const COUNT: &str = "operator_node_status_condition_count";
const STANDING: &str = "operator_node_status_condition_current_status_seconds";
const ENDING: &str = "operator_node_termination_current_time_seconds";

/// The families of single nodes' conditions, and of their ends. `class_label` is the label with the node class' name.
pub fn nodes(world: &World, class_label: &str, now: i64, out: &mut String) {
    let nodes = world.nodes();
    let further: Vec<[(String, String); 3]> = nodes.iter().map(|node| further(world, class_label, node)).collect();
    if nodes.iter().any(|node| !node.status.conditions.is_empty()) {
        page::gauges(out, COUNT, "Always 1; a condition that stands.");
        each(&nodes, &further, |labels, _| page::sample(out, COUNT, labels, 1.0));
        page::gauges(out, STANDING, "How long a condition has stood.");
        each(&nodes, &further, |labels, since| {
            if let Some(since) = since {
                page::sample(out, STANDING, labels, seconds(now - since));
            }
        });
    }
    let since = |node: &Node| node.metadata.deletion_timestamp.as_deref().and_then(time::seconds);
    if nodes.iter().any(|node| since(node).is_some()) {
        page::gauges(out, ENDING, "Since the deletion of an object that is still there.");
    }
    for (node, further) in nodes.iter().zip(&further) {
        if let Some(since) = since(node) {
            page::sample(
                out,
                ENDING,
                &with(Labels::of([("namespace", ""), ("name", node.name())]), further),
                seconds(now - since),
            );
        }
    }
}

/// Every condition of every node, with since when it stands.
fn each(nodes: &[Arc<Node>], further: &[[(String, String); 3]], mut tell: impl FnMut(&Labels, Option<i64>)) {
    for (node, further) in nodes.iter().zip(further) {
        for condition in &node.status.conditions {
            let own = Labels::of([
                ("namespace", ""),
                ("name", node.name()),
                ("type", &condition.type_),
                ("status", &condition.status),
                ("reason", &condition.reason),
            ]);
            tell(&with(own, further), condition.last_transition_time.as_deref().and_then(time::seconds));
        }
    }
}

/// Class, pool and whether it is initialised.
fn further(world: &World, class_label: &str, node: &Node) -> [(String, String); 3] {
    let claim = world.claim_of(node);
    let class = claim.as_ref().map_or("", |claim| claim.spec.node_class_ref.name.as_str());
    let label = |key: &str| node.metadata.labels.get(key).cloned().unwrap_or_default();
    [
        (class_label.to_owned(), class.to_owned()),
        (label_name(names::core::NODE_POOL), label(names::core::NODE_POOL)),
        (label_name(names::core::INITIALIZED), label(names::core::INITIALIZED)),
    ]
}

fn with(mut labels: Labels, further: &[(String, String)]) -> Labels {
    for (name, value) in further {
        labels.push(name, value);
    }
    labels
}
