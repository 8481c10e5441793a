//! A problem that falls into parts: items that share no kind, no started bin and no rule do not know of each other, so
//! each part is packed and bounded by itself, and small parts are searched to their end.

use std::borrow::Cow;

use crate::effort::{Cancel, Effort};
use crate::problem::{Conflict, Item, ItemIdx, Problem};
use crate::solution::{LowerBound, Proof, Solution};
use crate::solve::{bound_whole, solve_whole};

/// A part with more things than this is not searched for its bound.
const MOST_THINGS: u64 = 300;
/// A part with more items than this is not searched for its bound.
const MOST_ITEMS: usize = 24;
/// Parts beyond these are taken together: each has the kinds for itself.
const MOST_PARTS: usize = 16;
/// A gap of this share of a bound is not worth a search.
const NEAR: f64 = 0.001;

/// The sum of what the parts must cost.
pub(crate) fn bound_by_parts(problem: &Problem, effort: Effort) -> LowerBound {
    let parts = parts(problem);
    let mut out = LowerBound { values: vec![0.0; problem.items.len()], ..LowerBound::default() };
    for part in &parts {
        let (own, share) = (only(problem, part, parts.len()), share(problem, part, parts.len(), effort));
        let bound = bound_whole(&own, share);
        let searched = searched(&own, &bound, share);
        out.effort_spent += bound.effort_spent + searched.1;
        out.cost += bound.cost.max(searched.0);
        for (item, value) in part.iter().zip(bound.values) {
            out.values[*item] = value;
        }
    }
    out
}

/// The packings of all parts together; None where there is but one.
pub(crate) fn solve_by_parts(problem: &Problem, effort: Effort, cancel: &Cancel) -> Option<Solution> {
    let parts = parts(problem);
    if parts.len() < 2 {
        return None;
    }
    let mut out = Solution { proof: Proof::Optimal, ..Solution::default() };
    for part in &parts {
        let own = only(problem, part, parts.len());
        let share = |effort| share(problem, part, parts.len(), effort);
        let solution = solve_whole(&own, share(effort), share(Effort::DEFAULT), cancel);
        let whole = |item: ItemIdx| ItemIdx(crate::num::u32_of(part[item.at()]));
        out.bins.extend(solution.bins.into_iter().map(|mut bin| {
            bin.contents.iter_mut().for_each(|(item, _)| *item = whole(*item));
            bin
        }));
        out.unpacked.extend(solution.unpacked.into_iter().map(|(item, count)| (whole(item), count)));
        out.cost += solution.cost;
        out.objective += solution.objective;
        out.cost_lower_bound += solution.cost_lower_bound;
        out.proof = out.proof.min(solution.proof);
        out.effort_spent += solution.effort_spent;
    }
    // New bins come first; within each half the parts keep their order.
    out.bins.sort_by_key(|bin| matches!(bin.kind, crate::solution::BinRef::Started(_)));
    out.unpacked.sort_unstable();
    Some(out)
}

/// The problem of one part: all kinds and started bins, and the rules that its items are in.
fn only<'p>(problem: &'p Problem, part: &[usize], n_parts: usize) -> Cow<'p, Problem> {
    if n_parts == 1 {
        return Cow::Borrowed(problem);
    }
    let place = |item: ItemIdx| part.binary_search(&item.at()).ok().map(|at| ItemIdx(crate::num::u32_of(at)));
    let conflicts = problem.conflicts.iter().filter_map(|c| Some(Conflict { a: place(c.a)?, b: place(c.b)? }));
    Cow::Owned(Problem {
        dims: problem.dims,
        items: part.iter().map(|item| problem.items[*item].clone()).collect(),
        kinds: problem.kinds.clone(),
        started: problem.started.clone(),
        conflicts: conflicts.collect(),
        spreads: Vec::new(),
        caps: problem.caps.clone(),
        options: problem.options.clone(),
    })
}

/// Half of the effort goes to all parts alike, half to each as it has things to pack.
fn share(problem: &Problem, part: &[usize], n_parts: usize, effort: Effort) -> Effort {
    let things: u64 = part.iter().map(|item| u64::from(problem.items[*item].count)).sum();
    let (things, all) = (u128::from(things), u128::from(problem.n_things().max(1)));
    let (n_parts, effort) = (n_parts.max(1) as u128, u128::from(effort.0));
    let share = effort / 2 / n_parts + effort / 2 * things / all;
    Effort(u64::try_from(if n_parts == 1 { effort } else { share }).unwrap_or(u64::MAX))
}

