//! `ReplicaSet`s: as many pods as are wanted.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::kube::object::metadata;
use crate::kube::{Direct, Object};

use super::common::{create, delete, is_active, is_ready, number, pod, pods_of, set_status};

/// Makes or deletes pods; false if there is more to do.
pub(super) fn sync(api: &Direct, set: &Object) -> bool {
    let mut pods: Vec<Arc<Object>> = pods_of(api, set).into_iter().filter(|pod| is_active(pod)).collect();
    let wanted = number(set, "/spec/replicas");
    let mut is_done = true;
    if pods.len() < wanted {
        let prefix = format!("{}-", set.name());
        is_done = create(api, wanted - pods.len(), |_| {
            pod(set, |pod| {
                metadata(pod).insert("generateName".to_owned(), prefix.as_str().into());
            })
        });
    } else if pods.len() > wanted {
        pods.sort_by_key(|pod| rank(pod));
        let n_gone = pods.len() - wanted;
        pods.drain(..n_gone).for_each(|pod| delete(api, &pod));
    }
    let n_ready = pods.iter().filter(|pod| is_ready(pod)).count();
    set_status(
        api,
        set,
        &json!({ "replicas": pods.len(), "fullyLabeledReplicas": pods.len(), "readyReplicas": n_ready, "availableReplicas": n_ready }),
    );
    is_done
}

/// Who goes first: pods without a node, then pending ones, those that are not ready, the cheap ones, the newest.
fn rank(pod: &Object) -> (bool, bool, bool, i64, std::cmp::Reverse<String>, String) {
    let cost = pod.annotation(crds::names::kubernetes::POD_DELETION_COST).and_then(|cost| cost.parse().ok());
    (
        pod.text("/spec/nodeName").is_empty().eq(&false),
        pod.text("/status/phase") != "Pending",
        pod.is_condition_true("Ready"),
        cost.unwrap_or(0),
        std::cmp::Reverse(pod.text("/metadata/creationTimestamp").to_owned()),
        pod.name().to_owned(),
    )
}

/// The replicas of a workload as a number for its spec.
pub(super) fn scale(value: &Value, replicas: usize) -> Value {
    let mut new = value.clone();
    new["spec"]["replicas"] = replicas.into();
    new
}
