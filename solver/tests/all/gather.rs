//! Among packings of one cost the one with fewer bins is answered, as far as the rules let bins be put together.

use solver::{BinKind, BitSet, Cancel, Effort, Item, Problem, solve};

/// Sizes that double, at a price that doubles; ten things of 1 fill the smallest.
fn problem(count: u32, per_bin_max: Option<u32>) -> Problem {
    let kind = |n: i64| BinKind { holds: vec![10 * n], cost: 1000 * n, domains: vec![0], ..BinKind::default() };
    let kinds: Vec<BinKind> = [1, 2, 4, 8].map(kind).into();
    let item = Item { needs: vec![1], count, allowed: BitSet::full(4), per_bin_max, ..Item::default() };
    Problem { dims: 1, items: vec![item], kinds, ..Problem::default() }
}

fn bins_and_cost(problem: &Problem) -> (usize, i64) {
    let solution = solve(problem, Effort::DEFAULT, &Cancel::new());
    (solution.n_new(), solution.cost)
}

#[test]
fn eighty_small_bins_become_ten_large_ones() {
    assert_eq!(bins_and_cost(&problem(800, None)), (10, 80_000));
}

#[test]
fn no_more_than_allowed_of_one_thing_share_a_bin() {
    assert_eq!(bins_and_cost(&problem(800, Some(20))), (40, 80_000));
}

#[test]
fn what_is_scarce_is_bought_no_more_often_than_there_is_of_it() {
    let mut problem = problem(800, None);
    problem.kinds[3].available = Some(3);
    // Three of 8, and fourteen of 4.
    assert_eq!(bins_and_cost(&problem), (17, 80_000));
}

#[test]
fn a_larger_bin_that_costs_more_is_not_taken() {
    let mut problem = problem(800, None);
    problem.kinds[3].cost += 1;
    assert_eq!(bins_and_cost(&problem), (20, 80_000));
}

#[test]
fn prices_that_were_rounded_do_not_keep_bins_small() {
    let mut problem = problem(800, None);
    for (kind, cost) in problem.kinds.iter_mut().zip([134_360, 268_719, 537_439, 1_074_878]) {
        kind.cost = cost;
    }
    let (bins, cost) = bins_and_cost(&problem);
    assert_eq!(bins, 10);
    assert!(cost <= solver::greedy(&problem).cost, "{cost}");
}

#[test]
fn nor_do_they_where_there_is_no_reference() {
    let mut problem = problem(800, None);
    problem.options.reference = false;
    for (kind, cost) in problem.kinds.iter_mut().zip([134_359, 268_719, 537_439, 1_074_878]) {
        kind.cost = cost;
    }
    let (bins, cost) = bins_and_cost(&problem);
    assert_eq!((bins, cost), (10, 10_748_780), "some millionths dearer than eighty small ones");
}

#[test]
fn a_limit_on_large_bins_holds() {
    let mut problem = problem(800, None);
    let cap = solver::Cap { kinds: BitSet::of(4, [2, 3]), weights: vec![0, 0, 4, 8], limit: 40 };
    problem.caps.push(cap);
    let solution = solve(&problem, Effort::DEFAULT, &Cancel::new());
    assert_eq!(solver::verify(&problem, &solution), vec![]);
    assert_eq!(solution.cost, 80_000);
}

/// Reserved capacity is paid for already.
#[test]
fn what_is_free_has_no_bound_above_its_cost() {
    let mut problem = problem(25, None);
    problem.kinds[0].cost = 0;
    for effort in [Effort::FIRST, Effort::DEFAULT] {
        let solution = solve(&problem, effort, &Cancel::new());
        assert_eq!((solution.cost, solution.cost_lower_bound), (0, 0));
        assert_eq!(solver::lower_bound(&problem, effort).cost, 0);
    }
}
