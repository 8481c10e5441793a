//! Decisions in words: what a plan buys and at what price, and why pods have no place.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use planner::model::{CapacityType, MicroUsdPerHour};
use planner::plan::{Plan, Unplaced};

/// Kinds of nodes that are listed; the rest is counted.
const MOST_KINDS: usize = 12;
/// Pods that are named.
const MOST_NAMED: usize = 3;
/// Reasons that are listed.
const MOST_REASONS: usize = 6;

/// A line and what stands below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub text: String,
    pub details: Vec<String>,
}

/// What a plan buys; nothing for one that buys nothing.
pub fn bought(plan: &Plan) -> Option<Words> {
    if plan.launches.is_empty() {
        return None;
    }
    let (cost, bound) = (plan.cost, plan.cost_lower_bound);
    let (pods, nodes) = (count(plan.pods, "pod"), count(plan.launches.len(), "node"));
    let mut text = format!("{pods}{}: buy {nodes} for {}/h", waiting(plan), dollars(cost));
    if bound.0 > 0 {
        let gap = (cost.0 - bound.0) as f64 / bound.0 as f64 * 100.0;
        let _ = write!(
            text,
            " (proven bound {}, gap {gap:.1}%; first-fit-decreasing {})",
            dollars(bound),
            dollars(plan.greedy_cost)
        );
    }
    let mut kinds: BTreeMap<(MicroUsdPerHour, &str, CapacityType), usize> = BTreeMap::new();
    for launch in &plan.launches {
        if let Some(chosen) = launch.chosen() {
            *kinds.entry((chosen.price, &chosen.instance_type, chosen.capacity_type)).or_default() += 1;
        }
    }
    let all = kinds.len();
    let kind = |((price, instance_type, capacity_type), n): ((MicroUsdPerHour, &str, CapacityType), usize)| {
        format!("{n} × {} {} at {}", short(instance_type), capacity_type.as_str(), dollars(price))
    };
    let mut details: Vec<String> = kinds.into_iter().rev().take(MOST_KINDS).map(kind).collect();
    if all > MOST_KINDS {
        details.push(format!("and {} more", count(all - MOST_KINDS, "kind")));
    }
    if !plan.nominations.is_empty() {
        details.push(format!("room that is there or coming takes {}", count(plan.nominations.len(), "pod")));
    }
    Some(Words { text, details })
}

/// ` wait`, with the names where they are few.
fn waiting(plan: &Plan) -> String {
    let nominated = plan.nominations.iter().map(|nomination| &nomination.pod);
    let pods: Vec<&str> = plan.launches.iter().flat_map(|launch| &launch.pods).chain(nominated).map(|p| &**p).collect();
    match pods.len() {
        0 => String::new(),
        1 => format!(" waits ({})", pods[0]),
        2..=MOST_NAMED => format!(" wait ({})", pods.join(", ")),
        _ => " wait".to_owned(),
    }
}

/// Why pods have no place; nothing where all have one.
pub fn unplaced(unplaced: &[Unplaced]) -> Option<Words> {
    let pods: usize = unplaced.iter().map(|unplaced| unplaced.pods.len()).sum();
    if pods == 0 {
        return None;
    }
    let mut details = Vec::new();
    for reason in unplaced.iter().flat_map(|unplaced| &unplaced.reasons) {
        let mut line = format!("{:?}: {}", reason.code, reason.message);
        if !reason.pool.is_empty() {
            line = format!("{}: {line}", reason.pool);
        }
        if let Some(miss) = &reason.nearest_miss {
            let _ = write!(line, " (would help: {miss})");
        }
        if details.len() < MOST_REASONS && !details.contains(&line) {
            details.push(line);
        }
    }
    Some(Words { text: format!("{} without a place", count(pods, "pod")), details })
}

/// `c-4x` for `c-4x-amd64-linux`: nothing else is bought here.
pub fn short(instance_type: &str) -> &str {
    instance_type.strip_suffix("-amd64-linux").unwrap_or(instance_type)
}

/// `1 pod`, `2 pods`.
pub fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Dollars with three decimals.
pub fn dollars(price: MicroUsdPerHour) -> String {
    format!("${:.3}", price.0 as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use planner::model::{Code, Reason};

    use super::*;

    #[test]
    fn a_plan_that_buys_nothing_is_no_news() {
        assert_eq!(bought(&Plan::default()), None);
        assert_eq!(unplaced(&[]), None);
    }

    #[test]
    fn a_reason_is_said_once_with_what_would_help() {
        let reason = Reason {
            pool: "general".into(),
            code: Code::LimitExceeded,
            message: "limits.cpu 8 is used up".into(),
            nearest_miss: Some("limits.cpu 8 → 12".into()),
        };
        let one = |pod: &str| Unplaced { pods: vec![pod.into()], reasons: vec![reason.clone()] };
        let words = unplaced(&[one("shop/a"), one("shop/b")]).unwrap();
        assert_eq!(words.text, "2 pods without a place");
        assert_eq!(words.details, ["general: LimitExceeded: limits.cpu 8 is used up (would help: limits.cpu 8 → 12)"]);
    }
}
