//! Repair: a node whose kubelet has been complaining for too long is replaced, unless too many complain at once.

use cloud::RepairPolicy;

use super::object::Node;
use crate::controllers::time;

/// Nodes that may be ill at once before it looks like something else than the nodes, in per cent, rounded up.
const MOST_ILL_PERCENT: usize = 20;

/// The illness of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Illness {
    pub condition: &'static str,
    /// When patience with it ends, in seconds since the epoch.
    pub until: i64,
}

/// The illness whose patience ends first; None for a sound node.
pub fn illness(node: &Node, policies: &[RepairPolicy]) -> Option<Illness> {
    let found = policies.iter().filter_map(|policy| {
        let condition = node.condition(policy.condition).filter(|condition| condition.status == policy.status)?;
        let since = time::seconds(condition.last_transition_time.as_deref()?)?;
        let toleration = i64::try_from(policy.toleration.as_secs()).unwrap_or(i64::MAX);
        Some(Illness { condition: policy.condition, until: since.saturating_add(toleration) })
    });
    found.min_by_key(|illness| illness.until)
}

/// A condition's type as the metric has it: `ContainerRuntimeReady` is `container_runtime_ready`.
pub fn snake_case(type_: &str) -> String {
    let chars: Vec<char> = type_.chars().collect();
    let mut out = String::with_capacity(type_.len() + 4);
    for (at, char) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let ends_word = before.is_some_and(|before| before.is_lowercase() || before.is_ascii_digit());
        let ends_letters = before.is_some_and(|before| before.is_uppercase())
            && chars.get(at + 1).is_some_and(|after| after.is_lowercase());
        if char.is_uppercase() && (ends_word || ends_letters) {
            out.push('_');
        }
        out.extend(char.to_lowercase());
    }
    out
}

/// Whether so few of these nodes are ill that replacing one is likely to help.
pub fn few_are_ill<'a>(nodes: impl Iterator<Item = &'a Node>, policies: &[RepairPolicy]) -> bool {
    let (mut n_nodes, mut n_ill) = (0_usize, 0_usize);
    for node in nodes {
        n_nodes += 1;
        n_ill += usize::from(illness(node, policies).is_some());
    }
    n_ill <= (n_nodes * MOST_ILL_PERCENT).div_ceil(100)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::object::NodeCondition;
    use super::*;
    use crate::controllers::claim::testing::ready;

    const POLICIES: [RepairPolicy; 3] = [
        RepairPolicy { condition: "Ready", status: "False", toleration: Duration::from_mins(10) },
        RepairPolicy { condition: "Ready", status: "Unknown", toleration: Duration::from_mins(5) },
        RepairPolicy { condition: "DiskBroken", status: "True", toleration: Duration::from_secs(10) },
    ];

    fn node(ready_status: &str, disk_since: Option<i64>) -> Node {
        let mut node = ready("a");
        node.status.conditions[0].status = ready_status.to_owned();
        if let Some(since) = disk_since {
            node.status.conditions.push(NodeCondition {
                reason: String::new(),
                type_: "DiskBroken".to_owned(),
                status: "True".to_owned(),
                last_transition_time: Some(time::text(since)),
            });
        }
        node
    }

    #[test]
    fn the_illness_whose_patience_ends_first_counts() {
        for (node, expected) in [
            (node("True", None), None),
            (node("False", None), Some(("Ready", 600))),
            (node("Unknown", None), Some(("Ready", 300))),
            (node("Unknown", Some(1000)), Some(("Ready", 300))),
            (node("Unknown", Some(20)), Some(("DiskBroken", 30))),
        ] {
            assert_eq!(illness(&node, &POLICIES).map(|i| (i.condition, i.until)), expected);
        }
    }

    #[test]
    fn a_condition_is_named_in_the_metric_as_karpenter_does() {
        for (type_, expected) in [
            ("Ready", "ready"),
            ("ContainerRuntimeReady", "container_runtime_ready"),
            ("GPUReady", "gpu_ready"),
            ("ready", "ready"),
            ("", ""),
        ] {
            assert_eq!(snake_case(type_), expected);
        }
    }

    #[test]
    fn more_than_a_fifth_of_ill_nodes_stops_all_repair() {
        for (n_nodes, n_ill, expected) in [(10, 2, true), (10, 3, false), (1, 1, true), (11, 3, true), (11, 4, false)] {
            let nodes: Vec<_> = (0..n_nodes).map(|i| node(if i < n_ill { "False" } else { "True" }, None)).collect();
            assert_eq!(few_are_ill(nodes.iter(), &POLICIES), expected, "{n_ill} of {n_nodes}");
        }
    }
}
