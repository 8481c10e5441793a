//! Capacity being filled: what each host still holds, the machines opened so far, and who is counted where. Forks cost what they change.

use std::collections::{BTreeMap, BTreeSet};

use fixedbitset::FixedBitSet as Bits;

use super::dims::{add, fits, times};
use super::topology::{Constraint, Demand};
use super::world::World;
use crate::model::pod::{Attachment, HostPort};
use crate::model::taint::untolerated;
use crate::model::{Refusal, Requirements, Str};

/// So many pods of a group at one level of its wishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Placed {
    pub(crate) group: usize,
    pub(crate) level: usize,
    pub(crate) count: u32,
}

/// A machine to buy, still open for more.
#[derive(Clone)]
pub(crate) struct Bin {
    pub(crate) shelf: usize,
    /// Choices that hold the contents (limits aside).
    pub(crate) mask: Bits,
    /// The one that would be bought now.
    pub(crate) chosen: usize,
    pub(crate) used: Vec<i64>,
    pub(crate) n_pods: u32,
    pub(crate) contents: Vec<Placed>,
    /// Open keys as narrowed so far.
    pub(crate) open: Requirements,
    /// Topology keys whose domain is settled.
    pub(crate) pinned: BTreeMap<usize, u32>,
    /// Indices of rooms that still hold the contents.
    pub(super) alive: Vec<usize>,
    /// Largest of these rooms, per dimension.
    pub(super) top: Vec<i64>,
    /// Marks of the counters whose pods its contents may keep away.
    pub(super) excludes: u64,
}

/// The view of capacity that placing works on.
pub(crate) struct State<'w, 'a> {
    pub(crate) world: &'w World<'a>,
    /// Left on each host.
    rooms: Vec<Vec<i64>>,
    pub(crate) on_hosts: BTreeMap<usize, Vec<Placed>>,
    pub(crate) bins: Vec<Bin>,
    /// The same, fewest pods first.
    pub(super) by_pods: BTreeSet<(u32, usize)>,
    counts: Vec<BTreeMap<u32, u32>>,
    totals: Vec<u32>,
    /// Per purse, the limited resources in use, in the order of its pool's limits.
    pub(crate) used: Vec<Vec<i64>>,
    /// Machines that would draw on each reservation.
    pub(super) reserved: BTreeMap<Str, u32>,
    /// Domains, by key, that pods now being placed must go to, whatever their counts: the caller sees to the balance.
    pub(crate) forced: Vec<(usize, u32)>,
    /// Among pools of one weight the cheapest sells the next machine, not the first.
    pub(super) by_price: bool,
    journal: Option<Vec<Undo>>,
}

pub(super) enum Undo {
    Count { counter: usize, domain: u32, n: u32 },
    Host { host: usize, placed: Placed },
    Bin { at: usize, before: Box<Bin> },
    Opened,
    Used { purse: usize, before: Vec<i64> },
    Reserved { before: BTreeMap<Str, u32> },
}

/// Where something is placed.
#[derive(Clone, Copy)]
struct Machine<'s> {
    /// The number its hostname is counted under.
    host: u32,
    /// Domains by key of a machine to buy.
    pinned: Option<&'s BTreeMap<usize, u32>>,
    /// The same of a host.
    fixed: &'s [Option<u32>],
}

impl Machine<'_> {
    fn domain(&self, world: &World, key: usize) -> Option<u32> {
        if world.topology.is_host(key) {
            return Some(self.host);
        }
        self.pinned.map_or_else(|| self.fixed.get(key).copied().flatten(), |pinned| pinned.get(&key).copied())
    }
}

impl<'w, 'a> State<'w, 'a> {
    /// Nothing placed yet.
    pub(crate) fn new(world: &'w World<'a>) -> Self {
        let use_of = |shelf: &super::shelf::Shelf| {
            let name = &shelf.pool.name;
            let nodes = world.snapshot.nodes.iter().filter(|n| !n.deleting && n.pool.as_ref() == Some(name));
            let claims = world.snapshot.claims.iter().filter(|c| !c.deleting && c.pool.as_ref() == Some(name));
            let capacities = || nodes.clone().map(|n| &n.capacity).chain(claims.clone().map(|c| &c.capacity));
            let limit = |(key, _): (&Str, i64)| capacities().map(|c| super::shelf::limited_amount(c, key)).sum();
            shelf.pool.limits.iter().map(limit).collect()
        };
        Self {
            world,
            rooms: world.hosts.iter().map(|host| host.room.clone()).collect(),
            on_hosts: BTreeMap::new(),
            bins: Vec::new(),
            by_pods: BTreeSet::new(),
            totals: world.initial.iter().map(|domains| domains.values().sum()).collect(),
            counts: world.initial.clone(),
            used: world.shelves.iter().map(use_of).collect(),
            reserved: drawn_by_statics(world),
            forced: Vec::new(),
            by_price: false,
            journal: None,
        }
    }

