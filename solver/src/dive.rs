//! From a fractional plan to whole bins: take the whole copies, pour the classes with many to a bin, plan the rest anew.

use crate::buy::Work;
use crate::columns::{Generated, Task, Tuning, generate};
use crate::effort::Meter;
use crate::finish::Packed;
use crate::guide::Guide;
use crate::instance::{Instance, Pattern};
use crate::nodes::{Budget, Node};
use crate::pour::{Quota, pour};
use crate::problem::ItemIdx;
use crate::program::Program;
use crate::rows::Rows;

/// A packing under construction.
#[derive(Clone, Debug)]
pub(crate) struct Draft<const R: usize> {
    pub nodes: Vec<Node<R>>,
    /// What is not packed, per class.
    pub left: Vec<u32>,
    pub budget: Budget,
}

impl<const R: usize> Draft<R> {
    /// Started bins filled by value, nothing bought yet.
    pub(crate) fn start(inst: &Instance<R>, values: &[f64], meter: &mut Meter) -> Self {
        let mut draft = Self { nodes: Vec::new(), left: inst.demand(), budget: Budget(inst.limits.clone()) };
        let mut scratch = crate::knapsack::Scratch::default();
        let mut pattern = Pattern::new();
        // Room that is there already is used also for what would cost nothing.
        let values: Vec<f64> = values.iter().map(|v| v + 1.0).collect();
        for (o, offer) in inst.offers.iter().enumerate().skip(inst.n_new) {
            let near = &mut [0.0; R];
            crate::knapsack::price(inst, offer, &values, &draft.left, 0.0, 200, near, &mut scratch, &mut pattern);
            for &(k, n) in &pattern {
                draft.left[k as usize] -= n;
            }
            draft.nodes.push(Node::with(inst, crate::num::u32_of(o), pattern.clone()));
        }
        meter.charge(scratch.operations);
        draft
    }

    pub(crate) fn price(&self, inst: &Instance<R>) -> f64 {
        crate::nodes::price_of(inst, &self.nodes)
    }

    /// The packing as items in bins.
    pub(crate) fn packed(&self, inst: &Instance<R>) -> Vec<Packed> {
        let mut queues: Vec<(usize, u32)> = vec![(0, 0); inst.classes.len()];
        let mut out = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let mut contents: Vec<(ItemIdx, u32)> = Vec::with_capacity(node.pattern.len());
            for &(k, n) in &node.pattern {
                let members = &inst.classes[k as usize].members;
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
            out.push(Packed { kind: inst.offers[node.offer as usize].what, contents });
        }
        out
    }

    /// Takes the bins to buy that are meant out of the packing, and what they hold with them.
    pub(crate) fn give_up(&mut self, inst: &Instance<R>, mut is_meant: impl FnMut(&Node<R>) -> bool) {
        let Self { nodes, left, budget } = self;
        nodes.retain(|node| {
            let goes = node.is_new(inst) && is_meant(node);
            if goes {
                node.pattern.iter().for_each(|&(k, n)| left[k as usize] += n);
                budget.give(inst, node.offer);
            }
            !goes
        });
    }

    /// Things not packed.
    pub(crate) fn missing(&self) -> u64 {
        self.left.iter().map(|&n| u64::from(n)).sum()
    }
}

/// How the classes are treated: those with rows of their own keep the patterns of the columns, the others are poured.
pub(crate) struct Dive<'a, 'g, const R: usize> {
    pub guide: &'g Guide<'a, R>,
    pub own: &'g [bool],
    pub again: Tuning,
    pub most_steps: usize,
    pub threads: usize,
}

