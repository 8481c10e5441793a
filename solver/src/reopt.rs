//! Re-optimisation: from bins with contents to cheaper ones, at a price per thing moved.

use crate::effort::{Cancel, Effort, Meter};
use crate::instance::Instance;
use crate::problem::{ItemIdx, Problem, StartedIdx};
use crate::rebuild::{Rebuild, State};
use crate::shapes::Shapes;
use crate::solution::Bin;
use crate::split::Piece;

/// What a re-optimisation may do.
#[derive(Clone, Copy, Debug)]
pub struct Moves {
    /// Micro-dollars per hour that moving one thing has to save.
    pub price: i64,
    /// Things that may be moved in all.
    pub most_things: u64,
    /// Started bins that may be retired.
    pub most_retired: usize,
}

/// Where a thing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// A bin that stays.
    Started(StartedIdx),
    /// The bin of this place in [`Reoptimized::buy`].
    New(usize),
}

/// `count` of an item go from one bin to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// What moves.
    pub item: ItemIdx,
    /// How many.
    pub count: u32,
    /// The started bin they leave.
    pub from: StartedIdx,
    /// Where they go.
    pub to: Destination,
}

/// Changes that can be made at once: everything that arrives fits before anything leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wave {
    /// Bins (places in [`Reoptimized::buy`]) that have to be there first.
    pub buy: Vec<usize>,
    /// What moves.
    pub moves: Vec<Move>,
    /// Bins that are empty afterwards and go.
    pub retire: Vec<StartedIdx>,
}

/// A cheaper state and the way to it.
#[must_use = "waves are to be carried out"]
#[derive(Clone, Debug, Default)]
pub struct Reoptimized {
    /// Carried out one after another, each leaves a legal state.
    pub waves: Vec<Wave>,
    /// The bins to buy, with what ends up in them.
    pub buy: Vec<Bin>,
    /// Micro-dollars per hour of the started bins.
    pub cost_before: i64,
    /// Micro-dollars per hour of what remains and what is bought.
    pub cost_after: i64,
    /// Things moved.
    pub moved: u64,
    /// Steps used.
    pub effort_spent: u64,
}

/// Finds deletions and replacements (any number of bins for any number) that lower the cost by more than the moves are
/// worth. Only the contents of the started bins are looked at; items still to be packed are [`solve`](crate::solve)'s.
pub fn reoptimize(problem: &Problem, moves: Moves, effort: Effort, cancel: &Cancel) -> Reoptimized {
    let mut inside = problem.clone();
    for item in &mut inside.items {
        item.count = 0;
    }
    for &(item, n) in problem.started.iter().flat_map(|s| &s.contents) {
        inside.items[item.at()].count += n;
    }
    let dims = crate::instance::active_dims(&inside);
    match dims.len() {
        0..=4 => on_dims::<4>(&inside, &dims, moves, effort, cancel),
        5..=8 => on_dims::<8>(&inside, &dims, moves, effort, cancel),
        9..=32 => on_dims::<32>(&inside, &dims, moves, effort, cancel),
        _ => unchanged(problem),
    }
}

fn unchanged(problem: &Problem) -> Reoptimized {
    let cost = problem.started.iter().map(|s| s.cost).sum();
    Reoptimized { cost_before: cost, cost_after: cost, ..Reoptimized::default() }
}

fn on_dims<const R: usize>(
    problem: &Problem,
    dims: &[usize],
    moves: Moves,
    effort: Effort,
    cancel: &Cancel,
) -> Reoptimized {
    let values = crate::value::values(problem);
    let shapes = Shapes::new(problem, &values);
    let pieces = pieces(problem, &shapes);
    let inst = Instance::<R>::of_pieces(problem, &shapes, dims, &pieces, Vec::new(), |s| capacity(problem, s));
    let mut meter = Meter::new(effort, cancel);
    let Some(start) = State::of(problem, &inst) else { return unchanged(problem) };
    let mut rebuild = Rebuild::new(problem, &inst, moves, &mut meter);
    let end = rebuild.run(&start, &mut meter);
    let mut result = crate::waves::waves(problem, &shapes, &values, &inst, &start, &end);
    result.effort_spent = meter.steps();
    result
}

/// What a started bin holds in all.
fn capacity(problem: &Problem, s: usize) -> Vec<i64> {
    let bin = &problem.started[s];
    let mut room: Vec<i64> = bin.room.iter().map(|r| (*r).max(0)).collect();
    for &(item, n) in &bin.contents {
        for (r, need) in room.iter_mut().zip(&problem.items[item.at()].needs) {
            *r = r.saturating_add(need.saturating_mul(i64::from(n)));
        }
    }
    room
}

/// One piece per item; per item and domain where a spread counts it, so that it stays in its domain.
fn pieces(problem: &Problem, shapes: &Shapes) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    for (i, item) in problem.items.iter().enumerate().filter(|i| i.1.count > 0) {
        let idx = ItemIdx(crate::num::u32_of(i));
        let keys: Vec<usize> = problem.spreads.iter().filter(|s| s.items.contains(&idx)).map(|s| s.key).collect();
        let domain = |d: &[u32]| -> Vec<Option<u32>> { keys.iter().map(|&k| d.get(k).copied()).collect() };
        let mut places: Vec<(Vec<Option<u32>>, u32, Vec<usize>)> = Vec::new();
        for (s, bin) in problem.started.iter().enumerate() {
            let n: u32 = bin.contents.iter().filter(|c| c.0 == idx).map(|c| c.1).sum();
            if n == 0 {
                continue;
            }
            let d = domain(&bin.domains);
            match places.iter_mut().find(|p| p.0 == d) {
                Some(p) => {
                    p.1 += n;
                    p.2.push(s);
                }
                None => places.push((d, n, vec![s])),
            }
        }
        for (d, count, homes) in places {
            let mut mask = shapes.labels[shapes.label_of[i] as usize].clone();
            let mut started = item.allowed_started.clone();
            for s in 0..shapes.list.len() {
                if domain(&shapes.list[s].domains) != d {
                    mask.remove(s);
                }
            }
            for s in 0..problem.started.len() {
                if domain(&problem.started[s].domains) != d {
                    started.remove(s);
                }
            }
            let mut wide = crate::bits::BitSet::new(problem.started.len());
            wide.union_with(&started);
            homes.into_iter().for_each(|s| wide.insert(s));
            out.push(Piece { item: idx, count, floor: 0, most: count, mask, started: wide });
        }
    }
    out
}