/// What a search finds that a small part must cost at least, and the steps it took.
fn searched(part: &Problem, bound: &LowerBound, effort: Effort) -> (i64, u64) {
    if part.items.len() > MOST_ITEMS || part.n_things() > MOST_THINGS {
        return (0, 0);
    }
    let solution = solve_whole(part, effort, Effort::DEFAULT, &Cancel::new());
    let is_near = (solution.cost - bound.cost) as f64 <= NEAR * bound.cost as f64;
    let proven = if solution.unpacked.is_empty() && !is_near { solution.cost_lower_bound } else { 0 };
    (proven, solution.effort_spent)
}

/// The items of each part, in order. A problem whose parts have a rule in common that is not of one pair of items or of
/// some kinds is one part.
fn parts(problem: &Problem) -> Vec<Vec<usize>> {
    let n = problem.items.len();
    let options = &problem.options;
    // How the price of a choice is seen hangs on all items that could use it.
    let is_joint =
        !problem.spreads.is_empty() || options.max_share_percent.is_some() || !options.flexibility.is_empty();
    if is_joint || problem.kinds.iter().any(|kind| kind.available.is_some()) {
        return vec![(0..n).collect()];
    }
    if are_tied_by_large_kinds(problem) {
        return vec![(0..n).collect()];
    }
    let mut union = Union((0..n).collect());
    let takes = |item: &Item, room: &[i64]| Problem::fits(&item.needs, room);
    let mut of_kind = vec![None; problem.kinds.len()];
    let mut of_started = vec![None; problem.started.len()];
    for (at, item) in problem.items.iter().enumerate() {
        for kind in item.allowed.iter().filter(|kind| takes(item, &problem.kinds[*kind].holds)) {
            let first = *of_kind[kind].get_or_insert(at);
            union.join(first, at);
        }
        for started in item.allowed_started.iter().filter(|bin| takes(item, &problem.started[*bin].room)) {
            let first = *of_started[started].get_or_insert(at);
            union.join(first, at);
        }
    }
    for conflict in &problem.conflicts {
        union.join(conflict.a.at(), conflict.b.at());
    }
    for cap in &problem.caps {
        let mut users = cap.kinds.iter().filter_map(|kind| of_kind[kind]);
        if let Some(first) = users.next() {
            users.for_each(|other| union.join(first, other));
        }
    }
    let mut by_root = std::collections::BTreeMap::new();
    for at in 0..n {
        by_root.entry(union.root(at)).or_insert_with(Vec::new).push(at);
    }
    let mut parts: Vec<Vec<usize>> = by_root.into_values().collect();
    let mut rest = parts.split_off(parts.len().min(MOST_PARTS)).concat();
    rest.sort_unstable();
    parts.extend((!rest.is_empty()).then_some(rest));
    parts
}

/// Whether kinds that hold the largest need of each dimension of the items with equal places tie all items together: then
/// nothing has to be looked at item by item.
fn are_tied_by_large_kinds(problem: &Problem) -> bool {
    let mut groups: std::collections::BTreeMap<&crate::bits::BitSet, (usize, Vec<i64>)> =
        std::collections::BTreeMap::new();
    for item in &problem.items {
        let next = groups.len();
        let (_, needs) = groups.entry(&item.allowed).or_insert_with(|| (next, item.needs.clone()));
        needs.iter_mut().zip(&item.needs).for_each(|(most, need)| *most = (*most).max(*need));
    }
    let mut union = Union((0..groups.len()).collect());
    let mut is_held = vec![false; groups.len()];
    let n_kinds = problem.kinds.len();
    let mut of_kind: Vec<Option<usize>> = vec![None; n_kinds];
    for (allowed, (group, needs)) in &groups {
        for kind in allowed.iter().filter(|&k| k < n_kinds && Problem::fits(needs, &problem.kinds[k].holds)) {
            is_held[*group] = true;
            let first = *of_kind[kind].get_or_insert(*group);
            union.join(first, *group);
        }
    }
    !is_held.is_empty() && is_held.iter().all(|&held| held) && (0..groups.len()).all(|group| union.root(group) == 0)
}

