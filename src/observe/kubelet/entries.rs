//! Entries of `spec.kubelet` that are no numbers, and what the others come to.

use std::collections::BTreeMap;

use cloud::catalog::Kubelet;
use planner::model::Quantity;
use serde_json::{Map, Value};

/// Fields whose entries may be expressions.
const RESERVED: [&str; 2] = ["kubeReserved", "systemReserved"];
pub(crate) const MAX_PODS: &str = "maxPods";

/// An entry that is no number.
pub(crate) struct Entry<'a> {
    pub(crate) field: &'static str,
    /// Empty for `maxPods`.
    pub(crate) resource: &'a str,
    pub(crate) text: &'a str,
}

impl Entry<'_> {
    pub(crate) fn path(&self) -> String {
        path(self.field, self.resource)
    }
}

pub(crate) fn path(field: &str, resource: &str) -> String {
    if resource.is_empty() { format!("kubelet.{field}") } else { format!("kubelet.{field}[{resource}]") }
}

pub(crate) fn entries(kubelet: &Map<String, Value>) -> Vec<Entry<'_>> {
    let max_pods = kubelet.get(MAX_PODS).and_then(Value::as_str);
    let mut found: Vec<_> = max_pods.map(|text| Entry { field: MAX_PODS, resource: "", text }).into_iter().collect();
    for field in RESERVED {
        let of_field = super::texts(kubelet, field).filter(|(_, text)| Quantity::parse(text).is_err());
        found.extend(of_field.map(|(resource, text)| Entry { field, resource, text }));
    }
    found
}

/// Path and text of the first expression, if there is one.
pub(crate) fn first(kubelet: &Map<String, Value>) -> Option<(String, String)> {
    entries(kubelet).first().map(|entry| (entry.path(), entry.text.to_owned()))
}

/// What of the kubelet's settings changes what pods may use; expressions, which are no amounts, are left out.
pub(crate) fn of_catalog(kubelet: &Map<String, Value>) -> Kubelet {
    let number = |name: &str| kubelet.get(name).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let texts = |name: &str| -> BTreeMap<String, String> {
        let map = kubelet.get(name).and_then(Value::as_object);
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        map.into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
    };
    let amounts = |name: &str| {
        let mut all = texts(name);
        all.retain(|_, text| Quantity::parse(text).is_ok());
        all
    };
    Kubelet {
        max_pods: number(MAX_PODS),
        pods_per_core: number("podsPerCore"),
        kube_reserved: amounts("kubeReserved"),
        system_reserved: amounts("systemReserved"),
        eviction_hard: texts("evictionHard"),
    }
}
