//! From which pool the next machine comes: the first that can, or of equally heavy ones the one where a pod costs least.

use super::bin::Joining;
use super::dims::fits;
use super::state::State;
use super::world::World;

/// Opens a machine with as many pods as it holds, and says how many these are.
pub(super) fn open_one(state: &mut State, group: usize, level: usize, left: u32) -> Option<u32> {
    let world = state.world;
    let mut best: Option<(i64, usize, Joining)> = None;
    for shelf in 0..world.shelves.len() {
        if best.as_ref().is_some_and(|(_, first, _)| !state.by_price || shelf > as_heavy(world, *first)) {
            break;
        }
        let Some(joining) = joining_new(state, shelf, group, level, left) else { continue };
        let unit = if state.by_price { unit_price(state, shelf, group, &joining) } else { 0 };
        if best.as_ref().is_none_or(|(least, ..)| unit < *least) {
            best = Some((unit, shelf, joining));
        }
    }
    let (_, shelf, joining) = best?;
    let count = joining.count;
    state.open(state.blank(shelf), joining, group, level);
    Some(count)
}

/// The same from one pool.
pub(super) fn open_from(state: &mut State, shelf: usize, group: usize, level: usize, left: u32) -> Option<()> {
    let joining = joining_new(state, shelf, group, level, left)?;
    state.open(state.blank(shelf), joining, group, level);
    Some(())
}

/// The last of the pools, in their order, that weigh as much as this one.
pub(super) fn as_heavy(world: &World, shelf: usize) -> usize {
    let weight = world.shelves[shelf].pool.weight;
    world.shelves.partition_point(|other| other.pool.weight >= weight).max(shelf + 1) - 1
}

/// The price of a machine for each of so many pods on it, in thousandths.
pub(super) fn unit_of(price: i64, count: u32) -> i64 {
    price.saturating_mul(1000) / i64::from(count)
}

fn joining_new(state: &State, shelf: usize, group: usize, level: usize, left: u32) -> Option<Joining> {
    let g = &state.world.groups[group];
    let compat = &g.levels[level].compat[shelf];
    if compat.ways.is_empty() || !fits(&g.need, &compat.top) {
        return None;
    }
    state.joining(&state.blank(shelf), state.bin_host(state.bins.len()), group, level, left)
}

fn unit_price(state: &State, shelf: usize, group: usize, joining: &Joining) -> i64 {
    let goods = &state.world.shelves[shelf];
    let chosen = state.would_choose(&state.blank(shelf), group, joining);
    chosen.map_or(i64::MAX, |choice| unit_of(goods.choices[choice].price, joining.count))
}
