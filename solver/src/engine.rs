//! The pipeline: values and an immediate bound, column generation, the first packings, polish, and class-level columns
//! with diving when there is effort for it. Keeps the best packing and the best certificate at every step.

use crate::bound::{Certificate, certify};
use crate::buy::{Leeway, Work};
use crate::columns::{Generated, Task, Tuning, generate};
use crate::dive::{Dive, Draft};
use crate::duals::resource_values;
use crate::effort::Meter;
use crate::finish::Packed;
use crate::guide::Guide;
use crate::instance::{Instance, Pattern};
use crate::mix::plan_and_pour;
use crate::noise::Noise;
use crate::polish::polish;
use crate::problem::ItemIdx;
use crate::rows::Rows;
use crate::small::search_all;

/// The best so far.
pub(crate) struct Engine<'a, const R: usize> {
    inst: &'a Instance<R>,
    threads: usize,
    best: Option<Draft<R>>,
    pub certificate: Certificate,
    values: Vec<f64>,
    /// The least objective of any packing of everything, where a complete search has proven it.
    pub optimum: Option<f64>,
    /// Called with (things missing, objective, bound) at each improvement.
    watch: &'a mut dyn FnMut(u64, f64, f64),
}

/// A gap of this share of the cost is none.
const NEAR: f64 = 1e-5;

/// Classes of which at most this many fit into the offer that suits them best get rows of their own.
const FEW: u32 = 10;

impl<'a, const R: usize> Engine<'a, R> {
    pub(crate) fn new(inst: &'a Instance<R>, threads: usize, watch: &'a mut dyn FnMut(u64, f64, f64)) -> Self {
        Self {
            inst,
            threads: threads.max(1),
            best: None,
            certificate: Certificate::default(),
            values: vec![0.0; inst.classes.len()],
            optimum: None,
            watch,
        }
    }

    /// Runs the pipeline until the meter is out or optimality is proven.
    pub(crate) fn run(&mut self, meter: &mut Meter) {
        self.bound_at_once(meter);
        self.first_plans(meter);
        if self.is_optimal() || self.small(meter) || self.is_settled() {
            return;
        }
        let total = meter.spent() + meter.left();
        let mut noise = Noise::new(total);
        let size = (self.inst.classes.len() * self.inst.n_new) as u64;
        let thorough = meter.left() > size * 1000;
        let first_polish = if thorough { meter.left() / 8 } else { meter.left() };
        self.polish_for(first_polish, &mut noise, meter);
        if thorough && !self.is_settled() && !meter.is_out() {
            self.class_level(meter);
            self.polish_for(meter.left(), &mut noise, meter);
        }
    }

    /// Only the bound: values, columns, certificate.
    pub(crate) fn bound_only(&mut self, meter: &mut Meter) {
        self.bound_at_once(meter);
        let inst = self.inst;
        let start = Draft::start(inst, &self.values, meter);
        if meter.is_out() || start.missing() == 0 {
            return;
        }
        let (own, mostly_few) = self.few_to_a_bin();
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
        let plan = self.generate(&start, &own, &[], tuning, meter);
        self.prove(&plan.values, &plan.limit_prices, nodes * 20, meter);
    }

    /// The best packing as items in bins.
    pub(crate) fn packed(&self) -> Vec<Packed> {
        let Some(best) = &self.best else { return Vec::new() };
        let mut queues: Vec<(usize, u32)> = vec![(0, 0); self.inst.classes.len()];
        let mut out = Vec::with_capacity(best.nodes.len());
        for node in &best.nodes {
            let mut contents: Vec<(ItemIdx, u32)> = Vec::with_capacity(node.pattern.len());
            for &(k, n) in &node.pattern {
                let members = &self.inst.classes[k as usize].members;
                let (at, done) = &mut queues[k as usize];
                let mut n = n;
                while n > 0 && *at < members.len() {
                    let (item, count) = members[*at];
                    let take = n.min(count - *done);
                    if take > 0 {
                        match contents.iter_mut().find(|c| c.0 == item) {
                            Some(c) => c.1 += take,
                            None => contents.push((item, take)),
                        }
                    }
                    n -= take;
                    *done += take;
                    if *done == count {
                        *at += 1;
                        *done = 0;
                    }
                }
            }
            out.push(Packed { kind: self.inst.offers[node.offer as usize].what, contents });
        }
        out
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
        let c = certify(self.inst, values, limit_prices, &self.certificate.values, nodes, self.threads, meter);
        if c.bound > self.certificate.bound || self.certificate.values.is_empty() {
            self.certificate = c;
        }
    }

