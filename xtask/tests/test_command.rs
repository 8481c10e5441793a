//! Runs the `xtask` program against a stand-in for cargo, and reads what scripts read: last line and exit code.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test program; its helpers may panic too")]

use std::process::{Command, Output};

const GOOD_TESTS: &str = "printf 'running 2 tests\\ntest a ... ok\\ntest b ... ok\\n\\ntest result: ok. 2 passed; \
                          0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\\n'";

/// A stand-in for cargo: a shell command per subcommand, succeeding silently by default.
struct FakeCargo {
    fmt: &'static str,
    clippy: &'static str,
    test: &'static str,
    /// Builds the control plane.
    plane: &'static str,
}

impl Default for FakeCargo {
    fn default() -> Self {
        Self { fmt: "true", clippy: "true", test: GOOD_TESTS, plane: "true" }
    }
}

impl FakeCargo {
    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(args)
            .env("CARGO", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake-cargo"))
            .env("FAKE_FMT", self.fmt)
            .env("FAKE_CLIPPY", self.clippy)
            .env("FAKE_TEST", self.test)
            .env("FAKE_PLANE", self.plane)
            .output()
            .unwrap()
    }
}

fn last_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned()
}

#[test]
fn format_lints_and_tests_are_counted_on_the_last_line() {
    let output = FakeCargo::default().run(&["test"]);
    assert_eq!(last_line(&output), "7 passed, 0 failed");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn without_a_control_plane_everything_else_is_counted_and_the_end_to_end_tests_have_failed() {
    let output = FakeCargo { plane: "exit 1", ..FakeCargo::default() }.run(&["test"]);
    assert_eq!(last_line(&output), "4 passed, 2 failed");
    assert!(String::from_utf8_lossy(&output.stdout).contains("the end-to-end tests need the control plane"));
}

#[test]
fn quick_needs_no_control_plane_and_says_so() {
    let output = FakeCargo { plane: "exit 1", ..FakeCargo::default() }.run(&["test", "--quick"]);
    assert_eq!(last_line(&output), "4 passed, 0 failed");
    assert!(String::from_utf8_lossy(&output.stdout).contains("the end-to-end tests (tests/e2e) are left out"));
}

#[test]
fn a_lint_fails_the_run_and_the_tests_still_run() {
    let output = FakeCargo { clippy: "test \"$2\" = --version", ..FakeCargo::default() }.run(&["test", "--quick"]);
    assert_eq!(last_line(&output), "3 passed, 1 failed");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_missing_component_fails_the_run_and_says_how_to_get_it() {
    let output = FakeCargo { fmt: "false", ..FakeCargo::default() }.run(&["test"]);
    assert_eq!(last_line(&output), "6 passed, 1 failed");
    assert!(String::from_utf8_lossy(&output.stdout).contains("rustup component add rustfmt"));
}

#[test]
fn a_workspace_without_tests_fails() {
    let output = FakeCargo { test: "true", ..FakeCargo::default() }.run(&["test", "--quick"]);
    assert_eq!(last_line(&output), "2 passed, 1 failed");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_workspace_that_does_not_compile_fails() {
    let output = FakeCargo { test: "exit 101", ..FakeCargo::default() }.run(&["test", "--quick"]);
    assert_eq!(last_line(&output), "1 passed, 2 failed");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_only_the_lints_refuse_is_compiled_without_them_for_the_tests() {
    let with_lints = "if [ -n \"$RUSTC_WORKSPACE_WRAPPER\" ]; then exit 101; fi; printf 'running 1 test\\ntest a ... ok\\n\\n\
                      test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\\n'";
    let output = FakeCargo { test: with_lints, ..FakeCargo::default() }.run(&["test", "--quick"]);
    assert_eq!(last_line(&output), "2 passed, 1 failed");
}

#[test]
fn quick_runs_fewer_cases_and_says_so() {
    let fake = FakeCargo {
        test: "printf \"running 1 test\\ncases $PROPTEST_CASES\\ntest result: ok. 1 passed; 0 failed; 0 ignored\\n\"",
        ..FakeCargo::default()
    };
    let said = String::from_utf8_lossy(&fake.run(&["test", "--quick"]).stdout).into_owned();
    assert!(
        said.contains("cases 32\n")
            && said.contains("--quick: property tests without a number of their own try 32 cases"),
        "{said}"
    );
}

#[test]
fn a_measurement_is_started_in_release_and_its_exit_code_handed_on() {
    let output = FakeCargo::default().run(&["bench", "plan", "--quick"]);
    assert!(last_line(&output).ends_with("--release --package benches -- plan --quick"), "{output:?}");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    let output = FakeCargo::default().run(&["tset"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("unknown command `tset`"));
}
