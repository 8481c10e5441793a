//! What the constructive steps steer by: values per class, the order of sizes, and families of offers.

use std::collections::BTreeMap;

use crate::bits::BitSet;
use crate::effort::Meter;
use crate::instance::{Instance, Offer};
use crate::knapsack::{Scratch, relax};
use crate::nodes::{Budget, Node};
use crate::noise::Noise;
use crate::num::u32_of;

/// See the module.
pub(crate) struct Guide<'a, const R: usize> {
    pub inst: &'a Instance<R>,
    /// Value per class, never far below what it costs alone.
    pub values: Vec<f64>,
    /// New offers by price.
    pub by_price: Vec<u32>,
    /// Most of each dimension that an offer up to this place of `by_price` holds.
    most_up_to: Vec<[i64; R]>,
    /// New offers worth using in local search, by price.
    pub good: Vec<u32>,
    /// Relaxed value per price of each offer.
    pub ratio: Vec<f64>,
    /// Resource prices per offer, for slack.
    pub prices: Vec<[f64; R]>,
    /// Place of each class in the order big first.
    pub rank: Vec<u32>,
    /// Needs of each class as a unit vector weighted by what the dimensions are worth.
    pub aim: Vec<[f32; R]>,
    /// The weights: quantity to worth.
    pub worth: [f64; R],
    /// What a unit of each dimension is worth, in price; nothing where it is nowhere scarce.
    pub price: [f64; R],
    /// Offers of one family serve the same labels in the same proportions.
    pub family: Vec<u32>,
    pub n_families: usize,
    /// Share of classes in common, by pair of families.
    pub kinship: Vec<Vec<f32>>,
    pub directions: Vec<[f64; R]>,
    pub direction_of: Vec<u32>,
}

impl<'a, const R: usize> Guide<'a, R> {
    pub(crate) fn new(inst: &'a Instance<R>, values: &[f64], meter: &mut Meter) -> Self {
        let n_classes = inst.classes.len();
        let mut alone = vec![f64::INFINITY; n_classes];
        for offer in &inst.offers[..inst.n_new] {
            for &(k, n) in &offer.fit {
                alone[k as usize] = alone[k as usize].min(offer.price / f64::from(n));
            }
        }
        // A class with value 0 still has to be placed.
        let values: Vec<f64> = (0..n_classes)
            .map(|k| if alone[k].is_finite() { values[k].max(0.03 * alone[k]) } else { values[k] })
            .collect();
        let mut by_price: Vec<u32> = (0..u32_of(inst.n_new)).collect();
        by_price.sort_by_key(|&o| (inst.offers[o as usize].value, o));
        let mut most_up_to: Vec<[i64; R]> = Vec::with_capacity(by_price.len());
        for &o in &by_price {
            let holds = &inst.offers[o as usize].holds;
            let before = most_up_to.last().copied().unwrap_or([0; R]);
            most_up_to.push(std::array::from_fn(|r| holds[r].max(before[r])));
        }
        let most = inst.demand();
        let mut scratch = Scratch::default();
        let (mut prices, mut ratio) = (Vec::new(), Vec::new());
        for offer in &inst.offers[..inst.n_new] {
            let (p, bound) = relax(inst, offer, &values, &most, &mut scratch);
            ratio.push(bound / offer.price);
            prices.push(p);
        }
        meter.charge(scratch.operations);
        let (worth, weight) = worth(inst, &prices, &ratio);
        let price = std::array::from_fn(|r| weight[r] * unit(inst, r));
        let (directions, direction_of) = directions(&prices);
        let good = good(inst, &by_price, &ratio);
        let (family, n_families) = families(inst, &worth, &weight);
        let kinship = kinship(inst, &family, n_families);
        meter.charge(n_families * n_families * n_classes.div_ceil(64) * 3 + n_classes * inst.n_new / 2);
        let size = |k: u32| -> f64 {
            let class = &inst.classes[k as usize];
            let limited = if class.per_bin == u32::MAX { 0.0 } else { 1e6 };
            (0..R).map(|r| class.need[r] as f64 * worth[r]).fold(0.0, f64::max) + limited
        };
        let mut order: Vec<u32> = (0..u32_of(n_classes)).collect();
        let biggest = order.iter().map(|&k| size(k) % 1e6).fold(0.0, f64::max).max(1e-30);
        let scaled = |k: u32| size(k) / if size(k) >= 1e6 { 1.0 } else { biggest };
        order.sort_by(|&a, &b| scaled(b).total_cmp(&scaled(a)).then(a.cmp(&b)));
        let mut rank = vec![0; n_classes];
        for (i, &k) in order.iter().enumerate() {
            rank[k as usize] = u32_of(i);
        }
        let aim = inst.classes.iter().map(|c| unit_vector(&weigh(&c.need, &worth))).collect();
        Self {
            inst,
            values,
            by_price,
            most_up_to,
            good,
            ratio,
            prices,
            rank,
            aim,
            worth,
            price,
            family,
            n_families,
            kinship,
            directions,
            direction_of,
        }
    }

