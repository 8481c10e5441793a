//! Adds up what prices come to over time, exactly.

use planner::model::MicroUsdPerHour;

use super::scratch::Yardstick;
use super::timeline::MicroUsd;

/// Prices that hold from one moment to the next, and what they came to.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    /// Up to when was counted, in milliseconds.
    at: u64,
    /// What the nodes of now cost.
    pub hourly: MicroUsdPerHour,
    /// What they could cost.
    pub yardstick: Yardstick,
    /// Millionths of a dollar per hour, times milliseconds.
    spent: i128,
    spent_bound: i128,
    spent_greedy: i128,
}

impl Meter {
    /// Counts up to `now`, in milliseconds, at the prices that held.
    pub fn advance(&mut self, now: u64) {
        let passed = i128::from(now.saturating_sub(self.at));
        self.spent += i128::from(self.hourly.0) * passed;
        self.spent_bound += i128::from(self.yardstick.bound.0) * passed;
        self.spent_greedy += i128::from(self.yardstick.greedy.0) * passed;
        self.at = self.at.max(now);
    }

    pub fn spent(&self) -> MicroUsd {
        dollars(self.spent)
    }

    pub fn spent_bound(&self) -> MicroUsd {
        dollars(self.spent_bound)
    }

    pub fn spent_greedy(&self) -> MicroUsd {
        dollars(self.spent_greedy)
    }
}

fn dollars(sum: i128) -> MicroUsd {
    MicroUsd(i64::try_from(sum / 3_600_000).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_counts_from_when_it_is_set_and_no_fraction_is_lost() {
        let mut meter = Meter::default();
        meter.advance(1000);
        meter.hourly = MicroUsdPerHour(3_600);
        for now in 1001..=2000 {
            meter.advance(now);
        }
        meter.advance(1500);
        assert_eq!((meter.spent(), meter.spent_bound()), (MicroUsd(1), MicroUsd(0)));
    }
}
