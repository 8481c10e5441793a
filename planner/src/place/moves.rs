//! Machines moved to cheaper domains: a spread that allows several splits takes the cheapest that single moves lead to.
//!
//! First-fit-decreasing evens counts out and the solver keeps the domains that it settled. What a spread leaves free (the
//! remainder, a skew above one) is used here, on the finished packing: a machine whose contents may as well stand in a
//! cheaper domain goes there, if every rule of every pod still holds.

use fixedbitset::FixedBitSet as Bits;

use super::launch::possible;
use super::sale::cheapest;
use super::shelf::Shelf;
use super::state::{Bin, Placed, State};

/// Passes over all machines; each move makes the plan cheaper, and a pass that moves nothing is the last.
const MOST_PASSES: usize = 4;
/// Moves that are tried one by one where not all can be made together.
const MOST_SINGLE: usize = 200;

/// Machines as they were before they moved, oldest first.
pub(crate) type Moved = Vec<(usize, Bin)>;

/// Moves machines to cheaper domains. What it gives undoes it.
pub(crate) fn move_to_cheaper(state: &mut State) -> Moved {
    if !(0..state.bins.len()).any(|at| cheaper(state, at).is_some()) {
        return Moved::new();
    }
    let breaches = state.breaches();
    let moved = pass_over(state, usize::MAX, |_| true);
    if moved.is_empty() || (state.rules_hold() && state.breaches() <= breaches) {
        return moved;
    }
    move_back(state, moved);
    pass_over(state, MOST_SINGLE, |state| state.rules_hold() && state.breaches() <= breaches)
}

/// Puts machines back where they were.
pub(crate) fn move_back(state: &mut State, moved: Moved) {
    for (at, before) in moved.into_iter().rev() {
        replace(state, at, before);
    }
}

fn pass_over(state: &mut State, most: usize, is_sound: impl Fn(&State) -> bool) -> Moved {
    let (mut moved, mut tried) = (Moved::new(), 0);
    for _ in 0..MOST_PASSES {
        let before = moved.len();
        for at in 0..state.bins.len() {
            let Some(bin) = cheaper(state, at).filter(|_| tried < most) else { continue };
            tried += 1;
            let old = replace(state, at, bin);
            if is_sound(state) {
                moved.push((at, old));
            } else {
                replace(state, at, old);
            }
        }
        if moved.len() == before {
            break;
        }
    }
    moved
}

/// The machine in the cheapest domains that its own pods' constraints allow, if these are not where it is.
fn cheaper(state: &State, at: usize) -> Option<Bin> {
    let bin = &state.bins[at];
    let goods = &state.world.shelves[bin.shelf];
    if bin.pinned.is_empty() || !goods.reservations.is_empty() || !goods.min_values.is_empty() {
        return None;
    }
    let is_known = |placed: &Placed| {
        let counted = &state.world.groups[placed.group].counted;
        counted.iter().all(|counter| is_counted(state, bin.shelf, *placed, *counter).is_some())
    };
    if !bin.contents.iter().all(is_known) {
        return None;
    }
    let mut mask = possible(state, at);
    let chosen = cheapest(goods, &mask, None)?;
    if goods.choices[chosen].price >= goods.choices[bin.chosen].price {
        return None;
    }
    let mut moved = bin.clone();
    moved.chosen = chosen;
    for (key, domain) in &mut moved.pinned {
        let name = state.world.topology.key_name(*key);
        if goods.open.get(name).is_none() {
            let value = goods.label(chosen, name)?;
            *domain = state.world.topology.known_domain(*key, value)?;
            keep(goods, &mut mask, name, value);
        }
    }
    moved.mask = mask;
    Some(moved)
}

/// Does a counter count these pods wherever a machine of the shelf stands, whatever was chosen when they came? Nothing where
/// that depends.
fn is_counted(state: &State, shelf: usize, placed: Placed, counter: usize) -> Option<bool> {
    let Some(passing) = &state.world.topology.counters[counter].passing else { return Some(true) };
    let ways = &state.world.groups[placed.group].levels[placed.level].compat[shelf].ways;
    let always = ways.iter().all(|way| way.mask.is_subset(&passing[shelf]));
    let never = ways.iter().all(|way| way.mask.is_disjoint(&passing[shelf]));
    (always != never).then_some(always)
}

/// Puts a machine with the same contents in another domain in the place of one; gives that.
fn replace(state: &mut State, at: usize, bin: Bin) -> Bin {
    let world = state.world;
    let before = std::mem::replace(&mut state.bins[at], bin);
    state.account(before.shelf, before.chosen, state.bins[at].chosen);
    for placed in &before.contents {
        for counter in &world.groups[placed.group].counted {
            let key = world.topology.counters[*counter].key;
            let (from, to) = (before.pinned.get(&key), state.bins[at].pinned.get(&key).copied());
            let is_counted = is_counted(state, before.shelf, *placed, *counter) == Some(true);
            if let (Some(from), Some(to), true) = (from, to, is_counted) {
                state.recount(*counter, *from, to, placed.count);
            }
        }
    }
    before
}

fn keep(goods: &Shelf, mask: &mut Bits, key: &str, value: &str) {
    if let Some(bits) = goods.with_value(key, value) {
        mask.intersect_with(bits);
    }
}
