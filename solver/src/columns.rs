//! Column generation with aggregated rows: classes with few to a bin, or limits of their own, have a row each; the others
//! share one row per (label, dimension), so that the master has tens of rows instead of hundreds.

use crate::effort::Meter;
use crate::instance::{Instance, Pattern};
use crate::knapsack::{Scratch, price};
use crate::master::{Column, Master};
use crate::num::u32_of;
use crate::parallel::in_parts;

/// How classes map to rows of the master.
pub(crate) struct Rows {
    /// Per class: (row, amount one of it covers).
    pub covers: Vec<Vec<(u32, f64)>>,
    demand: Vec<f64>,
    /// By class: the unit that shares quotas when pouring (a label, or the class itself).
    pub unit: Vec<u32>,
    pub n_units: usize,
    /// Row of each limit.
    limit_rows: Vec<u32>,
}

/// How hard to try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    /// Nodes of depth-first search per offer and round; 0 keeps to the relaxation.
    pub nodes: usize,
    pub rounds: usize,
    /// Stop when the objective is within this share of the bound.
    pub tolerance: f64,
    /// Columns added per round.
    pub columns: usize,
    /// Weight of the stability centre (Wentges smoothing).
    pub smoothing: f64,
}

/// What column generation ends with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Generated {
    /// (offer, amount, contents) in use.
    pub used: Vec<(u32, f64, Pattern)>,
    /// Good columns for a later start.
    pub pool: Vec<(u32, Pattern)>,
    /// Values per class with the best bound seen.
    pub values: Vec<f64>,
    pub limit_prices: Vec<f64>,
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
            limit_rows: Vec::new(),
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
        for &limit in limits {
            rows.limit_rows.push(u32_of(rows.demand.len()));
            rows.demand.push(-(limit as f64));
        }
        rows
    }

    fn column<const R: usize>(
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
            sums[self.limit_rows[limit as usize] as usize] -= weight as f64;
        }
        let rows = sums.iter().enumerate().filter(|s| *s.1 != 0.0).map(|(i, &s)| (u32_of(i), s)).collect();
        Some(Column::new(offer, inst.offers[offer as usize].price, rows, used))
    }

    /// Artificial columns: a price per row that any real column beats.
    fn start<const R: usize>(&self, inst: &Instance<R>, left: &[u32], seed: &[f64]) -> Vec<Option<(f64, f64)>> {
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
                let a_price = if alone[k].is_finite() { alone[k] * 1.05 } else { seed[k] * 10.0 + 1.0 };
                rate[row as usize] = rate[row as usize].max((3.0 * seed[k]).max(a_price) / a);
            }
        }
        let first_limit = self.demand.len() - self.limit_rows.len();
        (0..self.demand.len())
            .map(|i| {
                let chunk = (self.demand[i] / 10.0).max(1.0);
                (i < first_limit).then_some((rate[i].max(1e-3) * chunk, chunk))
            })
            .collect()
    }

    fn values(&self, duals: &[f64], k: usize) -> f64 {
        self.covers[k].iter().map(|&(row, a)| duals[row as usize].max(0.0) * a).sum()
    }
}

/// One offer's column found by pricing.
struct Candidate {
    ratio: f64,
    bound: f64,
    pattern: Pattern,
    operations: usize,
}

