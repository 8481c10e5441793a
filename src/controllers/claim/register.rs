//! Registration: the Node that joined is given all that its claim says, and then its gate is opened.
//!
//! The gate is the taint `karpenter.sh/unregistered`. No pod runs on the node before it is gone, so whatever must be
//! known first (which pods are meant for the node) is written just before. While another taint still shuts the node, the
//! gate stays shut too: the scheduler would try the pods, fail, and forget for which node they were meant.

use crds::{NodeClaim, OwnerReference, TaintEffect, names};

use super::draft::{Draft, LAUNCHED, REGISTERED};
use super::launch::of_node;
use crate::controllers::node::object::{Node, add_taints};
use crate::controllers::time;

/// How many seconds after its node joined a gate waits for the node's other taints to go. A node that never gets ready is
/// registered all the same.
const GATE_SECONDS: i64 = 60;

/// What registration finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// It has ended, one way or the other, or has no instance to wait for.
    Settled,
    /// No Node of the instance has joined.
    Absent,
    /// More than one Node says it is the instance. It will not be tried again.
    Several,
    /// Another taint shuts the Node; its gate need not open before that is gone, or before this second.
    Shut { until: i64 },
    /// The Node is to become `after`, and with that its gate opens.
    Open { after: Box<Node>, taint_was_missing: bool },
    /// The Node has all it needs.
    Done { node: String },
}

/// Where the registration of a claim stands, given the Nodes of its instance.
pub fn look(draft: &Draft, nodes: &[&Node]) -> Registration {
    let is_due = draft.is_open(REGISTERED) || matches!(nodes, [node] if has_joined_anew(draft, node));
    if !is_due || !draft.is_true(LAUNCHED) {
        return Registration::Settled;
    }
    match nodes {
        [] => Registration::Absent,
        [node] => {
            let after = synced(&draft.claim, node);
            if node.patch_to(&after).is_none() {
                return Registration::Done { node: node.name().to_owned() };
            }
            let is_marked = node.has_taint(names::core::UNREGISTERED_TAINT, TaintEffect::NoExecute);
            if let Some(until) = shut_until(node).filter(|until| is_marked && draft.now < *until) {
                return Registration::Shut { until };
            }
            Registration::Open { taint_was_missing: !is_marked && !node.is_registered(), after: Box::new(after) }
        }
        _ => Registration::Several,
    }
}

/// Was the Node made anew after its claim was registered: deleted without its finalizer, and joined once more? It has its
/// gate and nothing else. A mirror that does not show the registration yet shows an older Node.
fn has_joined_anew(draft: &Draft, node: &Node) -> bool {
    draft.is_true(REGISTERED)
        && !node.is_registered()
        && node.has_taint(names::core::UNREGISTERED_TAINT, TaintEffect::NoExecute)
        && node.is_younger_than(draft.since(REGISTERED))
}

/// Writes what was found into the claim.
pub fn settle(draft: &mut Draft, found: &Registration) {
    match found {
        Registration::Settled | Registration::Shut { .. } | Registration::Open { .. } => {}
        Registration::Absent if draft.patience(LAUNCHED).is_some() => {}
        Registration::Absent => {
            draft.conditions.set_unknown_because(REGISTERED, "NodeNotFound", "Node not registered with cluster");
        }
        Registration::Several => {
            let message = "Invariant violated, matched multiple nodes";
            draft.conditions.set_false(REGISTERED, "MultipleNodesFound", message);
        }
        Registration::Done { node } => {
            draft.claim.status.get_or_insert_default().node_name = Some(node.clone());
            draft.conditions.set_true(REGISTERED);
        }
    }
}

/// Until when the gate waits for the taints that go by themselves, if there is any beside the gate.
fn shut_until(node: &Node) -> Option<i64> {
    let mut without_gate = node.clone();
    without_gate.spec.taints.retain(|taint| taint.key != names::core::UNREGISTERED_TAINT);
    without_gate.ephemeral_taint()?;
    let joined = node.metadata.creation_timestamp.as_deref().and_then(time::seconds)?;
    Some(joined.saturating_add(GATE_SECONDS))
}

