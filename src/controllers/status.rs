//! Tells of conditions of claims and pools as they change: an event each, and how long the last status stood.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cloud::Cloud;
use crds::{Condition, NodeClassRef, ObjectMeta, names};
use tokio_util::sync::CancellationToken;

use super::deps::{Deps, seconds};
use super::time;
use crate::events::{About, catalog};
use crate::telemetry::{OfKind, Standing};

/// How often it looks. What changes twice in between is told of once.
const PERIOD: Duration = Duration::from_secs(5);

/// Types of conditions that events are named after.
const TYPES: [&str; 14] = [
    "Ready",
    "Launched",
    "Registered",
    "Initialized",
    "Consolidatable",
    "Drifted",
    "DisruptionReason",
    "Drained",
    "VolumesDetached",
    "InstanceTerminating",
    "ConsistentStateFound",
    "ValidationSucceeded",
    "NodeClassReady",
    "NodeRegistrationHealthy",
];

/// One condition as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Last {
    status: String,
    reason: String,
    since: i64,
}

/// What was last seen of the objects of one kind, by name.
#[derive(Debug, Default)]
struct Seen(BTreeMap<String, Object>);

/// Conditions by type, and the further labels of their series.
#[derive(Debug, PartialEq, Eq)]
struct Object {
    extra: Vec<String>,
    conditions: BTreeMap<String, Last>,
}

/// A condition that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Transition {
    condition: Condition,
    /// None for one that was not there.
    from: Option<Last>,
}

impl Seen {
    /// Takes in the conditions of one object; gives those whose status or reason changed, and those that are gone.
    /// An object that is seen for the first time has no transitions: nobody knows when they happened.
    fn look(&mut self, name: &str, extra: &[&str], conditions: &[Condition]) -> (Vec<Transition>, Vec<(String, Last)>) {
        let extra = extra.iter().map(ToString::to_string).collect();
        let now = Object { extra, conditions: conditions.iter().map(|c| (c.type_.clone(), last(c))).collect() };
        let Some(before) = self.0.insert(name.to_owned(), now) else { return (Vec::new(), Vec::new()) };
        let before = before.conditions;
        let changed = conditions.iter().filter_map(|condition| {
            let from = before.get(&condition.type_).cloned();
            let is_same = from
                .as_ref()
                .is_some_and(|from| from.status == condition.status.to_string() && from.reason == condition.reason);
            (!is_same).then(|| Transition { condition: condition.clone(), from })
        });
        let changed: Vec<_> = changed.collect();
        let is_gone = |type_: &String| !conditions.iter().any(|condition| condition.type_ == *type_);
        (changed, before.into_iter().filter(|(type_, _)| is_gone(type_)).collect())
    }

    /// Objects that are not among these are gone.
    fn forget(&mut self, there: &BTreeSet<&str>) -> Vec<(String, Object)> {
        let gone: Vec<String> = self.0.keys().filter(|name| !there.contains(name.as_str())).cloned().collect();
        gone.into_iter().filter_map(|name| self.0.remove_entry(&name)).collect()
    }
}

fn last(condition: &Condition) -> Last {
    Last {
        status: condition.status.to_string(),
        reason: condition.reason.clone(),
        since: time::seconds(&condition.last_transition_time).unwrap_or_default(),
    }
}

