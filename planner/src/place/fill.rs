//! First-fit-decreasing: each group onto hosts, into open machines (fewest pods first), then into new ones, wishes given up one by one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::open::{as_heavy, open_one, unit_of};
use super::state::{Placed, State};
use super::topology::Demand;
use super::turns::{Turn, in_turn, ordered};
use super::world::World;

/// Pods of a group that are placed one at a time for the sake of others, at most: where it takes more, the others wait for
/// something else.
const MOST_SINGLE: usize = 200;

/// Places every pod of every group that has a place, those of `front` first. `left`: how many of each group are to place, and
/// then are left out.
pub(super) fn fill(state: &mut State, front: &[usize], left: &mut [u32]) {
    let world = state.world;
    for groups in in_turn(world) {
        // Per kin, groups whose turn it was and that have pods left for whom a domain was too full.
        let mut waiting: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for Turn { group, kin } in ordered(state, &groups, front) {
            if world.groups[group].shape.refused.is_some() {
                continue;
            }
            if let Some(others) = kin.and_then(|kin| waiting.get(&kin)) {
                let_in_turn(state, group, others, left, !front.is_empty());
            }
            place(state, group, &mut left[group]);
            if let (Some(kin), true) = (kin, left[group] > 0 && spreads_over_domains(world, group)) {
                waiting.entry(kin).or_default().push(group);
            }
        }
        settle_late_comers(state, &groups, left);
    }
}

/// Does it have to spread over anything but hosts?
fn spreads_over_domains(world: &World, group: usize) -> bool {
    let constraints = world.groups[group].levels.last().into_iter().flat_map(|level| &level.constraints);
    constraints.into_iter().any(|c| matches!(c.demand, Demand::Spread { .. }) && !world.topology.is_host(c.key))
}

/// Places pods of a group one at a time while kin that can go to fewer domains wait: what each changes in the counts may let
/// those in. `helpful`: a pod goes where it lets others in, though there may be room for it elsewhere.
fn let_in_turn(state: &mut State, group: usize, waiting: &[usize], left: &mut [u32], helpful: bool) {
    for _ in 0..MOST_SINGLE {
        let others: Vec<usize> = waiting.iter().copied().filter(|other| left[*other] > 0).collect();
        if left[group] == 0 || others.is_empty() {
            return;
        }
        if !(helpful && others.iter().any(|other| help(state, group, *other))) {
            let mut one = 1;
            place(state, group, &mut one);
            if one > 0 {
                return;
            }
        }
        left[group] -= 1;
        for other in others {
            place(state, other, &mut left[other]);
        }
    }
}

/// Puts one pod of a group into a domain that is too empty for another group to go anywhere else, if it may go there.
fn help(state: &mut State, group: usize, other: usize) -> bool {
    let world = state.world;
    let g = &world.groups[group];
    let rules = world.groups[other].levels.last().into_iter().flat_map(|level| &level.constraints);
    let spreads = rules.filter(|c| matches!(c.demand, Demand::Spread { .. }) && g.counted.contains(&c.counter));
    for spread in spreads.filter(|c| !world.topology.is_host(c.key)) {
        let counts = |state: &State| spread.universe.iter().map(|d| (state.counted(spread.counter, *d), *d)).min();
        let Some((_, domain)) = counts(state) else { continue };
        let lets = |state: &State, level: usize| {
            let own = g.levels[level].constraints.iter().filter(|c| c.key == spread.key);
            own.into_iter().all(|c| state.allowance(c, Some(domain)) > 0)
        };
        let mut levels = 0..g.levels.len();
        if levels.any(|level| lets(state, level) && put_in_domain(state, group, level, (spread.key, domain))) {
            return true;
        }
    }
    false
}

/// Puts one pod of a group into a domain, whatever its spread says.
pub(super) fn put_in_domain(state: &mut State, group: usize, level: usize, (key, domain): (usize, u32)) -> bool {
    let world = state.world;
    let is_there = |host: &usize| world.hosts[*host].domains[key] == Some(domain);
    let takes = |host: &usize| state.host_takes(*host, group, level, 1).0 > 0;
    if let Some(host) = (0..world.hosts.len()).filter(is_there).find(takes) {
        state.put_on_host(host, Placed { group, level, count: 1 });
        return true;
    }
    state.forced = vec![(key, domain)];
    let rest = buy(state, group, level, 1);
    state.forced.clear();
    rest == 0
}

