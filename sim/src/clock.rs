//! The time of a simulated world: tokio's clock, which tests may pause, counted from a fixed beginning.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// When worlds begin if nobody says otherwise: 2026-01-01T00:00:00Z, in seconds since 1970.
pub const BEGINNING: i64 = 1_767_225_600;

/// A moment, or a time: microseconds, those of moments since 1970.
pub type Micros = i64;

/// The one clock of a world. It reads tokio's, so that `tokio::time::pause` makes it virtual.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    beginning: i64,
}

impl Clock {
    /// A clock that shows [`BEGINNING`] now.
    pub fn new() -> Self {
        Self::at(BEGINNING)
    }

    /// A clock that shows `seconds` since 1970 now.
    pub fn at(seconds: i64) -> Self {
        Self { start: Instant::now(), beginning: seconds }
    }

    /// What went by since the beginning.
    pub fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.start)
    }

    /// Microseconds since 1970.
    pub fn micros(&self) -> Micros {
        let elapsed = i64::try_from(self.elapsed().as_micros()).unwrap_or(i64::MAX);
        (self.beginning * 1_000_000).saturating_add(elapsed)
    }

    /// Whole seconds since 1970.
    pub fn seconds(&self) -> i64 {
        self.micros().div_euclid(1_000_000)
    }

    /// Now as an API server writes it: RFC 3339 in UTC with whole seconds.
    pub fn text(&self) -> String {
        text_of(self.seconds())
    }

    /// Now as RFC 3339 in UTC with six decimals (`MicroTime`).
    pub fn micro_text(&self) -> String {
        let micros = self.micros();
        let text = text_of(micros.div_euclid(1_000_000));
        format!("{}.{:06}Z", text.trim_end_matches('Z'), micros.rem_euclid(1_000_000))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Seconds since 1970 as RFC 3339 in UTC; the ends of what can be written stand for what lies beyond them.
pub fn text_of(seconds: i64) -> String {
    let end = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(seconds).unwrap_or(end).to_string()
}

/// RFC 3339 as whole seconds since 1970.
pub fn seconds_of(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_moves_only_with_tokio() {
        let clock = Clock::new();
        assert_eq!(clock.text(), "2026-01-01T00:00:00Z");
        tokio::time::advance(Duration::from_millis(90_250)).await;
        assert_eq!(clock.text(), "2026-01-01T00:01:30Z");
        assert_eq!(clock.micro_text(), "2026-01-01T00:01:30.250000Z");
        assert_eq!(seconds_of(&clock.text()), Some(BEGINNING + 90));
    }
}
