//! Capacity and use of each node by resource, labelled with all that users may state requirements about.

use std::collections::BTreeSet;

use planner::model::{Resources, Str};

use super::page::{self, Labels};

/// One node as it is told about.
#[derive(Clone, Debug)]
pub struct NodeRow<'a> {
    pub name: &'a str,
    /// The node's labels.
    pub labels: &'a planner::model::Labels,
    pub phase: &'a str,
    pub managed: bool,
    /// Since its creation, in seconds.
    pub age: Option<f64>,
    /// In the order of the families.
    pub amounts: [Resources; 6],
}

/// Name and help of each family of amounts.
const AMOUNTS: [(&str, &str); 6] = [
    ("karpenter_nodes_allocatable", "What the node has for pods."),
    ("karpenter_nodes_total_pod_requests", "What its pods ask for, without DaemonSets."),
    ("karpenter_nodes_total_pod_limits", "What its pods are limited to, without DaemonSets."),
    ("karpenter_nodes_total_daemon_requests", "What its DaemonSets ask for."),
    ("karpenter_nodes_total_daemon_limits", "What its DaemonSets are limited to."),
    ("karpenter_nodes_system_overhead", "Capacity that pods cannot have."),
];
const LIFETIME: &str = "karpenter_nodes_current_lifetime_seconds";

/// Writes the families of these nodes.
pub fn write(out: &mut String, rows: &[NodeRow<'_>]) {
    if rows.is_empty() {
        return;
    }
    let keys = keys();
    let labels: Vec<Labels> = rows.iter().map(|row| labels(row, &keys)).collect();
    for (at, (name, help)) in AMOUNTS.into_iter().enumerate() {
        page::gauges(out, name, help);
        for (row, labels) in rows.iter().zip(&labels) {
            for (resource, amount) in row.amounts[at].iter() {
                page::sample(out, name, &labels.with("resource_type", resource), shown(resource, amount));
            }
        }
    }
    page::gauges(out, LIFETIME, "Age of nodes.");
    for (row, labels) in rows.iter().zip(&labels) {
        if let Some(age) = row.age {
            page::sample(out, LIFETIME, labels, age);
        }
    }
}

/// In cores for cpu, bytes for memory and storage, else a number.
pub fn shown(resource: &str, amount: i64) -> f64 {
    let amount = amount as f64;
    if resource == crds::names::kubernetes::CPU { amount / 1000.0 } else { amount }
}

fn labels(row: &NodeRow<'_>, keys: &[(&'static str, String)]) -> Labels {
    let of_node = |key: &str| row.labels.get(key).map_or("", |value: &Str| value);
    let mut labels = Labels::of(keys.iter().map(|(key, name)| (name.as_str(), of_node(key))));
    labels.push("node_name", row.name);
    labels.push("phase", row.phase);
    labels.push("managed", if row.managed { "true" } else { "false" });
    labels
}

/// Label keys of Kubernetes, with the names they have here.
fn keys() -> Vec<(&'static str, String)> {
    let mut taken = BTreeSet::new();
    known().map(|key| (key, short_name(key))).filter(|(_, name)| taken.insert(name.clone())).collect()
}

fn known() -> impl Iterator<Item = &'static str> {
    use crds::names::{aws, core, kubernetes, kwok};
    let of_kubernetes = kubernetes::WELL_KNOWN_LABELS.into_iter();
    of_kubernetes.chain(core::WELL_KNOWN_LABELS).chain(aws::WELL_KNOWN_LABELS).chain(kwok::WELL_KNOWN_LABELS)
}

/// `node.kubernetes.io/instance-type` → `instance_type`.
fn short_name(key: &str) -> String {
    key.rsplit('/').next().unwrap_or(key).replace(['-', '.'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_labelled_with_what_pools_may_ask_for() {
        let labels = [("karpenter.sh/nodepool", "general"), ("topology.kubernetes.io/zone", "zone-a")];
        let labels = labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        let mut amounts: [Resources; 6] = Default::default();
        amounts[0] = Resources::of([("cpu", 3500), ("memory", 1 << 30)]);
        let row = NodeRow { name: "n1", labels: &labels, phase: "Running", managed: true, age: Some(7.0), amounts };
        let mut text = String::new();
        write(&mut text, &[row]);
        let line = text.lines().find(|line| line.starts_with("karpenter_nodes_allocatable{")).expect("a series");
        for part in ["nodepool=\"general\"", "zone=\"zone-a\"", "instance_type=\"\"", "resource_type=\"cpu\"", "} 3.5"]
        {
            assert!(line.contains(part), "{line}");
        }
        assert!(text.contains("resource_type=\"memory\"} 1073741824\n"), "{text}");
        let age = text.lines().find(|line| line.starts_with("karpenter_nodes_current_lifetime_seconds{"));
        assert!(age.is_some_and(|line| line.ends_with("managed=\"true\"} 7")), "{text}");
    }
}
