//! The marks of a voluntary disruption on the objects: the taint on the Node and the condition on its claim. Whoever finds them without
//! a deletion that follows takes them off again.

use crds::{NodeClaim, TaintEffect, names};

use crate::controllers::claim::Draft;
use crate::controllers::claim::draft::DISRUPTION_REASON;
use crate::controllers::node::Node;
use crate::controllers::node::object::{add_taints, mark};

/// The Node as it is while it is being disrupted: nothing more is bound to it.
pub(super) fn begun(node: &Node) -> Node {
    let mut after = node.clone();
    add_taints(&mut after.spec.taints, &[mark(names::core::DISRUPTED_TAINT, TaintEffect::NoSchedule)]);
    after
}

/// The Node as it is when nothing came of a disruption.
pub(super) fn undone(node: &Node) -> Node {
    let mut after = node.clone();
    let is_mark =
        |taint: &crds::Taint| taint.key == names::core::DISRUPTED_TAINT && taint.effect == TaintEffect::NoSchedule;
    after.spec.taints.retain(|taint| !is_mark(taint));
    after
}

/// Writes into the claim why it is disrupted.
pub(super) fn begin(claim: &mut Draft, reason: &str) {
    claim.conditions.set_true_because(DISRUPTION_REASON, reason, reason);
}

/// Takes the reason out of the claim again.
pub(super) fn undo(claim: &mut Draft) {
    claim.clear(DISRUPTION_REASON);
}

/// Whether a disruption was begun here and neither Node nor claim is going: it was cut short.
pub(super) fn is_left_over(node: &Node, claim: &NodeClaim) -> bool {
    let is_going = node.metadata.is_deleting() || claim.metadata.is_deleting();
    let conditions = claim.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let has_reason = conditions.iter().any(|condition| condition.type_ == DISRUPTION_REASON);
    !is_going && (has_reason || node.has_taint(names::core::DISRUPTED_TAINT, TaintEffect::NoSchedule))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::claim::testing::{initialized, ready, with};

    #[test]
    fn a_disruption_can_be_begun_and_undone() {
        let node = ready("a");
        let tainted = begun(&node);
        assert!(tainted.has_taint("karpenter.sh/disrupted", TaintEffect::NoSchedule));
        assert_eq!(undone(&tainted), node);
        assert_eq!(begun(&tainted), tainted);
    }

    #[test]
    fn a_mark_without_a_deletion_is_left_over() {
        let (node, claim) = (ready("a"), initialized("a"));
        assert!(!is_left_over(&node, &claim));
        assert!(is_left_over(&begun(&node), &claim));
        let marked = with(claim.clone(), 5, |draft| begin(draft, "Empty"));
        assert!(is_left_over(&node, &marked), "the taint was taken off and the condition not yet");
        let cleared = with(marked.clone(), 6, undo);
        assert!(!is_left_over(&node, &cleared));
        let mut going = marked;
        going.metadata.deletion_timestamp = Some("1970-01-01T00:00:00Z".to_owned());
        assert!(!is_left_over(&begun(&node), &going));
    }
}
