//! The only file that names the LP library: the set-covering problem over all maximal contents, solved by another's code.
//! An oracle for our own simplex, pricing and search; exact for problems small enough to list.

use good_lp::{Expression, ProblemVariables, Solution as _, SolverModel, constraint, default_solver, variable};

use crate::instance::{Instance, active_dims};
use crate::problem::Problem;
use crate::shapes::Shapes;

/// What the library finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimum {
    /// Cost of the linear relaxation over all contents, micro-dollars per hour: the best bound that columns can prove.
    pub relaxed: f64,
    /// Cost of the cheapest packing of everything.
    pub whole: f64,
}

/// The optimum of a problem without started bins, spreads, and joint limits; `None` when it has those, when something has no
/// place, or when there are more than `most_contents` maximal contents.
pub fn optimum(problem: &Problem, most_contents: usize) -> Option<Optimum> {
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
        let mut model = variables.minimise(cost.clone()).using(default_solver);
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