    /// The same, for plans that go by price.
    pub(super) fn by_price(world: &'w World<'a>) -> Self {
        let mut out = Self::new(world);
        out.by_price = true;
        out
    }

    /// The same to try something on.
    pub(super) fn copy(&self) -> Self {
        Self {
            world: self.world,
            rooms: self.rooms.clone(),
            on_hosts: self.on_hosts.clone(),
            bins: self.bins.clone(),
            by_pods: self.by_pods.clone(),
            counts: self.counts.clone(),
            totals: self.totals.clone(),
            used: self.used.clone(),
            reserved: self.reserved.clone(),
            forced: self.forced.clone(),
            by_price: self.by_price,
            journal: None,
        }
    }

    /// Starts remembering, so that [`Self::revert`] can go back here.
    pub(crate) fn fork(&mut self) {
        self.journal = Some(Vec::new());
    }

    /// Keeps what was done since [`Self::fork`].
    pub(crate) fn keep(&mut self) {
        self.journal = None;
    }

    /// Undoes everything since [`Self::fork`].
    pub(crate) fn revert(&mut self) {
        for undo in self.journal.take().unwrap_or_default().into_iter().rev() {
            match undo {
                Undo::Count { counter, domain, n } => {
                    if let Some(count) = self.counts[counter].get_mut(&domain) {
                        *count -= n;
                    }
                    self.totals[counter] -= n;
                }
                Undo::Host { host, placed } => {
                    add(&mut self.rooms[host], &self.world.groups[placed.group].need, i64::from(placed.count));
                    if let Some(list) = self.on_hosts.get_mut(&host) {
                        list.pop();
                    }
                }
                Undo::Bin { at, before } => {
                    self.by_pods.remove(&(self.bins[at].n_pods, at));
                    self.by_pods.insert((before.n_pods, at));
                    self.bins[at] = *before;
                }
                Undo::Opened => {
                    if let Some(bin) = self.bins.pop() {
                        self.by_pods.remove(&(bin.n_pods, self.bins.len()));
                    }
                }
                Undo::Used { purse, before } => self.used[purse] = before,
                Undo::Reserved { before } => self.reserved = before,
            }
        }
    }

    pub(super) fn note(&mut self, undo: impl FnOnce(&Self) -> Undo) {
        if self.journal.is_some() {
            let entry = undo(self);
            if let Some(journal) = &mut self.journal {
                journal.push(entry);
            }
        }
    }

    pub(super) fn count(&mut self, counter: usize, domain: u32, n: u32) {
        *self.counts[counter].entry(domain).or_insert(0) += n;
        self.totals[counter] += n;
        self.note(|_| Undo::Count { counter, domain, n });
    }

    /// Counts pods in another domain than so far.
    pub(super) fn recount(&mut self, counter: usize, from: u32, to: u32, n: u32) {
        let counts = &mut self.counts[counter];
        if let Some(count) = counts.get_mut(&from) {
            *count = count.saturating_sub(n);
        }
        *counts.entry(to).or_insert(0) += n;
    }

    /// Pods counted in a domain.
    pub(crate) fn counted(&self, counter: usize, domain: u32) -> u32 {
        self.counts[counter].get(&domain).copied().unwrap_or(0)
    }

    /// All pods a counter counts.
    pub(crate) fn total(&self, counter: usize) -> u32 {
        self.totals[counter]
    }

    /// The number under which a bin's hostname is counted.
    pub(crate) fn bin_host(&self, bin: usize) -> u32 {
        (self.world.hosts.len() + bin) as u32
    }

