//! Proven lower bounds. Any values per class give one: scaled down until no offer can be filled with more value than it
//! costs, they price every packing from below (Farley 1990; the Lagrangian bound of the covering problem).

use crate::effort::Meter;
use crate::instance::{Instance, Make, Pattern};
use crate::knapsack::{Scratch, prove};
use crate::parallel::in_parts;
use crate::repair::{SLACK, bend, repair};

/// A certificate: values that no packing can beat.
#[derive(Clone, Debug, Default)]
pub(crate) struct Certificate {
    /// Value per class, such that no contents of an offer are worth more than it costs.
    pub values: Vec<f64>,
    /// What one unit of each limit is worth.
    pub limit_prices: Vec<f64>,
    /// What the room of the started bins is worth, at most.
    pub started: f64,
    /// The bound for packing everything.
    pub bound: f64,
}

/// Scales `values` to a certificate. With `nodes` > 0 the integer contents are searched, which proves more when few
/// things fill a bin, and values are lowered towards the `legal` ones (those of a certificate, or empty) where they must be;
/// the contents of offers for which they had to be are returned too: columns that a plan with these values lacks.
pub(crate) fn certify<const R: usize>(
    inst: &Instance<R>,
    values: &[f64],
    limit_prices: &[f64],
    legal: &[f64],
    nodes: usize,
    threads: usize,
    meter: &mut Meter,
) -> (Certificate, Vec<(u32, Pattern)>) {
    let mut values: Vec<f64> = values.iter().map(|v| v.max(0.0)).collect();
    for make in &inst.makes {
        let known = |p: &&(u32, u32)| inst.classes[p.0 as usize].count > 0;
        let least = make.parts.iter().filter(known).map(|p| values[p.0 as usize]).fold(f64::INFINITY, f64::min);
        for &(k, _) in make.parts.iter().filter(|p| !known(p)) {
            if values[k as usize] <= 0.0 {
                values[k as usize] = if least.is_finite() { least } else { 0.0 };
            }
        }
    }
    let most: Vec<u32> = inst.classes.iter().map(|c| c.most).collect();
    let full_price = |o: usize| {
        inst.offers[o].price + inst.offers[o].uses.iter().map(|u| limit_prices[u.0 as usize] * u.1 as f64).sum::<f64>()
    };
    let relaxed = in_parts(threads, inst.n_new, 64, |range| {
        let mut scratch = Scratch::default();
        range
            .map(|o| {
                scratch.operations = 0;
                let bound = prove(inst, &inst.offers[o], &values, &most, &mut scratch);
                (bound / full_price(o), scratch.operations)
            })
            .collect()
    });
    meter.charge(relaxed.iter().map(|r| r.1).sum());
    let mut order: Vec<usize> = (0..inst.n_new).collect();
    order.sort_by(|&a, &b| relaxed[b].0.total_cmp(&relaxed[a].0).then(a.cmp(&b)));
    let (mut found, mut bent) = (Vec::new(), None);
    let mut worst = order.first().map_or(0.0, |&o| relaxed[o].0);
    if nodes > 0 {
        let open: Vec<u32> = order.iter().filter(|&&o| relaxed[o].0 > 1.0).map(|&o| crate::num::u32_of(o)).collect();
        let closed = close(inst, values, legal, &most, open, |o| relaxed[o].0, full_price, nodes, meter);
        (values, found, bent) = (closed.values, closed.patterns, closed.bent);
        worst = closed.proven.max(worst.min(1.0));
    }
    if worst <= 0.0 {
        return (Certificate { limit_prices: limit_prices.to_vec(), values, ..Certificate::default() }, found);
    }
    let mut scaled = |mut values: Vec<f64>, worst: f64| {
        values.iter_mut().for_each(|v| *v /= worst);
        let mut certificate = Certificate { values, limit_prices: limit_prices.to_vec(), started: 0.0, bound: 0.0 };
        let mut scratch = Scratch::default();
        for offer in &inst.offers[inst.n_new..] {
            certificate.started += prove(inst, offer, &certificate.values, &most, &mut scratch);
        }
        meter.charge(scratch.operations);
        certificate.bound = certificate.total(inst, |m| m.count, true);
        certificate
    };
    let mut best = scaled(values, worst);
    if let Some((values, proven)) = bent {
        let other = scaled(values, proven);
        if other.bound > best.bound {
            best = other;
        }
    }
    (best, found)
}

