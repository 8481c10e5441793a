//! Column generation: asks which contents of which offer would lower the cost of the plan, until none would.

use crate::effort::Meter;
use crate::instance::{Instance, Pattern};
use crate::knapsack::{Scratch, price};
use crate::master::{Master, ROUGH};
use crate::num::u32_of;
use crate::parallel::in_parts;
use crate::program::Program;
use crate::repair::repair;
use crate::rows::Rows;

/// Nodes of a search that is always affordable.
const SHORT: usize = 50;

/// What is not covered becomes dearer by this factor at a time at first, and by up to the other one.
const HARDER: f64 = 1.05;
const MUCH_HARDER: f64 = 4.0;

/// How hard to try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    /// Nodes of depth-first search per offer and round; 0 keeps to the relaxation.
    pub nodes: usize,
    /// Nodes to go up to once nothing is found with fewer.
    pub most_nodes: usize,
    pub rounds: usize,
    /// Stop when the objective is within this share of the bound.
    pub tolerance: f64,
    /// A round that gains less than this share counts as stalled.
    pub stall: f64,
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
    /// What the values are short of the cost of the columns in use, as a factor.
    pub lift: f64,
}

/// What is to be planned.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a, const R: usize> {
    pub inst: &'a Instance<R>,
    /// Most of each class in one column.
    pub most: &'a [u32],
    pub threads: usize,
}

/// One offer's column found by pricing; at a bound of infinity a second one for the same offer.
struct Candidate<const R: usize> {
    offer: u32,
    ratio: f64,
    bound: f64,
    pattern: Pattern,
    /// The resource prices at its relaxation.
    near: [f64; R],
    operations: usize,
}

/// Values per class and prices per limit.
#[derive(Clone)]
pub(crate) struct Duals {
    pub values: Vec<f64>,
    pub at_limits: Vec<f64>,
}

impl Duals {
    /// The price of an offer with what it uses of limits.
    pub(crate) fn full_price<const R: usize>(&self, inst: &Instance<R>, o: usize) -> f64 {
        let offer = &inst.offers[o];
        offer.price + offer.uses.iter().map(|u| self.at_limits[u.0 as usize] * u.1 as f64).sum::<f64>()
    }
}

/// Generates columns for the program, starting from the values `seed`.
pub(crate) fn generate<const R: usize>(
    task: Task<'_, R>,
    program: &mut Program,
    seed: &[f64],
    tuning: Tuning,
    meter: &mut Meter,
) -> Generated {
    let centre = extend(task, program, seed, tuning, meter);
    let worth = program.rows.worth(&centre.values, &centre.at_limits);
    let lift = (program.master.objective() / worth.max(1e-12)).clamp(1.0, 1.5);
    collect(&program.master, &program.rows, centre, lift)
}