    /// Are the pods of every machine where their constraints allow, now that all are placed? Pods that are counted and do
    /// not spread so themselves, or less evenly, may have come last.
    pub(crate) fn rules_hold(&self) -> bool {
        let world = self.world;
        let own = self.own_counts();
        self.everyone().all(|(placed, machine)| {
            // What is only wished for cannot be broken.
            let rules = world.groups[placed.group].levels.last().into_iter().flat_map(|level| &level.constraints);
            rules.into_iter().all(|c| self.rule_holds(c, machine.domain(world, c.key), &own))
        })
    }

    /// How many pods would find their spread broken if all others of the plan came before them: those that are merely counted
    /// may.
    pub(crate) fn breaches(&self) -> u32 {
        let world = self.world;
        let broken = |(placed, machine): &(Placed, Machine<'_>)| {
            let rules = world.groups[placed.group].levels.last().into_iter().flat_map(|level| &level.constraints);
            let mut spreads = rules.filter(|c| matches!(c.demand, Demand::Spread { .. }));
            spreads.any(|c| {
                let count = machine.domain(world, c.key).map_or(0, |d| self.counted(c.counter, d));
                self.is_skewed(c, count)
            })
        };
        self.everyone().filter(broken).map(|(placed, _)| placed.count).sum()
    }

    /// Are so many in one domain too many?
    fn is_skewed(&self, spread: &Constraint, count: u32) -> bool {
        let Demand::Spread { max_skew, min_domains } = spread.demand else { return false };
        let universe = &spread.universe;
        let bare = self.world.topology.is_host(spread.key) || (universe.len() as u32) < min_domains;
        let least = || universe.iter().map(|d| self.counted(spread.counter, *d)).min().unwrap_or(count);
        count > max_skew + if bare { 0 } else { least() }
    }

    /// Everything placed, with its machine.
    fn everyone(&self) -> impl Iterator<Item = (Placed, Machine<'_>)> {
        let bins = self.bins.iter().enumerate().flat_map(|(at, bin)| {
            let machine = Machine { host: self.bin_host(at), pinned: Some(&bin.pinned), fixed: &[] };
            bin.contents.iter().map(move |placed| (*placed, machine))
        });
        let hosts = self.on_hosts.iter().flat_map(|(at, contents)| {
            let machine = Machine { host: *at as u32, pinned: None, fixed: &self.world.hosts[*at].domains };
            contents.iter().map(move |placed| (*placed, machine))
        });
        bins.chain(hosts)
    }

    /// Pods placed now that look at those of their own kind.
    fn own_counts(&self) -> OwnCounts {
        let mut out = OwnCounts::default();
        for (placed, machine) in self.everyone() {
            let levels = &self.world.groups[placed.group].levels;
            // By counter, the least skew that such pods allow; none for those that have to be near others.
            let mut looks: BTreeMap<usize, (usize, Option<u32>)> = BTreeMap::new();
            for c in levels[placed.level].constraints.iter().filter(|c| c.counts_itself) {
                if let Demand::Spread { max_skew, .. } = c.demand {
                    let (_, least) = looks.entry(c.counter).or_insert((c.key, Some(max_skew)));
                    *least = (*least).min(Some(max_skew));
                }
            }
            let near = levels.last().into_iter().flat_map(|level| &level.constraints);
            for c in near.filter(|c| c.counts_itself && matches!(c.demand, Demand::Affinity)) {
                looks.entry(c.counter).or_insert((c.key, None));
            }
            for (counter, (key, skew)) in looks {
                let Some(domain) = machine.domain(self.world, key) else { continue };
                *match skew {
                    Some(skew) => out.spreading.entry((counter, domain)).or_default().entry(skew).or_insert(0),
                    None => out.needy.entry(counter).or_default().entry(domain).or_insert(0),
                } += placed.count;
            }
        }
        out
    }

    /// Does a constraint hold for pods that are in this domain and counted there?
    fn rule_holds(&self, constraint: &Constraint, domain: Option<u32>, own: &OwnCounts) -> bool {
        let counter = constraint.counter;
        let count = domain.map_or(0, |d| self.counted(counter, d));
        match constraint.demand {
            Demand::Spread { max_skew, .. } => {
                let before = domain.and_then(|d| self.world.initial[counter].get(&d)).copied().unwrap_or(0);
                let crowd = domain.and_then(|d| own.spreading.get(&(counter, d)));
                let early: u32 = crowd.into_iter().flat_map(|crowd| crowd.range(..=max_skew)).map(|(_, n)| n).sum();
                domain.is_some() && !self.is_skewed(constraint, before + early)
            }
            Demand::Affinity if constraint.counts_itself => {
                // Only where nobody else of the kind is anywhere may they be the first, and then all in one place.
                let needy = own.needy.get(&counter).map_or(0, |domains| domains.values().sum());
                let is_joined = count > domain.map_or(0, |d| here(&own.needy, counter, d));
                is_joined || (self.totals[counter] <= needy && count == self.totals[counter])
            }
            Demand::Affinity => count > 0,
            Demand::AntiAffinity => count <= u32::from(constraint.counts_itself),
        }
    }

