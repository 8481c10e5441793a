//! The subresources of pods: binding and eviction.

use std::sync::Arc;

use serde_json::{Value, json};

use super::budget::is_healthy;
use super::delete::DeleteOptions;
use super::object::{Key, Object, list, member, metadata, text};
use super::resource::Id;
use super::state::State;
use super::status::Status;

const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

impl State {
    /// Assigns a pod to a node (`pods/binding`).
    pub fn bind(&mut self, key: &Key, binding: &Value, dry_run: bool) -> Result<(), Status> {
        let node_name = text(binding, "/target/name").to_owned();
        let kind = text(binding, "/target/kind");
        if node_name.is_empty() || !matches!(kind, "" | "Node") {
            return Err(Status::bad_request("a binding needs target.name, and target.kind must be empty or Node"));
        }
        let Some(pod) = self.store.get(Id::POD, key).cloned() else {
            return Err(Status::not_found(Id::POD, &key.name));
        };
        let conflict = |message: String| Err(Status::conflict(Id::POD, &key.name, message));
        let uid = text(binding, "/metadata/uid");
        if !uid.is_empty() && uid != pod.uid() {
            return conflict(format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                pod.uid()
            ));
        }
        if pod.is_deleting() {
            return conflict(format!("pod {} is being deleted, cannot be assigned to a host", key.name));
        }
        let assigned = pod.text("/spec/nodeName");
        if !assigned.is_empty() {
            return conflict(format!("pod {} is already assigned to node {assigned:?}", key.name));
        }
        if list(pod.value(), "/spec/schedulingGates").next().is_some() {
            return conflict(format!("pod {} has non-empty .spec.schedulingGates", key.name));
        }
        if dry_run {
            return Ok(());
        }
        let mut value = pod.value().clone();
        member(&mut value, "spec").insert("nodeName".to_owned(), node_name.as_str().into());
        let node = self.store.get(Id::NODE, &Key::cluster(node_name));
        let topology = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];
        let copied = topology.map(|label| node.and_then(|node| Some((label, node.label(label)?.to_owned()))));
        for (label, place) in copied.into_iter().flatten() {
            metadata(&mut value).entry("labels").or_insert_with(|| json!({}))[label] = place.into();
        }
        for (key, annotation) in
            binding.pointer("/metadata/annotations").and_then(Value::as_object).into_iter().flatten()
        {
            metadata(&mut value).entry("annotations").or_insert_with(|| json!({}))[key] = annotation.clone();
        }
        let now = self.clock.text();
        let status = member(&mut value, "status");
        status.remove("nominatedNodeName");
        set_condition(status, json!({ "type": "PodScheduled", "status": "True", "lastTransitionTime": now }));
        self.commit(Id::POD, value);
        Ok(())
    }

    /// Deletes a pod if its disruption budget allows it (`pods/eviction`).
    pub fn evict(&mut self, key: &Key, eviction: &Value, dry_run: bool) -> Result<(), Status> {
        let name = text(eviction, "/metadata/name");
        if !name.is_empty() && name != key.name {
            return Err(Status::bad_request("name in URL does not match name in Eviction object"));
        }
        let mut options = DeleteOptions::from_value(eviction.get("deleteOptions").unwrap_or(&Value::Null))?;
        let Some(pod) = self.store.get(Id::POD, key).cloned() else {
            return Err(Status::not_found(Id::POD, &key.name));
        };
        options.dry_run |= dry_run;
        self.check_budget(&pod)?;
        if options.uid.is_none() {
            options.uid = Some(pod.uid().to_owned());
        }
        self.delete(Id::POD, key, &options).map(drop)
    }

    fn check_budget(&mut self, pod: &Arc<Object>) -> Result<(), Status> {
        let is_free = pod.is_deleting() || matches!(pod.text("/status/phase"), "Succeeded" | "Failed" | "Pending");
        if is_free {
            return Ok(());
        }
        let budgets = self.budgets.of_pod(&pod.key());
        let budget = match budgets.as_slice() {
            [] => return Ok(()),
            [budget] => budget,
            _ => {
                return Err(Status::internal(
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                ));
            }
        };
        let Some(budget) = self.store.get(Id::PDB, budget) else { return Ok(()) };
        let number = |pointer: &str| budget.at(pointer).and_then(Value::as_i64).unwrap_or_default();
        let (current, desired) = (number("/status/currentHealthy"), number("/status/desiredHealthy"));
        if !is_healthy(pod) {
            let policy = budget.text("/spec/unhealthyPodEvictionPolicy");
            if policy == "AlwaysAllow" || current >= desired && desired > 0 {
                return Ok(());
            }
        }
        let cause = |message: String| Some(("DisruptionBudget", message));
        let name = budget.name();
        if number("/status/observedGeneration") < number("/metadata/generation") {
            let message = format!("The disruption budget {name} is still being processed by the server.");
            return Err(Status::too_many_requests(REFUSED, cause(message), Some(10)));
        }
        if number("/status/disruptionsAllowed") > 0 {
            return Ok(());
        }
        let condition = budget.condition("DisruptionAllowed");
        let message = match condition.filter(|condition| condition["reason"] == "SyncFailed") {
            Some(condition) => format!(
                "The disruption budget {name} does not allow evicting pods currently because it failed sync: {}",
                text(condition, "/message")
            ),
            None => format!("The disruption budget {name} needs {desired} healthy pods and has {current} currently"),
        };
        Err(Status::too_many_requests(REFUSED, cause(message), None))
    }
}

/// Puts a condition in the place of the one of its type; when it last changed is kept if its status is the same.
pub fn set_condition(status: &mut serde_json::Map<String, Value>, mut condition: Value) {
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    let Some(conditions) = conditions.as_array_mut() else { return };
    match conditions.iter_mut().find(|other| other["type"] == condition["type"]) {
        Some(other) => {
            if other["status"] == condition["status"] && other.get("lastTransitionTime").is_some() {
                condition["lastTransitionTime"] = other["lastTransitionTime"].clone();
            }
            *other = condition;
        }
        None => conditions.push(condition),
    }
}
