//! The commands: read, ask the planner, print. Nothing is decided here.

pub mod args;
mod cluster;
mod controller;
mod crds;
mod debug;
pub mod demo;
mod diff;
mod exit;
pub mod explain;
mod html;
mod input;
pub mod json;
mod lint;
mod market;
mod near;
mod offerings;
mod outfile;
mod phases;
mod plan;
mod record;
mod replay;
pub mod report;
mod screen;
mod signals;
mod simulation;
mod table;
mod tell;
mod text;
mod top;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use args::{Cli, Command};
use exit::INTERRUPTED;
use tell::tell;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let shown = error.print();
            return if error.use_stderr() || shown.is_err() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    // A controller ends by itself, in order.
    let handled = match cli.command {
        Command::Controller(_) | Command::Demo(_) | Command::Sim(_) => Ok(()),
        _ => ctrlc::set_handler(|| signals::end(INTERRUPTED)),
    };
    if let Err(error) = handled {
        tell(format_args!("note: interrupts end this process without exit code {INTERRUPTED}: {error}"));
    }
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            tell(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<u8> {
    match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Controller(flags) => controller::run(&flags),
        Command::Record(args) => record::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Crds(args) => crds::run(&args),
        Command::Sim(args) => simulation::run(&args),
    }
}
