//! Pricing: the most valuable contents of one offer at given values per class.
//!
//! The linear relaxation (a bounded-variable simplex over the few dimensions) gives an upper bound that holds for any
//! non-negative resource prices, so rounding errors cannot break it; its floor, filled up by density, gives contents;
//! a bounded depth-first search improves both where few things fill a bin.

use crate::basis::{At, Basis, Listed};
use crate::effort::Meter;
use crate::instance::{Class, Instance, Offer, Pattern, fits, max_fit};
use crate::num::floor_count;
use crate::prices::{Earnings, fillers, guess};

/// Where more classes than this fill a bin, a proof does not start from nothing.
const MANY_FILLERS: f64 = 24.0;

/// After so many steps the simplex is cut off.
const fn most_steps(dims: usize) -> usize {
    40 + 8 * dims
}

/// Reused memory of the pricing routines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch<const R: usize> {
    /// The classes that count.
    pub(crate) list: Vec<Listed>,
    /// What those earn.
    earnings: Earnings<R>,
    /// State of each listed variable: at 0, at its most, or basic.
    state: Vec<At>,
    /// The relaxation's answer: (class, amount > 0).
    pub(crate) relaxed: Vec<(u32, f64)>,
    order: Vec<(f64, u32)>,
    /// A bound that sees whole things, for long searches.
    pub(crate) lattice: crate::lattice::Lattice<R>,
    pub(crate) search: crate::search::Frame<R>,
    /// Operations spent, for the meter.
    pub(crate) operations: usize,
}

/// What pricing one offer gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Priced<const R: usize> {
    /// Value of the contents found.
    pub value: f64,
    /// No contents are worth more.
    pub bound: f64,
}

/// Value and upper bound of the best contents of `offer` at `values`, using at most `limit` of each class. Contents go
/// to `out`. They are not looked for when the bound shows that they are worth at most `skip`. `nodes` bounds the search.
/// `near` has resource prices of an earlier answer for this offer, or zeros, and gets those of this one.
#[expect(clippy::too_many_arguments, reason = "one knapsack and where its answer goes")]
pub(crate) fn price<const R: usize>(
    inst: &Instance<R>,
    offer: &Offer<R>,
    values: &[f64],
    limit: &[u32],
    skip: f64,
    nodes: usize,
    near: &mut [f64; R],
    scratch: &mut Scratch<R>,
    out: &mut Pattern,
) -> Priced<R> {
    out.clear();
    list(offer, values, limit, scratch);
    if near.iter().any(|&p| p > 0.0) {
        // Any prices prove a bound, also those of an earlier answer.
        scratch.operations += scratch.list.len() * R;
        let bound = scratch.earnings.bound(inst, offer, near, &scratch.list);
        if bound <= skip {
            return Priced { value: 0.0, bound };
        }
    }
    let (prices, bound) = relax_from(inst, offer, near, scratch);
    *near = prices;
    if bound <= skip {
        return Priced { value: 0.0, bound };
    }
    let mut value = round_down(inst, offer, values, limit, &prices, bound, scratch, out);
    let mut proven = bound;
    if nodes > 0 && value < bound * 0.9999 {
        let found = crate::search::search(inst, offer, &prices, bound, value.max(skip), nodes, scratch);
        if found.value > value {
            value = found.value;
            out.clone_from(&scratch.search.best);
            out.sort_unstable();
        }
        proven = proven.min(found.bound.max(value));
    }
    Priced { value, bound: proven }
}

/// Solves the relaxation; returns resource prices (per share) and the upper bound they prove.
pub(crate) fn relax<const R: usize>(
    inst: &Instance<R>,
    offer: &Offer<R>,
    values: &[f64],
    limit: &[u32],
    scratch: &mut Scratch<R>,
) -> ([f64; R], f64) {
    list(offer, values, limit, scratch);
    relax_from(inst, offer, &[0.0; R], scratch)
}

/// The upper bound that the relaxation proves, also where so many things fill the bin that the simplex is cut off: then it
/// begins at a guess.
pub(crate) fn prove<const R: usize>(
    inst: &Instance<R>,
    offer: &Offer<R>,
    values: &[f64],
    limit: &[u32],
    scratch: &mut Scratch<R>,
) -> f64 {
    list(offer, values, limit, scratch);
    if !inst.guesses || scratch.list.len() <= most_steps(R) || fillers(inst, offer, &scratch.list) <= MANY_FILLERS {
        return relax_from(inst, offer, &[0.0; R], scratch).1;
    }
    let Scratch { list, earnings, order, operations, .. } = scratch;
    let (near, guessed) = guess(inst, offer, list, earnings, order, operations);
    guessed.min(relax_from(inst, offer, &near, scratch).1)
}

