//! What was said lately, and how much of each reason.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::time::Instant;

use super::{Event, Rate};
use crate::client::Bucket;

/// What is remembered at most; the oldest is forgotten first, and may be said again too early.
const MAX_REMEMBERED: usize = 65_536;

/// The memory of a recorder.
#[derive(Debug, Default)]
pub(super) struct Dedupe {
    /// Until when each key is not said again.
    until: HashMap<Box<str>, Instant>,
    /// Keys in the order they were said.
    order: VecDeque<Box<str>>,
    buckets: BTreeMap<&'static str, (Rate, Bucket)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    New,
    /// The same was said lately.
    Said,
    /// Its reason has used up its rate.
    TooMany,
}

impl Dedupe {
    /// May it be said? If so it counts as said. The rate is looked at last, so that repeats do not use it up.
    pub(super) fn judge(&mut self, event: &Event) -> Verdict {
        let now = Instant::now();
        let key = key(event);
        if self.until.get(&key).is_some_and(|until| now < *until) {
            return Verdict::Said;
        }
        if let Some(rate) = event.rate {
            let fresh = || (rate, Bucket::new(rate.per_second, rate.burst));
            let (kept, bucket) = self.buckets.entry(event.reason).or_insert_with(fresh);
            if *kept != rate {
                (*kept, *bucket) = fresh();
            }
            if !bucket.try_take() {
                return Verdict::TooMany;
            }
        }
        self.forget_old(now);
        if self.until.insert(key.clone(), now + event.window).is_none() {
            self.order.push_back(key);
        }
        Verdict::New
    }

    /// It was not said after all.
    pub(super) fn forget(&mut self, event: &Event) {
        let key = key(event);
        if self.until.remove(&key).is_some() && self.order.back() == Some(&key) {
            self.order.pop_back();
        }
    }

    /// Makes room: what has run out at the front of the line, and the front itself when the line is too long.
    fn forget_old(&mut self, now: Instant) {
        while let Some(front) = self.order.front() {
            let has_run_out = self.until.get(front).is_none_or(|until| *until <= now);
            if !has_run_out && self.order.len() < MAX_REMEMBERED {
                break;
            }
            if let Some(front) = self.order.pop_front() {
                self.until.remove(&front);
            }
        }
    }
}

fn key(event: &Event) -> Box<str> {
    let mut key = event.reason.to_lowercase();
    for value in &event.dedupe {
        key.push('-');
        key.push_str(value);
    }
    key.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn memory_has_an_end() {
        let mut dedupe = Dedupe::default();
        for i in 0..MAX_REMEMBERED + 10 {
            dedupe.judge(&Event::normal("Evicted", "").dedupe([&i.to_string()]));
        }
        assert_eq!(dedupe.until.len(), MAX_REMEMBERED);
        assert_eq!(dedupe.order.len(), MAX_REMEMBERED);
        assert_eq!(dedupe.judge(&Event::normal("Evicted", "").dedupe(["0"])), Verdict::New);
        let last = (MAX_REMEMBERED + 9).to_string();
        assert_eq!(dedupe.judge(&Event::normal("Evicted", "").dedupe([&last])), Verdict::Said);
    }
}
