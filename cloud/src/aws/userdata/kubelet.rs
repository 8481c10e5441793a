//! Kubelet settings as command-line arguments.

use planner::model::Taint;
use serde_json::{Map, Value};

use super::{UserData, effect};

/// The arguments, in a fixed order.
pub(super) fn arguments(data: &UserData<'_>) -> Vec<String> {
    let mut all = Vec::new();
    let labels: Vec<String> = data.node_labels().iter().map(|(key, value)| format!("{key}={value}")).collect();
    if !labels.is_empty() {
        all.push(format!("--node-labels=\"{}\"", labels.join(",")));
    }
    let taints: Vec<String> = data.node_taints().iter().map(taint).collect();
    if !taints.is_empty() {
        all.push(format!("--register-with-taints=\"{}\"", taints.join(",")));
    }
    let kubelet = data.kubelet;
    all.push(format!("--max-pods={}", data.max_pods));
    let number = |name: &str| kubelet.get(name).filter(|value| !value.is_null()).map(ToString::to_string);
    let mut plain = |flag: &str, value: Option<String>| all.extend(value.map(|value| format!("--{flag}={value}")));
    plain("pods-per-core", number("podsPerCore"));
    plain("system-reserved", pairs(kubelet, "systemReserved", "="));
    plain("kube-reserved", pairs(kubelet, "kubeReserved", "="));
    plain("eviction-hard", pairs(kubelet, "evictionHard", "<"));
    plain("eviction-soft", pairs(kubelet, "evictionSoft", "<"));
    plain("eviction-soft-grace-period", pairs(kubelet, "evictionSoftGracePeriod", "="));
    plain("eviction-max-pod-grace-period", number("evictionMaxPodGracePeriod"));
    plain("image-gc-high-threshold", number("imageGCHighThresholdPercent"));
    plain("image-gc-low-threshold", number("imageGCLowThresholdPercent"));
    plain("cpu-cfs-quota", number("cpuCFSQuota"));
    all
}

/// `key=value:Effect`.
fn taint(taint: &Taint) -> String {
    format!("{}={}:{}", taint.key, taint.value, effect(taint.effect))
}

/// A map as `"k=v,k=v"`, sorted.
fn pairs(kubelet: &Map<String, Value>, name: &str, between: &str) -> Option<String> {
    let map = kubelet.get(name)?.as_object().filter(|map| !map.is_empty())?;
    let mut pairs: Vec<String> = map
        .iter()
        .map(|(key, value)| {
            format!("{key}{between}{}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        })
        .collect();
    pairs.sort();
    Some(format!("\"{}\"", pairs.join(",")))
}
