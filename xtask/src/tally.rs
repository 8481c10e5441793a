//! Counts of checks and the line that every run ends with.

use std::fmt;
use std::ops::AddAssign;

/// How many checks passed and failed. Ignored ones are in neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub passed: u64,
    pub failed: u64,
    pub ignored: u64,
}

impl Tally {
    /// One check that passed or failed as a whole.
    pub fn one(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed), ignored: 0 }
    }

    /// A run is good when something was executed and nothing failed.
    pub fn is_good(self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

/// `N passed, N failed`: scripts read this line, so its form is fixed.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_has_a_fixed_form() {
        assert_eq!(Tally { passed: 12, failed: 0, ignored: 3 }.to_string(), "12 passed, 0 failed");
    }

    #[test]
    fn a_run_that_executed_nothing_is_not_good() {
        assert!(!Tally::default().is_good());
        assert!(Tally::one(true).is_good());
        assert!(!Tally::one(false).is_good());
    }
}
