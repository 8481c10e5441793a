//! `cargo xtask`: every set-up, test and measuring command of the repository, in Rust, so that rustup is enough.

mod args;
mod libtest;
mod moto;
mod passthrough;
mod suite;
mod tally;
mod toolchain;

use std::process::ExitCode;

use args::Command;

const HELP: &str = "\
cargo xtask: set-up, tests and measurements of Millwright. Needs rustup and a C compiler; `test`, `control-plane` and
`bench e2e` also need Go 1.25 or newer, once, to build a real Kubernetes control plane.

Usage: cargo xtask COMMAND [ARGS]

Commands:
  test [--quick]         every check: format, lints, then unit, property, scenario and architecture tests, then end-to-end
                         tests on a real control plane. The last line is `N passed, N failed`.
                         --quick  property tests without a number of their own try 32 cases (default 256), and
                                  the control plane and the end-to-end tests are left out
  bench NAME [ARGS]      measure, in a release build (package `benches`); `bench --help` lists the names
  control-plane COMMAND  `up` starts a real Kubernetes control plane on loopback and prints its kubeconfig; `down`, `status`
                         and `build` do what they say (`control-plane --help`)
  moto                   ask the simulated EC2, and moto, the same questions; needs Python 3.10 or newer, and PyPI once
  catalog [ARGS]         rebuild the embedded EC2 catalogue from AWS data (package `cloud`, binary catalog-generate)
  help                   this text

Format, lints and the building of the control plane count as one check each.

Exit codes: 0 everything passed; 1 something failed; 2 the command line was not understood.
`bench`, `control-plane` and `catalog` end with the code of the program they start.
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
        Command::Moto => moto::run(),
        Command::ControlPlane { args } => passthrough::control_plane(&args),
    }
}