    /// The classes, big first.
    pub(crate) fn big_first(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..u32_of(self.rank.len())).collect();
        order.sort_unstable_by_key(|&k| self.rank[k as usize]);
        order
    }

    /// Puts what is `left` of the classes in `set` into the bins whose free room points their way. `noise`: what shakes the
    /// scores, and by how much at most.
    pub(crate) fn repack(
        &self,
        set: &[u32],
        left: &mut [u32],
        bins: &mut [Node<R>],
        (noise, jitter): (&mut Noise, f32),
        meter: &mut Meter,
    ) {
        let inst = self.inst;
        for &k in set {
            let ku = k as usize;
            let aim = &self.aim[ku];
            while left[ku] > 0 {
                let (mut best, mut score) = (None, -1.0f32);
                for (b, bin) in bins.iter().enumerate() {
                    if !bin.has_room_for(inst, k) {
                        continue;
                    }
                    let v = weigh(&bin.free, &self.worth);
                    let (mut dot, mut norm) = (0.0f32, 1e-30f32);
                    for r in 0..R {
                        dot += v[r] * aim[r];
                        norm += v[r] * v[r];
                    }
                    #[expect(clippy::cast_possible_truncation, reason = "jitter")]
                    let s = dot * dot / norm * (1.0 + jitter * noise.unit() as f32);
                    if s > score {
                        (best, score) = (Some(b), s);
                    }
                }
                meter.charge(bins.len() * 12);
                let Some(b) = best else { break };
                let n = bins[b].room_for(inst, k).min(left[ku].div_ceil(u32_of(bins.len()))).max(1);
                bins[b].add(inst, k, n);
                left[ku] -= n;
            }
        }
    }

    /// The cheapest offer that can take the node's contents and costs less than it does.
    pub(crate) fn right_size(&self, node: &mut Node<R>, budget: &mut Budget) {
        let inst = self.inst;
        if !node.is_new(inst) {
            return;
        }
        let used = node.used(inst);
        let now = inst.offers[node.offer as usize].value;
        let from = self.most_up_to.partition_point(|most| (0..R).any(|r| used[r] > most[r]));
        for &o in &self.by_price[from..] {
            let offer = &inst.offers[o as usize];
            if offer.value >= now {
                return;
            }
            if (0..R).all(|r| used[r] <= offer.holds[r])
                && node.pattern.iter().all(|p| offer.serves.contains(p.0 as usize))
            {
                budget.give(inst, node.offer);
                if !budget.allows(inst, o) {
                    budget.take(inst, node.offer);
                    continue;
                }
                budget.take(inst, o);
                node.turn_into(inst, o);
                return;
            }
        }
    }
}

/// A vector of quantities weighted by worth.
#[inline]
pub(crate) fn weigh<const R: usize>(v: &[i64; R], worth: &[f64; R]) -> [f32; R] {
    #[expect(clippy::cast_possible_truncation, reason = "a score needs no more than single precision")]
    std::array::from_fn(|r| (v[r] as f64 * worth[r]) as f32)
}

fn unit_vector<const R: usize>(v: &[f32; R]) -> [f32; R] {
    let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-30);
    std::array::from_fn(|r| v[r] / norm)
}

/// What a unit of each dimension is worth: the mean resource price over offers worth buying, with a floor so that a
/// dimension that is nowhere scarce still breaks ties; and the share of the bill that each dimension makes.
fn worth<const R: usize>(inst: &Instance<R>, prices: &[[f64; R]], ratio: &[f64]) -> ([f64; R], [f64; R]) {
    let mut mean = [0.0f64; R];
    for (p, &ratio) in prices.iter().zip(ratio) {
        if ratio > 0.9 {
            for r in 0..R {
                mean[r] += p[r];
            }
        }
    }
    let total: f64 = mean.iter().sum::<f64>().max(1e-30);
    let weight: [f64; R] = std::array::from_fn(|r| mean[r] / total);
    (std::array::from_fn(|r| weight[r].max(0.03) * unit(inst, r)), weight)
}

