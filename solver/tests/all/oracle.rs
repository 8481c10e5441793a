//! Our bounds and plans against another's linear and integer programming.

use proptest::prelude::*;
use solver::{Cancel, Effort, lower_bound, optimum, solve};

use crate::support::{Shape, problem};

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_library_agrees_on_optimum_and_bound(problem in problem(Shape { most_things: 9, extras: false })) {
        let Some(oracle) = optimum(&problem, 400) else { return Ok(()) };
        let solution = solve(&problem, Effort::DEFAULT, &Cancel::new());
        prop_assert!((solution.cost as f64 - oracle.whole).abs() < 1.0, "ours {} library {}", solution.cost, oracle.whole);
        let bound = lower_bound(&problem, Effort(5_000));
        // What is above the library's relaxation was searched to the end, and then it is the optimum of a part.
        prop_assert!(bound.cost as f64 <= oracle.whole + 0.5, "ours {} library {}", bound.cost, oracle.whole);
    }
}
