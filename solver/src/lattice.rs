//! An upper bound on the worth of contents that sees whole things: one dimension counted in whole steps, those of few
//! units (GPUs, say) exactly, and the others at their prices. Where few things fill a bin it is far below the relaxation.
//! A search asks it what those of the things that it has not decided on can still be worth.

use crate::instance::Offer;

/// Steps in which the main dimension is counted, at most.
const STEPS: i64 = 240;
/// A dimension of at most this many units is counted exactly.
const FEW_UNITS: i64 = 16;
/// Cells of all tables together; of many things several share one.
const MOST_CELLS: usize = 1 << 19;

/// What may be put into a bin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thing<const R: usize> {
    pub need: [i64; R],
    /// At most so many of it.
    pub most: u32,
    /// Value of one.
    pub value: f64,
}

/// The most that contents can be worth, by the first of the things that may be among them and by what is left of two
/// dimensions.
#[derive(Clone, Debug)]
pub(crate) struct Lattice<const R: usize> {
    /// One table behind the other: of all things, of all but the first `layer`, of all but twice as many, …
    best: Vec<f64>,
    /// The one that others are tried in.
    trial: Vec<f64>,
    /// By table: what those are worth that take nothing of what is counted.
    always: Vec<f64>,
    /// Things from one table to the next.
    layer: usize,
    grid: Grid<R>,
    /// Whether it says anything about the offer it was filled for.
    pub ready: bool,
}

impl<const R: usize> Default for Lattice<R> {
    fn default() -> Self {
        Self { best: Vec::new(), trial: Vec::new(), always: Vec::new(), layer: 1, grid: Grid::default(), ready: false }
    }
}

/// What is counted, and how.
#[derive(Clone, Copy, Debug)]
struct Grid<const R: usize> {
    /// (dimension, size of a step, steps).
    main: (usize, i64, usize),
    small: Option<(usize, i64, usize)>,
    /// Price per unit of the other dimensions, 0 for those counted.
    unit: [f64; R],
}

impl<const R: usize> Default for Grid<R> {
    fn default() -> Self {
        Self { main: (0, 1, 0), small: None, unit: [0.0; R] }
    }
}

impl<const R: usize> Grid<R> {
    /// With `main` counted in steps at these prices per unit.
    fn new(
        main: usize,
        small: Option<(usize, i64, usize)>,
        holds: &[i64; R],
        things: &[Thing<R>],
        unit: &[f64; R],
    ) -> Self {
        let step = step(holds[main], &things.iter().map(|t| (t.need[main], t.value * f64::from(t.most))));
        let mut unit = *unit;
        unit[main] = 0.0;
        if let Some((r, _, _)) = small {
            unit[r] = 0.0;
        }
        Self { main: (main, step, usize::try_from(holds[main] / step).unwrap_or(0)), small, unit }
    }

    /// Rows and columns of a table.
    fn size(&self) -> (usize, usize) {
        (self.small.map_or(1, |s| s.2 + 1), self.main.2 + 1)
    }

    /// The prices of what is not counted.
    fn price(&self, amounts: &[i64; R]) -> f64 {
        (0..R).map(|r| self.unit[r] * amounts[r] as f64).sum()
    }

    /// Where in a table the amounts are: none beyond its end.
    fn place(&self, amounts: &[i64; R]) -> Option<(usize, usize)> {
        let (rows, columns) = self.size();
        let column = usize::try_from(amounts[self.main.0] / self.main.1).ok().filter(|&c| c < columns)?;
        let row = self.small.map_or(Some(0), |s| usize::try_from(amounts[s.0] / s.1).ok())?;
        (row < rows).then_some((row, column))
    }

    /// Lets the contents of a table have one more kind of thing. Returns the operations spent.
    fn take(&self, table: &mut [f64], always: &mut f64, thing: &Thing<R>) -> usize {
        let net = thing.value - self.price(&thing.need);
        let Some((row, column)) = self.place(&thing.need).filter(|_| net > 0.0) else { return 8 };
        let columns = self.size().1;
        let by = row * columns + column;
        if by == 0 {
            *always += net * f64::from(thing.most);
            return 8;
        }
        // Any number where there may be many.
        let times = if thing.most <= 3 { thing.most } else { 0 };
        let rows = (row * columns..table.len()).step_by(columns).map(|start| start + column..start + columns);
        if times == 0 {
            rows.clone().for_each(|cells| raise(table, cells, by, net, false));
        }
        for _ in 0..times {
            rows.clone().rev().for_each(|cells| raise(table, cells, by, net, true));
        }
        table.len() * times.max(1) as usize / 2
    }