    /// How many pods of the group a constraint lets into a domain (`None`: the node lacks the label).
    pub(crate) fn allowance(&self, constraint: &Constraint, domain: Option<u32>) -> u32 {
        let count = domain.map_or(0, |d| self.counted(constraint.counter, d));
        match constraint.demand {
            Demand::Spread { max_skew, min_domains } => {
                let Some(domain) = domain else { return 0 };
                let universe = &constraint.universe;
                let least = if self.world.topology.is_host(constraint.key) || (universe.len() as u32) < min_domains {
                    0
                } else {
                    let others = universe.iter().map(|d| self.counted(constraint.counter, *d)).min();
                    if universe.contains(&domain) { others.unwrap_or(0) } else { others.unwrap_or(count).min(count) }
                };
                let room = (max_skew + least).saturating_sub(count);
                if constraint.counts_itself || (room == 0 && count > max_skew + least) { room } else { u32::MAX }
            }
            Demand::Affinity if domain.is_none() => 0,
            Demand::Affinity if count > 0 || (self.totals[constraint.counter] == 0 && constraint.counts_itself) => {
                u32::MAX
            }
            Demand::Affinity => 0,
            Demand::AntiAffinity if count > 0 => 0,
            Demand::AntiAffinity if constraint.counts_itself && domain.is_some() => 1,
            Demand::AntiAffinity => u32::MAX,
        }
    }

    /// How many pods of a group, at most `want`, an existing host takes now. Also whether it could ever take one.
    pub(crate) fn host_takes(&self, at: usize, group: usize, level: usize, want: u32) -> (u32, bool) {
        let has_room = fits(&self.world.groups[group].need, &self.rooms[at]);
        if !has_room || self.unsuited(at, group, level).is_some() {
            return (0, false);
        }
        (self.most_on_host(at, group, level, want), true)
    }

