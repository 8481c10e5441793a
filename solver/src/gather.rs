//! Fewer bins at no higher cost: two bins of a kind become one of a larger kind where that costs no more. Every bin less is
//! a machine less to start, to watch and to run the daemons of.

use std::collections::BTreeMap;

use crate::finish::Packed;
use crate::num::u32_of;
use crate::problem::{ItemIdx, KindIdx, Problem};
use crate::solution::{BinRef, Solution};

/// Of two bins' price, the part that a larger one may cost more: sizes that double have prices that are rounded.
const ROUNDING: i64 = 200_000;

/// Each round halves what can be halved.
const MOST_ROUNDS: usize = 8;

type Contents = Vec<(ItemIdx, u32)>;

/// The bins after gathering, where any could be. `values` is what each kind costs in the objective. That and the cost rise
/// by rounding at most.
pub(crate) fn gather(problem: &Problem, values: &[i64], solution: &Solution) -> Option<Vec<Packed>> {
    // A share of all bins is a rule about their number.
    if problem.options.max_share_percent.is_some() {
        return None;
    }
    let mut foes = vec![Vec::new(); problem.items.len()];
    for conflict in &problem.conflicts {
        foes[conflict.a.at()].push(conflict.b);
        foes[conflict.b.at()].push(conflict.a);
    }
    foes.iter_mut().for_each(|of| of.sort_unstable());
    let bought = vec![0; problem.kinds.len()];
    let mut gathering = Gathering { problem, values, foes, bought, larger: BTreeMap::new() };
    let mut piles: BTreeMap<(KindIdx, Contents), u32> = BTreeMap::new();
    let mut started = Vec::new();
    for bin in &solution.bins {
        match bin.kind {
            BinRef::New(kind) => {
                gathering.bought[kind.at()] += 1;
                *piles.entry((kind, bin.contents.clone())).or_default() += 1;
            }
            BinRef::Started(_) => started.push(Packed { kind: bin.kind, contents: bin.contents.clone() }),
        }
    }
    let mut is_better = false;
    for _ in 0..MOST_ROUNDS {
        let (next, n_gathered) = gathering.round(&piles);
        piles = next;
        if n_gathered == 0 {
            break;
        }
        is_better = true;
    }
    is_better.then(|| {
        let new = piles.into_iter().flat_map(|((kind, contents), n)| {
            (0..n).map(move |_| Packed { kind: BinRef::New(kind), contents: contents.clone() })
        });
        new.chain(started).collect()
    })
}

struct Gathering<'a> {
    problem: &'a Problem,
    values: &'a [i64],
    /// By item, ascending: what it may not share a bin with.
    foes: Vec<Vec<ItemIdx>>,
    /// How many of each kind there are now.
    bought: Vec<u32>,
    /// By kind: what could hold two of it for no more, cheapest first.
    larger: BTreeMap<KindIdx, Vec<KindIdx>>,
}

