//! The search behind re-optimisation: retire what saves most per thing moved, then ruin and recreate at a falling price
//! per move.

use crate::buy::{Leeway, Work};
use crate::duals::resource_values;
use crate::effort::Meter;
use crate::guide::{Guide, weigh};
use crate::instance::Instance;
use crate::nodes::{Budget, Node, price_of};
use crate::noise::Noise;
use crate::problem::Problem;
use crate::reopt::Moves;
use crate::solution::BinRef;

/// A bin of the state: one of the started ones, or bought.
#[derive(Clone, Debug)]
pub(crate) struct Held<const R: usize> {
    pub node: Node<R>,
    /// The started bin it is.
    pub origin: Option<usize>,
    pub cost: f64,
    pub pinned: bool,
}

/// All bins at one moment.
#[derive(Clone, Debug)]
pub(crate) struct State<const R: usize> {
    pub bins: Vec<Held<R>>,
    pub budget: Budget,
    pub moved: u64,
    pub retired: usize,
}

impl<const R: usize> State<R> {
    /// The started bins as they are; `None` when something in them has no class (then nothing can be said).
    pub(crate) fn of(problem: &Problem, inst: &Instance<R>) -> Option<Self> {
        let mut offer_of = vec![None; problem.started.len()];
        for (o, offer) in inst.offers.iter().enumerate().skip(inst.n_new) {
            if let BinRef::Started(s) = offer.what {
                offer_of[s.at()] = Some(crate::num::u32_of(o));
            }
        }
        let mut bins = Vec::new();
        for (s, bin) in problem.started.iter().enumerate() {
            // A bin that can take nothing holds nothing: it can only be retired.
            let Some(offer) = offer_of[s] else {
                if !bin.contents.is_empty() {
                    return None;
                }
                continue;
            };
            let mut pattern: Vec<(u32, u32)> = Vec::new();
            for &(item, n) in bin.contents.iter().filter(|c| c.1 > 0) {
                let here = |k: &usize| {
                    inst.offers[offer as usize].serves.contains(*k)
                        && inst.classes[*k].members.iter().any(|m| m.0 == item)
                };
                let k = (0..inst.classes.len()).find(here)?;
                pattern.push((crate::num::u32_of(k), n));
            }
            pattern.sort_unstable();
            let node = Node::with(inst, offer, pattern);
            bins.push(Held { node, origin: Some(s), cost: bin.cost as f64, pinned: bin.pinned });
        }
        Some(Self { bins, budget: Budget(inst.limits.clone()), moved: 0, retired: 0 })
    }

    pub(crate) fn cost(&self) -> f64 {
        self.bins.iter().map(|b| b.cost).sum()
    }
}

/// See the module.
pub(crate) struct Rebuild<'a, const R: usize> {
    inst: &'a Instance<R>,
    guide: Guide<'a, R>,
    moves: Moves,
    /// What each started bin held first, by class.
    first: Vec<Vec<(u32, u32)>>,
    left: Vec<u32>,
    work: Work,
    noise: Noise,
}

/// A change of several bins.
struct Change<const R: usize> {
    out: Vec<usize>,
    changed: Vec<(usize, Node<R>)>,
    bought: Vec<Held<R>>,
    budget: Budget,
    saving: f64,
    moved: i64,
}

impl<'a, const R: usize> Rebuild<'a, R> {
    pub(crate) fn new(problem: &Problem, inst: &'a Instance<R>, moves: Moves, meter: &mut Meter) -> Self {
        let values = resource_values(inst, meter);
        let first = State::of(problem, inst).map_or(Vec::new(), |s| {
            let mut first = vec![Vec::new(); problem.started.len()];
            for b in s.bins {
                if let Some(o) = b.origin {
                    first[o] = b.node.pattern;
                }
            }
            first
        });
        let guide = Guide::new(inst, &values, meter);
        Self {
            inst,
            guide,
            moves,
            first,
            left: vec![0; inst.classes.len()],
            work: Work::default(),
            noise: Noise::new(7),
        }
    }

