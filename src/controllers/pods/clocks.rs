//! How long pods have waited, for those that were seen to wait.
//!
//! ```text
//! seen --a plan has a place--> schedulable --bound--> bound --runs--> (out)
//!            ^                     |
//!            +--a later plan has none
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use planner::model::Str;

use super::super::deps::seconds;
use crate::observe::mirror::{Phase, Pod};
use crate::telemetry::Metrics;

/// Clones are the same clocks. There are no more than pods that do not run.
#[derive(Clone, Debug, Default)]
pub struct Clocks(Arc<Mutex<HashMap<Str, Clock>>>);

/// One pod that was seen before it ran. Times in seconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    uid: Str,
    pub created: i64,
    pub bound: bool,
    /// When it was first seen that a node may be bought for it.
    pub seen: Option<i64>,
    /// A plan has said something about it.
    pub decided: bool,
    /// Since when every plan has had a place for it.
    pub schedulable: Option<i64>,
}

impl Clocks {
    fn all(&self) -> MutexGuard<'_, HashMap<Str, Clock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pod changed, or is gone.
    pub fn look(&self, key: &Str, pod: Option<&Pod>, now: i64, metrics: &Metrics) {
        let mut all = self.all();
        let Some(pod) = pod.filter(|pod| !pod.is_finished()) else {
            all.remove(key);
            return;
        };
        if all.get(key).is_some_and(|clock| clock.uid != pod.uid) {
            all.remove(key);
        }
        if pod.phase == Phase::Pending && !all.contains_key(key) {
            let (uid, created, bound) = (pod.uid.clone(), pod.created, pod.node.is_some());
            all.insert(key.clone(), Clock { uid, created, bound, seen: None, decided: false, schedulable: None });
        }
        let Some(clock) = all.get_mut(key) else { return };
        if pod.is_provisionable() {
            clock.seen.get_or_insert(now);
        }
        if pod.node.is_some() && !clock.bound {
            clock.bound = true;
            metrics.pods_bound_duration_seconds.observe([], seconds(now - clock.created));
            if let Some(since) = clock.schedulable {
                metrics.pods_provisioning_bound_duration_seconds.observe([], seconds(now - since));
            }
        }
        if pod.phase != Phase::Pending && pod.ready {
            metrics.pods_startup_duration_seconds.observe([], seconds(now - clock.created));
            if let Some(since) = clock.schedulable {
                metrics.pods_provisioning_startup_duration_seconds.observe([], seconds(now - since));
            }
            all.remove(key);
        }
    }

    /// A plan has a place for the first, and none for the others.
    pub fn decided<'a>(
        &self,
        placed: impl IntoIterator<Item = &'a Str>,
        refused: impl IntoIterator<Item = &'a Str>,
        now: i64,
    ) {
        let mut all = self.all();
        for key in placed {
            if let Some(clock) = all.get_mut(key) {
                clock.decided = true;
                clock.schedulable.get_or_insert(now);
            }
        }
        for key in refused {
            if let Some(clock) = all.get_mut(key) {
                clock.decided = true;
                clock.schedulable = None;
            }
        }
    }

    /// Pods that were seen to wait and do not run, by name.
    pub fn waiting(&self) -> Vec<(Str, Clock)> {
        let mut all: Vec<(Str, Clock)> = self.all().iter().map(|(key, clock)| (key.clone(), clock.clone())).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::controllers::pods::testing::pod;
    use crate::observe::mirror::Verdict;

    fn key() -> Str {
        "shop/a".into()
    }

    #[test]
    fn a_pod_is_timed_from_its_creation_and_from_the_first_plan_that_has_a_place() {
        let (clocks, metrics) = (Clocks::default(), Metrics::new());
        let waiting = pod("shop/a", 100);
        clocks.look(&key(), Some(&waiting), 101, &metrics);
        assert_eq!(clocks.waiting()[0].1.seen, Some(101));
        clocks.decided([], [&key()], 102);
        clocks.decided([&key()], [], 103);
        clocks.decided([&key()], [], 105);
        let bound = Pod { node: Some("n".into()), verdict: Verdict::Other, ..waiting };
        clocks.look(&key(), Some(&bound), 110, &metrics);
        clocks.look(&key(), Some(&Pod { phase: Phase::Running, ready: true, ..bound }), 115, &metrics);
        assert_eq!(clocks.waiting(), []);
        let text = metrics.render();
        for line in [
            "karpenter_pods_bound_duration_seconds_sum 10",
            "karpenter_pods_provisioning_bound_duration_seconds_sum 7",
            "karpenter_pods_startup_duration_seconds_sum 15",
            "karpenter_pods_provisioning_startup_duration_seconds_sum 12",
        ] {
            assert!(text.contains(line), "no {line} in {text}");
        }
    }

    #[test]
    fn a_plan_without_a_place_stops_the_clock_of_provisioning() {
        let (clocks, metrics) = (Clocks::default(), Metrics::new());
        clocks.look(&key(), Some(&pod("shop/a", 100)), 100, &metrics);
        clocks.decided([&key()], [], 101);
        clocks.decided([], [&key()], 102);
        let clock = &clocks.waiting()[0].1;
        assert_eq!((clock.schedulable, clock.decided), (None, true));
    }

    #[test]
    fn pods_that_ran_before_anybody_looked_are_not_timed_and_those_that_go_are_forgotten() {
        let (clocks, metrics) = (Clocks::default(), Metrics::new());
        let runs = Pod { phase: Phase::Running, ready: true, node: Some("n".into()), ..pod("shop/a", 100) };
        clocks.look(&key(), Some(&runs), 200, &metrics);
        clocks.look(&key(), Some(&pod("shop/a", 100)), 200, &metrics);
        clocks.look(&key(), None, 201, &metrics);
        assert_eq!(clocks.waiting(), []);
        assert_eq!(metrics.pods_bound_duration_seconds.count([]), 0);
    }

    #[test]
    fn a_pod_that_is_made_anew_under_its_name_begins_anew() {
        let (clocks, metrics) = (Clocks::default(), Metrics::new());
        clocks.look(&key(), Some(&pod("shop/a", 100)), 100, &metrics);
        clocks.decided([&key()], [], 101);
        let other = Pod { uid: "other".into(), created: 150, ..pod("shop/a", 100) };
        clocks.look(&key(), Some(&other), 151, &metrics);
        let clock = &clocks.waiting()[0].1;
        assert_eq!((clock.created, clock.schedulable), (150, None));
        assert!(Arc::strong_count(&clocks.0) == 1);
    }
}
