//! The master problem of column generation: min cost of columns that cover all rows. A revised simplex with an explicit
//! dense inverse, because the rows are few (tens to hundreds) and columns come and go between solves.

use crate::effort::Meter;
use crate::instance::Pattern;

/// A column: one way to fill one offer.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// Index of the offer, `u32::MAX` for the artificial ones that start the basis.
    pub offer: u32,
    pub price: f64,
    /// (row, coefficient).
    pub rows: Vec<(u32, f64)>,
    pub pattern: Pattern,
    basic: bool,
}

impl Column {
    pub(crate) fn new(offer: u32, price: f64, rows: Vec<(u32, f64)>, pattern: Pattern) -> Self {
        Self { offer, price, rows, pattern, basic: false }
    }
}

/// A basic variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basic {
    Column(usize),
    /// The surplus of a row: what is covered beyond its demand.
    Surplus(usize),
}

/// min Σ price·x, Σ rows·x ≥ demand, x ≥ 0. A joint limit is a row with negated coefficients and demand.
#[derive(Clone, Debug)]
pub(crate) struct Master {
    m: usize,
    demand: Vec<f64>,
    /// Column-major by original row: `inverse[k * m + i]` is the entry of basic variable `i` for row `k`.
    inverse: Vec<f64>,
    basis: Vec<Basic>,
    pub x: Vec<f64>,
    /// Dual of each row, ≥ 0 at an optimum.
    pub duals: Vec<f64>,
    pub columns: Vec<Column>,
    /// What one unit of each row is worth at first, the scale of its dual.
    worth: Vec<f64>,
    tolerance: f64,
    y: Vec<f64>,
    pivots: usize,
}

/// Reduced costs below this share of the price do not count as negative.
pub(crate) const EXACT: f64 = 1e-8;
/// The same for programs whose columns are still coming: what is lost is less than what they will bring.
pub(crate) const ROUGH: f64 = 2e-5;

impl Master {
    /// Rows with their demands. `start[i]` = (price, coefficient > 0) of the artificial column of row `i`, or `None` for a
    /// limit row (demand ≤ 0), which starts with its surplus.
    pub(crate) fn new(demand: Vec<f64>, start: &[Option<(f64, f64)>], tolerance: f64) -> Self {
        let m = demand.len();
        let mut master = Self {
            m,
            inverse: vec![0.0; m * m],
            basis: (0..m).map(Basic::Surplus).collect(),
            x: vec![0.0; m],
            duals: vec![0.0; m],
            columns: Vec::with_capacity(m * 4),
            y: vec![0.0; m],
            worth: vec![1.0; m],
            tolerance,
            demand,
            pivots: 0,
        };
        for (i, s) in start.iter().enumerate() {
            if let Some((price, a)) = *s {
                master.inverse[i * m + i] = 1.0 / a;
                master.x[i] = master.demand[i] / a;
                master.duals[i] = price / a;
                master.worth[i] = price / a;
                master.basis[i] = Basic::Column(master.columns.len());
                let row = crate::num::u32_of(i);
                let mut column = Column::new(u32::MAX, price, vec![(row, a)], Vec::new());
                column.basic = true;
                master.columns.push(column);
            } else {
                master.inverse[i * m + i] = -1.0;
                master.x[i] = -master.demand[i];
            }
        }
        master
    }

    pub(crate) fn add(&mut self, column: Column) {
        self.columns.push(column);
    }

    /// Cost of the current basic solution, artificial columns included.
    pub(crate) fn objective(&self) -> f64 {
        let value = |(b, x): (&Basic, &f64)| match b {
            Basic::Column(c) => self.columns[*c].price * x,
            Basic::Surplus(_) => 0.0,
        };
        self.basis.iter().zip(&self.x).map(value).sum()
    }

    /// The columns in use: (index, amount).
    pub(crate) fn in_use(&self) -> Vec<(usize, f64)> {
        let mut used: Vec<(usize, f64)> = self
            .basis
            .iter()
            .zip(&self.x)
            .filter_map(|(b, &x)| match b {
                Basic::Column(c) if x > 1e-7 && self.columns[*c].offer != u32::MAX => Some((*c, x)),
                _ => None,
            })
            .collect();
        used.sort_unstable_by_key(|u| u.0);
        used
    }

    #[inline]
    pub(crate) fn reduced_cost(&self, column: &Column) -> f64 {
        let mut v = column.price;
        for &(k, a) in &column.rows {
            v -= self.duals[k as usize] * a;
        }
        v
    }

