//! First-fit-decreasing exactly as the reference scheduler does it: the packing that ours is never dearer than.
//!
//! Items by the first dimension, then the second, both descending. Each thing goes to the first started bin with room,
//! else to the open bin with the fewest things that can still be bought in some kind after it has joined, else to a new
//! bin. An open bin keeps every kind that all its contents allow; the cheapest that holds them is bought at the end.

use std::collections::BTreeMap;

use crate::bits::BitSet;
use crate::effort::Effort;
use crate::finish::{Packed, list_alternatives, outline};
use crate::num::u32_of;
use crate::problem::{ItemIdx, Problem, StartedIdx};
use crate::shapes::{Shape, Shapes};
use crate::solution::{BinRef, Solution};

/// Packs by first-fit-decreasing. Joint limits are kept as the reference keeps them: an open bin holds back the largest
/// use of any kind it might become.
pub fn greedy(problem: &Problem) -> Solution {
    let values = crate::value::values(problem);
    let shapes = Shapes::new(problem, &values);
    let mut solution = greedy_on(problem, &shapes, &values);
    list_alternatives(problem, &shapes, &mut solution);
    solution
}

/// The packing without alternatives.
pub(crate) fn greedy_on(problem: &Problem, shapes: &Shapes, values: &[i64]) -> Solution {
    let mut state = State::new(problem, shapes);
    let mut order: Vec<usize> = (0..problem.items.len()).collect();
    let need = |i: usize, d: usize| problem.items[i].needs.get(d).copied().unwrap_or(0);
    order.sort_by_key(|&i| std::cmp::Reverse((need(i, 0), need(i, 1))));
    for i in order {
        state.pack_item(i);
    }
    let work = state.work + 50 * problem.items.len();
    let steps = Effort::of_operations(work as u64);
    Solution { effort_spent: steps.0, ..outline(problem, shapes, values, state.close()) }
}

/// A bin that is being filled.
struct Open {
    usage: Vec<i64>,
    /// Shapes that its contents allow (fit is judged when needed).
    mask: BitSet,
    /// Componentwise most that any shape of the mask holds: a quick no.
    most: Vec<i64>,
    contents: Vec<(ItemIdx, u32)>,
    /// Place in the order: things inside, then a sequence number that keeps the reference's stable sort.
    key: (u32, i64),
}

struct State<'a> {
    problem: &'a Problem,
    shapes: &'a Shapes,
    /// Shapes by (spread key, domain).
    in_domain: BTreeMap<(usize, u32), BitSet>,
    /// Spreads of each item.
    spreads_of: Vec<Vec<usize>>,
    /// Counts by spread and domain, this packing included.
    counts: Vec<BTreeMap<u32, u32>>,
    /// Items in conflict with each item.
    foes: Vec<Vec<ItemIdx>>,
    /// Whether each item is a foe of the one that is being packed.
    hostile: Vec<bool>,
    /// Limits left.
    left: Vec<i64>,
    started: Vec<Filled>,
    open: Vec<Open>,
    /// Open bins by ascending key.
    order: Vec<usize>,
    clock: i64,
    /// Operations, for the meter.
    work: usize,
}

impl<'a> State<'a> {
    fn new(problem: &'a Problem, shapes: &'a Shapes) -> Self {
        let mut in_domain: BTreeMap<(usize, u32), BitSet> = BTreeMap::new();
        let mut spreads_of = vec![Vec::new(); problem.items.len()];
        for (s, spread) in problem.spreads.iter().enumerate() {
            for (i, shape) in shapes.list.iter().enumerate() {
                if let Some(&d) = shape.domains.get(spread.key) {
                    in_domain.entry((spread.key, d)).or_insert_with(|| BitSet::new(shapes.list.len())).insert(i);
                }
            }
            for item in &spread.items {
                spreads_of[item.at()].push(s);
            }
        }
        let mut foes = vec![Vec::new(); problem.items.len()];
        for c in &problem.conflicts {
            if c.a != c.b {
                foes[c.a.at()].push(c.b);
                foes[c.b.at()].push(c.a);
            }
        }
        Self {
            problem,
            shapes,
            in_domain,
            spreads_of,
            counts: problem.spreads.iter().map(|s| s.counts.clone()).collect(),
            foes,
            hostile: vec![false; problem.items.len()],
            left: shapes.limits.iter().map(|l| l.left).collect(),
            started: problem.started.iter().map(|s| (s.room.clone(), Vec::new())).collect(),
            open: Vec::new(),
            order: Vec::new(),
            clock: 0,
            work: 0,
        }
    }

