//! Identical pods are one group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::resources::{CPU, MEMORY};
use super::{Pod, PodShape, Str};

/// Pods to place that are interchangeable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodGroup {
    pub shape: Arc<PodShape>,
    /// Sorted by name.
    pub pods: Vec<PodRef>,
}

impl PodGroup {
    /// Does it hold room free for pods that may come? Pods and stand-ins are never of one group.
    pub fn is_stand_in(&self) -> bool {
        self.pods.first().is_some_and(|pod| pod.stand_in)
    }
}

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PodRef {
    /// `namespace/name`.
    pub key: Str,
    /// A `CapacityBuffer`'s stand-in: reserves room, exists nowhere.
    pub stand_in: bool,
}

/// Collapses equal shapes. `keys` are the label keys that selectors look at; other labels cannot matter and are dropped.
/// Pods before stand-ins, then largest cpu first, then memory, then by shape: the order in which first-fit-decreasing takes
/// them.
pub fn collapse(pods: impl IntoIterator<Item = (Pod, bool)>, keys: &BTreeSet<Str>) -> Vec<PodGroup> {
    let mut by_shape: BTreeMap<(bool, PodShape), Vec<PodRef>> = BTreeMap::new();
    for (pod, stand_in) in pods {
        let key = format!("{}/{}", pod.shape.namespace, pod.name).into();
        by_shape.entry((stand_in, project(pod.shape, keys))).or_default().push(PodRef { key, stand_in });
    }
    let mut groups: Vec<PodGroup> = by_shape
        .into_iter()
        .map(|((_, shape), mut pods)| {
            pods.sort_by(|a, b| natural(&a.key).cmp(&natural(&b.key)));
            PodGroup { shape: Arc::new(shape), pods }
        })
        .collect();
    groups.sort_by_cached_key(|group| {
        let requests = &group.shape.requests;
        (group.is_stand_in(), std::cmp::Reverse((requests.get(CPU), requests.get(MEMORY))))
    });
    groups
}

/// A shape with only the labels that some selector looks at.
pub fn project(mut shape: PodShape, keys: &BTreeSet<Str>) -> PodShape {
    shape.labels.retain(|key, _| keys.contains(key));
    shape
}

/// Orders `web-2` before `web-10`: text, then a trailing number.
pub fn natural(key: &str) -> (&str, u64, &str) {
    let digits = key.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (stem, number) = key.split_at(key.len() - digits);
    (stem, number.parse().unwrap_or(u64::MAX), number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Resources;

    fn pod(name: &str, cpu: i64, labels: &[(&str, &str)]) -> (Pod, bool) {
        let shape = PodShape {
            namespace: "shop".into(),
            labels: labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            requests: Resources::of([(CPU, cpu)]),
            ..PodShape::default()
        };
        (Pod { name: name.into(), uid: name.into(), created: 0, node: None, terminating: false, shape }, false)
    }

    fn keys(group: &PodGroup) -> Vec<&str> {
        group.pods.iter().map(|pod| pod.key.as_ref()).collect()
    }

    #[test]
    fn equal_pods_are_one_group_in_natural_order() {
        let pods = ["web-10", "web-2", "web-1", "web-a", "api"].map(|name| pod(name, 100, &[]));
        let groups = collapse(pods, &BTreeSet::new());
        assert_eq!(groups.len(), 1);
        assert_eq!(keys(&groups[0]), ["shop/api", "shop/web-1", "shop/web-2", "shop/web-10", "shop/web-a"]);
    }

    #[test]
    fn labels_that_no_selector_looks_at_do_not_split_a_group() {
        let pods = || [pod("a-0", 1, &[("app", "a"), ("hash", "1")]), pod("a-1", 1, &[("app", "a"), ("hash", "2")])];
        assert_eq!(collapse(pods(), &BTreeSet::from(["app".into()])).len(), 1);
        assert_eq!(collapse(pods(), &BTreeSet::from(["hash".into()])).len(), 2);
        assert_eq!(collapse(pods(), &BTreeSet::new())[0].shape.labels.len(), 0);
    }

    #[test]
    fn the_largest_come_first_whatever_the_order_they_were_seen_in() {
        let mut pods = vec![pod("s-0", 10, &[]), pod("l-0", 30, &[]), pod("m-0", 20, &[]), pod("l-1", 30, &[])];
        let order = |pods: Vec<(Pod, bool)>| -> Vec<String> {
            collapse(pods, &BTreeSet::new()).iter().map(|group| keys(group).join(" ")).collect()
        };
        let first = order(pods.clone());
        assert_eq!(first, ["shop/l-0 shop/l-1", "shop/m-0", "shop/s-0"]);
        for _ in 0..4 {
            pods.rotate_left(1);
            assert_eq!(order(pods.clone()), first);
        }
    }

    #[test]
    fn stand_ins_are_groups_of_their_own_and_come_last() {
        let stand_in = |name: &str, cpu: i64| (pod(name, cpu, &[]).0, true);
        let pods = [stand_in("b-0", 30), pod("s-0", 10, &[]), stand_in("b-1", 10), pod("m-0", 20, &[])];
        let groups = collapse(pods, &BTreeSet::new());
        let order: Vec<_> = groups.iter().map(|group| (keys(group).join(" "), group.is_stand_in())).collect();
        let expected = [("shop/m-0", false), ("shop/s-0", false), ("shop/b-0", true), ("shop/b-1", true)];
        assert_eq!(order, expected.map(|(key, stand_in)| (key.to_owned(), stand_in)));
    }

    #[test]
    fn numbers_too_long_to_count_are_still_ordered() {
        let mut names = ["x-99999999999999999999999", "x-99999999999999999999998", "x-1", "x-01", "x"];
        names.sort_by(|a, b| natural(a).cmp(&natural(b)));
        assert_eq!(names, ["x", "x-01", "x-1", "x-99999999999999999999998", "x-99999999999999999999999"]);
    }
}