impl<const R: usize> Dive<'_, '_, R> {
    /// Completes `draft`, starting from the columns in `plan`.
    pub(crate) fn run(&self, draft: &mut Draft<R>, mut plan: Generated, meter: &mut Meter) {
        let (guide, inst) = (self.guide, self.guide.inst);
        let order: Vec<u32> = guide.big_first().into_iter().filter(|&k| !self.own[k as usize]).collect();
        let mut work = Work::default();
        for step in 1.. {
            let rows = Rows::new(inst, self.own, &draft.left, &draft.budget.0);
            let last = step >= self.most_steps || meter.is_out();
            let mut quota = Quota::new(guide.n_families, rows.n_units);
            let mut bins = self.take(draft, &plan, &rows, &mut quota, step == 1, last);
            if !bins.is_empty() {
                pour(guide, &mut bins, &mut quota, &rows.unit, &order, &mut draft.left, meter);
            }
            for node in &bins {
                if node.pattern.is_empty() {
                    draft.budget.give(inst, node.offer);
                }
            }
            bins.retain(|n| !n.pattern.is_empty());
            for node in &mut bins {
                guide.right_size(node, &mut draft.budget);
            }
            let placed = bins.len();
            draft.nodes.append(&mut bins);
            if draft.missing() == 0 {
                return;
            }
            if last || placed == 0 {
                let Draft { nodes, left, budget } = draft;
                guide.greedy_all(left, budget, nodes, &mut work, meter);
                return;
            }
            let rows = Rows::new(inst, self.own, &draft.left, &draft.budget.0);
            let task = Task { inst, most: &draft.left, threads: self.threads };
            let mut program = Program::new(inst, rows, &draft.left, &plan.pool, &guide.values, None, meter);
            plan = generate(task, &mut program, &guide.values, self.again, meter);
        }
    }

    /// Bins for the whole copies of the columns, and for the largest fractions; grants quotas for what is to be poured.
    fn take(
        &self,
        draft: &mut Draft<R>,
        plan: &Generated,
        rows: &Rows,
        quota: &mut Quota<R>,
        first: bool,
        last: bool,
    ) -> Vec<Node<R>> {
        let mut bins = Vec::new();
        let mut whole = 0.0;
        for (offer, x, pattern) in &plan.used {
            let n = crate::num::floor_count(x + 1e-6);
            whole += f64::from(n);
            self.copies(draft, *offer, pattern, n, rows, quota, &mut bins);
        }
        let fraction = |x: f64| x - (x + 1e-6).floor();
        let mut order: Vec<usize> = (0..plan.used.len()).collect();
        order.sort_by(|&a, &b| fraction(plan.used[b].1).total_cmp(&fraction(plan.used[a].1)).then(a.cmp(&b)));
        let sure = if first { 0.9 } else { 0.75 };
        // When the first step places most by whole copies, no fraction needs to be forced up yet.
        let mut forced = if first && whole > 0.5 * plan.used.len() as f64 { 0 } else { plan.used.len().div_ceil(4) };
        for i in order {
            let (offer, x, pattern) = &plan.used[i];
            let f = fraction(*x);
            let wanted = f >= sure || forced > 0 || last;
            if f < 0.05 || !wanted || (f < 0.4 && !bins.is_empty()) {
                continue;
            }
            if self.copies(draft, *offer, pattern, 1, rows, quota, &mut bins) > 0 && f < sure {
                forced = forced.saturating_sub(1);
            }
        }
        bins
    }

    /// Opens up to `n` bins of a column; returns how many.
    #[expect(clippy::too_many_arguments, reason = "the parts of one step")]
    fn copies(
        &self,
        draft: &mut Draft<R>,
        offer: u32,
        pattern: &Pattern,
        n: u32,
        rows: &Rows,
        quota: &mut Quota<R>,
        bins: &mut Vec<Node<R>>,
    ) -> u32 {
        let inst = self.guide.inst;
        let own: Pattern = pattern.iter().copied().filter(|p| self.own[p.0 as usize]).collect();
        let n = own.iter().map(|&(k, m)| draft.left[k as usize] / m).min().unwrap_or(n).min(n);
        let mut done = 0;
        while done < n && draft.budget.allows(inst, offer) {
            draft.budget.take(inst, offer);
            bins.push(Node::with(inst, offer, own.clone()));
            done += 1;
        }
        for &(k, m) in &own {
            draft.left[k as usize] -= m * done;
        }
        for &(k, m) in pattern.iter().filter(|p| !self.own[p.0 as usize]) {
            let things = f64::from(m) * f64::from(done);
            if things > 0.0 {
                let family = self.guide.family[offer as usize];
                quota.grant(family, rows.unit[k as usize], &inst.classes[k as usize].share, things);
            }
        }
        done
    }
}
