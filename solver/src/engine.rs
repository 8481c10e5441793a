//! The pipeline: values and an immediate bound, column generation, the first packings, polish, and class-level columns
//! with diving when there is effort for it. Keeps the best packing and the best certificate at every step.

mod few;
mod first;
mod planning;

use planning::Wish;

use crate::bound::{Certificate, certify};
use crate::buy::{Leeway, Work};
use crate::coarse::Coarse;
use crate::columns::Tuning;
use crate::dive::Draft;
use crate::duals::resource_values;
use crate::effort::{Effort, Meter};
use crate::finish::Packed;
use crate::guide::Guide;
use crate::instance::{Instance, Pattern};
use crate::noise::Noise;
use crate::num::u32_of;
use crate::polish::polish;
use crate::small::search_all;

/// The best so far.
pub(crate) struct Engine<'a, const R: usize> {
    inst: &'a Instance<R>,
    threads: usize,
    best: Option<Draft<R>>,
    pub certificate: Certificate,
    values: Vec<f64>,
    /// By class: whether few of it fill a bin.
    few: Vec<bool>,
    /// Columns of the last plan by classes.
    pool: Vec<(u32, Pattern)>,
    /// Columns of the last plan of the smaller problem.
    coarse_pool: Vec<(u32, Pattern)>,
    /// Columns that the last plan lacked, as its proof found.
    lacking: Vec<(u32, Pattern)>,
    /// A smaller problem to plan first, and values that are legal there.
    coarse: Option<(Coarse<R>, Vec<f64>)>,
    /// What the values are short of the cost, as a factor.
    lift: f64,
    /// The best packing at the end of each epoch that bettered it, but for the present one.
    ends: Vec<Draft<R>>,
    /// Whether the first epoch is longer, for a plan with a row per class.
    waits: bool,
    /// The least objective of any packing of everything, where a complete search has proven it.
    pub optimum: Option<f64>,
    /// Called with (things missing, objective, bound) at each improvement.
    watch: &'a mut dyn FnMut(u64, f64, f64),
}

/// A gap of this share of the cost is none.
const NEAR: f64 = 1e-5;

/// Rows of a program: its inverse has their square.
pub(crate) const MOST_ROWS: usize = 1500;

/// Nodes of search per offer that planning goes up to when it plans anew.
const MORE_NODES: usize = 16_000;

impl<'a, const R: usize> Engine<'a, R> {
    pub(crate) fn new(inst: &'a Instance<R>, threads: usize, watch: &'a mut dyn FnMut(u64, f64, f64)) -> Self {
        Self {
            inst,
            threads: threads.max(1),
            best: None,
            certificate: Certificate::default(),
            values: vec![0.0; inst.classes.len()],
            few: few::few_to_a_bin(inst),
            pool: Vec::new(),
            coarse_pool: Vec::new(),
            lacking: Vec::new(),
            coarse: None,
            lift: 1.0,
            ends: Vec::new(),
            waits: false,
            optimum: None,
            watch,
        }
    }

    /// Runs the pipeline until the meter is out or optimality is proven: in epochs, the first of `first_epoch` steps (or
    /// more, see [`first_end`](Self::first_end)), each next one ending at four times as many. What is done in an epoch does not
    /// depend on what comes after it, so an effort never ends worse than an epoch that it contains.
    pub(crate) fn run(&mut self, first_epoch: Effort, meter: &mut Meter) {
        let mut noise = Noise::new(1);
        let mut size = self.size_of_class_level();
        let mut end = first_epoch.0.max(1);
        let mut is_planned = false;
        loop {
            if !is_planned {
                self.bound_at_once(meter);
                end = end.max(self.first_end(first_epoch));
            }
            let mut epoch = meter.until(end);
            if !is_planned {
                self.first_plans(&mut epoch);
                is_planned = !epoch.is_out() || self.has_many_classes();
            }
            if self.is_optimal() || self.small(&mut epoch) || self.is_settled() {
                meter.absorb(&epoch);
                return;
            }
            let is_exhausted = self.improve(&mut size, &mut noise, &mut epoch);
            meter.absorb(&epoch);
            if meter.is_out() || is_exhausted || self.is_settled() {
                return;
            }
            self.ends.extend(self.best.clone());
            end = end.saturating_mul(4);
        }
    }