    fn bound_at_once(&mut self, meter: &mut Meter) {
        self.values = resource_values(self.inst, meter);
        let none = vec![0.0; self.inst.limits.len()];
        self.prove(&self.values.clone(), &none, 0, meter);
    }

    /// Which classes have few to a bin, and whether most of the demand is in them.
    fn few_to_a_bin(&self) -> (Vec<bool>, bool) {
        let inst = self.inst;
        let mut most_fit = vec![0u32; inst.classes.len()];
        for offer in &inst.offers[..inst.n_new] {
            for &(k, _) in &offer.fit {
                most_fit[k as usize] = most_fit[k as usize].max(inst.fits(k as usize, &offer.holds));
            }
        }
        let few: Vec<bool> = (0..inst.classes.len())
            .map(|k| inst.classes[k].per_bin != u32::MAX || !inst.classes[k].foes.is_empty() || most_fit[k] <= FEW)
            .collect();
        let worth = |k: usize| self.values[k] * f64::from(inst.classes[k].count);
        let all: f64 = (0..few.len()).map(worth).sum();
        let in_few: f64 = (0..few.len()).filter(|&k| few[k]).map(worth).sum();
        (few, in_few > 0.5 * all)
    }

    fn first_plans(&mut self, meter: &mut Meter) {
        let inst = self.inst;
        let start = Draft::start(inst, &self.values, meter);
        if start.missing() == 0 {
            self.offer(start);
            return;
        }
        self.first_greedy(&start, meter);
        let (_, mostly_few) = self.few_to_a_bin();
        let size = inst.classes.len() * inst.n_new;
        let by_class = mostly_few || size < 8000;
        let again =
            Tuning { nodes: 50, most_nodes: 50, rounds: 6, stall: 5e-4, tolerance: 0.01, columns: 40, smoothing: 0.3 };
        if !mostly_few && (!by_class || size >= 3000) {
            let limited: Vec<bool> = inst.classes.iter().map(|c| c.per_bin != u32::MAX || !c.foes.is_empty()).collect();
            let tuning = Tuning {
                nodes: 0,
                most_nodes: 0,
                rounds: 40,
                stall: 5e-4,
                tolerance: 0.004,
                columns: 60,
                smoothing: 0.5,
            };
            let pool = self.patterns();
            let plan = self.generate(&start, &limited, &pool, tuning, meter);
            self.prove(&plan.values, &plan.limit_prices, 0, meter);
            self.values.clone_from(&plan.values);
            let guide = Guide::new(inst, &plan.values, meter);
            if !limited.contains(&true) {
                for scale in [1.0, 0.985] {
                    let mut draft = start.clone();
                    plan_and_pour(&guide, &mut draft, &plan, scale, meter);
                    self.offer(draft);
                }
            }
            let mut draft = start.clone();
            let again = Tuning { nodes: 0, ..again };
            Dive { guide: &guide, own: &limited, again, most_steps: 6, threads: self.threads }
                .run(&mut draft, plan, meter);
            self.offer(draft);
        }
        if by_class {
            let all = vec![true; inst.classes.len()];
            let tuning = Tuning {
                nodes: 100,
                most_nodes: self.nodes_for(20, meter),
                rounds: 80,
                stall: 5e-4,
                tolerance: 0.003,
                columns: 60,
                smoothing: 0.5,
            };
            let pool = self.patterns();
            let plan = self.generate(&start, &all, &pool, tuning, meter);
            let nodes = self.nodes_for(5, meter);
            self.prove(&plan.values, &plan.limit_prices, nodes, meter);
            self.prove_with_choices(&plan.pool, nodes / 4, meter);
            self.values.clone_from(&plan.values);
            let guide = Guide::new(inst, &plan.values, meter);
            let mut draft = start;
            Dive { guide: &guide, own: &all, again, most_steps: 8, threads: self.threads }.run(&mut draft, plan, meter);
            self.offer(draft);
        }
    }

