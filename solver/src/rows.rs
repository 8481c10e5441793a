//! The rows of the master: classes with few to a bin, or limits of their own, have a row each; the others share one row
//! per (label, dimension), so that the master has tens of rows instead of hundreds.

use crate::instance::{Instance, Pattern};
use crate::master::Column;
use crate::num::u32_of;

/// How classes map to rows of the master.
pub(crate) struct Rows {
    /// Per class: (row, amount one of it covers).
    pub covers: Vec<Vec<(u32, f64)>>,
    pub demand: Vec<f64>,
    /// By class: the unit that shares quotas when pouring (a label, or the class itself).
    pub unit: Vec<u32>,
    pub n_units: usize,
    /// Row of each limit.
    of_limits: Vec<u32>,
    wanted: Vec<Wanted>,
}

/// Demand in terms of classes: what is fixed, and what may be of any class of a choice.
struct Wanted {
    choice: Vec<u32>,
    free: f64,
    fixed: Vec<(u32, f64)>,
}

impl Rows {
    /// `own[k]`: class `k` has a row of its own. Only classes with something left in `left` get rows.
    pub(crate) fn new<const R: usize>(inst: &Instance<R>, own: &[bool], left: &[u32], limits: &[i64]) -> Self {
        let mut per_label = vec![0usize; inst.n_labels];
        let mut label_total = vec![([0.0f64; R], 0.0f64); inst.n_labels];
        for (k, class) in inst.classes.iter().enumerate().filter(|c| left[c.0] > 0 && !own[c.0]) {
            let l = class.label as usize;
            per_label[l] += 1;
            label_total[l].1 += f64::from(left[k]);
            for r in 0..R {
                label_total[l].0[r] += class.share[r] * f64::from(left[k]);
            }
        }
        let mut row_of = vec![[u32::MAX; R]; inst.n_labels];
        let mut unit_of = vec![u32::MAX; inst.n_labels];
        let mut rows = Self {
            covers: vec![Vec::new(); inst.classes.len()],
            demand: Vec::new(),
            unit: vec![0; inst.classes.len()],
            n_units: 0,
            of_limits: Vec::new(),
            wanted: Vec::new(),
        };
        for (k, class) in inst.classes.iter().enumerate() {
            if left[k] == 0 {
                continue;
            }
            let l = class.label as usize;
            if own[k] || per_label[l] <= inst.active.len() {
                rows.unit[k] = u32_of(rows.n_units);
                rows.n_units += 1;
                rows.covers[k].push((u32_of(rows.demand.len()), 1.0));
                rows.demand.push(f64::from(left[k]));
                continue;
            }
            if unit_of[l] == u32::MAX {
                unit_of[l] = u32_of(rows.n_units);
                rows.n_units += 1;
            }
            rows.unit[k] = unit_of[l];
            for &r in &inst.active {
                if class.share[r] <= 0.0 {
                    continue;
                }
                // In units of the mean need, so that coefficients are near one.
                let mean = label_total[l].0[r] / label_total[l].1;
                if row_of[l][r] == u32::MAX {
                    row_of[l][r] = u32_of(rows.demand.len());
                    rows.demand.push(label_total[l].0[r] / mean);
                }
                rows.covers[k].push((row_of[l][r], class.share[r] / mean));
            }
        }
        rows.add_limits(limits);
        let fixed = left.iter().enumerate().map(|(k, &n)| (u32_of(k), f64::from(n))).filter(|w| w.1 > 0.0).collect();
        rows.wanted.push(Wanted { choice: Vec::new(), free: 0.0, fixed });
        rows
    }

    pub(crate) fn column<const R: usize>(
        &self,
        inst: &Instance<R>,
        offer: u32,
        pattern: &Pattern,
        left: &[u32],
        sums: &mut Vec<f64>,
    ) -> Option<Column> {
        sums.clear();
        sums.resize(self.demand.len(), 0.0);
        let mut used = Pattern::with_capacity(pattern.len());
        for &(k, n) in pattern {
            let n = n.min(left[k as usize]);
            if n > 0 {
                used.push((k, n));
                for &(row, a) in &self.covers[k as usize] {
                    sums[row as usize] += a * f64::from(n);
                }
            }
        }
        if used.is_empty() {
            return None;
        }
        for &(limit, weight) in &inst.offers[offer as usize].uses {
            sums[self.of_limits[limit as usize] as usize] -= weight as f64;
        }
        let rows = sums.iter().enumerate().filter(|s| *s.1 != 0.0).map(|(i, &s)| (u32_of(i), s)).collect();
        Some(Column::new(offer, inst.offers[offer as usize].price, rows, used))
    }

    /// Artificial columns: a price per row that any real column beats.
    pub(crate) fn start<const R: usize>(
        &self,
        inst: &Instance<R>,
        left: &[u32],
        seed: &[f64],
    ) -> Vec<Option<(f64, f64)>> {
        let mut alone = vec![f64::INFINITY; inst.classes.len()];
        for offer in &inst.offers[..inst.n_new] {
            for &(k, n) in &offer.fit {
                let n = n.min(left[k as usize]);
                if n > 0 {
                    alone[k as usize] = alone[k as usize].min(offer.price / f64::from(n));
                }
            }
        }
        let mut rate = vec![0.0f64; self.demand.len()];
        for (k, covers) in self.covers.iter().enumerate() {
            for &(row, a) in covers {
                let real = if alone[k].is_finite() { alone[k] * 1.02 } else { seed[k] * 10.0 + 1.0 };
                // A row of one class is never worth more than serving it alone; a shared row may be.
                let own = covers.len() == 1 && (a - 1.0).abs() < 1e-12;
                let price = if own { real } else { real.max(3.0 * seed[k]) };
                rate[row as usize] = rate[row as usize].max(price / a);
            }
        }
        let first_limit = self.demand.len() - self.of_limits.len();
        (0..self.demand.len())
            .map(|i| {
                let chunk = (self.demand[i] / 10.0).max(1.0);
                (i < first_limit).then_some((rate[i].max(1e-3) * chunk, chunk))
            })
            .collect()
    }

