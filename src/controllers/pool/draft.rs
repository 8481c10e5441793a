//! A pool while it is looked at: whether it may be used, what its nodes have, and what of that is to be written.

use std::collections::BTreeMap;

use cloud::{Class, ClassError};
use crds::conditions::{ConditionSet, ConditionTypes};
use crds::pool_validation::{LabelRules, validate};
use crds::{Condition, NodePool, Quantity};
use planner::model::Resources;
use planner::model::resources::quantity;
use serde_json::{Value, json};

use super::hash;
use crate::act::merge::merge_patch;
use crate::controllers::time;

const VALIDATION_SUCCEEDED: &str = "ValidationSucceeded";
const NODE_CLASS_READY: &str = "NodeClassReady";
/// Resources that every pool shows, at zero if need be.
const ALWAYS_SHOWN: [&str; 5] = ["cpu", "memory", "pods", "ephemeral-storage", "nodes"];

/// A pool as it was read, and as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is changed before the patches are sent"]
pub struct Draft {
    before: NodePool,
    pub pool: NodePool,
    pub conditions: ConditionSet,
}

impl Draft {
    /// Takes up a pool at second `now`.
    pub fn new(pool: NodePool, now: i64) -> Self {
        let written = pool.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
        let conditions = ConditionSet::new(ConditionTypes::node_pool(), &pool.metadata, written, &time::text(now));
        let mut changed = pool.clone();
        changed.status.get_or_insert_default();
        hash::stamp(&mut changed);
        Self { before: pool, pool: changed, conditions }
    }

    /// Whether the pool says what makes sense.
    pub fn validate(&mut self) {
        let group = &self.pool.spec.template.spec.node_class_ref.group;
        let errors = validate(&self.pool, &LabelRules::of_group(group));
        if errors.is_empty() {
            self.conditions.set_true(VALIDATION_SUCCEEDED);
        } else {
            self.conditions.set_false(VALIDATION_SUCCEEDED, "NodePoolValidationFailed", &errors.join("; "));
        }
    }

    /// Whether its node class can be used. A class that could not be asked about stays as it was.
    pub fn ready(&mut self, class: &Result<Class, ClassError>) {
        let (reason, message) = match class {
            Ok(class) => {
                self.conditions.set_true(NODE_CLASS_READY);
                self.pool.status.get_or_insert_default().node_class_observed_generation = Some(class.generation);
                return;
            }
            Err(ClassError::Unreachable { .. }) => return,
            Err(ClassError::Missing { .. } | ClassError::Foreign { .. }) => {
                ("NodeClassNotFound", "NodeClass not found on cluster".to_owned())
            }
            Err(ClassError::Terminating { .. }) => ("NodeClassTerminating", "NodeClass is Terminating".to_owned()),
            Err(ClassError::NotReady { reason, message, .. }) => (reason.as_str(), message.clone()),
            Err(ClassError::Unsettled { message, .. }) => ("NodeClassReadinessUnknown", message.clone()),
            Err(error @ ClassError::Catalog { .. }) => ("NodeClassReadinessUnknown", error.to_string()),
        };
        self.conditions.set_false(NODE_CLASS_READY, reason, &message);
    }

    /// What its nodes and claims have together; one that is on its way out does not count.
    pub fn count<'a>(&mut self, capacities: impl Iterator<Item = &'a Resources>) {
        let mut sum = Resources::of(ALWAYS_SHOWN.map(|name| (name, 0)));
        let mut n_nodes = 0;
        for capacity in capacities {
            sum.add(capacity);
            n_nodes += 1;
        }
        sum.set("nodes", n_nodes);
        let status = self.pool.status.get_or_insert_default();
        status.nodes = Some(n_nodes);
        let shown = sum.iter().map(|(name, amount)| (name.to_string(), Quantity(quantity(name, amount).to_string())));
        let shown: BTreeMap<_, _> = shown.collect();
        if !equal(&status.resources, &shown) {
            status.resources = shown;
        }
    }

    /// The patch for the annotations; None if nothing differs. Nobody else writes them, so nobody is waited for.
    pub fn metadata_patch(&self) -> Option<Value> {
        let part = |pool: &NodePool| json!({ "metadata": { "annotations": pool.metadata.annotations } });
        merge_patch(&part(&self.before), &part(&self.pool))
    }

    /// The patch for the status; None if nothing differs.
    pub fn status_patch(&self) -> Option<Value> {
        let part = |pool: &NodePool, conditions: &[Condition]| {
            let mut status = json!(pool.status.clone().unwrap_or_default());
            status["conditions"] = json!(conditions);
            json!({ "status": status })
        };
        let written = self.before.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        merge_patch(&part(&self.before, written), &part(&self.pool, self.conditions.conditions()))
    }
}

