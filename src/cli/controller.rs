//! `millwright controller`: the controller as a process.

use anyhow::{Context, Result};

use super::DONE;
use crate::app;
use crate::config::{Config, Flags};
use crate::telemetry::logs;

/// Runs until a signal; errors before the log is open go to stderr, later ones to both.
pub fn run(flags: &Flags) -> Result<u8> {
    let config = Config::from_process(flags)?;
    logs::init(config.log_level, &config.log_outputs)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), provider = config.provider.name(), "millwright starts");
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start a runtime")?;
    let ended = runtime.block_on(app::serve(config));
    if let Err(error) = &ended {
        tracing::error!(%error, "millwright ends");
    } else {
        tracing::info!("millwright ends");
    }
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended?;
    Ok(DONE)
}
