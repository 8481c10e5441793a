//! Small problems to the end: branch and bound over the maximal contents of every offer, with a certificate's values as
//! the bound on what is left and a memory of the cheapest way to reach each remainder.

use std::collections::BTreeMap;

use crate::dive::Draft;
use crate::effort::Meter;
use crate::instance::{Instance, Pattern};
use crate::nodes::{Budget, Node};
use crate::num::u32_of;

/// Contents that nothing can be added to, at the cheapest offer that takes them.
struct Choice {
    offer: u32,
    value: i64,
    pattern: Pattern,
}

/// More patterns than this are not small.
const MOST_PATTERNS: usize = 4000;
/// More started bins than this are not small.
const MOST_STARTED: usize = 3;

/// Bins of a packing that is searched for: as deep is the search.
const MOST_BINS: usize = 256;
/// Remainders that are remembered.
const MOST_REMAINDERS: usize = 100_000;

/// Searches for a packing of everything that is cheaper than `incumbent`. Returns the best found, if any, and whether the
/// search was complete, which proves that nothing is cheaper.
pub(crate) fn search_all<const R: usize>(
    inst: &Instance<R>,
    values: &[f64],
    incumbent: i64,
    meter: &mut Meter,
) -> (Option<Draft<R>>, bool) {
    if inst.offers.len() - inst.n_new > MOST_STARTED {
        return (None, false);
    }
    let demand = inst.demand();
    let mut choices = Vec::new();
    let mut started = Vec::new();
    for o in 0..inst.offers.len() {
        let Some(patterns) = maximal(inst, o, &demand, MOST_PATTERNS - choices.len(), meter) else {
            return (None, false);
        };
        let list =
            patterns.into_iter().map(|pattern| Choice { offer: u32_of(o), value: inst.offers[o].value, pattern });
        if o < inst.n_new {
            choices.extend(list);
        } else {
            started.push(list.collect());
        }
    }
    drop_dominated(inst, &mut choices, meter);
    let mut order: Vec<usize> = (0..demand.len()).filter(|&k| demand[k] > 0).collect();
    let weight = |k: usize| values[k];
    order.sort_by(|&a, &b| weight(b).total_cmp(&weight(a)).then(a.cmp(&b)));
    let mut walk = Walk {
        inst,
        values,
        with: (0..demand.len())
            .map(|k| (0..choices.len()).filter(|&c| choices[c].pattern.iter().any(|p| p.0 as usize == k)).collect())
            .collect(),
        choices,
        started,
        order,
        best: incumbent,
        best_path: None,
        path: Vec::new(),
        reached: BTreeMap::new(),
        is_cut: false,
    };
    let mut left = demand;
    let mut budget = Budget(inst.limits.clone());
    let complete = walk.start(0, &mut left, &mut budget, meter);
    let draft = walk.best_path.as_ref().map(|path| walk.draft(path));
    (draft, complete && !walk.is_cut)
}

/// The maximal contents of all offers with their values; `None` when there are more than `most`.
#[cfg(test)]
pub(crate) fn all_contents<const R: usize>(inst: &Instance<R>, most: usize) -> Option<Vec<(i64, Pattern)>> {
    let demand = inst.demand();
    let mut meter = Meter::new(crate::effort::Effort(u64::MAX), &crate::effort::Cancel::new());
    let mut choices = Vec::new();
    for o in 0..inst.n_new {
        let patterns = maximal(inst, o, &demand, most.checked_sub(choices.len())?, &mut meter)?;
        choices.extend(patterns.into_iter().map(|pattern| Choice {
            offer: u32_of(o),
            value: inst.offers[o].value,
            pattern,
        }));
    }
    drop_dominated(inst, &mut choices, &mut meter);
    Some(choices.into_iter().map(|c| (c.value, c.pattern)).collect())
}

/// The maximal contents of an offer; `None` when there are more than `most`.
fn maximal<const R: usize>(
    inst: &Instance<R>,
    o: usize,
    demand: &[u32],
    most: usize,
    meter: &mut Meter,
) -> Option<Vec<Pattern>> {
    let mut out = Vec::new();
    let mut node = Node::empty(inst, u32_of(o));
    let classes: Vec<u32> = inst.offers[o].fit.iter().map(|f| f.0).filter(|&k| demand[k as usize] > 0).collect();
    extend(inst, &classes, 0, demand, &mut node, most, &mut out, meter).then_some(out)
}