    /// The most that contents can be worth, and the operations spent to find it.
    fn most(&self, holds: &[i64; R], things: &[Thing<R>], table: &mut Vec<f64>) -> (f64, usize) {
        let (rows, columns) = self.size();
        table.clear();
        table.resize(rows * columns, 0.0);
        let mut always = 0.0;
        let operations: usize = things.iter().map(|t| self.take(table, &mut always, t)).sum();
        (table.last().copied().unwrap_or(0.0) + always + self.price(holds), operations)
    }
}

impl<const R: usize> Lattice<R> {
    /// Fills the tables for an offer. `unit` is a price ≥ 0 per unit of each dimension: any prices give a bound. With `tune`
    /// others are tried, and what else could be counted. Returns the operations spent.
    pub(crate) fn fill(&mut self, offer: &Offer<R>, things: &[Thing<R>], unit: &[f64; R], tune: bool) -> usize {
        self.ready = false;
        let holds = &offer.holds;
        let worth = |r: usize| unit[r] * holds[r] as f64;
        let divisor = |r: usize| things.iter().fold(0, |g, t| gcd(g, t.need[r]));
        let few = |&r: &usize| {
            let g = divisor(r);
            g > 0 && holds[r] / g <= FEW_UNITS
        };
        let by_worth = |a: &usize, b: &usize| worth(*a).total_cmp(&worth(*b)).then(b.cmp(a));
        let small = (0..R).filter(|&r| unit[r] > 0.0).filter(few).max_by(by_worth);
        let mut large: Vec<usize> = (0..R).filter(|&r| unit[r] > 0.0 && Some(r) != small).collect();
        large.sort_by(|a, b| by_worth(b, a));
        let Some(main) = large.first().copied().or(small) else {
            return R * things.len();
        };
        let small =
            small.filter(|&r| r != main).map(|r| (r, divisor(r), usize::try_from(holds[r] / divisor(r)).unwrap_or(0)));
        let mut operations = 60 * things.len();
        self.grid = Grid::new(main, small, holds, things, unit);
        if tune && let Some(&other) = large.get(1) {
            operations += self.tune(other, holds, things, unit);
        }
        let (rows, columns) = self.grid.size();
        let size = rows * columns;
        self.layer = (size * (things.len() + 1)).div_ceil(MOST_CELLS);
        let layers = things.len() / self.layer + 1;
        // Every table is written below: what earlier offers left in them need not be cleared.
        self.best.resize(size * layers, 0.0);
        self.always.clear();
        self.always.resize(layers, 0.0);
        for i in (0..layers).rev() {
            let mut always = 0.0;
            let (table, behind) = self.best[i * size..].split_at_mut(size);
            if i + 1 < layers {
                table.copy_from_slice(&behind[..size]);
                always = self.always[i + 1];
            } else {
                table.fill(0.0);
            }
            operations += size / 8;
            for thing in things.iter().take((i + 1) * self.layer).skip(i * self.layer) {
                operations += self.grid.take(table, &mut always, thing);
            }
            self.always[i] = always;
        }
        self.ready = true;
        operations
    }

    /// Looks for what is better counted, and for better prices of the rest.
    fn tune(&mut self, other: usize, holds: &[i64; R], things: &[Thing<R>], unit: &[f64; R]) -> usize {
        let table = &mut self.trial;
        let (mut least, mut operations) = self.grid.most(holds, things, table);
        let mut look = |grid: Grid<R>| {
            let (most, spent) = grid.most(holds, things, table);
            operations += spent;
            most
        };
        let second = Grid::new(other, self.grid.small, holds, things, unit);
        let most = look(second);
        if most < least {
            (self.grid, least) = (second, most);
        }
        for factor in TUNED {
            for r in 0..R {
                while self.grid.unit[r] > 0.0 {
                    let mut changed = self.grid;
                    changed.unit[r] *= factor;
                    let most = look(changed);
                    if most >= least * (1.0 - GAIN) {
                        break;
                    }
                    (self.grid, least) = (changed, most);
                }
            }
        }
        operations
    }

    /// No contents of what is free are worth more, of the things from `first` on.
    #[inline]
    pub(crate) fn most(&self, first: usize, free: &[i64; R]) -> f64 {
        let grid = &self.grid;
        let (rows, columns) = grid.size();
        let column = usize::try_from(free[grid.main.0] / grid.main.1).unwrap_or(0).min(columns - 1);
        let row = grid.small.map_or(0, |s| usize::try_from(free[s.0] / s.1).unwrap_or(0).min(rows - 1));
        let table = first / self.layer;
        self.best[(table * rows + row) * columns + column] + self.always[table] + grid.price(free)
    }
}