    /// Polishes and plans with a row per class until the meter is out; whether nothing is left to better.
    fn improve(&mut self, size: &mut u64, noise: &mut Noise, meter: &mut Meter) -> bool {
        while !meter.is_out() && !self.is_settled() {
            let thorough = meter.left() > size.saturating_add(*size / 4);
            self.polish_for(if thorough { *size / 4 } else { meter.left() }, noise, meter);
            if !thorough {
                // All that was left went into it, or there is nothing that it could better.
                return !meter.is_out();
            }
            if !self.is_settled() && !meter.is_out() {
                let mut part = meter.part(meter.left().min(*size * 4));
                self.class_level(false, &mut part);
                meter.absorb(&part);
            }
            *size += *size / 4;
        }
        false
    }

    /// Operations that planning with a row per class takes at least: pivots cost the square of the rows, and there are some
    /// per row; each offer is priced a few times. Never affordable with more rows than it may have.
    fn size_of_class_level(&self) -> u64 {
        let classes = self.inst.classes.iter().filter(|c| c.count > 0).count();
        if classes > MOST_ROWS {
            return u64::MAX;
        }
        let classes = classes as u64;
        classes * classes * 400 + classes * self.inst.n_new as u64 * 400
    }

    /// Only the bound: values, columns, certificate.
    pub(crate) fn bound_only(&mut self, meter: &mut Meter) {
        self.bound_at_once(meter);
        let inst = self.inst;
        let start = Draft::start(inst, &self.values, meter);
        if meter.is_out() || start.missing() == 0 {
            return;
        }
        let mostly_few = self.has_mostly_few();
        let own = self.with_rows(self.few.clone());
        if self.has_too_many_rows(&own, &start.left) {
            return;
        }
        let nodes = if mostly_few { 200 } else { 0 };
        let tuning = Tuning {
            nodes,
            most_nodes: nodes * 8,
            rounds: 80,
            stall: 5e-4,
            tolerance: 0.002,
            columns: 60,
            smoothing: 0.5,
        };
        let price = Guide::new(inst, &self.values, meter).price;
        self.make_coarse(&price, meter);
        let mut pool = self.patterns();
        let wish = Wish { own: &own, tuning, nodes: nodes * 5, is_near: false };
        self.plan_smaller(&start, wish, &mut pool, meter);
        let (plan, _) = self.plan_whole(&start, wish, &pool, meter);
        if nodes > 0 {
            // Planning has proven this with a shorter look; without a search there is no longer one.
            self.prove(&plan.values, &plan.limit_prices, nodes * 20, meter);
        }
    }

    /// The best packing as items in bins, after those at the ends of epochs: what is done with a packing afterwards may
    /// do more for one than for a cheaper one.
    pub(crate) fn packed(&self) -> Vec<Vec<Packed>> {
        let price = |d: &Draft<R>| (d.missing(), crate::num::whole(d.price(self.inst)));
        let mut drafts: Vec<&Draft<R>> = self.ends.iter().chain(&self.best).collect();
        drafts.dedup_by_key(|d| price(d));
        drafts.into_iter().map(|d| d.packed(self.inst)).collect()
    }

    fn is_optimal(&self) -> bool {
        self.best.as_ref().is_some_and(|b| {
            b.missing() == 0 && crate::num::whole_bound(self.certificate.bound) as f64 >= b.price(self.inst) - 0.5
        })
    }

    /// Optimal, or so near that no work is worth it.
    fn is_settled(&self) -> bool {
        let near =
            |b: &Draft<R>| b.missing() == 0 && b.price(self.inst) - self.certificate.bound <= NEAR * b.price(self.inst);
        self.is_optimal() || self.best.as_ref().is_some_and(near)
    }

