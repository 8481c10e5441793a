//! The entry points: the reference packing, the pipeline, and the better of the two.

use crate::effort::{Cancel, Effort, Meter};
use crate::engine::{Engine, MOST_ROWS};
use crate::finish::{list_alternatives, outline};
use crate::gather::gather;
use crate::greedy::greedy_on;
use crate::instance::{Instance, active_dims};
use crate::num::whole_bound;
use crate::parts::{bound_by_parts, solve_by_parts};
use crate::problem::Problem;
use crate::shapes::Shapes;
use crate::solution::{LowerBound, Proof, Solution};
use crate::value::values;

/// What is known while the solver works.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Things that the best packing leaves out.
    pub unpacked: u64,
    /// Objective of the best packing, micro-dollars per hour.
    pub objective: i64,
    /// Proven lower bound on it.
    pub bound: i64,
}

/// Packs the problem at least cost within an effort. Never dearer than [`greedy`](crate::greedy), and never with fewer
/// things packed (unless the [`reference`](crate::Options::reference) is left out). Never dearer, either, than with an effort of 100,000 steps times a power of four that is no larger (times
/// the part's share of the effort, where items fall into parts that share nothing, and times two and a half, where a plan with
/// a row per class fits into that and not into less), but for the rounding that is given away where fewer bins do at the same
/// price.
pub fn solve(problem: &Problem, effort: Effort, cancel: &Cancel) -> Solution {
    solve_by_parts(problem, effort, cancel).unwrap_or_else(|| solve_whole(problem, effort, Effort::DEFAULT, cancel))
}

/// Packs all items as one part; `first_epoch` is the first of the efforts that a larger one never ends worse than.
pub(crate) fn solve_whole(problem: &Problem, effort: Effort, first_epoch: Effort, cancel: &Cancel) -> Solution {
    watched(problem, effort, first_epoch, cancel, &mut |_| {})
}

/// As [`solve`], but all items as one part, however little they have in common; tells `watch` of every better packing as it is found.
pub fn solve_watched(problem: &Problem, effort: Effort, cancel: &Cancel, watch: &mut dyn FnMut(Progress)) -> Solution {
    watched(problem, effort, Effort::DEFAULT, cancel, watch)
}

fn watched(
    problem: &Problem,
    effort: Effort,
    first_epoch: Effort,
    cancel: &Cancel,
    watch: &mut dyn FnMut(Progress),
) -> Solution {
    let values = values(problem);
    let shapes = Shapes::new(problem, &values);
    let mut meter = Meter::new(effort, cancel);
    let reference = if problem.options.reference {
        greedy_on(problem, &shapes, &values)
    } else {
        outline(problem, &shapes, &values, Vec::new())
    };
    meter.charge_steps(reference.effort_spent);
    meter.charge(shapes.list.len() * problem.items.len() / 2 + problem.kinds.len() * 40);
    watch(Progress { unpacked: reference.n_unpacked(), objective: reference.objective, bound: 0 });
    let dims = active_dims(problem);
    match dims.len() {
        0..=4 => better::<4>(problem, &shapes, &values, &dims, reference, first_epoch, watch, &mut meter),
        5..=8 => better::<8>(problem, &shapes, &values, &dims, reference, first_epoch, watch, &mut meter),
        n => better::<32>(problem, &shapes, &values, &dims[..n.min(32)], reference, first_epoch, watch, &mut meter),
    }
}

/// A lower bound on the cost of packing everything. Joint limits, availability, conflicts and spreads only ever raise the
/// true cost; they are used where that is proven and left out elsewhere.
pub fn lower_bound(problem: &Problem, effort: Effort) -> LowerBound {
    bound_by_parts(problem, effort)
}

