//! Which variable enters: the one that gains most per length of its step, as far as that is known (devex, Harris 1973).

use super::{Basic, Column, Master};
use crate::effort::Meter;

/// Reduced costs and weights of all variables: rows' surpluses first, then columns.
struct Prices {
    reduced: Vec<f64>,
    weight: Vec<f64>,
    /// What a reduced cost has to be below to improve.
    below: Vec<f64>,
}

/// The coefficients of all columns, row by row: of a row of the inverse most entries are nothing, and what they would be
/// multiplied with is passed over.
struct Coefficients {
    /// Where each row ends.
    ends: Vec<usize>,
    columns: Vec<u32>,
    amounts: Vec<f64>,
}

impl Coefficients {
    fn of(m: usize, columns: &[Column]) -> Self {
        let mut places = vec![0; m + 1];
        columns.iter().flat_map(|c| &c.rows).for_each(|r| places[r.0 as usize + 1] += 1);
        (0..m).for_each(|k| places[k + 1] += places[k]);
        let n = places[m];
        let mut all = Self { ends: places, columns: vec![0; n], amounts: vec![0.0; n] };
        for (c, column) in columns.iter().enumerate() {
            for &(k, amount) in &column.rows {
                let place = all.ends[k as usize];
                all.ends[k as usize] += 1;
                all.columns[place] = crate::num::u32_of(c);
                all.amounts[place] = amount;
            }
        }
        all
    }

    /// Adds to the sum of each column its coefficients times the entries of their rows.
    #[inline(never)]
    fn times(&self, entry: &[f64], sums: &mut [f64]) {
        let mut from = 0;
        for (&e, &end) in entry.iter().zip(&self.ends) {
            let row = std::mem::replace(&mut from, end)..end;
            if e != 0.0 {
                for (&c, a) in self.columns[row.clone()].iter().zip(&self.amounts[row]) {
                    sums[c as usize] += e * a;
                }
            }
        }
    }
}

impl Prices {
    /// The variable entering gains `per` for each unit of what others take of it, `by`; `length` is that of its step.
    #[inline(never)]
    fn follow(&mut self, from: usize, by: &mut [f64], per: f64, length: f64) {
        let (reduced, weight) = (&mut self.reduced[from..], &mut self.weight[from..]);
        for ((by, reduced), weight) in by.iter_mut().zip(reduced).zip(weight) {
            let by = std::mem::take(by);
            if by != 0.0 {
                *reduced -= per * by;
                *weight = weight.max(by * by * length);
            }
        }
    }

    /// The variable that gains most, of those that are not basic.
    #[inline(never)]
    fn steepest(&self, is_basic: impl Fn(usize) -> bool) -> Option<usize> {
        let (mut best, mut most) = (None, 0.0);
        let all = self.reduced.iter().zip(&self.below).zip(&self.weight);
        for (i, ((&reduced, &below), &weight)) in all.enumerate() {
            if reduced >= below {
                continue;
            }
            let gain = reduced * reduced / weight;
            if gain > most && !is_basic(i) {
                (best, most) = (Some(i), gain);
            }
        }
        best
    }
}

impl Master {
    /// Pivots until no column and no surplus improves, or `most_pivots` are done.
    pub(crate) fn optimise(&mut self, most_pivots: usize, meter: &mut Meter) {
        let m = self.m;
        let coefficients = Coefficients::of(m, &self.columns);
        let entries = coefficients.columns.len();
        let mut sums = vec![0.0; self.columns.len()];
        let mut prices = self.prices();
        meter.charge(entries * 2);
        let mut entry = vec![0.0; m];
        let mut is_fresh = true;
        for _ in 0..most_pivots {
            if meter.is_out() {
                return;
            }
            let Some(at) = prices.steepest(|i| i >= m && self.columns[i - m].basic) else {
                if is_fresh {
                    return;
                }
                // Reduced costs that were carried along may have drifted.
                prices = self.prices();
                meter.charge(entries * 2);
                is_fresh = true;
                continue;
            };
            let what = if at < m { Basic::Surplus(at) } else { Basic::Column(at - m) };
            let reduced = prices.reduced[at];
            self.direct(what);
            let Some(row) = self.blocking() else { return };
            for (e, column) in entry.iter_mut().zip(self.inverse.chunks_exact(m)) {
                *e = column[row];
            }
            let leaves = match self.basis[row] {
                Basic::Surplus(k) => k,
                Basic::Column(c) => c + m,
            };
            let pivot = self.y[row];
            let (per, length) = (reduced / pivot, prices.weight[at] / (pivot * pivot));
            coefficients.times(&entry, &mut sums);
            // A basic variable does not change.
            self.basis.iter().for_each(|b| {
                if let Basic::Column(c) = b {
                    sums[*c] = 0.0;
                }
            });
            entry.iter_mut().for_each(|e| *e = -*e);
            prices.follow(0, &mut entry, per, length);
            prices.follow(m, &mut sums, per, length);
            prices.reduced[at] = 0.0;
            prices.reduced[leaves] = -per;
            prices.weight[leaves] = length.max(self.scale(leaves));
            meter.charge(m * 3 + entries);
            self.pivot(what, reduced, row, meter);
            is_fresh = false;
            if self.pivots >= self.refactor_at {
                self.refactor_at = self.pivots + 500;
                self.refactor();
                meter.charge(m * m * m / 8);
            }
        }
    }

    /// What a variable costs at first, as a scale.
    fn scale(&self, at: usize) -> f64 {
        let price = if at < self.m { self.worth[at] } else { self.columns[at - self.m].price };
        price * price
    }

    fn prices(&self) -> Prices {
        let reduced = self.duals.iter().copied().chain(self.columns.iter().map(|c| self.reduced_cost(c))).collect();
        let weight = (0..self.m + self.columns.len()).map(|i| self.scale(i)).collect();
        let worth = self.worth.iter().copied().chain(self.columns.iter().map(|c| c.price));
        Prices { reduced, weight, below: worth.map(|price| -self.tolerance * price).collect() }
    }
}