    pub(crate) fn run(&mut self, start: &State<R>, meter: &mut Meter) -> State<R> {
        let most = self.moves.most_things;
        let mut all = start.clone();
        self.retire(&mut all, most, meter);
        // Where retiring alone uses up the moves, the search would have none: it gets some of them, and the better state
        // is kept.
        if all.moved.saturating_mul(10) < most.saturating_mul(9) {
            return self.search(all, meter);
        }
        let mut best = all;
        let shares: [u64; 2] = [5, 8];
        for (i, share) in shares.iter().enumerate() {
            let mut part = meter.part(meter.left() / (shares.len() - i) as u64);
            let mut some = start.clone();
            self.retire(&mut some, most / 10 * share, &mut part);
            let found = self.search(some, &mut part);
            meter.absorb(&part);
            if self.worth(&found) < self.worth(&best) - 0.5 {
                best = found;
            }
        }
        best
    }

    /// What is minimised: the cost, and the moves at their price.
    fn worth(&self, state: &State<R>) -> f64 {
        state.cost() + self.moves.price as f64 * state.moved as f64
    }

    /// Ruin and recreate at a price per move that falls from what a thing costs on average to the one asked.
    fn search(&mut self, mut state: State<R>, meter: &mut Meter) -> State<R> {
        let things: u64 = state.bins.iter().flat_map(|b| &b.node.pattern).map(|p| u64::from(p.1)).sum();
        let average = state.cost() / (things.max(1)) as f64;
        let floor = self.moves.price as f64;
        let mut best = state.clone();
        let total = meter.left().max(1);
        let mut turn = 0u32;
        let mut last = f64::INFINITY;
        while !meter.is_out() && state.bins.len() > 1 {
            let done = 1.0 - meter.left() as f64 / total as f64;
            let high = average.max(floor);
            let low = (0.01 * average).max(floor).max(1e-6);
            let falling = high * (low / high).powf((done * 1.1).min(1.0));
            // Once nearly all moves are used, each has to earn what the last ones did.
            let is_full = state.moved.saturating_mul(50) >= self.moves.most_things.saturating_mul(49);
            let price = if is_full { falling.max(last) } else { falling };
            last = price;
            if let Some(change) = self.ruin(&state, price, meter)
                && self.allowed(&state, &change)
            {
                apply(&mut state, change);
                if turn.is_multiple_of(64) && self.worth(&state) < self.worth(&best) - 0.5 {
                    meter.charge(state.bins.len() * 30);
                    best = state.clone();
                }
            }
            meter.charge(300);
            turn += 1;
        }
        if self.worth(&state) < self.worth(&best) - 0.5 { state } else { best }
    }

    fn allowed(&self, state: &State<R>, change: &Change<R>) -> bool {
        let retired = change.out.iter().filter(|&&i| state.bins[i].origin.is_some()).count();
        let moved = state.moved.saturating_add_signed(change.moved);
        moved <= self.moves.most_things && state.retired + retired <= self.moves.most_retired
    }

    /// How many things that were in a started bin first are not in it now.
    fn gone(&self, origin: usize, node: Option<&Node<R>>) -> i64 {
        let missing = |&(k, n): &(u32, u32)| i64::from(n.saturating_sub(node.map_or(0, |b| b.count(k))));
        self.first[origin].iter().map(missing).sum()
    }

    /// Retires bins one after another, the largest saving per thing moved first, while at most `most` things are moved.
    fn retire(&mut self, state: &mut State<R>, most: u64, meter: &mut Meter) {
        let ratio_now = |b: &Held<R>| {
            let things: u32 = b.node.pattern.iter().map(|p| p.1).sum();
            b.cost / (1.0 + f64::from(things))
        };
        let mut queue: Vec<(f64, usize)> =
            state.bins.iter().filter(|b| !b.pinned).filter_map(|b| Some((ratio_now(b), b.origin?))).collect();
        queue.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for cheap in [false, true] {
            for &(ratio, origin) in &queue {
                if meter.is_out() {
                    return;
                }
                let Some(i) = state.bins.iter().position(|b| b.origin == Some(origin)) else { continue };
                let Some(change) = self.without(state, i, ratio, cheap, meter) else { continue };
                let worth = change.saving - self.moves.price as f64 * change.moved as f64;
                let moved = state.moved.saturating_add_signed(change.moved);
                if worth > 0.5 && moved <= most && self.allowed(state, &change) {
                    apply(state, change);
                }
            }
        }
    }

