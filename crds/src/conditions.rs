//! Condition sets: how the root condition (`Ready`) of an object follows from the conditions it depends on.
//!
//! The rules are those of operatorpkg's `status` package, so that what we write into a status cannot be told from what
//! Karpenter writes. A set is a plain value over the conditions of one object at one time.

use crate::condition::{Condition, ConditionStatus};
use crate::meta::ObjectMeta;

/// The reason of a condition that nobody has looked at yet.
pub const AWAITING_RECONCILIATION: &str = "AwaitingReconciliation";
/// The reason of a root that is Unknown because of its dependents.
pub const RECONCILING_DEPENDENTS: &str = "ReconcilingDependents";
/// The reason of a root that is False because of its dependents.
pub const UNHEALTHY_DEPENDENTS: &str = "UnhealthyDependents";

/// Which condition sums up the object, and which ones it sums up. Other conditions are independent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionTypes {
    pub root: &'static str,
    /// In the order in which they are made.
    pub dependents: Vec<&'static str>,
}

impl ConditionTypes {
    /// `Ready` over the given conditions.
    pub fn ready(dependents: &[&'static str]) -> Self {
        Self { root: "Ready", dependents: dependents.to_vec() }
    }

    pub fn node_pool() -> Self {
        Self::ready(&["ValidationSucceeded", "NodeClassReady"])
    }

    pub fn node_claim() -> Self {
        Self::ready(&["Launched", "Registered", "Initialized"])
    }

    pub fn node_overlay() -> Self {
        Self::ready(&["ValidationSucceeded"])
    }

    /// Capacity reservations are looked at only with the feature gate `ReservedCapacity`.
    pub fn ec2_node_class(reserved_capacity: bool) -> Self {
        let mut dependents = vec![
            "AMIsReady",
            "SubnetsReady",
            "SecurityGroupsReady",
            "InstanceProfileReady",
            "PlacementGroupReady",
            "ValidationSucceeded",
        ];
        if reserved_capacity {
            dependents.push("CapacityReservationsReady");
        }
        Self::ready(&dependents)
    }

    fn is_known(&self, type_: &str) -> bool {
        type_ == self.root || self.dependents.contains(&type_)
    }
}

/// A condition that the root depends on, or the root itself, cannot be taken away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("condition {type_} is part of Ready and cannot be cleared")]
pub struct ClearDependent {
    pub type_: String,
}

/// The conditions of one object at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the conditions are a copy; write them back into the status"]
pub struct ConditionSet {
    types: ConditionTypes,
    conditions: Vec<Condition>,
    generation: i64,
    created: String,
    is_deleting: bool,
    now: String,
}

impl ConditionSet {
    /// Takes up the conditions of an object. The root and each dependent that is missing is made as Unknown since the
    /// object's creation. `now` is RFC 3339 in UTC with whole seconds.
    pub fn new(types: ConditionTypes, meta: &ObjectMeta, conditions: Vec<Condition>, now: &str) -> Self {
        let mut set = Self {
            conditions,
            generation: meta.generation.unwrap_or_default(),
            created: meta.creation_timestamp.clone().unwrap_or_default(),
            is_deleting: meta.is_deleting(),
            now: now.to_owned(),
            types,
        };
        let known: Vec<_> = std::iter::once(set.types.root).chain(set.types.dependents.iter().copied()).collect();
        for type_ in known {
            if set.get(type_).is_none() {
                set.set_unknown(type_);
            }
        }
        set
    }

    /// By time of transition, the root last.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    pub fn into_conditions(self) -> Vec<Condition> {
        self.conditions
    }

    pub fn get(&self, type_: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }

    /// The condition that sums up the others. It is always there.
    pub fn root(&self) -> Option<&Condition> {
        self.get(self.types.root)
    }

    /// Whether all the named conditions are there and True.
    pub fn are_true(&self, types: &[&str]) -> bool {
        types.iter().all(|type_| self.get(type_).is_some_and(Condition::is_true))
    }

    /// True, with the condition's own name as the reason. Gives whether anything changed.
    pub fn set_true(&mut self, type_: &str) -> bool {
        self.set(type_, ConditionStatus::True, type_, "")
    }

    /// True for a reason of its own.
    pub fn set_true_because(&mut self, type_: &str, reason: &str, message: &str) -> bool {
        self.set(type_, ConditionStatus::True, reason, message)
    }

    pub fn set_false(&mut self, type_: &str, reason: &str, message: &str) -> bool {
        self.set(type_, ConditionStatus::False, reason, message)
    }

