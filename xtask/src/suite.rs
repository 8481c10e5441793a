//! The one test command: format, lints, every test of the workspace, then end-to-end tests, and a count at the end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::args::Depth;
use crate::libtest::Counter;
use crate::tally::Tally;
use crate::toolchain::{self, CLIPPY, Component, RUSTFMT};

/// Cases that each property test tries in a quick run; proptest's own default is 256.
const QUICK_CASES: &str = "32";

/// Seeds of the crash tests in a full run; a quick one tries as many as these take by themselves.
const CRASH_SEEDS: &str = "1000";

/// The test program that needs a control plane. It is marked `test = false`, so that only its name starts it.
const END_TO_END: &str = "e2e";

/// With it, every part of the run builds the same set of crates: the SDK is compiled once, and checked once.
const AWS: &str = "millwright/aws";

/// A finished part of the run.
struct Done {
    name: &'static str,
    tally: Tally,
    took: Duration,
}

/// Runs everything, whatever fails on the way, and prints `N passed, N failed` as the last line.
pub(crate) fn run(depth: Depth) -> anyhow::Result<ExitCode> {
    say("this runs, in order: cargo fmt --check, clippy (warnings are errors), cargo test of every package");
    say("these are unit, property, scenario and architecture tests; none needs a network or a cluster");
    match depth {
        Depth::Quick => {
            say(&format!("--quick: property tests without a number of their own try {QUICK_CASES} cases, not 256"));
            say("--quick: the real control plane is not built, and the end-to-end tests (tests/e2e) are left out");
        }
        Depth::Full => say("then the end-to-end tests, on a real control plane that is built with Go the first time"),
    }
    say("the feature aws is on: its SDK takes some minutes and 8 GB of memory to compile the first time");
    let format = timed("format", || check(RUSTFMT, &["fmt", "--all", "--", "--check"]))?;
    let lints = timed("lints", lints)?;
    let compiler = if lints.tally.is_good() { Compiler::Clippy } else { Compiler::Plain };
    let mut parts = vec![format, lints, timed("tests", || tests(&mut every_package(depth, compiler)))?];
    if depth == Depth::Full {
        let plane = timed("plane", control_plane)?;
        let is_there = plane.tally.is_good();
        parts.push(plane);
        parts.push(timed("e2e", || {
            if is_there { tests(&mut end_to_end(compiler)) } else { Ok(without_control_plane()) }
        })?);
    }
    Ok(summary(&parts))
}