    fn pack_item(&mut self, i: usize) {
        let mut left = self.problem.items[i].count;
        if left == 0 {
            return;
        }
        self.hostile.fill(false);
        for foe in &self.foes[i] {
            self.hostile[foe.at()] = true;
        }
        left -= self.fill_started(i, left);
        // Bins that may still take one, and those that never will, each by ascending key.
        let (mut alive, mut dead) = (std::mem::take(&mut self.order), Vec::new());
        while left > 0 {
            let (mut at, mut kept, mut placed) = (0, 0, false);
            while at < alive.len() && !placed {
                let b = alive[at];
                match self.try_open(i, b) {
                    Try::Placed => placed = true,
                    Try::NotNow => {
                        alive[kept] = b;
                        kept += 1;
                    }
                    Try::Never => dead.push(b),
                }
                at += usize::from(!placed);
            }
            self.work += at * 6 + (at - kept) * 4;
            alive.drain(kept..at);
            if placed {
                let key = self.open[alive[kept]].key;
                let behind = alive[kept + 1..].partition_point(|&o| self.open[o].key < key);
                alive[kept..=kept + behind].rotate_left(1);
            } else {
                if !self.open_new(i) {
                    break;
                }
                let new = self.open.len() - 1;
                let at = alive.partition_point(|&o| self.open[o].key < self.open[new].key);
                alive.insert(at, new);
            }
            left -= 1;
        }
        alive.append(&mut dead);
        alive.sort_by_key(|&b| self.open[b].key);
        self.order = alive;
    }

    /// First fit into started bins, in their order; returns how many went in.
    fn fill_started(&mut self, i: usize, count: u32) -> u32 {
        let item = &self.problem.items[i];
        let idx = ItemIdx(u32_of(i));
        let mut placed = 0;
        let spread = !self.spreads_of[i].is_empty();
        let n_started = self.started.len();
        for s in item.allowed_started.iter().filter(|&s| s < n_started) {
            while placed < count {
                let (room, contents) = &self.started[s];
                let have = contents.iter().find(|c| c.0 == idx).map_or(0, |c| c.1);
                if !Problem::fits(&item.needs, room)
                    || item.per_bin_max.is_some_and(|m| have >= m)
                    || self.meets_a_foe(i, contents)
                {
                    break;
                }
                let domains = &self.problem.started[s].domains;
                if spread
                    && !self.spreads_of[i]
                        .iter()
                        .all(|&g| domains.get(self.problem.spreads[g].key).is_some_and(|&d| self.may_receive(g, d)))
                {
                    break;
                }
                for &g in &self.spreads_of[i] {
                    if let Some(&d) = domains.get(self.problem.spreads[g].key) {
                        *self.counts[g].entry(d).or_insert(0) += 1;
                    }
                }
                let (room, contents) = &mut self.started[s];
                for (r, n) in room.iter_mut().zip(&item.needs) {
                    if *n > 0 {
                        *r -= n;
                    }
                }
                add_one(contents, idx);
                placed += 1;
            }
        }
        placed
    }

    fn meets_a_foe(&self, i: usize, contents: &[(ItemIdx, u32)]) -> bool {
        !self.foes[i].is_empty() && contents.iter().any(|c| self.hostile[c.0.at()])
    }

    /// Whether the spread lets domain `d` receive one more now.
    fn may_receive(&self, spread: usize, d: u32) -> bool {
        let counts = &self.counts[spread];
        let rule = &self.problem.spreads[spread];
        let few = counts.len() < rule.min_domains as usize;
        let least = if few { 0 } else { counts.values().copied().min().unwrap_or(0) };
        counts.get(&d).is_some_and(|&n| n < least.saturating_add(rule.max_skew.max(1)))
    }

    /// Narrows a mask to one domain per spread of the item: the emptiest that may receive one and that the mask reaches.
    fn narrow(&self, i: usize, mask: &mut BitSet) -> Option<Vec<(usize, u32)>> {
        let mut chosen = Vec::new();
        for &g in &self.spreads_of[i] {
            let key = self.problem.spreads[g].key;
            let (_, d) = self.counts[g]
                .iter()
                .filter(|(d, _)| self.may_receive(g, **d))
                .filter(|(d, _)| self.in_domain.get(&(key, **d)).is_some_and(|m| m.intersects(mask)))
                .map(|(d, n)| (*n, *d))
                .min()?;
            mask.intersect_with(&self.in_domain[&(key, d)]);
            chosen.push((g, d));
        }
        Some(chosen)
    }

