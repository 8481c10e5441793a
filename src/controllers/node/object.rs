//! A Node as the controllers read and write it: what they decide by, and nothing else.

use std::collections::BTreeMap;

use crds::names::{core, kubernetes};
use crds::{ObjectMeta, Quantity, Taint, TaintEffect};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::act::Object;
use crate::controllers::time;

/// One Node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: NodeSpec,
    #[serde(default)]
    pub status: NodeStatus,
}

/// Identity and marks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    #[serde(rename = "providerID", default, skip_serializing_if = "String::is_empty")]
    pub provider_id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
}

/// What the kubelet says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    pub capacity: BTreeMap<String, Quantity>,
    pub allocatable: BTreeMap<String, Quantity>,
    pub conditions: Vec<NodeCondition>,
}

/// One aspect of a Node's health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeCondition {
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    pub reason: String,
    /// RFC 3339.
    pub last_transition_time: Option<String>,
}

impl Object for Node {
    const KIND: &'static str = "Node";
    const API: &'static str = "/api/v1";
    const PLURAL: &'static str = "nodes";
}

impl Node {
    /// Its name.
    pub fn name(&self) -> &str {
        self.metadata.name()
    }

    /// The condition of this type.
    pub fn condition(&self, type_: &str) -> Option<&NodeCondition> {
        self.status.conditions.iter().find(|condition| condition.type_ == type_)
    }

    /// Whether the kubelet says that it is ready.
    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|condition| condition.status == "True")
    }

    /// Whether the label says `true`.
    pub fn said(&self, label: &str) -> bool {
        self.metadata.labels.get(label).is_some_and(|value| value == "true")
    }

    /// Whether it carries a taint of this key and effect.
    pub fn has_taint(&self, key: &str, effect: TaintEffect) -> bool {
        self.spec.taints.iter().any(|taint| taint.key == key && taint.effect == effect)
    }

    /// Whether registration has ended.
    pub fn is_registered(&self) -> bool {
        self.said(core::REGISTERED)
    }

    /// Whether it was made after this second.
    pub fn is_younger_than(&self, at: Option<i64>) -> bool {
        let made = self.metadata.creation_timestamp.as_deref().and_then(time::seconds);
        made.zip(at).is_some_and(|(made, at)| made > at)
    }

    /// Whether it is held back until its instance is gone.
    pub fn has_finalizer(&self) -> bool {
        self.metadata.finalizers.iter().any(|finalizer| finalizer == core::TERMINATION_FINALIZER)
    }

    /// The first taint that goes away by itself while a node starts.
    pub fn ephemeral_taint(&self) -> Option<&Taint> {
        self.spec.taints.iter().find(|taint| {
            taint.key.starts_with(kubernetes::READINESS_TAINT_PREFIX)
                || kubernetes::EPHEMERAL_TAINTS.contains(&(taint.key.as_str(), taint.effect.as_str()))
        })
    }

    /// The steps (RFC 6902) from this Node to `after`; None if there are none.
    ///
    /// Kubelet and Kubernetes' own controllers write Nodes all the time, so no version is asked for: labels and
    /// annotations are set one by one, and a list is tested to be what it was. The uid is tested too: another Node of the
    /// name is left alone.
    pub fn patch_to(&self, after: &Self) -> Option<Value> {
        let (old, new) = (&self.metadata, &after.metadata);
        let mut steps = Vec::new();
        entries(&mut steps, "/metadata/labels", &old.labels, &new.labels);
        entries(&mut steps, "/metadata/annotations", &old.annotations, &new.annotations);
        list(&mut steps, "/metadata/finalizers", &old.finalizers, &new.finalizers);
        list(&mut steps, "/metadata/ownerReferences", &old.owner_references, &new.owner_references);
        list(&mut steps, "/spec/taints", &self.spec.taints, &after.spec.taints);
        if steps.is_empty() {
            return None;
        }
        if let Some(uid) = &old.uid {
            steps.insert(0, json!({ "op": "test", "path": "/metadata/uid", "value": uid }));
        }
        Some(Value::Array(steps))
    }
}

