//! Pods that differ in nothing but their names are read once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crds::names::core::DO_NOT_DISRUPT;

use super::super::k8s::{ObjectMeta, OwnerReference, Pod, PodSpec};

/// Pods without a node that were read, and where each has its batch.
#[derive(Default)]
pub(super) struct Twins<'a>(HashMap<u64, Vec<(Alike<'a>, usize)>>);

/// All of a pod that its shape is made from.
#[derive(PartialEq, Eq, Hash)]
struct Alike<'a> {
    namespace: &'a str,
    labels: &'a planner::model::Labels,
    owners: &'a [OwnerReference],
    annotations: [Option<&'a str>; 2],
    spec: &'a PodSpec,
}

/// What may be known of a pod already.
pub(super) enum Known {
    /// A twin of it has this batch.
    Twin(usize),
    /// Nothing; it is to be remembered under this number.
    New(u64),
    /// It is like no other: its volumes go by its name, or its status counts.
    Single,
}

impl<'a> Twins<'a> {
    /// Looks for a twin.
    pub(super) fn find(&self, pod: &'a Pod) -> Known {
        let Some(alike) = alike(pod) else { return Known::Single };
        let mut hasher = DefaultHasher::new();
        alike.hash(&mut hasher);
        let number = hasher.finish();
        let known = self.0.get(&number).into_iter().flatten();
        let twin = known.filter(|(other, _)| *other == alike).map(|(_, batch)| *batch).next();
        twin.map_or(Known::New(number), Known::Twin)
    }

    /// Remembers a pod under the number it was looked for.
    pub(super) fn remember(&mut self, number: u64, pod: &'a Pod, batch: usize) {
        if let Some(alike) = alike(pod) {
            self.0.entry(number).or_default().push((alike, batch));
        }
    }
}

fn alike(pod: &Pod) -> Option<Alike<'_>> {
    let Pod { metadata, spec, status } = pod;
    let ObjectMeta { labels, annotations, owner_references: owners, .. } = metadata;
    let held = annotations.get(DO_NOT_DISRUPT).map(AsRef::as_ref);
    let is_timed = held.is_some_and(|held| held != "true");
    let mut statuses = status.container_statuses.iter().chain(&status.init_container_statuses);
    let is_resized = statuses.any(|own| own.resources.is_some() || own.allocated_resources.is_some());
    let is_named = spec.volumes.iter().any(|volume| volume.ephemeral.is_some());
    let mirror = annotations.get("kubernetes.io/config.mirror").map(|_| "");
    (!is_timed && !is_resized && !is_named).then(|| Alike {
        namespace: metadata.namespace(),
        labels,
        owners,
        annotations: [held, mirror],
        spec,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(json: &str) -> Pod {
        serde_json::from_str(json).unwrap()
    }

    fn is_twin(a: &Pod, b: &Pod) -> bool {
        let mut twins = Twins::default();
        if let Known::New(number) = twins.find(a) {
            twins.remember(number, a, 7);
        }
        matches!(twins.find(b), Known::Twin(7))
    }

    #[test]
    fn pods_that_differ_in_their_names_alone_are_twins() {
        let a = r#"{"metadata":{"name":"a","labels":{"x":"y"}},"spec":{"containers":[{"name":"c"}]},"status":{"phase":"Pending"}}"#;
        let a_is_like = |from: &str, to: &str| is_twin(&pod(a), &pod(&a.replacen(from, to, 1)));
        assert!(a_is_like("\"a\"", "\"b\""));
        assert!(a_is_like("\"name\":\"a\"", "\"name\":\"b\",\"namespace\":\"default\",\"annotations\":{\"n\":\"o\"}"));
        for (from, to) in [
            ("\"y\"", "\"z\""),
            ("\"c\"", "\"d\""),
            ("\"a\"", "\"a\",\"namespace\":\"other\""),
            ("\"a\"", "\"a\",\"annotations\":{\"karpenter.sh/do-not-disrupt\":\"true\"}"),
            ("\"a\"", "\"a\",\"ownerReferences\":[{\"kind\":\"StatefulSet\",\"name\":\"s\"}]"),
        ] {
            assert!(!a_is_like(from, to), "{to}");
        }
    }

    #[test]
    fn a_pod_whose_name_or_status_counts_has_no_twin() {
        for single in [
            r#"{"metadata":{"name":"a","annotations":{"karpenter.sh/do-not-disrupt":"1h"}}}"#,
            r#"{"spec":{"volumes":[{"name":"v","ephemeral":{}}]}}"#,
            r#"{"status":{"containerStatuses":[{"name":"c","allocatedResources":{"cpu":"1"}}]}}"#,
        ] {
            assert!(matches!(Twins::default().find(&pod(single)), Known::Single), "{single}");
        }
    }
}