    fn try_open(&mut self, i: usize, b: usize) -> Try {
        let item = &self.problem.items[i];
        let idx = ItemIdx(u32_of(i));
        let label = self.shapes.label_of[i] as usize;
        let bin = &self.open[b];
        if bin.usage.iter().zip(&item.needs).zip(&bin.most).any(|((u, n), m)| u.saturating_add(*n) > *m)
            || self.meets_a_foe(i, &bin.contents)
            || item.per_bin_max.is_some_and(|m| bin.contents.iter().any(|c| c.0 == idx && c.1 >= m))
        {
            return Try::Never;
        }
        let first = bin.usage.first().zip(item.needs.first()).map(|(u, n)| u.saturating_add(*n));
        let some_fit = |mask: &BitSet| {
            mask.iter_and(&self.shapes.labels[label])
                .map(|s| &self.shapes.list[s].holds)
                .take_while(|holds| holds.first().copied() >= first)
                .any(|holds| bin.usage.iter().zip(&item.needs).zip(holds).all(|((u, n), h)| u.saturating_add(*n) <= *h))
        };
        if !some_fit(&bin.mask) {
            return Try::Never;
        }
        let mut chosen = Vec::new();
        if self.spreads_of[i].is_empty() {
            let bin = &mut self.open[b];
            if !bin.mask.is_subset(&self.shapes.labels[label]) {
                bin.mask.intersect_with(&self.shapes.labels[label]);
                bin.most = most_held(self.shapes, &bin.mask);
            }
        } else {
            let mut mask = bin.mask.clone();
            match self.narrow(i, &mut mask) {
                Some(c) if some_fit(&mask) => chosen = c,
                _ => return Try::NotNow,
            }
            mask.intersect_with(&self.shapes.labels[label]);
            let bin = &mut self.open[b];
            if bin.mask != mask {
                bin.most = most_held(self.shapes, &mask);
                bin.mask = mask;
            }
        }
        self.clock += 1;
        self.work += 50;
        let bin = &mut self.open[b];
        bin.usage.iter_mut().zip(&item.needs).for_each(|(u, n)| *u += n);
        add_one(&mut bin.contents, idx);
        bin.key = (bin.key.0 + 1, -self.clock);
        self.count(&chosen);
        Try::Placed
    }

    fn open_new(&mut self, i: usize) -> bool {
        let item = &self.problem.items[i];
        let mut mask = self.shapes.labels[self.shapes.label_of[i] as usize].clone();
        let Some(chosen) = self.narrow(i, &mut mask) else { return false };
        let possible: Vec<usize> = mask
            .iter()
            .filter(|&s| {
                let shape = &self.shapes.list[s];
                holds(shape, &item.needs) && shape.uses.iter().all(|&(l, w)| w <= self.left[l as usize])
            })
            .collect();
        if possible.is_empty() || item.per_bin_max == Some(0) {
            return false;
        }
        let mask = BitSet::of(mask.len(), possible.iter().copied());
        let mut held: BTreeMap<u32, i64> = BTreeMap::new();
        for &s in &possible {
            for &(l, w) in &self.shapes.list[s].uses {
                let h = held.entry(l).or_insert(0);
                *h = (*h).max(w);
            }
        }
        for (l, w) in held {
            self.left[l as usize] -= w;
        }
        self.clock += 1;
        self.open.push(Open {
            usage: item.needs.clone(),
            most: most_held(self.shapes, &mask),
            mask,
            contents: vec![(ItemIdx(u32_of(i)), 1)],
            key: (1, self.clock),
        });
        self.count(&chosen);
        true
    }

    fn count(&mut self, chosen: &[(usize, u32)]) {
        for &(g, d) in chosen {
            *self.counts[g].entry(d).or_insert(0) += 1;
        }
    }

    /// Buys every open bin as the cheapest kind left to it.
    fn close(self) -> Vec<Packed> {
        let mut cheapest = vec![u32::MAX; self.shapes.list.len()];
        for (at, (_, s)) in self.shapes.by_cost.iter().enumerate().rev() {
            cheapest[*s as usize] = u32_of(at);
        }
        let mut packed: Vec<Packed> = Vec::with_capacity(self.open.len() + self.started.len());
        for (s, (_, contents)) in self.started.into_iter().enumerate() {
            packed.push(Packed { kind: BinRef::Started(StartedIdx(u32_of(s))), contents });
        }
        for bin in self.open {
            let best = bin.mask.iter().filter(|&s| holds(&self.shapes.list[s], &bin.usage)).map(|s| cheapest[s]).min();
            if let Some(at) = best {
                let kind = self.shapes.by_cost[at as usize].0;
                packed.push(Packed { kind: BinRef::New(kind), contents: bin.contents });
            }
        }
        packed
    }
}

/// Room left in a started bin, and what was put into it.
type Filled = (Vec<i64>, Vec<(ItemIdx, u32)>);

enum Try {
    Placed,
    /// Its domain may not receive one at this moment.
    NotNow,
    /// Bins only narrow, so it stays impossible for this item.
    Never,
}

fn holds(shape: &Shape, usage: &[i64]) -> bool {
    usage.iter().zip(&shape.holds).all(|(u, h)| u <= h)
}

fn most_held(shapes: &Shapes, mask: &BitSet) -> Vec<i64> {
    let mut most = vec![-1; shapes.list.first().map_or(0, |s| s.holds.len())];
    for s in mask.iter() {
        for (m, h) in most.iter_mut().zip(&shapes.list[s].holds) {
            *m = (*m).max(*h);
        }
    }
    most
}

fn add_one(contents: &mut Vec<(ItemIdx, u32)>, item: ItemIdx) {
    match contents.iter_mut().find(|c| c.0 == item) {
        Some(c) => c.1 += 1,
        None => contents.push((item, 1)),
    }
}
