//! The status of `PodDisruptionBudget`s, kept as the disruption controller keeps it, but without delay.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::budget::Budget;
use super::object::{Key, Object, list, text};
use super::resource::Id;
use super::state::State;
use super::store::Store;

impl State {
    /// Works out the status of all budgets about which something changed; false if there was none.
    pub fn update_budgets(&mut self) -> bool {
        let dirty = std::mem::take(&mut self.budgets.dirty);
        let mut is_changed = false;
        for key in dirty {
            is_changed |= self.update_budget(&key);
        }
        is_changed
    }

    fn update_budget(&mut self, key: &Key) -> bool {
        let Some(object) = self.store.get(Id::PDB, key).cloned() else { return false };
        let Some(budget) = self.budgets.budgets.get(key) else { return false };
        let n_healthy = budget.pods.values().filter(|pod| pod.is_healthy).count();
        let healthy = i64::try_from(n_healthy).unwrap_or(i64::MAX);
        let counts = expected_and_desired(&self.store, &key.namespace, &object, budget);
        let (expected, desired, failure) = match counts {
            Ok((expected, desired)) => (expected, desired, None),
            Err(message) => (0, 0, Some(message)),
        };
        let allowed = if expected > 0 && failure.is_none() { (healthy - desired).max(0) } else { 0 };
        let (reason, message) = match failure {
            Some(message) => ("SyncFailed", message),
            None if allowed > 0 => ("SufficientPods", String::new()),
            None => ("InsufficientPods", String::new()),
        };
        let condition_status = if allowed > 0 { "True" } else { "False" };
        let since = object.condition("DisruptionAllowed").filter(|condition| condition["status"] == condition_status);
        let since = since.map_or_else(|| self.clock.text().into(), |condition| condition["lastTransitionTime"].clone());
        let generation = object.at("/metadata/generation").cloned().unwrap_or_else(|| json!(0));
        let status = json!({
            "conditions": [{ "type": "DisruptionAllowed", "status": condition_status, "reason": reason, "message": message,
                "lastTransitionTime": since, "observedGeneration": generation }],
            "currentHealthy": healthy, "desiredHealthy": desired, "disruptionsAllowed": allowed,
            "expectedPods": expected, "observedGeneration": generation
        });
        if object.at("/status") == Some(&status) {
            return false;
        }
        let mut value = object.value().clone();
        value["status"] = status;
        self.commit(Id::PDB, value);
        true
    }
}

/// How many pods there should be, and how many of them must be healthy.
fn expected_and_desired(
    store: &Store,
    namespace: &str,
    object: &Object,
    budget: &Budget,
) -> Result<(i64, i64), String> {
    let n_pods = i64::try_from(budget.pods.len()).unwrap_or(i64::MAX);
    if let Some(max) = object.at("/spec/maxUnavailable") {
        let expected = scale(store, namespace, budget)?;
        return Ok((expected, (expected - share(max, expected)).max(0)));
    }
    match object.at("/spec/minAvailable") {
        Some(min @ Value::String(_)) => {
            let expected = scale(store, namespace, budget)?;
            Ok((expected, share(min, expected)))
        }
        Some(min) => Ok((n_pods, share(min, n_pods))),
        None => Ok((n_pods, 0)),
    }
}

/// A number, or a percentage rounded up.
fn share(of: &Value, whole: i64) -> i64 {
    match of {
        Value::String(text) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            (whole * percent + 99).div_euclid(100)
        }
        other => other.as_i64().unwrap_or(0),
    }
}

/// The replicas of all workloads that the pods belong to.
fn scale(store: &Store, namespace: &str, budget: &Budget) -> Result<i64, String> {
    let mut replicas: BTreeMap<String, i64> = BTreeMap::new();
    for (kind, name, uid) in budget.pods.values().filter_map(|pod| pod.controller.as_ref()) {
        let id = match kind.as_str() {
            "ReplicaSet" => Id::REPLICA_SET,
            "StatefulSet" => Id::STATEFUL_SET,
            other => return Err(format!("{} does not implement the scale subresource", other.to_lowercase())),
        };
        let Some(owner) = store.get(id, &Key::new(namespace, name.as_str())).filter(|owner| owner.uid() == uid) else {
            continue;
        };
        let above = list(owner.value(), "/metadata/ownerReferences").find(|above| above["kind"] == "Deployment");
        let deployment = above.and_then(|above| store.get(Id::DEPLOYMENT, &Key::new(namespace, text(above, "/name"))));
        let scaled = deployment.unwrap_or(owner);
        let count = scaled.at("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
        replicas.insert(scaled.uid().to_owned(), count);
    }
    Ok(replicas.values().sum())
}
