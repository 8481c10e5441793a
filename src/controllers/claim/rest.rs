//! Rest: whether pods stopped coming and going for as long as the pool asks before it may take the node away.

use std::collections::BTreeMap;

use planner::model::Str;

use super::draft::{CONSOLIDATABLE, Draft, INITIALIZED};
use crate::controllers::time;

/// Pods that come or go within so many seconds of the last time count as one event, and it is written so late at most.
pub const EVENT_PERIOD_SECONDS: i64 = 10;

/// A pod of no daemon that is bound to the node, as far as coming and going matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    pub uid: Str,
    /// Finished, or being deleted.
    pub leaving: bool,
    /// When its kubelet took it up, in seconds since the epoch.
    pub started: Option<i64>,
}

/// The guests of one node when they were last looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestBook {
    /// Whether each was leaving; None before the first look.
    seen: Option<BTreeMap<Str, bool>>,
}

impl GuestBook {
    /// Takes in who is there now; gives when something last came or went, if something did.
    ///
    /// At the first look (a restart) a guest counts only if it started after the last event that was written: who was
    /// there all the time has not come.
    pub fn look(&mut self, guests: &[Guest], written: Option<i64>, now: i64) -> Option<i64> {
        let present: BTreeMap<Str, bool> = guests.iter().map(|guest| (guest.uid.clone(), guest.leaving)).collect();
        let before = self.seen.replace(present);
        let Some(before) = before else {
            let last = guests.iter().filter_map(|guest| guest.started).max()?;
            return (written.is_none_or(|written| last > written)).then_some(last.min(now));
        };
        let came = guests.iter().any(|guest| before.get(&guest.uid).is_none_or(|leaving| guest.leaving && !leaving));
        // One that is gone without having been seen leaving left between two looks.
        let left = || before.iter().any(|(uid, leaving)| !leaving && !guests.iter().any(|guest| guest.uid == *uid));
        (came || left()).then_some(now)
    }
}

/// Writes the time of the last event into the claim, unless one of the last ten seconds is written.
pub fn note_event(draft: &mut Draft, at: i64) {
    let status = draft.claim.status.get_or_insert_default();
    let written = status.last_pod_event_time.as_deref().and_then(time::seconds);
    if written.is_none_or(|written| at.saturating_sub(written) >= EVENT_PERIOD_SECONDS) {
        status.last_pod_event_time = Some(time::text(at));
    }
}

/// Sets or takes away the condition. `event` is when pods last came or went if the claim does not say so yet. `after_seconds` is the pool's `consolidateAfter`; None for `Never`, a static pool or
/// no pool. Gives when it is to be looked at again.
pub fn mark(draft: &mut Draft, event: Option<i64>, after_seconds: Option<i64>) -> Option<i64> {
    mend_future(draft);
    let since = draft.is_true(INITIALIZED).then(|| last_event(draft).max(event)).flatten();
    let (Some(after), Some(since)) = (after_seconds, since) else {
        draft.clear(CONSOLIDATABLE);
        return None;
    };
    let at = since.saturating_add(after);
    if draft.now < at {
        draft.clear(CONSOLIDATABLE);
        return Some(at);
    }
    draft.conditions.set_true(CONSOLIDATABLE);
    None
}

/// A clock that was wrong has written a time that is still to come: the rest would begin only then.
fn mend_future(draft: &mut Draft) {
    let Some(status) = &mut draft.claim.status else { return };
    if status.last_pod_event_time.as_deref().and_then(time::seconds).is_some_and(|written| written > draft.now) {
        status.last_pod_event_time = Some(time::text(draft.now));
    }
}

fn last_event(draft: &Draft) -> Option<i64> {
    let written = draft.claim.status.as_ref().and_then(|status| status.last_pod_event_time.as_deref());
    written.and_then(time::seconds).or_else(|| draft.since(INITIALIZED))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{initialized, registered};
    use super::*;

    fn guest(uid: &str, leaving: bool) -> Guest {
        Guest { uid: uid.into(), leaving, started: Some(5) }
    }

    #[test]
    fn pods_that_come_or_begin_to_leave_are_events_and_their_end_is_not() {
        let mut book = GuestBook::default();
        assert_eq!(book.look(&[], None, 0), None);
        assert_eq!(book.look(&[guest("a", false)], None, 10), Some(10), "came");
        assert_eq!(book.look(&[guest("a", false)], None, 20), None);
        assert_eq!(book.look(&[guest("a", true)], None, 30), Some(30), "leaves");
        assert_eq!(book.look(&[], None, 40), None, "is gone");
        assert_eq!(book.look(&[guest("b", false)], None, 50), Some(50));
        assert_eq!(book.look(&[], None, 60), Some(60), "left between two looks");
    }

    #[test]
    fn a_restart_is_no_event_for_pods_that_were_there_all_the_time() {
        let guests = [guest("a", false)];
        assert_eq!(GuestBook::default().look(&guests, Some(5), 100), None);
        assert_eq!(GuestBook::default().look(&guests, Some(4), 100), Some(5), "it came while nobody looked");
        assert_eq!(GuestBook::default().look(&guests, None, 100), Some(5));
    }

    #[test]
    fn events_are_written_at_most_every_ten_seconds() {
        let mut draft = Draft::new(initialized("a"), 100);
        for (at, expected) in [(0, 0), (9, 0), (10, 10), (19, 10), (25, 25)] {
            note_event(&mut draft, at);
            let written = draft.claim.status.as_ref().unwrap().last_pod_event_time.clone();
            assert_eq!(written, Some(time::text(expected)), "{at}");
        }
    }

    #[test]
    fn a_node_is_consolidatable_after_its_rest() {
        for (after, event, now, is_true, next) in [
            (Some(30), None, 29, false, Some(30)),
            (Some(30), None, 30, true, None),
            (Some(30), Some(20), 30, false, Some(50)),
            (Some(30), Some(20), 50, true, None),
            (Some(0), Some(20), 20, true, None),
            (None, None, 1000, false, None),
            (Some(30), Some(1_000_000), 50, false, Some(80)),
        ] {
            let mut claim = initialized("a");
            claim.status.as_mut().unwrap().last_pod_event_time = event.map(time::text);
            let mut draft = Draft::new(claim, now);
            draft.conditions.set_true(CONSOLIDATABLE);
            assert_eq!(mark(&mut draft, None, after), next, "{after:?} {event:?} {now}");
            assert_eq!(draft.is_true(CONSOLIDATABLE), is_true, "{after:?} {event:?} {now}");
        }
        let mut draft = Draft::new(initialized("a"), 60);
        assert_eq!(mark(&mut draft, Some(50), Some(30)), Some(80), "an event that is not written yet counts");
        let mut draft = Draft::new(registered("a"), 1000);
        assert_eq!(mark(&mut draft, None, Some(0)), None);
        assert!(!draft.is_true(CONSOLIDATABLE), "it has not begun to be used");
    }
}
