//! A token bucket: so many requests a second, and a burst after a pause, as Kubernetes' own clients limit themselves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Whoever asks first is served first. Clones share the tokens.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    per_second: f64,
    burst: f64,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// Negative when requests wait already.
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        let state = State { tokens: burst, at: Instant::now() };
        Self { per_second: f64::from(per_second.max(1)), burst, state: Arc::new(Mutex::new(state)) }
    }

    /// Waits for its turn and says how long it took. Whoever gives up waiting leaves the token to others.
    pub(crate) async fn take(&self) -> Duration {
        let wait = self.reserve();
        if !wait.is_zero() {
            let mut turn = Turn { bucket: self, is_used: false };
            tokio::time::sleep(wait).await;
            turn.is_used = true;
        }
        wait
    }

    /// One token if there is one now.
    pub(crate) fn try_take(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refill(&mut state);
        let is_there = state.tokens >= 1.0;
        if is_there {
            state.tokens -= 1.0;
        }
        is_there
    }

    fn reserve(&self) -> Duration {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refill(&mut state);
        state.tokens -= 1.0;
        Duration::try_from_secs_f64(-state.tokens / self.per_second).unwrap_or(Duration::ZERO)
    }

    fn refill(&self, state: &mut State) {
        let now = Instant::now();
        let gained = now.duration_since(state.at).as_secs_f64() * self.per_second;
        *state = State { tokens: (state.tokens + gained).min(self.burst), at: now };
    }
}

/// A token that is waited for.
struct Turn<'a> {
    bucket: &'a Bucket,
    is_used: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_used {
            let mut state = self.bucket.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.tokens = (state.tokens + 1.0).min(self.bucket.burst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let bucket = Bucket::new(10, 5);
        let since = Instant::now();
        for _ in 0..5 {
            bucket.take().await;
        }
        assert_eq!(since.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            bucket.take().await;
        }
        let seconds = since.elapsed().as_secs_f64();
        assert!((seconds - 1.0).abs() < 0.05, "{seconds}");
        assert!(!bucket.try_take());
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!((0..20).filter(|_| bucket.try_take()).count(), 5, "a pause gains one burst and no more");
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_leaves_no_debt() {
        let bucket = Bucket::new(1, 1);
        bucket.take().await;
        for _ in 0..100 {
            assert!(tokio::time::timeout(Duration::from_millis(1), bucket.take()).await.is_err());
        }
        let since = Instant::now();
        bucket.take().await;
        assert!(since.elapsed() <= Duration::from_secs(1), "{:?}", since.elapsed());
    }
}
