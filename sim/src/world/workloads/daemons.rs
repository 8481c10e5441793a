//! `DaemonSet`s: one pod for every node that its template allows and whose taints it tolerates.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::kube::object::{list, member, metadata, text};
use crate::kube::{Direct, Id, Object};

use super::super::scheduler::Meant;
use super::common::{delete, is_active, is_ready, pod, pods_of, set_status};

/// Taints that do not keep daemons away, with their effects.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// Makes a pod for each node that has none, and deletes those whose node is not meant any longer.
pub(super) fn sync(api: &Direct, set: &Object) -> bool {
    let mut by_node: BTreeMap<String, Vec<Arc<Object>>> = BTreeMap::new();
    for pod in pods_of(api, set).into_iter().filter(|pod| is_active(pod)) {
        by_node.entry(target(&pod)).or_default().push(pod);
    }
    let nodes = api.list(Id::NODE);
    let meant = Meant::read(&pod(set, tolerate));
    let mut n_wanted = 0;
    for node in &nodes {
        let mut there = by_node.remove(node.name()).unwrap_or_default();
        if meant.is_for(node) {
            n_wanted += 1;
            if there.is_empty() {
                // The next change tells if it did not work out.
                drop(api.create(pod(set, |pod| adjust(pod, set, node.name()))));
            }
            there.iter().skip(1).for_each(|pod| delete(api, pod));
        } else {
            there.drain(..).for_each(|pod| delete(api, &pod));
        }
    }
    // The nodes of these are gone.
    by_node.values().flatten().for_each(|pod| delete(api, pod));
    let pods: Vec<_> = pods_of(api, set).into_iter().filter(|pod| is_active(pod)).collect();
    let n_ready = pods.iter().filter(|pod| is_ready(pod)).count();
    set_status(
        api,
        set,
        &json!({ "desiredNumberScheduled": n_wanted, "currentNumberScheduled": pods.len(), "numberReady": n_ready,
            "numberAvailable": n_ready, "updatedNumberScheduled": pods.len(), "numberMisscheduled": 0 }),
    );
    true
}

/// The node that a daemon's pod is on, or meant for.
fn target(pod: &Object) -> String {
    let assigned = pod.text("/spec/nodeName");
    if !assigned.is_empty() {
        return assigned.to_owned();
    }
    let path = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let fields = list(pod.value(), path).flat_map(|term| list(term, "/matchFields"));
    fields.map(|field| text(field, "/values/0").to_owned()).next().unwrap_or_default()
}

/// Binds the pod to its node by affinity, as the scheduler places daemons too, and lets it tolerate what daemons do.
fn adjust(pod: &mut Value, set: &Object, node: &str) {
    metadata(pod).insert("generateName".to_owned(), format!("{}-", set.name()).into());
    let spec = member(pod, "spec");
    let affinity = spec.entry("affinity").or_insert_with(|| json!({}));
    let required = member(member_value(affinity, "nodeAffinity"), "requiredDuringSchedulingIgnoredDuringExecution");
    let terms = required.entry("nodeSelectorTerms").or_insert_with(|| json!([{}]));
    for term in terms.as_array_mut().into_iter().flatten() {
        term["matchFields"] = json!([{ "key": "metadata.name", "operator": "In", "values": [node] }]);
    }
    tolerate(pod);
}

fn tolerate(pod: &mut Value) {
    let tolerations = member(pod, "spec").entry("tolerations").or_insert_with(|| json!([]));
    if let Some(tolerations) = tolerations.as_array_mut() {
        for (key, effect) in TOLERATED {
            tolerations.push(json!({ "key": key, "operator": "Exists", "effect": effect }));
        }
    }
}

fn member_value<'a>(value: &'a mut Value, field: &str) -> &'a mut Value {
    member(value, field);
    &mut value[field]
}
