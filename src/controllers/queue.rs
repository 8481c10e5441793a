//! Which objects are to be looked at, and when: each at most once at a time, and later after every failure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::telemetry::Metrics;

/// How long an object waits after its first failure, and the most it waits after many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub most: Duration,
}

impl Backoff {
    /// The wait after so many failures in a row, at least one: doubled each time.
    pub fn after(self, n_failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(n_failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.most)
    }
}

/// After conflicts. A mirror that is behind for long makes every look end in one.
const CONFLICTS: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(10) };

/// When an object is to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// When it changes.
    OnChange,
    /// When it changes, or after this time.
    After(Duration),
    /// Somebody else wrote first: when it changes, which comes by itself once the mirror shows what was written, or after a
    /// short back-off of its own, for the case that it was shown already.
    Overtaken,
    /// After a failure: when it changes, or after its back-off.
    Failed,
    /// After a failure that says itself how long to wait.
    FailedFor(Duration),
}

/// A queue of names.
///
/// ```text
/// add --> ready --next--> under way --done--> (out), delayed, or ready again if it was added meanwhile
///            ^                                        |
///            +------------- its time has come --------+
/// ```
#[derive(Debug)]
pub struct Queue {
    backoff: Backoff,
    meter: Option<Meter>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<String>,
    /// Those in `ready`, and those added while under way.
    dirty: BTreeSet<String>,
    under_way: BTreeSet<String>,
    delayed: BTreeSet<(Instant, String)>,
    /// Since when each waits in `ready`.
    since: BTreeMap<String, Instant>,
    /// Where each is in `delayed`.
    due: BTreeMap<String, Instant>,
    /// By when those under way are to be looked at again.
    late: BTreeMap<String, Instant>,
    n_failures: BTreeMap<String, u32>,
    /// In a row.
    n_conflicts: BTreeMap<String, u32>,
}

impl Queue {
    /// An empty queue.
    pub fn new(backoff: Backoff) -> Self {
        Self { backoff, meter: None, state: Mutex::default(), wake: Notify::new() }
    }