    /// Unknown, as nobody has looked yet.
    pub fn set_unknown(&mut self, type_: &str) -> bool {
        self.set_unknown_because(type_, AWAITING_RECONCILIATION, "object is awaiting reconciliation")
    }

    pub fn set_unknown_because(&mut self, type_: &str, reason: &str, message: &str) -> bool {
        self.set(type_, ConditionStatus::Unknown, reason, message)
    }

    /// Takes an independent condition away. Gives whether it was there.
    ///
    /// The rest is left in alphabetical order until something is set again, as operatorpkg does it.
    pub fn clear(&mut self, type_: &str) -> Result<bool, ClearDependent> {
        if self.types.is_known(type_) {
            return Err(ClearDependent { type_: type_.to_owned() });
        }
        let n_before = self.conditions.len();
        self.conditions.retain(|condition| condition.type_ != type_);
        let was_there = self.conditions.len() < n_before;
        if was_there {
            self.conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
        }
        Ok(was_there)
    }

    fn set(&mut self, type_: &str, status: ConditionStatus, reason: &str, message: &str) -> bool {
        let before = self.get(type_);
        let last_transition_time = match before {
            Some(condition) if condition.status == status => &condition.last_transition_time,
            None if self.types.is_known(type_) => &self.created,
            _ => &self.now,
        };
        let condition = Condition {
            type_: type_.to_owned(),
            status,
            reason: reason.to_owned(),
            message: message.to_owned(),
            last_transition_time: last_transition_time.clone(),
            observed_generation: self.generation,
        };
        if before == Some(&condition) {
            return false;
        }
        self.conditions.retain(|other| other.type_ != type_);
        if self.is_deleting {
            // A deleted object's spec no longer matters, so nothing waits for the new generation.
            for other in &mut self.conditions {
                other.observed_generation = self.generation;
            }
        }
        self.conditions.push(condition);
        let root = self.types.root;
        self.conditions.sort_by(|a, b| {
            let by_time = || a.last_transition_time.cmp(&b.last_transition_time);
            (a.type_ == root).cmp(&(b.type_ == root)).then_with(by_time)
        });
        if type_ != root {
            self.sum_up();
        }
        true
    }