    /// The first predicate by which an existing host takes no pod of a group now.
    pub(crate) fn refusal(&self, at: usize, group: usize, level: usize) -> Option<Refusal<'a>> {
        let topology = || (self.most_on_host(at, group, level, 1) == 0).then_some(Refusal::Topology);
        self.unsuited(at, group, level).or_else(|| self.lack(at, group)).or_else(topology)
    }

    /// Why an existing host could take no pod of a group, had it all the room it wants.
    fn unsuited(&self, at: usize, group: usize, level: usize) -> Option<Refusal<'a>> {
        let (host, g) = (&self.world.hosts[at], &self.world.groups[group]);
        let (asked, shape) = (&g.levels[level], g.shape);
        if let Some(taint) = untolerated(host.taints, &shape.tolerations, asked.heeds_prefer) {
            return Some(Refusal::Taint(taint));
        }
        let of_terms = |terms: &Vec<Requirements>| terms.iter().any(|term| term.allow(host.labels));
        if !asked.selector.allow(host.labels) || !shape.node_terms.as_ref().is_none_or(of_terms) {
            return Some(Refusal::Labels);
        }
        if !shape.reaches_volumes(host.labels) {
            return Some(Refusal::Volumes);
        }
        if !self.attachable(at, group) {
            return Some(Refusal::Attachments);
        }
        let ports = || host.ports.iter().copied().chain(self.on_host(at).iter().flat_map(|p| self.ports_of(*p)));
        (!shape.host_ports.is_empty() && clash(&shape.host_ports, ports())).then_some(Refusal::HostPorts)
    }

    /// The first resource of which an existing host has too little left.
    fn lack(&self, at: usize, group: usize) -> Option<Refusal<'a>> {
        let (room, g, dims) = (&self.rooms[at], &self.world.groups[group], &self.world.dims);
        if fits(&g.need, room) {
            return None;
        }
        let is_overdrawn = room.iter().all(|left| *left < 0);
        let is_short = |name: &Str| (0..room.len()).any(|d| dims.name(d) == name && g.need[d] > room[d]);
        let short = g.shape.requests.iter().find(|(name, _)| !is_overdrawn && is_short(name));
        Some(short.map_or(Refusal::Overdrawn, |(name, _)| Refusal::Room(name)))
    }

    /// As many pods of a group as the room of an existing host, its ports and the constraints let in, if it suits them.
    fn most_on_host(&self, at: usize, group: usize, level: usize, want: u32) -> u32 {
        let (host, g) = (&self.world.hosts[at], &self.world.groups[group]);
        let tolerated = self.tolerated(self.on_host(at), at as u32, group);
        let mut most = times(&g.need, self.rooms[at].iter().copied(), want).min(tolerated);
        if !g.shape.host_ports.is_empty() {
            most = most.min(1);
        }
        for constraint in &g.levels[level].constraints {
            let is_host = self.world.topology.is_host(constraint.key);
            let domain = if is_host { Some(at as u32) } else { host.domains[constraint.key] };
            most = most.min(self.allowance(constraint, domain));
        }
        most
    }

    /// What was put on an existing host.
    fn on_host(&self, at: usize) -> &[Placed] {
        self.on_hosts.get(&at).map_or(&[], Vec::as_slice)
    }

    pub(super) fn ports_of(&self, placed: Placed) -> impl Iterator<Item = &'a HostPort> {
        self.world.groups[placed.group].shape.host_ports.iter()
    }

    /// Is there an attachment slot for each volume of the group?
    fn attachable(&self, at: usize, group: usize) -> bool {
        let (host, wanted) = (&self.world.hosts[at], &self.world.groups[group].shape.attachments);
        let (Some(limits), false) = (host.attach_limits, wanted.is_empty()) else { return true };
        let here = self.on_hosts.get(&at).into_iter().flatten();
        let mut all: BTreeSet<&Attachment> = host.attached.iter().copied().chain(wanted).collect();
        all.extend(here.flat_map(|p| &self.world.groups[p.group].shape.attachments));
        limits.iter().all(|(driver, most)| all.iter().filter(|a| a.driver == *driver).count() <= *most as usize)
    }

    /// Puts pods on a host.
    pub(crate) fn put_on_host(&mut self, at: usize, placed: Placed) {
        let world = self.world;
        let group = &world.groups[placed.group];
        add(&mut self.rooms[at], &group.need, -i64::from(placed.count));
        self.on_hosts.entry(at).or_default().push(placed);
        self.note(|_| Undo::Host { host: at, placed });
        let host = &world.hosts[at];
        for counter in &group.counted {
            let key = world.topology.counters[*counter].key;
            let domain = if world.topology.is_host(key) { Some(at as u32) } else { host.domains[key] };
            if let (Some(domain), true) = (domain, world.topology.host_passes(*counter, host)) {
                self.count(*counter, domain, placed.count);
            }
        }
    }

    /// Price of all machines opened.
    pub(crate) fn cost(&self) -> i64 {
        self.bins.iter().map(|bin| self.world.shelves[bin.shelf].choices[bin.chosen].price).sum()
    }
}

/// Pods placed now, by counter and domain.
#[derive(Default)]
struct OwnCounts {
    /// Those that spread by the counter and count for it, by the skew they allow.
    spreading: BTreeMap<(usize, u32), BTreeMap<u32, u32>>,
    /// Those that have to be near pods of it and are such pods.
    needy: BTreeMap<usize, BTreeMap<u32, u32>>,
}

fn here(counts: &BTreeMap<usize, BTreeMap<u32, u32>>, counter: usize, domain: u32) -> u32 {
    counts.get(&counter).and_then(|domains| domains.get(&domain)).copied().unwrap_or(0)
}

/// What static pools draw on each reservation.
fn drawn_by_statics(world: &World) -> BTreeMap<Str, u32> {
    let mut out = BTreeMap::new();
    for id in world.statics.iter().filter_map(|launch| launch.chosen()?.reservation.clone()) {
        *out.entry(id).or_insert(0) += 1;
    }
    out
}

/// Can no port of one be open beside one of the others?
pub(super) fn clash<'p>(own: &BTreeSet<HostPort>, mut others: impl Iterator<Item = &'p HostPort>) -> bool {
    others.any(|other| own.iter().any(|port| port.clashes(other)))
}
