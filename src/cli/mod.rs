//! The commands: read, ask the planner, print. Nothing is decided here.

pub mod args;
pub mod json;
mod offerings;
mod plan;
mod table;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use args::{Cli, Command};

/// Everything placed.
const DONE: u8 = 0;
/// Some pods have no place.
const UNPLACED: u8 = 2;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let shown = error.print();
            return if error.use_stderr() || shown.is_err() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<u8> {
    match cli.command {
        Command::Plan(args) => plan::run(&args),
        Command::Explain(_) | Command::Lint(_) | Command::Crds(_) => anyhow::bail!("not here yet"),
    }
}
