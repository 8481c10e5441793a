//! SIGTERM and SIGINT stop the controller in order; a second one at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a process that is stopped in disorder.
const CUT_OFF: i32 = 130;

/// Signals cannot be listened to.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen to signals: {0}")]
pub struct SignalError(#[from] std::io::Error);

/// A token that the first signal cancels.
pub(super) fn stop() -> Result<CancellationToken, SignalError> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        let name = next(&mut terminate, &mut interrupt).await;
        tracing::info!("{name}: stopping");
        token.cancel();
        let name = next(&mut terminate, &mut interrupt).await;
        tracing::error!("{name} again: stopping at once");
        std::process::exit(CUT_OFF);
    });
    Ok(stop)
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
