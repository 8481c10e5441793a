//! Where a pod may go: the predicates of one attempt, prepared once and asked of every node.

use std::collections::BTreeMap;

use planner::model::{Resources, resources};

use super::node::Node;
use super::pod::{Pod, PodTerm, Spread};
use super::topology::Counts;

type Domains = BTreeMap<String, i64>;

/// One attempt to place one pod.
pub(super) struct Judge<'a> {
    pod: &'a Pod,
    kept_off: Vec<(String, String)>,
    affinity: Vec<(&'a PodTerm, Domains)>,
    anti_affinity: Vec<(&'a PodTerm, Domains)>,
    spread: Vec<(&'a Spread, Domains, i64)>,
    /// Nobody matches the affinity yet, and the pod itself does: it may be the first.
    is_first: bool,
}

impl<'a> Judge<'a> {
    pub fn new(pod: &'a Pod, nodes: &BTreeMap<String, Node>, counts: &mut Counts) -> Self {
        counts.prepare(pod, nodes);
        let of = |term: &'a PodTerm| (term, counts.domains(&term.pods, &term.topology_key, nodes, |_| true));
        let affinity: Vec<_> = pod.affinity.iter().map(of).collect();
        let anti_affinity = pod.anti_affinity.iter().map(of).collect();
        let spread = pod.spread.iter().map(|spread| {
            let is_counted = |node: &Node| pod.allows_node(&node.name, node.labels());
            let domains = counts.domains(&spread.pods, &spread.topology_key, nodes, is_counted);
            let is_short = i64::try_from(domains.len()).unwrap_or(i64::MAX) < spread.min_domains;
            let least = if is_short { 0 } else { domains.values().copied().min().unwrap_or(0) };
            (spread, domains, least)
        });
        let is_nobody = affinity.iter().all(|(_, domains)| domains.values().all(|n| *n == 0));
        let is_first = is_nobody && pod.affinity.iter().all(|term| term.pods.matches(&pod.object));
        Self {
            pod,
            kept_off: counts.kept_off(&pod.object, nodes),
            spread: spread.collect(),
            affinity,
            anti_affinity,
            is_first,
        }
    }

    /// Why the pod may not go to the node.
    pub fn refuses(&self, node: &Node, reserved: Option<&Resources>) -> Option<String> {
        if let Some(reason) = node.refuses(self.pod, reserved) {
            return Some(reason);
        }
        for (spread, domains, least) in self.spread.iter().filter(|(spread, _, _)| spread.is_hard) {
            let Some(domain) = node.label(&spread.topology_key) else {
                return Some(
                    "node(s) didn't match pod topology spread constraints (missing required label)".to_owned(),
                );
            };
            let own = i64::from(spread.pods.matches(&self.pod.object));
            let there = domains.get(domain).copied().unwrap_or(0);
            if there + own - least > spread.max_skew {
                return Some("node(s) didn't match pod topology spread constraints".to_owned());
            }
        }
        let is_at = |key: &str, value: &str| node.label(key) == Some(value);
        if self.kept_off.iter().any(|(key, value)| is_at(key, value)) {
            return Some("node(s) didn't satisfy existing pods anti-affinity rules".to_owned());
        }
        let count =
            |term: &PodTerm, domains: &Domains| node.label(&term.topology_key).and_then(|d| domains.get(d)).copied();
        for (term, domains) in &self.affinity {
            let there = count(term, domains);
            if there.is_none() || there == Some(0) && !self.is_first {
                return Some("node(s) didn't match pod affinity rules".to_owned());
            }
        }
        for (term, domains) in &self.anti_affinity {
            if count(term, domains).is_some_and(|there| there > 0) {
                return Some("node(s) didn't match pod anti-affinity rules".to_owned());
            }
        }
        None
    }

    /// How well the pod would be placed; more is better. The emptiest node wins, unless wishes of the pod say otherwise.
    pub fn score(&self, node: &Node) -> i64 {
        let free = |name: &str| {
            let (all, used) = (node.allocatable.get(name), node.used.get(name) + self.pod.requests.get(name));
            if all > 0 { (all - used).max(0).saturating_mul(100) / all } else { 0 }
        };
        let least_allocated = i64::midpoint(free(resources::CPU), free(resources::MEMORY));
        let wishes = self.pod.preferred.iter().filter(|(_, term)| term.allows(&node.name, node.labels()));
        let wished: i64 = wishes.map(|(weight, _)| *weight).sum();
        let soft = self.spread.iter().filter(|(spread, _, _)| !spread.is_hard);
        let crowd: i64 = soft
            .filter_map(|(spread, domains, least)| Some(domains.get(node.label(&spread.topology_key)?)? - least))
            .sum();
        let untolerated = planner::model::taint::untolerated(&node.taints, &self.pod.tolerations, true);
        least_allocated + 2 * wished - 10 * crowd - if untolerated.is_some() { 300 } else { 0 }
    }
}
