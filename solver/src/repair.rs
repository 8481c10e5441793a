//! Lowers values per class until no contents of any offer are worth more than it costs.
//!
//! Scaling all values by the worst offer would let a few wrong ones cost the whole bound; here only the classes of the
//! contents found too valuable are lowered, towards values known to be legal. Lowering never makes another offer worse, so
//! one sweep over the offers is enough.

use crate::effort::Meter;
use crate::instance::{Instance, Pattern};
use crate::knapsack::{Scratch, price, relax};

/// What a sweep ends with.
pub(crate) struct Repaired {
    pub values: Vec<f64>,
    /// The share of its price that an offer's contents may still be worth, as proven, by place in the order; none where
    /// the meter was out before.
    pub proven: Vec<Option<f64>>,
    /// Contents that were too valuable: (offer, pattern).
    pub patterns: Vec<(u32, Pattern)>,
}

/// Contents may be worth this much more than the price before it counts.
pub(crate) const SLACK: f64 = 2e-4;

/// Sweeps over `order` (worst first). `legal` are values that no contents exceed, or empty. `full_price` includes the
/// prices of limits.
#[expect(clippy::too_many_arguments, reason = "two call sites; a struct would only rename them")]
pub(crate) fn repair<const R: usize>(
    inst: &Instance<R>,
    values: &[f64],
    legal: &[f64],
    most: &[u32],
    order: &[u32],
    full_price: impl Fn(usize) -> f64,
    nodes: usize,
    meter: &mut Meter,
) -> Repaired {
    let mut values = values.to_vec();
    let mut scratch = Scratch::default();
    let mut patterns = Vec::new();
    let mut pattern = Pattern::new();
    let mut proven = Vec::with_capacity(order.len());
    for &o in order {
        if meter.is_out() {
            proven.push(None);
            continue;
        }
        let offer = &inst.offers[o as usize];
        let full = full_price(o as usize);
        let (mut bound, mut near) = (f64::INFINITY, [0.0; R]);
        for _ in 0..40 {
            scratch.operations = 0;
            let skip = full * (1.0 + SLACK);
            let p = price(inst, offer, &values, most, skip, nodes, &mut near, &mut scratch, &mut pattern);
            meter.charge(scratch.operations + 8);
            bound = p.bound / full;
            if p.value <= full * (1.0 + SLACK) || meter.is_out() {
                break;
            }
            lower(&mut values, legal, pattern.iter().map(|&(k, n)| (k, f64::from(n))), p.value - full);
            patterns.push((o, pattern.clone()));
        }
        proven.push(Some(bound));
    }
    Repaired { values, proven, patterns }
}

/// Lowers values until the relaxation shows that the contents of no offer in `open` are worth more than they cost, where a
/// search was not long enough to show it. Returns the values and what is proven of the worst offer.
pub(crate) fn bend<const R: usize>(
    inst: &Instance<R>,
    values: &[f64],
    legal: &[f64],
    most: &[u32],
    open: &[u32],
    full_price: impl Fn(usize) -> f64,
    meter: &mut Meter,
) -> (Vec<f64>, f64) {
    let mut values = values.to_vec();
    let mut scratch = Scratch::default();
    let mut worst = 0.0f64;
    for &o in open {
        let full = full_price(o as usize);
        let mut bound = f64::INFINITY;
        for _ in 0..40 {
            bound = relax(inst, &inst.offers[o as usize], &values, most, &mut scratch).1;
            if bound <= full * (1.0 + SLACK) {
                break;
            }
            lower(&mut values, legal, scratch.relaxed.iter().copied(), bound - full);
        }
        worst = worst.max(bound / full);
    }
    meter.charge(scratch.operations);
    (values, worst)
}

/// Takes `excess` off the value of contents: first from what their classes have above their legal values, else from all.
fn lower(values: &mut [f64], legal: &[f64], contents: impl Iterator<Item = (u32, f64)> + Clone, excess: f64) {
    let above = |values: &[f64], k: u32| (values[k as usize] - legal.get(k as usize).copied().unwrap_or(0.0)).max(0.0);
    let total: f64 = contents.clone().map(|(k, n)| above(values, k) * n).sum();
    if total > excess {
        let share = excess / total;
        for (k, _) in contents {
            values[k as usize] -= share * above(values, k);
        }
        return;
    }
    let all: f64 = contents.clone().map(|(k, n)| values[k as usize] * n).sum();
    for (k, _) in contents {
        values[k as usize] *= ((all - excess) / all.max(1e-30)).clamp(0.0, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::BitSet;
    use crate::knapsack::testing::best;
    use crate::noise::Noise;
    use crate::problem::{BinKind, Item, Problem};
    use crate::shapes::Shapes;

    #[test]
    fn bent_values_are_legal_without_a_search_and_mostly_worth_what_was_legal_before() {
        let mut noise = Noise::new(21);
        let mut worse = 0;
        for _ in 0..100 {
            let mut within = |most: usize| i64::try_from(1 + noise.below(most)).unwrap();
            let costs = [900_000, 1_700_000];
            let kinds = (0..2).map(|i| BinKind { holds: vec![30 << i, 40 << i], cost: costs[i], ..BinKind::default() });
            let kinds: Vec<BinKind> = kinds.collect();
            let items = (0..4)
                .map(|_| Item {
                    needs: vec![within(15), within(20)],
                    count: 3,
                    allowed: BitSet::full(2),
                    ..Item::default()
                })
                .collect();
            let problem = Problem { dims: 2, items, kinds, ..Problem::default() };
            let inst = Instance::<2>::new(&problem, &Shapes::new(&problem, &costs), &[0, 1]);
            let meter = &mut Meter::new(crate::effort::Effort(1000), &crate::effort::Cancel::new());
            let first = crate::duals::resource_values(&inst, meter);
            let legal = crate::bound::certify(&inst, &first, &[], &[], 0, 1, meter).0.values;
            let values: Vec<f64> = legal.iter().map(|v| v * (1.0 + 0.5 * noise.unit())).collect();
            let price = |o: usize| inst.offers[o].price;
            let open: Vec<u32> = (0..crate::num::u32_of(inst.n_new)).collect();
            let (bent, proven) = bend(&inst, &values, &legal, &inst.demand(), &open, price, meter);
            for (o, offer) in inst.offers.iter().enumerate() {
                let truth = best(&inst, &bent, offer.holds, 0);
                assert!(truth <= proven * price(o) * (1.0 + 1e-9), "{truth} {proven} {}", price(o));
            }
            assert!(bent.iter().zip(&values).all(|(b, v)| b <= v));
            let worth = |values: &[f64]| values.iter().sum::<f64>();
            worse += usize::from(worth(&bent) / proven < 0.97 * worth(&legal));
        }
        assert!(worse <= 10, "{worse} of 100 are worse than what was legal before");
    }
}
