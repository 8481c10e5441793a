//! Depth-first search for the most valuable contents of one offer, with the relaxation's resource prices as its bound.

use crate::instance::{Instance, Offer, Pattern, max_fit};
use crate::knapsack::Scratch;

/// Reused memory of the search.
#[derive(Clone, Debug)]
pub(crate) struct Frame<const R: usize> {
    /// The best contents found, in no order.
    pub best: Pattern,
    items: Vec<Entry<R>>,
    /// At place i: what the classes from i on can earn beyond the resource prices.
    beyond: Vec<f64>,
    chosen: Vec<u32>,
}

impl<const R: usize> Default for Frame<R> {
    fn default() -> Self {
        Self { best: Vec::new(), items: Vec::new(), beyond: Vec::new(), chosen: Vec::new() }
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry<const R: usize> {
    need: [i64; R],
    class: u32,
    most: u32,
    value: f64,
    /// Value per unit of resource price, the order of the search.
    density: f64,
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
    /// Price of one whole unit of each dimension.
    unit: [f64; R],
    best_value: f64,
    found: bool,
    nodes: usize,
    most_nodes: usize,
}

/// Searches for contents worth more than `threshold` among the classes listed by the relaxation just solved.
pub(crate) fn search<const R: usize>(
    inst: &Instance<R>,
    offer: &Offer<R>,
    values: &[f64],
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
    let frame = &mut scratch.search;
    frame.items.clear();
    for &(k, u, v) in &scratch.list {
        let class = &inst.classes[k as usize];
        let mut w = 1e-12 * relaxed;
        for r in 0..R {
            w += prices[r] * class.share[r];
        }
        let most = crate::num::floor_count(u);
        frame.items.push(Entry { need: class.need, class: k, most, value: values[k as usize], density: v / w });
    }
    frame.items.sort_unstable_by(|a, b| b.density.total_cmp(&a.density).then(a.class.cmp(&b.class)));
    let n = frame.items.len();
    frame.beyond.clear();
    frame.beyond.resize(n + 1, 0.0);
    for i in (0..n).rev() {
        let e = &frame.items[i];
        let mut d = e.value;
        for r in 0..R {
            d -= unit[r] * e.need[r] as f64;
        }
        frame.beyond[i] = frame.beyond[i + 1] + f64::from(e.most) * d.max(0.0);
    }
    frame.chosen.clear();
    frame.chosen.resize(n, 0);
    frame.best.clear();
    let mut walk = Walk { inst, unit, best_value: threshold, found: false, nodes: 0, most_nodes };
    let complete = walk.visit(frame, 0, &offer.holds, 0.0);
    scratch.operations += walk.nodes * 24;
    let value = if walk.found { walk.best_value } else { 0.0 };
    let bound = if complete { walk.best_value } else { relaxed };
    Found { value, bound: bound.min(relaxed).max(value) }
}

impl<const R: usize> Walk<'_, R> {
    /// Upper bound on what `free` can still earn from place `i` on.
    #[inline]
    fn rest(&self, frame: &Frame<R>, i: usize, free: &[i64; R]) -> f64 {
        let mut worth = 0.0;
        for r in 0..R {
            worth += self.unit[r] * free[r] as f64;
        }
        let by_density = frame.items.get(i).map_or(0.0, |e| worth * e.density);
        (worth + frame.beyond[i]).min(by_density)
    }

    /// Whether the subtree was searched to its end.
    fn visit(&mut self, frame: &mut Frame<R>, from: usize, free: &[i64; R], value: f64) -> bool {
        self.nodes += 1;
        if self.nodes > self.most_nodes {
            return false;
        }
        if value > self.best_value * (1.0 + 1e-12) {
            self.best_value = value;
            self.found = true;
            frame.best.clear();
            for i in 0..from {
                if frame.chosen[i] > 0 {
                    frame.best.push((frame.items[i].class, frame.chosen[i]));
                }
            }
        }
        for i in from..frame.items.len() {
            if value + self.rest(frame, i, free) <= self.best_value * (1.0 + 1e-12) {
                return true;
            }
            let e = frame.items[i];
            if self.inst.has_foes && self.is_foe(frame, i, e.class) {
                continue;
            }
            let most = max_fit(&e.need, free).min(e.most);
            let mut n = most;
            let mut after = *free;
            for r in 0..R {
                after[r] -= e.need[r] * i64::from(n);
            }
            while n > 0 {
                let v = value + e.value * f64::from(n);
                if v + self.rest(frame, i + 1, &after) <= self.best_value * (1.0 + 1e-12) {
                    if e.density >= 1.0 {
                        // With fewer of this class its value falls at least as fast as the bound on the rest grows.
                        break;
                    }
                    n -= 1;
                    for r in 0..R {
                        after[r] += e.need[r];
                    }
                    continue;
                }
                frame.chosen[i] = n;
                let complete = self.visit(frame, i + 1, &after, v);
                frame.chosen[i] = 0;
                if !complete {
                    return false;
                }
                n -= 1;
                for r in 0..R {
                    after[r] += e.need[r];
                }
            }
            // Leaving the class out altogether is the next turn of the loop.
        }
        true
    }

    fn is_foe(&self, frame: &Frame<R>, upto: usize, class: u32) -> bool {
        let foes = &self.inst.classes[class as usize].foes;
        (0..upto).any(|j| frame.chosen[j] > 0 && foes.contains(&frame.items[j].class))
    }
}