/// Prints a line per part, then the count alone on the last line.
fn summary(parts: &[Done]) -> ExitCode {
    let mut total = Tally::default();
    println!();
    for part in parts {
        total += part.tally;
        let ignored = if part.tally.ignored == 0 { String::new() } else { format!(", {} ignored", part.tally.ignored) };
        println!("{:<8} {}{ignored}  ({:.1} s)", part.name, part.tally, part.took.as_secs_f64());
    }
    println!("{total}");
    if total.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Names the program that compiles the workspace's own packages.
const WRAPPER: &str = "RUSTC_WORKSPACE_WRAPPER";

/// What compiles the workspace's own packages.
#[derive(Clone, Copy)]
enum Compiler {
    Plain,
    /// Lints what it compiles. A check of the lints alone would compile the SDK of AWS a second time, for nothing else.
    Clippy,
}

impl Compiler {
    fn of(self, command: &mut Command) -> &mut Command {
        match self {
            Self::Plain => command.env_remove(WRAPPER),
            // As `cargo clippy` sets it, which takes the arguments joined by this word.
            Self::Clippy => {
                command.env(WRAPPER, "clippy-driver").env("CLIPPY_ARGS", ["-D", "warnings"].join("__CLIPPY_HACKERY__"))
            }
        }
    }
}

/// What people build without the feature, and everything with it: compiled for the tests, and linted on the way.
fn lints() -> anyhow::Result<Tally> {
    let plain = check(CLIPPY, &["clippy", "--package", "millwright", "--", "-D", "warnings"])?;
    if !plain.is_good() {
        return Ok(plain);
    }
    for which in [&[][..], &["--test", END_TO_END]] {
        let mut command = cargo(&[&["test", "--no-run", "--workspace", "--features", AWS], which].concat());
        let status = Compiler::Clippy.of(&mut command).status().context("start cargo test")?;
        if !status.success() {
            return Ok(Tally::one(false));
        }
    }
    Ok(Tally::one(true))
}

/// A check that passes or fails as a whole.
fn check(component: Component, args: &[&str]) -> anyhow::Result<Tally> {
    if !component.is_installed() {
        say(&component.remedy());
        return Ok(Tally::one(false));
    }
    let mut command = cargo(args);
    let status = command.status().with_context(|| format!("start cargo {}", component.subcommand))?;
    Ok(Tally::one(status.success()))
}

/// The programs of the control plane, built or found: a check of its own, so that nobody takes a long build for a test
/// that hangs.
fn control_plane() -> anyhow::Result<Tally> {
    let mut command = cargo(&["run", "--quiet", "--package", "control-plane", "--", "build"]);
    let status = command.status().context("start cargo run")?;
    Ok(Tally::one(status.success()))
}

/// End-to-end tests that cannot run have not passed.
fn without_control_plane() -> Tally {
    say(
        "the end-to-end tests need the control plane, which is not there (see the error above); they count as one failure",
    );
    Tally::one(false)
}

fn every_package(depth: Depth, compiler: Compiler) -> Command {
    let mut command = cargo(&["test", "--workspace", "--features", AWS, "--no-fail-fast"]);
    match depth {
        Depth::Quick => compiler.of(&mut command).env("PROPTEST_CASES", QUICK_CASES),
        Depth::Full => compiler.of(&mut command).env("SEEDS", CRASH_SEEDS),
    };
    command
}

/// Two at a time: each has a control plane of its own and mostly waits for it, but times out when it gets too little of the
/// machine.
fn end_to_end(compiler: Compiler) -> Command {
    let two_at_a_time = ["--no-fail-fast", "--", "--test-threads", "2"];
    let mut command =
        cargo(&[&["test", "--workspace", "--features", AWS, "--test", END_TO_END][..], &two_at_a_time].concat());
    compiler.of(&mut command);
    command
}

/// Runs tests, echoing what they print, and counts them. No test at all is a failure.
fn tests(command: &mut Command) -> anyhow::Result<Tally> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("start cargo test")?;
    let output = child.stdout.take().context("read the output of cargo test")?;
    let mut counter = Counter::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("read the output of cargo test")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        counter.line(&line);
    }
    let status = child.wait().context("wait for cargo test")?;
    let counted = counter.finish(status.success());
    if counted.n_died > 0 {
        say(&format!("{} test program(s) ended before their tests did; each counts as one failure", counted.n_died));
    }
    if counted.uncounted_failure {
        say("cargo test failed though no test did (see the error above); it counts as one failure");
    }
    let mut tally = counted.tally;
    if tally.passed + tally.failed == 0 {
        say("no test was executed; that counts as one failure");
        tally.failed = 1;
    }
    Ok(tally)
}

fn cargo(args: &[&str]) -> Command {
    let mut command = toolchain::cargo();
    command.args(args).current_dir(toolchain::root());
    say(&format!("cargo {}", args.join(" ")));
    command
}

fn timed(name: &'static str, part: impl FnOnce() -> anyhow::Result<Tally>) -> anyhow::Result<Done> {
    let start = Instant::now();
    let tally = part()?;
    Ok(Done { name, tally, took: start.elapsed() })
}

/// A line about what is being done, told apart from what the programs print. Flushed, so that it stays in order.
fn say(line: &str) {
    println!("xtask: {line}");
    // A closed pipe is found out by the next `println!`.
    let _ = std::io::stdout().flush();
}