/// Which items belong together: each points to another one of its part, or to itself.
struct Union(Vec<usize>);

impl Union {
    fn root(&mut self, of: usize) -> usize {
        let mut at = of;
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    /// The lower root stays, so the order of items is that of parts.
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        let (low, high) = (a.min(b), a.max(b));
        self.0[high] = low;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::BitSet;
    use crate::problem::{BinKind, Conflict, ItemIdx};

    fn kind(cpu: i64, cost: i64) -> BinKind {
        BinKind { holds: vec![cpu], cost, available: None, domains: Vec::new(), group: 0 }
    }

    fn item(cpu: i64, count: u32, allowed: &[usize]) -> Item {
        Item {
            needs: vec![cpu],
            count,
            allowed: BitSet::of(2, allowed.iter().copied()),
            allowed_started: BitSet::new(0),
            per_bin_max: None,
        }
    }

    fn problem(items: Vec<Item>) -> Problem {
        Problem { dims: 1, kinds: vec![kind(4, 400), kind(4, 1000)], items, ..Problem::default() }
    }

    #[test]
    fn items_that_share_nothing_are_bounded_apart_and_to_the_end() {
        // Two bins of each kind where fractions of bins would do: 1.5 × 400 and 1.25 × 1000.
        let both = problem(vec![item(3, 2, &[0]), item(5, 1, &[0]), item(3, 2, &[1])]);
        assert_eq!(parts(&both), [vec![0], vec![1], vec![2]]);
        let fits = problem(vec![item(3, 2, &[0]), item(3, 2, &[1])]);
        let bound = bound_by_parts(&fits, Effort(1_000_000));
        assert_eq!(bound.cost, 2 * 400 + 2 * 1000);
        assert_eq!(bound.values.len(), 2);
    }

    #[test]
    fn what_is_packed_apart_is_one_packing() {
        let both = problem(vec![item(3, 2, &[0]), item(3, 1, &[1]), item(5, 4, &[0])]);
        let solution = solve_by_parts(&both, Effort(10_000), &Cancel::new()).unwrap();
        assert_eq!(crate::verify(&both, &solution), []);
        assert_eq!((solution.cost, solution.cost_lower_bound, solution.bins.len()), (1800, 1800, 3));
        assert_eq!(solution.unpacked, [(ItemIdx(2), 4)]);
        assert!(solve_by_parts(&problem(vec![item(3, 2, &[0])]), Effort(10_000), &Cancel::new()).is_none());
    }

    #[test]
    fn a_limit_on_kinds_ties_those_together_that_use_them() {
        let cap = |kinds: &[usize]| crate::problem::Cap {
            kinds: BitSet::of(2, kinds.iter().copied()),
            weights: vec![1, 1],
            limit: 1,
        };
        let mut limited = problem(vec![item(1, 1, &[0]), item(1, 1, &[1])]);
        limited.caps.push(cap(&[0]));
        assert_eq!(parts(&limited).len(), 2);
        limited.caps.push(cap(&[0, 1]));
        assert_eq!(parts(&limited).len(), 1);
    }

    #[test]
    fn whatever_ties_items_together_makes_them_one_part() {
        let shared = vec![item(1, 1, &[0]), item(1, 1, &[1]), item(1, 1, &[0, 1])];
        assert_eq!(parts(&problem(shared)), [vec![0, 1, 2]]);
        let mut tied = problem(vec![item(1, 1, &[0]), item(1, 1, &[1])]);
        tied.conflicts.push(Conflict { a: ItemIdx(0), b: ItemIdx(1) });
        assert_eq!(parts(&tied), [vec![0, 1]]);
    }

    #[test]
    fn a_bin_that_is_there_ties_those_together_that_it_takes() {
        let mut started = problem(vec![item(1, 1, &[0]), item(1, 1, &[1])]);
        started.started.push(crate::problem::StartedBin { room: vec![1], ..Default::default() });
        for item in &mut started.items {
            item.allowed_started = BitSet::of(1, [0]);
        }
        assert_eq!(parts(&started), [vec![0, 1]]);
    }
}
