//! Raises values that are proven: where few things fill a bin, the duals are ahead of what is proven by contents that only a
//! long search finds, in a few offers. Asked for between what is proven and the duals (in-out separation, Ben-Ameur and Neto
//! 2007), each look either proves more or finds such contents, as columns that bring the duals down.

use crate::columns::{Duals, Task};
use crate::effort::Meter;
use crate::instance::Pattern;
use crate::knapsack::{Scratch, price};
use crate::master::ROUGH;
use crate::num::u32_of;
use crate::program::Program;
use crate::repair::SLACK;

/// Nodes of search per offer, and for one of which these do not show that it holds nothing too valuable.
const NODES: usize = 2000;
const MANY_NODES: usize = 32_000;

/// The weight of what is proven in what is asked for.
const PROVEN: f64 = 0.7;

/// Beyond this weight there is nothing to be gained.
const MOST_PROVEN: f64 = 0.95;

const ROUNDS: usize = 30;

/// What is proven is enough within this share of the cost of the columns.
const ENOUGH: f64 = 5e-4;

/// What a look at all offers found.
struct Looked {
    /// The contents of no offer are worth more than so many times its price; of those that were looked at.
    worst: f64,
    patterns: Vec<(u32, Pattern)>,
}

/// Looks at offers, those first of which it has learnt that they take long.
struct Looks<'a, const R: usize> {
    task: Task<'a, R>,
    takes_long: Vec<bool>,
    /// By offer: the resource prices at its last relaxation.
    near: Vec<[f64; R]>,
    scratch: Scratch<R>,
}

impl<const R: usize> Looks<'_, R> {
    /// Ends early where contents were found that are worth more than `hopeless` times their offer's price: nothing is proven
    /// then.
    fn look(&mut self, now: &Duals, hopeless: f64, meter: &mut Meter) -> Looked {
        let mut looked = Looked { worst: 1.0, patterns: Vec::new() };
        for long in [true, false] {
            for o in 0..self.takes_long.len() {
                if self.takes_long[o] == long {
                    self.offer(o, now, &mut looked, meter);
                }
            }
            if looked.worst >= hopeless && !looked.patterns.is_empty() {
                break;
            }
        }
        looked
    }

    fn offer(&mut self, o: usize, now: &Duals, looked: &mut Looked, meter: &mut Meter) {
        let Task { inst, most, .. } = self.task;
        let full = now.full_price(inst, o);
        let skip = full * (1.0 + SLACK);
        let mut pattern = Pattern::new();
        let (offer, near, scratch) = (&inst.offers[o], &mut self.near[o], &mut self.scratch);
        let mut ask = |nodes: usize| {
            scratch.operations = 0;
            let priced = price(inst, offer, &now.values, most, skip, nodes, near, scratch, &mut pattern);
            meter.charge(scratch.operations + 8);
            priced
        };
        let mut priced = ask(if self.takes_long[o] { MANY_NODES } else { NODES });
        if priced.value <= skip && priced.bound > skip && !self.takes_long[o] {
            self.takes_long[o] = true;
            priced = ask(MANY_NODES);
        }
        looked.worst = looked.worst.max(priced.bound / full);
        if priced.value > skip {
            looked.patterns.push((u32_of(o), pattern));
        }
    }
}

/// Raises `proven`, whose contents are worth no more than they cost, and adds the columns found on the way.
pub(crate) fn hone<const R: usize>(
    task: Task<'_, R>,
    program: &mut Program,
    mut proven: Duals,
    meter: &mut Meter,
) -> Duals {
    let n = task.inst.n_new;
    let mut looks = Looks { task, takes_long: vec![false; n], near: vec![[0.0; R]; n], scratch: Scratch::default() };
    let mut bound = program.rows.worth(&proven.values, &proven.at_limits);
    let mut share = PROVEN;
    for _ in 0..ROUNDS {
        if meter.is_out() || program.master.objective() < bound * (1.0 + ENOUGH) {
            break;
        }
        let now = between(program, &proven, share);
        let worth = program.rows.worth(&now.values, &now.at_limits);
        let looked = looks.look(&now, worth / bound, meter);
        let n_added = add(task, program, &looked.patterns, meter);
        if worth / looked.worst > bound {
            bound = worth / looked.worst;
            proven = scaled(now, looked.worst);
        } else if n_added == 0 {
            // A search was cut off, or what it found is as good as known.
            share = f64::midpoint(1.0, share);
            if share > MOST_PROVEN {
                break;
            }
        }
    }
    proven
}