/// Fewer cells than these are not raised at once.
const LEAST_AT_ONCE: usize = 6;

/// Raises cells to what those `by` before them are worth with `net` more, from the last one on where each is to count only
/// what the others were before.
#[inline]
fn raise(table: &mut [f64], cells: std::ops::Range<usize>, by: usize, net: f64, from_the_last: bool) {
    let (from, upto) = (cells.start, cells.end);
    if by < LEAST_AT_ONCE {
        let mut one = |at: usize| {
            let raised = table[at - by] + net;
            table[at] = if raised > table[at] { raised } else { table[at] };
        };
        if from_the_last {
            cells.rev().for_each(&mut one);
        } else {
            cells.for_each(&mut one);
        }
        return;
    }
    // As many cells at once as have none of themselves before them.
    let mut block = |from: usize, upto: usize| {
        let (before, cells) = table[from - by..upto].split_at_mut(by);
        for (cell, &other) in cells.iter_mut().zip(&before[..upto - from]) {
            let raised = other + net;
            *cell = if raised > *cell { raised } else { *cell };
        }
    };
    if from_the_last {
        let mut end = upto;
        while end > from {
            let start = end.saturating_sub(by).max(from);
            block(start, end);
            end = start;
        }
    } else {
        let mut start = from;
        while start < upto {
            let end = (start + by).min(upto);
            block(start, end);
            start = end;
        }
    }
}

/// Prices are changed by these factors for as long as that proves so much more.
const TUNED: [f64; 4] = [1.1, 0.9, 1.03, 0.97];
const GAIN: f64 = 1e-4;

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
    use crate::instance::Instance;
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
    fn of_many_things_several_share_a_table_and_none_is_left_out() {
        let thing = |i: i64| Thing { need: [10 + i % 7, 1 + i % 4], most: 1, value: 1.0 + i as f64 };
        let things: Vec<Thing<2>> = (0..300).map(thing).collect();
        let kinds = vec![BinKind { holds: vec![2000, 16], cost: 100, ..BinKind::default() }];
        let items = vec![Item { needs: vec![1, 1], count: 2000, allowed: BitSet::full(1), ..Item::default() }];
        let problem = Problem { dims: 2, items, kinds, ..Problem::default() };
        let inst = Instance::<2>::new(&problem, &Shapes::new(&problem, &[100]), &[0, 1]);
        let mut lattice = Lattice::default();
        lattice.fill(&inst.offers[0], &things, &[0.1, 1.0], false);
        assert!(lattice.layer > 1 && lattice.best.len() <= MOST_CELLS, "{} {}", lattice.layer, lattice.best.len());
        let worth = |from: usize| lattice.most(from, &[2000, 16]);
        for from in 0..things.len() {
            // What fits, from the last one on.
            let (mut free, mut value) = ([2000, 16], 0.0);
            for thing in things[from..].iter().rev() {
                if (0..2).all(|r| thing.need[r] <= free[r]) {
                    (0..2).for_each(|r| free[r] -= thing.need[r]);
                    value += thing.value;
                }
            }
            assert!(worth(from) >= value, "{} {value} from {from}", worth(from));
        }
        assert!(worth(299) < worth(0) / 2.0, "{} {}", worth(299), worth(0));
    }

    #[test]
    fn no_contents_are_worth_more_than_the_table_says_at_any_prices_and_any_room() {
        let mut noise = Noise::new(5);
        let mut below = 0;
        for round in 0..200 {
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
            let things: Vec<Thing<3>> =
                (0..5).map(|i| Thing { need: needs[i], most: most[i], value: values[i] }).collect();
            let unit = [0.05 * noise.unit(), 0.05 * noise.unit(), 20.0 * noise.unit()];
            let mut lattice = Lattice::default();
            lattice.fill(&inst.offers[0], &things, &unit, round % 2 == 0);
            assert!(lattice.ready);
            for (part, first) in [(1, 0), (2, 0), (3, 0), (1, 2), (2, 4), (1, 5)] {
                let offer = &inst.offers[0].holds;
                let free: [i64; 3] = std::array::from_fn(|r| offer[r] / part);
                let truth = best(&needs, &most, &values, free, first);
                let bound = lattice.most(first, &free);
                assert!(bound >= truth - 1e-9, "{bound} < {truth}");
                below += usize::from(first == 0 && bound < truth * 1.3);
            }
        }
        assert!(below > 100, "the bound is never near: {below}");
    }
}