    fn offer(&mut self, draft: Draft<R>) {
        let key = |d: &Draft<R>| (d.missing(), d.price(self.inst));
        let (missing, price) = key(&draft);
        let better = self.best.as_ref().is_none_or(|b| {
            let (m, p) = key(b);
            missing < m || missing == m && price < p - 0.5
        });
        if better {
            (self.watch)(missing, price, self.certificate.bound);
            self.best = Some(draft);
        }
    }

    fn prove(&mut self, values: &[f64], limit_prices: &[f64], nodes: usize, meter: &mut Meter) {
        let (c, found) = certify(self.inst, values, limit_prices, &self.certificate.values, nodes, self.threads, meter);
        if c.bound > self.certificate.bound || self.certificate.values.is_empty() {
            self.certificate = c;
        }
        self.lacking = found;
    }

    fn bound_at_once(&mut self, meter: &mut Meter) {
        self.values = resource_values(self.inst, meter);
        let none = vec![0.0; self.inst.limits.len()];
        self.prove(&self.values.clone(), &none, 0, meter);
    }

    /// More than a program has rows for: what columns are generated for some of them betters no packing in the time that
    /// polish would take to better it much.
    fn has_many_classes(&self) -> bool {
        self.inst.classes.len() > MOST_ROWS
    }

    /// Searches a small problem to its end; whether that proved the best packing optimal.
    fn small(&mut self, meter: &mut Meter) -> bool {
        let inst = self.inst;
        let classes = inst.classes.iter().filter(|c| c.count > 0).count();
        let Some(best) = self.best.as_ref().filter(|b| b.nodes.len() <= 64) else { return false };
        if classes > 24 || !inst.homeless.is_empty() {
            return false;
        }
        // Values without prices of limits: those of a certificate that has them do not bound a remainder.
        let plain = self.certificate.limit_prices.iter().all(|&p| p == 0.0);
        let none = vec![0.0; inst.classes.len()];
        let values = if plain { self.certificate.values.clone() } else { none };
        let incumbent = if best.missing() == 0 { crate::num::whole(best.price(inst)) } else { i64::MAX / 4 };
        let mut part = meter.part(meter.left() / 3);
        let (found, complete) = search_all(inst, &values, incumbent, &mut part);
        meter.absorb(&part);
        if let Some(draft) = found {
            self.offer(draft);
        }
        let forced =
            inst.makes.iter().all(|m| m.parts.len() == 1 || m.parts.iter().map(|p| p.1).sum::<u32>() >= m.count);
        if complete
            && forced
            && let Some(best) = self.best.as_ref().filter(|b| b.missing() == 0)
        {
            self.optimum = Some(best.price(inst));
            return true;
        }
        complete && self.best.as_ref().is_some_and(|b| b.missing() == 0)
    }

