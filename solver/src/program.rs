//! The master with its rows, kept between plans, so that what follows begins where the last one ended.

use crate::effort::Meter;
use crate::instance::{Instance, Pattern};
use crate::master::{Master, ROUGH};
use crate::rows::Rows;

/// What is not covered yet never costs less than this share of what any real column beats, however little it seems worth.
const LEAST: f64 = 0.02;

/// Columns that no longer fit what is left cost so many times their price until they are out of use.
const GONE: f64 = 50.0;

/// See the module.
pub(crate) struct Program {
    pub rows: Rows,
    pub master: Master,
    /// By row: the price of its artificial column that any real column beats.
    pub hard: Vec<f64>,
}

impl Program {
    /// Begins with the columns in `pool`. With `soft`, what is not covered yet costs only so much more than `seed` says it
    /// is worth: where the seed is near the truth, so are the first duals.
    pub(crate) fn new<const R: usize>(
        inst: &Instance<R>,
        rows: Rows,
        most: &[u32],
        pool: &[(u32, Pattern)],
        seed: &[f64],
        soft: Option<f64>,
        meter: &mut Meter,
    ) -> Self {
        let mut start = rows.start(inst, most, seed);
        let hard = start.iter().map(|s| s.map_or(0.0, |s| s.0)).collect();
        if let Some(soft) = soft {
            for (k, covers) in rows.covers.iter().enumerate() {
                if let [(row, _)] = covers.as_slice()
                    && let Some((price, chunk)) = &mut start[*row as usize]
                    && seed[k] > 0.0
                {
                    *price = price.min((seed[k] * *chunk * soft).max(*price * LEAST));
                }
            }
        }
        let mut master = Master::new(rows.demand.clone(), &start, ROUGH);
        let mut sums = Vec::new();
        for (offer, pattern) in pool {
            if let Some(column) = rows.column(inst, *offer, pattern, most, &mut sums) {
                master.add(column);
            }
        }
        meter.charge(pool.len() * (rows.demand.len() + 40));
        master.optimise(5000, meter);
        Self { rows, master, hard }
    }

    /// Asks for what is left instead, with as much of each column as can still be used. Only with a row per class.
    pub(crate) fn take_out<const R: usize>(
        &mut self,
        inst: &Instance<R>,
        taken: &[(usize, u32)],
        left: &[u32],
        limits: &[i64],
        meter: &mut Meter,
    ) -> bool {
        let Self { rows, master, hard } = self;
        rows.change_demand(left, limits);
        if !master.take_out(taken, &rows.demand, meter) {
            return false;
        }
        let mut sums = Vec::new();
        let mut dead = vec![false; master.columns.len()];
        let mut new = Vec::new();
        for (c, column) in master.columns.iter().enumerate().filter(|c| c.1.offer != u32::MAX) {
            if column.pattern.iter().all(|&(k, n)| n <= left[k as usize]) {
                continue;
            }
            dead[c] = true;
            if let Some(column) = rows.column(inst, column.offer, &column.pattern, left, &mut sums)
                && master.reduced_cost(&column) < 0.3 * column.price
            {
                new.push(column);
            }
        }
        meter.charge(new.len() * (rows.demand.len() + 40) + dead.len() * 8);
        new.sort_by(|a, b| (a.offer, &a.pattern).cmp(&(b.offer, &b.pattern)));
        new.dedup_by(|a, b| a.offer == b.offer && a.pattern == b.pattern);
        let dearer: Vec<Option<f64>> = master
            .columns
            .iter()
            .zip(&dead)
            .map(|(c, dead)| dead.then(|| inst.offers[c.offer as usize].price * GONE))
            .collect();
        master.change_prices(|c| dearer[c], meter);
        master.keep_columns(|c| !dead[c]);
        new.into_iter().for_each(|column| master.add(column));
        master.optimise(4 * rows.demand.len(), meter);
        if rows.demand.iter().filter(|&&d| d == 0.0).count() * 8 > rows.demand.len() {
            let place = master.drop_rows(rows.demand.len() - limits.len());
            rows.drop_rows(&place);
            let mut i = 0;
            hard.retain(|_| {
                i += 1;
                place[i - 1].is_some()
            });
        }
        true
    }

    /// The columns that are offers filled.
    pub(crate) fn columns(&self) -> Vec<(u32, Pattern)> {
        let real = self.master.columns.iter().filter(|c| c.offer != u32::MAX);
        real.map(|c| (c.offer, c.pattern.clone())).collect()
    }

