//! Turns "spread evenly over domains" into plain counts per domain, and says how much of that was forced.

use std::collections::BTreeMap;

use crate::bits::BitSet;
use crate::num::u32_of;
use crate::problem::{ItemIdx, Problem};
use crate::shapes::Shapes;

/// A part of an item that has to go to certain shapes and started bins.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub item: ItemIdx,
    /// How many this packing sends here; 0 marks a domain that could have been used instead.
    pub count: u32,
    /// How many go here in every legal packing of all things.
    pub floor: u32,
    /// How many can go here in any legal packing.
    pub most: u32,
    pub mask: BitSet,
    pub started: BitSet,
}

/// The pieces of all items, and what no domain may receive.
pub(crate) fn split(problem: &Problem, shapes: &Shapes) -> (Vec<Piece>, Vec<(ItemIdx, u32)>) {
    let mut n_spreads = vec![0usize; problem.items.len()];
    for item in problem.spreads.iter().flat_map(|s| &s.items) {
        n_spreads[item.at()] += 1;
    }
    let mut pieces: Vec<Piece> = problem
        .items
        .iter()
        .enumerate()
        .filter(|(_, item)| item.count > 0)
        .map(|(i, item)| Piece {
            item: ItemIdx(u32_of(i)),
            count: item.count,
            floor: item.count,
            most: item.count,
            mask: shapes.labels[shapes.label_of[i] as usize].clone(),
            started: item.allowed_started.clone(),
        })
        .collect();
    let mut homeless = Vec::new();
    for (s, spread) in problem.spreads.iter().enumerate() {
        let simple = spread.items.len() == 1 && n_spreads[spread.items[0].at()] == 1;
        let mut level = Level { counts: spread.counts.clone(), skew: spread.max_skew.max(1), few: false };
        level.few = level.counts.len() < spread.min_domains as usize;
        let masks = domain_masks(problem, shapes, s);
        let mut out = Vec::with_capacity(pieces.len());
        for piece in pieces {
            if spread.items.contains(&piece.item) {
                let lost = one(problem, shapes, &piece, &mut level, &masks, simple, &mut out);
                if lost > 0 {
                    homeless.push((piece.item, lost));
                }
            } else {
                out.push(piece);
            }
        }
        pieces = out;
    }
    (pieces, homeless)
}

/// How many are in each domain while the pieces are dealt out.
struct Level {
    counts: BTreeMap<u32, u32>,
    skew: u32,
    few: bool,
}

impl Level {
    fn may_receive(&self, d: u32) -> bool {
        let least = if self.few { 0 } else { self.counts.values().copied().min().unwrap_or(0) };
        self.counts.get(&d).is_some_and(|&n| n < least.saturating_add(self.skew))
    }
}

/// Shapes and started bins of each eligible domain.
fn domain_masks(problem: &Problem, shapes: &Shapes, s: usize) -> Vec<(u32, BitSet, BitSet)> {
    let key = problem.spreads[s].key;
    problem.spreads[s]
        .counts
        .keys()
        .map(|&d| {
            let here = |domains: &Vec<u32>| domains.get(key) == Some(&d);
            let shapes_here = (0..shapes.list.len()).filter(|&i| here(&shapes.list[i].domains));
            let started_here = (0..problem.started.len()).filter(|&i| here(&problem.started[i].domains));
            (d, BitSet::of(shapes.list.len(), shapes_here), BitSet::of(problem.started.len(), started_here))
        })
        .collect()
}

/// Deals one piece out over the domains; returns how many found none.
fn one(
    problem: &Problem,
    shapes: &Shapes,
    piece: &Piece,
    level: &mut Level,
    masks: &[(u32, BitSet, BitSet)],
    simple: bool,
    out: &mut Vec<Piece>,
) -> u32 {
    let needs = &problem.items[piece.item.at()].needs;
    let mut parts: Vec<(u32, i64, Piece)> = Vec::new();
    for (d, mask, started) in masks {
        let mut p = Piece { count: 0, floor: 0, mask: piece.mask.clone(), started: piece.started.clone(), ..*piece };
        p.mask.intersect_with(mask);
        p.started.intersect_with(started);
        let on_started = p.started.iter().any(|s| Problem::fits(needs, &problem.started[s].room));
        let cheapest =
            p.mask.iter().filter(|&s| Problem::fits(needs, &shapes.list[s].holds)).map(|s| shapes.list[s].value).min();
        if on_started || cheapest.is_some() {
            parts.push((*d, if on_started { 0 } else { cheapest.unwrap_or(0) }, p));
        }
    }
    if simple {
        set_floors(level, piece.count, &mut parts);
    }
    let mut left = piece.count;
    while left > 0 {
        let best = parts
            .iter_mut()
            .filter(|p| level.may_receive(p.0))
            .min_by_key(|p| (level.counts.get(&p.0).copied().unwrap_or(0), p.1, p.0));
        let Some(best) = best else { break };
        best.2.count += 1;
        *level.counts.entry(best.0).or_insert(0) += 1;
        left -= 1;
    }
    let forced: u32 = parts.iter().map(|p| p.2.floor).sum();
    for (_, _, mut p) in parts {
        p.most = piece.most.saturating_sub(forced.saturating_sub(p.floor));
        out.push(p);
    }
    left
}

/// With one item alone in a spread, no domain can end with less than the others' limits leave for it:
/// a smallest count `m` allows at most `m + (D − 1)(m + skew)` in all.
fn set_floors(level: &Level, count: u32, parts: &mut [(u32, i64, Piece)]) {
    let domains = i64::from(u32_of(level.counts.len()));
    if level.few || domains == 0 {
        return;
    }
    let skew = i64::from(level.skew);
    let total: i64 = level.counts.values().map(|&n| i64::from(n)).sum::<i64>() + i64::from(count);
    let spare = total - (domains - 1) * skew;
    let least = if spare <= 0 { 0 } else { (spare + domains - 1) / domains };
    let fullest = level.counts.values().copied().max().unwrap_or(0);
    if i64::from(fullest) > least - 1 + skew {
        return;
    }
    for (d, _, piece) in parts {
        let there = level.counts.get(d).copied().unwrap_or(0);
        piece.floor = u32::try_from((least - i64::from(there)).max(0)).unwrap_or(0);
    }
}
