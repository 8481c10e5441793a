//! Depth-first search for the most valuable contents of one offer, with resource prices as its bound.
//!
//! Each node keeps only the classes that still fit, so that near a full bin nothing is left to try; what a class can earn
//! beyond the resource prices is counted only as often as it still fits.

use crate::instance::{Instance, Offer, Pattern, fits};
use crate::knapsack::Scratch;
use crate::lattice::{Lattice, Thing};
use crate::num::count_of;

/// Reused memory of the search.
#[derive(Clone, Debug)]
pub(crate) struct Frame<const R: usize> {
    /// The best contents found, in no order.
    pub best: Pattern,
    entries: Vec<Entry<R>>,
    /// By entry: what the table is filled with.
    things: Vec<Thing<R>>,
    /// What still fits, one list per depth behind the other; beyond the deepest, what is left of earlier ones.
    stack: Vec<Open>,
    chosen: Pattern,
}

impl<const R: usize> Default for Frame<R> {
    fn default() -> Self {
        Self { best: Vec::new(), entries: Vec::new(), things: Vec::new(), stack: Vec::new(), chosen: Vec::new() }
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry<const R: usize> {
    thing: Thing<R>,
    class: u32,
    /// Value less what its needs cost at the resource prices, and the other way round; none is below 0.
    beyond: f64,
    loss: f64,
    /// Value per unit of resource price, the order of the search.
    density: f64,
    /// What the needs of one cost at the resource prices.
    cost: f64,
}

/// A class that fits at a node: its entry, how often, and what it and those behind it can earn beyond the prices.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    entry: u32,
    fit: u32,
    beyond: f64,
    /// How many things those are.
    things: f64,
}

/// What a search found and proved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Value of the best contents, 0 when none beat the threshold.
    pub value: f64,
    /// No contents are worth more.
    pub bound: f64,
}

struct Walk<'a, const R: usize> {
    inst: &'a Instance<R>,
    lattice: &'a Lattice<R>,
    /// Price of one whole unit of each dimension.
    unit: [f64; R],
    /// What needs are taken for that cost less at the resource prices.
    least: f64,
    best_value: f64,
    found: bool,
    work: usize,
    most_work: usize,
}

/// A search of this many nodes is worth a table that bounds what is left of it.
const LONG: usize = 2000;

/// And one of this many is worth the search for the best table.
const VERY_LONG: usize = 8000;

/// Operations that one node stands for.
pub(crate) const NODE: usize = 24;

