//! `StatefulSet`s: pods with ordinals, and a volume claim for each of their templates.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::kube::object::{list, member, metadata, text};
use crate::kube::{Direct, Id, Key, Object};

use super::common::{delete, is_ready, number, owner_reference, pod, pods_of, set_status};

/// Makes the next pods, or deletes the last one.
pub(super) fn sync(api: &Direct, set: &Object) -> bool {
    let pods = pods_of(api, set);
    let wanted = number(set, "/spec/replicas");
    let start = number(set, "/spec/ordinals/start");
    let is_parallel = set.text("/spec/podManagementPolicy") == "Parallel";
    let named = |ordinal: usize| pods.iter().find(|pod| pod.name() == format!("{}-{ordinal}", set.name()));
    for ordinal in start..start + wanted {
        match named(ordinal) {
            // One that has ended makes room for its successor.
            Some(pod) if matches!(pod.text("/status/phase"), "Succeeded" | "Failed") => delete(api, pod),
            Some(pod) if is_parallel || is_ready(pod) => {}
            Some(_) => break,
            None => {
                create_claims(api, set, ordinal);
                // A name that is still taken is tried again when it becomes free.
                drop(api.create(pod_of(set, ordinal)));
                if !is_parallel {
                    break;
                }
            }
        }
    }
    let ordinal_of = |pod: &Arc<Object>| pod.name().rsplit('-').next().and_then(|text| text.parse::<usize>().ok());
    let mut surplus: Vec<(usize, &Arc<Object>)> = pods
        .iter()
        .filter_map(|pod| Some((ordinal_of(pod)?, pod)))
        .filter(|(ordinal, _)| *ordinal < start || *ordinal >= start + wanted)
        .collect();
    surplus.sort_by_key(|(ordinal, _)| std::cmp::Reverse(*ordinal));
    let n_at_once = if is_parallel { surplus.len() } else { 1 };
    for (_, pod) in surplus.into_iter().take(n_at_once).filter(|(_, pod)| !pod.is_deleting()) {
        delete(api, pod);
    }
    let pods = pods_of(api, set);
    let n_ready = pods.iter().filter(|pod| is_ready(pod)).count();
    set_status(
        api,
        set,
        &json!({ "replicas": pods.len(), "readyReplicas": n_ready, "availableReplicas": n_ready,
            "currentReplicas": pods.len(), "updatedReplicas": pods.len() }),
    );
    true
}

fn pod_of(set: &Object, ordinal: usize) -> Value {
    pod(set, |pod| {
        let name = format!("{}-{ordinal}", set.name());
        let meta = metadata(pod);
        let labels = meta.entry("labels").or_insert_with(|| json!({}));
        labels["apps.kubernetes.io/pod-index"] = ordinal.to_string().into();
        labels["statefulset.kubernetes.io/pod-name"] = name.as_str().into();
        meta.insert("name".to_owned(), name.as_str().into());
        let spec = member(pod, "spec");
        spec.insert("hostname".to_owned(), name.as_str().into());
        let volumes = spec.entry("volumes").or_insert_with(|| json!([]));
        for template in list(set.value(), "/spec/volumeClaimTemplates") {
            let volume = text(template, "/metadata/name");
            let claim = format!("{volume}-{name}");
            if let Some(volumes) = volumes.as_array_mut() {
                volumes.retain(|other| other["name"] != volume);
                volumes.push(json!({ "name": volume, "persistentVolumeClaim": { "claimName": claim } }));
            }
        }
    })
}

fn create_claims(api: &Direct, set: &Object, ordinal: usize) {
    for template in list(set.value(), "/spec/volumeClaimTemplates") {
        let name = format!("{}-{}-{ordinal}", text(template, "/metadata/name"), set.name());
        if api.get(Id::CLAIM_OF_VOLUME, &Key::new(set.namespace(), name.as_str())).is_some() {
            continue;
        }
        let labels = set.at("/spec/selector/matchLabels").cloned().unwrap_or_else(|| json!({}));
        let mut meta = json!({ "name": name, "namespace": set.namespace(), "labels": labels });
        if set.text("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted") == "Delete" {
            meta["ownerReferences"] = json!([owner_reference(set)]);
        }
        // Nobody else makes a claim of this name.
        drop(api.create(
            json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": template["spec"] }),
        ));
    }
}
