//! How many pods of a selection are on each node, kept up to date as pods come and go.

use std::collections::BTreeMap;

use crate::kube::Object;

use super::node::Node;
use super::pod::{Pod, PodTerm, Selected};

/// Pods of a selection by node.
#[derive(Debug)]
struct Count {
    pods: Selected,
    by_node: BTreeMap<String, i64>,
}

/// Nodes with pods that keep others away.
#[derive(Debug)]
struct Hermits {
    term: PodTerm,
    by_node: BTreeMap<String, i64>,
}

/// Every count that some pod needed.
#[derive(Debug, Default)]
pub(super) struct Counts {
    counts: BTreeMap<String, Count>,
    hermits: BTreeMap<String, Hermits>,
}

type Nodes = BTreeMap<String, Node>;

impl Counts {
    /// A pod is on a node now (`n` = 1), or no longer (`n` = −1).
    pub fn observe(&mut self, pod: &Pod, node: &str, n: i64) {
        for count in self.counts.values_mut().filter(|count| count.pods.matches(&pod.object)) {
            *count.by_node.entry(node.to_owned()).or_default() += n;
        }
        for term in &pod.anti_affinity {
            let id = format!("{} {}", term.topology_key, term.pods.id);
            let hermits =
                self.hermits.entry(id).or_insert_with(|| Hermits { term: term.clone(), by_node: BTreeMap::new() });
            *hermits.by_node.entry(node.to_owned()).or_default() += n;
        }
    }

    /// Sees to it that all counts that the pod needs are kept.
    pub fn prepare(&mut self, pod: &Pod, nodes: &Nodes) {
        let terms = pod.affinity.iter().chain(&pod.anti_affinity).map(|term| &term.pods);
        for selected in terms.chain(pod.spread.iter().map(|spread| &spread.pods)) {
            if self.counts.contains_key(&selected.id) {
                continue;
            }
            let mut by_node = BTreeMap::new();
            for node in nodes.values() {
                let n = node.pods.values().filter(|other| selected.matches(&other.object)).count();
                by_node.insert(node.name.clone(), i64::try_from(n).unwrap_or(i64::MAX));
            }
            self.counts.insert(selected.id.clone(), Count { pods: selected.clone(), by_node });
        }
    }

    fn on(&self, selected: &Selected, node: &str) -> i64 {
        self.counts.get(&selected.id).and_then(|count| count.by_node.get(node)).copied().unwrap_or(0)
    }

    /// The counts of a selection by the value of a label, over the nodes that `is_counted`.
    pub fn domains(
        &self,
        selected: &Selected,
        key: &str,
        nodes: &Nodes,
        is_counted: impl Fn(&Node) -> bool,
    ) -> BTreeMap<String, i64> {
        let mut domains = BTreeMap::new();
        for node in nodes.values().filter(|node| is_counted(node)) {
            if let Some(domain) = node.label(key) {
                *domains.entry(domain.to_owned()).or_default() += self.on(selected, &node.name);
            }
        }
        domains
    }

    /// Label keys with the values that pods already running keep the pod away from.
    pub fn kept_off(&self, pod: &Object, nodes: &Nodes) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for hermits in self.hermits.values().filter(|hermits| hermits.term.pods.matches(pod)) {
            let key = &hermits.term.topology_key;
            let with = hermits.by_node.iter().filter(|(_, n)| **n > 0);
            for domain in with.filter_map(|(node, _)| nodes.get(node)?.label(key)) {
                found.push((key.clone(), domain.to_owned()));
            }
        }
        found.sort();
        found.dedup();
        found
    }
}