/// Generates columns for what is `left`, starting from `pool` and the values `seed`.
#[expect(clippy::too_many_arguments, reason = "one call site each; a struct would only rename them")]
pub(crate) fn generate<const R: usize>(
    inst: &Instance<R>,
    own: &[bool],
    left: &[u32],
    limits: &[i64],
    pool: &[(u32, Pattern)],
    seed: &[f64],
    tuning: Tuning,
    threads: usize,
    meter: &mut Meter,
) -> Generated {
    let rows = Rows::new(inst, own, left, limits);
    let mut sums = Vec::new();
    let mut master = Master::new(rows.demand.clone(), &rows.start(inst, left, seed));
    for (offer, pattern) in pool {
        if let Some(column) = rows.column(inst, *offer, pattern, left, &mut sums) {
            master.add(column);
        }
    }
    master.optimise(0, 5000, meter);
    let classes = inst.classes.len();
    let limit_price =
        |duals: &[f64]| -> Vec<f64> { rows.limit_rows.iter().map(|&r| duals[r as usize].max(0.0)).collect() };
    let mut values = seed.to_vec();
    let mut at_limits = vec![0.0; limits.len()];
    let mut centre = (values.clone(), at_limits.clone());
    let (mut centre_bound, mut smoothing, mut stalled, mut round) = (0.0f64, tuning.smoothing, 0, 0);
    let mut last = vec![f64::INFINITY; inst.n_new];
    while !meter.is_out() || round == 0 {
        round += 1;
        let full = round % 4 == 1 || stalled > 0;
        let share = if round == 1 { 0.9 } else { 0.97 };
        let full_price = |o: usize| {
            let offer = &inst.offers[o];
            offer.price + offer.uses.iter().map(|u| at_limits[u.0 as usize] * u.1 as f64).sum::<f64>()
        };
        let found = in_parts(threads, inst.n_new, 48, |range| {
            let mut scratch = Scratch::default();
            range
                .map(|o| {
                    if !full && last[o] < 0.95 {
                        return None;
                    }
                    let mut pattern = Pattern::new();
                    let full_price = full_price(o);
                    scratch.operations = 0;
                    let offer = &inst.offers[o];
                    let p =
                        price(inst, offer, &values, left, full_price * share, tuning.nodes, &mut scratch, &mut pattern);
                    Some(Candidate {
                        ratio: p.value / full_price,
                        bound: p.bound / full_price,
                        pattern,
                        operations: scratch.operations,
                    })
                })
                .collect()
        });
        let (mut worst, mut worst_found) = (0.0f64, 0.0f64);
        let mut order: Vec<usize> = Vec::new();
        for (o, c) in found.iter().enumerate() {
            let Some(c) = c else { continue };
            last[o] = c.bound;
            worst = worst.max(c.bound);
            worst_found = worst_found.max(c.ratio);
            meter.charge(c.operations + 8);
            if c.ratio > 0.0 {
                order.push(o);
            }
        }
        let total: f64 = (0..classes).map(|k| values[k] * f64::from(left[k])).sum();
        let used: f64 = at_limits.iter().zip(limits).map(|(p, &l)| p * l as f64).sum();
        // With integer contents the found value serves as a pseudo bound for choosing the centre.
        let scale = if tuning.nodes > 0 { worst_found.max(worst * 0.8) } else { worst };
        let bound = total / scale.max(1e-12) - used;
        let better = full && bound > centre_bound;
        if better {
            centre_bound = bound;
            centre = (values.iter().map(|v| v / scale.max(1e-12)).collect(), at_limits.clone());
        }
        let ratio = |o: usize| found[o].as_ref().map_or(0.0, |c| c.ratio);
        order.sort_by(|&a, &b| ratio(b).total_cmp(&ratio(a)).then(a.cmp(&b)));
        let before = master.objective();
        let first_new = master.columns.len();
        for o in order {
            let Some(candidate) = &found[o] else { continue };
            if let Some(column) = rows.column(inst, u32_of(o), &candidate.pattern, left, &mut sums)
                && master.reduced_cost(&column) < -1e-6 * column.price
            {
                master.add(column);
                if master.columns.len() - first_new >= tuning.columns {
                    break;
                }
            }
        }
        let added = master.columns.len() - first_new;
        if added > 0 {
            master.optimise(first_new, 3000, meter);
            master.optimise(0, 3000, meter);
        }
        let objective = master.objective();
        if round >= tuning.rounds || objective <= centre_bound * (1.0 + tuning.tolerance) {
            break;
        }
        if added == 0 && full {
            if smoothing < 0.05 {
                break;
            }
            smoothing = if smoothing < 0.2 { 0.0 } else { smoothing * 0.5 };
        }
        if (before - objective) < 1e-4 * before {
            stalled += 1;
            if stalled > 4 {
                if smoothing == 0.0 {
                    break;
                }
                smoothing = 0.0;
                stalled = 1;
            }
        } else {
            stalled = 0;
            if better {
                smoothing = (smoothing + 0.1).min(tuning.smoothing);
            }
        }
        for k in 0..classes {
            if left[k] > 0 {
                values[k] = smoothing * centre.0[k] + (1.0 - smoothing) * rows.values(&master.duals, k);
            }
        }
        for (i, p) in limit_price(&master.duals).into_iter().enumerate() {
            at_limits[i] = smoothing * centre.1[i] + (1.0 - smoothing) * p;
        }
    }
    let used =
        master.in_use().into_iter().map(|(c, x)| (master.columns[c].offer, x, master.columns[c].pattern.clone()));
    let used: Vec<_> = used.collect();
    let mut best: Vec<(f64, usize)> = master
        .columns
        .iter()
        .enumerate()
        .filter(|c| c.1.offer != u32::MAX)
        .map(|(i, c)| (master.reduced_cost(c) / c.price, i))
        .collect();
    best.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    best.truncate(3 * rows.demand.len() + 60);
    let pool = best.into_iter().map(|(_, i)| (master.columns[i].offer, master.columns[i].pattern.clone())).collect();
    Generated { used, pool, values: centre.0, limit_prices: centre.1 }
}
