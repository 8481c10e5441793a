//! Random small problems, and the best packing of one by trying everything.

use std::collections::BTreeMap;

use proptest::prelude::*;
use solver::{BinKind, BinRef, BitSet, Cap, Conflict, Item, ItemIdx, Options, Problem, Spread, StartedBin};

/// What a random problem may contain.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub most_things: u32,
    pub extras: bool,
}

fn item(kinds: usize, started: usize, most: u32) -> impl Strategy<Value = Item> {
    (
        prop::collection::vec(0i64..=12, 3),
        1..=most,
        prop::collection::vec(prop::bool::weighted(0.8), kinds),
        prop::collection::vec(prop::bool::weighted(0.8), started),
        prop::option::weighted(0.2, 1u32..=2),
    )
        .prop_map(move |(needs, count, on, on_started, per_bin_max)| Item {
            needs,
            count,
            allowed: BitSet::of(kinds, (0..kinds).filter(|&k| on[k])),
            allowed_started: BitSet::of(started, (0..started).filter(|&s| on_started[s])),
            per_bin_max,
        })
}

fn kind() -> impl Strategy<Value = BinKind> {
    (prop::collection::vec(4i64..=26, 3), 5i64..=60, prop::option::weighted(0.2, 0u32..=2), 0u32..2).prop_map(
        |(holds, cost, available, zone)| BinKind { holds, cost: cost * 1000, available, domains: vec![zone], group: 0 },
    )
}

/// A random problem.
pub fn problem(shape: Shape) -> impl Strategy<Value = Problem> {
    (1usize..=4, 1usize..=5, 0usize..=2).prop_flat_map(move |(n_items, n_kinds, n_started)| {
        let n_started = if shape.extras { n_started } else { 0 };
        let most = (shape.most_things / u32::try_from(n_items).unwrap()).max(1);
        (
            prop::collection::vec(item(n_kinds, n_started, most), n_items),
            prop::collection::vec(kind(), n_kinds),
            prop::collection::vec((prop::collection::vec(0i64..=15, 3), 0u32..2), n_started),
            prop::collection::vec((0..n_items, 0..n_items), 0..=2),
            prop::option::weighted(0.4, (0..n_items, 1u32..=2)),
            prop::option::weighted(0.3, (prop::collection::vec(0i64..=3, n_kinds), 0i64..=9)),
        )
            .prop_map(move |(items, mut kinds, started, conflicts, spread, cap)| {
                if !shape.extras {
                    kinds.iter_mut().for_each(|k| k.available = None);
                }
                let started = started
                    .into_iter()
                    .map(|(room, zone)| StartedBin { room, domains: vec![zone], ..StartedBin::default() })
                    .collect();
                let idx = |i: usize| ItemIdx(u32::try_from(i).unwrap());
                let mut problem =
                    Problem { dims: 3, items, kinds, started, options: Options::default(), ..Problem::default() };
                if shape.extras {
                    problem.conflicts = conflicts
                        .into_iter()
                        .filter(|c| c.0 != c.1)
                        .map(|(a, b)| Conflict { a: idx(a), b: idx(b) })
                        .collect();
                    problem.spreads = spread
                        .into_iter()
                        .map(|(i, max_skew)| Spread {
                            items: vec![idx(i)],
                            key: 0,
                            max_skew,
                            min_domains: 0,
                            counts: BTreeMap::from([(0, 0), (1, 0)]),
                        })
                        .collect();
                    problem.caps = cap
                        .into_iter()
                        .map(|(weights, limit)| Cap { kinds: BitSet::full(n_kinds), weights, limit })
                        .collect();
                }
                problem
            })
    })
}

/// A bin while everything is tried.
#[derive(Clone)]
struct Block {
    at: BinRef,
    free: Vec<i64>,
    contents: Vec<usize>,
}

/// The least (things unpacked, cost) of any legal packing.
pub fn best_by_trying_everything(problem: &Problem) -> (u64, i64) {
    let things: Vec<usize> =
        problem.items.iter().enumerate().flat_map(|(i, item)| std::iter::repeat_n(i, item.count as usize)).collect();
    let blocks = problem
        .started
        .iter()
        .enumerate()
        .map(|(s, b)| Block {
            at: BinRef::Started(solver::StartedIdx(u32::try_from(s).unwrap())),
            free: b.room.clone(),
            contents: Vec::new(),
        })
        .collect();
    let mut best = (u64::MAX, i64::MAX);
    try_all(problem, &things, 0, blocks, (0, 0), 0, &mut best);
    best
}

