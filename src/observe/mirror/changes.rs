//! Who is told of changes: a queue per listener in which each object stands at most once.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;

use super::kind::{Change, Kind};

/// Changes that were not looked at yet. No longer than there are objects, so nothing is ever dropped.
#[derive(Debug, Default)]
struct Queue {
    kinds: Vec<Kind>,
    waiting: Mutex<(VecDeque<Change>, HashSet<Change>)>,
    woken: Notify,
}

impl Queue {
    fn push(&self, change: &Change) {
        if !self.kinds.contains(&change.kind) {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.1.insert(change.clone()) {
            waiting.0.push_back(change.clone());
            self.woken.notify_one();
        }
    }

    fn pop(&self) -> Option<Change> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let change = waiting.0.pop_front()?;
        waiting.1.remove(&change);
        Some(change)
    }
}

/// The listeners, as the mirror keeps them.
#[derive(Debug, Default)]
pub(super) struct Listeners(Vec<Weak<Queue>>);

impl Listeners {
    /// A new listener for these kinds; `present` is what it is told first.
    pub(super) fn add(&mut self, kinds: &[Kind], present: impl IntoIterator<Item = Change>) -> Changes {
        self.0.retain(|queue| queue.strong_count() > 0);
        let queue = Arc::new(Queue { kinds: kinds.to_vec(), ..Queue::default() });
        self.0.push(Arc::downgrade(&queue));
        present.into_iter().for_each(|change| queue.push(&change));
        Changes(queue)
    }

    pub(super) fn tell(&self, change: &Change) {
        self.0.iter().filter_map(Weak::upgrade).for_each(|queue| queue.push(change));
    }
}

/// What a listener has not looked at yet. It begins with everything that is there, so whoever starts late misses nothing.
#[derive(Debug)]
pub struct Changes(Arc<Queue>);

impl Changes {
    /// The next change, the one that waits longest. Safe to drop while it waits.
    pub async fn next(&mut self) -> Change {
        loop {
            if let Some(change) = self.0.pop() {
                return change;
            }
            self.0.woken.notified().await;
        }
    }

    /// The next change, if one is there.
    pub fn try_next(&mut self) -> Option<Change> {
        self.0.pop()
    }

    /// How many objects wait.
    pub fn waiting(&self) -> usize {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: Kind, name: &str) -> Change {
        Change { kind, namespace: "".into(), name: name.into() }
    }

    #[test]
    fn an_object_that_changes_often_is_told_once_and_in_turn() {
        let mut listeners = Listeners::default();
        let mut changes = listeners.add(&[Kind::Node], [change(Kind::Node, "old")]);
        for name in ["a", "b", "a", "a"] {
            listeners.tell(&change(Kind::Node, name));
            listeners.tell(&change(Kind::Pod, name));
        }
        let told: Vec<_> = std::iter::from_fn(|| changes.try_next()).map(|c| c.name.to_string()).collect();
        assert_eq!(told, ["old", "a", "b"]);
        listeners.tell(&change(Kind::Node, "a"));
        assert_eq!(changes.waiting(), 1);
    }

    #[tokio::test]
    async fn a_listener_that_waits_is_woken() {
        let mut listeners = Listeners::default();
        let mut changes = listeners.add(&[Kind::Node], []);
        let waiter = tokio::spawn(async move { changes.next().await });
        tokio::task::yield_now().await;
        listeners.tell(&change(Kind::Node, "a"));
        assert_eq!(waiter.await.unwrap().name.as_ref(), "a");
    }
}
