//! Pods as the mirror keeps them: a few words each, and what equal pods have in common once.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};

use crds::names::core::DO_NOT_DISRUPT;
use crds::names::kubernetes::POD_DELETION_COST;
use planner::model::pod::Owner;
use planner::model::{Resources, Str};

use super::super::k8s::pod::{ContainerStatus, PodStatus};
use super::super::k8s::{self, ObjectMeta, PodSpec, meta::condition};
use super::super::translate::{epoch, limits, owner, requests};

/// Annotations that say something about where a pod may be or whether it may go.
const KEPT: [&str; 3] = [DO_NOT_DISRUPT, POD_DELETION_COST, "kubernetes.io/config.mirror"];

/// One pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// `namespace/name`.
    pub key: Str,
    pub uid: Str,
    /// The node it is bound to.
    pub node: Option<Str>,
    /// The node that the scheduler was told to keep room on.
    pub nominated: Option<Str>,
    pub phase: Phase,
    pub ready: bool,
    pub verdict: Verdict,
    /// Seconds since the Unix epoch, as all times here.
    pub created: i64,
    /// When the kubelet began with it.
    pub started: Option<i64>,
    /// When it is to be gone at the latest; set while it is being deleted.
    pub deletion: Option<i64>,
    pub form: Arc<Form>,
}

/// What the scheduler has said of a pod, by its condition `PodScheduled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet.
    Untried,
    /// It has found no node.
    Unschedulable,
    /// It has found one, or does not try.
    Other,
}

/// How far along a pod is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    #[default]
    Pending,
    Running,
    Succeeded,
    Failed,
    Unknown,
}

impl Phase {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
        }
    }

    fn of(text: &str) -> Self {
        match text {
            "Running" => Self::Running,
            "Succeeded" => Self::Succeeded,
            "Failed" => Self::Failed,
            "Unknown" => Self::Unknown,
            _ => Self::Pending,
        }
    }
}

/// What equal pods have in common: everything that says where they may run, and nothing that names one of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Form {
    /// Namespace, labels, the annotations and owners that matter. A name only where the volumes depend on it.
    pub meta: ObjectMeta,
    /// Without the node.
    pub spec: Arc<PodSpec>,
    /// Of a resize under way; empty otherwise.
    pub resize: PodStatus,
}

impl Form {
    /// What kind of object its pods belong to.
    pub fn owner(&self) -> Owner {
        owner(&self.meta)
    }

    /// A number by which another process of the same build knows the form. Forms that differ have different ones, but for
    /// an accident of one in many millions.
    pub fn mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// The value of `karpenter.sh/do-not-disrupt`.
    pub fn do_not_disrupt(&self) -> Option<&str> {
        self.meta.annotations.get(DO_NOT_DISRUPT).map(AsRef::as_ref)
    }
}

