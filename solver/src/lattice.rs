//! An upper bound on the worth of contents that sees whole things: one dimension counted in whole steps, those of few
//! units (GPUs, say) exactly, and the others at their prices. Where few things fill a bin it is far below the relaxation.

use crate::instance::{Instance, Offer};

/// Steps in which the main dimension is counted, at most.
const STEPS: i64 = 240;
/// A dimension of at most this many units is counted exactly.
const FEW_UNITS: i64 = 16;

/// The most that contents can be worth, by what is left of two dimensions.
#[derive(Clone, Debug)]
pub(crate) struct Lattice<const R: usize> {
    best: Vec<f64>,
    /// (dimension, size of a step, steps).
    main: (usize, i64, usize),
    small: (usize, i64, usize),
    /// Price per unit of the other dimensions, 0 for those counted.
    unit: [f64; R],
    /// What takes nothing of what is counted is worth.
    always: f64,
    /// Whether it says anything about the offer it was filled for.
    pub ready: bool,
}

impl<const R: usize> Default for Lattice<R> {
    fn default() -> Self {
        Self { best: Vec::new(), main: (0, 1, 0), small: (0, 1, 0), unit: [0.0; R], always: 0.0, ready: false }
    }
}

impl<const R: usize> Lattice<R> {
    /// Fills the table for an offer. `list` has (class, most of it, value of one), `unit` is a price ≥ 0 per unit of each
    /// dimension: any prices give a bound. Returns the operations spent.
    pub(crate) fn fill(
        &mut self,
        inst: &Instance<R>,
        offer: &Offer<R>,
        list: &[(u32, f64, f64)],
        unit: &[f64; R],
    ) -> usize {
        self.ready = false;
        let need = |k: u32| &inst.classes[k as usize].need;
        let worth = |r: usize| unit[r] * offer.holds[r] as f64;
        let divisor = |r: usize| list.iter().fold(0, |g, e| gcd(g, need(e.0)[r]));
        let few = |&r: &usize| {
            let g = divisor(r);
            g > 0 && offer.holds[r] / g <= FEW_UNITS
        };
        let by_worth = |a: &usize, b: &usize| worth(*a).total_cmp(&worth(*b)).then(b.cmp(a));
        let small = (0..R).filter(|&r| unit[r] > 0.0).filter(few).max_by(by_worth);
        let Some(main) = (0..R).filter(|&r| unit[r] > 0.0 && Some(r) != small).max_by(by_worth).or(small) else {
            return R * list.len();
        };
        let small = small.filter(|&r| r != main);
        self.unit = *unit;
        self.unit[main] = 0.0;
        self.small = (0, 1, 0);
        if let Some(r) = small {
            self.unit[r] = 0.0;
            self.small = (r, divisor(r), usize::try_from(offer.holds[r] / divisor(r)).unwrap_or(0));
        }
        let step = step(offer.holds[main], &list.iter().map(|e| (need(e.0)[main], e.2 * e.1)));
        self.main = (main, step, usize::try_from(offer.holds[main] / step).unwrap_or(0));
        let (rows, columns) = (self.small.2 + 1, self.main.2 + 1);
        self.best.clear();
        self.best.resize(rows * columns, 0.0);
        self.always = 0.0;
        let mut operations = 60 * list.len() + rows * columns;
        for &(k, most, value) in list {
            let need = need(k);
            let net = value - (0..R).map(|r| self.unit[r] * need[r] as f64).sum::<f64>();
            if net <= 0.0 {
                continue;
            }
            let q = usize::try_from(need[main] / step).unwrap_or(usize::MAX);
            let s = if small.is_some() { usize::try_from(need[self.small.0] / self.small.1).unwrap_or(0) } else { 0 };
            if q == 0 && s == 0 {
                self.always += net * most;
            } else if q < columns && s < rows {
                let whole = crate::num::floor_count(most);
                let times = if whole <= 3 { whole } else { 0 };
                operations += rows * columns * times.max(1) as usize / 2;
                self.take(columns, q, s, net, times);
            }
        }
        self.ready = true;
        operations
    }

    /// Lets contents have one more kind of thing: `times` of it, or any number at 0.
    fn take(&mut self, columns: usize, q: usize, s: usize, net: f64, times: u32) {
        let by = s * columns + q;
        let rows = self.best.len() / columns;
        if times == 0 {
            for row in s..rows {
                for at in row * columns + q..(row + 1) * columns {
                    let with = self.best[at - by] + net;
                    if with > self.best[at] {
                        self.best[at] = with;
                    }
                }
            }
            return;
        }
        for _ in 0..times {
            for row in (s..rows).rev() {
                for at in (row * columns + q..(row + 1) * columns).rev() {
                    let with = self.best[at - by] + net;
                    if with > self.best[at] {
                        self.best[at] = with;
                    }
                }
            }
        }
    }

