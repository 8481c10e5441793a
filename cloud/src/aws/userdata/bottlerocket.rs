//! Bottlerocket: settings in TOML, the class's own beneath ours.
//!
//! <https://bottlerocket.dev/en/os/latest/#/api/settings/kubernetes/>

use std::collections::BTreeMap;

use serde_json::Value as Json;
use toml::{Table, Value};

use super::{UserData, UserDataError, effect};

/// Settings of `settings.kubernetes` that a class may give, as with Karpenter.
const KNOWN: [&str; 49] = [
    "allowed-unsafe-sysctls",
    "api-server",
    "cloud-provider",
    "cluster-certificate",
    "cluster-dns-ip",
    "cluster-domain",
    "cluster-name",
    "container-log-max-files",
    "container-log-max-size",
    "container-log-max-workers",
    "container-log-monitor-interval",
    "cpu-cfs-quota-enforced",
    "cpu-manager-policy",
    "cpu-manager-policy-options",
    "cpu-manager-reconcile-period",
    "credential-providers",
    "device-ownership-from-security-context",
    "event-burst",
    "event-qps",
    "eviction-hard",
    "eviction-max-pod-grace-period",
    "eviction-soft",
    "eviction-soft-grace-period",
    "hostname-override-source",
    "ids-per-pod",
    "image-gc-high-threshold-percent",
    "image-gc-low-threshold-percent",
    "kube-api-burst",
    "kube-api-qps",
    "kube-reserved",
    "log-level",
    "max-pods",
    "memory-manager-policy",
    "memory-manager-reserved-memory",
    "node-labels",
    "node-taints",
    "pod-pids-limit",
    "registry-burst",
    "registry-qps",
    "seccomp-default",
    "server-tls-bootstrap",
    "shutdown-grace-period",
    "shutdown-grace-period-for-critical-pods",
    "single-process-oom-kill",
    "static-pods",
    "system-reserved",
    "topology-manager-policy",
    "topology-manager-policy-options",
    "topology-manager-scope",
];

/// From this version on the machine knows by itself what to put on its instance store.
const BINDS_BY_ITSELF: [u64; 3] = [1, 46, 0];

pub(super) fn text(data: &UserData<'_>) -> Result<String, UserDataError> {
    let custom = data.custom.unwrap_or_default();
    let mut root: Table = custom.parse().map_err(|error| UserDataError::Custom(format!("it is no TOML: {error}")))?;
    let settings = inner(&mut root, "settings")?;
    let kubernetes = inner(settings, "kubernetes")?;
    kubernetes.retain(|key, _| KNOWN.contains(&key));
    fill(kubernetes, data)?;
    if data.raid0 {
        let commands = inner(settings, "bootstrap-commands")?;
        commands.insert("000-mount-instance-storage".into(), mount(data.image_name));
    }
    Ok(root.to_string())
}

/// Settings of `settings.kubernetes` in a class' user data that are left out, for people.
pub(super) fn left_out(custom: &str) -> Vec<String> {
    let Ok(root) = custom.parse::<Table>() else { return Vec::new() };
    let kubernetes = root.get("settings").and_then(|settings| settings.get("kubernetes")).and_then(Value::as_table);
    let keys = kubernetes.into_iter().flat_map(|of| of.iter().map(|(key, _)| key.clone()));
    keys.filter(|key| !KNOWN.contains(&key.as_str())).collect()
}

fn inner<'a>(table: &'a mut Table, name: &str) -> Result<&'a mut Table, UserDataError> {
    let entry = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
    entry.as_table_mut().ok_or_else(|| UserDataError::Custom(format!("{name} is no table")))
}

fn fill(kubernetes: &mut Table, data: &UserData<'_>) -> Result<(), UserDataError> {
    let cluster = data.cluster;
    let mut set = |key: &str, value: Value| drop(kubernetes.insert(key.to_owned(), value));
    set("api-server", Value::from(cluster.endpoint.as_str()));
    set("cluster-certificate", Value::from(cluster.ca_bundle.as_str()));
    set("cluster-name", Value::from(cluster.name.as_str()));
    set("max-pods", Value::from(data.max_pods));
    if let Some(dns) = data.dns().first() {
        set("cluster-dns-ip", Value::from(dns.as_str()));
    }
    let mut taints: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for taint in data.node_taints() {
        let text = format!("{}:{}", taint.value, effect(taint.effect));
        taints.entry(taint.key.to_string()).or_default().push(Value::from(text));
    }
    set("node-taints", Value::Table(taints.into_iter().map(|(key, all)| (key, Value::Array(all))).collect()));
    for (ours, theirs) in [
        ("systemReserved", "system-reserved"),
        ("kubeReserved", "kube-reserved"),
        ("evictionHard", "eviction-hard"),
        ("evictionSoft", "eviction-soft"),
        ("evictionSoftGracePeriod", "eviction-soft-grace-period"),
    ] {
        if let Some(map) = data.kubelet.get(ours).and_then(Json::as_object) {
            let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let pairs = map.iter().map(|(key, value)| (key.clone(), Value::from(text(value))));
            set(theirs, Value::Table(pairs.collect()));
        }
    }
    if let Some(grace) = data.kubelet.get("evictionMaxPodGracePeriod").and_then(Json::as_i64) {
        set("eviction-max-pod-grace-period", Value::from(grace));
    }
    for (ours, theirs) in [
        ("imageGCHighThresholdPercent", "image-gc-high-threshold-percent"),
        ("imageGCLowThresholdPercent", "image-gc-low-threshold-percent"),
    ] {
        if let Some(percent) = data.kubelet.get(ours).and_then(Json::as_i64) {
            set(theirs, Value::from(percent.to_string()));
        }
    }
    if let Some(quota) = data.kubelet.get("cpuCFSQuota").and_then(Json::as_bool) {
        set("cpu-cfs-quota-enforced", Value::from(quota));
    }
    let labels = inner(kubernetes, "node-labels")?;
    labels.extend(data.node_labels().iter().map(|(key, value)| (key.to_string(), Value::from(&**value))));
    Ok(())
}

/// Makes one file system of the instance store and puts containers, pods and logs on it.
fn mount(image_name: &str) -> Value {
    let words = |words: &[&str]| Value::Array(words.iter().map(|word| Value::from(*word)).collect());
    let init = words(&["apiclient", "ephemeral-storage", "init"]);
    let bind = if binds_by_itself(image_name) {
        words(&["apiclient", "ephemeral-storage", "bind"])
    } else {
        let dirs = ["--dirs", "/var/lib/containerd", "/var/lib/kubelet", "/var/log/pods"];
        words(&[&["apiclient", "ephemeral-storage", "bind"][..], &dirs].concat())
    };
    let entries = [
        ("commands".to_owned(), Value::Array(vec![init, bind])),
        ("essential".to_owned(), Value::from(true)),
        ("mode".to_owned(), Value::from("always")),
    ];
    Value::Table(entries.into_iter().collect())
}

/// By the version in the image's name (`…-v1.50.0-…`); an image that does not say is taken to be old.
fn binds_by_itself(image_name: &str) -> bool {
    let version = image_name.split('-').rev().find_map(|part| part.strip_prefix('v').filter(|v| v.contains('.')));
    let numbers = version.map(|version| version.split('.').map_while(|n| n.parse().ok()).collect::<Vec<u64>>());
    numbers.is_some_and(|numbers| numbers.as_slice() >= &BINDS_BY_ITSELF[..])
}
