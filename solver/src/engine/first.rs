//! The first packings: by value alone, then from a first plan.

use super::Engine;
use super::planning::Wish;
use crate::buy::Work;
use crate::columns::Tuning;
use crate::descend::Descend;
use crate::dive::{Dive, Draft};
use crate::effort::{Effort, Meter};
use crate::guide::Guide;
use crate::mix::plan_and_pour;

/// Planning with a row per class that is waited for begins with this share of what it should have.
const ENOUGH: (u64, u64) = (3, 4);

/// Nodes of search per offer that planning goes up to before it has plans, and where there is a smaller problem: what only
/// longer ones find is looked for where it counts, see `hone`.
const FIRST_NODES: usize = 8000;
const FEWER_NODES: usize = 800;

impl<const R: usize> Engine<'_, R> {
    /// Where the first epoch ends: later where planning with a row per class fits into two and a half but not into one. That
    /// plan is worth more than all that can be had before it.
    pub(super) fn first_end(&mut self, first_epoch: Effort) -> u64 {
        let (first, longer) = (first_epoch.0.max(1), first_epoch.0.saturating_mul(5) / 2);
        let steps = Effort::of_operations(self.size_of_class_level()).0;
        // Two fifths go into what comes before it.
        let fits = |steps: u64, epoch: u64| steps <= epoch * 3 / 5;
        self.waits = self.is_by_group() && !fits(steps, first) && fits(steps * ENOUGH.0 / ENOUGH.1, longer);
        if self.waits { longer } else { first }
    }

    /// Whether most of the demand is in classes of which few fill a bin.
    pub(super) fn has_mostly_few(&self) -> bool {
        let worth = |k: usize| self.values[k] * f64::from(self.inst.classes[k].count);
        let all: f64 = (0..self.few.len()).map(worth).sum();
        let in_few: f64 = (0..self.few.len()).filter(|&k| self.few[k]).map(worth).sum();
        in_few > 0.5 * all
    }

    /// Whether classes share rows in the first plan: many things fit a bin, and there are many classes or offers.
    fn is_by_group(&self) -> bool {
        !self.has_mostly_few() && self.inst.classes.len() * self.inst.n_new >= 8000
    }

    /// Packings by value, and from a plan of what there is time for.
    pub(super) fn first_plans(&mut self, meter: &mut Meter) {
        let inst = self.inst;
        let start = Draft::start(inst, &self.values, meter);
        if start.missing() == 0 {
            self.offer(start);
            return;
        }
        let price = self.first_greedy(&start, meter);
        if self.has_many_classes() {
            return;
        }
        self.make_coarse(&price, meter);
        let mostly_few = self.has_mostly_few();
        let size = inst.classes.len() * inst.n_new;
        let by_class = !self.is_by_group();
        let again =
            Tuning { nodes: 50, most_nodes: 50, rounds: 6, stall: 5e-4, tolerance: 0.01, columns: 40, smoothing: 0.3 };
        if !mostly_few && (!by_class || size >= 3000) {
            let limited = inst.classes.iter().map(|c| c.per_bin != u32::MAX || !c.foes.is_empty()).collect();
            let limited = self.with_rows(limited);
            if self.has_too_many_rows(&limited, &start.left) {
                return;
            }
            let tuning = Tuning {
                nodes: 0,
                most_nodes: 0,
                rounds: 40,
                stall: 5e-4,
                tolerance: 0.004,
                columns: 60,
                smoothing: 0.5,
            };
            let mut pool = self.patterns();
            pool.append(&mut self.pool);
            let wish = Wish { own: &limited, tuning, nodes: 0, is_near: false };
            let is_coarse = self.plan_smaller(&start, wish, &mut pool, meter);
            let needed = self.size_of_class_level();
            let needed = if self.waits { needed / ENOUGH.1 * ENOUGH.0 } else { needed };
            if is_coarse && !by_class && (self.waits || meter.left() > needed) {
                self.pool = pool;
                if meter.left() > needed {
                    self.class_level(true, meter);
                }
                return;
            }
            let tuning = Tuning { rounds: if is_coarse { 8 } else { tuning.rounds }, ..tuning };
            let (plan, _) = self.plan_whole(&start, Wish { tuning, ..wish }, &pool, meter);
            self.values.clone_from(&plan.values);
            self.pool.clone_from(&plan.pool);
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
                most_nodes: FIRST_NODES,
                rounds: 80,
                stall: 5e-4,
                tolerance: 0.003,
                columns: 60,
                smoothing: 0.5,
            };
            let nodes = 4000;
            let mut pool = self.patterns();
            let wish = Wish { own: &all, tuning, nodes, is_near: false };
            let short = Tuning { most_nodes: FEWER_NODES, ..tuning };
            let is_coarse = mostly_few && self.plan_smaller(&start, Wish { tuning: short, ..wish }, &mut pool, meter);
            let is_near = is_coarse || !mostly_few && size >= 3000;
            // The smaller one's bound will do for now: searches are longer in the whole one.
            let (nodes_of_whole, tuning) = if is_coarse { (0, short) } else { (nodes, tuning) };
            let wish = Wish { is_near, nodes: nodes_of_whole, tuning, ..wish };
            let (plan, mut program) = self.plan_whole(&start, wish, &pool, meter);
            self.prove_with_choices(&plan.pool, nodes / 4, meter);
            self.values.clone_from(&plan.values);
            let guide = Guide::new(inst, &plan.values, meter);
            let mut draft = start;
            Descend { guide: &guide, again, share: 0.1, threads: self.threads }.run(&mut draft, &mut program, meter);
            self.offer(draft);
        }
    }

    /// A packing by value per price alone; its contents start the master with balanced duals. Gives what a unit of each
    /// dimension is worth.
    fn first_greedy(&mut self, start: &Draft<R>, meter: &mut Meter) -> [f64; R] {
        let guide = Guide::new(self.inst, &self.values, meter);
        let mut draft = start.clone();
        let Draft { nodes, left, budget } = &mut draft;
        guide.greedy_all(left, budget, nodes, &mut Work::default(), meter);
        let price = guide.price;
        self.offer(draft);
        price
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::BitSet;
    use crate::effort::Cancel;
    use crate::instance::Instance;
    use crate::problem::{BinKind, Item, Problem};
    use crate::shapes::Shapes;

    /// Where the first of the usual epochs ends with so many classes that fit all of 400 offers, and what an effort of
    /// 100,000 steps leaves out.
    fn first_end(n: i64) -> (u64, u64) {
        let kind =
            |i: i64| BinKind { holds: vec![1000 + 10 * i, 9000 - 20 * i], cost: 1_000_000, ..BinKind::default() };
        let item = |i: i64| Item {
            needs: vec![1 + i % 40, 1 + i / 40],
            count: 100,
            allowed: BitSet::full(400),
            ..Item::default()
        };
        let (kinds, items) = ((0..400).map(kind).collect(), (0..n).map(item).collect());
        let problem = Problem { dims: 2, items, kinds, ..Problem::default() };
        let shapes = Shapes::new(&problem, &vec![1_000_000; 400]);
        let inst = Instance::<2>::new(&problem, &shapes, &[0, 1]);
        assert_eq!((inst.classes.len(), inst.n_new), (usize::try_from(n).unwrap(), 400));
        let mut silent = |_, _, _| {};
        let mut engine = Engine::new(&inst, 1, &mut silent);
        let mut meter = Meter::new(Effort::DEFAULT, &Cancel::new());
        engine.bound_at_once(&mut meter);
        let end = engine.first_end(Effort::DEFAULT);
        engine.run(Effort::DEFAULT, &mut meter);
        (end, engine.best.map_or(u64::MAX, |b| b.missing()))
    }

    #[test]
    fn the_first_epoch_is_longer_where_a_plan_with_a_row_per_class_then_fits() {
        let usual = Effort::DEFAULT.0;
        assert_eq!([100, 480, 1000].map(first_end), [(usual, 0), (usual * 5 / 2, 0), (usual, 0)]);
    }
}