/// Pods of these groups that wait for others (affinity to a pod that had no place yet) get their turn until nobody moves.
pub(super) fn settle_late_comers(state: &mut State, groups: &[usize], left: &mut [u32]) {
    loop {
        let before: u32 = left.iter().sum();
        for group in groups.iter().copied() {
            let g = &state.world.groups[group];
            let waits = g.levels.last().is_some_and(|l| !l.constraints.is_empty());
            if left[group] > 0 && waits && g.shape.refused.is_none() {
                place(state, group, &mut left[group]);
            }
        }
        if left.iter().sum::<u32>() == before {
            return;
        }
    }
}

/// Places pods of one group, all wishes respected first.
pub(crate) fn place(state: &mut State, group: usize, left: &mut u32) {
    for level in 0..state.world.groups[group].levels.len() {
        if *left == 0 {
            return;
        }
        place_at(state, group, level, left);
    }
}

fn place_at(state: &mut State, group: usize, level: usize, left: &mut u32) {
    let mut hosts: Vec<usize> = (0..state.world.hosts.len()).collect();
    let world = state.world;
    let beyond_host = |c: &super::topology::Constraint| !world.topology.is_host(c.key);
    let coupled = world.groups[group].levels[level].constraints.iter().any(beyond_host);
    if coupled && spread_evenly(state, group, level, left) {
        return;
    }
    loop {
        let before = *left;
        use_hosts(state, &mut hosts, group, level, left);
        if *left == 0 {
            return;
        }
        if !coupled {
            *left = buy(state, group, level, *left);
            return;
        }
        // What one lot changes in the counts decides where the next may go.
        let shared = *left - share_out(state, group, level, *left);
        *left -= shared;
        if shared == 0 {
            *left -= open_one(state, group, level, *left).unwrap_or(0);
        }
        if *left == 0 || *left == before {
            return;
        }
    }
}

/// First fit over hosts; those that can never take the group are dropped from the list.
fn use_hosts(state: &mut State, hosts: &mut Vec<usize>, group: usize, level: usize, left: &mut u32) {
    let mut moved = true;
    while moved && *left > 0 {
        moved = false;
        hosts.retain(|host| {
            if *left == 0 {
                return true;
            }
            let (count, possible) = state.host_takes(*host, group, level, *left);
            if count > 0 {
                state.put_on_host(*host, Placed { group, level, count });
                *left -= count;
                moved = true;
            }
            possible
        });
    }
}

/// Open machines first, fewest pods first, then new ones. Returns how many are left.
pub(crate) fn buy(state: &mut State, group: usize, level: usize, mut left: u32) -> u32 {
    left = share_out(state, group, level, left);
    while left > 0 {
        let Some(count) = open_one(state, group, level, left) else { break };
        left -= count;
    }
    left
}

/// Pours pods into machines that accept them, one at a time into the one with the fewest. Looks at no more machines than that takes.
fn share_out(state: &mut State, group: usize, level: usize, left: u32) -> u32 {
    // (pods, machine, how many more it takes), fewest pods first.
    let mut takers: Vec<(u32, usize, u32)> = Vec::new();
    let mut level_of_last = None;
    for (pods, at) in state.by_pods.iter().copied() {
        // Machines with as many pods as the last one change nothing in how many go to those with fewer.
        if level_of_last.replace(pods) != Some(pods) {
            let below: u64 = takers.iter().map(|(n, _, takes)| u64::from((pods - n).min(*takes))).sum();
            if below >= u64::from(left) {
                break;
            }
        }
        if let Some(joining) = state.joining(&state.bins[at], state.bin_host(at), group, level, left) {
            takers.push((pods, at, joining.count));
        }
    }
    let mut queue: BinaryHeap<Reverse<(u32, usize, usize)>> =
        takers.iter().enumerate().map(|(i, (pods, at, _))| Reverse((*pods, *at, i))).collect();
    let mut given = vec![0u32; takers.len()];
    let mut left = left;
    while left > 0 {
        let Some(Reverse((pods, at, i))) = queue.pop() else { break };
        // Alone, or up to the next fullest.
        let next = queue.peek().map_or(left, |Reverse((next, _, _))| (next - pods).max(1));
        let step = next.min(takers[i].2 - given[i]).min(left);
        given[i] += step;
        left -= step;
        if given[i] < takers[i].2 {
            queue.push(Reverse((pods + step, at, i)));
        }
    }
    for ((_, at, _), count) in takers.into_iter().zip(given).filter(|(_, count)| *count > 0) {
        match state.joining(&state.bins[at], state.bin_host(at), group, level, count) {
            Some(joining) => {
                left += count - joining.count;
                state.join(at, joining, group, level);
            }
            None => left += count,
        }
    }
    left
}