    /// A packing by value per price alone; its contents start the master with balanced duals.
    fn first_greedy(&mut self, start: &Draft<R>, meter: &mut Meter) {
        let guide = Guide::new(self.inst, &self.values, meter);
        let mut draft = start.clone();
        let Draft { nodes, left, budget } = &mut draft;
        guide.greedy_all(left, budget, nodes, &mut Work::default(), meter);
        self.offer(draft);
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

    /// Columns with a row per class, started from the best packing, and a dive from them.
    fn class_level(&mut self, meter: &mut Meter) {
        let inst = self.inst;
        let start = Draft::start(inst, &self.values, meter);
        let all = vec![true; inst.classes.len()];
        let tuning = Tuning {
            nodes: 200,
            most_nodes: self.nodes_for(20, meter),
            rounds: 400,
            stall: 1e-4,
            tolerance: 0.001,
            columns: 60,
            smoothing: 0.6,
        };
        let again =
            Tuning { nodes: 50, most_nodes: 50, rounds: 8, stall: 5e-4, tolerance: 0.005, columns: 40, smoothing: 0.3 };
        let pool = self.patterns();
        let mut part = meter.part(meter.left() / 2);
        let plan = self.generate(&start, &all, &pool, tuning, &mut part);
        meter.absorb(&part);
        let nodes = self.nodes_for(5, meter);
        self.prove(&plan.values, &plan.limit_prices, nodes, meter);
        self.prove_with_choices(&plan.pool, nodes / 4, meter);
        self.values.clone_from(&plan.values);
        let guide = Guide::new(inst, &plan.values, meter);
        let mut draft = start;
        Dive { guide: &guide, own: &all, again, most_steps: 14, threads: self.threads }.run(&mut draft, plan, meter);
        self.offer(draft);
    }

    /// Nodes per offer such that searching every offer to the limit takes one part in `parts` of what is left.
    fn nodes_for(&self, parts: u64, meter: &Meter) -> usize {
        let one = meter.left() / (parts * 24 * self.inst.n_new.max(1) as u64);
        usize::try_from(one).unwrap_or(usize::MAX).clamp(100, 200_000)
    }

    fn generate(
        &self,
        start: &Draft<R>,
        own: &[bool],
        pool: &[(u32, Pattern)],
        tuning: Tuning,
        meter: &mut Meter,
    ) -> Generated {
        let rows = Rows::new(self.inst, own, &start.left, &start.budget.0);
        let task = Task { inst: self.inst, rows: &rows, most: &start.left, threads: self.threads };
        generate(task, pool, &self.values, tuning, meter)
    }

    /// Proves a better bound where spreads leave much choice: columns for the problem without the choices made.
    fn prove_with_choices(&mut self, pool: &[(u32, Pattern)], nodes: usize, meter: &mut Meter) {
        let inst = self.inst;
        let free: u32 =
            inst.makes.iter().map(|m| m.count - m.parts.iter().map(|p| p.1).sum::<u32>().min(m.count)).sum();
        let all: u32 = inst.makes.iter().map(|m| m.count).sum();
        if f64::from(free) < 0.003 * f64::from(all) {
            return;
        }
        let rows = Rows::with_choices(inst);
        let most: Vec<u32> = inst.classes.iter().map(|c| c.most).collect();
        let task = Task { inst, rows: &rows, most: &most, threads: self.threads };
        let tuning = Tuning {
            nodes: 100,
            most_nodes: nodes,
            rounds: 60,
            stall: 1e-4,
            tolerance: 0.001,
            columns: 60,
            smoothing: 0.5,
        };
        let plan = generate(task, pool, &self.values, tuning, meter);
        self.prove(&plan.values, &plan.limit_prices, nodes, meter);
    }

    /// The patterns of the best packing, as columns.
    fn patterns(&self) -> Vec<(u32, Pattern)> {
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

    fn polish_for(&mut self, operations: u64, noise: &mut Noise, meter: &mut Meter) {
        let Some(best) = &self.best else { return };
        let mut part = meter.part(operations.min(meter.left()));
        let guide = Guide::new(self.inst, &self.values, &mut part);
        let small = best.nodes.len() <= 40;
        let mut current = best.clone();
        loop {
            let patience = if small { 2 } else { u32::MAX };
            let Draft { nodes, budget, .. } = &mut current;
            polish(&guide, nodes, budget, noise, self.threads, patience, &mut part);
            self.offer(current.clone());
            if part.is_out() || self.is_settled() {
                break;
            }
            if !small {
                break;
            }
            // A small packing starts over from a perturbed greedy.
            current = Draft::start(self.inst, &self.values, &mut part);
            let amount = 0.05 + 0.6 * noise.unit();
            let Draft { nodes, left, budget } = &mut current;
            let leeway = Leeway { noise: Some((noise, amount)), most_price: f64::INFINITY, subset: 1.0 };
            guide.greedy(left, budget, nodes, leeway, &mut Work::default(), &mut part);
            part.charge(1000);
        }
        meter.absorb(&part);
    }
}
