//! Keeping inside the account's limits by ourselves: calls wait for their turn before EC2 has to refuse them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Hands out turns: so many at once after a pause, then one per interval.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    burst: u32,
    /// When the next turn would be if there had never been a pause.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub fn new(interval: Duration, burst: u32) -> Self {
        Self { interval, burst, next: Mutex::new(None) }
    }

    /// Waits for a turn.
    pub async fn turn(&self) {
        let now = Instant::now();
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            // A pause fills the burst and no more.
            let earliest = now.checked_sub(self.interval * self.burst.saturating_sub(1)).unwrap_or(now);
            let at = next.map_or(earliest, |next| next.max(earliest));
            *next = Some(at + self.interval);
            at
        };
        if at > now {
            sleep_until(at).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_in_turn() {
        // A machine that has just started has no past to count from.
        tokio::time::advance(Duration::from_mins(1)).await;
        let pace = Pace::new(Duration::from_millis(200), 3);
        let start = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..5 {
            pace.turn().await;
            waits.push(start.elapsed().as_millis());
        }
        assert_eq!(waits, [0, 0, 0, 200, 400]);
    }
}