/// A group that, beyond its hosts, only has to spread over one key: fills the emptiest domains in lots. False (and nothing
/// done) where that does not come out even, so that the slow way must be gone.
fn spread_evenly(state: &mut State, group: usize, level: usize, left: &mut u32) -> bool {
    let world = state.world;
    let mut beyond = world.groups[group].levels[level].constraints.iter().filter(|c| !world.topology.is_host(c.key));
    let (Some(spread), None) = (beyond.next(), beyond.next()) else { return false };
    let n_domains = spread.universe.len() as u32;
    let enough = matches!(spread.demand, Demand::Spread { min_domains, .. } if n_domains >= min_domains.max(1));
    let simple = enough && spread.counts_itself;
    let hosts_take = |state: &State| (0..world.hosts.len()).any(|host| state.host_takes(host, group, level, 1).1);
    if !simple || *left <= 2 * n_domains || hosts_take(state) {
        return false;
    }
    state.fork();
    // What cannot be shared evenly goes where it is cheapest.
    let domain =
        |d: &u32| (state.counted(spread.counter, *d), unit_price(state, (group, level), (spread.key, *d), *left), *d);
    let mut domains: Vec<(u32, i64, u32)> = spread.universe.iter().map(domain).collect();
    domains.sort_unstable();
    let quotas = level_up(domains.into_iter().map(|(count, _, domain)| (count, domain)).collect(), *left);
    for (domain, quota) in quotas {
        state.forced = vec![(spread.key, domain)];
        let rest = buy(state, group, level, quota);
        state.forced.clear();
        if rest > 0 {
            state.revert();
            return false;
        }
    }
    state.keep();
    *left = 0;
    true
}

/// Least price of a machine in a domain for each of the pods that it holds, in thousandths.
fn unit_price(state: &State, (group, level): (usize, usize), (key, domain): (usize, u32), want: u32) -> i64 {
    let world = state.world;
    let (g, name) = (&world.groups[group], world.topology.key_name(key));
    let value = world.topology.domain_name(key, domain);
    let usable = |shelf: &usize| !g.levels[level].compat[*shelf].ways.is_empty();
    let Some(first) = (0..world.shelves.len()).find(usable) else { return 0 };
    let last = if state.by_price { as_heavy(world, first) } else { first };
    let least = |shelf: usize| {
        let goods = &world.shelves[shelf];
        let Some(here) = goods.with_value(name, value) else { return 0 };
        let is_wanted =
            |choice: &usize| g.levels[level].compat[shelf].ways.iter().any(|way| way.mask.contains(*choice));
        let price = |choice: usize| {
            let room = &goods.rooms[goods.choices[choice].room].net;
            let count = super::dims::times(&g.need, room.iter().copied(), want);
            (count > 0).then(|| unit_of(goods.choices[choice].price, count))
        };
        here.intersection(&goods.generic).filter(is_wanted).filter_map(price).min().unwrap_or(i64::MAX)
    };
    (first..=last).filter(usable).map(least).min().unwrap_or(0)
}

/// Shares `n` out so that the emptiest domains fill first, of equal ones the first: (domain, how many more).
fn level_up(mut domains: Vec<(u32, u32)>, n: u32) -> Vec<(u32, u32)> {
    let mut given: Vec<(u32, u32)> = domains.iter().map(|(_, domain)| (*domain, 0)).collect();
    let mut rest = n;
    while rest > 0 && !domains.is_empty() {
        let floor = domains.iter().map(|(count, _)| *count).min().unwrap_or(0);
        let next = domains.iter().map(|(count, _)| *count).filter(|count| *count > floor).min();
        let lowest = domains.iter().filter(|(count, _)| *count == floor).count() as u32;
        let step = next.map_or(u32::MAX, |next| next - floor).min((rest / lowest).max(1));
        for ((count, _), (_, given)) in domains.iter_mut().zip(&mut given).filter(|((count, _), _)| *count == floor) {
            let step = step.min(rest);
            *count += step;
            *given += step;
            rest -= step;
        }
    }
    given.retain(|(_, n)| *n > 0);
    given
}
