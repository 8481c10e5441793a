//! Pods that a plan has given a place on capacity that is still coming. The scheduler knows nothing of it yet.
//!
//! ```text
//! ── planned ──▶ held ──┬── its node is initialised ──▶ due ──┬── bound ─────────────────▶ forgotten
//!                       │                                     ├── its room is taken ─────▶ forgotten: planned anew
//!                       │                                     └── not bound in time ─────▶ forgotten: planned anew
//!                       └── the pod or the claim goes ──────────────────────────────────▶ forgotten
//! ```
//!
//! Without this each pass would pack the same pods anew into claims that were bought for another packing, and buy again
//! for those that no longer fit.
//!
//! It is memory, but a claim says in an annotation how many pods of which form it was bought for, and pods of one form are
//! as good as each other: after a restart the promises are given anew.

use std::collections::{BTreeMap, HashMap};

use planner::model::Str;

/// How long a pod may take to be bound once pods may run on its node, in seconds. The scheduler takes one or two.
const DUE: i64 = 10;
/// Pods that a busy scheduler binds in a second at least.
const PER_SECOND: usize = 50;

/// The annotation of a claim: forms and how many pods of each, `<form>=<n>` separated by commas.
pub const MEANT_FOR: &str = "millwright.dev/meant-for";
/// Forms that the annotation has room for; pods of others are planned anew after a restart.
const MOST_FORMS: usize = 100;

/// The annotation's text.
pub(super) fn written(counts: &BTreeMap<u64, usize>) -> String {
    let parts: Vec<String> = counts.iter().take(MOST_FORMS).map(|(form, n)| format!("{form:016x}={n}")).collect();
    parts.join(",")
}

/// The counts that a text stands for; what is malformed is passed over, for it only means planning anew.
pub(super) fn read(text: &str) -> BTreeMap<u64, usize> {
    let part = |part: &str| {
        let (form, n) = part.split_once('=')?;
        Some((u64::from_str_radix(form, 16).ok()?, n.parse().ok()?))
    };
    text.split(',').take(MOST_FORMS).filter_map(part).collect()
}

/// One pod's place.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) claim: Str,
    /// Of the pod: another one of the same name has no promise.
    uid: Str,
    /// Since when pods may run on its node, as far as was looked; seconds since the Unix epoch.
    due: Option<i64>,
}

/// How the pod stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has no node.
    Waits,
    /// It lies on a node that is on its way out, and will need its place when it is sent away.
    Moves,
    /// It has a node, or is gone or on its way out, or is another one of the name.
    Settled,
}

/// How far a claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Coming,
    /// Pods may run on its node.
    Initialized,
    /// There is none, or it is on its way out.
    Gone,
}

/// All of them, by `namespace/name` of the pod.
#[derive(Clone, Debug, Default)]
pub(super) struct Promises(BTreeMap<Str, Promise>);

impl Promises {
    /// The pod is to lie on the node of this claim.
    pub(super) fn give(&mut self, pod: Str, uid: Str, claim: Str) {
        self.0.insert(pod, Promise { claim, uid, due: None });
    }

    /// Forgets what has come true or cannot any more. `standing`: how does the pod of this key and uid stand?
    /// `stage`: how far a claim of this name is. `takes_room`: does this pod find room on the node of this claim, beside those
    /// that did before? Gives whether a pod waits that was forgotten.
    pub(super) fn keep(
        &mut self,
        now: i64,
        standing: impl Fn(&str, &str) -> Standing,
        stage: impl Fn(&str) -> Stage,
        mut takes_room: impl FnMut(&str, &Str) -> bool,
    ) -> bool {
        let due = DUE.saturating_add_unsigned(self.backlog());
        let mut is_left = false;
        self.0.retain(|pod, promise| {
            let standing = standing(pod, &promise.uid);
            if standing == Standing::Settled {
                return false;
            }
            let stays = match stage(&promise.claim) {
                Stage::Gone => false,
                Stage::Coming => true,
                // When it is sent away is not for the scheduler to say.
                Stage::Initialized if standing == Standing::Moves => takes_room(pod, &promise.claim),
                Stage::Initialized => now - *promise.due.get_or_insert(now) < due && takes_room(pod, &promise.claim),
            };
            is_left |= !stays;
            stays
        });
        is_left
    }