/// Looks until `stop`.
pub async fn run<C: Cloud>(deps: Arc<Deps<C>>, stop: CancellationToken) {
    let (mut claims, mut pools) = (Seen::default(), Seen::default());
    loop {
        look(&deps, &mut claims, &mut pools);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

fn look<C: Cloud>(deps: &Deps<C>, seen_claims: &mut Seen, seen_pools: &mut Seen) {
    let family = &deps.metrics.conditions;
    let now = deps.clock.seconds();
    let is_ours = |class: &NodeClassRef| deps.is_managed(class);
    let claims = deps.world.mirror.claims();
    for claim in claims.iter().filter(|claim| is_ours(&claim.spec.node_class_ref)) {
        let meta = &claim.metadata;
        let conditions = claim.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let pool = meta.labels.get(names::core::NODE_POOL).map(String::as_str).unwrap_or_default();
        let about = About::node_claim(meta.name(), meta.uid.as_deref().unwrap_or_default());
        let extra = [claim.spec.node_class_ref.name.as_str(), pool];
        tell(deps, &family.nodeclaim, seen_claims, (meta, conditions), (&about, extra), now);
    }
    end(&family.nodeclaim, seen_claims.forget(&claims.iter().map(|claim| claim.metadata.name()).collect()));
    let pools = deps.world.mirror.pools();
    for pool in pools.iter().filter(|pool| is_ours(&pool.spec.template.spec.node_class_ref)) {
        let meta = &pool.metadata;
        let conditions = pool.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let about = About::node_pool(meta.name(), meta.uid.as_deref().unwrap_or_default());
        tell(deps, &family.nodepool, seen_pools, (meta, conditions), (&about, []), now);
    }
    end(&family.nodepool, seen_pools.forget(&pools.iter().map(|pool| pool.metadata.name()).collect()));
}

fn tell<C: Cloud, const N: usize>(
    deps: &Deps<C>,
    family: &OfKind<N>,
    seen: &mut Seen,
    (meta, conditions): (&ObjectMeta, &[Condition]),
    (about, extra): (&About, [&str; N]),
    now: i64,
) {
    let name = meta.name();
    let (changed, gone) = seen.look(name, &extra, conditions);
    for Transition { condition, from } in changed {
        let status = condition.status.to_string();
        let after =
            Standing { namespace: "", name, condition: &condition.type_, status: &status, reason: &condition.reason };
        if let Some(from) = &from {
            family.stands_no_more(&Standing { status: &from.status, reason: &from.reason, ..after }, extra);
        }
        let left = from.as_ref().map_or("Unknown", |from| from.status.as_str());
        if from.as_ref().is_some_and(|from| from.status == status) {
            continue;
        }
        let stood = last(&condition).since - from.as_ref().map_or(last(&condition).since, |from| from.since);
        family.changed(&after, left, seconds(stood), extra);
        if let Some(type_) = TYPES.into_iter().find(|type_| *type_ == condition.type_) {
            let event =
                catalog::condition_changed(type_, &about.uid, left, &status, &condition.reason, &condition.message);
            deps.recorder.publish(about.clone(), event);
        }
    }
    for (type_, last) in gone {
        let standing = Standing { namespace: "", name, condition: &type_, status: &last.status, reason: &last.reason };
        family.stands_no_more(&standing, extra);
    }
    for condition in conditions {
        let last = last(condition);
        let standing =
            Standing { namespace: "", name, condition: &condition.type_, status: &last.status, reason: &last.reason };
        family.stands(&standing, seconds(now - last.since), extra);
    }
}

fn end<const N: usize>(family: &OfKind<N>, gone: Vec<(String, Object)>) {
    for (name, Object { extra, conditions }) in gone {
        let extra = std::array::from_fn(|idx| extra.get(idx).map(String::as_str).unwrap_or_default());
        for (type_, last) in conditions {
            let standing =
                Standing { namespace: "", name: &name, condition: &type_, status: &last.status, reason: &last.reason };
            family.stands_no_more(&standing, extra);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::claim::testing::{launched, registered};

    fn conditions(claim: &crds::NodeClaim) -> &[Condition] {
        &claim.status.as_ref().unwrap().conditions
    }

    #[test]
    fn the_first_look_tells_nothing_and_later_ones_what_changed() {
        let mut seen = Seen::default();
        let (before, after) = (launched("a"), registered("a"));
        assert_eq!(seen.look("a", &[], conditions(&before)), (Vec::new(), Vec::new()));
        assert_eq!(seen.look("a", &[], conditions(&before)), (Vec::new(), Vec::new()));
        let (changed, gone) = seen.look("a", &[], conditions(&after));
        let types: Vec<_> = changed.iter().map(|t| (t.condition.type_.as_str(), t.condition.is_true())).collect();
        assert_eq!(types, [("Registered", true)]);
        assert_eq!(gone, []);
        let (_, gone) = seen.look("a", &[], &[]);
        assert_eq!(gone.len(), 4);
        assert_eq!(seen.forget(&BTreeSet::new()).len(), 1);
    }
}