    /// Bin `i` gone: its contents into the room of bins that are to stay (those that would go later), and, when
    /// `buying`, what finds none into cheaper new ones.
    fn without(
        &mut self,
        state: &State<R>,
        i: usize,
        ratio: f64,
        buying: bool,
        meter: &mut Meter,
    ) -> Option<Change<R>> {
        let inst = self.inst;
        let mut contents = state.bins[i].node.pattern.clone();
        contents.sort_unstable_by_key(|c| self.guide.rank[c.0 as usize]);
        let mut changed: Vec<(usize, Node<R>)> = Vec::new();
        for &(k, n) in &contents {
            let mut left = n;
            let mut ranked: Vec<(f32, usize)> = Vec::new();
            meter.charge(state.bins.len() * 12);
            for (j, b) in state.bins.iter().enumerate().filter(|b| b.0 != i) {
                let node = changed.iter().find(|c| c.0 == j).map_or(&b.node, |c| &c.1);
                if node.room_for(inst, k) == 0 {
                    continue;
                }
                let things: u32 = b.node.pattern.iter().map(|p| p.1).sum();
                let soon = b.cost / (1.0 + f64::from(things));
                if b.origin.is_some() && soon > ratio && !b.pinned {
                    continue;
                }
                // Tight and pointing the same way; bins that are unlikely to go first.
                let v = weigh(&node.free, &self.guide.worth);
                let (mut dot, mut norm) = (0.0f32, 1e-30f32);
                for r in 0..R {
                    dot += v[r] * self.guide.aim[k as usize][r];
                    norm += v[r] * v[r];
                }
                #[expect(clippy::cast_possible_truncation, reason = "a score")]
                let keep = (1.0 - soon / ratio.max(1e-9)) as f32;
                ranked.push((dot / norm.sqrt() + 0.5 * keep, j));
            }
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            for (_, j) in ranked {
                if left == 0 {
                    break;
                }
                let at = changed.iter().position(|c| c.0 == j).unwrap_or_else(|| {
                    changed.push((j, state.bins[j].node.clone()));
                    changed.len() - 1
                });
                let n = changed[at].1.room_for(inst, k).min(left);
                changed[at].1.add(inst, k, n);
                left -= n;
            }
            self.left[k as usize] = left;
        }
        let change = self.complete(state, vec![i], changed, buying, None, meter);
        for &(k, _) in &contents {
            self.left[k as usize] = 0;
        }
        change
    }

