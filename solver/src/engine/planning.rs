//! Plans: columns for what is to be packed, the bound that they prove, and packings made from those with a row per class.

use super::{Engine, MORE_NODES, MOST_ROWS};
use crate::bound::certify;
use crate::choices::with_choices;
use crate::coarse::Coarse;
use crate::columns::{Duals, Generated, Task, Tuning, collect, generate};
use crate::descend::Descend;
use crate::dive::Draft;
use crate::effort::Meter;
use crate::guide::Guide;
use crate::hone::{add, hone};
use crate::instance::Pattern;
use crate::program::Program;
use crate::rows::Rows;

/// Classes times offers up to which a problem is proven itself, beside its smaller one.
const SMALL: usize = 30_000;

/// Classes that a smaller problem should have where few things fill a bin.
const MOST_COARSE: usize = 80;

/// Classes times offers of a smaller problem are at most this share of the whole's.
const SMALLER: f64 = 0.8;

/// What is not covered by columns yet costs so many times what it is worth, where that is nearly known.
const SOFT: f64 = 1.02;

/// What a plan is to be like.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    /// By class: whether it has a row of its own.
    pub own: &'a [bool],
    pub tuning: Tuning,
    /// Nodes of search per offer for the bound.
    pub nodes: usize,
    /// Whether the values are near the truth already.
    pub is_near: bool,
}

