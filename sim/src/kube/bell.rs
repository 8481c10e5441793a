//! A bell that is rung when something has changed: whoever began to wait first is woken first.
//!
//! It stands where a `tokio::sync::watch` channel would do, were it not that such a channel wakes its receivers in random
//! order: under a virtual clock a run must be the same every time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// To be rung.
#[derive(Debug, Default)]
pub struct Bell(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// How often it was rung.
    count: AtomicU64,
    waiting: Notify,
}

/// Hears a bell from now on.
#[derive(Clone, Debug)]
pub struct Listener {
    bell: Arc<Inner>,
    heard: u64,
}

impl Bell {
    /// Wakes everybody who waits.
    pub fn ring(&self) {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        self.0.waiting.notify_waiters();
    }

    /// Somebody who has heard everything so far.
    pub fn listen(&self) -> Listener {
        Listener { heard: self.0.count.load(Ordering::SeqCst), bell: Arc::clone(&self.0) }
    }
}

impl Listener {
    /// Returns when it was rung since it was heard last, and has heard it then.
    pub async fn rung(&mut self) {
        loop {
            let next = self.bell.waiting.notified();
            let mut next = std::pin::pin!(next);
            // In line before the count is read, so that no ringing in between is missed.
            next.as_mut().enable();
            let count = self.bell.count.load(Ordering::SeqCst);
            if count != self.heard {
                self.heard = count;
                return;
            }
            next.await;
        }
    }

    /// Whether it was rung since it was heard last.
    pub fn has_rung(&self) -> bool {
        self.bell.count.load(Ordering::SeqCst) != self.heard
    }

    /// Has heard everything so far.
    pub fn hear(&mut self) {
        self.heard = self.bell.count.load(Ordering::SeqCst);
    }

    /// Has not heard the last ringing after all.
    pub fn forget(&mut self) {
        self.heard = self.heard.wrapping_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_waited_first_is_woken_first_and_nothing_is_missed() {
        let bell = Bell::default();
        let woken = Arc::new(Mutex::new(Vec::new()));
        for n in 0..20 {
            let (mut listener, woken) = (bell.listen(), Arc::clone(&woken));
            tokio::spawn(async move {
                listener.rung().await;
                woken.lock().unwrap().push(n);
            });
        }
        tokio::task::yield_now().await;
        let mut late = bell.listen();
        bell.ring();
        assert!(late.has_rung());
        late.rung().await;
        assert!(!late.has_rung());
        late.forget();
        late.rung().await;
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        assert_eq!(*woken.lock().unwrap(), (0..20).collect::<Vec<_>>());
    }
}
