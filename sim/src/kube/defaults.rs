//! What the server fills in for built-in kinds when they are created: defaults, first statuses, and the doings of the
//! admission plugins that are on by default.

use serde_json::{Map, Value, json};

use super::object::{Key, list, member, member_of, text};
use super::resource::Id;
use super::store::Store;

/// Fills in an object that is about to be created. `uid` is the one it will have.
pub(super) fn on_create(id: Id, value: &mut Value, uid: &str, store: &Store) {
    match id {
        Id::POD => {
            on_update(id, value);
            pod_admission(value, store);
            value["status"] = json!({ "phase": "Pending", "qosClass": qos_class(value) });
        }
        Id::NODE => node(value),
        Id::NAMESPACE => {
            value["spec"] = json!({ "finalizers": ["kubernetes"] });
            value["status"] = json!({ "phase": "Active" });
            let name = text(value, "/metadata/name").to_owned();
            let labels = super::object::metadata(value).entry("labels").or_insert_with(|| json!({}));
            labels["kubernetes.io/metadata.name"] = name.into();
        }
        Id::CLAIM_OF_VOLUME => {
            on_update(id, value);
            claim_admission(value, store);
            value["status"] = json!({ "phase": "Pending" });
        }
        Id::VOLUME => {
            on_update(id, value);
            value["status"] = json!({ "phase": "Pending" });
        }
        Id::JOB => {
            job(value, uid);
            on_update(id, value);
            value["status"] = json!({});
        }
        Id::PDB => {
            value["status"] = json!({ "currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0,
                "expectedPods": 0, "observedGeneration": 0 });
        }
        Id::DEPLOYMENT | Id::STATEFUL_SET | Id::DAEMON_SET | Id::REPLICA_SET => {
            on_update(id, value);
            value["status"] = first_status(id);
        }
        Id::SERVICE => {
            on_update(id, value);
            value["status"] = json!({ "loadBalancer": {} });
        }
        _ => {
            on_update(id, value);
            if id.resource().has_status && id.resource().crd.is_none() {
                member_of(value).remove("status");
            }
        }
    }
}

/// Fills in defaults that hold for every write.
pub(super) fn on_update(id: Id, value: &mut Value) {
    match id {
        Id::POD => pod_spec(member(value, "spec")),
        Id::NODE => {
            let status = member(value, "status");
            if let (false, Some(capacity)) = (status.contains_key("allocatable"), status.get("capacity").cloned()) {
                status.insert("allocatable".to_owned(), capacity);
            }
        }
        Id::DEPLOYMENT | Id::REPLICA_SET | Id::STATEFUL_SET | Id::DAEMON_SET | Id::JOB => {
            let spec = member(value, "spec");
            for (field, default) in workload_defaults(id) {
                spec.entry(field).or_insert(default);
            }
            if let Some(template) = spec.get_mut("template") {
                pod_spec(member(template, "spec"));
            }
        }
        Id::CLAIM_OF_VOLUME => {
            member(value, "spec").entry("volumeMode").or_insert_with(|| "Filesystem".into());
        }
        Id::VOLUME => {
            let spec = member(value, "spec");
            spec.entry("volumeMode").or_insert_with(|| "Filesystem".into());
            spec.entry("persistentVolumeReclaimPolicy").or_insert_with(|| "Retain".into());
        }
        Id::STORAGE_CLASS => {
            let class = member_of(value);
            class.entry("reclaimPolicy").or_insert_with(|| "Delete".into());
            class.entry("volumeBindingMode").or_insert_with(|| "Immediate".into());
        }
        Id::PRIORITY_CLASS => {
            member_of(value).entry("preemptionPolicy").or_insert_with(|| "PreemptLowerPriority".into());
        }
        Id::SERVICE => {
            let spec = member(value, "spec");
            spec.entry("type").or_insert_with(|| "ClusterIP".into());
            spec.entry("sessionAffinity").or_insert_with(|| "None".into());
        }
        _ => {}
    }
}

fn workload_defaults(id: Id) -> Vec<(&'static str, Value)> {
    match id {
        Id::DEPLOYMENT => vec![
            ("replicas", json!(1)),
            ("revisionHistoryLimit", json!(10)),
            ("progressDeadlineSeconds", json!(600)),
            (
                "strategy",
                json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" } }),
            ),
        ],
        Id::REPLICA_SET => vec![("replicas", json!(1))],
        Id::STATEFUL_SET => vec![
            ("replicas", json!(1)),
            ("podManagementPolicy", json!("OrderedReady")),
            ("updateStrategy", json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } })),
            ("revisionHistoryLimit", json!(10)),
        ],
        Id::DAEMON_SET => vec![
            (
                "updateStrategy",
                json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 1, "maxSurge": 0 } }),
            ),
            ("revisionHistoryLimit", json!(10)),
        ],
        Id::JOB => vec![
            ("parallelism", json!(1)),
            ("backoffLimit", json!(6)),
            ("completionMode", json!("NonIndexed")),
            ("suspend", json!(false)),
        ],
        _ => Vec::new(),
    }
}