/// Lists the classes that count for an offer.
fn list<const R: usize>(offer: &Offer<R>, values: &[f64], limit: &[u32], scratch: &mut Scratch<R>) {
    scratch.list.clear();
    for &(k, most) in &offer.fit {
        let v = values[k as usize];
        let u = most.min(limit[k as usize]);
        if v > 0.0 && u > 0 {
            scratch.list.push((k, f64::from(u), v));
        }
    }
    scratch.earnings.begin();
}

/// Solves the relaxation over the classes listed. It starts with what is worth more than the prices of `near` say, as far
/// as that fits; with prices of an earlier, similar answer little is left to do.
fn relax_from<const R: usize>(
    inst: &Instance<R>,
    offer: &Offer<R>,
    near: &[f64; R],
    scratch: &mut Scratch<R>,
) -> ([f64; R], f64) {
    let Scratch { list, earnings, state, relaxed, operations, .. } = scratch;
    let is_near = near.iter().any(|&p| p > 0.0);
    *operations += if is_near { list.len() * R } else { 0 };
    let mut basis = Basis::start(inst, offer, near, list, state);
    let mut prices = [0.0f64; R];
    for _ in 0..most_steps(R) {
        *operations += list.len() * R;
        prices = basis.prices(list);
        let earned = earnings.at(inst, &prices, list);
        let Some((enter, up)) = basis.entering(offer, &prices, list, earned, state) else { break };
        if !basis.take_in(inst, enter, up, list, state) {
            break;
        }
    }
    basis.tell(list, state, relaxed);
    prices.iter_mut().for_each(|p| *p = p.max(0.0));
    (prices, earnings.bound(inst, offer, &prices, list))
}

/// The relaxation's floor, filled up by value per resource price; returns the value of `out`.
#[expect(clippy::too_many_arguments, reason = "one knapsack and where its answer goes")]
fn round_down<const R: usize>(
    inst: &Instance<R>,
    offer: &Offer<R>,
    values: &[f64],
    limit: &[u32],
    prices: &[f64; R],
    bound: f64,
    scratch: &mut Scratch<R>,
    out: &mut Pattern,
) -> f64 {
    out.clear();
    let mut free = offer.holds;
    let mut value = 0.0;
    for i in 0..scratch.relaxed.len() {
        let (k, x) = scratch.relaxed[i];
        let n = floor_count(x + 1e-7);
        if n > 0 {
            value += put(inst, k, n, values, limit, &mut free, out);
        }
    }
    scratch.order.clear();
    for &(k, _, v) in &scratch.list {
        let Class { need, share, .. } = &inst.classes[k as usize];
        if !fits(need, &free) {
            continue;
        }
        let mut w = 1e-12 * bound;
        for r in 0..R {
            w += prices[r] * share[r];
        }
        scratch.order.push((-v / w, k));
    }
    scratch.order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    scratch.operations += scratch.list.len() * 8;
    for i in 0..scratch.order.len() {
        let k = scratch.order[i].1;
        value += put(inst, k, u32::MAX, values, limit, &mut free, out);
    }
    out.sort_unstable();
    value
}

/// Adds up to `n` of class `k`; returns their value.
#[inline]
fn put<const R: usize>(
    inst: &Instance<R>,
    k: u32,
    n: u32,
    values: &[f64],
    limit: &[u32],
    free: &mut [i64; R],
    out: &mut Pattern,
) -> f64 {
    let class = &inst.classes[k as usize];
    let fit = max_fit(&class.need, free).min(n);
    if fit == 0 || inst.has_foes && class.has_foe_in(out) {
        return 0.0;
    }
    let at = out.iter().position(|o| o.0 == k);
    let have = at.map_or(0, |a| out[a].1);
    let n = fit.min(limit[k as usize].min(class.per_bin).saturating_sub(have));
    if n == 0 {
        return 0.0;
    }
    for r in 0..R {
        free[r] -= class.need[r] * i64::from(n);
    }
    match at {
        Some(a) => out[a].1 += n,
        None => out.push((k, n)),
    }
    values[k as usize] * f64::from(n)
}