/// The same amounts, however they are written.
fn equal(a: &BTreeMap<String, Quantity>, b: &BTreeMap<String, Quantity>) -> bool {
    let canonical = |map: &BTreeMap<String, Quantity>| -> Vec<_> {
        map.iter().map(|(name, amount)| (name.clone(), amount.canonical())).collect()
    };
    canonical(a) == canonical(b)
}

#[cfg(test)]
mod tests {
    use cloud::ClassRef;
    use planner::model::Str;

    use super::super::testing::pool;
    use super::*;

    fn class() -> ClassRef {
        ClassRef { group: Str::from("karpenter.kwok.sh"), kind: Str::from("KWOKNodeClass"), name: Str::from("default") }
    }

    fn said(draft: &Draft, type_: &str) -> (String, String, String) {
        let condition = draft.conditions.get(type_).unwrap();
        (condition.status.to_string(), condition.reason.clone(), condition.message.clone())
    }

    #[test]
    fn a_sound_pool_with_a_ready_class_is_ready() {
        let mut draft = Draft::new(pool("p"), 10);
        draft.validate();
        draft.ready(&Ok(Class { generation: 3, ..Class::default() }));
        assert!(draft.conditions.root().unwrap().is_true());
        let patch = draft.status_patch().unwrap();
        assert_eq!(patch["status"]["nodeClassObservedGeneration"], 3);
        assert!(draft.metadata_patch().unwrap()["metadata"]["annotations"]["karpenter.sh/nodepool-hash"].is_string());
    }

    #[test]
    fn what_is_wrong_with_pool_or_class_is_said() {
        let mut bad = pool("p");
        bad.spec.template.metadata.labels = Some([("kubernetes.io/hostname".to_owned(), "a".to_owned())].into());
        let mut draft = Draft::new(bad, 10);
        draft.validate();
        let (status, reason, message) = said(&draft, VALIDATION_SUCCEEDED);
        assert_eq!((status.as_str(), reason.as_str()), ("False", "NodePoolValidationFailed"));
        assert!(message.contains("kubernetes.io/hostname"), "{message}");
        for (error, reason) in [
            (ClassError::Missing { class: class() }, "NodeClassNotFound"),
            (
                ClassError::NotReady { class: class(), reason: "SubnetsNotFound".to_owned(), message: "m".to_owned() },
                "SubnetsNotFound",
            ),
            (ClassError::Unsettled { class: class(), message: "m".to_owned() }, "NodeClassReadinessUnknown"),
            (ClassError::Terminating { class: class() }, "NodeClassTerminating"),
        ] {
            draft.ready(&Err(error));
            assert_eq!(said(&draft, NODE_CLASS_READY).1, reason);
        }
        let before = draft.clone();
        draft.ready(&Err(ClassError::Unreachable { class: class(), message: "m".to_owned() }));
        assert_eq!(draft, before, "no answer says nothing");
    }

    #[test]
    fn resources_are_summed_with_zeros_for_the_usual_ones() {
        let mut draft = Draft::new(pool("p"), 10);
        let one = Resources::of([("cpu", 2000), ("memory", 1 << 30), ("gpu", 1)]);
        draft.count([&one, &one].into_iter());
        let status = draft.pool.status.clone().unwrap();
        let shown: Vec<_> = status.resources.iter().map(|(name, amount)| (name.as_str(), amount.as_str())).collect();
        let expected =
            [("cpu", "4"), ("ephemeral-storage", "0"), ("gpu", "2"), ("memory", "2Gi"), ("nodes", "2"), ("pods", "0")];
        assert_eq!(shown, expected);
        assert_eq!(status.nodes, Some(2));
        let mut written = draft.pool.clone();
        written.status.as_mut().unwrap().resources.insert("cpu".to_owned(), Quantity::from("4000m"));
        let mut again = Draft::new(written.clone(), 10);
        again.count([&one, &one].into_iter());
        assert_eq!(
            again.pool.status.unwrap().resources,
            written.status.unwrap().resources,
            "equal is not written anew"
        );
    }
}
