//! A pool whose open labels decide which `DaemonSets` run: one shelf for each way of settling them, with the room that leaves.

use std::collections::BTreeSet;

use super::dims::Dims;
use super::shelf::Shelf;
use crate::model::snapshot::Daemon;
use crate::model::taint::untolerated;
use crate::model::{Operator, PodShape, Pool, Requirement, Requirements, Str};

/// Ways of settling that are told apart, at most; keys beyond that count every `DaemonSet` that may come.
const MOST_CLASSES: usize = 8;

/// The shelves of a pool, the one with the fewest `DaemonSets` first.
pub(super) fn shelves_of<'a>(pool: &'a Pool, daemons: &[Daemon], dims: &Dims, keys: &BTreeSet<Str>) -> Vec<Shelf<'a>> {
    let whole = Shelf::new(pool, &Requirements::new(), daemons, dims, keys);
    let runs = |daemon: &&Daemon| untolerated(&pool.taints, &daemon.shape.tolerations, false).is_none();
    let shapes: Vec<&PodShape> = daemons.iter().filter(runs).map(|daemon| &*daemon.shape).collect();
    let mut classes = vec![Requirements::new()];
    for open in whole.open.iter().filter(|open| !whole.is_left_to_launches(&open.key)) {
        let parts = parts(open, &shapes);
        if parts.len() < 2 || parts.len() * classes.len() > MOST_CLASSES {
            continue;
        }
        let with = |class: &Requirements, part: &Requirement| {
            let mut both = class.clone();
            both.add(part.clone());
            both
        };
        classes =
            classes.iter().flat_map(|class| parts.iter().map(|part| with(class, part)).collect::<Vec<_>>()).collect();
    }
    if classes.len() < 2 {
        return vec![whole];
    }
    let of_class = |class: &Requirements| Shelf::new(pool, class, daemons, dims, keys);
    let mut shelves: Vec<Shelf> = classes.iter().map(of_class).collect();
    shelves.sort_by_cached_key(|shelf| {
        (0..daemons.len()).map(|daemon| shelf.daemon_mask(daemon).count_ones(..)).sum::<usize>()
    });
    shelves
}

/// The values that an open key may be given, in parts that `DaemonSets` do not tell apart.
fn parts(open: &Requirement, shapes: &[&PodShape]) -> Vec<Requirement> {
    let all = |shape: &&'_ PodShape| {
        shape.node_terms.iter().flatten().chain([&shape.node_selector]).cloned().collect::<Vec<_>>()
    };
    let asked: Vec<Requirement> =
        shapes.iter().flat_map(all).filter_map(|term: Requirements| term.get(&open.key).cloned()).collect();
    if asked.is_empty() {
        return Vec::new();
    }
    let named = || asked.iter().flat_map(Requirement::named).filter(|value| open.has(value)).cloned();
    let values: BTreeSet<Str> = open.concrete().cloned().unwrap_or_else(|| named().collect());
    let mut parts: Vec<(Vec<bool>, Vec<Str>)> = Vec::new();
    for value in &values {
        let said: Vec<bool> = asked.iter().map(|r| r.has(value)).collect();
        match parts.iter_mut().find(|(known, _)| *known == said) {
            Some((_, values)) => values.push(value.clone()),
            None => parts.push((said, vec![value.clone()])),
        }
    }
    let mut out: Vec<Requirement> =
        parts.into_iter().map(|(_, values)| Requirement::new(&open.key, Operator::In, values)).collect();
    if open.concrete().is_none() {
        out.push(Requirement::new(&open.key, Operator::NotIn, values));
    }
    out
}