/// Steps for a map of texts.
fn entries(steps: &mut Vec<Value>, path: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) {
    if old == new {
        return;
    }
    if old.is_empty() {
        // A test for null passes where there is nothing.
        steps.push(json!({ "op": "test", "path": path, "value": null }));
        return steps.push(json!({ "op": "add", "path": path, "value": new }));
    }
    let at = |key: &str| format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
    for (key, value) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
        steps.push(json!({ "op": "test", "path": at(key), "value": value }));
        steps.push(json!({ "op": "remove", "path": at(key) }));
    }
    for (key, value) in new.iter().filter(|(key, value)| old.get(*key) != Some(value)) {
        steps.push(json!({ "op": "add", "path": at(key), "value": value }));
    }
}

/// Steps for a list, which is replaced as a whole.
fn list<T: Serialize + PartialEq>(steps: &mut Vec<Value>, path: &str, old: &[T], new: &[T]) {
    if old == new {
        return;
    }
    let before = if old.is_empty() { Value::Null } else { json!(old) };
    steps.push(json!({ "op": "test", "path": path, "value": before }));
    // An empty list is as good as none, but only none passes the test for null.
    steps.push(if new.is_empty() {
        json!({ "op": "remove", "path": path })
    } else {
        json!({ "op": "add", "path": path, "value": new })
    });
}

/// `key=value:effect`, as people write taints.
pub fn taint_text(taint: &Taint) -> String {
    let equals = if taint.value.is_empty() { "" } else { "=" };
    format!("{}{equals}{}:{}", taint.key, taint.value, taint.effect.as_str())
}

/// Adds the taints that are not there yet; two of one key and effect are the same mark.
pub fn add_taints(taints: &mut Vec<Taint>, more: &[Taint]) {
    for taint in more {
        if !taints.iter().any(|other| other.key == taint.key && other.effect == taint.effect) {
            taints.push(taint.clone());
        }
    }
}

/// A taint without value.
pub fn mark(key: &str, effect: TaintEffect) -> Taint {
    Taint { key: key.to_owned(), value: String::new(), effect, time_added: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_set_what_differs_and_test_the_lists_they_replace() {
        let mut before = Node { metadata: ObjectMeta::named("a"), ..Node::default() };
        before.metadata.uid = Some("u".to_owned());
        before.metadata.labels.insert("gone".to_owned(), "1".to_owned());
        before.spec.taints = vec![mark("x", TaintEffect::NoSchedule)];
        assert_eq!(before.patch_to(&before), None);
        let mut after = before.clone();
        after.metadata.labels = [("a.b/l".to_owned(), "1".to_owned())].into();
        after.metadata.finalizers.push("f".to_owned());
        after.spec.taints.clear();
        let expected = json!([
            { "op": "test", "path": "/metadata/uid", "value": "u" },
            { "op": "test", "path": "/metadata/labels/gone", "value": "1" },
            { "op": "remove", "path": "/metadata/labels/gone" },
            { "op": "add", "path": "/metadata/labels/a.b~1l", "value": "1" },
            { "op": "test", "path": "/metadata/finalizers", "value": null },
            { "op": "add", "path": "/metadata/finalizers", "value": ["f"] },
            { "op": "test", "path": "/spec/taints", "value": [{ "key": "x", "effect": "NoSchedule" }] },
            { "op": "remove", "path": "/spec/taints" },
        ]);
        assert_eq!(before.patch_to(&after), Some(expected));
    }

    #[test]
    fn a_taint_of_the_same_key_and_effect_is_not_added_again() {
        let mut taints = vec![Taint { value: "1".to_owned(), ..mark("a", TaintEffect::NoSchedule) }];
        add_taints(&mut taints, &[mark("a", TaintEffect::NoSchedule), mark("a", TaintEffect::NoExecute)]);
        assert_eq!(taints.iter().map(taint_text).collect::<Vec<_>>(), ["a=1:NoSchedule", "a:NoExecute"]);
    }

    #[test]
    fn taints_that_go_by_themselves_are_known() {
        for (key, effect, expected) in [
            ("node.kubernetes.io/not-ready", TaintEffect::NoExecute, true),
            ("node.kubernetes.io/unreachable", TaintEffect::NoExecute, false),
            ("readiness.k8s.io/network", TaintEffect::NoSchedule, true),
            ("example.com/mine", TaintEffect::NoSchedule, false),
        ] {
            let mut node = Node::default();
            node.spec.taints.push(mark(key, effect));
            assert_eq!(node.ephemeral_taint().is_some(), expected, "{key}");
        }
    }
}
