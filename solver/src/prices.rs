//! Prices of the room in a bin: what they prove about the worth of its contents, and a quick guess at good ones.

use crate::basis::Listed;
use crate::instance::{Instance, Offer};

/// How far weights follow what is used, in each round of a guess.
const STEPS: [f64; 4] = [1.5, 1.0, 0.75, 0.6];
/// Operations that putting one class in order takes, about.
const SORTING: usize = 40;

/// What one of each class listed is worth beyond the prices of its needs. Needs are laid out by dimension, as far as they
/// have been asked for, and dimensions that cost nothing are passed over: of many, few have a price.
#[derive(Clone, Debug)]
pub(crate) struct Earnings<const R: usize> {
    shares: [Vec<f64>; R],
    earned: Vec<f64>,
}

impl<const R: usize> Default for Earnings<R> {
    fn default() -> Self {
        Self { shares: std::array::from_fn(|_| Vec::new()), earned: Vec::new() }
    }
}

impl<const R: usize> Earnings<R> {
    /// Forgets the needs of the last list.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.shares.iter_mut().for_each(Vec::clear);
    }

    /// By place in the list, which is the same until the next [`begin`](Self::begin).
    #[inline]
    pub(crate) fn at(&mut self, inst: &Instance<R>, prices: &[f64; R], list: &[Listed]) -> &[f64] {
        self.earned.clear();
        self.earned.extend(list.iter().map(|l| l.2));
        for (r, (shares, &price)) in self.shares.iter_mut().zip(prices).enumerate() {
            if price == 0.0 {
                continue;
            }
            if shares.is_empty() {
                shares.extend(list.iter().map(|l| inst.classes[l.0 as usize].share[r]));
            }
            for (earned, share) in self.earned.iter_mut().zip(shares.iter()) {
                *earned -= price * share;
            }
        }
        &self.earned
    }

    /// The upper bound that resource prices ≥ 0 prove: what the room is worth, plus what each class earns beyond it.
    pub(crate) fn bound(&mut self, inst: &Instance<R>, offer: &Offer<R>, prices: &[f64; R], list: &[Listed]) -> f64 {
        let mut bound = 0.0;
        for r in 0..R {
            bound += prices[r] * offer.share[r];
        }
        for (&earned, l) in self.at(inst, prices, list).iter().zip(list) {
            if earned > 0.0 {
                bound += l.1 * earned;
            }
        }
        bound
    }
}

/// About how many classes fill the bin, each with the most there can be of it.
pub(crate) fn fillers<const R: usize>(inst: &Instance<R>, offer: &Offer<R>, list: &[Listed]) -> f64 {
    let mut all = [0.0f64; R];
    for &(k, u, _) in list {
        let share = &inst.classes[k as usize].share;
        (0..R).for_each(|r| all[r] += share[r] * u);
    }
    let fullest = (0..R).filter(|&r| offer.share[r] > 0.0).map(|r| all[r] / offer.share[r]).fold(1.0, f64::max);
    list.len() as f64 / fullest
}

/// Resource prices that prove a bound near the best, and that bound, without the many steps that the simplex takes where
/// many things fill a bin: the prices are in proportion to weights, and these rise where too much is taken.
pub(crate) fn guess<const R: usize>(
    inst: &Instance<R>,
    offer: &Offer<R>,
    list: &[Listed],
    earnings: &mut Earnings<R>,
    order: &mut Vec<(f64, u32)>,
    operations: &mut usize,
) -> ([f64; R], f64) {
    let has = |r: &usize| offer.share[*r] > 0.0;
    let mut weights: [f64; R] = std::array::from_fn(|r| if has(&r) { 1.0 / offer.share[r] } else { 0.0 });
    let mut best = ([0.0; R], f64::INFINITY);
    for step in STEPS {
        *operations += list.len() * (2 * R + SORTING);
        let (price, used) = weighed(inst, offer, list, &weights, order);
        let prices = weights.map(|w| w * price);
        let bound = earnings.bound(inst, offer, &prices, list);
        if bound < best.1 {
            best = (prices, bound);
        }
        if price <= 0.0 {
            break;
        }
        for r in (0..R).filter(has) {
            weights[r] *= (step * (used[r] / offer.share[r] - 1.0)).clamp(-2.0, 2.0).exp();
        }
    }
    best
}

/// The relaxation with one row, the weighted sum of all: the price of a unit of weight, nothing where everything fits, and
/// what is used of each dimension.
fn weighed<const R: usize>(
    inst: &Instance<R>,
    offer: &Offer<R>,
    list: &[Listed],
    weights: &[f64; R],
    order: &mut Vec<(f64, u32)>,
) -> (f64, [f64; R]) {
    let weight = |share: &[f64; R]| -> f64 { (0..R).map(|r| weights[r] * share[r]).sum() };
    let share_of = |k: u32| &inst.classes[k as usize].share;
    order.clear();
    order.extend((0u32..).zip(list).map(|(i, &(k, _, v))| (-v / weight(share_of(k)).max(1e-300), i)));
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (mut left, mut used) = (weight(&offer.share), [0.0f64; R]);
    for &(worth, i) in order.iter() {
        let (k, u, _) = list[i as usize];
        let whole = weight(share_of(k)) * u;
        let part = if whole > left { left / whole } else { 1.0 };
        (0..R).for_each(|r| used[r] += share_of(k)[r] * u * part);
        left -= whole * part;
        if part < 1.0 {
            return (-worth, used);
        }
    }
    (0.0, used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::BitSet;
    use crate::knapsack::{Scratch, prove};
    use crate::problem::{BinKind, Item, Problem};
    use crate::shapes::Shapes;

    /// So many classes of one thing each, of sizes that differ, and a bin that holds a good part of them.
    fn instance(n: i64, holds: [i64; 2]) -> Instance<4> {
        let item = |i: i64| Item {
            needs: vec![100 + i % 97, 64 + i * 7 % 151],
            count: 1,
            allowed: BitSet::full(1),
            allowed_started: BitSet::new(0),
            per_bin_max: None,
        };
        let kinds = vec![BinKind { holds: holds.to_vec(), cost: 100, ..BinKind::default() }];
        let problem = Problem { dims: 2, items: (0..n).map(item).collect(), kinds, ..Problem::default() };
        Instance::new(&problem, &Shapes::new(&problem, &[100]), &[0, 1])
    }

    #[test]
    fn hundreds_of_things_in_a_bin_are_not_worth_more_than_its_room() {
        for (n, holds) in [(400, [30_000, 40_000]), (400, [40_000, 20_000]), (1000, [90_000, 90_000])] {
            let inst = instance(n, holds);
            let offer = &inst.offers[0];
            // Worth what they take of one dimension: then the room of it is what a full bin is worth.
            for r in 0..2 {
                let values: Vec<f64> = inst.classes.iter().map(|class| class.share[r]).collect();
                let bound = prove(&inst, offer, &values, &inst.demand(), &mut Scratch::default());
                assert!(bound <= offer.share[r] * 1.01, "{n} of {holds:?}: {bound} for {}", offer.share[r]);
            }
        }
    }

    #[test]
    fn where_everything_fits_it_is_worth_what_it_is_worth() {
        let inst = instance(200, [90_000, 90_000]);
        let values = vec![1.0; inst.classes.len()];
        let bound = prove(&inst, &inst.offers[0], &values, &inst.demand(), &mut Scratch::default());
        assert!((bound - 200.0).abs() < 1e-6, "{bound}");
    }
}