/// What is known when the offers have been looked at.
struct Closed {
    values: Vec<f64>,
    /// The share of its price that the contents of any offer may still be worth.
    proven: f64,
    /// Contents that were too valuable.
    patterns: Vec<(u32, Pattern)>,
    /// Where some offers are still open: values lowered for these too, and what is proven of the worst offer then.
    bent: Option<(Vec<f64>, f64)>,
}

/// Lowers values until the offers in `open` are worth no more than they cost, looking ever closer at those of which that
/// is not proven yet.
#[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename them")]
fn close<const R: usize>(
    inst: &Instance<R>,
    mut values: Vec<f64>,
    legal: &[f64],
    most: &[u32],
    mut open: Vec<u32>,
    relaxed: impl Fn(usize) -> f64,
    full_price: impl Fn(usize) -> f64 + Copy,
    mut nodes: usize,
    meter: &mut Meter,
) -> Closed {
    let mut closed = 0.0f64;
    let mut patterns = Vec::new();
    // What an earlier, shorter look has proven stays proven: values only fall.
    let mut known: Vec<f64> = open.iter().map(|&o| relaxed(o as usize)).collect();
    let mut looked = 0;
    while !open.is_empty() {
        nodes = nodes.min(meter.nodes_for(open.len()));
        if nodes <= looked {
            // What is left is not enough for a longer look than the last.
            break;
        }
        looked = nodes;
        let repaired = repair(inst, &values, legal, most, &open, full_price, nodes, meter);
        values = repaired.values;
        patterns.extend(repaired.patterns);
        let (mut still, mut best) = (Vec::new(), Vec::new());
        for ((&o, known), proven) in open.iter().zip(known).zip(repaired.proven) {
            let proven = proven.map_or(known, |p| p.min(known));
            if proven > 1.0 + 2.0 * SLACK {
                still.push(o);
                best.push(proven);
            } else {
                closed = closed.max(proven);
            }
        }
        (open, known) = (still, best);
        if meter.is_out() || !NODES.contains(&nodes) {
            break;
        }
        nodes *= 8;
    }
    let bent = (1..=MOST_BENT).contains(&open.len()).then(|| {
        let (values, proven) = bend(inst, &values, legal, most, &open, full_price, meter);
        // As with all, nothing is proven below the price.
        (values, proven.max(closed).max(1.0))
    });
    Closed { values, proven: known.into_iter().fold(closed, f64::max), patterns, bent }
}

/// Values are bent for at most so many open offers: where more are open, the meter was out long before they were closed.
const MOST_BENT: usize = 16;

/// A search of fewer nodes finds nothing new, and none is longer.
const NODES: std::ops::Range<usize> = 50..10_000_000;

impl Certificate {
    /// The bound for packing `count` of each item; with `all`, for packing everything, which may use that spreads force
    /// some things into certain domains.
    pub(crate) fn total<const R: usize>(&self, inst: &Instance<R>, count: impl Fn(&Make) -> u32, all: bool) -> f64 {
        let mut sum = 0.0;
        for make in &inst.makes {
            let value = |k: u32| self.values[k as usize];
            let least = make.parts.iter().map(|p| value(p.0)).fold(f64::INFINITY, f64::min);
            let mut free = count(make);
            if all {
                for &(k, floor) in &make.parts {
                    sum += value(k) * f64::from(floor.min(free));
                    free -= floor.min(free);
                }
            }
            if least.is_finite() {
                sum += least * f64::from(free);
            }
        }
        let used: f64 = self.limit_prices.iter().zip(&inst.limits).map(|(p, &l)| p * l as f64).sum();
        (sum - used - self.started).max(0.0)
    }
}
