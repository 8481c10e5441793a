//! A Node as the controllers read and write it: what they decide by, and nothing else.

use std::collections::BTreeMap;

use crds::names::{core, kubernetes};
use crds::{ObjectMeta, Quantity, Taint, TaintEffect};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::act::Object;
use crate::act::merge::merge_patch;

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

    /// The merge patch from this Node to `after`, which nobody may have written between; None if there is none.
    pub fn patch_to(&self, after: &Self) -> Option<Value> {
        let part = |node: &Self| {
            let meta = &node.metadata;
            json!({
                "metadata": { "labels": meta.labels, "annotations": meta.annotations,
                    "finalizers": meta.finalizers, "ownerReferences": meta.owner_references },
                "spec": { "taints": node.spec.taints },
            })
        };
        let mut patch = merge_patch(&part(self), &part(after))?;
        if let Some(version) = &self.metadata.resource_version {
            patch["metadata"]["resourceVersion"] = version.as_str().into();
        }
        Some(patch)
    }
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
    fn a_patch_holds_what_differs_and_the_version_it_was_made_from() {
        let mut before = Node { metadata: ObjectMeta::named("a"), ..Node::default() };
        before.metadata.resource_version = Some("7".to_owned());
        before.spec.taints = vec![mark("x", TaintEffect::NoSchedule)];
        assert_eq!(before.patch_to(&before), None);
        let mut after = before.clone();
        after.metadata.labels.insert("l".to_owned(), "1".to_owned());
        after.spec.taints.clear();
        let expected =
            json!({ "metadata": { "labels": { "l": "1" }, "resourceVersion": "7" }, "spec": { "taints": [] } });
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