/// Searches for contents worth more than `threshold` among the classes listed by the relaxation just solved.
pub(crate) fn search<const R: usize>(
    inst: &Instance<R>,
    offer: &Offer<R>,
    prices: &[f64; R],
    relaxed: f64,
    threshold: f64,
    most_nodes: usize,
    scratch: &mut Scratch<R>,
) -> Found {
    let mut unit = [0.0f64; R];
    for r in 0..R {
        // Shares are proportional to quantities, so the ratio is the same for every class and offer that has any.
        let known = inst.classes.iter().find(|c| c.need[r] > 0);
        unit[r] = known.map_or(0.0, |c| prices[r] * c.share[r] / c.need[r] as f64);
    }
    let least = 1e-12 * relaxed;
    let frame = &mut scratch.search;
    frame.entries.clear();
    for &(k, u, value) in &scratch.list {
        let class = &inst.classes[k as usize];
        let mut w = 0.0;
        for r in 0..R {
            w += unit[r] * class.need[r] as f64;
        }
        let thing = Thing { need: class.need, most: crate::num::floor_count(u), value };
        let density = value / (w + least);
        let cost = (value / density - least).max(0.0);
        frame.entries.push(Entry {
            thing,
            class: k,
            beyond: (value - w).max(0.0),
            loss: (w - value).max(0.0),
            density,
            cost,
        });
    }
    // Contents with one that loses more at the prices are worth no more than the threshold.
    let all = frame.entries.len();
    frame.entries.retain(|e| e.loss <= relaxed - threshold * (1.0 - 1e-9));
    let floor = if frame.entries.len() < all { threshold } else { 0.0 };
    frame.entries.sort_unstable_by(|a, b| b.density.total_cmp(&a.density).then(a.class.cmp(&b.class)));
    if most_nodes >= 500 && !inst.has_foes {
        scratch.operations += drop_dominated(&mut frame.entries, &offer.holds);
    }
    let lattice = &mut scratch.lattice;
    lattice.ready = false;
    let mut relaxed = relaxed;
    if most_nodes >= LONG && !frame.entries.is_empty() {
        frame.things.clear();
        frame.things.extend(frame.entries.iter().map(|e| e.thing));
        scratch.operations += lattice.fill(offer, &frame.things, &unit, most_nodes >= VERY_LONG);
        if lattice.ready {
            relaxed = relaxed.min(lattice.most(0, &offer.holds).max(floor));
        }
        if relaxed <= threshold {
            return Found { value: 0.0, bound: relaxed };
        }
    }
    let lattice = &*lattice;
    frame.best.clear();
    frame.chosen.clear();
    let all = frame.entries.len();
    reach(&mut frame.stack, all);
    for ((entry, e), open) in (0u32..).zip(&frame.entries).zip(&mut frame.stack) {
        *open = Open { entry, fit: e.thing.most, ..Open::default() };
    }
    let most_work = most_nodes * NODE;
    let mut walk = Walk { inst, lattice, unit, least, best_value: threshold, found: false, work: 0, most_work };
    let beyond = frame.entries.iter().map(|e| f64::from(e.thing.most) * e.beyond).sum();
    let complete = walk.visit(frame, 0, all, &offer.holds, 0.0, beyond);
    scratch.operations += walk.work;
    let value = if walk.found { walk.best_value } else { 0.0 };
    let bound = if complete { walk.best_value } else { relaxed };
    Found { value, bound: bound.min(relaxed).max(value) }
}

/// Drops classes that another one, limited by the room alone, can stand in for: it needs no more and is worth no less.
/// `entries` are by descending density, so the other one comes first. Returns the operations spent.
fn drop_dominated<const R: usize>(entries: &mut Vec<Entry<R>>, holds: &[i64; R]) -> usize {
    let mut strong: Vec<Entry<R>> = Vec::new();
    let mut operations = 0;
    entries.retain(|e| {
        operations += strong.len() * 2 + 4;
        let dominated = strong
            .iter()
            .map(|s| &s.thing)
            .any(|s| s.value >= e.thing.value && (0..R).all(|r| s.need[r] <= e.thing.need[r]));
        if !dominated && e.thing.most >= times(&e.thing.need, holds, u32::MAX) {
            strong.push(*e);
        }
        !dominated
    });
    operations
}

/// Lengthens a stack for so many, where it is not that long already.
fn reach(stack: &mut Vec<Open>, len: usize) {
    if stack.len() < len {
        stack.resize(len, Open::default());
    }
}

