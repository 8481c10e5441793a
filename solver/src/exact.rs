//! The only file that names the LP library: the set-covering problem over all maximal contents, solved by another's code.
//! An oracle for our own simplex, pricing and search, exact for problems small enough to list. In tests only: what is
//! shipped has no LP library.

use good_lp::{Expression, ProblemVariables, Solution as _, SolverModel, constraint, variable};

// The pure Rust library, or `HiGHS` (which needs a C++ toolchain) where the feature asks for it.
#[cfg(feature = "highs")]
use good_lp::solvers::highs::highs as library;
#[cfg(not(feature = "highs"))]
use good_lp::solvers::microlp::microlp as library;

use crate::instance::{Instance, active_dims};
use crate::problem::Problem;
use crate::shapes::Shapes;

/// What the library finds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Optimum {
    /// Cost of the linear relaxation over all contents, micro-dollars per hour: the best bound that columns can prove.
    relaxed: f64,
    /// Cost of the cheapest packing of everything.
    whole: f64,
}

/// The optimum of a problem without started bins, spreads, and joint limits; `None` when it has those, when something has no
/// place, or when there are more than `most_contents` maximal contents.
fn optimum(problem: &Problem, most_contents: usize) -> Option<Optimum> {
    let limited = !problem.started.is_empty() || !problem.spreads.is_empty() || !problem.caps.is_empty();
    if limited || problem.kinds.iter().any(|k| k.available.is_some()) {
        return None;
    }
    let dims = active_dims(problem);
    if dims.len() > 8 {
        return None;
    }
    let costs: Vec<i64> = problem.kinds.iter().map(|k| k.cost).collect();
    let shapes = Shapes::new(problem, &costs);
    let inst = Instance::<8>::new(problem, &shapes, &dims);
    if !inst.homeless.is_empty() {
        return None;
    }
    let contents = crate::small::all_contents(&inst, most_contents)?;
    let demand = inst.demand();
    let solve = |integer: bool| -> Option<f64> {
        let mut variables = ProblemVariables::new();
        let amounts: Vec<_> = contents
            .iter()
            .map(|_| variables.add(if integer { variable().integer().min(0) } else { variable().min(0) }))
            .collect();
        let mut cost = Expression::from(0.0);
        for (amount, (value, _)) in amounts.iter().zip(&contents) {
            cost += *value as f64 / 1e6 * *amount;
        }
        let mut model = variables.minimise(cost.clone()).using(library);
        for (k, &n) in demand.iter().enumerate().filter(|d| *d.1 > 0) {
            let mut packed = Expression::from(0.0);
            for (amount, (_, pattern)) in amounts.iter().zip(&contents) {
                if let Some(p) = pattern.iter().find(|p| p.0 as usize == k) {
                    packed += f64::from(p.1) * *amount;
                }
            }
            model = model.with(constraint!(packed >= f64::from(n)));
        }
        let solution = model.solve().ok()?;
        Some(solution.eval(&cost) * 1e6)
    };
    Some(Optimum { relaxed: solve(false)?, whole: solve(true)? })
}

/// The least cost of covering `demand` with fractions of columns.
pub(crate) fn cheapest_cover(demand: &[f64], columns: &[crate::master::Column]) -> Option<f64> {
    let mut variables = ProblemVariables::new();
    let amounts: Vec<_> = columns.iter().map(|_| variables.add(variable().min(0))).collect();
    let mut cost = Expression::from(0.0);
    for (amount, column) in amounts.iter().zip(columns) {
        cost += column.price / 1e6 * *amount;
    }
    let mut model = variables.minimise(cost.clone()).using(library);
    for (r, &wanted) in demand.iter().enumerate() {
        let mut covered = Expression::from(0.0);
        for (amount, column) in amounts.iter().zip(columns) {
            for (_, a) in column.rows.iter().filter(|c| c.0 as usize == r) {
                covered += *a * *amount;
            }
        }
        model = model.with(constraint!(covered >= wanted));
    }
    Some(model.solve().ok()?.eval(&cost) * 1e6)
}

mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;

    use super::optimum;
    use crate::support::{Shape, problem};
    use crate::{BinKind, BitSet, Cancel, Effort, Item, Problem, lower_bound, solve};

    /// Runs with whichever library was built; `cargo test -p solver --features highs` asks the other one.
    #[test]
    fn the_library_that_was_chosen_finds_a_known_optimum() {
        let kinds = [(1000, 5), (2000, 9), (4000, 16)].map(|(holds, cost)| BinKind {
            holds: vec![holds],
            cost: cost * 1_000_000,
            ..BinKind::default()
        });
        let item = Item { needs: vec![800], count: 5, allowed: BitSet::full(3), ..Item::default() };
        let problem = Problem { dims: 1, items: vec![item], kinds: kinds.to_vec(), ..Problem::default() };
        let found = optimum(&problem, 100).expect("small");
        // One bin of five, or fractions of it.
        assert!((found.whole - 16e6).abs() < 1.0 && (found.relaxed - 16e6).abs() < 1.0, "{found:?}");
    }

    #[test]
    fn the_library_agrees_on_optimum_and_bound() {
        let config = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
        let compared = Cell::new(0);
        let agrees = |problem: Problem| {
            // It has no answer where something has no place.
            let Some(oracle) = optimum(&problem, 400) else { return Ok(()) };
            compared.set(compared.get() + 1);
            let ours = solve(&problem, Effort::DEFAULT, &Cancel::new()).cost;
            prop_assert!((ours as f64 - oracle.whole).abs() < 1.0, "ours {} library {}", ours, oracle.whole);
            let bound = lower_bound(&problem, Effort(5_000)).cost;
            // What is above the library's relaxation was searched to the end, and then it is the optimum of a part.
            prop_assert!(bound as f64 <= oracle.whole + 0.5, "ours {} library {}", bound, oracle.whole);
            Ok(())
        };
        let judged = TestRunner::new(config).run(&problem(Shape { most_things: 9, extras: false }), agrees);
        assert!(judged.is_ok(), "{judged:?}");
        assert!(compared.get() >= 50, "only {} of 200 problems were compared", compared.get());
    }
}
