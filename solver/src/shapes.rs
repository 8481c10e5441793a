//! Kinds that no rule can tell apart become one shape, at the cheapest cost; items with equal allowed sets share a label.
//! Twelve thousand kinds are mostly equal up to the zone, so everything after this works on hundreds.

use std::cmp::Ordering;

use crate::bits::BitSet;
use crate::num::u32_of;
use crate::problem::{KindIdx, Problem};

/// A joint limit as packing sees it: a [`Cap`](crate::Cap), or the availability of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    /// What is left to use.
    pub left: i64,
}

/// A set of kinds that are equal in everything but cost.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub holds: Vec<i64>,
    /// What the solver minimises for its best member; the cost plus the charge per bin unless flexibility is priced.
    pub value: i64,
    /// The member of least value, the first on a tie.
    pub kind: KindIdx,
    /// Domain per spread key.
    pub domains: Vec<u32>,
    /// Use of limits: (index into [`Shapes::limits`], weight > 0).
    pub uses: Vec<(u32, i64)>,
}

/// The problem's kinds and allowed sets, told apart only as far as it matters.
#[derive(Clone, Debug)]
pub(crate) struct Shapes {
    /// By descending first dimension, so that a search for any that fits ends soon.
    pub list: Vec<Shape>,
    /// Label of each item.
    pub label_of: Vec<u32>,
    /// By label: the shapes allowed.
    pub labels: Vec<BitSet>,
    /// Caps first, then the availability of single kinds.
    pub limits: Vec<Limit>,
    /// Usable kinds with their shape, by cost then index.
    pub by_cost: Vec<(KindIdx, u32)>,
}

impl Shapes {
    /// Groups the kinds of a problem; `values` is what each kind costs in the objective.
    pub(crate) fn new(problem: &Problem, values: &[i64]) -> Self {
        let (label_of, label_sets) = labels(problem);
        let n_kinds = problem.kinds.len();
        let mut signature = vec![BitSet::new(label_sets.len()); n_kinds];
        for (l, set) in label_sets.iter().enumerate() {
            for k in set.iter().filter(|&k| k < n_kinds) {
                signature[k].insert(l);
            }
        }
        let mut keys: Vec<usize> = problem.spreads.iter().map(|s| s.key).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut limits: Vec<Limit> = problem.caps.iter().map(|c| Limit { left: c.limit.max(0) }).collect();
        let mut uses: Vec<Vec<(u32, i64)>> = vec![Vec::new(); n_kinds];
        for (c, cap) in problem.caps.iter().enumerate() {
            for k in cap.kinds.iter().filter(|&k| k < n_kinds) {
                if cap.weights[k] > 0 {
                    uses[k].push((u32_of(c), cap.weights[k]));
                }
            }
        }
        let things = problem.n_things();
        for (k, kind) in problem.kinds.iter().enumerate() {
            if let Some(n) = kind.available
                && u64::from(n) < things
                && !signature[k].is_empty()
            {
                uses[k].push((u32_of(limits.len()), 1));
                limits.push(Limit { left: i64::from(n) });
            }
        }
        let mut usable: Vec<usize> = (0..n_kinds)
            .filter(|&k| !signature[k].is_empty() && problem.kinds[k].holds.iter().all(|&h| h >= 0))
            .filter(|&k| uses[k].iter().all(|u| u.1 <= limits[u.0 as usize].left))
            .collect();
        let order = |&a: &usize, &b: &usize| -> Ordering {
            let (x, y) = (&problem.kinds[a], &problem.kinds[b]);
            y.holds
                .cmp(&x.holds)
                .then_with(|| signature[a].cmp(&signature[b]))
                .then_with(|| keys.iter().map(|&i| x.domains.get(i)).cmp(keys.iter().map(|&i| y.domains.get(i))))
                .then_with(|| uses[a].cmp(&uses[b]))
        };
        usable.sort_by(|a, b| order(a, b).then_with(|| (values[*a], *a).cmp(&(values[*b], *b))));
        let mut shapes: Vec<Shape> = Vec::new();
        let mut shape_labels: Vec<usize> = Vec::new();
        let mut last: Option<usize> = None;
        let mut by_cost = Vec::with_capacity(usable.len());
        for k in usable {
            let same = last.is_some_and(|l| order(&l, &k) == Ordering::Equal);
            by_cost.push((KindIdx(u32_of(k)), u32_of(shapes.len() - usize::from(same))));
            if same {
                continue;
            }
            last = Some(k);
            let kind = &problem.kinds[k];
            shapes.push(Shape {
                holds: kind.holds.clone(),
                value: values[k],
                kind: KindIdx(u32_of(k)),
                domains: kind.domains.clone(),
                uses: uses[k].clone(),
            });
            shape_labels.push(k);
        }
        let mut by_label = vec![BitSet::new(shapes.len()); label_sets.len()];
        for (s, &k) in shape_labels.iter().enumerate() {
            for l in signature[k].iter() {
                by_label[l].insert(s);
            }
        }
        by_cost.sort_by_key(|&(k, _)| (problem.kinds[k.at()].cost, k));
        Self { list: shapes, label_of, labels: by_label, limits, by_cost }
    }
}

/// The distinct allowed sets and which of them each item has, numbered by first appearance.
fn labels(problem: &Problem) -> (Vec<u32>, Vec<&BitSet>) {
    let mut by_set: Vec<usize> = (0..problem.items.len()).collect();
    by_set.sort_by(|&a, &b| problem.items[a].allowed.cmp(&problem.items[b].allowed).then(a.cmp(&b)));
    let mut first_of: Vec<usize> = (0..problem.items.len()).collect();
    for w in 1..by_set.len() {
        if problem.items[by_set[w]].allowed == problem.items[by_set[w - 1]].allowed {
            first_of[by_set[w]] = first_of[by_set[w - 1]];
        }
    }
    let mut label_of = vec![0u32; problem.items.len()];
    let mut sets = Vec::new();
    for i in 0..problem.items.len() {
        if first_of[i] == i {
            label_of[i] = u32_of(sets.len());
            sets.push(&problem.items[i].allowed);
        } else {
            label_of[i] = label_of[first_of[i]];
        }
    }
    (label_of, sets)
}
