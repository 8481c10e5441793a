//! Commands that only start another program of the workspace; the caller's working directory and arguments are kept.

use std::process::{Command, ExitCode};

use anyhow::Context as _;

use crate::toolchain;

/// Measures in a release build. End to end, it is the product's own program that is measured, so it is built as well, and as
/// it is for clusters.
pub(crate) fn bench(args: &[String]) -> anyhow::Result<ExitCode> {
    if args.first().is_some_and(|name| name == "e2e") && !args.iter().any(|a| a == "-h" || a == "--help") {
        let mut build = toolchain::cargo();
        build.args(["build", "--profile", "dist", "--package", "millwright"]).current_dir(toolchain::root());
        if !build.status().context("start cargo build")?.success() {
            return Ok(ExitCode::FAILURE);
        }
    }
    run(&["--release", "--package", "benches", "--"], args)
}

/// Rebuilds the embedded EC2 catalogue.
pub(crate) fn catalog(args: &[String]) -> anyhow::Result<ExitCode> {
    run(&["--package", "cloud", "--features", "generate", "--bin", "catalog-generate", "--"], args)
}

/// Builds the test control plane, or starts one for people.
pub(crate) fn control_plane(args: &[String]) -> anyhow::Result<ExitCode> {
    run(&["--quiet", "--package", "control-plane", "--"], args)
}

fn run(target: &[&str], args: &[String]) -> anyhow::Result<ExitCode> {
    let mut command = toolchain::cargo();
    command.arg("run").arg("--manifest-path").arg(toolchain::root().join("Cargo.toml")).args(target).args(args);
    status(&mut command)
}

/// Runs to the end and hands the child's exit code on; a child ended by a signal is a failure.
fn status(command: &mut Command) -> anyhow::Result<ExitCode> {
    let status = command.status().with_context(|| format!("start {}", command.get_program().display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}
