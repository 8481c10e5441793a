//! The time of day: the machine's, or one that a paused tokio runtime moves.

use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinError;
use tokio::time::Instant;

/// Where every written time comes from. Waiting is tokio's business; this one only says what time it is.
///
/// Under a virtual clock the same run writes the same times: the time of day is the start plus what tokio's clock has
/// moved since, and nothing in the controller reads another clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Time of day and tokio's instant at the start; unset: the machine's clock.
    start: Option<(Timestamp, Instant)>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self { start: None }
    }

    /// A clock that stands at `start` now and goes on with tokio's.
    pub fn from(start: Timestamp) -> Self {
        Self { start: Some((start, Instant::now())) }
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        match self.start {
            None => Timestamp::now(),
            Some((start, base)) => start.saturating_add(base.elapsed()).unwrap_or(Timestamp::MAX),
        }
    }

    /// Seconds since the Unix epoch, rounded down: what a snapshot is stamped with.
    pub fn seconds(&self) -> i64 {
        self.now().as_second()
    }

    /// Does work that takes long on a thread where it holds up nobody.
    ///
    /// On a clock that goes with tokio's it is done here and at once. Such a clock may be paused, and then time stands
    /// still meanwhile; on another thread the work would see more or less of what happens at the same moment, and no
    /// run would be like the other.
    ///
    /// # Errors
    /// When the work broke off.
    pub async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
        match self.start {
            None => tokio::task::spawn_blocking(work).await,
            Some(_) => Ok(work()),
        }
    }

    /// How long ago `then` was; nothing when it lies ahead.
    pub fn since(&self, then: Timestamp) -> Duration {
        self.now().duration_since(then).try_into().unwrap_or(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_virtual_clock_goes_with_tokios() {
        let start = Timestamp::from_second(1_700_000_000).unwrap();
        let clock = Clock::from(start);
        tokio::time::sleep(Duration::from_millis(90_500)).await;
        assert_eq!(clock.seconds(), 1_700_000_090);
        assert_eq!(clock.since(start), Duration::from_millis(90_500));
        assert_eq!(clock.since(Timestamp::MAX), Duration::ZERO);
    }
}
