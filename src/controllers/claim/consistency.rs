//! Consistency: whether the node has as much as was bought.

use planner::model::resources::quantity;

use super::draft::{CONSISTENT_STATE_FOUND, Draft, INITIALIZED};
use super::launch::resources;
use crate::controllers::node::object::Node;

/// How often a claim is looked at, in seconds.
pub const PERIOD_SECONDS: i64 = 10 * 60;
/// A node that has at least this share of what was bought is as it should be, in per cent.
const LEAST_PERCENT: i128 = 90;

/// What is wrong with the node, a sentence each.
pub fn check(draft: &Draft, node: &Node) -> Vec<String> {
    if !draft.is_true(INITIALIZED) {
        return Vec::new();
    }
    let requests = draft.claim.spec.resources.as_ref().map(|r| resources(&r.requests)).unwrap_or_default();
    let bought = draft.claim.status.as_ref().map(|status| resources(&status.capacity)).unwrap_or_default();
    let has = resources(&node.status.capacity);
    let short = requests.iter().filter(|(_, asked)| *asked != 0).filter_map(|(name, _)| {
        let (expected, found) = (bought.get(name), has.get(name));
        let percent = (expected > 0).then(|| i128::from(found) * 100 / i128::from(expected))?;
        (percent < LEAST_PERCENT).then(|| {
            let (expected, found) = (quantity(name, expected), quantity(name, found));
            format!("expected {expected} of resource {name}, but found {found} ({percent}% of expected)")
        })
    });
    short.collect()
}

/// Writes what was found into the claim.
pub fn settle(draft: &mut Draft, faults: &[String]) {
    if !draft.is_true(INITIALIZED) {
        return;
    }
    if faults.is_empty() {
        draft.conditions.set_true(CONSISTENT_STATE_FOUND);
    } else {
        draft.conditions.set_false(CONSISTENT_STATE_FOUND, "ConsistencyCheckFailed", &faults.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use crds::Quantity;
    use crds::node_claim::ResourceRequirements;

    use super::super::testing::{initialized, ready, registered};
    use super::*;

    fn amounts(list: &[(&str, &str)]) -> std::collections::BTreeMap<String, Quantity> {
        list.iter().map(|(name, amount)| ((*name).to_owned(), Quantity::from(*amount))).collect()
    }

    #[test]
    fn a_node_that_lacks_more_than_a_tenth_of_what_was_asked_for_is_inconsistent() {
        let mut claim = initialized("a");
        claim.spec.resources = Some(ResourceRequirements { requests: amounts(&[("memory", "1Gi"), ("cpu", "1")]) });
        claim.status.as_mut().unwrap().capacity = amounts(&[("memory", "100Gi"), ("cpu", "4"), ("pods", "100")]);
        for (memory, expected) in
            [("90Gi", None), ("89Gi", Some("expected 100Gi of resource memory, but found 89Gi (89% of expected)"))]
        {
            let mut node = ready("a");
            node.status.capacity = amounts(&[("memory", memory), ("cpu", "4")]);
            let mut draft = Draft::new(claim.clone(), 10);
            let faults = check(&draft, &node);
            settle(&mut draft, &faults);
            let condition = draft.conditions.get(CONSISTENT_STATE_FOUND).unwrap();
            assert_eq!((condition.is_true(), condition.message.as_str()), (expected.is_none(), expected.unwrap_or("")));
        }
    }

    #[test]
    fn a_node_that_is_still_starting_is_not_judged() {
        let mut draft = Draft::new(registered("a"), 10);
        let faults = check(&draft, &ready("a"));
        settle(&mut draft, &faults);
        assert!(draft.conditions.get(CONSISTENT_STATE_FOUND).is_none());
    }
}
