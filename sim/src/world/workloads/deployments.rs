//! Deployments: one `ReplicaSet` per template; the old ones shrink as the new one becomes ready.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::kube::{Direct, Id, Key, Object, Part};

use super::common::{is_controlled_by, number, owner_reference, set_status};
use super::replicas;

const HASH_LABEL: &str = "pod-template-hash";

/// Makes, grows and shrinks the `ReplicaSets`.
pub(super) fn sync(api: &Direct, deployment: &Object) -> bool {
    let wanted = number(deployment, "/spec/replicas");
    let hash = hash(&deployment.value()["spec"]["template"]);
    let current = Key::new(deployment.namespace(), format!("{}-{hash}", deployment.name()));
    let newest = match api.get(Id::REPLICA_SET, &current) {
        Some(set) => set,
        None => match api.create(replica_set(deployment, &hash, &current, wanted)) {
            Ok(set) => set,
            Err(_) => return false,
        },
    };
    resize(api, &newest, wanted);
    let sets: Vec<Arc<Object>> = api
        .dependents(deployment.uid())
        .into_iter()
        .filter(|set| set.id() == Id::REPLICA_SET && is_controlled_by(set, deployment))
        .collect();
    let of_newest = sets.iter().find(|set| set.key() == current);
    let n_new_ready = of_newest.map_or(0, |set| number(set, "/status/readyReplicas"));
    let mut spare = wanted.saturating_sub(n_new_ready);
    for old in sets.iter().filter(|set| set.key() != current) {
        let kept = number(old, "/spec/replicas").min(spare);
        spare -= kept;
        resize(api, old, kept);
    }
    let sum = |pointer: &str| sets.iter().map(|set| number(set, pointer)).sum::<usize>();
    let n_ready = sum("/status/readyReplicas");
    let condition = json!({ "type": "Available", "status": if n_ready >= wanted { "True" } else { "False" }, "reason": "MinimumReplicasAvailable" });
    set_status(
        api,
        deployment,
        &json!({ "replicas": sum("/status/replicas"), "readyReplicas": n_ready, "availableReplicas": n_ready,
            "updatedReplicas": of_newest.map_or(0, |set| number(set, "/status/replicas")),
            "unavailableReplicas": wanted.saturating_sub(n_ready), "conditions": [condition] }),
    );
    true
}

fn resize(api: &Direct, set: &Object, to: usize) {
    if number(set, "/spec/replicas") != to {
        // It may be gone; the next change of the deployment's sets tells.
        drop(api.update(Id::REPLICA_SET, &set.key(), Part::Main, |old| replicas::scale(old, to)));
    }
}

fn replica_set(deployment: &Object, hash: &str, key: &Key, wanted: usize) -> Value {
    let spec = &deployment.value()["spec"];
    let mut template = spec["template"].clone();
    template["metadata"]["labels"][HASH_LABEL] = hash.into();
    let mut selector = spec["selector"].clone();
    selector["matchLabels"][HASH_LABEL] = hash.into();
    json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": { "name": key.name, "namespace": key.namespace, "labels": template["metadata"]["labels"],
            "ownerReferences": [owner_reference(deployment)] },
        "spec": { "replicas": wanted, "selector": selector, "template": template } })
}

/// Ten letters that stand for the template (FNV-1a).
fn hash(template: &Value) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in template.to_string().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let mut text = String::new();
    for _ in 0..10 {
        let at = usize::try_from(hash % 27).unwrap_or_default();
        text.push(char::from(ALPHABET[at]));
        hash /= 27;
    }
    text
}
