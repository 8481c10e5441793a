//! Counts tests from what libtest prints, and notices a test program that died before it could count itself.
//!
//! Each test program prints `running N tests`, then `test result: ok. P passed; F failed; I ignored; M measured; …`.
//! A result line is believed only when a run is open and its numbers add up to that run's N, so that the same words
//! inside the captured output of a failing test are not counted.

use crate::tally::Tally;

/// Reads lines one by one; [`Counter::finish`] gives the count.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    total: Tally,
    open_run: Option<u64>,
    n_died: u64,
}

impl Counter {
    /// Takes one line of a test program's standard output.
    pub fn line(&mut self, line: &str) {
        if let Some(n_tests) = run_header(line) {
            self.close_open_run();
            self.open_run = Some(n_tests);
        } else if let (Some(n_tests), Some(counts)) = (self.open_run, result_line(line))
            && counts.executed() == n_tests
        {
            self.total += Tally { passed: counts.passed, failed: counts.failed, ignored: counts.ignored };
            self.open_run = None;
        }
    }

    /// The count after the last line. `cargo_succeeded` is cargo's own verdict: a failure that no test program
    /// counted (a compile error, say) counts as one.
    pub fn finish(mut self, cargo_succeeded: bool) -> Counted {
        self.close_open_run();
        let mut total = self.total;
        total.failed += self.n_died;
        let uncounted_failure = !cargo_succeeded && total.failed == 0;
        total.failed += u64::from(uncounted_failure);
        Counted { tally: total, n_died: self.n_died, uncounted_failure }
    }

    fn close_open_run(&mut self) {
        if self.open_run.take().is_some() {
            self.n_died += 1;
        }
    }
}

/// What a whole `cargo test` came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub tally: Tally,
    /// Test programs that ended without a result line (an abort or a signal); each counts as one failure.
    pub n_died: u64,
    /// Cargo failed though no test did: something did not compile.
    pub uncounted_failure: bool,
}

struct ResultLine {
    passed: u64,
    failed: u64,
    ignored: u64,
    measured: u64,
}

impl ResultLine {
    fn executed(&self) -> u64 {
        self.passed + self.failed + self.ignored + self.measured
    }
}

/// `running 12 tests` → 12.
fn run_header(line: &str) -> Option<u64> {
    let (count, word) = line.strip_prefix("running ")?.split_once(' ')?;
    matches!(word, "test" | "tests").then(|| count.parse().ok()).flatten()
}

/// `test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s` → its numbers.
fn result_line(line: &str) -> Option<ResultLine> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut found = ResultLine { passed: 0, failed: 0, ignored: 0, measured: 0 };
    for part in counts.split("; ") {
        let Some((count, what)) = part.split_once(' ') else { continue };
        let slot = match what {
            "passed" => &mut found.passed,
            "failed" => &mut found.failed,
            "ignored" => &mut found.ignored,
            "measured" => &mut found.measured,
            _ => continue,
        };
        *slot = count.parse().ok()?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(output: &str, cargo_succeeded: bool) -> Counted {
        let mut counter = Counter::default();
        output.lines().for_each(|line| counter.line(line));
        counter.finish(cargo_succeeded)
    }

    const GOOD: &str = "\
running 3 tests
test a ... ok
test b ... ok
test c ... ignored

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.00s
";

    #[test]
    fn programs_add_up() {
        let counted = count(&GOOD.repeat(2), true);
        assert_eq!(counted.tally, Tally { passed: 4, failed: 0, ignored: 2 });
    }

    #[test]
    fn one_test_is_singular_in_the_header() {
        let output = "running 1 test\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; \
                      finished in 0.00s\n";
        assert_eq!(count(output, false).tally, Tally { passed: 0, failed: 1, ignored: 0 });
    }

    #[test]
    fn a_program_that_dies_counts_as_a_failure() {
        let counted = count(&format!("running 7 tests\ntest a ... ok\n\n{GOOD}"), false);
        assert_eq!((counted.tally.passed, counted.tally.failed, counted.n_died), (2, 1, 1));
    }

    #[test]
    fn a_failure_to_compile_counts_as_a_failure() {
        let counted = count("", false);
        assert!(counted.uncounted_failure);
        assert_eq!(counted.tally, Tally { passed: 0, failed: 1, ignored: 0 });
    }

    #[test]
    fn result_lines_quoted_in_captured_output_are_not_counted() {
        let quoted = "running 2 tests\n\
                      test result: ok. 900 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                      test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                      test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(count(quoted, false).tally, Tally { passed: 1, failed: 1, ignored: 0 });
    }

    #[test]
    fn other_output_is_passed_over() {
        assert_eq!(count("running late\ntest result: none\nrunning 3 trains\n", true).tally, Tally::default());
    }
}
