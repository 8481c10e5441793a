//! Shortages that wait for the plan that ran into them: a decision is published only after its claims were acted on.

use std::collections::VecDeque;

use planner::model::Str;

use super::seller::Shortage;

/// Claims that are remembered; the cloud has answered for older ones long ago.
const MOST_CLAIMS: usize = 10_000;

/// What cannot be told yet, and the claims of what was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// With the time at which they were seen, in milliseconds; oldest first.
    waiting: Vec<(u64, Shortage)>,
    /// Claims of plans that were told.
    told: VecDeque<Str>,
}

impl Held {
    pub fn hold(&mut self, now: u64, shortage: Shortage) {
        self.waiting.push((now, shortage));
    }

    /// A plan was told, and these are its claims.
    pub fn told<'a>(&mut self, claims: impl Iterator<Item = &'a Str>) {
        self.told.extend(claims.cloned());
        self.told.drain(..self.told.len().saturating_sub(MOST_CLAIMS));
    }

    /// Since when the oldest waits.
    pub fn since(&self) -> Option<u64> {
        self.waiting.first().map(|(since, _)| *since)
    }

    /// Those whose plan was told, and those that have waited since `long_ago`: nobody told their plan.
    pub fn release(&mut self, long_ago: u64) -> Vec<(u64, Shortage)> {
        let told = &self.told;
        let is_ready = |(since, shortage): &mut (u64, Shortage)| *since <= long_ago || told.contains(&shortage.claim);
        self.waiting.extract_if(.., is_ready).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortage(claim: &str) -> Shortage {
        Shortage { claim: claim.into(), refused: Vec::new(), instead: None }
    }

    #[test]
    fn a_shortage_is_told_after_the_plan_that_ran_into_it() {
        let mut held = Held::default();
        held.hold(100, shortage("a"));
        held.hold(120, shortage("b"));
        assert_eq!((held.release(90), held.since()), (vec![], Some(100)));
        held.told(["b".into()].iter());
        assert_eq!(held.release(90), [(120, shortage("b"))]);
        held.hold(130, shortage("b"));
        assert_eq!(held.release(90), [(130, shortage("b"))], "its plan was told before");
        assert_eq!(held.release(100), [(100, shortage("a"))], "no plan comes for it");
        assert_eq!(held, Held { told: ["b".into()].into(), ..Held::default() });
    }
}