/// Adds contents as columns, if they lower the cost; how many do.
pub(crate) fn add<const R: usize>(
    task: Task<'_, R>,
    program: &mut Program,
    patterns: &[(u32, Pattern)],
    meter: &mut Meter,
) -> usize {
    let (mut n, mut sums) = (0, Vec::new());
    for (offer, pattern) in patterns {
        if let Some(column) = program.rows.column(task.inst, *offer, pattern, task.most, &mut sums)
            && program.master.reduced_cost(&column) < -2.5 * ROUGH * column.price
        {
            program.master.add(column);
            n += 1;
        }
    }
    if n > 0 {
        program.master.optimise(4 * program.rows.demand.len(), meter);
    }
    n
}

fn between(program: &Program, proven: &Duals, share: f64) -> Duals {
    let Program { rows, master, .. } = program;
    let mix = |proven: f64, dual: f64| share * proven + (1.0 - share) * dual;
    let value =
        |(k, &v): (usize, &f64)| if rows.covers[k].is_empty() { v } else { mix(v, rows.value(&master.duals, k)) };
    let at_limit = |(l, &p): (usize, &f64)| mix(p, rows.limit_price(&master.duals, l));
    Duals {
        values: proven.values.iter().enumerate().map(value).collect(),
        at_limits: proven.at_limits.iter().enumerate().map(at_limit).collect(),
    }
}

fn scaled(mut duals: Duals, by: f64) -> Duals {
    duals.values.iter_mut().chain(&mut duals.at_limits).for_each(|v| *v /= by);
    duals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::BitSet;
    use crate::bound::certify;
    use crate::columns::{Tuning, generate};
    use crate::effort::{Cancel, Effort};
    use crate::instance::Instance;
    use crate::knapsack::testing::best;
    use crate::noise::Noise;
    use crate::problem::{BinKind, Item, Problem};
    use crate::rows::Rows;
    use crate::shapes::Shapes;

    const COSTS: [i64; 3] = [900_000, 1_700_000, 3_100_000];

    /// Seven sizes of things of which two to six fill a bin.
    fn instance(noise: &mut Noise) -> Instance<2> {
        let kinds = (0..3).map(|i| BinKind { holds: vec![60 << i, 80 << i], cost: COSTS[i], ..BinKind::default() });
        let mut within = |from: usize, to: usize| i64::try_from(from + noise.below(to - from)).unwrap();
        let items = (0..7).map(|_| Item {
            needs: vec![within(17, 60), within(17, 80)],
            count: 20,
            allowed: BitSet::full(3),
            ..Item::default()
        });
        let problem = Problem { dims: 2, items: items.collect(), kinds: kinds.collect(), ..Problem::default() };
        Instance::new(&problem, &Shapes::new(&problem, &COSTS), &[0, 1])
    }

    #[test]
    fn what_is_proven_rises_towards_the_cost_of_the_columns_and_no_contents_beat_it() {
        let mut noise = Noise::new(5);
        let (mut raised, mut left) = (0, Vec::new());
        for _ in 0..30 {
            let inst = instance(&mut noise);
            let most = inst.demand();
            let meter = &mut Meter::new(Effort(1_000_000), &Cancel::new());
            let seed = crate::duals::resource_values(&inst, meter);
            let rows = Rows::new(&inst, &vec![true; inst.classes.len()], &most, &inst.limits);
            let task = Task { inst: &inst, most: &most, threads: 1 };
            let mut program = Program::new(&inst, rows, &most, &[], &seed, None, meter);
            // Stopped long before it is at its end.
            let tuning =
                Tuning { nodes: 0, most_nodes: 0, rounds: 8, tolerance: 0.0, stall: 0.0, columns: 40, smoothing: 0.3 };
            let plan = generate(task, &mut program, &seed, tuning, meter);
            let (found, lacking) = certify(&inst, &plan.values, &plan.limit_prices, &[], 100, 1, meter);
            add(task, &mut program, &lacking, meter);
            let before = program.rows.worth(&found.values, &found.limit_prices);
            let proven = Duals { values: found.values, at_limits: found.limit_prices };
            let honed = hone(task, &mut program, proven, meter);
            for offer in &inst.offers {
                let truth = best(&inst, &honed.values, offer.holds, 0);
                assert!(truth <= offer.price * (1.0 + 2.0 * SLACK), "{truth} of {}", offer.price);
            }
            let after = program.rows.worth(&honed.values, &honed.at_limits);
            assert!(after >= before * (1.0 - 1e-9), "{after} {before}");
            raised += usize::from(after > before * 1.001);
            left.push(program.master.objective() / after - 1.0);
        }
        left.sort_by(f64::total_cmp);
        assert!(raised >= 10, "{raised} of 30 are raised");
        assert!(left[20] < 0.01, "{left:?}");
    }
}
