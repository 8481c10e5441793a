//! Planning again is validation: what was proposed once is acted on when it is still proposed a while later.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Str;
use crate::model::budget::DisruptionReason;

use super::Retirement;

/// From the first proposal to the act, in seconds.
pub const SETTLE_SECONDS: i64 = 15;

/// What is proposed, and since when without a break.
///
/// ```text
/// (nothing) --proposed--> since t --proposed at ≥ t + 15 s--> ripe
///                            |
///                            +--not proposed--> (nothing)
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposals {
    since: BTreeMap<Str, (DisruptionReason, i64)>,
}

impl Proposals {
    /// Takes in what is proposed now; gives what may be acted on. A proposal that is missing this time, or has another
    /// reason, starts anew.
    pub fn settle(&mut self, proposed: &[Retirement], now: i64) -> Vec<Retirement> {
        let before = std::mem::take(&mut self.since);
        for retirement in proposed {
            let kept = before.get(&retirement.node).filter(|(reason, _)| *reason == retirement.reason);
            let since = kept.map_or(now, |(_, since)| *since);
            self.since.insert(retirement.node.clone(), (retirement.reason, since));
        }
        let is_ripe = |retirement: &&Retirement| {
            self.since.get(&retirement.node).is_some_and(|(_, since)| now.saturating_sub(*since) >= SETTLE_SECONDS)
        };
        proposed.iter().filter(is_ripe).cloned().collect()
    }

    /// Nodes that were proposed and are not among these any more.
    pub fn dropped(&self, proposed: &[Retirement]) -> usize {
        let is_there = |node: &Str| proposed.iter().any(|retirement| retirement.node == *node);
        self.since.keys().filter(|node| !is_there(node)).count()
    }

    /// It was acted on.
    pub fn forget(&mut self, node: &str) {
        self.since.remove(node);
    }

    /// When the first of them is ripe.
    pub fn next(&self) -> Option<i64> {
        self.since.values().map(|(_, since)| since + SETTLE_SECONDS).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retire(node: &str, reason: DisruptionReason) -> Retirement {
        Retirement { node: node.into(), claim: "c".into(), pool: "p".into(), reason }
    }

    #[test]
    fn a_proposal_ripens_when_it_holds_for_fifteen_seconds() {
        let (a, b) = (retire("a", DisruptionReason::Empty), retire("b", DisruptionReason::Empty));
        let mut proposals = Proposals::default();
        assert_eq!(proposals.settle(std::slice::from_ref(&a), 0), []);
        assert_eq!(proposals.next(), Some(15));
        assert_eq!(proposals.settle(&[a.clone(), b.clone()], 14), []);
        assert_eq!(proposals.settle(&[a.clone(), b.clone()], 15), [a]);
        assert_eq!(proposals.settle(std::slice::from_ref(&b), 29), [b]);
    }

    #[test]
    fn what_was_acted_on_is_not_missed_and_what_is_proposed_no_more_is() {
        let (a, b) = (retire("a", DisruptionReason::Empty), retire("b", DisruptionReason::Empty));
        let mut proposals = Proposals::default();
        let _ = proposals.settle(&[a.clone(), b], 0);
        assert_eq!((proposals.dropped(&[]), proposals.dropped(&[a])), (2, 1));
        proposals.forget("b");
        assert_eq!(proposals.dropped(&[]), 1);
    }

    #[test]
    fn a_break_or_another_reason_starts_the_wait_anew() {
        let a = retire("a", DisruptionReason::Empty);
        let mut proposals = Proposals::default();
        let _ = proposals.settle(std::slice::from_ref(&a), 0);
        assert_eq!(proposals.settle(&[], 10), []);
        assert_eq!(proposals.settle(std::slice::from_ref(&a), 16), []);
        let drifted = retire("a", DisruptionReason::Drifted);
        assert_eq!(proposals.settle(std::slice::from_ref(&drifted), 40), []);
        assert_eq!(proposals.settle(std::slice::from_ref(&drifted), 55), [drifted]);
    }
}
