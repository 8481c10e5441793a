//! From packed contents to a [`Solution`]: kinds chosen, alternatives listed, costs added up.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bits::BitSet;
use crate::num::u32_of;
use crate::problem::{ItemIdx, KindIdx, Problem};
use crate::shapes::Shapes;
use crate::solution::{Bin, BinRef, Solution};

/// A bin as packing leaves it: what it is, and what is in it.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    pub kind: BinRef,
    pub contents: Vec<(ItemIdx, u32)>,
}

/// Completes packed bins to a solution without a bound. `values` is what each kind costs in the objective.
pub(crate) fn finish(problem: &Problem, shapes: &Shapes, values: &[i64], packed: Vec<Packed>) -> Solution {
    let mut solution = outline(problem, shapes, values, packed);
    list_alternatives(problem, shapes, &mut solution);
    solution
}

/// As [`finish`], but bins have no alternatives yet.
pub(crate) fn outline(problem: &Problem, shapes: &Shapes, values: &[i64], mut packed: Vec<Packed>) -> Solution {
    while level(problem, &mut packed) {}
    let mut left: Vec<u32> = problem.items.iter().map(|i| i.count).collect();
    let none: Arc<[KindIdx]> = Arc::from([]);
    let mut bins: Vec<Bin> = Vec::with_capacity(packed.len());
    let mut started = Vec::new();
    for p in packed {
        let mut contents = p.contents;
        contents.retain(|c| c.1 > 0);
        if contents.is_empty() {
            continue;
        }
        contents.sort_unstable();
        for &(item, n) in &contents {
            left[item.at()] = left[item.at()].saturating_sub(n);
        }
        let into = if matches!(p.kind, BinRef::New(_)) { &mut bins } else { &mut started };
        into.push(Bin { kind: p.kind, contents, alternatives: none.clone() });
    }
    bins.sort_by(|a, b| a.kind.cmp(&b.kind).then_with(|| a.contents.cmp(&b.contents)));
    started.sort_by_key(|a| a.kind);
    if let Some(percent) = problem.options.max_share_percent {
        list_all(problem, shapes, &mut bins);
        limit_shares(problem, &mut bins, percent);
    }
    let (mut cost, mut objective) = (0i64, 0i64);
    for bin in &bins {
        if let BinRef::New(k) = bin.kind {
            cost = cost.saturating_add(problem.kinds[k.at()].cost);
            objective = objective.saturating_add(values[k.at()]);
        }
    }
    bins.append(&mut started);
    let unpacked = left.iter().enumerate().filter(|l| *l.1 > 0).map(|(i, &n)| (ItemIdx(u32_of(i)), n)).collect();
    Solution { bins, unpacked, cost, objective, ..Solution::default() }
}

/// Gives each new bin of a solution its alternatives.
pub(crate) fn list_alternatives(problem: &Problem, shapes: &Shapes, solution: &mut Solution) {
    if problem.options.max_share_percent.is_none() {
        list_all(problem, shapes, &mut solution.bins);
    }
}

/// Equal contents share one list.
fn list_all(problem: &Problem, shapes: &Shapes, bins: &mut [Bin]) {
    let mut lists: BTreeMap<Vec<(ItemIdx, u32)>, Arc<[KindIdx]>> = BTreeMap::new();
    for bin in bins.iter_mut().filter(|b| matches!(b.kind, BinRef::New(_))) {
        let list =
            lists.entry(bin.contents.clone()).or_insert_with(|| alternatives(problem, shapes, &bin.contents).into());
        bin.alternatives = list.clone();
    }
}

/// Every usable kind that holds the contents, cheapest first.
fn alternatives(problem: &Problem, shapes: &Shapes, contents: &[(ItemIdx, u32)]) -> Vec<KindIdx> {
    let mut sum = vec![0i128; problem.dims];
    let mut mask = BitSet::full(shapes.list.len());
    for &(item, n) in contents {
        mask.intersect_with(&shapes.labels[shapes.label_of[item.at()] as usize]);
        for (s, need) in sum.iter_mut().zip(&problem.items[item.at()].needs) {
            *s += i128::from(*need) * i128::from(n);
        }
    }
    let fitting = BitSet::of(
        mask.len(),
        mask.iter().filter(|&s| shapes.list[s].holds.iter().zip(&sum).all(|(h, s)| *s <= i128::from(*h))),
    );
    shapes.by_cost.iter().filter(|(_, s)| fitting.contains(*s as usize)).map(|(k, _)| *k).collect()
}

/// Buys each bin as the cheapest of its alternatives that still has room in its share.
fn limit_shares(problem: &Problem, bins: &mut [Bin], percent: u32) {
    let most = (bins.len() as u64 * u64::from(percent)).div_ceil(100).max(1);
    let mut bought = vec![0u64; problem.kinds.len()];
    for bin in bins.iter() {
        if let BinRef::New(k) = bin.kind {
            bought[k.at()] += 1;
        }
    }
    for bin in bins.iter_mut() {
        let BinRef::New(now) = bin.kind else { continue };
        if bought[now.at()] <= most {
            continue;
        }
        let free = |k: &&KindIdx| {
            let kind = &problem.kinds[k.at()];
            bought[k.at()] < most.min(kind.available.map_or(u64::MAX, u64::from))
                && problem.caps.iter().all(|c| {
                    !c.kinds.contains(k.at()) || c.kinds.contains(now.at()) && c.weights[k.at()] <= c.weights[now.at()]
                })
                && problem.spreads.iter().all(|s| kind.domains.get(s.key) == problem.kinds[now.at()].domains.get(s.key))
        };
        if let Some(&other) = bin.alternatives.iter().find(free) {
            bought[now.at()] -= 1;
            bought[other.at()] += 1;
            bin.kind = BinRef::New(other);
        }
    }
}

/// Where things of a spread found no place in one domain, others have too many of them: takes those out again. Whether
/// anything was taken.
fn level(problem: &Problem, packed: &mut [Packed]) -> bool {
    for spread in &problem.spreads {
        let domain_of = |p: &Packed| match p.kind {
            BinRef::New(k) => problem.kinds[k.at()].domains.get(spread.key).copied(),
            BinRef::Started(s) => problem.started[s.at()].domains.get(spread.key).copied(),
        };
        let inside = |p: &Packed| p.contents.iter().filter(|c| spread.items.contains(&c.0)).map(|c| c.1).sum::<u32>();
        let mut counts = spread.counts.clone();
        for p in packed.iter() {
            if let Some(c) = domain_of(p).and_then(|d| counts.get_mut(&d)) {
                *c += inside(p);
            }
        }
        let few = counts.len() < spread.min_domains as usize;
        let least = if few { 0 } else { counts.values().copied().min().unwrap_or(0) };
        let most = least.saturating_add(spread.max_skew.max(1));
        let mut taken = false;
        for (&domain, count) in &mut counts {
            for p in packed.iter_mut().filter(|p| domain_of(p) == Some(domain)) {
                for c in p.contents.iter_mut().filter(|c| spread.items.contains(&c.0)) {
                    let n = c.1.min(count.saturating_sub(most));
                    c.1 -= n;
                    *count -= n;
                    taken |= n > 0;
                }
                p.contents.retain(|c| c.1 > 0);
            }
        }
        if taken {
            return true;
        }
    }
    false
}
