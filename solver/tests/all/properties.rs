//! What holds for every problem: packings are legal, never dearer than first-fit-decreasing, bounds are valid.

use crate::support::{Shape, best_by_trying_everything, problem};
use proptest::prelude::*;
use solver::{
    BinKind, BitSet, Cancel, Conflict, Effort, Item, ItemIdx, Problem, Spread, StartedBin, greedy, lower_bound, solve,
    verify,
};

const PLAIN: Shape = Shape { most_things: 7, extras: false };
const EXTRAS: Shape = Shape { most_things: 6, extras: true };
const LARGE: Shape = Shape { most_things: 200, extras: true };

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_optimum_lies_between_bound_and_plan(problem in problem(PLAIN)) {
        let (unpacked, optimum) = best_by_trying_everything(&problem);
        let solution = solve(&problem, Effort(2_000), &Cancel::new());
        prop_assert_eq!(verify(&problem, &solution), vec![]);
        prop_assert_eq!(solution.n_unpacked(), unpacked);
        prop_assert!(solution.cost >= optimum, "cost {} optimum {}", solution.cost, optimum);
        prop_assert!(solution.cost_lower_bound <= optimum, "bound {} optimum {}", solution.cost_lower_bound, optimum);
    }

    #[test]
    fn small_problems_are_solved_to_the_optimum(problem in problem(PLAIN)) {
        let (unpacked, optimum) = best_by_trying_everything(&problem);
        let solution = solve(&problem, Effort::DEFAULT, &Cancel::new());
        prop_assert_eq!((solution.n_unpacked(), solution.cost), (unpacked, optimum));
        prop_assert!(unpacked > 0 || solution.proof == solver::Proof::Optimal);
    }

    #[test]
    fn small_problems_with_every_rule_but_spread_are_solved_to_the_optimum(mut problem in problem(EXTRAS)) {
        problem.spreads.clear();
        let (unpacked, optimum) = best_by_trying_everything(&problem);
        prop_assume!(unpacked == 0);
        let solution = solve(&problem, Effort::DEFAULT, &Cancel::new());
        prop_assert_eq!((solution.n_unpacked(), solution.cost), (unpacked, optimum));
    }

    #[test]
    fn the_bound_alone_is_valid(problem in problem(PLAIN)) {
        let (unpacked, optimum) = best_by_trying_everything(&problem);
        prop_assume!(unpacked == 0);
        for effort in [Effort::FIRST, Effort(3_000)] {
            let bound = lower_bound(&problem, effort);
            prop_assert!(bound.cost <= optimum, "bound {} optimum {}", bound.cost, optimum);
        }
    }

    #[test]
    fn bounds_hold_with_every_rule(problem in problem(EXTRAS)) {
        let (unpacked, optimum) = best_by_trying_everything(&problem);
        let solution = solve(&problem, Effort(2_000), &Cancel::new());
        prop_assert_eq!(verify(&problem, &solution), vec![]);
        prop_assert!(solution.n_unpacked() >= unpacked);
        if solution.n_unpacked() == unpacked && unpacked == 0 {
            prop_assert!(solution.cost >= optimum);
            prop_assert!(solution.cost_lower_bound <= optimum, "bound {} optimum {}", solution.cost_lower_bound, optimum);
        }
    }

    #[test]
    fn never_dearer_than_first_fit_decreasing(problem in problem(LARGE), effort in 0u64..3_000) {
        let reference = greedy(&problem);
        prop_assert_eq!(verify(&problem, &reference), vec![]);
        let solution = solve(&problem, Effort(effort), &Cancel::new());
        prop_assert_eq!(verify(&problem, &solution), vec![]);
        prop_assert!((solution.n_unpacked(), solution.cost) <= (reference.n_unpacked(), reference.cost));
    }

    #[test]
    fn without_the_reference_packings_are_legal_and_bounds_hold(problem in problem(LARGE), effort in 0u64..3_000) {
        let other = solve(&problem, Effort(10_000), &Cancel::new());
        let mut alone = problem.clone();
        alone.options.reference = false;
        let solution = solve(&alone, Effort(effort), &Cancel::new());
        prop_assert_eq!(verify(&problem, &solution), vec![]);
        if solution.n_unpacked() == 0 && other.n_unpacked() == 0 {
            prop_assert!(solution.cost_lower_bound <= other.cost, "bound {} cost {}", solution.cost_lower_bound, other.cost);
        }
    }

    #[test]
    fn equal_problems_and_efforts_give_equal_answers_on_any_number_of_threads(problem in problem(LARGE)) {
        let one = solve(&problem, Effort(1_500), &Cancel::new());
        for threads in [2, 3, 4] {
            let mut threaded = problem.clone();
            threaded.options.threads = threads;
            prop_assert_eq!(&solve(&threaded, Effort(1_500), &Cancel::new()), &one);
        }
    }
}

