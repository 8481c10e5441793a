//! Initialization: whether a registered node is ready for the pods it was bought for.

use crds::{NodeClaim, names};

use super::draft::{Draft, INITIALIZED, REGISTERED};
use super::launch::resources;
use crate::controllers::node::object::{Node, taint_text};

/// What still keeps a node from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotYet {
    pub reason: &'static str,
    pub message: String,
}

type Rule = fn(&NodeClaim, &Node) -> Option<NotYet>;

const RULES: &[Rule] = &[ready, startup_taints, ephemeral_taints, requested_resources];

/// What initialization finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Initialization {
    /// It has ended, or its turn has not come.
    Settled,
    NotYet(NotYet),
    /// The Node is to get the label that says so.
    Label(Box<Node>),
    Done,
}

/// Where the initialization of a claim stands, given its Node.
pub fn look(draft: &Draft, node: Option<&Node>) -> Initialization {
    let is_due = draft.is_open(INITIALIZED) || node.is_some_and(|node| has_joined_anew(draft, node));
    if !is_due || !draft.is_true(REGISTERED) {
        return Initialization::Settled;
    }
    let Some(node) = node else {
        return not_yet("NodeNotFound", "Node not registered with cluster")
            .map_or(Initialization::Settled, Initialization::NotYet);
    };
    if let Some(why) = RULES.iter().find_map(|rule| rule(&draft.claim, node)) {
        return Initialization::NotYet(why);
    }
    if node.said(names::core::INITIALIZED) {
        return Initialization::Done;
    }
    let mut after = node.clone();
    label(&mut after);
    Initialization::Label(Box::new(after))
}

/// Was the Node made anew and registered again, after its claim was initialized? Then it lacks the label.
fn has_joined_anew(draft: &Draft, node: &Node) -> bool {
    draft.is_true(INITIALIZED)
        && node.is_registered()
        && !node.said(names::core::INITIALIZED)
        && node.is_younger_than(draft.since(INITIALIZED))
}

/// The Node as it is to be once registered: if nothing else keeps it from being used, it says so in the same write.
pub fn with_registration(claim: &NodeClaim, mut after: Node) -> Node {
    if RULES.iter().all(|rule| rule(claim, &after).is_none()) {
        label(&mut after);
    }
    after
}

fn label(node: &mut Node) {
    node.metadata.labels.insert(names::core::INITIALIZED.to_owned(), "true".to_owned());
}

