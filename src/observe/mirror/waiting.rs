//! Pods that wait for a node: those that the scheduler has refused, and those that it has not come to.
//!
//! A scheduler comes to the last of some thousand pods after half a minute. To plan only what it has refused so far would
//! buy for the same burst again and again, each time without the rest of it. So once it has refused one pod, those that
//! stand behind it are planned for as well: the plan looks for room on nodes that are there, as the scheduler would. Pods
//! that may preempt others are left to it, unless it has refused one like them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use planner::model::Str;

use super::pod::Pod;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    refused: Line,
    untried: Line,
    /// How many pods each scheduler has refused.
    by_scheduler: HashMap<Str, usize>,
}

impl Waiting {
    pub(super) fn put(&mut self, pod: &Arc<Pod>) {
        if pod.is_provisionable() {
            self.refused.put(pod);
            *self.by_scheduler.entry(pod.form.spec.scheduler_name.clone()).or_default() += 1;
        } else if pod.is_untried() {
            self.untried.put(pod);
        }
    }

    /// The pod is gone, or about to be another one.
    pub(super) fn take(&mut self, pod: &Pod) {
        self.untried.take(pod);
        if self.refused.take(pod)
            && let Some(n) = self.by_scheduler.get_mut(&pod.form.spec.scheduler_name)
        {
            *n -= 1;
            if *n == 0 {
                self.by_scheduler.remove(&pod.form.spec.scheduler_name);
            }
        }
    }

    /// Has no scheduler refused a pod?
    pub(super) fn is_empty(&self) -> bool {
        self.refused.0.is_empty()
    }

    /// May a node be bought for it?
    pub(super) fn has(&self, pod: &Pod) -> bool {
        let stands_behind = || {
            let is_behind = self.by_scheduler.contains_key(&pod.form.spec.scheduler_name);
            is_behind && !pod.may_preempt() || self.refused.0.contains_key(&form_of(pod))
        };
        pod.is_provisionable() || pod.is_untried() && stands_behind()
    }

    /// Pods a node may be bought for that the scheduler has not come to.
    pub(super) fn untried(&self) -> impl Iterator<Item = &Arc<Pod>> {
        // What holds for one of a form holds for all.
        let lines = self.untried.0.values().filter(|alike| alike.values().next().is_some_and(|pod| self.has(pod)));
        lines.flat_map(BTreeMap::values)
    }

    /// Pods a node may be bought for, by namespace and name.
    pub(super) fn pending(&self) -> Vec<Arc<Pod>> {
        let mut pending: Vec<Arc<Pod>> = self.refused.iter().chain(self.untried()).cloned().collect();
        pending.sort_by(|a, b| a.key.cmp(&b.key));
        pending
    }

    /// Everything that has no node.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.refused.iter().chain(self.untried.iter())
    }
}

/// Where a form is. Equal pods share theirs, and keep it there.
type FormAddress = usize;

fn form_of(pod: &Pod) -> FormAddress {
    Arc::as_ptr(&pod.form) as usize
}

/// Pods by form and name.
#[derive(Debug, Default)]
struct Line(HashMap<FormAddress, BTreeMap<Str, Arc<Pod>>>);

impl Line {
    fn put(&mut self, pod: &Arc<Pod>) {
        self.0.entry(form_of(pod)).or_default().insert(pod.key.clone(), pod.clone());
    }

    /// Whether it was there.
    fn take(&mut self, pod: &Pod) -> bool {
        let form = form_of(pod);
        let Some(alike) = self.0.get_mut(&form) else { return false };
        let was_there = alike.remove(&pod.key).is_some();
        if alike.is_empty() {
            self.0.remove(&form);
        }
        was_there
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.0.values().flat_map(BTreeMap::values)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::observe::mirror::{Kind, Mirror, Object};

    fn put(mirror: &Mirror, name: &str, spec: &Value, is_refused: bool) {
        let refused = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]);
        let pod = json!({
            "metadata": {"namespace": "shop", "name": name, "uid": name, "labels": {"app": &name[..1]}},
            "spec": spec, "status": {"conditions": if is_refused { refused } else { json!([]) }},
        });
        mirror.apply(Object::Pod(serde_json::from_value(pod).unwrap()));
    }

    fn pending(mirror: &Mirror) -> String {
        mirror.pending().iter().map(|pod| pod.name().to_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn once_a_pod_was_refused_those_behind_it_wait_too_unless_they_may_preempt() {
        let mirror = Mirror::new(&[]);
        let (plain, urgent) = (json!({"containers": []}), json!({"containers": [], "priority": 5}));
        let gated = json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]);
        put(&mirror, "a1", &plain, false);
        put(&mirror, "b1", &urgent, false);
        put(&mirror, "c1", &json!({"containers": [], "schedulerName": "other"}), false);
        put(&mirror, "d1", &json!({"containers": [], "nodeName": "n"}), false);
        let held = json!({"metadata": {"namespace": "shop", "name": "e1", "uid": "e1"}, "spec": plain,
            "status": {"conditions": gated}});
        mirror.apply(Object::Pod(serde_json::from_value(held).unwrap()));
        assert_eq!(pending(&mirror), "", "the scheduler may find room for all of them");
        put(&mirror, "a2", &plain, true);
        assert_eq!(pending(&mirror), "a1 a2");
        put(&mirror, "b2", &urgent, true);
        assert_eq!(pending(&mirror), "a1 a2 b1 b2", "it found nobody to make room for one like it");
        mirror.remove(Kind::Pod, "shop", "a2");
        mirror.remove(Kind::Pod, "shop", "b2");
        assert_eq!(pending(&mirror), "");
    }
}