#[expect(clippy::too_many_arguments, reason = "a recursion's state")]
fn extend<const R: usize>(
    inst: &Instance<R>,
    classes: &[u32],
    at: usize,
    demand: &[u32],
    node: &mut Node<R>,
    most: usize,
    out: &mut Vec<Pattern>,
    meter: &mut Meter,
) -> bool {
    meter.charge(20);
    if meter.is_out() {
        return false;
    }
    let Some(&k) = classes.get(at) else {
        let full = classes.iter().all(|&k| node.count(k) >= demand[k as usize] || node.room_for(inst, k) == 0);
        if full && !node.pattern.is_empty() {
            out.push(node.pattern.clone());
        }
        return out.len() <= most;
    };
    let room = node.room_for(inst, k).min(demand[k as usize]);
    for n in (0..=room).rev() {
        let mut next = node.clone();
        if n > 0 {
            next.add(inst, k, n);
        }
        if !extend(inst, classes, at + 1, demand, &mut next, most, out, meter) {
            return false;
        }
    }
    true
}

/// Drops contents that a choice no dearer, which uses limits no more, covers.
fn drop_dominated<const R: usize>(inst: &Instance<R>, choices: &mut Vec<Choice>, meter: &mut Meter) {
    choices.sort_by(|a, b| {
        let things = |c: &Choice| c.pattern.iter().map(|p| p.1).sum::<u32>();
        a.value
            .cmp(&b.value)
            .then(things(b).cmp(&things(a)))
            .then_with(|| a.pattern.cmp(&b.pattern))
            .then(a.offer.cmp(&b.offer))
    });
    let covers = |a: &Pattern, b: &Pattern| {
        b.iter().all(|&(k, n)| a.binary_search_by_key(&k, |e| e.0).is_ok_and(|i| a[i].1 >= n))
    };
    let mut kept: Vec<Choice> = Vec::new();
    for c in choices.drain(..) {
        let uses = &inst.offers[c.offer as usize].uses;
        let dominated = kept.iter().any(|k| {
            covers(&k.pattern, &c.pattern)
                && inst.offers[k.offer as usize].uses.iter().all(|u| uses.iter().any(|v| v.0 == u.0 && v.1 >= u.1))
        });
        meter.charge(kept.len() * 2);
        if !dominated {
            kept.push(c);
        }
    }
    *choices = kept;
}

struct Walk<'a, const R: usize> {
    inst: &'a Instance<R>,
    values: &'a [f64],
    choices: Vec<Choice>,
    /// By started bin: its maximal contents.
    started: Vec<Vec<Choice>>,
    /// By class: the choices that hold it.
    with: Vec<Vec<usize>>,
    /// Classes, dearest first.
    order: Vec<usize>,
    best: i64,
    best_path: Option<Vec<(u32, Pattern)>>,
    path: Vec<(u32, Pattern)>,
    /// Cheapest cost at which a remainder was reached (without limits, where the past does not matter otherwise).
    reached: BTreeMap<Vec<u32>, i64>,
    /// Whether packings of more bins than are looked for could be cheaper.
    is_cut: bool,
}