/// The share of all demand that one unit of a dimension is.
fn unit<const R: usize>(inst: &Instance<R>, r: usize) -> f64 {
    let known = inst.classes.iter().find(|c| c.need[r] > 0);
    known.map_or(0.0, |c| c.share[r] / c.need[r] as f64)
}

/// The distinct directions of resource prices, rounded to half powers of two, and which one each offer has.
fn directions<const R: usize>(prices: &[[f64; R]]) -> (Vec<[f64; R]>, Vec<u32>) {
    let mut found: Vec<[f64; R]> = Vec::new();
    let mut of = Vec::with_capacity(prices.len());
    for p in prices {
        let sum: f64 = p.iter().sum::<f64>().max(1e-30);
        let d: [f64; R] =
            std::array::from_fn(|r| if p[r] > 0.0 { (((p[r] / sum).log2() * 2.0).round() * 0.5).exp2() } else { 0.0 });
        let at =
            found.iter().position(|x| x.iter().zip(&d).all(|(a, b)| a.total_cmp(b).is_eq())).unwrap_or_else(|| {
                found.push(d);
                found.len() - 1
            });
        of.push(u32_of(at));
    }
    (found, of)
}

/// Offers nearly worth their price, and for each class the best four that take it.
fn good<const R: usize>(inst: &Instance<R>, by_price: &[u32], ratio: &[f64]) -> Vec<u32> {
    let mut is_good: Vec<bool> = ratio.iter().map(|&r| r >= 0.95).collect();
    let mut best_of: Vec<Vec<u32>> = vec![Vec::new(); inst.classes.len()];
    let mut covered = BitSet::new(inst.classes.len());
    for (o, offer) in inst.offers[..inst.n_new].iter().enumerate() {
        if is_good[o] {
            covered.union_with(&offer.serves);
        }
        for &(k, _) in &offer.fit {
            best_of[k as usize].push(u32_of(o));
        }
    }
    for (k, offers) in best_of.iter_mut().enumerate() {
        if !covered.contains(k) {
            offers.sort_by(|&a, &b| ratio[b as usize].total_cmp(&ratio[a as usize]).then(a.cmp(&b)));
            offers.iter().take(4).for_each(|&o| is_good[o as usize] = true);
        }
    }
    by_price.iter().copied().filter(|&o| is_good[o as usize]).collect()
}

/// Family of each offer: the labels it serves, and its proportions.
fn families<const R: usize>(inst: &Instance<R>, worth: &[f64; R], weight: &[f64; R]) -> (Vec<u32>, usize) {
    let key = |offer: &Offer<R>| -> (BitSet, Vec<i32>) {
        let labels = BitSet::of(inst.n_labels, offer.fit.iter().map(|f| inst.classes[f.0 as usize].label as usize));
        let v: Vec<f64> =
            (0..R).map(|r| if weight[r] < 0.05 { 0.0 } else { offer.holds[r] as f64 * worth[r] }).collect();
        let most = v.iter().copied().fold(0.0, f64::max).max(1e-30);
        #[expect(clippy::cast_possible_truncation, reason = "a few dozen buckets")]
        let bucket = |x: f64| if x > most / 64.0 { ((x / most).log2() * 2.0).round() as i32 } else { -99 };
        (labels, v.into_iter().map(bucket).collect())
    };
    let mut ids: BTreeMap<(BitSet, Vec<i32>), u32> = BTreeMap::new();
    let family = inst
        .offers
        .iter()
        .map(|o| {
            let next = u32_of(ids.len());
            *ids.entry(key(o)).or_insert(next)
        })
        .collect();
    (family, ids.len())
}

fn kinship<const R: usize>(inst: &Instance<R>, family: &[u32], n: usize) -> Vec<Vec<f32>> {
    let mut serves = vec![BitSet::new(inst.classes.len()); n];
    for (o, offer) in inst.offers.iter().enumerate() {
        serves[family[o] as usize].union_with(&offer.serves);
    }
    let sizes: Vec<usize> = serves.iter().map(BitSet::count).collect();
    (0..n)
        .map(|a| {
            (0..n)
                .map(|b| {
                    let common: u32 =
                        serves[a].words().iter().zip(serves[b].words()).map(|(x, y)| (x & y).count_ones()).sum();
                    common as f32 / sizes[a].min(sizes[b]).max(1) as f32
                })
                .collect()
        })
        .collect()
}
