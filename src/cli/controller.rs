//! `millwright controller`: the controller as a process.

use anyhow::{Context, Result};

use super::debug;
use super::exit::DONE;
use crate::app;
use crate::config::{Config, Flags};
use crate::telemetry::logs;

/// Threads for all that waits. Plans are made aside, the lease has a thread of its own, and every further thread keeps megabytes
/// for itself: by default there would be as many as the machine has cores.
const WORKERS: usize = 1;

/// Runs until a signal; errors before the log is open go to stderr, later ones to both.
pub fn run(flags: &Flags) -> Result<u8> {
    let config = Config::from_process(flags)?;
    logs::init(config.log_level, &config.log_outputs)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), provider = config.provider.name(), "millwright starts");
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(WORKERS).enable_all().build().context("start a runtime")?;
    let ended = runtime.block_on(app::serve(config, debug::router));
    if let Err(error) = &ended {
        tracing::error!(%error, "millwright ends");
    } else {
        tracing::info!("millwright ends");
    }
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended?;
    Ok(DONE)
}