    /// Value of one of class `k` at these duals.
    pub(crate) fn value(&self, duals: &[f64], k: usize) -> f64 {
        self.covers[k].iter().map(|&(row, a)| duals[row as usize].max(0.0) * a).sum()
    }

    /// Price of one unit of limit `l` at these duals.
    pub(crate) fn limit_price(&self, duals: &[f64], l: usize) -> f64 {
        duals[self.of_limits[l] as usize].max(0.0)
    }

    /// What the demand is worth, less what the limits are.
    pub(crate) fn worth(&self, values: &[f64], at_limits: &[f64]) -> f64 {
        let first_limit = self.demand.len() - self.of_limits.len();
        let limits: f64 = at_limits.iter().zip(&self.demand[first_limit..]).map(|(p, d)| p * d).sum();
        let demand: f64 = self
            .wanted
            .iter()
            .map(|w| {
                let least = w.choice.iter().map(|&k| values[k as usize]).fold(f64::INFINITY, f64::min);
                let free = if w.free > 0.0 { least * w.free } else { 0.0 };
                free + w.fixed.iter().map(|&(k, n)| values[k as usize] * n).sum::<f64>()
            })
            .sum();
        demand + limits
    }

    /// Rows for the bound alone: items that a spread leaves a choice have one row for all of them and one per domain for
    /// what is forced there, so that the choice costs the bound nothing.
    pub(crate) fn with_choices<const R: usize>(inst: &Instance<R>) -> Self {
        let mut rows = Self {
            covers: vec![Vec::new(); inst.classes.len()],
            demand: Vec::new(),
            unit: Vec::new(),
            n_units: 0,
            of_limits: Vec::new(),
            wanted: Vec::new(),
        };
        let mut plain = vec![0.0; inst.classes.len()];
        for make in &inst.makes {
            let forced: u32 = make.parts.iter().map(|p| p.1.min(make.count)).sum();
            if forced >= make.count || make.parts.len() == 1 {
                let mut left = make.count;
                for &(k, n) in &make.parts {
                    let n = if make.parts.len() == 1 { left } else { n.min(left) };
                    plain[k as usize] += f64::from(n);
                    left -= n;
                }
                continue;
            }
            let all = u32_of(rows.demand.len());
            rows.demand.push(f64::from(make.count));
            for &(k, n) in &make.parts {
                rows.covers[k as usize].push((all, 1.0));
                if n > 0 {
                    rows.covers[k as usize].push((u32_of(rows.demand.len()), 1.0));
                    rows.demand.push(f64::from(n));
                }
            }
            rows.wanted.push(Wanted {
                choice: make.parts.iter().map(|p| p.0).collect(),
                free: f64::from(make.count - forced),
                fixed: make.parts.iter().map(|&(k, n)| (k, f64::from(n))).collect(),
            });
        }
        for (k, &n) in plain.iter().enumerate() {
            if n > 0.0 {
                rows.covers[k].push((u32_of(rows.demand.len()), 1.0));
                rows.demand.push(n);
                rows.wanted.push(Wanted { choice: Vec::new(), free: 0.0, fixed: vec![(u32_of(k), n)] });
            }
        }
        rows.add_limits(&inst.limits);
        rows
    }

    /// Follows rows to their new places.
    pub(crate) fn drop_rows(&mut self, place: &[Option<u32>]) {
        for covers in &mut self.covers {
            covers.retain_mut(|c| match place[c.0 as usize] {
                Some(p) => {
                    c.0 = p;
                    true
                }
                None => false,
            });
        }
        let mut i = 0;
        self.demand.retain(|_| {
            i += 1;
            place[i - 1].is_some()
        });
        for row in &mut self.of_limits {
            *row = place[*row as usize].unwrap_or(0);
        }
    }

    /// Asks for what is left instead. Only with a row per class.
    pub(crate) fn change_demand(&mut self, left: &[u32], limits: &[i64]) {
        for (covers, &n) in self.covers.iter().zip(left) {
            covers.iter().for_each(|c| self.demand[c.0 as usize] = f64::from(n));
        }
        for (&row, &limit) in self.of_limits.iter().zip(limits) {
            self.demand[row as usize] = -(limit as f64);
        }
        let fixed = left.iter().enumerate().map(|(k, &n)| (u32_of(k), f64::from(n))).filter(|w| w.1 > 0.0).collect();
        self.wanted = vec![Wanted { choice: Vec::new(), free: 0.0, fixed }];
    }

    fn add_limits(&mut self, limits: &[i64]) {
        for &limit in limits {
            self.of_limits.push(u32_of(self.demand.len()));
            self.demand.push(-(limit as f64));
        }
    }
}
