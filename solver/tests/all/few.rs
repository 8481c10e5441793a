//! Where few things fill a bin, the bound is searched for.

use solver::{BinKind, BitSet, Cancel, Effort, Item, Problem, lower_bound, solve};

#[test]
fn a_bound_is_near_where_few_fill_the_bins_that_are_bought_though_a_dear_one_holds_thousands() {
    let kind = |holds: i64, cost: i64| BinKind { holds: vec![holds, 4 * holds], cost, ..BinKind::default() };
    let kinds = vec![kind(40, 10_000), kind(80, 20_000), kind(30_000, 15_000_000)];
    let item = |cpu: i64, memory: i64| Item {
        needs: vec![cpu, memory],
        count: 300,
        allowed: BitSet::full(kinds.len()),
        ..Item::default()
    };
    // Of each, three quarters of the smallest bin or more, so that no two share one and what is left is lost.
    let items = vec![item(31, 90), item(29, 125), item(33, 60), item(35, 130)];
    let problem = Problem { dims: 2, items, kinds, ..Problem::default() };
    let plan = solve(&problem, Effort(100_000), &Cancel::new());
    let bound = lower_bound(&problem, Effort(100_000));
    assert!(plan.unpacked.is_empty() && plan.cost == 12_000_000, "{}", plan.cost);
    assert!(bound.cost * 100 >= plan.cost * 99, "bound {} of {}", bound.cost, plan.cost);
}
