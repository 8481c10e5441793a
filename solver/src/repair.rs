//! Lowers values per class until no contents of any offer are worth more than it costs.
//!
//! Scaling all values by the worst offer would let a few wrong ones cost the whole bound; here only the classes of the
//! contents found too valuable are lowered, towards values known to be legal. Lowering never makes another offer worse, so
//! one sweep over the offers is enough.

use crate::effort::Meter;
use crate::instance::{Instance, Pattern};
use crate::knapsack::{Scratch, price};

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
            lower(&mut values, legal, &pattern, p.value - full);
            patterns.push((o, pattern.clone()));
        }
        proven.push(Some(bound));
    }
    Repaired { values, proven, patterns }
}

/// Takes `excess` off the value of a pattern: first from what its classes have above their legal values, else from all.
fn lower(values: &mut [f64], legal: &[f64], pattern: &Pattern, excess: f64) {
    let above = |values: &[f64], k: u32| (values[k as usize] - legal.get(k as usize).copied().unwrap_or(0.0)).max(0.0);
    let total: f64 = pattern.iter().map(|&(k, n)| above(values, k) * f64::from(n)).sum();
    if total > excess {
        let share = excess / total;
        for &(k, _) in pattern {
            values[k as usize] -= share * above(values, k);
        }
        return;
    }
    let all: f64 = pattern.iter().map(|&(k, n)| values[k as usize] * f64::from(n)).sum();
    for &(k, _) in pattern {
        values[k as usize] *= ((all - excess) / all.max(1e-30)).clamp(0.0, 1.0);
    }
}
