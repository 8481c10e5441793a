//! `cargo xtask`: every set-up, test and measuring command of the repository, in Rust, so that rustup is enough.

mod args;
mod libtest;
mod passthrough;
mod suite;
mod tally;
mod toolchain;

use std::process::ExitCode;

use args::Command;

const HELP: &str = "\
cargo xtask: set-up, tests and measurements of Millwright. Needs rustup and a C compiler, nothing else.

Usage: cargo xtask COMMAND [ARGS]

Commands:
  test [--quick]         every check: format, lints, then unit, property, scenario and architecture tests.
                         The last line is `N passed, N failed`.
                         --quick  property tests without a number of their own try 32 cases (default 256)
  bench NAME [ARGS]      measure, in a release build (package `benches`); `bench --help` lists the names
  catalog [ARGS]         rebuild the embedded EC2 catalogue from AWS data (package `cloud`, binary catalog-generate)
  help                   this text

Format and lints count as one check each.

Exit codes: 0 everything passed; 1 something failed; 2 the command line was not understood.
`bench` and `catalog` end with the code of the program they start.
";

fn main() -> anyhow::Result<ExitCode> {
    let command = match args::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(fault) => {
            eprintln!("xtask: {fault}\n\n{HELP}");
            return Ok(ExitCode::from(2));
        }
    };
    match command {
        Command::Help => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        Command::Test { depth } => suite::run(depth),
        Command::Bench { args } => passthrough::bench(&args),
        Command::Catalog { args } => passthrough::catalog(&args),
    }
}