impl Pod {
    pub fn namespace(&self) -> &str {
        self.key.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    pub fn name(&self) -> &str {
        self.key.split_once('/').map_or(&self.key, |(_, name)| name)
    }

    /// Succeeded or failed: it holds nothing any more.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }

    pub fn is_deleting(&self) -> bool {
        self.deletion.is_some()
    }

    /// What it asks for, `pods` included; the same for all pods of its form.
    pub fn requests(&self) -> Resources {
        requests(&self.form.meta, &self.form.spec, &self.form.resize)
    }

    /// What it is limited to, where it is.
    pub fn limits(&self) -> Resources {
        limits(&self.form.meta, &self.form.spec)
    }

    /// May a node be bought for it? The scheduler found none, nobody makes room for it, and it is not one of the pods
    /// that come with a node.
    pub fn is_provisionable(&self) -> bool {
        self.verdict == Verdict::Unschedulable && self.is_free()
    }

    /// Would one be, if the scheduler found none? It has not come to it yet.
    pub fn is_untried(&self) -> bool {
        self.verdict == Verdict::Untried && self.is_free()
    }

    /// Has it neither a node nor a nomination, and may have one?
    pub fn waits(&self) -> bool {
        self.is_provisionable() || self.is_untried()
    }

    /// May the scheduler make room for it by sending others away?
    pub fn may_preempt(&self) -> bool {
        self.form.spec.priority.is_some_and(|priority| priority > 0)
    }

    /// Does it need another place when its node goes? Those on their way out need none, but for members of a `StatefulSet`, who
    /// come back under the same name; those that must not be disturbed stay for as long as they are.
    pub fn is_mover(&self) -> bool {
        let is_movable = match self.form.owner() {
            Owner::DaemonSet | Owner::Node => false,
            Owner::StatefulSet => true,
            Owner::Other => !self.is_deleting(),
        };
        is_movable && !self.is_finished() && self.form.do_not_disrupt() != Some("true")
    }

    fn is_free(&self) -> bool {
        self.node.is_none()
            && self.nominated.is_none()
            && !self.is_finished()
            && !self.is_deleting()
            && !matches!(self.form.owner(), Owner::DaemonSet | Owner::Node)
    }
}

/// Gives out one form for equal pods, and one spec for equal specs.
#[derive(Debug, Default)]
pub(super) struct Forms {
    whole: HashMap<u64, Vec<Weak<Form>>>,
    specs: HashMap<u64, Vec<Weak<PodSpec>>>,
    nodes: HashSet<Str>,
    /// Forms made since the last sweep.
    made: usize,
}

impl Forms {
    /// The compact form of a pod.
    pub(super) fn take_in(&mut self, pod: k8s::Pod) -> Pod {
        let k8s::Pod { metadata, mut spec, status } = pod;
        let key: Str = format!("{}/{}", metadata.namespace(), metadata.name).into();
        let node = (!spec.node_name.is_empty()).then(|| self.node(&spec.node_name));
        let nominated = (!status.nominated_node_name.is_empty()).then(|| self.node(&status.nominated_node_name));
        spec.node_name = Str::default();
        let scheduled = condition(&status.conditions, "PodScheduled");
        let out = Pod {
            key,
            uid: metadata.uid.clone(),
            node,
            nominated,
            phase: Phase::of(&status.phase),
            ready: condition(&status.conditions, "Ready").is_some_and(|c| &*c.status == "True"),
            verdict: match scheduled {
                None => Verdict::Untried,
                Some(c) if &*c.reason == "Unschedulable" => Verdict::Unschedulable,
                Some(_) => Verdict::Other,
            },
            created: epoch(metadata.creation_timestamp.as_deref()),
            started: status.start_time.as_deref().map(|start| epoch(Some(start))),
            deletion: metadata.deletion_timestamp.as_deref().map(|end| epoch(Some(end))),
            form: self.form(metadata, spec, status),
        };
        self.made += 1;
        if self.made > 4096 {
            self.sweep();
        }
        out
    }

    fn node(&mut self, name: &Str) -> Str {
        if let Some(known) = self.nodes.get(name) {
            return known.clone();
        }
        self.nodes.insert(name.clone());
        name.clone()
    }

    fn form(&mut self, meta: ObjectMeta, spec: PodSpec, status: PodStatus) -> Arc<Form> {
        let by_name = spec.volumes.iter().any(|volume| volume.ephemeral.is_some());
        let spec = intern(&mut self.specs, spec);
        let mut annotations = meta.annotations;
        annotations.retain(|key, _| KEPT.contains(&&**key));
        let form = Form {
            meta: ObjectMeta {
                name: if by_name { meta.name } else { Str::default() },
                namespace: meta.namespace,
                labels: meta.labels,
                annotations,
                owner_references: meta.owner_references,
                ..ObjectMeta::default()
            },
            resize: resize(&spec, status),
            spec,
        };
        intern(&mut self.whole, form)
    }