/// Generates columns for the program; returns the values with the best bound seen.
pub(crate) fn extend<const R: usize>(
    task: Task<'_, R>,
    program: &mut Program,
    seed: &[f64],
    tuning: Tuning,
    meter: &mut Meter,
) -> Duals {
    let Task { inst, most, .. } = task;
    let mut sums = Vec::new();
    // To the end is not worth it while columns are still coming.
    let pivots = program.rows.demand.len() * 4;
    let mut now = Duals { values: seed.to_vec(), at_limits: vec![0.0; inst.limits.len()] };
    let mut centre = now.clone();
    let (mut centre_bound, mut smoothing, mut stalled, mut round) = (0.0f64, tuning.smoothing, 0, 0);
    let mut last = vec![f64::INFINITY; inst.n_new];
    let mut near = vec![[0.0; R]; inst.n_new];
    let mut nodes = tuning.nodes;
    let mut harder = HARDER;
    while !meter.is_out() || round == 0 {
        round += 1;
        let full = round % 3 == 1 || stalled > 0;
        let share = if round == 1 { 0.9 } else { 0.97 };
        let asked = |o: usize| full || last[o] >= 0.95;
        let look = nodes.min(meter.nodes_for((0..inst.n_new).filter(|&o| asked(o)).count()).max(SHORT));
        let mut found = price_all(task, &now, share, look, &near, asked);
        let mut worst = 0.0f64;
        for c in &found {
            if c.bound.is_finite() {
                last[c.offer as usize] = c.bound;
                near[c.offer as usize] = c.near;
                worst = worst.max(c.bound);
            }
            meter.charge(c.operations + 8);
        }
        let mut candidate = (now.clone(), worst.max(1e-12));
        if full && nodes > 0 {
            // Few to a bin: lower only what is too valuable. What is not searched to the end counts as fine here; the
            // certificate looks closer.
            let legal: &[f64] = if centre_bound > 0.0 { &centre.values } else { &[] };
            let mut order: Vec<&Candidate<R>> = found.iter().filter(|c| c.bound.is_finite() && c.ratio > 1.0).collect();
            order.sort_by(|a, b| b.ratio.total_cmp(&a.ratio).then(a.offer.cmp(&b.offer)));
            let order: Vec<u32> = order.into_iter().map(|c| c.offer).collect();
            let full_price = |o: usize| now.full_price(inst, o);
            let repaired = repair(inst, &now.values, legal, most, &order, full_price, nodes, meter);
            candidate.0.values = repaired.values;
            candidate.1 = 1.0 + 2e-4;
            found.extend(repaired.patterns.into_iter().map(|(offer, pattern)| Candidate {
                offer,
                ratio: 1.0,
                bound: f64::INFINITY,
                pattern,
                near: [0.0; R],
                operations: 0,
            }));
        }
        let bound = program.rows.worth(&candidate.0.values, &candidate.0.at_limits) / candidate.1;
        let better = full && bound > centre_bound;
        let proved_more = better && bound > centre_bound * (1.0 + tuning.stall);
        if better {
            centre_bound = bound;
            let (duals, scale) = candidate;
            centre = Duals {
                values: duals.values.iter().map(|v| v / scale).collect(),
                at_limits: duals.at_limits.iter().map(|v| v / scale).collect(),
            };
        }
        found.retain(|c| c.ratio > 0.0);
        meter.charge(found.len() * (program.rows.demand.len() + 40));
        found.sort_by(|a, b| b.ratio.total_cmp(&a.ratio).then(a.offer.cmp(&b.offer)).then(b.bound.total_cmp(&a.bound)));
        let before = program.master.objective();
        let first_new = program.master.columns.len();
        for c in &found {
            if let Some(column) = program.rows.column(inst, c.offer, &c.pattern, most, &mut sums)
                && program.master.reduced_cost(&column) < -2.5 * ROUGH * column.price
            {
                program.master.add(column);
                if program.master.columns.len() - first_new >= tuning.columns {
                    break;
                }
            }
        }
        let added = program.master.columns.len() - first_new;
        if added > 0 {
            program.master.optimise(pivots, meter);
        }
        let objective = program.master.objective();
        if round >= tuning.rounds {
            break;
        }
        let mut converged = objective <= centre_bound * (1.0 + tuning.tolerance);
        if added == 0 && full {
            converged |= smoothing < 0.05;
            smoothing = if smoothing < 0.2 { 0.0 } else { smoothing * 0.5 };
        }
        if before - objective < tuning.stall * before && !proved_more {
            stalled += 1;
            if stalled > 4 {
                converged |= smoothing == 0.0;
                smoothing = 0.0;
                stalled = 1;
            }
        } else {
            stalled = 0;
            if better {
                smoothing = (smoothing + 0.1).min(tuning.smoothing);
            }
        }
        if converged && program.harden(harder, meter) {
            // The next step is larger where this one was for nothing.
            harder = if added == 0 { (harder * harder).min(MUCH_HARDER) } else { harder };
            stalled = 0;
            smoothing = tuning.smoothing;
        } else if converged {
            if nodes >= tuning.most_nodes {
                break;
            }
            // Look closer: what seemed legal may not be, so the centre has to prove itself again.
            nodes = (nodes * 8).max(25).min(tuning.most_nodes);
            centre_bound *= 0.5;
            stalled = 1;
            smoothing = tuning.smoothing;
        }
        // The bound does not depend on the scale of the values, so the centre is scaled to the duals' total: mixed with
        // a centre that is worth less, columns that improve would seem not to.
        let centre_worth = program.rows.worth(&centre.values, &centre.at_limits);
        let lift = (objective / centre_worth.max(1e-12)).clamp(1.0, 4.0) * smoothing;
        for (k, v) in now.values.iter_mut().enumerate() {
            if !program.rows.covers[k].is_empty() {
                *v = lift * centre.values[k] + (1.0 - smoothing) * program.rows.value(&program.master.duals, k);
            }
        }
        for (l, p) in now.at_limits.iter_mut().enumerate() {
            *p = lift * centre.at_limits[l] + (1.0 - smoothing) * program.rows.limit_price(&program.master.duals, l);
        }
    }
    centre
}

/// Prices every offer that is asked, at full price: its own plus what it uses of limits.
fn price_all<const R: usize>(
    task: Task<'_, R>,
    now: &Duals,
    share: f64,
    nodes: usize,
    near: &[[f64; R]],
    asked: impl Fn(usize) -> bool + Sync,
) -> Vec<Candidate<R>> {
    let inst = task.inst;
    in_parts(task.threads, inst.n_new, 48, |range| {
        let mut scratch = Scratch::default();
        let mut rest = task.most.to_vec();
        let mut found = Vec::new();
        for o in range.filter(|&o| asked(o)) {
            let offer = &inst.offers[o];
            let full_price = now.full_price(inst, o);
            let mut one = |most: &[u32], second: bool| {
                let mut pattern = Pattern::new();
                scratch.operations = 0;
                let skip = full_price * share;
                let mut near = near[o];
                let p = price(inst, offer, &now.values, most, skip, nodes, &mut near, &mut scratch, &mut pattern);
                Candidate {
                    offer: u32_of(o),
                    ratio: p.value / full_price,
                    bound: if second { f64::INFINITY } else { p.bound / full_price },
                    pattern,
                    near,
                    operations: scratch.operations,
                }
            };
            let first = one(task.most, false);
            if nodes > 0 && first.ratio > 1.02 {
                // A second column of other classes: far from the optimum each round can use it.
                for &(k, n) in &first.pattern {
                    rest[k as usize] -= n;
                }
                let second = one(&rest, true);
                for &(k, n) in &first.pattern {
                    rest[k as usize] += n;
                }
                if second.ratio > 1.0 {
                    found.push(second);
                }
            }
            found.push(first);
        }
        found
    })
}

/// What the program has by now, with these values.
pub(crate) fn collect(master: &Master, rows: &Rows, centre: Duals, lift: f64) -> Generated {
    let column = |c: usize| (master.columns[c].offer, master.columns[c].pattern.clone());
    let used = master
        .in_use()
        .into_iter()
        .map(|(c, x)| {
            let (offer, pattern) = column(c);
            (offer, x, pattern)
        })
        .collect();
    let mut best: Vec<(f64, usize)> = master
        .columns
        .iter()
        .enumerate()
        .filter(|c| c.1.offer != u32::MAX)
        .map(|(i, c)| (master.reduced_cost(c) / c.price, i))
        .collect();
    best.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    best.truncate(3 * rows.demand.len() + 60);
    let pool = best.into_iter().map(|(_, i)| column(i)).collect();
    Generated { used, pool, values: centre.values, limit_prices: centre.at_limits, lift }
}