/// The bound by linear programming, of a problem in one part.
pub(crate) fn bound_whole(problem: &Problem, effort: Effort) -> LowerBound {
    let costs: Vec<i64> = problem.kinds.iter().map(|k| k.cost).collect();
    let shapes = Shapes::new(problem, &costs);
    let mut meter = Meter::new(effort, &Cancel::new());
    let dims = active_dims(problem);
    match dims.len() {
        0..=4 => bound_only::<4>(problem, &shapes, &dims, &mut meter),
        5..=8 => bound_only::<8>(problem, &shapes, &dims, &mut meter),
        // Leaving dimensions out relaxes the problem: the bound stays valid.
        _ => bound_only::<32>(problem, &shapes, &dims[..dims.len().min(32)], &mut meter),
    }
}

fn bound_only<const R: usize>(problem: &Problem, shapes: &Shapes, dims: &[usize], meter: &mut Meter) -> LowerBound {
    let inst = Instance::<R>::new(problem, shapes, dims);
    let mut silent = |_, _, _| {};
    let mut engine = Engine::new(&inst, problem.options.threads, &mut silent);
    engine.bound_only(meter);
    let mut per_item = vec![0.0; problem.items.len()];
    for make in &inst.makes {
        per_item[make.item.at()] =
            make.parts.iter().map(|p| engine.certificate.values[p.0 as usize]).fold(f64::INFINITY, f64::min);
    }
    let cost =
        (whole_bound(engine.certificate.bound) - overpriced(problem, problem.kinds.iter().map(|k| k.cost))).max(0);
    LowerBound { cost, values: per_item, effort_spent: meter.steps() }
}

/// Micro-dollars that offers may count too much in all: what is free is an [`Offer`](crate::instance::Offer) at one, and there
/// are no more bins than things.
fn overpriced(problem: &Problem, mut values: impl Iterator<Item = i64>) -> i64 {
    if values.any(|value| value <= 0) { i64::try_from(problem.n_things()).unwrap_or(i64::MAX) } else { 0 }
}

#[expect(clippy::too_many_arguments, reason = "one call site for each number of dimensions")]
fn better<const R: usize>(
    problem: &Problem,
    shapes: &Shapes,
    values: &[i64],
    dims: &[usize],
    reference: Solution,
    first_epoch: Effort,
    watch: &mut dyn FnMut(Progress),
    meter: &mut Meter,
) -> Solution {
    let inst = Instance::<R>::new(problem, shapes, dims);
    // Where all effort goes into polish, the values of quick proofs lead to the cheaper packings.
    let inst = Instance { guesses: inst.classes.len() <= MOST_ROWS, ..inst };
    let mut report = |unpacked: u64, objective: f64, bound: f64| {
        watch(Progress { unpacked, objective: crate::num::whole(objective), bound: whole_bound(bound) });
    };
    let mut engine = Engine::new(&inst, problem.options.threads, &mut report);
    engine.run(first_epoch, meter);
    let packed = engine.packed();
    let optimum = engine.optimum;
    let certificate = engine.certificate;
    // With more dimensions than the arrays hold a packing may overfill one that was left out.
    let is_whole = dims.len() == active_dims(problem).len();
    let key = |s: &Solution| (s.n_unpacked(), s.objective);
    // Fewer bins may cost what rounding gives away, but never more than the reference where there is one.
    let most = if problem.options.reference { reference.objective } else { i64::MAX };
    let ours = packed.into_iter().filter(|_| is_whole).map(|packed| outline(problem, shapes, values, packed));
    let gathered = |solution: Solution| match gather(problem, values, &solution) {
        Some(packed) => {
            let gathered = outline(problem, shapes, values, packed);
            if gathered.objective <= most.max(solution.objective) { gathered } else { solution }
        }
        None => solution,
    };
    let candidates: Vec<Solution> = ours.filter(|ours| key(ours) < key(&reference)).map(gathered).collect();
    let mut best = candidates.into_iter().min_by_key(key).unwrap_or_else(|| gathered(reference));
    list_alternatives(problem, shapes, &mut best);
    let plain = problem.kinds.iter().zip(values).all(|(k, v)| k.cost == *v);
    best.cost_lower_bound =
        if plain { bound_for(&inst, &certificate, &best) } else { lower_bound_for_costs(problem, &best, meter) }
            .min(best.cost);
    if plain
        && best.unpacked.is_empty()
        && let Some(optimum) = optimum
    {
        best.cost_lower_bound = crate::num::whole(optimum).min(best.cost);
    }
    best.cost_lower_bound = best.cost_lower_bound.saturating_sub(overpriced(problem, values.iter().copied())).max(0);
    best.proof = match best.cost_lower_bound {
        b if b == best.cost && plain => Proof::Optimal,
        0 => Proof::Unproven,
        _ => Proof::Bounded,
    };
    best.effort_spent = meter.steps();
    best
}