    /// Forgets what no pod has any more.
    fn sweep(&mut self) {
        self.made = 0;
        sweep(&mut self.whole);
        sweep(&mut self.specs);
        self.nodes.retain(|name| Arc::strong_count(name) > 1);
    }
}

fn intern<T: Hash + Eq>(known: &mut HashMap<u64, Vec<Weak<T>>>, value: T) -> Arc<T> {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    let alike = known.entry(hasher.finish()).or_default();
    if let Some(same) = alike.iter().filter_map(Weak::upgrade).find(|other| **other == value) {
        return same;
    }
    alike.retain(|other| other.strong_count() > 0);
    let value = Arc::new(value);
    alike.push(Arc::downgrade(&value));
    value
}

fn sweep<T>(known: &mut HashMap<u64, Vec<Weak<T>>>) {
    known.retain(|_, alike| {
        alike.retain(|other| other.strong_count() > 0);
        !alike.is_empty()
    });
}

/// What of a status changes what a pod takes: resources that differ from what its containers ask for.
fn resize(spec: &PodSpec, status: PodStatus) -> PodStatus {
    let changed = |own: &ContainerStatus| {
        let all = spec.containers.iter().chain(&spec.init_containers);
        let Some(container) = all.into_iter().find(|container| container.name == own.name) else { return false };
        let asked = &container.resources.requests;
        own.resources.as_ref().is_some_and(|actual| actual.requests != *asked)
            || own.allocated_resources.as_ref().is_some_and(|allocated| allocated != asked)
    };
    let pending = condition(&status.conditions, "PodResizePending").cloned();
    let mut out = PodStatus { resize: status.resize, ..PodStatus::default() };
    if status.container_statuses.iter().chain(&status.init_container_statuses).any(changed) {
        out.container_statuses = status.container_statuses;
        out.init_container_statuses = status.init_container_statuses;
        out.conditions.extend(pending.map(|c| k8s::Condition { last_transition_time: None, ..c }));
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, change: &serde_json::Value) -> k8s::Pod {
        let mut pod = json!({
            "metadata": {"namespace": "shop", "name": name, "uid": format!("u-{name}"), "labels": {"app": "web"},
                "annotations": {"noise": name}, "creationTimestamp": "2026-01-01T00:00:00Z",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "r", "controller": true}]},
            "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
            "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
        });
        json_patch::merge(&mut pod, change);
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn equal_pods_share_all_but_their_names() {
        let mut forms = Forms::default();
        let a = forms.take_in(pod("a", &json!({})));
        let b = forms.take_in(pod("b", &json!({"spec": {"nodeName": "n"}, "status": {"phase": "Running"}})));
        let other = forms.take_in(pod("c", &json!({"metadata": {"labels": {"app": "db"}}})));
        assert!(Arc::ptr_eq(&a.form, &b.form));
        assert!(!Arc::ptr_eq(&a.form, &other.form) && Arc::ptr_eq(&a.form.spec, &other.form.spec));
        assert_eq!((a.namespace(), a.name(), b.node.as_deref()), ("shop", "a", Some("n")));
        assert!(a.is_provisionable() && !b.is_provisionable());
    }

    #[test]
    fn a_pod_that_waits_for_room_or_comes_with_a_node_is_not_bought_for() {
        let mut forms = Forms::default();
        let daemon = json!({"metadata": {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "d"}]}});
        for change in [
            json!({"status": {"nominatedNodeName": "n"}}),
            json!({"status": {"conditions": []}}),
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:30Z"}}),
            json!({"status": {"phase": "Failed"}}),
            daemon,
        ] {
            assert!(!forms.take_in(pod("a", &change)).is_provisionable(), "{change}");
        }
    }

    #[test]
    fn a_resize_under_way_sets_a_pod_apart_and_a_status_that_says_the_same_does_not() {
        let mut forms = Forms::default();
        let status =
            |cpu: &str| json!({"status": {"containerStatuses": [{"name": "c", "allocatedResources": {"cpu": cpu}}]}});
        let plain = forms.take_in(pod("a", &json!({})));
        assert!(Arc::ptr_eq(&plain.form, &forms.take_in(pod("b", &status("1"))).form));
        assert!(!Arc::ptr_eq(&plain.form, &forms.take_in(pod("c", &status("2"))).form));
    }

    #[test]
    fn forms_that_no_pod_has_are_forgotten() {
        let mut forms = Forms::default();
        for n in 0..9000 {
            drop(forms.take_in(pod("a", &json!({"metadata": {"labels": {"n": n.to_string()}}}))));
        }
        assert!(forms.whole.len() < 4100, "{}", forms.whole.len());
        assert_eq!(forms.specs.len(), 1);
    }
}
