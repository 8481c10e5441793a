//! What the cloud said of its stock: offerings that were refused, each forgotten after a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cloud::{Because, OfferingKey, Refused};

/// How long a refused offering is left alone at first, in seconds: as long as the reference does.
const FIRST: i64 = 180;
/// Refused again soon after, it is left alone for twice as long each time, up to this many seconds.
const LONGEST: i64 = 1440;
/// The same for one that is not sold there at all, which changes rarely.
const FIRST_UNSUPPORTED: i64 = 3600;
const LONGEST_UNSUPPORTED: i64 = 24 * 3600;

/// How long an offering is left alone at first and at most.
fn spans(because: Because) -> (i64, i64) {
    match because {
        Because::Stock | Because::Account => (FIRST, LONGEST),
        Because::Unsupported => (FIRST_UNSUPPORTED, LONGEST_UNSUPPORTED),
    }
}

/// Facts that no object of the API holds. They are rebuilt by asking again, so losing them costs a refused launch.
#[derive(Clone, Debug, Default)]
pub struct Facts(Arc<Mutex<BTreeMap<OfferingKey, Refusal>>>);

#[derive(Clone, Copy, Debug)]
struct Refusal {
    /// Seconds since the Unix epoch.
    until: i64,
    lasts: i64,
}

impl Facts {
    /// These offerings were refused at `now` (seconds since the Unix epoch).
    pub fn refused<'a>(&self, offerings: impl IntoIterator<Item = &'a Refused>, now: i64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for Refused { key, because } in offerings {
            let (first, longest) = spans(*because);
            let lasts = match all.get(key) {
                // Still marked: the order was on its way already.
                Some(refusal) if refusal.until > now => refusal.lasts.max(first),
                Some(refusal) if refusal.until + refusal.lasts > now => (refusal.lasts * 2).clamp(first, longest),
                _ => first,
            };
            all.insert(key.clone(), Refusal { until: now + lasts, lasts });
        }
        // Long enough to remember how often it was refused, and no longer.
        all.retain(|_, refusal| refusal.until + refusal.lasts > now);
    }

    /// Is the offering to be left alone at `now`?
    pub fn is_refused(&self, key: &OfferingKey, now: i64) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is = |key: &OfferingKey| all.get(key).is_some_and(|refusal| refusal.until > now);
        is(key) || is(&OfferingKey::all_of(key.capacity_type))
    }

    /// The offerings to leave alone at `now`, sorted; some may stand for many.
    pub fn unavailable(&self, now: i64) -> Vec<OfferingKey> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|(_, refusal)| refusal.until > now).map(|(key, _)| key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use planner::model::CapacityType;

    use super::*;

    fn key(name: &str) -> OfferingKey {
        OfferingKey {
            instance_type: name.into(),
            zone: "a".into(),
            capacity_type: CapacityType::Spot,
            reservation: None,
        }
    }

    fn refused(name: &str) -> [Refused; 1] {
        [key(name).into()]
    }

    /// When `m` may be tried again.
    fn free_again(facts: &Facts, now: i64) -> i64 {
        (now..=now + LONGEST_UNSUPPORTED).find(|at| !facts.is_refused(&key("m"), *at)).unwrap()
    }

    #[test]
    fn what_is_not_sold_there_is_left_alone_for_long_and_a_way_to_pay_as_a_whole() {
        let facts = Facts::default();
        let unsupported = Refused { because: Because::Unsupported, ..key("m").into() };
        facts.refused([&unsupported], 0);
        assert!(facts.is_refused(&key("m"), 3599) && !facts.is_refused(&key("m"), 3600));
        facts.refused([&unsupported], 3600);
        assert!(facts.is_refused(&key("m"), 3600 + 7199) && !facts.is_refused(&key("m"), 3600 + 7200));
        let spot = OfferingKey::all_of(CapacityType::Spot);
        facts.refused([&Refused { key: spot.clone(), because: Because::Account }], 20_000);
        assert!(facts.is_refused(&key("any"), 20_179) && !facts.is_refused(&key("any"), 20_180));
        let on_demand = OfferingKey { capacity_type: CapacityType::OnDemand, ..key("any") };
        assert!(!facts.is_refused(&on_demand, 20_001));
        assert_eq!(facts.unavailable(20_001), [spot]);
    }

    #[test]
    fn a_refused_offering_comes_back_after_three_minutes() {
        let facts = Facts::default();
        facts.refused(&refused("m"), 1000);
        assert!(facts.is_refused(&key("m"), 1179) && !facts.is_refused(&key("m"), 1180));
        assert_eq!(facts.unavailable(1100), [key("m")]);
        assert!(facts.unavailable(1180).is_empty());
    }

    #[test]
    fn one_refused_again_and_again_is_left_alone_for_longer() {
        let facts = Facts::default();
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..6 {
            facts.refused(&refused("m"), now);
            let next = free_again(&facts, now);
            waits.push(next - now);
            now = next;
        }
        assert_eq!(waits, [180, 360, 720, 1440, 1440, 1440]);
        facts.refused(&refused("m"), now + 3000);
        assert_eq!(free_again(&facts, now + 3000), now + 3180);
    }

    #[test]
    fn a_refusal_of_what_is_marked_already_does_not_count_twice() {
        let facts = Facts::default();
        facts.refused(&refused("m"), 0);
        facts.refused(&refused("m"), 1);
        assert_eq!(free_again(&facts, 1), 181);
    }
}