/// The certificate's bound for what the solution packs.
fn bound_for<const R: usize>(inst: &Instance<R>, certificate: &crate::bound::Certificate, solution: &Solution) -> i64 {
    if solution.unpacked.is_empty() {
        return whole_bound(certificate.total(inst, |m| m.count, true));
    }
    let missing = |m: &crate::instance::Make| solution.unpacked.iter().find(|u| u.0 == m.item).map_or(0, |u| u.1);
    // `count` of a make leaves the homeless out already, so what is missing counts against the item's own count.
    let homeless = |m: &crate::instance::Make| inst.homeless.iter().filter(|h| h.0 == m.item).map(|h| h.1).sum::<u32>();
    whole_bound(certificate.total(inst, |m| m.count - (missing(m).saturating_sub(homeless(m))).min(m.count), false))
}

/// With prices that are not costs, the bound on the cost is one of its own.
fn lower_bound_for_costs(problem: &Problem, solution: &Solution, meter: &mut Meter) -> i64 {
    if !solution.unpacked.is_empty() {
        return 0;
    }
    let bound = lower_bound(problem, Effort(20_000));
    meter.charge(usize::try_from(bound.effort_spent.saturating_mul(1000)).unwrap_or(0));
    bound.cost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::BitSet;
    use crate::noise::Noise;
    use crate::problem::{BinKind, Item};

    /// Forty sizes of things with thirty kinds to buy.
    fn problem(noise: &mut Noise) -> Problem {
        let mut within = |least: usize, most: usize| i64::try_from(least + noise.below(most - least)).unwrap();
        let kinds: Vec<BinKind> = (0..30)
            .map(|_| {
                let (cpu, memory) = (within(8, 64), within(16, 256));
                let cost = 1000 * (40 * cpu + 5 * memory + within(0, 200));
                BinKind { holds: vec![cpu * 100, memory * 100], cost, ..BinKind::default() }
            })
            .collect();
        let items = (0..40)
            .map(|_| Item {
                needs: vec![within(50, 900), within(50, 3000)],
                count: u32::try_from(within(1, 9)).unwrap(),
                allowed: BitSet::of(30, (0..30).filter(|_| within(0, 4) > 0)),
                per_bin_max: (within(0, 5) == 0).then_some(1),
                ..Item::default()
            })
            .collect();
        Problem { dims: 2, items, kinds, ..Problem::default() }
    }

    #[test]
    fn an_effort_never_ends_worse_than_the_epochs_it_contains() {
        let mut noise = Noise::new(21);
        let mut better = 0;
        for _ in 0..12 {
            let problem = problem(&mut noise);
            let objective = |steps: u64| {
                let solution = solve_whole(&problem, Effort(steps), Effort(600), &Cancel::new());
                (solution.n_unpacked(), solution.objective)
            };
            for (epoch, more) in [(600, [700, 1500, 4000]), (2400, [2700, 5000, 9000]), (9600, [9900, 12_000, 20_000])]
            {
                let least = objective(epoch);
                for steps in more.into_iter().filter(|&steps| steps > epoch) {
                    let found = objective(steps);
                    // Gathering bins may give away as much as prices are rounded by.
                    let rounded = (least.0, least.1 + least.1 / 20_000);
                    assert!(found <= rounded, "{steps} steps end at {found:?}, {epoch} at {least:?}");
                    better += usize::from(found < least);
                }
            }
        }
        assert!(better > 10, "{better} of 108 are better");
    }
}