    /// Sets the root from its dependents.
    fn sum_up(&mut self) {
        let is_current = |condition: &Condition| condition.observed_generation == self.generation;
        let mut unhealthy: Vec<&Condition> = self
            .conditions
            .iter()
            .filter(|condition| self.types.dependents.contains(&condition.type_.as_str()))
            .filter(|condition| !condition.is_true() || !is_current(condition))
            .collect();
        unhealthy.sort_by(|a, b| b.last_transition_time.cmp(&a.last_transition_time));
        let root = self.types.root;
        if unhealthy.is_empty() {
            self.set_true(root);
            return;
        }
        let is_false = unhealthy.iter().any(|condition| condition.is_false() && is_current(condition));
        let offenders: Vec<_> = unhealthy.iter().map(|c| format!("{}={}", c.type_, c.status)).collect();
        let message = offenders.join(", ");
        if is_false {
            self.set_false(root, UNHEALTHY_DEPENDENTS, &message);
        } else {
            self.set_unknown_because(root, RECONCILING_DEPENDENTS, &message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATED: &str = "2026-01-01T00:00:00Z";
    const LATER: &str = "2026-01-01T00:01:00Z";
    const LATEST: &str = "2026-01-01T00:02:00Z";

    fn meta(generation: i64) -> ObjectMeta {
        ObjectMeta {
            generation: Some(generation),
            creation_timestamp: Some(CREATED.to_owned()),
            ..ObjectMeta::named("claim")
        }
    }

    fn fresh() -> ConditionSet {
        ConditionSet::new(ConditionTypes::node_claim(), &meta(1), Vec::new(), LATER)
    }

    fn at(set: ConditionSet, meta: &ObjectMeta, now: &str) -> ConditionSet {
        ConditionSet::new(ConditionTypes::node_claim(), meta, set.into_conditions(), now)
    }

    fn types(set: &ConditionSet) -> Vec<&str> {
        set.conditions().iter().map(|condition| condition.type_.as_str()).collect()
    }

    fn root(set: &ConditionSet) -> (ConditionStatus, &str, &str) {
        let root = set.root().unwrap();
        (root.status, &root.reason, &root.message)
    }

    #[test]
    fn a_new_object_has_unknown_conditions_since_its_creation() {
        let set = fresh();
        assert_eq!(types(&set), ["Launched", "Registered", "Initialized", "Ready"]);
        for condition in &set.conditions()[..3] {
            assert_eq!(condition.status, ConditionStatus::Unknown);
            assert_eq!(condition.reason, "AwaitingReconciliation");
            assert_eq!(condition.message, "object is awaiting reconciliation");
            assert_eq!(condition.last_transition_time, CREATED);
            assert_eq!(condition.observed_generation, 1);
        }
        assert_eq!(set.root().unwrap().last_transition_time, CREATED);
        let expected = "Launched=Unknown, Registered=Unknown, Initialized=Unknown";
        assert_eq!(root(&set), (ConditionStatus::Unknown, "ReconcilingDependents", expected));
    }

    #[test]
    fn the_root_is_true_once_every_dependent_is() {
        let mut set = fresh();
        assert!(set.set_true("Launched"));
        assert!(!set.set_true("Launched"), "nothing changed");
        set.set_true("Registered");
        assert_eq!(root(&set), (ConditionStatus::Unknown, "ReconcilingDependents", "Initialized=Unknown"));
        set.set_true("Initialized");
        assert_eq!(root(&set), (ConditionStatus::True, "Ready", ""));
        assert!(set.are_true(&["Launched", "Registered", "Initialized", "Ready"]));
        assert_eq!(set.root().unwrap().last_transition_time, LATER);
    }

    #[test]
    fn one_false_dependent_makes_the_root_false_and_newer_offenders_come_first() {
        let mut set = fresh();
        set.set_false("Registered", "MultipleNodesFound", "two");
        let expected = "Registered=False, Launched=Unknown, Initialized=Unknown";
        assert_eq!(root(&set), (ConditionStatus::False, "UnhealthyDependents", expected));
        assert_eq!(types(&set), ["Launched", "Initialized", "Registered", "Ready"], "by time, the root last");
    }

    #[test]
    fn the_transition_time_moves_with_the_status_only() {
        let mut set = fresh();
        set.set_unknown_because("Launched", "LaunchFailed", "no capacity");
        assert_eq!(set.get("Launched").unwrap().last_transition_time, CREATED);
        set.set_true("Launched");
        assert_eq!(set.get("Launched").unwrap().last_transition_time, LATER);
        let mut set = at(set, &meta(1), LATEST);
        set.set_true_because("Launched", "Relaunched", "");
        assert_eq!(set.get("Launched").unwrap().last_transition_time, LATER);
    }

    #[test]
    fn a_dependent_of_an_older_generation_leaves_the_root_unknown() {
        let mut set = fresh();
        for type_ in ["Launched", "Registered", "Initialized"] {
            set.set_true(type_);
        }
        let mut set = at(set, &meta(2), LATEST);
        set.set_true("Launched");
        let expected = "Registered=True, Initialized=True";
        assert_eq!(root(&set), (ConditionStatus::Unknown, "ReconcilingDependents", expected));
        // A False of an older generation does not count as False.
        set.set_true("Registered");
        set.set_true("Initialized");
        set.set_false("Registered", "Gone", "");
        let mut set = at(set, &meta(3), LATEST);
        set.set_true("Launched");
        assert_eq!(root(&set).0, ConditionStatus::Unknown);
    }

    #[test]
    fn deletion_brings_every_condition_to_the_current_generation() {
        let mut set = fresh();
        for type_ in ["Launched", "Registered", "Initialized"] {
            set.set_true(type_);
        }
        let deleted = ObjectMeta { deletion_timestamp: Some(LATEST.to_owned()), ..meta(2) };
        let mut set = at(set, &deleted, LATEST);
        set.set_true("Drained");
        assert!(set.conditions().iter().all(|condition| condition.observed_generation == 2));
        assert_eq!(root(&set).0, ConditionStatus::True);
    }

    #[test]
    fn only_independent_conditions_can_be_cleared() {
        let mut set = fresh();
        set.set_true_because("Drifted", "NodePoolDrifted", "NodePoolDrifted");
        assert_eq!(set.get("Drifted").unwrap().last_transition_time, LATER);
        assert_eq!(set.clear("Drifted"), Ok(true));
        assert_eq!(
            types(&set),
            ["Initialized", "Launched", "Ready", "Registered"],
            "alphabetical until the next change"
        );
        assert_eq!(set.clear("Drifted"), Ok(false));
        assert_eq!(set.clear("Ready"), Err(ClearDependent { type_: "Ready".to_owned() }));
        assert!(set.clear("Launched").is_err());
    }
}
