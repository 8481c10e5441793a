//! What was last seen of the conditions of objects, and what has changed since.

use std::collections::BTreeMap;

use crds::conditions::ConditionTypes;
use crds::{Condition, ConditionStatus, ObjectMeta};

use crate::controllers::time;
use crate::observe::k8s;

/// One condition as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) since: i64,
}

/// What was last seen of the objects of one kind, by key.
#[derive(Debug, Default)]
pub(in crate::controllers) struct Seen {
    objects: BTreeMap<String, Object>,
    /// Objects made since then were new when they were first seen.
    since: i64,
    /// Conditions that every object of the kind has from its creation on, Unknown until somebody says more.
    implied: Vec<&'static str>,
}

/// Conditions by type, the further labels of their series, and since when the object is being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) extra: Vec<String>,
    pub(super) conditions: BTreeMap<String, Last>,
    pub(super) ends_since: Option<i64>,
}

/// A condition that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transition {
    pub(super) condition: Condition,
    /// None for one that was not there.
    pub(super) from: Option<Last>,
}

impl Transition {
    /// Whether more changed than the reason. One that was not there was as good as Unknown.
    pub(super) fn is_of_status(&self) -> bool {
        let status = self.condition.status.to_string();
        self.from.as_ref().map_or(UNKNOWN, |from| from.status.as_str()) != status
    }
}

const UNKNOWN: &str = "Unknown";

/// `name`, or `namespace/name`.
pub(super) fn key(meta: &ObjectMeta) -> String {
    meta.namespace.as_ref().map_or_else(|| meta.name().to_owned(), |namespace| format!("{namespace}/{}", meta.name()))
}

impl Seen {
    /// Nothing seen yet, at second `since`.
    pub(in crate::controllers) fn new(since: i64, types: Option<&ConditionTypes>) -> Self {
        let implied = types.map(|types| types.dependents.iter().copied().chain([types.root]).collect());
        Self { objects: BTreeMap::new(), since, implied: implied.unwrap_or_default() }
    }

    /// Takes in the conditions of one object; gives those whose status or reason changed, and those that are gone. An
    /// object from before the first look has no transitions then: nobody knows when they happened.
    pub(super) fn look(
        &mut self,
        meta: &ObjectMeta,
        extra: &[&str],
        conditions: &[Condition],
    ) -> (Vec<Transition>, Vec<(String, Last)>) {
        let extra = extra.iter().map(ToString::to_string).collect();
        let ends_since = meta.deletion_timestamp.as_deref().and_then(time::seconds);
        let conditions_now = conditions.iter().map(|c| (c.type_.clone(), last(c))).collect();
        let (namespace, name) = (meta.namespace.clone().unwrap_or_default(), meta.name().to_owned());
        let now = Object { namespace, name, extra, conditions: conditions_now, ends_since };
        let created = meta.creation_timestamp.as_deref().and_then(time::seconds);
        let before = match (self.objects.insert(key(meta), now), created) {
            (Some(before), _) => before.conditions,
            (None, Some(created)) if created >= self.since => BTreeMap::new(),
            (None, _) => return (Vec::new(), Vec::new()),
        };
        let changed = conditions.iter().filter_map(|condition| {
            let from = before.get(&condition.type_).cloned().or_else(|| self.implied(&condition.type_, created));
            let is_same = from
                .as_ref()
                .is_some_and(|from| from.status == condition.status.to_string() && from.reason == condition.reason);
            (!is_same).then(|| Transition { condition: condition.clone(), from })
        });
        let changed: Vec<_> = changed.collect();
        let is_gone = |type_: &String| !conditions.iter().any(|condition| condition.type_ == *type_);
        (changed, before.into_iter().filter(|(type_, _)| is_gone(type_)).collect())
    }

    /// A condition that nobody has written yet.
    fn implied(&self, type_: &str, created: Option<i64>) -> Option<Last> {
        let reason = crds::conditions::AWAITING_RECONCILIATION.to_owned();
        let last = |since| Last { status: UNKNOWN.to_owned(), reason, since };
        created.filter(|_| self.implied.contains(&type_)).map(last)
    }

    /// What was seen of an object whose further labels are others now.
    pub(super) fn relabelled(&mut self, key: &str, extra: &[&str]) -> Option<Object> {
        self.objects.get(key).filter(|old| old.extra != extra).cloned()
    }

    /// An object that is gone.
    pub(super) fn forget(&mut self, key: &str) -> Option<Object> {
        self.objects.remove(key)
    }

