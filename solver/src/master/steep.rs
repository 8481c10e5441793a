//! Which variable enters: the one that gains most per length of its step, as far as that is known (devex, Harris 1973).

use super::{Basic, Master};
use crate::effort::Meter;

/// Reduced costs and weights of all variables: rows' surpluses first, then columns.
struct Prices {
    reduced: Vec<f64>,
    weight: Vec<f64>,
}

impl Master {
    /// Pivots until no column and no surplus improves, or `most_pivots` are done.
    pub(crate) fn optimise(&mut self, most_pivots: usize, meter: &mut Meter) {
        let m = self.m;
        let entries: usize = self.columns.iter().map(|c| c.rows.len()).sum();
        let mut prices = self.prices();
        meter.charge(entries * 2);
        let mut entry = vec![0.0; m];
        let mut is_fresh = true;
        for _ in 0..most_pivots {
            if meter.is_out() {
                return;
            }
            let Some(at) = self.steepest(&prices) else {
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
            let mut follow = |i: usize, by: f64| {
                if by != 0.0 {
                    prices.reduced[i] -= per * by;
                    prices.weight[i] = prices.weight[i].max(by * by * length);
                }
            };
            for (k, &e) in entry.iter().enumerate() {
                follow(k, -e);
            }
            for (c, column) in self.columns.iter().enumerate().filter(|c| !c.1.basic) {
                let by: f64 = column.rows.iter().map(|&(k, a)| entry[k as usize] * a).sum();
                follow(m + c, by);
            }
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
        Prices { reduced, weight }
    }

    fn steepest(&self, prices: &Prices) -> Option<usize> {
        let (mut best, mut most) = (None, 0.0);
        let m = self.m;
        for (i, (&reduced, &weight)) in prices.reduced.iter().zip(&prices.weight).enumerate() {
            if reduced >= 0.0 {
                continue;
            }
            let price = if i < m { self.worth[i] } else { self.columns[i - m].price };
            let gain = reduced * reduced / weight;
            if reduced < -self.tolerance * price && gain > most && (i < m || !self.columns[i - m].basic) {
                (best, most) = (Some(i), gain);
            }
        }
        best
    }
}