/// The Node as it is once registered: held back by the finalizer, owned by its claim, carrying what the claim says, its
/// gate open.
fn synced(claim: &NodeClaim, node: &Node) -> Node {
    let mut after = node.clone();
    let meta = &mut after.metadata;
    if !node.has_finalizer() {
        meta.finalizers.push(names::core::TERMINATION_FINALIZER.to_owned());
    }
    let owner = OwnerReference {
        api_version: crds::Kind::NodeClaim.api_version().to_owned(),
        kind: crds::Kind::NodeClaim.as_str().to_owned(),
        name: claim.metadata.name().to_owned(),
        uid: claim.metadata.uid.clone().unwrap_or_default(),
        controller: None,
        block_owner_deletion: Some(true),
    };
    if !meta.owner_references.iter().any(|other| other.uid == owner.uid) {
        meta.owner_references.push(owner);
    }
    meta.annotations.extend(of_node(&claim.metadata.annotations));
    meta.labels.extend(claim.metadata.labels.clone());
    if !node.is_registered() {
        meta.labels.insert(names::core::REGISTERED.to_owned(), "true".to_owned());
        if !node.said(names::core::DO_NOT_SYNC_TAINTS) {
            add_taints(&mut after.spec.taints, &claim.spec.taints);
            add_taints(&mut after.spec.taints, &claim.spec.startup_taints);
        }
    }
    let is_gate = |key: &str, effect| key == names::core::UNREGISTERED_TAINT && effect == TaintEffect::NoExecute;
    after.spec.taints.retain(|taint| !is_gate(&taint.key, taint.effect));
    after
}

#[cfg(test)]
mod tests {
    use super::super::testing::{claim, launched, node, registered, taint};
    use super::*;
    use crate::controllers::node::object::taint_text;