    /// Keys of those that were seen and that `there` does not know.
    pub(super) fn without(&self, there: impl Fn(&str) -> bool) -> Vec<String> {
        self.objects.keys().filter(|key| !there(key)).cloned().collect()
    }
}

pub(super) fn last(condition: &Condition) -> Last {
    Last {
        status: condition.status.to_string(),
        reason: condition.reason.clone(),
        since: time::seconds(&condition.last_transition_time).unwrap_or_default(),
    }
}

/// A condition of a Node in the form of the others.
pub(super) fn of_node(condition: &k8s::Condition) -> Condition {
    let status = match &*condition.status {
        "True" => ConditionStatus::True,
        "False" => ConditionStatus::False,
        _ => ConditionStatus::Unknown,
    };
    Condition {
        type_: condition.kind.to_string(),
        status,
        reason: condition.reason.to_string(),
        message: String::new(),
        last_transition_time: condition.last_transition_time.as_ref().map(ToString::to_string).unwrap_or_default(),
        observed_generation: 0,
    }
}

/// What is looked at of a Node's metadata: its name and times.
pub(super) fn meta_of_node(meta: &k8s::ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: Some(meta.name.to_string()),
        creation_timestamp: meta.creation_timestamp.as_ref().map(ToString::to_string),
        deletion_timestamp: meta.deletion_timestamp.as_ref().map(ToString::to_string),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::claim::testing::{claim, initialized, launched, registered};

    fn conditions(claim: &crds::NodeClaim) -> &[Condition] {
        claim.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
    }

    /// Types of what changed in status, with the status left.
    fn told(changed: &[Transition]) -> Vec<(&str, Option<&str>)> {
        let of_status = changed.iter().filter(|transition| transition.is_of_status());
        of_status.map(|t| (t.condition.type_.as_str(), t.from.as_ref().map(|from| from.status.as_str()))).collect()
    }

    #[test]
    fn of_what_was_there_before_the_first_look_tells_nothing_and_later_ones_what_changed() {
        let mut seen = Seen::new(1, Some(&ConditionTypes::node_claim()));
        let (before, after) = (launched("a"), registered("a"));
        assert_eq!(seen.look(&before.metadata, &[], conditions(&before)), (Vec::new(), Vec::new()));
        assert_eq!(seen.look(&before.metadata, &[], conditions(&before)), (Vec::new(), Vec::new()));
        let (changed, gone) = seen.look(&after.metadata, &[], conditions(&after));
        assert_eq!(told(&changed), [("Registered", Some("Unknown"))]);
        assert_eq!(gone, []);
        let (_, gone) = seen.look(&after.metadata, &[], &[]);
        assert_eq!(gone.len(), 4);
        assert_eq!(seen.without(|_| false), ["a"]);
        assert!(seen.forget("a").is_some() && seen.without(|_| false).is_empty());
    }

    #[test]
    fn a_new_claim_was_unknown_since_its_creation_however_far_it_is_when_it_is_first_seen() {
        let mut seen = Seen::new(0, Some(&ConditionTypes::node_claim()));
        let (changed, gone) = seen.look(&registered("a").metadata, &[], conditions(&registered("a")));
        assert_eq!(told(&changed), [("Launched", Some("Unknown")), ("Registered", Some("Unknown"))]);
        assert_eq!((changed[0].from.as_ref().unwrap().since, gone.len()), (0, 0));
        assert_eq!(seen.look(&claim("b").metadata, &[], &[]), (Vec::new(), Vec::new()));
        let (changed, _) = seen.look(&launched("b").metadata, &[], conditions(&launched("b")));
        assert_eq!(told(&changed), [("Launched", Some("Unknown"))], "though nobody has written Unknown");
    }

    #[test]
    fn a_condition_that_comes_as_unknown_is_no_transition_and_one_that_comes_as_true_has_left_nothing() {
        let mut seen = Seen::new(1, None);
        assert_eq!(seen.look(&claim("a").metadata, &[], &[]).0, []);
        let (changed, _) = seen.look(&launched("a").metadata, &[], conditions(&launched("a")));
        assert_eq!(told(&changed), [("Launched", None)], "Registered, Initialized and Ready came as Unknown");
        let (changed, _) = seen.look(&initialized("a").metadata, &[], conditions(&initialized("a")));
        let types: Vec<_> = told(&changed).into_iter().map(|(type_, _)| type_).collect();
        assert_eq!(types, ["Registered", "Initialized", "Ready"]);
    }
}