fn try_all(
    problem: &Problem,
    things: &[usize],
    at: usize,
    blocks: Vec<Block>,
    so_far: (u64, i64),
    least_block: usize,
    best: &mut (u64, i64),
) {
    if so_far >= *best {
        return;
    }
    let Some(&item) = things.get(at) else {
        if spreads_hold(problem, &blocks) {
            *best = so_far;
        }
        return;
    };
    // Equal things go to blocks in ascending order: their permutations are the same packing.
    let first = if at > 0 && things[at - 1] == item { least_block } else { 0 };
    for b in first..blocks.len() {
        if may_join(problem, &blocks[b], item) {
            let mut next = blocks.clone();
            join(problem, &mut next[b], item);
            try_all(problem, things, at + 1, next, so_far, b, best);
        }
    }
    for k in 0..problem.kinds.len() {
        let kind = &problem.kinds[k];
        let new = BinRef::New(solver::KindIdx(u32::try_from(k).unwrap()));
        let bought = blocks.iter().filter(|b| b.at == new).count();
        if kind.available.is_some_and(|a| bought >= a as usize) || !caps_hold(problem, &blocks, k) {
            continue;
        }
        let block = Block { at: new, free: kind.holds.clone(), contents: Vec::new() };
        if may_join(problem, &block, item) {
            let mut next = blocks.clone();
            next.push(block);
            let b = next.len() - 1;
            join(problem, &mut next[b], item);
            try_all(problem, things, at + 1, next, (so_far.0, so_far.1 + kind.cost), b, best);
        }
    }
    try_all(problem, things, at + 1, blocks, (so_far.0 + 1, so_far.1), 0, best);
}

fn may_join(problem: &Problem, block: &Block, i: usize) -> bool {
    let item = &problem.items[i];
    let allowed = match block.at {
        BinRef::New(k) => item.allowed.contains(k.at()),
        BinRef::Started(s) => item.allowed_started.contains(s.at()),
    };
    allowed
        && item.needs.iter().zip(&block.free).all(|(n, f)| *n == 0 || n <= f)
        && item.per_bin_max.is_none_or(|m| block.contents.iter().filter(|&&c| c == i).count() < m as usize)
        && problem.conflicts.iter().all(|c| {
            let other = if c.a.at() == i {
                c.b.at()
            } else if c.b.at() == i {
                c.a.at()
            } else {
                return true;
            };
            !block.contents.contains(&other)
        })
}

fn join(problem: &Problem, block: &mut Block, i: usize) {
    for (f, n) in block.free.iter_mut().zip(&problem.items[i].needs) {
        *f -= n;
    }
    block.contents.push(i);
}

fn caps_hold(problem: &Problem, blocks: &[Block], new: usize) -> bool {
    problem.caps.iter().all(|cap| {
        let used: i64 = blocks
            .iter()
            .filter_map(|b| match b.at {
                BinRef::New(k) if cap.kinds.contains(k.at()) => Some(cap.weights[k.at()]),
                _ => None,
            })
            .sum();
        !cap.kinds.contains(new) || used + cap.weights[new] <= cap.limit
    })
}

fn spreads_hold(problem: &Problem, blocks: &[Block]) -> bool {
    problem.spreads.iter().all(|s| {
        let mut counts = s.counts.clone();
        for b in blocks {
            let n = b.contents.iter().filter(|&&c| s.items.iter().any(|i| i.at() == c)).count();
            let domain = match b.at {
                BinRef::New(k) => problem.kinds[k.at()].domains[s.key],
                BinRef::Started(st) => problem.started[st.at()].domains[s.key],
            };
            *counts.entry(domain).or_insert(0) += u32::try_from(n).unwrap();
        }
        let least = counts.values().copied().min().unwrap_or(0);
        counts.values().all(|&n| n <= least + s.max_skew)
    })
}