    /// No contents of what is free are worth more.
    #[inline]
    pub(crate) fn most(&self, free: &[i64; R]) -> f64 {
        let (main, step, columns) = self.main;
        let column = usize::try_from(free[main] / step).unwrap_or(0).min(columns);
        let row = usize::try_from(free[self.small.0] / self.small.1).unwrap_or(0).min(self.small.2);
        let mut worth = self.best[row * (columns + 1) + column] + self.always;
        for r in 0..R {
            worth += self.unit[r] * free[r] as f64;
        }
        worth
    }
}

/// What all needs are multiples of, where that gives few enough steps: then nothing is lost. Else the step, among those that
/// give about as many, in which least of the needs is lost by rounding down. `needs` come with what they are worth.
fn step(holds: i64, needs: &(impl Iterator<Item = (i64, f64)> + Clone)) -> i64 {
    let exact = needs.clone().fold(0, |g, n| gcd(g, n.0)).max(1);
    if holds / exact <= STEPS {
        return exact;
    }
    let least = (holds / STEPS).max(1);
    let lost = |step: i64| -> f64 {
        needs.clone().filter(|n| n.0 > 0).map(|(need, worth)| worth * (need % step) as f64 / need as f64).sum()
    };
    let candidates = (0..24).map(|i| least + 1 + least * i / 24);
    candidates.min_by(|&a, &b| lost(a).total_cmp(&lost(b)).then(a.cmp(&b))).unwrap_or(least + 1)
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::BitSet;
    use crate::noise::Noise;
    use crate::problem::{BinKind, Item, Problem};
    use crate::shapes::Shapes;

    /// The most valuable contents, by trying all.
    fn best(needs: &[[i64; 3]], most: &[u32], values: &[f64], free: [i64; 3], from: usize) -> f64 {
        if from == needs.len() {
            return 0.0;
        }
        let mut found = 0.0f64;
        let mut left = free;
        for n in 0..=most[from] {
            if n > 0 {
                (0..3).for_each(|r| left[r] -= needs[from][r]);
            }
            if left.iter().any(|&l| l < 0) {
                break;
            }
            found = found.max(f64::from(n) * values[from] + best(needs, most, values, left, from + 1));
        }
        found
    }

    #[test]
    fn a_step_loses_nothing_where_few_enough_are_exact() {
        let needs = |list: &'static [i64]| list.iter().map(|&n| (n, 1.0));
        assert_eq!(step(STEPS, &needs(&[3, 7, 11])), 1, "a small dimension is counted in its units");
        assert_eq!(step(96_000, &needs(&[500, 2000, 16_500])), 500, "and a large one in what its needs have in common");
        assert!(step(96_000, &needs(&[501, 2000])) > 96_000 / STEPS);
    }

    #[test]
    fn no_contents_are_worth_more_than_the_table_says_at_any_prices_and_any_room() {
        let mut noise = Noise::new(5);
        let mut below = 0;
        for _ in 0..200 {
            let needs: Vec<[i64; 3]> = (0..5)
                .map(|_| [1 + noise.below(900), noise.below(700), noise.below(3)].map(|n| i64::try_from(n).unwrap()))
                .collect();
            let most: Vec<u32> = (0..5).map(|_| u32::try_from(1 + noise.below(5)).unwrap()).collect();
            let values: Vec<f64> = (0..5).map(|_| 1.0 + 99.0 * noise.unit()).collect();
            let holds = vec![2000, 1500, 4];
            let items = needs.iter().zip(&most).map(|(need, &count)| Item {
                needs: need.to_vec(),
                count,
                allowed: BitSet::full(1),
                allowed_started: BitSet::new(0),
                per_bin_max: Some(count),
            });
            let kinds = vec![BinKind { holds: holds.clone(), cost: 100, ..BinKind::default() }];
            let problem = Problem { dims: 3, items: items.collect(), kinds, ..Problem::default() };
            let shapes = Shapes::new(&problem, &[100]);
            let inst = Instance::<3>::new(&problem, &shapes, &[0, 1, 2]);
            let list: Vec<(u32, f64, f64)> = (0..inst.classes.len())
                .map(|k| {
                    let item = inst.classes[k].members[0].0.at();
                    (crate::num::u32_of(k), f64::from(most[item]), values[item])
                })
                .collect();
            let unit = [0.05 * noise.unit(), 0.05 * noise.unit(), 20.0 * noise.unit()];
            let mut lattice = Lattice::default();
            lattice.fill(&inst, &inst.offers[0], &list, &unit);
            assert!(lattice.ready);
            for part in [1, 2, 3] {
                let offer = &inst.offers[0].holds;
                let free: [i64; 3] = std::array::from_fn(|r| offer[r] / part);
                let truth = best(&needs, &most, &values, free, 0);
                let bound = lattice.most(&free);
                assert!(bound >= truth - 1e-9, "{bound} < {truth}");
                below += usize::from(bound < truth * 1.3);
            }
        }
        assert!(below > 100, "the bound is never near: {below}");
    }
}