    /// Makes what is not covered yet dearer by a factor, up to what any real column beats; whether there was any that may be.
    pub(crate) fn harden(&mut self, by: f64, meter: &mut Meter) -> bool {
        let Self { master, hard, rows } = self;
        let used = master.artificial_in_use();
        let soft = |c: usize| {
            let row = master.columns[c].rows[0].0 as usize;
            let price = master.columns[c].price;
            (price < hard[row] * 0.999).then(|| (price * by).min(hard[row]))
        };
        let new: Vec<(usize, f64)> = used.iter().filter_map(|&c| Some((c, soft(c)?))).collect();
        if new.is_empty() {
            return false;
        }
        master.change_prices(|c| new.iter().find(|n| n.0 == c).map(|n| n.1), meter);
        master.optimise(4 * rows.demand.len(), meter);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::BitSet;
    use crate::columns::{Task, Tuning, generate};
    use crate::effort::{Cancel, Effort};
    use crate::noise::Noise;
    use crate::problem::{BinKind, Cap, Item, Problem};
    use crate::shapes::Shapes;

    const COSTS: [i64; 3] = [410, 700, 1300];

    /// Twelve sizes of things, three sizes of bins, and a limit on the largest that is far away.
    fn instance(noise: &mut Noise) -> Instance<2> {
        let kinds: Vec<BinKind> = COSTS
            .iter()
            .enumerate()
            .map(|(i, &cost)| BinKind { holds: vec![40 << i, 64 << i], cost: cost * 1000, ..BinKind::default() })
            .collect();
        let mut within = |most: usize| i64::try_from(1 + noise.below(most)).unwrap();
        let items = (0..12).map(|_| Item {
            needs: vec![within(20), within(30)],
            count: u32::try_from(within(30)).unwrap(),
            allowed: BitSet::full(3),
            ..Item::default()
        });
        let caps = vec![Cap { kinds: BitSet::of(3, [2]), weights: vec![0, 0, 1], limit: 500 }];
        let problem = Problem { dims: 2, items: items.collect(), kinds, caps, ..Problem::default() };
        Instance::new(&problem, &Shapes::new(&problem, &COSTS.map(|c| c * 1000)), &[0, 1])
    }

    const TUNING: Tuning =
        Tuning { nodes: 100, most_nodes: 100, rounds: 200, stall: 1e-6, tolerance: 1e-6, columns: 40, smoothing: 0.3 };

    #[test]
    fn what_is_soft_at_first_ends_as_if_it_had_been_hard() {
        let mut noise = Noise::new(8);
        for _ in 0..20 {
            let inst = instance(&mut noise);
            let most = inst.demand();
            let meter = &mut Meter::new(Effort(1_000_000), &Cancel::new());
            let seed: Vec<f64> =
                crate::duals::resource_values(&inst, meter).iter().map(|v| v * (0.7 + 0.3 * noise.unit())).collect();
            let own = vec![true; inst.classes.len()];
            let cost = |soft: Option<f64>| {
                let meter = &mut Meter::new(Effort(1_000_000), &Cancel::new());
                let rows = Rows::new(&inst, &own, &most, &inst.limits);
                let mut program = Program::new(&inst, rows, &most, &[], &seed, soft, meter);
                generate(Task { inst: &inst, most: &most, threads: 1 }, &mut program, &seed, TUNING, meter);
                assert!(program.master.artificial_in_use().len() <= 1, "next to everything is covered by columns");
                program.master.objective()
            };
            let (soft, hard) = (cost(Some(1.01)), cost(None));
            assert!((soft / hard - 1.0).abs() < 0.003, "{soft} {hard}");
        }
    }

    #[test]
    fn what_seemed_worth_nothing_is_covered_after_few_rounds() {
        let mut noise = Noise::new(11);
        for _ in 0..20 {
            let inst = instance(&mut noise);
            let most = inst.demand();
            let meter = &mut Meter::new(Effort(1_000_000), &Cancel::new());
            let mut seed = crate::duals::resource_values(&inst, meter);
            seed[0] *= 1e-6;
            let own = vec![true; inst.classes.len()];
            let tuning = Tuning { rounds: 60, stall: 5e-4, tolerance: 0.003, ..TUNING };
            let cost = |soft: Option<f64>| {
                let meter = &mut Meter::new(Effort(1_000_000), &Cancel::new());
                let rows = Rows::new(&inst, &own, &most, &inst.limits);
                let mut program = Program::new(&inst, rows, &most, &[], &seed, soft, meter);
                generate(Task { inst: &inst, most: &most, threads: 1 }, &mut program, &seed, tuning, meter);
                program.master.objective()
            };
            let (soft, hard) = (cost(Some(1.01)), cost(None));
            assert!((soft / hard - 1.0).abs() < 0.02, "{soft} {hard}");
        }
    }

    #[test]
    fn copies_taken_out_leave_columns_that_can_still_be_used_whole() {
        let mut noise = Noise::new(9);
        let mut taken_out = 0;
        for _ in 0..20 {
            let inst = instance(&mut noise);
            let (mut left, mut limits) = (inst.demand(), inst.limits.clone());
            let meter = &mut Meter::new(Effort(1_000_000), &Cancel::new());
            let seed = crate::duals::resource_values(&inst, meter);
            let rows = Rows::new(&inst, &vec![true; inst.classes.len()], &left, &limits);
            let mut program = Program::new(&inst, rows, &left, &[], &seed, None, meter);
            generate(Task { inst: &inst, most: &left, threads: 1 }, &mut program, &seed, TUNING, meter);
            let mut taken = Vec::new();
            for (c, _) in program.master.in_use() {
                let column = &program.master.columns[c];
                let uses = &inst.offers[column.offer as usize].uses;
                if column.pattern.iter().all(|&(k, n)| n <= left[k as usize])
                    && uses.iter().all(|&(l, w)| w <= limits[l as usize])
                {
                    column.pattern.iter().for_each(|&(k, n)| left[k as usize] -= n);
                    uses.iter().for_each(|&(l, w)| limits[l as usize] -= w);
                    taken.push((c, 1));
                }
            }
            if !program.take_out(&inst, &taken, &left, &limits, meter) {
                continue;
            }
            taken_out += 1;
            let whole = |c: &crate::master::Column| c.pattern.iter().all(|&(k, n)| n <= left[k as usize]);
            for (c, _) in program.master.in_use() {
                assert!(whole(&program.master.columns[c]), "{:?} of {left:?}", program.master.columns[c]);
            }
            assert_eq!(program.rows.demand.len(), program.hard.len());
            assert!(left.iter().zip(&program.rows.covers).all(|(&n, rows)| n == 0 || !rows.is_empty()));
        }
        assert!(taken_out >= 10, "{taken_out} of 20 are taken out");
    }
}