fn first_status(id: Id) -> Value {
    match id {
        Id::REPLICA_SET => json!({ "replicas": 0 }),
        Id::STATEFUL_SET => json!({ "replicas": 0, "availableReplicas": 0 }),
        Id::DAEMON_SET => {
            json!({ "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0 })
        }
        _ => json!({}),
    }
}

fn pod_spec(spec: &mut Map<String, Value>) {
    for (field, default) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("securityContext", json!({})),
    ] {
        spec.entry(field).or_insert(default);
    }
    for list in ["initContainers", "containers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let container = member_of(container);
            container.entry("imagePullPolicy").or_insert_with(|| "IfNotPresent".into());
            container.entry("terminationMessagePath").or_insert_with(|| "/dev/termination-log".into());
            container.entry("terminationMessagePolicy").or_insert_with(|| "File".into());
            let resources = container.entry("resources").or_insert_with(|| json!({}));
            // What is limited and not asked for is asked for as it is limited.
            let limits = resources.get("limits").and_then(Value::as_object).cloned().unwrap_or_default();
            if !limits.is_empty() {
                let requests = member(resources, "requests");
                for (resource, quantity) in limits {
                    requests.entry(resource).or_insert(quantity);
                }
            }
        }
    }
}

/// Priority, `RuntimeClass` and `DefaultTolerationSeconds`.
fn pod_admission(value: &mut Value, store: &Store) {
    let spec = member(value, "spec");
    let class_name = spec.get("priorityClassName").and_then(Value::as_str).map(str::to_owned);
    let class = match &class_name {
        Some(name) => store.get(Id::PRIORITY_CLASS, &Key::cluster(name.as_str())).cloned(),
        None => {
            store.iter(Id::PRIORITY_CLASS, None).find(|c| c.at("/globalDefault") == Some(&Value::Bool(true))).cloned()
        }
    };
    let (name, number, policy) = match (&class, class_name.as_deref()) {
        (Some(class), _) => (
            Some(class.name().to_owned()),
            class.at("/value").cloned().unwrap_or_else(|| json!(0)),
            class.at("/preemptionPolicy").cloned().unwrap_or_else(|| "PreemptLowerPriority".into()),
        ),
        (None, Some("system-cluster-critical")) => (class_name, json!(2_000_000_000), "PreemptLowerPriority".into()),
        (None, Some("system-node-critical")) => (class_name, json!(2_000_001_000), "PreemptLowerPriority".into()),
        (None, _) => (None, json!(0), "PreemptLowerPriority".into()),
    };
    if let Some(name) = name {
        spec.insert("priorityClassName".to_owned(), name.into());
    }
    spec.insert("priority".to_owned(), number);
    spec.entry("preemptionPolicy").or_insert(policy);
    let runtime = spec.get("runtimeClassName").and_then(Value::as_str).map(Key::cluster);
    let overhead = runtime.and_then(|key| store.get(Id::RUNTIME_CLASS, &key)?.at("/overhead/podFixed").cloned());
    if let Some(overhead) = overhead {
        spec.insert("overhead".to_owned(), overhead);
    }
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    let Some(tolerations) = tolerations.as_array_mut() else { return };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let is_there = tolerations.iter().any(|toleration| {
            let of_key = text(toleration, "/key");
            (of_key == key || of_key.is_empty()) && matches!(text(toleration, "/effect"), "NoExecute" | "")
        });
        if !is_there {
            tolerations
                .push(json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 }));
        }
    }
}

/// A claim without a class gets the default class.
fn claim_admission(value: &mut Value, store: &Store) {
    let spec = member(value, "spec");
    if spec.contains_key("storageClassName") {
        return;
    }
    let is_default = "storageclass.kubernetes.io/is-default-class";
    let class = store.iter(Id::STORAGE_CLASS, None).find(|class| class.annotation(is_default) == Some("true"));
    if let Some(class) = class {
        spec.insert("storageClassName".to_owned(), class.name().into());
    }
}

/// A node may state its status when it is created; until it is ready it is tainted.
fn node(value: &mut Value) {
    on_update(Id::NODE, value);
    let taint = json!({ "key": "node.kubernetes.io/not-ready", "effect": "NoSchedule" });
    let taints = member(value, "spec").entry("taints").or_insert_with(|| json!([]));
    let is_there = list(taints, "").any(|t| t["key"] == taint["key"] && t["effect"] == taint["effect"]);
    if let (false, Some(taints)) = (is_there, taints.as_array_mut()) {
        taints.push(taint);
    }
}

/// The selector of a Job is made by the server.
fn job(value: &mut Value, uid: &str) {
    let name = text(value, "/metadata/name").to_owned();
    let spec = member(value, "spec");
    if !spec.contains_key("parallelism") && !spec.contains_key("completions") {
        spec.insert("completions".to_owned(), json!(1));
    }
    if spec.get("manualSelector") == Some(&Value::Bool(true)) {
        return;
    }
    spec.insert("selector".to_owned(), json!({ "matchLabels": { "batch.kubernetes.io/controller-uid": uid } }));
    let template = spec.entry("template").or_insert_with(|| json!({}));
    let labels = member(template, "metadata").entry("labels").or_insert_with(|| json!({}));
    for (key, value) in [
        ("batch.kubernetes.io/controller-uid", uid),
        ("controller-uid", uid),
        ("batch.kubernetes.io/job-name", &name),
        ("job-name", &name),
    ] {
        labels[key] = value.into();
    }
}

fn qos_class(pod: &Value) -> &'static str {
    let (mut is_best_effort, mut is_guaranteed) = (true, true);
    for container in list(pod, "/spec/containers").chain(list(pod, "/spec/initContainers")) {
        let of = |what: &str, resource: &str| container.pointer(&format!("/resources/{what}/{resource}")).cloned();
        for resource in ["cpu", "memory"] {
            let (request, limit) = (of("requests", resource), of("limits", resource));
            is_best_effort &= request.is_none() && limit.is_none();
            is_guaranteed &= limit.is_some() && request == limit;
        }
    }
    match (is_best_effort, is_guaranteed) {
        (true, _) => "BestEffort",
        (_, true) => "Guaranteed",
        _ => "Burstable",
    }
}