    fn opened(claim: NodeClaim, node: &Node) -> Node {
        match look(&Draft::new(claim, 10), &[node]) {
            Registration::Open { after, .. } => *after,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_node_gets_all_that_its_claim_says_and_its_gate_is_opened_in_one_write() {
        let mut claim = launched("a");
        claim.metadata.annotations.insert("x".to_owned(), "1".to_owned());
        claim.spec.taints = vec![taint("own", "1", TaintEffect::NoSchedule)];
        claim.spec.startup_taints = vec![taint("start", "", TaintEffect::NoExecute)];
        let mut joined = node("a");
        joined.metadata.labels.insert("karpenter.sh/nodepool".to_owned(), "wrong".to_owned());
        let after = opened(claim, &joined);
        assert_eq!(
            after.spec.taints.iter().map(taint_text).collect::<Vec<_>>(),
            ["own=1:NoSchedule", "start:NoExecute"]
        );
        assert_eq!(after.metadata.finalizers, ["karpenter.sh/termination"]);
        assert_eq!(after.metadata.owner_references[0].uid, "uid-of-a");
        assert_eq!(after.metadata.owner_references[0].block_owner_deletion, Some(true));
        assert_eq!(after.metadata.labels["karpenter.sh/nodepool"], "p");
        assert_eq!(after.metadata.labels["karpenter.sh/registered"], "true");
        assert_eq!(after.metadata.annotations["x"], "1");
    }

    #[test]
    fn a_gate_opens_when_the_node_can_take_pods_and_a_minute_after_it_joined_at_the_latest() {
        let mut joined = node("a");
        joined.metadata.creation_timestamp = Some("1970-01-01T00:00:05Z".to_owned());
        joined.spec.taints.push(taint("node.kubernetes.io/not-ready", "", TaintEffect::NoSchedule));
        assert_eq!(look(&Draft::new(launched("a"), 10), &[&joined]), Registration::Shut { until: 65 });
        assert!(matches!(look(&Draft::new(launched("a"), 65), &[&joined]), Registration::Open { .. }));
        joined.spec.taints.pop();
        assert!(matches!(look(&Draft::new(launched("a"), 10), &[&joined]), Registration::Open { .. }));
    }

    #[test]
    fn a_node_that_keeps_its_taints_loses_only_the_gate() {
        let mut claim = launched("a");
        claim.spec.taints = vec![taint("own", "", TaintEffect::NoSchedule)];
        let mut joined = node("a");
        joined.metadata.labels.insert("karpenter.sh/do-not-sync-taints".to_owned(), "true".to_owned());
        assert_eq!(opened(claim, &joined).spec.taints, []);
    }

    #[test]
    fn a_second_look_at_a_synced_node_writes_nothing_to_it_and_registers_the_claim() {
        let after = opened(launched("a"), &node("a"));
        let mut draft = Draft::new(launched("a"), 10);
        let found = look(&draft, &[&after]);
        assert_eq!(found, Registration::Done { node: "a".to_owned() });
        settle(&mut draft, &found);
        assert!(draft.is_true(REGISTERED));
        assert_eq!(draft.claim.status.as_ref().unwrap().node_name.as_deref(), Some("a"));
        assert_eq!(look(&draft, &[&after]), Registration::Settled);
    }

    #[test]
    fn a_startup_taint_that_was_taken_off_after_registration_does_not_come_back() {
        let mut claim = launched("a");
        claim.spec.startup_taints = vec![taint("start", "", TaintEffect::NoExecute)];
        let mut after = opened(claim.clone(), &node("a"));
        after.spec.taints.clear();
        assert_eq!(look(&Draft::new(claim, 10), &[&after]), Registration::Done { node: "a".to_owned() });
    }

    #[test]
    fn without_a_node_it_waits_and_with_two_it_gives_up() {
        let mut draft = Draft::new(launched("a"), 4);
        let found = look(&draft, &[]);
        settle(&mut draft, &found);
        assert_eq!(draft.conditions.get(REGISTERED).unwrap().reason, "AwaitingReconciliation", "not worth a word yet");
        assert_eq!(draft.patience(LAUNCHED), Some(5));
        let mut draft = Draft::new(launched("a"), 10);
        let found = look(&draft, &[]);
        settle(&mut draft, &found);
        assert_eq!(draft.conditions.get(REGISTERED).unwrap().reason, "NodeNotFound");
        let (one, other) = (node("a"), node("a"));
        let found = look(&draft, &[&one, &other]);
        assert_eq!(found, Registration::Several);
        settle(&mut draft, &found);
        assert!(draft.conditions.get(REGISTERED).unwrap().is_false());
        assert_eq!(look(&draft, &[&one]), Registration::Settled, "it is not tried again");
    }

    #[test]
    fn a_node_that_joined_once_more_after_its_claim_was_registered_is_let_in_again() {
        let mut claim = registered("a");
        claim.spec.taints = vec![taint("own", "1", TaintEffect::NoSchedule)];
        let draft = Draft::new(claim, 1000);
        let since = draft.since(REGISTERED).unwrap();
        let mut anew = node("a");
        anew.metadata.creation_timestamp = Some(time::text(since));
        assert_eq!(look(&draft, &[&anew]), Registration::Settled, "the mirror has not shown the registration yet");
        anew.metadata.creation_timestamp = Some(time::text(since + 1));
        let Registration::Open { after, taint_was_missing: false } = look(&draft, &[&anew]) else {
            panic!("it stays shut")
        };
        let after = *after;
        assert_eq!(after.spec.taints.iter().map(taint_text).collect::<Vec<_>>(), ["own=1:NoSchedule"]);
        assert!(after.has_finalizer() && after.is_registered());
        assert_eq!(look(&draft, &[&after]), Registration::Settled);
        anew.spec.taints.clear();
        assert_eq!(look(&draft, &[&anew]), Registration::Settled, "nothing shuts it");
    }

    #[test]
    fn a_claim_without_an_instance_has_nothing_to_register() {
        assert_eq!(look(&Draft::new(claim("a"), 10), &[&node("a")]), Registration::Settled);
    }

    #[test]
    fn a_kubelet_that_joined_without_the_gate_is_told_of() {
        let mut joined = node("a");
        joined.spec.taints.clear();
        let found = look(&Draft::new(launched("a"), 10), &[&joined]);
        assert!(matches!(found, Registration::Open { taint_was_missing: true, .. }), "{found:?}");
    }
}
