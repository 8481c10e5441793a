//! Solving again from the last basis, after what is asked for or what columns cost has changed.

use super::{Basic, Master};
use crate::effort::Meter;

/// What is short by less than this share is covered.
const SHORT: f64 = 1e-6;

impl Master {
    /// Takes copies of columns out, after which `demand` is asked for. What a copy covers beyond the amount in use is left
    /// over, and is given back as far as the columns in use can shrink. False where the rest is no longer covered, which
    /// joint limits may cause.
    pub(crate) fn take_out(&mut self, taken: &[(usize, u32)], demand: &[f64], meter: &mut Meter) -> bool {
        let m = self.m;
        let mut over: Vec<f64> = demand.iter().map(|d| -d).collect();
        for (b, x) in self.basis.iter().zip(&mut self.x) {
            match b {
                Basic::Column(c) => {
                    let copies = taken.iter().filter(|t| t.0 == *c).map(|t| f64::from(t.1)).sum::<f64>();
                    *x = (*x - copies).max(0.0);
                    self.columns[*c].rows.iter().for_each(|&(k, a)| over[k as usize] += a * *x);
                }
                Basic::Surplus(k) => over[*k] -= *x,
            }
        }
        self.demand.copy_from_slice(demand);
        for (b, x) in self.basis.iter().zip(&mut self.x) {
            if let Basic::Surplus(k) = b {
                *x += std::mem::take(&mut over[*k]);
                if *x < -SHORT * (1.0 + demand[*k].abs()) {
                    return false;
                }
            }
        }
        if over.iter().zip(demand).any(|(&o, d)| o < -SHORT * (1.0 + d.abs())) {
            return false;
        }
        meter.charge(m * 16);
        for row in 0..m {
            let left = over[row];
            if left <= SHORT * (1.0 + demand[row].abs()) {
                continue;
            }
            let (mut blocks, mut step) = (None, left);
            let shrink = &self.inverse[row * m..(row + 1) * m];
            for (i, (&x, &by)) in self.x.iter().zip(shrink).enumerate() {
                if by > 1e-9 && x.max(0.0) < step * by {
                    (blocks, step) = (Some(i), x.max(0.0) / by);
                }
            }
            self.x.iter_mut().zip(shrink).for_each(|(x, by)| *x -= step * by);
            meter.charge(m);
            if let Some(i) = blocks {
                self.x[i] = 0.0;
                self.direct(Basic::Surplus(row));
                self.pivot(Basic::Surplus(row), self.duals[row], i, meter);
                self.x[i] = left - step;
            }
        }
        true
    }

    /// Changes what columns cost.
    pub(crate) fn change_prices(&mut self, new: impl Fn(usize) -> Option<f64>, meter: &mut Meter) {
        for (c, column) in self.columns.iter_mut().enumerate() {
            if let Some(price) = new(c) {
                column.price = price;
            }
        }
        meter.charge(self.m * self.m / 2 + self.columns.len());
        self.reprice();
    }

    /// The first columns are the artificial ones: those in use, with the row each covers.
    pub(crate) fn artificial_in_use(&self) -> Vec<usize> {
        let used = |(b, x): (&Basic, &f64)| match b {
            Basic::Column(c) if self.columns[*c].offer == u32::MAX && *x > 1e-6 => Some(*c),
            _ => None,
        };
        let mut list: Vec<usize> = self.basis.iter().zip(&self.x).filter_map(used).collect();
        list.sort_unstable();
        list
    }

    /// Leaves out rows before `upto` that nothing is asked of any more and that bind nothing: their basic variable covers only them.
    /// Returns the new place of each row.
    pub(crate) fn drop_rows(&mut self, upto: usize) -> Vec<Option<u32>> {
        let m = self.m;
        let mut row_goes = vec![false; m];
        let mut basic_goes = vec![false; m];
        for (i, b) in self.basis.iter().enumerate() {
            let row = match b {
                Basic::Surplus(k) => *k,
                Basic::Column(c) if self.columns[*c].offer == u32::MAX => self.columns[*c].rows[0].0 as usize,
                Basic::Column(_) => continue,
            };
            if row < upto && self.demand[row] == 0.0 && !row_goes[row] {
                row_goes[row] = true;
                basic_goes[i] = true;
            }
        }
        let mut place = Vec::with_capacity(m);
        let mut n = 0;
        for &goes in &row_goes {
            place.push((!goes).then_some(n));
            n += u32::from(!goes);
        }
        if n as usize == m {
            return place;
        }
        let mut inverse = Vec::with_capacity(n as usize * n as usize);
        for (column, _) in self.inverse.chunks_exact(m).zip(&row_goes).filter(|c| !c.1) {
            inverse.extend(column.iter().zip(&basic_goes).filter(|e| !e.1).map(|e| *e.0));
        }
        self.inverse = inverse;
        let keep = |list: &mut Vec<f64>, goes: &[bool]| {
            let mut i = 0;
            list.retain(|_| {
                i += 1;
                !goes[i - 1]
            });
        };
        keep(&mut self.demand, &row_goes);
        keep(&mut self.duals, &row_goes);
        keep(&mut self.worth, &row_goes);
        keep(&mut self.x, &basic_goes);
        let mut i = 0;
        let columns = &mut self.columns;
        self.basis.retain(|b| {
            i += 1;
            if basic_goes[i - 1]
                && let Basic::Column(c) = b
            {
                columns[*c].basic = false;
            }
            !basic_goes[i - 1]
        });
        for b in &mut self.basis {
            if let Basic::Surplus(k) = b {
                *k = place[*k].unwrap_or(0) as usize;
            }
        }
        for column in columns.iter_mut() {
            column.rows.retain_mut(|r| match place[r.0 as usize] {
                Some(p) => {
                    r.0 = p;
                    true
                }
                None => false,
            });
        }
        self.m = n as usize;
        self.y.truncate(self.m);
        let empty: Vec<bool> = self.columns.iter().map(|c| c.rows.is_empty()).collect();
        self.keep_columns(|c| !empty[c]);
        place
    }

    /// Forgets columns that are not in the basis.
    pub(crate) fn keep_columns(&mut self, keep: impl Fn(usize) -> bool) {
        let mut at = vec![usize::MAX; self.columns.len()];
        let mut n = 0;
        for (c, column) in self.columns.iter().enumerate() {
            if column.basic || keep(c) {
                at[c] = n;
                n += 1;
            }
        }
        let mut c = 0;
        self.columns.retain(|_| {
            c += 1;
            at[c - 1] != usize::MAX
        });
        for b in &mut self.basis {
            if let Basic::Column(c) = b {
                *c = at[*c];
            }
        }
    }
}
