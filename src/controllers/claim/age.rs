//! Claims that took too long to become nodes, and nodes that have lived long enough.

use std::time::Duration;

use tokio::time::Instant;

use super::draft::{Draft, LAUNCHED, REGISTERED};
use crate::controllers::time;

/// From creation to an instance, in seconds.
pub const LAUNCH_LIMIT_SECONDS: i64 = 5 * 60;
/// From creation, or from a launch that had to wait for its turn, to a registered Node, in seconds.
pub const REGISTRATION_LIMIT_SECONDS: i64 = 15 * 60;

/// What its age says about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It is too old; the reason is a value of the metric label.
    Over(&'static str),
    /// Nothing to say before this time.
    Until(i64),
    /// It may live for ever.
    Unlimited,
}

/// Whether the claim is overdue. Both limits run from creation, as the conditions do; that of the launch not before it was first
/// tried, at `tried_at`, and that of the registration not before the launch: many claims at once wait for their turn.
pub fn overdue(draft: &Draft, tried_at: Option<i64>) -> Age {
    if draft.is_true(REGISTERED) {
        return Age::Unlimited;
    }
    let limits = [
        (LAUNCHED, LAUNCH_LIMIT_SECONDS, "launch_timeout"),
        (REGISTERED, REGISTRATION_LIMIT_SECONDS, "registration_timeout"),
    ];
    let mut next = Age::Unlimited;
    for (condition, limit, reason) in limits.into_iter().filter(|(condition, ..)| !draft.is_true(condition)) {
        let Some(since) = draft.since(condition) else { continue };
        let begun = if draft.is_true(LAUNCHED) { draft.since(LAUNCHED) } else { tried_at };
        let since = since.max(begun.unwrap_or(since));
        let at = since.saturating_add(limit);
        if draft.now >= at {
            return Age::Over(reason);
        }
        next = earlier(next, at);
    }
    next
}

/// Whether the claim has expired: by its own `expireAfter`, from its creation.
pub fn expired(draft: &Draft) -> Age {
    let created = draft.claim.metadata.creation_timestamp.as_deref().and_then(time::seconds);
    let span = draft.claim.spec.expire_after.as_ref().and_then(time::span);
    match (created, span) {
        (Some(created), Some(span)) => {
            let at = created.saturating_add(span);
            if draft.now >= at { Age::Over("expired") } else { Age::Until(at) }
        }
        _ => Age::Unlimited,
    }
}

/// Between two claims that end because they have expired: the reference ends one a second, so that the pods of many nodes of
/// one age do not all move at once.
const BETWEEN_EXPIRIES: Duration = Duration::from_secs(1);

/// Gives each claim that has expired its turn to end.
#[derive(Debug, Default)]
pub struct Turns {
    last: Option<Instant>,
}

impl Turns {
    /// The first moment that is free from `now` on; it is taken then.
    pub fn take(&mut self, now: Instant) -> Instant {
        let turn = self.last.map_or(now, |last| now.max(last + BETWEEN_EXPIRIES));
        self.last = Some(turn);
        turn
    }
}

fn earlier(age: Age, at: i64) -> Age {
    match age {
        Age::Until(other) if other <= at => age,
        _ => Age::Until(at),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{claim, launched, registered, with};
    use super::*;

    #[test]
    fn a_claim_has_five_minutes_to_launch_and_fifteen_to_register() {
        for (claim, now, expected) in [
            (claim("a"), 0, Age::Until(300)),
            (claim("a"), 299, Age::Until(300)),
            (claim("a"), 300, Age::Over("launch_timeout")),
            (launched("a"), 300, Age::Until(900)),
            (launched("a"), 900, Age::Over("registration_timeout")),
            (registered("a"), 100_000, Age::Unlimited),
        ] {
            assert_eq!(overdue(&Draft::new(claim, now), None), expected, "{now}");
        }
    }

    #[test]
    fn what_waited_for_its_turn_to_launch_has_its_time_from_then_on() {
        assert_eq!(overdue(&Draft::new(claim("a"), 1000), Some(990)), Age::Until(1290), "from its first try");
        let late = with(claim("a"), 1000, |draft| {
            draft.conditions.set_true(LAUNCHED);
        });
        assert_eq!(overdue(&Draft::new(late.clone(), 1001), Some(990)), Age::Until(1900));
        assert_eq!(overdue(&Draft::new(late.clone(), 1001), None), Age::Until(1900), "after a restart too");
        assert_eq!(overdue(&Draft::new(late, 1900), Some(990)), Age::Over("registration_timeout"));
    }

    #[test]
    fn claims_that_have_expired_end_a_second_apart() {
        let (mut turns, start) = (Turns::default(), Instant::now());
        let wait = |turn: Instant| turn.duration_since(start).as_secs();
        assert_eq!([0, 0, 0, 1].map(|at| wait(turns.take(start + Duration::from_secs(at)))), [0, 1, 2, 3]);
        assert_eq!(wait(turns.take(start + Duration::from_mins(1))), 60, "no turn is saved up");
    }

    #[test]
    fn a_claim_expires_by_its_own_field() {
        for (text, now, expected) in [
            (Some("1h"), 3599, Age::Until(3600)),
            (Some("1h"), 3600, Age::Over("expired")),
            (Some("Never"), i64::MAX, Age::Unlimited),
            (None, i64::MAX, Age::Unlimited),
        ] {
            let mut claim = registered("a");
            claim.spec.expire_after = text.map(Into::into);
            assert_eq!(expired(&Draft::new(claim, now.min(1 << 40))), expected, "{text:?}");
        }
    }
}
