//! Capacity and use of each node by resource, labelled with all that users may state requirements about.

use std::collections::BTreeSet;

use prometheus::{GaugeVec, Opts, Registry};

/// Which quantity of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    Allocatable,
    TotalPodRequests,
    TotalPodLimits,
    TotalDaemonRequests,
    TotalDaemonLimits,
    SystemOverhead,
}

impl Quantity {
    const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Allocatable, "karpenter_nodes_allocatable", "What the node has for pods."),
        (Self::TotalPodRequests, "karpenter_nodes_total_pod_requests", "What its pods ask for, without DaemonSets."),
        (Self::TotalPodLimits, "karpenter_nodes_total_pod_limits", "What its pods are limited to, without DaemonSets."),
        (Self::TotalDaemonRequests, "karpenter_nodes_total_daemon_requests", "What its DaemonSets ask for."),
        (Self::TotalDaemonLimits, "karpenter_nodes_total_daemon_limits", "What its DaemonSets are limited to."),
        (Self::SystemOverhead, "karpenter_nodes_system_overhead", "Capacity that pods cannot have."),
    ];
}

/// Which node a value is about.
#[derive(Clone, Copy, Debug)]
pub struct OfNode<'a> {
    pub name: &'a str,
    /// The node's labels.
    pub labels: &'a planner::model::Labels,
    pub phase: &'a str,
    pub managed: bool,
}

/// The six gauges.
#[derive(Debug)]
pub struct NodeGauges {
    /// Label keys of Kubernetes, in the order of the families' first labels.
    keys: Vec<&'static str>,
    families: Vec<(Quantity, GaugeVec)>,
}

impl NodeGauges {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let mut keys = Vec::new();
        let mut names = Vec::new();
        let mut taken = BTreeSet::new();
        for key in known() {
            let name = short_name(key);
            if taken.insert(name.clone()) {
                keys.push(key);
                names.push(name);
            }
        }
        names.extend(["node_name", "phase", "managed", "resource_type"].map(String::from));
        let labels: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut families = Vec::new();
        for (quantity, name, help) in Quantity::ALL {
            let family = GaugeVec::new(Opts::new(name, help), &labels)?;
            registry.register(Box::new(family.clone()))?;
            families.push((quantity, family));
        }
        Ok(Self { keys, families })
    }

    /// In cores for cpu, bytes for memory and storage, else a number.
    pub fn set(&self, quantity: Quantity, of: &OfNode<'_>, resource: &str, value: f64) {
        let labels = self.labels(of, resource);
        for (_, family) in self.families.iter().filter(|(other, _)| *other == quantity) {
            family.with_label_values(&labels).set(value);
        }
    }

    /// The series disappears, as when the node is gone.
    pub fn remove(&self, quantity: Quantity, of: &OfNode<'_>, resource: &str) {
        let labels = self.labels(of, resource);
        for (_, family) in self.families.iter().filter(|(other, _)| *other == quantity) {
            // The only error is that there is no such series.
            family.remove_label_values(&labels).ok();
        }
    }

    /// All series disappear: for a writer that sets all that there is each time.
    pub fn reset(&self) {
        for (_, family) in &self.families {
            family.reset();
        }
    }

    fn labels<'a>(&self, of: &OfNode<'a>, resource: &'a str) -> Vec<&'a str> {
        let values = self.keys.iter().map(|key| of.labels.get(*key).map_or("", |value| value));
        values.chain([of.name, of.phase, if of.managed { "true" } else { "false" }, resource]).collect()
    }
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
    use super::super::Metrics;
    use super::*;

    #[test]
    fn a_node_is_labelled_with_what_pools_may_ask_for() {
        let metrics = Metrics::new();
        let labels = [("karpenter.sh/nodepool", "general"), ("topology.kubernetes.io/zone", "zone-a")];
        let labels = labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        let node = OfNode { name: "n1", labels: &labels, phase: "Running", managed: true };
        metrics.nodes.set(Quantity::Allocatable, &node, "cpu", 3.5);
        let text = metrics.render();
        let line = text.lines().find(|line| line.starts_with("karpenter_nodes_allocatable{")).expect("a series");
        for part in ["nodepool=\"general\"", "zone=\"zone-a\"", "instance_type=\"\"", "resource_type=\"cpu\"", "} 3.5"]
        {
            assert!(line.contains(part), "{line}");
        }
        metrics.nodes.remove(Quantity::Allocatable, &node, "cpu");
        assert!(!metrics.render().contains("karpenter_nodes_allocatable"));
    }
}