/// Writes what was found into the claim. A label that is still to be written changes nothing yet.
pub fn settle(draft: &mut Draft, found: &Initialization) {
    match found {
        Initialization::Settled | Initialization::Label(_) => {}
        // Of a Node that joined once more: the claim has said its word.
        Initialization::NotYet(_) if draft.is_true(INITIALIZED) => {}
        Initialization::NotYet(_) if draft.patience(REGISTERED).is_some() => {}
        Initialization::NotYet(why) => {
            draft.conditions.set_unknown_because(INITIALIZED, why.reason, &why.message);
        }
        Initialization::Done => {
            draft.conditions.set_true(INITIALIZED);
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what a rule returns")]
fn not_yet(reason: &'static str, message: impl Into<String>) -> Option<NotYet> {
    Some(NotYet { reason, message: message.into() })
}

fn ready(_: &NodeClaim, node: &Node) -> Option<NotYet> {
    if node.is_ready() { None } else { not_yet("NodeNotReady", "Node status is NotReady") }
}

fn startup_taints(claim: &NodeClaim, node: &Node) -> Option<NotYet> {
    let left = claim.spec.startup_taints.iter().find(|taint| node.has_taint(&taint.key, taint.effect))?;
    not_yet("StartupTaintsExist", format!("StartupTaint \"{}\" still exists", taint_text(left)))
}

fn ephemeral_taints(_: &NodeClaim, node: &Node) -> Option<NotYet> {
    let left = node.ephemeral_taint()?;
    not_yet("KnownEphemeralTaintsExist", format!("KnownEphemeralTaint \"{}\" still exists", taint_text(left)))
}

fn requested_resources(claim: &NodeClaim, node: &Node) -> Option<NotYet> {
    let requests = resources(&claim.spec.resources.as_ref()?.requests);
    let allocatable = resources(&node.status.allocatable);
    let (missing, _) = requests.iter().find(|(name, amount)| *amount != 0 && allocatable.get(name) == 0)?;
    not_yet("ResourceNotRegistered", format!("Resource \"{missing}\" was requested but not registered"))
}

#[cfg(test)]
mod tests {
    use crds::{Quantity, TaintEffect};

    use super::super::testing::{initialized, launched, ready as ready_node, registered, taint};
    use super::*;
    use crate::controllers::time;

    fn usable(name: &str) -> Node {
        let mut node = ready_node(name);
        node.status.allocatable.insert("example.com/gpu".to_owned(), Quantity::from("1"));
        node
    }

    fn wanting() -> NodeClaim {
        let mut claim = registered("a");
        claim.spec.startup_taints = vec![taint("start", "v", TaintEffect::NoSchedule)];
        let requests = [("example.com/gpu".to_owned(), Quantity::from("1")), ("other".to_owned(), Quantity::from("0"))];
        claim.spec.resources = Some(crds::node_claim::ResourceRequirements { requests: requests.into() });
        claim
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        type Break = fn(&mut Node);
        let table: [(Break, &str, &str); 5] = [
            (|n| n.status.conditions.clear(), "NodeNotReady", "Node status is NotReady"),
            (
                |n| n.spec.taints.push(taint("start", "other", TaintEffect::NoSchedule)),
                "StartupTaintsExist",
                "StartupTaint \"start=v:NoSchedule\" still exists",
            ),
            (
                |n| n.spec.taints.push(taint("node.kubernetes.io/not-ready", "", TaintEffect::NoSchedule)),
                "KnownEphemeralTaintsExist",
                "KnownEphemeralTaint \"node.kubernetes.io/not-ready:NoSchedule\" still exists",
            ),
            (
                |n| n.spec.taints.push(taint("karpenter.sh/unregistered", "", TaintEffect::NoExecute)),
                "KnownEphemeralTaintsExist",
                "KnownEphemeralTaint \"karpenter.sh/unregistered:NoExecute\" still exists",
            ),
            (
                |n| n.status.allocatable.clear(),
                "ResourceNotRegistered",
                "Resource \"example.com/gpu\" was requested but not registered",
            ),
        ];
        for (break_it, reason, message) in table {
            let mut node = usable("a");
            break_it(&mut node);
            let mut draft = Draft::new(wanting(), 10);
            let found = look(&draft, Some(&node));
            settle(&mut draft, &found);
            let condition = draft.conditions.get(INITIALIZED).unwrap();
            assert_eq!((condition.reason.as_str(), condition.message.as_str()), (reason, message));
            assert!(draft.is_open(INITIALIZED));
        }
    }

    #[test]
    fn a_usable_node_is_labelled_first_and_then_the_claim_says_so() {
        let mut draft = Draft::new(wanting(), 10);
        let Initialization::Label(after) = look(&draft, Some(&usable("a"))) else { panic!("not usable") };
        assert!(after.said("karpenter.sh/initialized"));
        let found = look(&draft, Some(&after));
        assert_eq!(found, Initialization::Done);
        settle(&mut draft, &found);
        assert!(draft.is_true(INITIALIZED) && draft.is_true("Ready"));
    }

    #[test]
    fn a_node_that_is_usable_when_its_gate_opens_says_both_in_one_write() {
        assert!(with_registration(&wanting(), usable("a")).said("karpenter.sh/initialized"));
        let mut node = usable("a");
        node.spec.taints.push(taint("start", "v", TaintEffect::NoSchedule));
        assert!(!with_registration(&wanting(), node).said("karpenter.sh/initialized"));
    }

    #[test]
    fn a_node_that_joined_once_more_gets_the_label_again_when_it_is_usable() {
        let mut draft = Draft::new(initialized("a"), 1000);
        let since = draft.since(INITIALIZED).unwrap();
        let mut node = usable("a");
        node.metadata.labels.insert(names::core::REGISTERED.to_owned(), "true".to_owned());
        node.metadata.creation_timestamp = Some(time::text(since));
        assert_eq!(look(&draft, Some(&node)), Initialization::Settled, "the mirror has not shown the label yet");
        node.metadata.creation_timestamp = Some(time::text(since + 1));
        assert!(matches!(look(&draft, Some(&node)), Initialization::Label(_)));
        node.status.conditions.clear();
        let found = look(&draft, Some(&node));
        assert!(matches!(found, Initialization::NotYet(_)));
        settle(&mut draft, &found);
        assert!(draft.is_true(INITIALIZED));
    }

    #[test]
    fn its_turn_comes_after_registration() {
        assert_eq!(look(&Draft::new(launched("a"), 10), Some(&usable("a"))), Initialization::Settled);
        let draft = Draft::new(registered("a"), 10);
        assert!(matches!(look(&draft, None), Initialization::NotYet(NotYet { reason: "NodeNotFound", .. })));
    }
}