    /// Pivots until no column from `from` on and no surplus improves, or `most_pivots` are done.
    pub(crate) fn optimise(&mut self, from: usize, most_pivots: usize, meter: &mut Meter) {
        let mut list: Vec<(f64, usize)> = Vec::new();
        let mut done = 0;
        while done < most_pivots && !meter.is_out() {
            let surplus = self.worst_surplus();
            meter.charge(self.m * 2 + list.len() * 8);
            let mut best: Option<(f64, usize)> = None;
            list.retain_mut(|e| {
                let c = &self.columns[e.1];
                if c.basic {
                    return false;
                }
                e.0 = self.reduced_cost(c) / c.price;
                if e.0 < -self.tolerance && best.is_none_or(|b| e.0 < b.0) {
                    best = Some(*e);
                }
                e.0 < -self.tolerance
            });
            if best.is_none() {
                list.clear();
                for (i, c) in self.columns.iter().enumerate().skip(from) {
                    if !c.basic {
                        let r = self.reduced_cost(c) / c.price;
                        if r < -self.tolerance {
                            list.push((r, i));
                        }
                    }
                }
                meter.charge((self.columns.len() - from.min(self.columns.len())) * 8);
                if list.len() > 24 {
                    list.select_nth_unstable_by(23, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                    list.truncate(24);
                }
                best = list.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            }
            let (what, reduced) = match (best, surplus) {
                (Some((ratio, column)), s) if s.is_none_or(|s| ratio <= s.1) => {
                    (Basic::Column(column), ratio * self.columns[column].price)
                }
                (_, Some((row, share))) => (Basic::Surplus(row), share * self.worth[row]),
                (None | Some(_), None) => return,
            };
            if !self.enter(what, reduced, meter) {
                return;
            }
            done += 1;
        }
    }

    /// The row whose dual is most negative as a share of what its demand is worth at first.
    fn worst_surplus(&self) -> Option<(usize, f64)> {
        let (mut worst, mut share) = (None, -self.tolerance);
        for (row, (&dual, &worth)) in self.duals.iter().zip(&self.worth).enumerate() {
            if dual < share * worth {
                (worst, share) = (Some((row, dual / worth)), dual / worth);
            }
        }
        worst
    }

    /// Brings a variable into the basis; false when nothing bounds it or the pivot is too small to trust.
    fn enter(&mut self, what: Basic, reduced: f64, meter: &mut Meter) -> bool {
        let m = self.m;
        self.y.iter_mut().for_each(|v| *v = 0.0);
        match what {
            Basic::Column(c) => {
                for &(k, a) in &self.columns[c].rows {
                    let column = &self.inverse[k as usize * m..(k as usize + 1) * m];
                    for (y, b) in self.y.iter_mut().zip(column) {
                        *y += a * b;
                    }
                }
            }
            Basic::Surplus(k) => {
                for (y, b) in self.y.iter_mut().zip(&self.inverse[k * m..(k + 1) * m]) {
                    *y -= b;
                }
            }
        }
        let (mut row, mut step, mut pivot) = (usize::MAX, f64::INFINITY, 0.0);
        for i in 0..m {
            if self.y[i] > 1e-9 {
                let t = self.x[i].max(0.0) / self.y[i];
                if t < step - 1e-12 || (t < step + 1e-12 && self.y[i] > pivot) {
                    (row, step, pivot) = (i, t, self.y[i]);
                }
            }
        }
        if row == usize::MAX {
            return false;
        }
        for (x, y) in self.x.iter_mut().zip(&self.y) {
            *x -= step * y;
            if *x < 0.0 && *x > -1e-9 {
                *x = 0.0;
            }
        }
        self.x[row] = step;
        for k in 0..m {
            let column = &mut self.inverse[k * m..(k + 1) * m];
            let b = column[row];
            if b == 0.0 {
                continue;
            }
            let f = b / pivot;
            self.duals[k] += reduced * f;
            for (c, y) in column.iter_mut().zip(&self.y) {
                *c -= f * y;
            }
            column[row] = f;
        }
        meter.charge(m * m / 2 + m);
        if let Basic::Column(old) = self.basis[row] {
            self.columns[old].basic = false;
        }
        if let Basic::Column(new) = what {
            self.columns[new].basic = true;
        }
        self.basis[row] = what;
        self.pivots += 1;
        if self.pivots.is_multiple_of(500) {
            self.refactor();
            meter.charge(m * m * m);
        }
        true
    }

    /// Recomputes the inverse, the solution and the duals from the basis, so that rounding errors do not pile up.
    fn refactor(&mut self) {
        let m = self.m;
        let mut b = vec![0.0; m * m];
        for (i, e) in self.basis.iter().enumerate() {
            match e {
                Basic::Column(c) => self.columns[*c].rows.iter().for_each(|&(k, a)| b[k as usize * m + i] = a),
                Basic::Surplus(k) => b[k * m + i] = -1.0,
            }
        }
        let mut inverse = vec![0.0; m * m];
        for i in 0..m {
            inverse[i * m + i] = 1.0;
        }
        for c in 0..m {
            let mut p = c;
            for r in c..m {
                if b[r * m + c].abs() > b[p * m + c].abs() {
                    p = r;
                }
            }
            if b[p * m + c].abs() < 1e-12 {
                return; // Singular by rounding: the updated inverse is the better one.
            }
            if p != c {
                for j in 0..m {
                    b.swap(p * m + j, c * m + j);
                    inverse.swap(p * m + j, c * m + j);
                }
            }
            let d = 1.0 / b[c * m + c];
            for j in 0..m {
                b[c * m + j] *= d;
                inverse[c * m + j] *= d;
            }
            for r in 0..m {
                let f = b[r * m + c];
                if r != c && f != 0.0 {
                    for j in 0..m {
                        b[r * m + j] -= f * b[c * m + j];
                        inverse[r * m + j] -= f * inverse[c * m + j];
                    }
                }
            }
        }
        for k in 0..m {
            for i in 0..m {
                self.inverse[k * m + i] = inverse[i * m + k];
            }
        }
        for i in 0..m {
            self.x[i] = (0..m).map(|k| self.inverse[k * m + i] * self.demand[k]).sum::<f64>().max(0.0);
        }
        for k in 0..m {
            self.duals[k] = (0..m)
                .map(|i| match self.basis[i] {
                    Basic::Column(c) => self.columns[c].price * self.inverse[k * m + i],
                    Basic::Surplus(_) => 0.0,
                })
                .sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effort::{Cancel, Effort};
    use crate::noise::Noise;

    /// A random covering problem and its columns.
    fn random(noise: &mut Noise) -> (Vec<f64>, Vec<Column>) {
        let m = 2 + noise.below(6);
        let demand: Vec<f64> = (0..m).map(|_| 1.0 + noise.below(40) as f64).collect();
        let columns = (0..3 * m)
            .map(|c| {
                let mut rows = Vec::new();
                for r in 0..m {
                    if r == c % m || noise.below(3) == 0 {
                        rows.push((crate::num::u32_of(r), 1.0 + noise.below(9) as f64));
                    }
                }
                Column::new(crate::num::u32_of(c), 1e6 * (1.0 + 9.0 * noise.unit()), rows, Pattern::new())
            })
            .collect();
        (demand, columns)
    }

    fn solved(demand: &[f64], columns: &[Column]) -> Master {
        let mut master = Master::new(demand.to_vec(), &vec![Some((1e9, 1.0)); demand.len()], EXACT);
        columns.iter().for_each(|c| master.add(c.clone()));
        master.optimise(0, 10_000, &mut Meter::new(Effort(1_000_000), &Cancel::new()));
        master
    }

    /// What is wrong with a program that claims to be at its optimum.
    fn fault(master: &Master) -> Option<&'static str> {
        let mut covered = vec![0.0; master.m];
        for (basic, &x) in master.basis.iter().zip(&master.x) {
            if x < -1e-7 {
                return Some("a negative amount");
            }
            if let Basic::Column(c) = basic {
                master.columns[*c].rows.iter().for_each(|&(r, a)| covered[r as usize] += a * x);
            }
        }
        if covered.iter().zip(&master.demand).any(|(c, d)| *c < d - 1e-6) {
            return Some("a demand that is not covered");
        }
        if master.duals.iter().any(|d| *d < -1.0) || master.columns.iter().any(|c| master.reduced_cost(c) < -1.0) {
            return Some("duals that are not legal");
        }
        let worth: f64 = master.duals.iter().zip(&master.demand).map(|(p, d)| p * d).sum();
        ((worth - master.objective()).abs() > 1.0).then_some("duals that are not worth the cost")
    }

    #[test]
    fn two_hundred_programs_end_where_the_library_ends_and_with_duals_that_prove_it() {
        let mut noise = Noise::new(3);
        for _ in 0..200 {
            let (demand, columns) = random(&mut noise);
            let master = solved(&demand, &columns);
            assert_eq!(fault(&master), None);
            let theirs = crate::exact::cheapest_cover(&demand, &columns).expect("feasible");
            assert!((master.objective() - theirs).abs() < 1e-6 * theirs + 1.0, "{} {theirs}", master.objective());
        }
    }

    #[test]
    fn faults_seeded_into_the_simplex_are_found() {
        let mut noise = Noise::new(4);
        let mut found = [0; 4];
        for _ in 0..100 {
            let (demand, columns) = random(&mut noise);
            let good = solved(&demand, &columns);
            let at = noise.below(good.m);
            // Each as a step left out, or done by a little wrong, would leave it.
            let mut lowered = good.clone();
            lowered.x[at] *= 0.99;
            let mut raised = good.clone();
            raised.duals[at] = raised.duals[at] * 1.01 + 10.0;
            let mut early = Master::new(demand.clone(), &vec![Some((1e9, 1.0)); demand.len()], EXACT);
            columns.iter().for_each(|c| early.add(c.clone()));
            early.optimise(0, 1, &mut Meter::new(Effort(1_000_000), &Cancel::new()));
            let mut stale = good.clone();
            stale.demand[at] += 1.0;
            for (faulty, found) in [lowered, raised, early, stale].iter().zip(&mut found) {
                *found += usize::from(fault(faulty).is_some());
            }
        }
        assert!(found.iter().all(|&n| n >= 60), "{found:?} of 100 are found");
    }
}