impl<const R: usize> Walk<'_, R> {
    /// Searches what can join `chosen` out of `stack[from..to]`, where the stack ends and which can earn so much beyond the
    /// prices; whether the subtree was searched to its end.
    fn visit(
        &mut self,
        frame: &mut Frame<R>,
        from: usize,
        to: usize,
        free: &[i64; R],
        value: f64,
        beyond: f64,
    ) -> bool {
        self.work += NODE / 2 + (to - from) * 4;
        if self.work > self.most_work {
            return false;
        }
        if value > self.best_value * (1.0 + 1e-12) {
            self.best_value = value;
            self.found = true;
            frame.best.clone_from(&frame.chosen);
        }
        let mut worth = 0.0;
        for r in 0..R {
            worth += self.unit[r] * free[r] as f64;
        }
        // Contents that are worth more than the best lose no more at the prices than this.
        let slack = value + worth + beyond - self.best_value * (1.0 - 1e-9);
        let Frame { stack, entries, chosen, .. } = &mut *frame;
        reach(stack, to + to - from);
        let (before, here) = stack.split_at_mut(to);
        let mut n = 0;
        for above in &before[from..to] {
            let e = &entries[above.entry as usize];
            if e.loss > slack {
                continue;
            }
            let fit = times(&e.thing.need, free, above.fit);
            if fit > 0 && !(self.inst.has_foes && self.inst.classes[e.class as usize].has_foe_in(chosen)) {
                here[n] = Open { entry: above.entry, fit, ..Open::default() };
                n += 1;
            }
        }
        let (mut beyond, mut things) = (0.0, 0.0);
        for open in here[..n].iter_mut().rev() {
            things += f64::from(open.fit);
            beyond += f64::from(open.fit) * entries[open.entry as usize].beyond;
            open.beyond = beyond;
            open.things = things;
        }
        self.branch(frame, to, to + n, free, value, worth)
    }

    fn branch(
        &mut self,
        frame: &mut Frame<R>,
        first: usize,
        end: usize,
        free: &[i64; R],
        value: f64,
        worth: f64,
    ) -> bool {
        for i in first..end {
            let open = frame.stack[i];
            let entry = open.entry;
            let e = frame.entries[entry as usize];
            let mut rest = self.most_worth(worth, &open, e.density);
            if self.lattice.ready && value + rest > self.best_value * (1.0 + 1e-12) {
                self.work += 8;
                rest = rest.min(self.lattice.most(entry as usize, free));
            }
            if value + rest <= self.best_value * (1.0 + 1e-12) {
                return true;
            }
            let thing = &e.thing;
            let mut after = *free;
            for r in 0..R {
                after[r] -= thing.need[r] * i64::from(open.fit);
            }
            let next = frame.stack.get(i + 1).filter(|_| i + 1 < end).copied();
            for n in (1..=open.fit).rev() {
                let v = value + thing.value * f64::from(n);
                let left = worth - e.cost * f64::from(n);
                let rest = next.map_or(0.0, |o| self.most_worth(left, &o, frame.entries[o.entry as usize].density));
                let mut open = v > self.best_value * (1.0 + 1e-12) || v + rest > self.best_value * (1.0 + 1e-12);
                let hopeless = !open;
                if open && self.lattice.ready && v <= self.best_value * (1.0 + 1e-12) {
                    self.work += 8;
                    open = v + self.lattice.most(entry as usize + 1, &after) > self.best_value * (1.0 + 1e-12);
                }
                if open {
                    frame.chosen.push((e.class, n));
                    let beyond = next.map_or(0.0, |o| o.beyond);
                    let complete = self.visit(frame, i + 1, end, &after, v, beyond);
                    frame.chosen.pop();
                    if !complete {
                        return false;
                    }
                } else if hopeless && e.density >= 1.0 {
                    // With fewer of this class its value falls at least as fast as the bound on the rest grows.
                    break;
                }
                for r in 0..R {
                    after[r] += thing.need[r];
                }
            }
            // Leaving the class out altogether is the next turn of the loop.
        }
        true
    }

    /// What the classes from `open` on can be worth where the room left is worth `left` at the resource prices: what they
    /// are worth beyond their needs is limited by their numbers, and none is worth more than `density` times its needs
    /// (and the `least` that every need was taken for).
    fn most_worth(&self, left: f64, open: &Open, density: f64) -> f64 {
        (left + open.beyond).min((left.max(0.0) + self.least * open.things) * density).max(0.0)
    }
}

/// How many things of these needs fit into what is free, of at most so many; most often none or one, so that is found
/// without dividing.
#[inline]
fn times<const R: usize>(need: &[i64; R], free: &[i64; R], most: u32) -> u32 {
    if !fits(need, free) {
        return 0;
    }
    if most <= 1 || !fits(need, &std::array::from_fn(|r| free[r] - need[r])) {
        return most.min(1);
    }
    let mut n = i64::MAX;
    for r in 0..R {
        if need[r] > 0 {
            n = n.min(free[r] / need[r]);
        }
    }
    count_of(n).min(most)
}
