//! The end of a claim: its Nodes first, then its instance, then itself.
//!
//! ```text
//! deletion asked --grace period?--> deadline written --registered?--> Nodes deleted, waited for
//!    --instance?--> terminated, asked again until it is gone --> finalizer taken off
//! ```

use crds::names;

use super::draft::{Draft, INSTANCE_TERMINATING, REGISTERED};
use crate::controllers::node::object::Node;
use crate::controllers::time;

/// How often the cloud is asked whether an instance is gone, in seconds.
pub const POLL_SECONDS: u64 = 5;

/// The next thing to be done for a claim that is being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing holds it back (any more).
    Released,
    /// The draft has the deadline by which every pod must be gone; it is to be written.
    Deadline(String),
    /// These Nodes are to be deleted.
    DeleteNodes(Vec<String>),
    /// Deleted Nodes are still being drained.
    AwaitNodes,
    /// The instance is to be ended, or asked for again.
    Terminate(String),
    /// The draft has lost its finalizer; that is to be written.
    Release,
}

/// What comes next. `provider_id` is known from the status, or from a launch whose answer could not be written;
/// `is_gone` says that the cloud has nothing left of the instance.
pub fn next(draft: &mut Draft, nodes: &[&Node], provider_id: Option<&str>, is_gone: bool) -> Ending {
    if !draft.has_finalizer() {
        return Ending::Released;
    }
    if let Some(deadline) = deadline(draft) {
        draft.claim.metadata.annotations.insert(names::core::TERMINATION_TIMESTAMP.to_owned(), deadline.clone());
        return Ending::Deadline(deadline);
    }
    if draft.is_true(REGISTERED) && !nodes.is_empty() {
        let live: Vec<_> = nodes.iter().filter(|node| !node.metadata.is_deleting()).collect();
        if live.is_empty() {
            return Ending::AwaitNodes;
        }
        return Ending::DeleteNodes(live.into_iter().map(|node| node.name().to_owned()).collect());
    }
    if let (Some(provider_id), false) = (provider_id.filter(|id| !id.is_empty()), is_gone) {
        return Ending::Terminate(provider_id.to_owned());
    }
    draft.claim.metadata.finalizers.retain(|finalizer| finalizer != names::core::TERMINATION_FINALIZER);
    Ending::Release
}

/// Writes into the claim that the cloud has taken up the end of its instance.
pub fn terminating(draft: &mut Draft) {
    draft.conditions.set_true(INSTANCE_TERMINATING);
}

/// The deadline that is still to be written: the grace period after the deletion was asked for.
fn deadline(draft: &Draft) -> Option<String> {
    let claim = &draft.claim;
    if claim.metadata.annotations.contains_key(names::core::TERMINATION_TIMESTAMP) {
        return None;
    }
    let grace = time::span(claim.spec.termination_grace_period.as_ref()?)?;
    let asked = time::seconds(claim.metadata.deletion_timestamp.as_deref()?)?;
    Some(time::text(asked.saturating_add(grace)))
}

/// The deadline that is written, in seconds since the epoch.
pub fn written_deadline(claim: &crds::NodeClaim) -> Option<i64> {
    time::seconds(claim.metadata.annotations.get(names::core::TERMINATION_TIMESTAMP)?)
}

#[cfg(test)]
mod tests {
    use crds::NodeClaim;

    use super::super::testing::{claim, launched, ready, registered};
    use super::*;

    fn deleted(mut claim: NodeClaim) -> Draft {
        claim.metadata.deletion_timestamp = Some(time::text(100));
        claim.metadata.finalizers = vec!["example.com/other".to_owned(), "karpenter.sh/termination".to_owned()];
        Draft::new(claim, 200)
    }

    #[test]
    fn a_registered_claim_ends_nodes_first_then_instance_then_itself() {
        let mut draft = deleted(registered("a"));
        let mut node = ready("a");
        let id = Some("kwok://a");
        assert_eq!(next(&mut draft, &[&node], id, false), Ending::DeleteNodes(vec!["a".to_owned()]));
        node.metadata.deletion_timestamp = Some(time::text(101));
        assert_eq!(next(&mut draft, &[&node], id, false), Ending::AwaitNodes);
        assert_eq!(next(&mut draft, &[], id, false), Ending::Terminate("kwok://a".to_owned()));
        terminating(&mut draft);
        assert!(draft.is_true(INSTANCE_TERMINATING));
        assert_eq!(next(&mut draft, &[], id, true), Ending::Release);
        assert_eq!(draft.claim.metadata.finalizers, ["example.com/other"], "others keep theirs");
        assert_eq!(next(&mut draft, &[], id, true), Ending::Released);
    }

    #[test]
    fn a_claim_that_never_registered_does_not_wait_for_nodes() {
        let mut draft = deleted(launched("a"));
        assert_eq!(next(&mut draft, &[&ready("a")], Some("kwok://a"), false), Ending::Terminate("kwok://a".to_owned()));
    }

    #[test]
    fn a_claim_without_an_instance_goes_at_once() {
        assert_eq!(next(&mut deleted(claim("a")), &[], None, false), Ending::Release);
    }

    #[test]
    fn a_grace_period_becomes_a_deadline_from_the_deletion_once() {
        let mut start = registered("a");
        start.spec.termination_grace_period = Some("1h".into());
        let mut draft = deleted(start.clone());
        let expected = time::text(3700);
        assert_eq!(next(&mut draft, &[], None, false), Ending::Deadline(expected.clone()));
        assert_eq!(written_deadline(&draft.claim), Some(3700));
        assert_ne!(next(&mut draft, &[], None, false), Ending::Deadline(expected));
        start.metadata.annotations.insert("karpenter.sh/nodeclaim-termination-timestamp".to_owned(), time::text(5));
        let mut repaired = deleted(start);
        assert_eq!(next(&mut repaired, &[], None, false), Ending::Release, "an earlier deadline stays");
        assert_eq!(written_deadline(&repaired.claim), Some(5));
    }
}
