//! The master problem of column generation: min cost of columns that cover all rows. A revised simplex with an explicit
//! dense inverse, because the rows are few (tens to hundreds) and columns come and go between solves.

mod again;
mod steep;

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
    changed: Vec<usize>,
    pivots: usize,
    /// Pivots after which rounding errors are taken out.
    refactor_at: usize,
}

/// Reduced costs below this share of the price do not count as negative.
pub(crate) const EXACT: f64 = 1e-8;
/// The same for programs whose columns are still coming: what is lost is less than what they will bring.
pub(crate) const ROUGH: f64 = 1e-4;

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
            changed: Vec::new(),
            worth: vec![1.0; m],
            tolerance,
            demand,
            pivots: 0,
            refactor_at: 500,
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

    /// The basic variable that reaches zero first as the variable of the direction grows.
    fn blocking(&self) -> Option<usize> {
        let (mut row, mut step, mut pivot) = (usize::MAX, f64::INFINITY, 0.0);
        for i in 0..self.m {
            if self.y[i] > 1e-9 {
                let t = self.x[i].max(0.0) / self.y[i];
                if t < step - 1e-12 || (t < step + 1e-12 && self.y[i] > pivot) {
                    (row, step, pivot) = (i, t, self.y[i]);
                }
            }
        }
        (row != usize::MAX).then_some(row)
    }

    /// What one unit of a variable takes from the basic ones.
    fn direct(&mut self, what: Basic) {
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
        self.y.iter_mut().filter(|y| y.abs() < 1e-12).for_each(|y| *y = 0.0);
    }

    /// Brings a variable, whose direction is known, into the basis in place of the one in `row`.
    fn pivot(&mut self, what: Basic, reduced: f64, row: usize, meter: &mut Meter) {
        let m = self.m;
        let pivot = self.y[row];
        let step = if pivot > 0.0 { self.x[row].max(0.0) } else { self.x[row] } / pivot;
        for (x, y) in self.x.iter_mut().zip(&self.y) {
            *x -= step * y;
            if *x < 0.0 && *x > -1e-9 {
                *x = 0.0;
            }
        }
        self.x[row] = step;
        // Far from the artificial start both are sparse.
        self.changed.clear();
        self.changed.extend((0..m).filter(|&i| self.y[i] != 0.0));
        let sparse = self.changed.len() * 4 < m;
        let mut touched = 0;
        for k in 0..m {
            let column = &mut self.inverse[k * m..(k + 1) * m];
            let b = column[row];
            if b == 0.0 {
                continue;
            }
            touched += 1;
            let f = b / pivot;
            self.duals[k] += reduced * f;
            if sparse {
                self.changed.iter().for_each(|&i| column[i] -= f * self.y[i]);
            } else {
                for (c, y) in column.iter_mut().zip(&self.y) {
                    *c -= f * y;
                }
            }
            column[row] = f;
        }
        let each = if sparse { self.changed.len() * 2 } else { m };
        meter.charge(touched * each * 5 / 8 + 3 * m);
        if let Basic::Column(old) = self.basis[row] {
            self.columns[old].basic = false;
        }
        if let Basic::Column(new) = what {
            self.columns[new].basic = true;
        }
        self.basis[row] = what;
        self.pivots += 1;
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
            self.x[i] = (0..m).map(|k| self.inverse[k * m + i] * self.demand[k]).sum::<f64>();
        }
        self.reprice();
    }

    /// Recomputes the duals from the prices of the basic columns.
    fn reprice(&mut self) {
        let prices: Vec<f64> = self
            .basis
            .iter()
            .map(|b| match b {
                Basic::Column(c) => self.columns[*c].price,
                Basic::Surplus(_) => 0.0,
            })
            .collect();
        for (dual, column) in self.duals.iter_mut().zip(self.inverse.chunks_exact(self.m)) {
            *dual = column.iter().zip(&prices).map(|(b, p)| b * p).sum();
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
        master.optimise(10_000, &mut Meter::new(Effort(1_000_000), &Cancel::new()));
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
            early.optimise(1, &mut Meter::new(Effort(1_000_000), &Cancel::new()));
            let mut stale = good.clone();
            stale.demand[at] += 1.0;
            for (faulty, found) in [lowered, raised, early, stale].iter().zip(&mut found) {
                *found += usize::from(fault(faulty).is_some());
            }
        }
        assert!(found.iter().all(|&n| n >= 60), "{found:?} of 100 are found");
    }

    /// Takes out whole copies of columns in use, and one more of some, as far as the demand allows.
    fn take_some(master: &mut Master, noise: &mut Noise) -> Vec<f64> {
        let mut left = master.demand.clone();
        let mut taken = Vec::new();
        for (c, x) in master.in_use() {
            let rows = &master.columns[c].rows;
            let most = rows.iter().map(|&(r, a)| crate::num::floor_count(left[r as usize] / a)).min().unwrap_or(0);
            let n = (crate::num::floor_count(x + 1e-6) + u32::from(noise.below(2) == 0)).min(most);
            if n > 0 {
                rows.iter().for_each(|&(r, a)| left[r as usize] -= a * f64::from(n));
                taken.push((c, n));
            }
        }
        assert!(master.take_out(&taken, &left, &mut Meter::new(Effort(1_000_000), &Cancel::new())));
        left
    }

    #[test]
    fn what_is_left_after_copies_are_taken_out_costs_as_much_as_it_does_from_nothing() {
        let mut noise = Noise::new(5);
        let (mut left_over, mut dropped) = (0, 0);
        for round in 0..300 {
            let (demand, columns) = random(&mut noise);
            let mut master = solved(&demand, &columns);
            let mut left = take_some(&mut master, &mut noise);
            let before = master.objective();
            let meter = &mut Meter::new(Effort(1_000_000), &Cancel::new());
            master.optimise(10_000, meter);
            let fresh = solved(&left, &columns).objective();
            assert!((master.objective() - fresh).abs() < 1e-6 * fresh + 1.0, "{} {fresh}", master.objective());
            assert_eq!(fault(&master), None);
            assert!(before >= master.objective() - 1.0, "the rest was covered at {before}");
            left_over += usize::from(before > master.objective() + 1.0);
            if round % 3 == 0 {
                // Something is no longer asked for, and its row is left out where nothing depends on it.
                let at = noise.below(left.len());
                left[at] = 0.0;
                assert!(master.take_out(&[], &left, meter), "less is covered by what covers more");
                master.optimise(10_000, meter);
                let place = master.drop_rows(left.len());
                dropped += place.iter().filter(|p| p.is_none()).count();
                master.optimise(10_000, meter);
                let fresh = solved(&left, &columns).objective();
                assert!((master.objective() - fresh).abs() < 1e-6 * fresh + 1.0, "{} {fresh}", master.objective());
                assert_eq!(fault(&master), None);
            }
        }
        assert!(left_over > 30 && dropped > 50, "{left_over} are improved, {dropped} rows are dropped");
    }

    #[test]
    fn after_prices_have_changed_it_ends_where_it_would_from_nothing() {
        let mut noise = Noise::new(6);
        for _ in 0..200 {
            let (demand, mut columns) = random(&mut noise);
            let mut master = solved(&demand, &columns);
            let dearer = noise.below(columns.len());
            columns[dearer].price *= 4.0;
            let at = master.columns.len() - columns.len() + dearer;
            let meter = &mut Meter::new(Effort(1_000_000), &Cancel::new());
            master.change_prices(|c| (c == at).then_some(columns[dearer].price), meter);
            master.keep_columns(|c| c != at);
            master.add(columns[dearer].clone());
            master.optimise(10_000, meter);
            let fresh = solved(&demand, &columns).objective();
            assert!((master.objective() - fresh).abs() < 1e-6 * fresh + 1.0, "{} {fresh}", master.objective());
            assert_eq!(fault(&master), None);
        }
    }
}