impl<const R: usize> Walk<'_, R> {
    /// Fills the started bins one after another, then goes on with new ones.
    fn start(&mut self, s: usize, left: &mut Vec<u32>, budget: &mut Budget, meter: &mut Meter) -> bool {
        if s == self.started.len() {
            return self.visit(left, budget, 0, meter);
        }
        for c in 0..self.started[s].len().max(1) {
            let taken = match self.started[s].get(c) {
                Some(choice) => (choice.offer, taken(&choice.pattern, left)),
                None => (0, Pattern::new()),
            };
            subtract(left, &taken.1);
            self.path.push(taken);
            let complete = self.start(s + 1, left, budget, meter);
            if let Some((_, pattern)) = self.path.pop() {
                give_back(left, &pattern);
            }
            if !complete {
                return false;
            }
        }
        true
    }

    fn visit(&mut self, left: &mut Vec<u32>, budget: &mut Budget, cost: i64, meter: &mut Meter) -> bool {
        meter.charge(left.len() * 4 + 40);
        if meter.is_out() {
            return false;
        }
        let Some(&k) = self.order.iter().find(|&&k| left[k] > 0) else {
            if cost < self.best {
                self.best = cost;
                self.best_path = Some(self.path.clone());
            }
            return true;
        };
        if self.bound(left) + cost as f64 > self.best as f64 - 0.999 {
            return true;
        }
        if budget.0.is_empty() {
            let is_full = self.reached.len() >= MOST_REMAINDERS;
            match self.reached.get_mut(left) {
                Some(c) if *c <= cost => return true,
                Some(c) => *c = cost,
                None if is_full => {}
                None => {
                    self.reached.insert(left.clone(), cost);
                }
            }
        }
        if self.path.len() >= MOST_BINS {
            self.is_cut = true;
            return true;
        }
        let mut next: Vec<(f64, usize, Pattern)> = self.with[k]
            .iter()
            .map(|&c| {
                let pattern = taken(&self.choices[c].pattern, left);
                let value: f64 = pattern.iter().map(|&(k, n)| self.values[k as usize] * f64::from(n)).sum();
                (self.choices[c].value as f64 - value, c, pattern)
            })
            .collect();
        meter.charge(next.len() * 16);
        next.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (_, c, pattern) in next {
            let (offer, value) = (self.choices[c].offer, self.choices[c].value);
            if !budget.allows(self.inst, offer) || cost + value >= self.best {
                continue;
            }
            budget.take(self.inst, offer);
            subtract(left, &pattern);
            self.path.push((offer, pattern));
            let complete = self.visit(left, budget, cost + value, meter);
            if let Some((_, pattern)) = self.path.pop() {
                give_back(left, &pattern);
            }
            budget.give(self.inst, offer);
            if !complete {
                return false;
            }
        }
        true
    }

    /// What the remainder costs at least.
    fn bound(&self, left: &[u32]) -> f64 {
        let sum: f64 = left.iter().zip(self.values).map(|(&n, v)| f64::from(n) * v).sum();
        sum * (1.0 - 1e-9)
    }

    fn draft(&self, path: &[(u32, Pattern)]) -> Draft<R> {
        let inst = self.inst;
        let mut draft =
            Draft { nodes: Vec::new(), left: vec![0; inst.classes.len()], budget: Budget(inst.limits.clone()) };
        for (offer, pattern) in path {
            if !pattern.is_empty() {
                draft.budget.take(inst, *offer);
                draft.nodes.push(Node::with(inst, *offer, pattern.clone()));
            }
        }
        draft
    }
}

/// What of a pattern is still there to pack.
fn taken(pattern: &Pattern, left: &[u32]) -> Pattern {
    pattern.iter().map(|&(k, n)| (k, n.min(left[k as usize]))).filter(|p| p.1 > 0).collect()
}

fn subtract(left: &mut [u32], pattern: &Pattern) {
    pattern.iter().for_each(|&(k, n)| left[k as usize] -= n);
}

fn give_back(left: &mut [u32], pattern: &Pattern) {
    pattern.iter().for_each(|&(k, n)| left[k as usize] += n);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::BitSet;
    use crate::effort::{Cancel, Effort};
    use crate::problem::{BinKind, Item, Problem};
    use crate::shapes::Shapes;

    /// What is found for so many equal things of which each needs a bin to itself, when nothing is known of their value.
    fn alone(count: u32) -> (Option<Draft<2>>, bool) {
        let kinds = vec![BinKind { holds: vec![10, 10], cost: 1000, ..BinKind::default() }];
        let item = Item { needs: vec![6, 6], count, allowed: BitSet::full(1), ..Item::default() };
        let problem = Problem { dims: 2, items: vec![item], kinds, ..Problem::default() };
        let inst = Instance::<2>::new(&problem, &Shapes::new(&problem, &[1000]), &[0, 1]);
        search_all(&inst, &[0.0], i64::MAX / 4, &mut Meter::new(Effort(1_000_000), &Cancel::new()))
    }

    #[test]
    fn a_search_goes_no_deeper_than_packings_are_small_and_says_that_it_did_not_see_all() {
        let (found, complete) = alone(100_000);
        assert!(found.is_none() && !complete);
        let (found, complete) = alone(200);
        assert!(complete);
        assert_eq!(found.unwrap().nodes.len(), 200);
    }
}