    fn polish_for(&mut self, operations: u64, noise: &mut Noise, meter: &mut Meter) {
        let Some(best) = &self.best else { return };
        let mut part = meter.part(operations.min(meter.left()));
        let guide = Guide::new(self.inst, &self.values, &mut part);
        let small = best.nodes.len() <= 40;
        let mut current = best.clone();
        loop {
            let patience = if small { 4 + u32_of(current.nodes.len()) / 3 } else { u32::MAX };
            let Draft { nodes, budget, .. } = &mut current;
            polish(&guide, nodes, budget, noise, self.threads, patience, &mut part);
            self.offer(current.clone());
            if part.is_out() || self.is_settled() {
                break;
            }
            if !small {
                break;
            }
            // A small packing goes on from the best, of which a third to two thirds are packed anew, not as well.
            if let Some(best) = &self.best {
                current.clone_from(best);
            }
            let (share, amount) = (0.3 + 0.3 * noise.unit(), 0.05 + 0.6 * noise.unit());
            current.give_up(self.inst, |_| noise.unit() < share);
            let Draft { nodes, left, budget } = &mut current;
            let leeway = Leeway { noise: Some((noise, amount)), most_price: f64::INFINITY, subset: 1.0 };
            guide.greedy(left, budget, nodes, leeway, &mut Work::default(), &mut part);
            part.charge(1000);
        }
        meter.absorb(&part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::BitSet;
    use crate::effort::Cancel;
    use crate::num::u32_of;
    use crate::problem::{BinKind, Item, ItemIdx, Problem, Spread};
    use crate::shapes::Shapes;

    /// Spread over three zones of which each is dearer than the one before, so that no two can be joined.
    fn spread_over_unequal_zones() -> Problem {
        let kinds: Vec<BinKind> = (0..180u32)
            .map(|i| {
                let (zone, size) = (i % 3, i64::from(i / 3));
                let (cpu, memory) = (10 + size % 10, 20 + 3 * (size / 10) + size % 10);
                let cost = (1000 * cpu + 300 * memory) * (10 + i64::from(zone)) / 10;
                BinKind { holds: vec![cpu, memory], cost, domains: vec![zone], ..BinKind::default() }
            })
            .collect();
        let items: Vec<Item> = (0..60)
            .map(|i| Item {
                needs: vec![1 + i % 5, 1 + i / 5],
                count: 7,
                allowed: BitSet::full(kinds.len()),
                ..Item::default()
            })
            .collect();
        let spread = |i| Spread {
            items: vec![ItemIdx(u32_of(i))],
            key: 0,
            max_skew: 3,
            min_domains: 0,
            counts: [(0, 0), (1, 0), (2, 0)].into(),
        };
        Problem { dims: 2, spreads: (0..items.len()).map(spread).collect(), items, kinds, ..Problem::default() }
    }

    #[test]
    fn only_as_many_classes_as_a_program_can_hold_have_rows_and_they_are_the_most_worth() {
        let n = 2 * MOST_ROWS;
        let sizes = || (0..n).map(|i| i64::try_from(i).unwrap());
        let kinds = vec![BinKind { holds: vec![10_000_000; 2], cost: 1000, ..BinKind::default() }];
        let item = |i| Item {
            needs: vec![1000 + i, 2000 - i / 2],
            count: 1,
            allowed: BitSet::full(1),
            per_bin_max: Some(1),
            ..Item::default()
        };
        let problem = Problem { dims: 2, items: sizes().map(item).collect(), kinds, ..Problem::default() };
        let shapes = Shapes::new(&problem, &[1000]);
        let inst = Instance::<2>::new(&problem, &shapes, &[0, 1]);
        assert_eq!(inst.classes.len(), n);
        let mut silent = |_, _, _| {};
        let mut engine = Engine::new(&inst, 1, &mut silent);
        engine.values = (0..n).map(|k| k as f64).collect();
        let rows = engine.with_rows(vec![true; n]);
        assert!(!rows[..n - MOST_ROWS].contains(&true) && !rows[n - MOST_ROWS..].contains(&false));
        assert!(!engine.has_too_many_rows(&rows, &inst.demand()));
        assert!(engine.with_rows(vec![true; MOST_ROWS]).iter().all(|&r| r), "so many fit");
    }

    #[test]
    fn choices_between_zones_of_different_prices_are_proven_in_the_smaller_problem_too() {
        let problem = spread_over_unequal_zones();
        let shapes = Shapes::new(&problem, &problem.kinds.iter().map(|k| k.cost).collect::<Vec<_>>());
        let inst = Instance::<2>::new(&problem, &shapes, &[0, 1]);
        let mut meter = Meter::new(Effort(1_000_000), &Cancel::new());
        let mut silent = |_, _, _| {};
        let mut engine = Engine::new(&inst, 1, &mut silent);
        engine.bound_at_once(&mut meter);
        let coarse = Coarse::new(&inst, &engine.values, &[1000.0, 300.0], 0.0);
        assert!(coarse.inst.makes.iter().all(|m| m.parts.len() == 3), "zones of different prices stay apart");
        engine.coarse = Some((coarse, Vec::new()));
        assert!(engine.is_bounded_by_coarse());
        let by_resources = std::mem::take(&mut engine.certificate).bound;
        engine.prove_with_choices(&[], 0, &mut meter);
        assert!(engine.certificate.bound > by_resources * 0.99, "{} {by_resources}", engine.certificate.bound);
    }
}