/// Fills `free` with classes in the given order, as many as fit of each; returns the value.
pub(crate) fn fill<const R: usize>(
    inst: &Instance<R>,
    offer: &Offer<R>,
    order: &[u32],
    values: &[f64],
    limit: &[u32],
    meter: &mut Meter,
    out: &mut Pattern,
) -> f64 {
    out.clear();
    let mut free = offer.holds;
    let mut value = 0.0;
    for &k in order {
        if inst.needs.first[k as usize] > free[0] || !offer.serves.contains(k as usize) {
            continue;
        }
        let class = &inst.classes[k as usize];
        let mut n = max_fit(&class.need, &free).min(limit[k as usize]).min(class.per_bin);
        if n > 0 && inst.has_foes && class.has_foe_in(out) {
            n = 0;
        }
        if n == 0 {
            continue;
        }
        for r in 0..R {
            free[r] -= class.need[r] * i64::from(n);
        }
        out.push((k, n));
        value += values[k as usize] * f64::from(n);
        if !fits(&inst.needs.least, &free) {
            break;
        }
    }
    meter.charge(8 + order.len() * 6);
    value
}

#[cfg(test)]
pub(crate) mod testing {
    use crate::instance::Instance;

    /// The most that contents of what is free can be worth, by trying all.
    pub(crate) fn best<const R: usize>(inst: &Instance<R>, values: &[f64], free: [i64; R], from: usize) -> f64 {
        let Some(class) = inst.classes.get(from) else { return 0.0 };
        let mut found = 0.0f64;
        for n in 0..=class.count.min(class.per_bin) {
            let left: [i64; R] = std::array::from_fn(|r| free[r] - class.need[r] * i64::from(n));
            if left.iter().any(|&l| l < 0) {
                break;
            }
            found = found.max(f64::from(n) * values[from] + best(inst, values, left, from + 1));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::testing::best;
    use super::*;
    use crate::bits::BitSet;
    use crate::noise::Noise;
    use crate::problem::{BinKind, Item, Problem};
    use crate::shapes::Shapes;

    fn instance(noise: &mut Noise) -> Instance<3> {
        let items = (0..5).map(|_| Item {
            needs: [900, 700, 3].map(|most| i64::try_from(1 + noise.below(most)).unwrap_or(1)).to_vec(),
            count: u32::try_from(1 + noise.below(5)).unwrap_or(1),
            allowed: BitSet::full(1),
            allowed_started: BitSet::new(0),
            per_bin_max: Some(4),
        });
        let kinds = vec![BinKind { holds: vec![2000, 1500, 6], cost: 100, ..BinKind::default() }];
        let problem = Problem { dims: 3, items: items.collect(), kinds, ..Problem::default() };
        Instance::new(&problem, &Shapes::new(&problem, &[100]), &[0, 1, 2])
    }

    /// What is wrong with a price.
    fn fault(value: f64, bound: f64, contents: f64, truth: f64) -> Option<&'static str> {
        if (value - contents).abs() > 1e-6 {
            return Some("contents that are not worth what is said");
        }
        if value > truth + 1e-6 {
            return Some("more than there can be");
        }
        (bound < truth - 1e-6).then_some("a bound below what there is")
    }

    #[test]
    fn what_pricing_finds_and_proves_encloses_the_truth_and_seeded_faults_are_found() {
        let mut noise = Noise::new(8);
        let (mut found, mut before) = ([0; 3], [0.0; 3]);
        for round in 0..300 {
            let inst = instance(&mut noise);
            let values: Vec<f64> = inst.classes.iter().map(|_| 1.0 + 99.0 * noise.unit()).collect();
            let offer = &inst.offers[0];
            let truth = best(&inst, &values, offer.holds, 0);
            let nodes = [0, 30, 2000, 8000][round % 4];
            let (mut scratch, mut out) = (Scratch::default(), Pattern::new());
            // Prices of another problem's answer are a start as good as any.
            let mut near = [[0.0; 3], before][round % 2];
            // What is not to be looked for may be less than there is, nearly all of it, or more.
            let skip = truth * [0.0, 0.5, 0.97, 1.05][noise.below(4)];
            let p = price(&inst, offer, &values, &inst.demand(), skip, nodes, &mut near, &mut scratch, &mut out);
            before = near;
            let worth: f64 = out.iter().map(|&(k, n)| values[k as usize] * f64::from(n)).sum();
            assert_eq!(fault(p.value, p.bound, worth, truth), None);
            if nodes >= 2000 {
                let least = truth.max(skip);
                assert!(p.bound <= least * (1.0 + 1e-9), "a search to the end proves its find: {} {least}", p.bound);
                assert!(truth <= skip || p.value >= truth * (1.0 - 1e-9), "and finds the best: {} {truth}", p.value);
            }
            let seeded = [
                (p.value * 1.01, p.bound, worth),
                (p.value * 1.01, p.bound, p.value * 1.01),
                (p.value, p.bound * 0.98, worth),
            ];
            for ((value, bound, worth), found) in seeded.into_iter().zip(&mut found) {
                *found += usize::from(fault(value, bound, worth, truth).is_some());
            }
        }
        assert!(found.iter().all(|&n| n >= 100), "{found:?} of 300 are found");
    }
}
