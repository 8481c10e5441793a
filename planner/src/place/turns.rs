//! Whose turn it is: the order in which first-fit takes the groups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::state::State;
use super::world::World;

/// The groups by whose turn it is: pods, and then stand-ins, which take what pods leave and which no pod waits for.
pub(super) fn in_turn(world: &World) -> [Vec<usize>; 2] {
    let (stand_ins, pods) = (0..world.groups.len()).partition(|group| world.snapshot.groups[*group].is_stand_in());
    [pods, stand_ins]
}

/// A group whose turn it is.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub(super) group: usize,
    /// Which groups it shares domains with by some rule; None if with nobody.
    pub(super) kin: Option<usize>,
}

/// The order in which groups get their turn. Those of `front` come first; who has to be near others of its kind comes after
/// them, since kube-scheduler lets nobody be the first beside them; who is counted by others that spread and does not care
/// comes before those; and of those who share domains by some rule, whoever can go to the fewest.
pub(super) fn ordered(state: &State, groups: &[usize], front: &[usize]) -> Vec<Turn> {
    let world = state.world;
    let rank = |group: usize| {
        let [is_careless, on_hosts_only] = carelessness(world, group);
        (!front.contains(&group), world.groups[group].follows, !is_careless, !on_hosts_only)
    };
    let mut order = groups.to_vec();
    order.sort_by_cached_key(|group| rank(*group));
    let kin = Kin::of(world);
    let mut together: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (at, group) in order.iter().enumerate() {
        if let Some(kin) = kin.of_group(world, *group) {
            together.entry((rank(*group), kin)).or_default().push(at);
        }
    }
    let mut reach = Reach::default();
    for places in together.into_values().filter(|places| places.len() > 1) {
        let mut members: Vec<(usize, usize)> =
            places.iter().map(|at| (reach.least(state, order[*at]), order[*at])).collect();
        members.sort_by_key(|(reach, _)| *reach);
        for (at, (_, group)) in places.into_iter().zip(members) {
            order[at] = group;
        }
    }
    order.into_iter().map(|group| Turn { group, kin: kin.of_group(world, group) }).collect()
}

/// Is the group counted by others that spread over domains, and does not spread so itself? And over hosts?
fn carelessness(world: &World, group: usize) -> [bool; 2] {
    let g = &world.groups[group];
    let owned = |counter: usize| g.levels.iter().all(|l| l.constraints.iter().any(|c| c.counter == counter));
    let is_careless = |over_hosts: bool| {
        g.counted.iter().any(|at| {
            let counter = &world.topology.counters[*at];
            counter.spread_over && world.topology.is_host(counter.key) == over_hosts && !owned(*at)
        })
    };
    [is_careless(false), is_careless(true)]
}

/// Counters beyond hosts that a group looks at or adds to.
fn counters(world: &World, group: usize) -> impl Iterator<Item = usize> {
    let g = &world.groups[group];
    let own = g.levels.last().into_iter().flat_map(|level| &level.constraints).map(|c| c.counter);
    own.chain(g.counted.iter().copied()).filter(|c| !world.topology.is_host(world.topology.counters[*c].key))
}

/// Which groups share domains by some rule, directly or through others.
struct Kin {
    /// Per counter, one that stands for all its kin.
    heads: Vec<usize>,
}

impl Kin {
    fn of(world: &World) -> Self {
        let mut kin = Self { heads: (0..world.topology.counters.len()).collect() };
        for group in 0..world.groups.len() {
            let mut all = counters(world, group);
            if let Some(one) = all.next() {
                for other in all {
                    let (one, other) = (kin.head(one), kin.head(other));
                    kin.heads[one.max(other)] = one.min(other);
                }
            }
        }
        kin
    }

    fn head(&self, mut counter: usize) -> usize {
        while self.heads[counter] != counter {
            counter = self.heads[counter];
        }
        counter
    }

    fn of_group(&self, world: &World, group: usize) -> Option<usize> {
        counters(world, group).next().map(|counter| self.head(counter))
    }
}

/// Domains of a key that groups could go to; None for any value.
#[derive(Default)]
pub(super) struct Reach {
    /// Those of machines to buy, by the compatibility they follow from.
    known: BTreeMap<(usize, usize), Option<BTreeSet<u32>>>,
}

impl Reach {
    /// In how many domains a group could be, of the key where these are fewest.
    fn least(&mut self, state: &State, group: usize) -> usize {
        let world = state.world;
        let keys: BTreeSet<usize> = counters(world, group).map(|c| world.topology.counters[c].key).collect();
        let n_domains = |key| self.of(state, group, key).map_or(usize::MAX, |domains| domains.len());
        keys.into_iter().map(n_domains).min().unwrap_or(usize::MAX)
    }

    pub(super) fn of(&mut self, state: &State, group: usize, key: usize) -> Option<BTreeSet<u32>> {
        let world = state.world;
        let last = world.groups[group].levels.len() - 1;
        let compat = &world.groups[group].levels[last].compat;
        let for_sale = self.known.entry((Arc::as_ptr(compat) as usize, key));
        let mut domains = for_sale.or_insert_with(|| sold(world, group, key)).clone()?;
        for (at, host) in world.hosts.iter().enumerate() {
            if let Some(domain) = host.domains[key]
                && !domains.contains(&domain)
                && state.host_takes(at, group, last, 1).1
            {
                domains.insert(domain);
            }
        }
        Some(domains)
    }
}

fn sold(world: &World, group: usize, key: usize) -> Option<BTreeSet<u32>> {
    let g = &world.groups[group];
    let name = world.topology.key_name(key);
    let mut domains = BTreeSet::new();
    for (at, compat) in g.levels[g.levels.len() - 1].compat.iter().enumerate() {
        for way in &compat.ways {
            match world.shelves[at].open.get(name) {
                Some(open) => {
                    let asked = way.open.get(name).map_or_else(|| open.clone(), |asked| asked.intersect(open));
                    let had = world.shelves[at].values_had(&way.mask, name);
                    let values = asked.concrete()?.iter().chain(&had);
                    domains.extend(values.filter_map(|v| world.topology.known_domain(key, v)));
                }
                None => domains.extend(world.domains_among(at, key, &way.mask)),
            }
        }
    }
    Some(domains)
}