/// Large enough that offers are priced, and regions polished, by several threads.
#[test]
fn a_problem_that_threads_share_has_one_answer_for_one_two_and_four() {
    use solver::Options;
    let kinds: Vec<BinKind> = (0..240)
        .map(|i| {
            let (cpu, memory) = (2 + i % 16, 4 + i / 16 * 5);
            let cost = 30_000 * cpu + 4_000 * memory + 1_000 * ((i * 37) % 11);
            BinKind { holds: vec![cpu * 1000, memory * 1024], cost, ..BinKind::default() }
        })
        .collect();
    let items: Vec<Item> = (0..24)
        .map(|i| Item {
            needs: vec![300 + (i * 211) % 3100, 200 + (i * 977) % 9000],
            count: 80,
            allowed: BitSet::full(kinds.len()),
            per_bin_max: (i % 7 == 0).then_some(2),
            ..Item::default()
        })
        .collect();
    let answer = |threads: usize| {
        let options = Options { threads, ..Options::default() };
        let problem = Problem { dims: 2, kinds: kinds.clone(), items: items.clone(), options, ..Problem::default() };
        solve(&problem, Effort(40_000), &Cancel::new())
    };
    let one = answer(1);
    assert!(one.n_new() > 128, "{} bins are no two regions", one.n_new());
    assert_eq!(answer(2), one);
    assert_eq!(answer(4), one);
}

#[test]
fn five_pods_of_800m_cost_what_they_must() {
    use solver::{BinKind, BitSet, Item, Problem, Proof};
    let kind = |cpu: i64| BinKind { holds: vec![cpu * 1000, 100], cost: cpu * 40_000 - 1000, ..BinKind::default() };
    let problem = Problem {
        dims: 2,
        kinds: vec![kind(1), kind(2), kind(4), kind(8)],
        items: vec![Item {
            needs: vec![800, 1],
            count: 5,
            allowed: BitSet::full(4),
            allowed_started: BitSet::new(0),
            per_bin_max: None,
        }],
        ..Problem::default()
    };
    let solution = solve(&problem, Effort::DEFAULT, &Cancel::new());
    assert_eq!((solution.cost, solution.proof), (159_000, Proof::Optimal));
}

/// Two things that must not be together, one of them spread: what proptest found once in some thousand problems.
#[test]
fn spread_things_with_a_foe_have_a_valid_bound() {
    let kind = |holds: [i64; 3], cost, zone| BinKind {
        holds: holds.into(),
        cost,
        available: None,
        domains: vec![zone],
        group: 0,
    };
    let item =
        |needs: [i64; 3], count| Item { needs: needs.into(), count, allowed: BitSet::of(4, [1, 3]), ..Item::default() };
    let problem = Problem {
        dims: 3,
        items: vec![item([0, 0, 5], 2), item([0, 11, 0], 3)],
        kinds: vec![
            kind([4, 4, 4], 5000, 0),
            kind([4, 11, 5], 5000, 0),
            kind([4, 4, 4], 5000, 0),
            kind([4, 11, 5], 6000, 1),
        ],
        conflicts: vec![Conflict { a: ItemIdx(1), b: ItemIdx(0) }],
        spreads: vec![Spread {
            items: vec![ItemIdx(0)],
            key: 0,
            max_skew: 2,
            min_domains: 0,
            counts: [(0, 0), (1, 0)].into(),
        }],
        ..Problem::default()
    };
    for effort in [1, 10, 100, 1_000, 2_000, 10_000] {
        let solution = solve(&problem, Effort(effort), &Cancel::new());
        assert!(solution.cost_lower_bound <= 25_000, "effort {effort}: {}", solution.cost_lower_bound);
    }
}

/// Machines that are full, and things that no domain may take: nothing can be bought, and that is found out.
#[test]
fn work_ends_when_many_full_bins_stand_beside_things_that_nothing_may_be_bought_for() {
    let (n_started, n_kinds, n_items) = (65, 3, 30);
    let item = |needs: i64| Item {
        needs: vec![needs],
        count: 10,
        allowed: BitSet::full(n_kinds),
        allowed_started: BitSet::full(n_started),
        per_bin_max: None,
    };
    let kind = |n: i64| BinKind { holds: vec![40 * n], cost: 100 * n, domains: vec![1], ..BinKind::default() };
    // Domain 0 has fewer of each, and nothing is sold there.
    let spread = |item: u32| Spread {
        items: vec![ItemIdx(item)],
        max_skew: 1,
        counts: [(0, 0), (1, 5)].into(),
        ..Spread::default()
    };
    let problem = Problem {
        dims: 1,
        items: (1..).take(n_items).map(item).collect(),
        kinds: (1..).take(n_kinds).map(kind).collect(),
        started: vec![StartedBin { room: vec![0], domains: vec![1], ..StartedBin::default() }; n_started],
        spreads: (0..).take(n_items).map(spread).collect(),
        ..Problem::default()
    };
    let solution = solve(&problem, Effort::DEFAULT, &Cancel::new());
    assert_eq!((solution.bins.len(), solution.n_unpacked()), (0, 300));
}