    /// Empties one to four bins that are poor value into a few kindred ones and, where that is not enough, new ones.
    fn ruin(&mut self, state: &State<R>, price: f64, meter: &mut Meter) -> Option<Change<R>> {
        let inst = self.inst;
        let n = state.bins.len();
        let score = |s: &Self, b: &Held<R>| {
            let value: f64 = b.node.pattern.iter().map(|&(k, x)| s.guide.values[k as usize] * f64::from(x)).sum();
            let things: u32 = b.node.pattern.iter().map(|p| p.1).sum();
            if b.pinned {
                f64::NEG_INFINITY
            } else {
                (b.cost - value) / (price * f64::from(things) + 0.01 * b.cost + 1.0)
            }
        };
        let wanted = if self.noise.unit() < 0.45 { 1 } else { 2 + self.noise.below(4) }.min(n - 1);
        let mut out: Vec<usize> = Vec::new();
        for _ in 0..40 {
            if out.len() == wanted {
                break;
            }
            let mut i = self.noise.below(n);
            for _ in 0..if out.is_empty() { 3 } else { 1 } {
                let j = self.noise.below(n);
                if score(self, &state.bins[j]) > score(self, &state.bins[i]) {
                    i = j;
                }
            }
            let kin = out.first().is_none_or(|&f| self.is_kin(state, f, i));
            if !out.contains(&i) && !state.bins[i].pinned && kin {
                out.push(i);
            }
        }
        let &first = out.first()?;
        let mut near: Vec<usize> = Vec::new();
        let most = 4 + self.noise.below(12);
        for _ in 0..most * 3 {
            let i = self.noise.below(n);
            if near.len() < most && !out.contains(&i) && !near.contains(&i) && self.is_kin(state, first, i) {
                near.push(i);
            }
        }
        let mut set: Vec<u32> = Vec::new();
        for &i in &out {
            for &(k, x) in &state.bins[i].node.pattern {
                if self.left[k as usize] == 0 {
                    set.push(k);
                }
                self.left[k as usize] += x;
            }
        }
        // One of several may stay, as it is, and take part of the others' contents.
        let keep = (out.len() > 1 && self.noise.unit() < 0.5).then(|| out.swap_remove(self.noise.below(out.len())));
        if let Some(kept) = keep {
            for &(k, x) in &state.bins[kept].node.pattern {
                self.left[k as usize] -= x;
            }
            near.push(kept);
        }
        set.sort_unstable_by_key(|&k| self.guide.rank[k as usize]);
        let mut nodes: Vec<Node<R>> = near.iter().map(|&i| state.bins[i].node.clone()).collect();
        self.guide.repack(&set, &mut self.left, &mut nodes, (&mut self.noise, 0.1), meter);
        let changed = near.into_iter().zip(nodes).collect();
        let change = self.complete(state, out, changed, true, Some(0.08), meter);
        for &k in &set {
            self.left[k as usize] = 0;
        }
        meter.charge(inst.classes.len() / 8);
        change.filter(|c| c.saving - price * c.moved as f64 > 0.5)
    }

    fn is_kin(&mut self, state: &State<R>, a: usize, b: usize) -> bool {
        let family = |i: usize| self.guide.family[state.bins[i].node.offer as usize] as usize;
        f64::from(self.guide.kinship[family(a)][family(b)]) >= self.noise.unit()
    }

    /// Buys room for what is left, and counts cost and moves. `None` when that saves nothing.
    fn complete(
        &mut self,
        state: &State<R>,
        out: Vec<usize>,
        changed: Vec<(usize, Node<R>)>,
        buying: bool,
        noise: Option<f64>,
        meter: &mut Meter,
    ) -> Option<Change<R>> {
        let old: f64 = out.iter().map(|&i| state.bins[i].cost).sum();
        let mut budget = state.budget.clone();
        for &i in &out {
            if state.bins[i].origin.is_none() {
                budget.give(self.inst, state.bins[i].node.offer);
            }
        }
        let mut bought = Vec::new();
        if self.left.iter().any(|&l| l > 0) {
            if !buying {
                return None;
            }
            let subset = if noise.is_some() { 0.6 } else { 1.0 };
            let noise = noise.map(|amount| (&mut self.noise, amount));
            let leeway = Leeway { noise, most_price: old - 0.5, subset };
            if !self.guide.greedy(&mut self.left, &mut budget, &mut bought, leeway, &mut self.work, meter) {
                return None;
            }
        }
        let saving = old - price_of(self.inst, &bought);
        let mut moved = 0;
        for &i in &out {
            if let Some(o) = state.bins[i].origin {
                moved += self.gone(o, None) - self.gone(o, Some(&state.bins[i].node));
            }
        }
        for (i, node) in &changed {
            if let Some(o) = state.bins[*i].origin {
                moved += self.gone(o, Some(node)) - self.gone(o, Some(&state.bins[*i].node));
            }
        }
        let bought = bought
            .into_iter()
            .map(|node| Held { cost: node.price(self.inst), node, origin: None, pinned: false })
            .collect();
        (saving > 0.5).then_some(Change { out, changed, bought, budget, saving, moved })
    }
}

fn apply<const R: usize>(state: &mut State<R>, change: Change<R>) {
    for (i, node) in change.changed {
        state.bins[i].node = node;
    }
    state.budget = change.budget;
    state.moved = state.moved.saturating_add_signed(change.moved);
    let mut out = change.out;
    out.sort_unstable();
    while let Some(i) = out.pop() {
        state.retired += usize::from(state.bins[i].origin.is_some());
        state.bins.swap_remove(i);
    }
    state.bins.extend(change.bought);
}
