//! Sequential greedy: always buys the offer whose filling is worth most per price.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::effort::Meter;
use crate::guide::Guide;
use crate::instance::Pattern;
use crate::knapsack::fill;
use crate::nodes::{Budget, Node};
use crate::noise::Noise;
use crate::num::u32_of;

/// Reused memory of the greedy.
#[derive(Default)]
pub(crate) struct Work {
    set: Vec<u32>,
    keyed: Vec<(f64, u32)>,
    orders: Vec<Vec<u32>>,
    offers: Vec<u32>,
    wanted: Vec<bool>,
    a: Pattern,
    b: Pattern,
    values: Vec<f64>,
}

/// What the greedy may do.
pub(crate) struct Leeway<'n> {
    /// Jitter of the values, as a share, and its source.
    pub noise: Option<(&'n mut Noise, f64)>,
    /// Stop when this much is spent.
    pub most_price: f64,
    /// Share of the good offers to look at; 1 looks at all.
    pub subset: f64,
}

/// Value per price, ordered.
#[derive(Clone, Copy, PartialEq)]
struct Ratio(f64);

impl Eq for Ratio {}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ratio {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl<const R: usize> Guide<'_, R> {
    /// Buys offers until nothing is left: each time the one whose filling is worth most per price. False when something
    /// stays or the price limit is reached.
    pub(crate) fn greedy(
        &self,
        left: &mut [u32],
        budget: &mut Budget,
        nodes: &mut Vec<Node<R>>,
        mut leeway: Leeway<'_>,
        work: &mut Work,
        meter: &mut Meter,
    ) -> bool {
        let inst = self.inst;
        work.set.clear();
        work.set.extend((0..u32_of(left.len())).filter(|&k| left[k as usize] > 0));
        meter.charge(left.len() / 8);
        work.values.clear();
        work.values.extend_from_slice(&self.values);
        if let Some((noise, amount)) = &mut leeway.noise {
            for &k in &work.set {
                work.values[k as usize] *= 1.0 + *amount * (noise.unit() - 0.5);
            }
        }
        work.orders.resize(self.directions.len(), Vec::new());
        let slack = leeway.noise.as_ref().map_or(1.0, |n| 1.0 + n.1 / 2.0);
        let mut spent = 0.0;
        while !work.set.is_empty() {
            let value: f64 = work.set.iter().map(|&k| work.values[k as usize] * f64::from(left[k as usize])).sum();
            self.choose_offers(&mut leeway, budget, spent, value, work);
            meter.charge(if leeway.subset < 1.0 { self.good.len() } else { self.by_price.len() } + work.set.len());
            if work.offers.is_empty() {
                return false;
            }
            self.sort_directions(work, meter);
            let (mut best, mut chosen) = (0.0, u32::MAX);
            for i in 0..work.offers.len() {
                let o = work.offers[i];
                let offer = &inst.offers[o as usize];
                // No contents are worth more than all that is left, nor than the relaxation allows.
                if value.min(self.ratio[o as usize] * offer.price * slack) <= best * offer.price {
                    continue;
                }
                let order = &work.orders[self.direction_of[o as usize] as usize];
                let v = fill(inst, offer, order, &work.values, left, meter, &mut work.a);
                if v / offer.price > best {
                    best = v / offer.price;
                    chosen = o;
                    std::mem::swap(&mut work.a, &mut work.b);
                }
            }
            if chosen == u32::MAX {
                return false;
            }
            spent += self.buy(chosen, left, budget, nodes, work);
            if spent > leeway.most_price {
                return false;
            }
            work.set.retain(|&k| left[k as usize] > 0);
        }
        true
    }

