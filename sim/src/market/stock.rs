//! How much of one offering there is, and at what price, over time.

use planner::model::MicroUsdPerHour;

use crate::clock::Micros;

/// More than anybody buys.
pub const UNLIMITED: u32 = u32::MAX;

/// The stock and the price of one offering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stock {
    /// Since when, how many at once; sorted. What was before the first entry is the first entry's.
    units: Vec<(Micros, u32)>,
    /// Since when, at what price; sorted.
    prices: Vec<(Micros, MicroUsdPerHour)>,
}

impl Stock {
    /// So many at once, at a price, until something else is scheduled.
    pub fn of(price: MicroUsdPerHour, units: u32) -> Self {
        Self { units: vec![(Micros::MIN, units)], prices: vec![(Micros::MIN, price)] }
    }

    /// So many at once from a moment on.
    pub fn schedule(&mut self, from: Micros, units: u32) {
        self.units.push((from, units));
        self.units.sort_by_key(|(from, _)| *from);
    }

    /// Another price from a moment on.
    pub fn schedule_price(&mut self, from: Micros, price: MicroUsdPerHour) {
        self.prices.push((from, price));
        self.prices.sort_by_key(|(from, _)| *from);
    }

    /// How many there may be at once.
    pub fn units(&self, now: Micros) -> u32 {
        at(&self.units, now).unwrap_or(0)
    }

    /// The prices from `start` to `end`, each with since when it held; the one that holds at `start` is the first.
    pub fn prices(&self, start: Micros, end: Micros) -> Vec<(Micros, MicroUsdPerHour)> {
        let first = self.prices.iter().rposition(|(from, _)| *from <= start).unwrap_or(0);
        self.prices[first..].iter().filter(|(from, _)| *from <= end).copied().collect()
    }

    pub fn price(&self, now: Micros) -> MicroUsdPerHour {
        at(&self.prices, now).unwrap_or_default()
    }
}

fn at<T: Copy>(schedule: &[(Micros, T)], now: Micros) -> Option<T> {
    schedule.iter().rev().find(|(from, _)| *from <= now).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_entry_counts() {
        let mut stock = Stock::of(MicroUsdPerHour(5), 1);
        stock.schedule_price(20, MicroUsdPerHour(7));
        stock.schedule_price(10, MicroUsdPerHour(6));
        assert_eq!([0, 10, 19, 20].map(|now| stock.price(now).0), [5, 6, 6, 7]);
        assert_eq!(stock.units(-5), 1);
        let prices = |start, end| stock.prices(start, end).into_iter().map(|(_, price)| price.0).collect::<Vec<_>>();
        assert_eq!(
            [prices(0, 9), prices(0, 20), prices(12, 15), prices(25, 30)],
            [vec![5], vec![5, 6, 7], vec![6], vec![7]]
        );
    }
}