impl<const R: usize> Engine<'_, R> {
    /// Columns with a row per class, started from those known, and a packing from them. The first time it is content with
    /// less.
    pub(super) fn class_level(&mut self, is_first: bool, meter: &mut Meter) {
        let inst = self.inst;
        let few = self.has_mostly_few();
        let start = Draft::start(inst, &self.values, meter);
        let all = vec![true; inst.classes.len()];
        let tuning = Tuning {
            nodes: if few { 200 } else { 0 },
            most_nodes: if few { MORE_NODES } else { 200 },
            rounds: if few {
                400
            } else if is_first {
                8
            } else {
                20
            },
            stall: 1e-4,
            tolerance: if is_first { 0.005 } else { 0.001 },
            columns: 60,
            smoothing: 0.6,
        };
        let rounds = if is_first { 3 } else { 8 };
        let again =
            Tuning { nodes: 50, most_nodes: 50, rounds, stall: 5e-4, tolerance: 0.005, columns: 40, smoothing: 0.3 };
        let nodes = if few { 300 } else { 200 };
        let mut pool = self.patterns();
        pool.extend(self.pool.iter().cloned());
        pool.append(&mut self.lacking);
        let wish = Wish { own: &all, tuning, nodes, is_near: true };
        if few || !is_first {
            // Its bound is short without a search also where many things fit a bin, and it is small enough for one.
            let tuning = Tuning {
                nodes: tuning.nodes.max(50),
                most_nodes: tuning.most_nodes.max(400),
                rounds: tuning.rounds.max(60),
                ..tuning
            };
            self.plan_smaller(&start, Wish { tuning, ..wish }, &mut pool, meter);
        }
        let (plan, mut program) = self.plan_whole(&start, wish, &pool, meter);
        if !is_first {
            self.prove_with_choices(&plan.pool, nodes / 4, meter);
        }
        self.values.clone_from(&plan.values);
        let guide = Guide::new(inst, &plan.values, meter);
        self.pool.clone_from(&plan.pool);
        let mut draft = start;
        let share = if is_first { 0.15 } else { 0.1 };
        Descend { guide: &guide, again, share, threads: self.threads }.run(&mut draft, &mut program, meter);
        self.offer(draft);
    }

    /// Makes the smaller problem, if it is much smaller. `price` is what a unit of each dimension is worth.
    pub(super) fn make_coarse(&mut self, price: &[f64; R], meter: &mut Meter) {
        let few = self.has_mostly_few();
        let mut coarse = Coarse::new(self.inst, &self.values, price, 0.0);
        for similar in [0.02, 0.04, 0.08] {
            // Searches are long where few things fill a bin, so classes are joined that are not quite equal.
            if few && coarse.inst.classes.len() > MOST_COARSE {
                coarse = Coarse::new(self.inst, &self.values, price, similar);
                meter.charge(self.inst.classes.len() * self.inst.n_new * 2);
            }
        }
        meter.charge(self.inst.classes.len() * self.inst.n_new * 2);
        if coarse.size(self.inst) < SMALLER {
            self.coarse = Some((coarse, Vec::new()));
        }
    }

    /// Columns of the smaller problem and the bound that they prove; extends `pool` by what they are in the whole one. False
    /// where there is none.
    pub(super) fn plan_smaller(
        &mut self,
        start: &Draft<R>,
        wish: Wish<'_>,
        pool: &mut Vec<(u32, Pattern)>,
        meter: &mut Meter,
    ) -> bool {
        let Some((coarse, mut legal)) = self.coarse.take() else { return false };
        let left = coarse.sums(&start.left);
        let rows = Rows::new(&coarse.inst, &coarse.any(wish.own), &left, &start.budget.0);
        let task = Task { inst: &coarse.inst, most: &left, threads: self.threads };
        let seed = coarse.gather(&self.values);
        let soft = wish.is_near.then_some(SOFT * self.lift);
        let mut part = meter.part(meter.left() / 3);
        let mut known = coarse.project(pool);
        known.append(&mut self.coarse_pool);
        known.sort_unstable();
        known.dedup();
        let mut program = Program::new(&coarse.inst, rows, &left, &known, &seed, soft, &mut part);
        let mut plan = generate(task, &mut program, &seed, wish.tuning, &mut part);
        meter.absorb(&part);
        let certify = |values: &[f64], limit_prices: &[f64], legal: &[f64], meter: &mut Meter| {
            let part = &mut meter.part(meter.left() / 4);
            let found = certify(&coarse.inst, values, limit_prices, legal, wish.nodes, self.threads, part);
            meter.absorb(part);
            found
        };
        let (mut found, lacking) = certify(&plan.values, &plan.limit_prices, &legal, meter);
        if self.has_mostly_few() && !lacking.is_empty() {
            let mut part = meter.part(meter.left() / 6);
            add(task, &mut program, &lacking, &mut part);
            let proven = Duals { values: found.values.clone(), at_limits: found.limit_prices.clone() };
            let honed = hone(task, &mut program, proven, &mut part);
            meter.absorb(&part);
            // It has looked at what is to be planned; a certificate is for all that may be packed.
            let (better, _) = certify(&honed.values, &honed.at_limits, &found.values, meter);
            plan = collect(&program.master, &program.rows, honed, plan.lift);
            if better.bound > found.bound {
                found = better;
            }
        }
        self.values = coarse.spread(&plan.values);
        self.lift = plan.lift;
        if found.bound > self.certificate.bound {
            legal.clone_from(&found.values);
            self.certificate = coarse.certificate(found);
        }
        pool.extend(coarse.expand(self.inst, &plan.used));
        self.coarse_pool = plan.pool;
        self.coarse_pool.extend(lacking);
        pool.sort_unstable();
        pool.dedup();
        self.coarse = Some((coarse, legal));
        true
    }

    /// Columns for what `start` leaves, and the bound that they prove.
    pub(super) fn plan_whole(
        &mut self,
        start: &Draft<R>,
        wish: Wish<'_>,
        pool: &[(u32, Pattern)],
        meter: &mut Meter,
    ) -> (Generated, Program) {
        let mut part = meter.part(meter.left() / 2);
        let rows = Rows::new(self.inst, wish.own, &start.left, &start.budget.0);
        let task = Task { inst: self.inst, most: &start.left, threads: self.threads };
        let soft = wish.is_near.then_some(SOFT * self.lift);
        let mut program = Program::new(self.inst, rows, &start.left, pool, &self.values, soft, &mut part);
        let plan = generate(task, &mut program, &self.values, wish.tuning, &mut part);
        meter.absorb(&part);
        self.lift = plan.lift;

        let few = self.has_mostly_few();
        let nodes = if self.is_bounded_by_coarse() && !few { 0 } else { wish.nodes };
        let part = &mut meter.part(meter.left() / if few { 2 } else { 4 });
        self.prove(&plan.values, &plan.limit_prices, nodes, part);
        meter.absorb(part);
        (plan, program)
    }

    /// Whether the smaller problem's bound has to do: it is as good where many things fit a bin, and much cheaper to prove.
    pub(super) fn is_bounded_by_coarse(&self) -> bool {
        self.coarse.is_some() && self.inst.classes.len() * self.inst.n_new > SMALL
    }

    /// Proves a better bound where spreads leave much choice: columns for the problem without the choices made, of the
    /// smaller problem where its bound has to do. (There, choices remain between domains whose menus differ.)
    pub(super) fn prove_with_choices(&mut self, pool: &[(u32, Pattern)], nodes: usize, meter: &mut Meter) {
        let threads = self.threads;
        let mut part = meter.part(meter.left() / 8);
        if self.is_bounded_by_coarse()
            && let Some((coarse, legal)) = &self.coarse
        {
            let (pool, seed) = (coarse.project(pool), coarse.gather(&self.values));
            let found = with_choices(&coarse.inst, &pool, &seed, legal, nodes, threads, &mut part);
            if let Some(found) = found.filter(|c| c.bound > self.certificate.bound) {
                self.certificate = coarse.certificate(found);
            }
        } else {
            let legal = &self.certificate.values;
            let found = with_choices(self.inst, pool, &self.values, legal, nodes, threads, &mut part);
            if let Some(found) = found.filter(|c| c.bound > self.certificate.bound) {
                self.certificate = found;
            }
        }
        meter.absorb(&part);
    }

    /// Of the classes that are meant, those most worth a row of their own, as many as a program may have rows.
    pub(super) fn with_rows(&self, mut meant: Vec<bool>) -> Vec<bool> {
        let mut order: Vec<usize> = (0..meant.len()).filter(|&k| meant[k]).collect();
        if order.len() > MOST_ROWS {
            let worth = |k: usize| self.values[k] * f64::from(self.inst.classes[k].count);
            order.sort_by(|&a, &b| worth(b).total_cmp(&worth(a)).then(a.cmp(&b)));
            order[MOST_ROWS..].iter().for_each(|&k| meant[k] = false);
        }
        meant
    }

    /// Classes whose labels few others have cannot do without rows.
    pub(super) fn has_too_many_rows(&self, own: &[bool], left: &[u32]) -> bool {
        Rows::new(self.inst, own, left, &[]).demand.len() > 2 * MOST_ROWS
    }

    /// The patterns of the best packing, as columns.
    pub(super) fn patterns(&self) -> Vec<(u32, Pattern)> {
        let mut pool: Vec<(u32, Pattern)> = self
            .best
            .iter()
            .flat_map(|b| &b.nodes)
            .filter(|n| n.is_new(self.inst))
            .map(|n| (n.offer, n.pattern.clone()))
            .collect();
        pool.sort_unstable();
        pool.dedup();
        pool
    }
}