    /// An empty queue that is measured under this name.
    pub fn metered(backoff: Backoff, name: &'static str, metrics: Metrics) -> Self {
        let meter = Meter { metrics, name };
        meter.depth(0);
        Self { meter: Some(meter), ..Self::new(backoff) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements that hold the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object is to be looked at now.
    pub fn add(&self, name: &str) {
        let mut state = self.state();
        state.forget_delay(name);
        if !state.dirty.insert(name.to_owned()) {
            return;
        }
        if let Some(meter) = &self.meter {
            meter.added();
        }
        if !state.under_way.contains(name) {
            state.push(name.to_owned());
            self.tell(&state);
            drop(state);
            self.wake.notify_one();
        }
    }

    /// The object is to be looked at before long. One look answers whatever asks for it until then.
    pub fn add_within(&self, name: &str, most: Duration) {
        let due = Instant::now() + most;
        let mut state = self.state();
        if state.dirty.contains(name) || state.due.get(name).is_some_and(|earlier| *earlier <= due) {
            return;
        }
        if state.under_way.contains(name) {
            state.late.entry(name.to_owned()).or_insert(due);
            return;
        }
        state.delay(name, due);
        drop(state);
        self.wake.notify_one();
    }

    fn tell(&self, state: &State) {
        if let Some(meter) = &self.meter {
            meter.depth(state.ready.len());
        }
    }

    /// How many wait now.
    pub fn depth(&self) -> usize {
        self.state().ready.len()
    }

    /// The next object; [`Queue::done`] must follow. Waits for one; only one may wait at a time.
    pub async fn next(&self) -> String {
        loop {
            let due = {
                let mut state = self.state();
                state.promote(Instant::now());
                if let Some(name) = state.ready.pop_front() {
                    state.dirty.remove(&name);
                    state.under_way.insert(name.clone());
                    if let (Some(meter), Some(since)) = (&self.meter, state.since.remove(&name)) {
                        meter.waited(since);
                    }
                    self.tell(&state);
                    return name;
                }
                state.delayed.first().map(|(due, _)| *due)
            };
            match due {
                Some(due) => {
                    tokio::select! {
                        biased;
                        () = self.wake.notified() => {}
                        () = tokio::time::sleep_until(due) => {}
                    }
                }
                None => self.wake.notified().await,
            }
        }
    }

    /// The look at an object has ended.
    pub fn done(&self, name: &str, again: Again) {
        let mut state = self.state();
        state.under_way.remove(name);
        let late = state.late.remove(name);
        let delay = match again {
            Again::OnChange => None,
            Again::After(delay) => Some(delay),
            Again::Overtaken => Some(CONFLICTS.after(count(&mut state.n_conflicts, name))),
            Again::Failed | Again::FailedFor(_) => {
                let wait = self.backoff.after(count(&mut state.n_failures, name));
                if let Some(meter) = &self.meter {
                    meter.retried();
                }
                Some(if let Again::FailedFor(asked) = again { asked } else { wait })
            }
        };
        if !matches!(again, Again::Failed | Again::FailedFor(_)) {
            state.n_failures.remove(name);
        }
        if again != Again::Overtaken {
            state.n_conflicts.remove(name);
        }
        if state.dirty.contains(name) {
            // A failure is waited out even if the object changed meanwhile: it often is our own write that changed it.
            match again {
                Again::Failed | Again::FailedFor(_) => {
                    state.dirty.remove(name);
                }
                Again::OnChange | Again::After(_) | Again::Overtaken => {
                    state.push(name.to_owned());
                    self.tell(&state);
                    drop(state);
                    self.wake.notify_one();
                    return;
                }
            }
        }
        let due = delay.map(|delay| Instant::now() + delay);
        let due = match again {
            Again::OnChange | Again::After(_) | Again::Overtaken => due.into_iter().chain(late).min(),
            Again::Failed | Again::FailedFor(_) => due,
        };
        if let Some(due) = due {
            state.delay(name, due);
            drop(state);
            // Whoever waits may wait for a later one.
            self.wake.notify_one();
        }
    }
}

/// One more.
fn count(counts: &mut BTreeMap<String, u32>, name: &str) -> u32 {
    let n = counts.entry(name.to_owned()).or_default();
    *n = n.saturating_add(1);
    *n
}

/// Counts as client-go's work queues do.
#[derive(Debug)]
struct Meter {
    metrics: Metrics,
    name: &'static str,
}

impl Meter {
    fn depth(&self, n: usize) {
        self.metrics.workqueue_depth.set([self.name, self.name, ""], n as f64);
    }

    fn added(&self) {
        self.metrics.workqueue_adds_total.inc([self.name, self.name]);
    }

    fn retried(&self) {
        self.metrics.workqueue_retries_total.inc([self.name, self.name]);
    }

    fn waited(&self, since: Instant) {
        self.metrics.workqueue_queue_duration_seconds.observe_since([self.name, self.name], since);
    }
}

impl State {
    fn push(&mut self, name: String) {
        self.since.insert(name.clone(), Instant::now());
        self.ready.push_back(name);
    }

    fn delay(&mut self, name: &str, due: Instant) {
        self.forget_delay(name);
        self.due.insert(name.to_owned(), due);
        self.delayed.insert((due, name.to_owned()));
    }

    fn forget_delay(&mut self, name: &str) {
        if let Some(due) = self.due.remove(name) {
            self.delayed.remove(&(due, name.to_owned()));
        }
    }

    /// Moves those whose time has come to `ready`.
    fn promote(&mut self, now: Instant) {
        while self.delayed.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, name)) = self.delayed.pop_first() else { return };
            self.due.remove(&name);
            if self.dirty.insert(name.clone()) {
                self.push(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_mins(1) };

    async fn at_once(queue: &Queue) -> Option<String> {
        tokio::time::timeout(Duration::ZERO, queue.next()).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_is_looked_at_once_however_often_it_was_added() {
        let queue = Queue::new(BACKOFF);
        for name in ["a", "b", "a"] {
            queue.add(name);
        }
        assert_eq!(at_once(&queue).await.as_deref(), Some("a"));
        assert_eq!(at_once(&queue).await.as_deref(), Some("b"));
        assert_eq!(at_once(&queue).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_that_changes_while_it_is_looked_at_is_looked_at_again_and_not_twice_at_a_time() {
        let queue = Queue::new(BACKOFF);
        queue.add("a");
        assert_eq!(at_once(&queue).await.as_deref(), Some("a"));
        queue.add("a");
        assert_eq!(at_once(&queue).await, None);
        queue.done("a", Again::OnChange);
        assert_eq!(at_once(&queue).await.as_deref(), Some("a"));
        queue.done("a", Again::OnChange);
        assert_eq!(at_once(&queue).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_waited_out_longer_each_time_until_one_look_succeeds() {
        let queue = Queue::new(BACKOFF);
        queue.add("a");
        let start = Instant::now();
        let mut waits = Vec::new();
        for n in 0..8 {
            let before = Instant::now();
            assert_eq!(queue.next().await, "a");
            waits.push(before.elapsed().as_secs());
            queue.done("a", if n == 6 { Again::After(Duration::from_secs(5)) } else { Again::Failed });
        }
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 5]);
        assert_eq!(queue.next().await, "a");
        assert_eq!(start.elapsed().as_secs(), 69, "the back-off began anew");
    }

    #[tokio::test(start_paused = true)]
    async fn conflicts_in_a_row_are_waited_out_longer_and_a_change_ends_the_wait() {
        let queue = Queue::new(BACKOFF);
        queue.add("a");
        let mut waits = Vec::new();
        for n in 0..8 {
            let before = Instant::now();
            assert_eq!(queue.next().await, "a");
            waits.push(before.elapsed().as_secs());
            queue.done("a", if n == 6 { Again::After(Duration::ZERO) } else { Again::Overtaken });
        }
        assert_eq!(waits, [0, 1, 2, 4, 8, 10, 10, 0]);
        let before = Instant::now();
        assert_eq!(queue.next().await, "a");
        assert_eq!(before.elapsed().as_secs(), 1, "the first of a new row");
        queue.add("a");
        queue.done("a", Again::Overtaken);
        assert_eq!(at_once(&queue).await.as_deref(), Some("a"), "it has changed meanwhile");
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_measured_as_it_fills_and_empties() {
        let metrics = Metrics::new();
        let queue = Queue::metered(BACKOFF, "nodepool", metrics.clone());
        for name in ["a", "a", "b"] {
            queue.add(name);
        }
        let labels = ["nodepool", "nodepool"];
        let depth = || metrics.workqueue_depth.get(["nodepool", "nodepool", ""]);
        assert_eq!((metrics.workqueue_adds_total.get(labels), depth()), (2, 2.0));
        tokio::time::advance(Duration::from_secs(3)).await;
        let name = queue.next().await;
        queue.done(&name, Again::Failed);
        assert_eq!((metrics.workqueue_retries_total.get(labels), depth()), (1, 1.0));
        assert!(
            metrics
                .render()
                .contains("workqueue_queue_duration_seconds_sum{controller=\"nodepool\",name=\"nodepool\"} 3")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_cuts_a_delay_short() {
        let queue = Queue::new(BACKOFF);
        queue.add("a");
        let _ = queue.next().await;
        queue.done("a", Again::After(Duration::from_hours(1)));
        assert_eq!(at_once(&queue).await, None);
        queue.add("a");
        assert_eq!(at_once(&queue).await.as_deref(), Some("a"));
        queue.done("a", Again::OnChange);
        tokio::time::advance(Duration::from_secs(3601)).await;
        assert_eq!(at_once(&queue).await, None, "the delay was forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_time_is_looked_at_once_for_all_that_asked_meanwhile() {
        let second = Duration::from_secs(1);
        let queue = Queue::new(BACKOFF);
        let start = Instant::now();
        queue.add_within("a", second);
        tokio::time::advance(second / 2).await;
        queue.add_within("a", second);
        assert_eq!(queue.next().await, "a");
        assert_eq!(start.elapsed(), second, "the first to ask says when");
        // Asked for while under way, by one that has time and one that has more.
        queue.add_within("a", second);
        queue.done("a", Again::After(Duration::from_hours(1)));
        assert_eq!(queue.next().await, "a");
        assert_eq!(start.elapsed(), 2 * second);
        queue.done("a", Again::After(second / 4));
        queue.add_within("a", second);
        assert_eq!(queue.next().await, "a");
        assert_eq!(start.elapsed(), 2 * second + second / 4, "what was due earlier stays so");
        queue.done("a", Again::OnChange);
        // One that has no time is not kept waiting by one that has.
        queue.add_within("a", second);
        queue.add("a");
        assert_eq!(at_once(&queue).await.as_deref(), Some("a"));
        queue.done("a", Again::OnChange);
        tokio::time::advance(2 * second).await;
        assert_eq!(at_once(&queue).await, None);
    }

    #[test]
    fn the_back_off_doubles_up_to_its_most() {
        let waits: Vec<_> = [1, 2, 3, 7, 40, u32::MAX].map(|n| BACKOFF.after(n).as_secs()).to_vec();
        assert_eq!(waits, [1, 2, 4, 60, 60, 60]);
    }
}
