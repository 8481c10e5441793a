//! A claim while it is looked at: steps change the draft, and what differs in the end is written in at most two patches.

use std::sync::Arc;

use crds::conditions::{ConditionSet, ConditionTypes};
use crds::{Condition, NodeClaim, ObjectMeta, names};
use serde_json::{Value, json};

use crate::act::merge::merge_patch;
use crate::controllers::time;

pub const LAUNCHED: &str = "Launched";
pub const REGISTERED: &str = "Registered";
pub const INITIALIZED: &str = "Initialized";
pub const CONSOLIDATABLE: &str = "Consolidatable";
pub const DRIFTED: &str = "Drifted";
pub const DISRUPTION_REASON: &str = "DisruptionReason";
pub const DRAINED: &str = "Drained";
pub const VOLUMES_DETACHED: &str = "VolumesDetached";
pub const INSTANCE_TERMINATING: &str = "InstanceTerminating";
pub const CONSISTENT_STATE_FOUND: &str = "ConsistentStateFound";

/// What a claim still waits for is written only if it has waited so long, in seconds: most of it comes at once, and a write
/// that says what is no longer true costs as much as one that says what is.
pub const PATIENCE_SECONDS: i64 = 5;

/// A claim as it was read, and as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is changed before the patches are sent"]
pub struct Draft {
    before: Arc<NodeClaim>,
    /// Metadata and status may be changed; conditions only through [`Draft::conditions`].
    pub claim: NodeClaim,
    pub conditions: ConditionSet,
    /// Seconds since the epoch.
    pub now: i64,
}

impl Draft {
    /// Takes up a claim. Conditions that were never written are Unknown since the claim's creation.
    pub fn new(claim: impl Into<Arc<NodeClaim>>, now: i64) -> Self {
        let claim = claim.into();
        let written = claim.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
        let conditions = ConditionSet::new(ConditionTypes::node_claim(), &claim.metadata, written, &time::text(now));
        let mut changed = NodeClaim::clone(&claim);
        changed.status.get_or_insert_default();
        Self { before: claim, claim: changed, conditions, now }
    }

    /// Whether the condition is there and True.
    pub fn is_true(&self, type_: &str) -> bool {
        self.conditions.get(type_).is_some_and(Condition::is_true)
    }

    /// Whether nobody has said True or False yet.
    pub fn is_open(&self, type_: &str) -> bool {
        self.conditions.get(type_).is_none_or(|condition| !condition.is_true() && !condition.is_false())
    }

    /// When the condition took its present status, in seconds since the epoch.
    pub fn since(&self, type_: &str) -> Option<i64> {
        time::seconds(&self.conditions.get(type_)?.last_transition_time)
    }

    /// When it is worth writing that a claim which has come this far waits for more; None if it is now.
    pub fn patience(&self, reached: &str) -> Option<i64> {
        let at = self.since(reached).filter(|_| self.is_true(reached))?.saturating_add(PATIENCE_SECONDS);
        (at > self.now).then_some(at)
    }

    /// Takes a condition away that `Ready` does not depend on.
    pub fn clear(&mut self, type_: &str) {
        // The set refuses only those that `Ready` depends on, and none of those is ever asked for here.
        self.conditions.clear(type_).ok();
    }

    /// The patch for metadata (labels, annotations, finalizers); None if nothing differs.
    pub fn metadata_patch(&self) -> Option<Value> {
        let (read, meta) = (&self.before.metadata, &self.claim.metadata);
        // Most looks change nothing, and find that out without building what they would compare.
        if (&read.labels, &read.annotations, &read.finalizers) == (&meta.labels, &meta.annotations, &meta.finalizers) {
            return None;
        }
        let part = |meta: &ObjectMeta| json!({ "metadata": { "labels": meta.labels, "annotations": meta.annotations, "finalizers": meta.finalizers } });
        let mut patch = merge_patch(&part(read), &part(meta))?;
        lock(&mut patch, &self.before);
        Some(patch)
    }

    /// The patch for the status; None if nothing differs. Call it after [`Draft::written`] if metadata was patched.
    pub fn status_patch(&self) -> Option<Value> {
        let written = self.before.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        if self.before.status == self.claim.status && written == self.conditions.conditions() {
            return None;
        }
        let part = |claim: &NodeClaim, conditions: &[Condition]| {
            let mut status = json!(claim.status.clone().unwrap_or_default());
            status["conditions"] = json!(conditions);
            json!({ "status": status })
        };
        let mut patch = merge_patch(&part(&self.before, written), &part(&self.claim, self.conditions.conditions()))?;
        lock(&mut patch, &self.before);
        Some(patch)
    }

    /// The server's answer to a metadata patch: what is still to be written goes on top of it.
    pub fn written(&mut self, answer: NodeClaim) {
        let status = self.claim.status.take();
        self.claim = NodeClaim { status, ..answer.clone() };
        self.before = Arc::new(answer);
    }

    /// The server's answer to a status patch.
    pub fn stored(&mut self, answer: NodeClaim) {
        self.claim.metadata.resource_version.clone_from(&answer.metadata.resource_version);
        self.before = Arc::new(answer);
    }

    /// Whether the condition was True when the claim was read or last written.
    pub fn was_true(&self, type_: &str) -> bool {
        says(&self.before, type_)
    }

    /// Whether the claim holds back its own deletion.
    pub fn has_finalizer(&self) -> bool {
        self.claim.metadata.finalizers.iter().any(|finalizer| finalizer == names::core::TERMINATION_FINALIZER)
    }
}

/// Whether the claim, as it is written, has this condition at True.
pub fn says(claim: &NodeClaim, type_: &str) -> bool {
    let written = claim.status.iter().flat_map(|status| &status.conditions);
    written.into_iter().any(|condition| condition.type_ == type_ && condition.is_true())
}

/// Refused by the server if anybody has written since.
fn lock(patch: &mut Value, read: &NodeClaim) {
    if let Some(version) = &read.metadata.resource_version {
        patch["metadata"]["resourceVersion"] = version.as_str().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::claim::testing::claim;

    #[test]
    fn a_claim_that_nobody_has_looked_at_gets_its_conditions_since_its_creation() {
        let draft = Draft::new(claim("a"), 100);
        let patch = draft.status_patch().unwrap();
        let conditions = patch["status"]["conditions"].as_array().unwrap();
        assert_eq!(conditions.len(), 4);
        assert!(conditions.iter().all(|c| c["lastTransitionTime"] == "1970-01-01T00:00:00Z"));
        assert_eq!(patch["metadata"]["resourceVersion"], "1");
        assert_eq!(draft.metadata_patch(), None);
    }

    #[test]
    fn the_status_goes_on_top_of_the_answer_to_the_metadata() {
        let mut draft = Draft::new(claim("a"), 100);
        draft.claim.metadata.labels.insert("l".to_owned(), "1".to_owned());
        draft.conditions.set_true(LAUNCHED);
        assert!(draft.metadata_patch().is_some());
        let mut answer = claim("a");
        answer.metadata.labels.insert("l".to_owned(), "1".to_owned());
        answer.metadata.resource_version = Some("2".to_owned());
        draft.written(answer);
        assert_eq!(draft.metadata_patch(), None);
        let patch = draft.status_patch().unwrap();
        assert_eq!(patch["metadata"], json!({ "resourceVersion": "2" }));
        assert!(draft.is_true(LAUNCHED));
    }
}