    fn choose_offers(&self, leeway: &mut Leeway<'_>, budget: &Budget, spent: f64, value: f64, work: &mut Work) {
        let inst = self.inst;
        work.offers.clear();
        work.wanted.clear();
        work.wanted.resize(self.directions.len(), false);
        let some = leeway.subset < 1.0;
        for &o in if some { &self.good } else { &self.by_price } {
            let price = inst.offers[o as usize].price;
            if spent + price > leeway.most_price {
                break;
            }
            if !some && self.ratio[o as usize] < 0.6 && value > price * 3.0 {
                continue;
            }
            if some
                && let Some((noise, _)) = &mut leeway.noise
                && noise.unit() > leeway.subset
            {
                continue;
            }
            if !budget.allows(inst, o) {
                continue;
            }
            work.offers.push(o);
            work.wanted[self.direction_of[o as usize] as usize] = true;
        }
        if work.offers.is_empty() && !some {
            // What is left is worth little: then any offer that may still be bought.
            for &o in &self.by_price {
                if spent + inst.offers[o as usize].price <= leeway.most_price && budget.allows(inst, o) {
                    work.offers.push(o);
                    work.wanted[self.direction_of[o as usize] as usize] = true;
                }
            }
        }
    }

    fn sort_directions(&self, work: &mut Work, meter: &mut Meter) {
        for (d, direction) in self.directions.iter().enumerate() {
            if !work.wanted[d] {
                continue;
            }
            work.keyed.clear();
            for &k in &work.set {
                let share = &self.inst.classes[k as usize].share;
                let mut w = 1e-12;
                for r in 0..R {
                    w += direction[r] * share[r];
                }
                work.keyed.push((-work.values[k as usize] / w, k));
            }
            work.keyed.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            work.orders[d].clear();
            work.orders[d].extend(work.keyed.iter().map(|e| e.1));
            meter.charge(work.set.len() * 12);
        }
    }

    /// As [`Guide::greedy`] over all offers without noise. What an offer can be filled with only becomes worth less as
    /// things are packed, so an offer is filled anew only when its last worth is the best.
    pub(crate) fn greedy_all(
        &self,
        left: &mut [u32],
        budget: &mut Budget,
        nodes: &mut Vec<Node<R>>,
        work: &mut Work,
        meter: &mut Meter,
    ) -> bool {
        let inst = self.inst;
        work.values.clone_from(&self.values);
        work.orders.resize(self.directions.len(), Vec::new());
        work.wanted.clear();
        work.wanted.resize(self.directions.len(), true);
        let mut ordered_for = usize::MAX;
        let mut heap: BinaryHeap<(Ratio, Reverse<u32>)> =
            self.by_price.iter().map(|&o| (Ratio(f64::INFINITY), Reverse(o))).collect();
        loop {
            work.set.clear();
            work.set.extend((0..u32_of(left.len())).filter(|&k| left[k as usize] > 0));
            if work.set.is_empty() {
                return true;
            }
            if work.set.len() * 4 < ordered_for.saturating_mul(3) {
                ordered_for = work.set.len();
                self.sort_directions(work, meter);
            }
            let chosen = loop {
                let Some((_, Reverse(o))) = heap.pop() else { return false };
                if !budget.allows(inst, o) {
                    continue;
                }
                let offer = &inst.offers[o as usize];
                let order = &work.orders[self.direction_of[o as usize] as usize];
                let v = fill(inst, offer, order, &work.values, left, meter, &mut work.b);
                if v <= 0.0 {
                    continue;
                }
                let ratio = Ratio(v / offer.price);
                let wait = heap.peek().is_some_and(|next| (next.0, next.1) > (ratio, Reverse(o)));
                heap.push((ratio, Reverse(o)));
                if !wait {
                    break o;
                }
            };
            self.buy(chosen, left, budget, nodes, work);
        }
    }

    /// Opens bins with the contents in `work.b`, half as often as they could be repeated; returns their price.
    fn buy(
        &self,
        chosen: u32,
        left: &mut [u32],
        budget: &mut Budget,
        nodes: &mut Vec<Node<R>>,
        work: &mut Work,
    ) -> f64 {
        let inst = self.inst;
        let times = work.b.iter().map(|&(k, n)| left[k as usize] / n).min().unwrap_or(1);
        work.b.sort_unstable();
        let mut spent = 0.0;
        for _ in 0..(times / 2).max(1) {
            if !budget.allows(inst, chosen) {
                break;
            }
            budget.take(inst, chosen);
            let mut node = Node::with(inst, chosen, work.b.clone());
            self.right_size(&mut node, budget);
            spent += node.price(inst);
            for &(k, n) in &work.b {
                left[k as usize] -= n;
            }
            nodes.push(node);
        }
        spent
    }
}
