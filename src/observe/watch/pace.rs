//! How long a watch waits after a fault.

use std::time::Duration;

use tokio::time::Instant;

/// The first wait after a fault; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The faults of one watch.
#[derive(Debug)]
pub(super) struct Pace {
    next: Duration,
    /// When it last began anew without a wait.
    hurried_at: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { next: FIRST_WAIT, hurried_at: None }
    }
}

impl Pace {
    /// The watch works.
    pub(super) fn news(&mut self) {
        self.next = FIRST_WAIT;
    }

    /// How long to wait after a fault. A version that is too old says that the server is there, however long it was away
    /// before: a list at once mends it, unless one did so just now.
    pub(super) fn wait(&mut self, is_expired: bool) -> Duration {
        let now = Instant::now();
        if is_expired && self.hurried_at.is_none_or(|at| now.duration_since(at) >= LONGEST_WAIT) {
            self.hurried_at = Some(now);
            self.next = FIRST_WAIT;
            return Duration::ZERO;
        }
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST_WAIT);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_version_that_is_too_old_is_answered_at_once_however_long_the_server_was_away() {
        let mut pace = Pace::default();
        let waits: Vec<_> = (0..8).map(|_| pace.wait(false).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(pace.wait(true), Duration::ZERO);
        assert_eq!(pace.wait(false), FIRST_WAIT, "what the server was away for is forgotten");
        pace.news();
        assert_eq!(pace.wait(false), FIRST_WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_finds_every_version_too_old_is_not_hammered() {
        let mut pace = Pace::default();
        let start = Instant::now();
        for _ in 0..100 {
            let wait = pace.wait(true);
            tokio::time::advance(wait).await;
        }
        assert!(start.elapsed() > Duration::from_mins(5), "{:?}", start.elapsed());
    }
}
