//! The shell of Millwright: it observes a cluster, has the planner decide, and acts.

// These panic where the stream is closed or full: `cli::tell` and `cli::plan::print` do not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod act;
pub mod app;
#[cfg(feature = "aws")]
pub mod aws;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod controllers;
pub mod decide;
pub mod events;
pub mod kwok;
pub mod lease;
pub mod observe;
pub mod recording;
pub mod telemetry;
