//! `/debug/pprof/profile` and `/debug/pprof/heap`, as `go tool pprof` and its kin read them.

mod encode;
mod memory;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::text;
use encode::{Profile, ValueType};

/// Samples per second.
const FREQUENCY: i32 = 100;
/// Seconds of a profile, when not asked for otherwise, and at most.
const SECONDS: (u64, u64) = (30, 300);

/// Both endpoints.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/debug/pprof/profile", get(cpu)).route("/debug/pprof/heap", get(heap))
}

#[derive(Deserialize)]
struct Length {
    seconds: Option<u64>,
}

/// Where this process spends its time during the coming seconds.
async fn cpu(Query(length): Query<Length>) -> Result<Response, Response> {
    let seconds = length.seconds.unwrap_or(SECONDS.0).clamp(1, SECONDS.1);
    let failed = |error: pprof::Error| text(StatusCode::SERVICE_UNAVAILABLE, format!("no profile: {error}"));
    // One at a time: the profiler refuses a second.
    let guard = pprof::ProfilerGuardBuilder::default()
        .frequency(FREQUENCY)
        // Unwinding within these can wait for a lock that the interrupted thread holds.
        .blocklist(&["libc", "libgcc", "pthread", "vdso"])
        .build()
        .map_err(failed)?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let report = guard.report().build().map_err(failed)?;
    let nanos_per_sample = 1_000_000_000 / i64::from(FREQUENCY);
    let units = [ValueType { kind: "samples", unit: "count" }, ValueType { kind: "cpu", unit: "nanoseconds" }];
    let mut profile = Profile::new(&units, ValueType { kind: "cpu", unit: "nanoseconds" }, nanos_per_sample);
    // Sorted, so that equal samples give equal bytes.
    let mut stacks: BTreeMap<Vec<(String, String, u32)>, i64> = BTreeMap::new();
    for (frames, count) in &report.data {
        let symbols = frames.frames.iter().flatten();
        let stack = symbols.map(|symbol| (symbol.name(), symbol.filename().into_owned(), symbol.lineno())).collect();
        *stacks.entry(stack).or_default() += i64::try_from(*count).unwrap_or(i64::MAX);
    }
    for (stack, count) in stacks {
        profile.sample(&stack, &[count, count.saturating_mul(nanos_per_sample)]);
    }
    Ok(answer(&profile, seconds))
}

/// What memory this process holds, by what it was mapped for.
async fn heap() -> Result<Response, Response> {
    let failed = |error: std::io::Error| text(StatusCode::NOT_IMPLEMENTED, format!("no profile: {error}"));
    let mappings = tokio::task::spawn_blocking(memory::mappings).await;
    let mappings = mappings.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(failed)?;
    let space = ValueType { kind: "inuse_space", unit: "bytes" };
    let mut profile = Profile::new(&[space], space, 1);
    for (name, bytes) in mappings {
        profile.sample(&[(name, String::new(), 0)], &[i64::try_from(bytes).unwrap_or(i64::MAX)]);
    }
    Ok(answer(&profile, 0))
}

fn answer(profile: &Profile, seconds: u64) -> Response {
    let now = jiff::Timestamp::now().as_nanosecond();
    match profile.encode(i64::try_from(now).unwrap_or_default(), seconds) {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response(),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("no profile: {error}")),
    }
}