    /// Seconds that a busy scheduler takes to come to all of them.
    pub(super) fn backlog(&self) -> u64 {
        (self.0.len() / PER_SECOND) as u64
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains(&self, pod: &str) -> bool {
        self.0.contains_key(pod)
    }

    pub(super) fn claim(&self, pod: &str) -> Option<&Str> {
        self.0.get(pod).map(|promise| &promise.claim)
    }

    /// The claim by pod.
    pub(super) fn by_pod(&self) -> HashMap<Str, Str> {
        self.0.iter().map(|(pod, promise)| (pod.clone(), promise.claim.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(promises: &Promises) -> Vec<String> {
        let mut out: Vec<_> = promises.by_pod().into_iter().map(|(pod, claim)| format!("{pod} on {claim}")).collect();
        out.sort();
        out
    }

    fn waits(is_waiting: bool) -> Standing {
        if is_waiting { Standing::Waits } else { Standing::Settled }
    }

    fn all_wait(_: &str, _: &str) -> Standing {
        Standing::Waits
    }

    #[test]
    fn a_pod_that_is_still_to_be_sent_away_keeps_its_place_for_as_long_as_that_takes() {
        let mut promises = Promises::default();
        promises.give("shop/a".into(), "u1".into(), "x".into());
        let moves = |_: &str, _: &str| Standing::Moves;
        for now in [1000, 2000, 3000] {
            assert!(!promises.keep(now, moves, |_| Stage::Initialized, |_, _| true), "{now}");
        }
        assert!(promises.contains("shop/a"));
        assert!(promises.keep(3001, moves, |_| Stage::Gone, |_, _| true), "it is to be planned anew");
        assert!(!promises.contains("shop/a"));
    }

    #[test]
    fn a_promise_holds_until_its_pod_is_bound_or_its_time_is_up() {
        let mut promises = Promises::default();
        promises.give("shop/a".into(), "u1".into(), "x".into());
        promises.give("shop/b".into(), "u2".into(), "x".into());
        promises.give("shop/c".into(), "u3".into(), "y".into());
        promises.keep(900, all_wait, |_| Stage::Coming, |_, _| false);
        assert_eq!(pods(&promises).len(), 3, "a claim may take as long as it likes");
        let stage = |claim: &str| if claim == "x" { Stage::Initialized } else { Stage::Coming };
        promises.keep(1000, all_wait, stage, |_, _| true);
        let is_left = promises.keep(1009, |pod, _| waits(pod != "shop/a"), stage, |_, _| true);
        assert!(!is_left, "what is bound is not left");
        assert_eq!(pods(&promises), ["shop/b on x", "shop/c on y"]);
        assert!(promises.keep(1010, all_wait, stage, |_, _| true), "b is to be planned anew");
        assert_eq!(pods(&promises), ["shop/c on y"]);
    }

    #[test]
    fn a_busy_scheduler_is_given_longer() {
        let mut promises = Promises::default();
        for n in 0..10 * PER_SECOND {
            promises.give(n.to_string().into(), "u".into(), "x".into());
        }
        let mut keep = |now| promises.keep(now, all_wait, |_| Stage::Initialized, |_, _| true);
        assert_eq!([1000, 1000 + DUE, 1009 + DUE, 1010 + DUE].map(&mut keep), [false, false, false, true]);
    }

    #[test]
    fn of_those_that_wait_for_the_same_room_only_what_fits_keeps_its_promise() {
        let mut promises = Promises::default();
        for (pod, uid) in [("shop/a", "u1"), ("shop/b", "u2"), ("shop/c", "u3")] {
            promises.give(pod.into(), uid.into(), "x".into());
        }
        let mut n_left = 1;
        let is_bound = |pod: &str| pod == "shop/a";
        promises.keep(
            1000,
            |pod, _| waits(!is_bound(pod)),
            |_| Stage::Initialized,
            |_, _| {
                n_left -= 1;
                n_left >= 0
            },
        );
        assert_eq!(pods(&promises), ["shop/b on x"], "what is bound asks for none");
    }

    #[test]
    fn a_promise_ends_when_something_else_has_taken_the_room() {
        let mut promises = Promises::default();
        promises.give("shop/a".into(), "u1".into(), "x".into());
        promises.give("shop/b".into(), "u2".into(), "x".into());
        promises.keep(1000, all_wait, |_| Stage::Initialized, |pod, claim| (pod, &**claim) != ("shop/a", "x"));
        assert_eq!(pods(&promises), ["shop/b on x"]);
    }

    #[test]
    fn what_a_claim_is_meant_for_is_read_as_it_was_written() {
        let counts = BTreeMap::from([(7, 3), (u64::MAX, 110)]);
        assert_eq!(written(&counts), "0000000000000007=3,ffffffffffffffff=110");
        assert_eq!(read(&written(&counts)), counts);
        assert_eq!(read("0000000000000007=3,nonsense,8=x"), BTreeMap::from([(7, 3)]));
        assert!(read("").is_empty());
    }

    #[test]
    fn a_pod_made_anew_and_a_claim_that_goes_end_it() {
        let mut promises = Promises::default();
        promises.give("shop/a".into(), "u1".into(), "x".into());
        promises.give("shop/b".into(), "u2".into(), "y".into());
        let stage = |claim: &str| if claim == "y" { Stage::Gone } else { Stage::Coming };
        promises.keep(0, |_, uid| waits(uid != "u1"), stage, |_, _| true);
        assert!(pods(&promises).is_empty());
    }
}