impl Gathering<'_> {
    /// Pairs equal bins, and what is left over with its neighbour of the same kind. The piles, and how many pairs became one.
    fn round(&mut self, piles: &BTreeMap<(KindIdx, Contents), u32>) -> (BTreeMap<(KindIdx, Contents), u32>, u32) {
        let mut next = BTreeMap::new();
        let mut n_gathered = 0;
        let mut single: Option<(KindIdx, &Contents)> = None;
        for ((kind, contents), &n) in piles {
            let mut left = n;
            while left >= 2 && self.pair(*kind, contents, contents, &mut next) {
                left -= 2;
                n_gathered += 1;
            }
            if left % 2 == 1
                && let Some((_, other)) = single.take_if(|s| s.0 == *kind)
            {
                if self.pair(*kind, contents, other, &mut next) {
                    left -= 1;
                    n_gathered += 1;
                } else {
                    *next.entry((*kind, other.clone())).or_default() += 1;
                }
            }
            if left % 2 == 1 {
                if let Some((kind, contents)) = single.replace((*kind, contents)) {
                    *next.entry((kind, contents.clone())).or_default() += 1;
                }
                left -= 1;
            }
            if left > 0 {
                *next.entry((*kind, contents.clone())).or_default() += left;
            }
        }
        if let Some((kind, contents)) = single {
            *next.entry((kind, contents.clone())).or_default() += 1;
        }
        (next, n_gathered)
    }

    /// One bin for two of a kind, if one may be had.
    fn pair(
        &mut self,
        kind: KindIdx,
        a: &Contents,
        b: &Contents,
        next: &mut BTreeMap<(KindIdx, Contents), u32>,
    ) -> bool {
        if !self.larger.contains_key(&kind) {
            let larger = self.larger_than(kind);
            self.larger.insert(kind, larger);
        }
        if self.larger.get(&kind).is_none_or(Vec::is_empty) {
            return false;
        }
        let Some(contents) = self.together(a, b) else { return false };
        let mut needs = vec![0i64; self.problem.dims];
        for &(item, n) in &contents {
            for (sum, need) in needs.iter_mut().zip(&self.problem.items[item.at()].needs) {
                *sum = sum.saturating_add(need.saturating_mul(i64::from(n)));
            }
        }
        let kinds = &self.problem.kinds;
        let fits = |k: &&KindIdx| {
            Problem::fits(&needs, &kinds[k.at()].holds)
                && kinds[k.at()].available.is_none_or(|most| self.bought[k.at()] < most)
                && contents.iter().all(|c| self.problem.items[c.0.at()].allowed.contains(k.at()))
        };
        let Some(&one) = self.larger.get(&kind).and_then(|larger| larger.iter().find(fits)) else { return false };
        self.bought[kind.at()] -= 2;
        self.bought[one.at()] += 1;
        *next.entry((one, contents)).or_default() += 1;
        true
    }

    /// The contents of both, if the rules allow them in one bin.
    fn together(&self, a: &Contents, b: &Contents) -> Option<Contents> {
        let at_odds = |x: ItemIdx, y: ItemIdx| self.foes[x.at()].binary_search(&y).is_ok();
        if a.iter().any(|x| b.iter().any(|y| at_odds(x.0, y.0))) {
            return None;
        }
        let mut sum: BTreeMap<ItemIdx, u32> = a.iter().copied().collect();
        for &(item, n) in b {
            let all = sum.entry(item).or_default();
            *all = all.saturating_add(n);
        }
        let is_over = |(item, n): (&ItemIdx, &u32)| self.problem.items[item.at()].per_bin_max.is_some_and(|m| *n > m);
        let is_over = sum.iter().any(is_over);
        (!is_over).then(|| sum.into_iter().collect())
    }

    /// In the same domains and group, for no more than two of `kind` in the objective, in cost and of every limit.
    fn larger_than(&self, kind: KindIdx) -> Vec<KindIdx> {
        let kinds = &self.problem.kinds;
        let (own, twice) = (&kinds[kind.at()], |n: i64| n.saturating_mul(2));
        let about_twice = |n: i64| twice(n).saturating_add(twice(n) / ROUNDING);
        let is_larger = |&k: &usize| {
            let other = &kinds[k];
            other.domains == own.domains
                && other.group == own.group
                && other.cost <= about_twice(own.cost)
                && self.values[k] <= about_twice(self.values[kind.at()])
                && self.problem.caps.iter().all(|cap| {
                    let used = if cap.kinds.contains(kind.at()) { twice(cap.weights[kind.at()]) } else { 0 };
                    !cap.kinds.contains(k) || cap.weights[k] <= used
                })
        };
        let mut larger: Vec<KindIdx> =
            (0..kinds.len()).filter(|k| *k != kind.at()).filter(is_larger).map(|k| KindIdx(u32_of(k))).collect();
        larger.sort_by_key(|k| (self.values[k.at()], *k));
        larger
    }
}
