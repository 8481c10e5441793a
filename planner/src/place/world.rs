//! The snapshot compiled for placing: groups with their levels of wishes, hosts with their free room, shelves, counters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fixedbitset::FixedBitSet as Bits;

use super::classes::shelves_of;
use super::dims::{self, Dims};
use super::host::{Host, held, hosts};
use super::shelf::{Matching, Shelf, first_of_both};
use super::statics::statics;
use super::topology::{Constraint, Demand, Topology};
use crate::model::pod::{HostPort, PodTerm, Spread};
use crate::model::taint::untolerated;
use crate::model::{Effect, PodShape, Requirements, Snapshot, Str};
use crate::plan::{Launch, Short};

/// Everything that does not change while pods are placed.
pub(crate) struct World<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) dims: Dims,
    /// Of the dynamic pools that are ready, in the order they are tried; more than one of a pool side by side.
    pub(crate) shelves: Vec<Shelf<'a>>,
    pub(crate) groups: Vec<Group<'a>>,
    /// Nodes and claims that may take pods: initialised ones first, then by name.
    pub(crate) hosts: Vec<Host<'a>>,
    /// Nodes on their way out whose pods count.
    held: Vec<Host<'a>>,
    /// What static pools buy, whatever the pods.
    pub(crate) statics: Vec<Launch>,
    /// Static pools that cannot buy all they lack.
    pub(crate) short: Vec<Short>,
    /// Machines that are domains of spread: those, and what an earlier plan for the same snapshot bought.
    domains: Vec<Launch>,
    pub(crate) topology: Topology,
    /// Per shelf and topology key: its domains, each with the choices that are in it.
    in_domains: Vec<Vec<Vec<(u32, Bits)>>>,
    /// Pods on nodes, per counter and domain.
    pub(crate) initial: Vec<BTreeMap<u32, u32>>,
}

/// Pods to place that are interchangeable.
pub(crate) struct Group<'a> {
    pub(crate) shape: &'a PodShape,
    pub(crate) need: Vec<i64>,
    pub(crate) count: u32,
    /// From all wishes respected to none; never empty.
    pub(crate) levels: Vec<Level>,
    /// Counters its pods add to.
    pub(crate) counted: Vec<usize>,
    /// Those among them that count by host.
    pub(super) counted_by_host: Vec<usize>,
    /// Their marks.
    pub(super) counted_marks: u64,
    /// Has to be near pods of its own kind, of which some do not care: comes after those.
    pub(crate) follows: bool,
}

impl Group<'_> {
    /// Do its pods have to be near those that a counter counts?
    pub(super) fn is_near(&self, counter: usize) -> bool {
        let near = |c: &Constraint| c.counter == counter && matches!(c.demand, Demand::Affinity);
        self.levels.last().is_some_and(|level| level.constraints.iter().any(near))
    }
}

/// One mark per counter, shared by those that are 64 apart: who has no mark in common has no counter in common.
fn marks(counters: impl Iterator<Item = usize>) -> u64 {
    counters.fold(0, |marks, counter| marks | 1 << (counter % 64))
}

/// Universes of spread constraints worked out so far, by what they depend on.
type Universes = BTreeMap<(NodeNeeds, Vec<i64>, Str, bool, bool), Arc<Vec<u32>>>;

/// What a group asks for at one level of relaxation.
pub(crate) struct Level {
    /// Node selector and, while respected, the heaviest wish.
    pub(crate) selector: Requirements,
    pub(crate) constraints: Vec<Constraint>,
    /// Those among them that may keep later pods away from a pod's host.
    pub(super) exclusive: Vec<usize>,
    /// Marks of their counters.
    pub(super) excluded_marks: u64,
    /// `PreferNoSchedule` taints keep it away.
    pub(crate) heeds_prefer: bool,
    /// Per shelf.
    pub(crate) compat: Arc<Vec<Compat>>,
}

/// Where on a shelf a group could go, room aside.
#[derive(Clone, Default)]
pub(crate) struct Compat {
    /// One per way of settling open keys; empty when nothing is left.
    pub(crate) ways: Vec<Matching>,
    /// Largest room among all of them, per dimension.
    pub(crate) top: Vec<i64>,
}

impl<'a> World<'a> {
    /// Compiles a snapshot.
    pub(crate) fn new(snapshot: &'a Snapshot, seen: &[Launch]) -> Self {
        let dims = Dims::of(snapshot);
        let keys = asked_keys(snapshot);
        let pools = snapshot.pools.iter().filter(|pool| pool.dynamic() && pool.not_ready.is_none());
        let mut shelves: Vec<Shelf> = Vec::new();
        for pool in pools {
            let purse = shelves.len();
            shelves.extend(shelves_of(pool, &snapshot.daemons, &dims, &keys));
            shelves[purse..].iter_mut().for_each(|shelf| shelf.purse = purse);
        }
        let (statics, short) = statics(snapshot, &dims, &keys);
        let mut world = Self {
            snapshot,
            hosts: hosts(snapshot, &dims),
            held: held(snapshot),
            domains: statics.iter().chain(seen).cloned().collect(),
            statics,
            short,
            dims,
            shelves,
            groups: Vec::new(),
            topology: Topology::default(),
            in_domains: Vec::new(),
            initial: Vec::new(),
        };
        world.compile_groups();
        world.count_bound_pods();
        world
    }

    fn compile_groups(&mut self) {
        let mut carried: BTreeSet<&PodTerm> = BTreeSet::new();
        for shape in all_shapes(self.snapshot) {
            carried.extend(&shape.anti_affinity);
        }
        let carriers: Vec<(&PodTerm, usize)> =
            carried.into_iter().map(|term| (term, self.topology.carrier_counter(term, &self.shelves))).collect();
        let prefers = self.shelves.iter().flat_map(|s| &s.pool.taints).any(|t| t.effect == Effect::PreferNoSchedule);
        let mut compats: BTreeMap<NodeNeeds, Arc<Vec<Compat>>> = BTreeMap::new();
        let mut universes = Universes::new();
        for group in &self.snapshot.groups {
            let shape: &PodShape = &group.shape;
            let need = self.dims.dense(&shape.requests);
            let mut levels = Vec::new();
            for wishes in Wishes::levels(shape, self.snapshot.policies.ignore_preferences, prefers) {
                let mut selector = shape.node_selector.clone();
                if let Some((_, wish)) = shape.preferred_node_terms.get(wishes.node_terms) {
                    selector.add_all(wish);
                }
                let needs = NodeNeeds::of(shape, selector.clone(), wishes.heeds_prefer);
                let compat = compats.entry(needs).or_insert_with_key(|needs| Arc::new(self.compat(needs))).clone();
                let constraints = self.constraints(shape, &need, &wishes, &carriers, &mut universes);
                let keeps_away = |c: &Constraint| self.topology.is_host(c.key) && !matches!(c.demand, Demand::Affinity);
                let exclusive: Vec<usize> = (0..constraints.len()).filter(|at| keeps_away(&constraints[*at])).collect();
                let excluded_marks = marks(exclusive.iter().map(|at| constraints[*at].counter));
                let heeds_prefer = wishes.heeds_prefer;
                levels.push(Level { selector, constraints, exclusive, excluded_marks, heeds_prefer, compat });
            }
            let count = group.pods.len() as u32;
            let (counted, counted_by_host) = (Vec::new(), Vec::new());
            let none = Group { shape, need, count, levels, counted, counted_by_host, counted_marks: 0, follows: false };
            self.groups.push(none);
        }
        for at in 0..self.groups.len() {
            let counted = self.topology.counting(self.groups[at].shape, false);
            for constraint in self.groups[at].levels.iter_mut().flat_map(|l| &mut l.constraints) {
                constraint.counts_itself = counted.contains(&constraint.counter);
            }
            let by_host = |counter: &usize| self.topology.is_host(self.topology.counters[*counter].key);
            let group = &mut self.groups[at];
            group.counted_by_host = counted.iter().copied().filter(by_host).collect();
            group.counted_marks = marks(group.counted_by_host.iter().copied());
            group.counted = counted;
        }
        self.find_followers();
        let n_keys = self.topology.n_keys();
        for key in 0..n_keys {
            let name = self.topology.key_name(key).clone();
            for shelf in &self.shelves {
                for value in shelf.known_values(&name) {
                    self.topology.domain(key, &value);
                }
            }
        }
        let topology = &self.topology;
        let of_shelf = |shelf: &Shelf| -> Vec<Vec<(u32, Bits)>> {
            let of_key = |key: usize| {
                let values = shelf.in_values(topology.key_name(key));
                values.filter_map(|(value, bits)| Some((topology.known_domain(key, value)?, bits.clone()))).collect()
            };
            (0..n_keys).map(of_key).collect()
        };
        self.in_domains = self.shelves.iter().map(of_shelf).collect();
        for host in self.hosts.iter_mut().chain(&mut self.held) {
            let key_domain = |key| {
                let name = self.topology.key_name(key).clone();
                host.labels.get(&name).map(|value| self.topology.domain(key, value))
            };
            host.domains = (0..n_keys).map(key_domain).collect();
        }
    }

    fn find_followers(&mut self) {
        let carefree = |group: &Group| group.counted.iter().copied().filter(|c| !group.is_near(*c)).collect::<Vec<_>>();
        let kinds: BTreeSet<usize> = self.groups.iter().flat_map(carefree).collect();
        for group in &mut self.groups {
            group.follows = group.counted.iter().any(|counter| kinds.contains(counter) && group.is_near(*counter));
        }
    }

    /// Domains of a key among the choices of `mask`, the one with the cheapest choice first.
    pub(super) fn domains_among(&self, shelf: usize, key: usize, mask: &Bits) -> Vec<u32> {
        let goods = &self.shelves[shelf];
        let name = self.topology.key_name(key);
        if !goods.is_indexed(name) {
            let fixed = goods.pool.labels.get(name);
            return fixed.and_then(|value| self.topology.known_domain(key, value)).into_iter().collect();
        }
        let first = |(domain, bits): &(u32, Bits)| Some((first_of_both(bits, mask)?, *domain));
        let mut found: Vec<(usize, u32)> = self.in_domains[shelf][key].iter().filter_map(first).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, domain)| domain).collect()
    }

    fn constraints(
        &mut self,
        shape: &PodShape,
        need: &[i64],
        wishes: &Wishes,
        carriers: &[(&PodTerm, usize)],
        universes: &mut Universes,
    ) -> Vec<Constraint> {
        let mut out = Vec::new();
        let shelves = &self.shelves;
        let mut push = |demand, counter, key, universe| {
            out.push(Constraint { demand, counter, key, counts_itself: false, universe });
        };
        let nothing = Arc::new(Vec::new());
        for spread in shape.spreads.iter().filter(|s| s.hard).chain(soft(shape).skip(wishes.soft_spreads)) {
            let counter = self.topology.spread_counter(shape, spread, shelves);
            let key = self.topology.key(&spread.key);
            let mut universe = nothing.clone();
            if !self.topology.is_host(key) {
                let needs =
                    NodeNeeds { volumes: Vec::new(), ..NodeNeeds::of(shape, shape.node_selector.clone(), false) };
                let id = (needs, need.to_vec(), spread.key.clone(), spread.honor_affinity, spread.honor_taints);
                universe = match universes.get(&id) {
                    Some(known) => known.clone(),
                    None => {
                        let affine: Vec<_> = shelves.iter().map(|shelf| affine(shelf, &id.0)).collect();
                        let found = Arc::new(self.topology.universe(
                            shape,
                            spread,
                            need,
                            ([&self.hosts, &self.held], &self.domains),
                            shelves,
                            &affine,
                        ));
                        universes.insert(id, found.clone());
                        found
                    }
                };
            }
            let demand = Demand::Spread { max_skew: spread.max_skew, min_domains: spread.min_domains.unwrap_or(0) };
            push(demand, counter, key, universe);
        }
        let wished = |list: &'_ [(i32, PodTerm)], dropped: usize| -> Vec<PodTerm> {
            list.iter().skip(dropped).map(|(_, term)| term.clone()).collect()
        };
        let near = wished(&shape.preferred_affinity, wishes.affinity);
        for term in shape.affinity.iter().chain(&near) {
            let counter = self.topology.term_counter(term, false, shelves);
            push(Demand::Affinity, counter, self.topology.key(&term.key), nothing.clone());
        }
        let apart = wished(&shape.preferred_anti_affinity, wishes.anti_affinity);
        for term in shape.anti_affinity.iter().chain(&apart) {
            let counter = self.topology.term_counter(term, true, shelves);
            push(Demand::AntiAffinity, counter, self.topology.key(&term.key), nothing.clone());
        }
        for (term, counter) in carriers.iter().filter(|(term, _)| term.picks(shape)) {
            push(Demand::AntiAffinity, *counter, self.topology.key(&term.key), nothing.clone());
        }
        out
    }

    fn compat(&self, needs: &NodeNeeds) -> Vec<Compat> {
        self.shelves.iter().map(|shelf| compat(shelf, needs, self.snapshot, self.dims.len())).collect()
    }

    fn count_bound_pods(&mut self) {
        let mut initial = vec![BTreeMap::new(); self.topology.counters.len()];
        // Nothing is placed on a node that is on its way out: its number needs only to be nobody else's.
        let held = (0..=u32::MAX).rev().zip(&self.held);
        let numbered = (0..).zip(&self.hosts).chain(held);
        let by_name: BTreeMap<&Str, (u32, &Host)> = numbered.map(|(at, host)| (host.name, (at, host))).collect();
        for node in &self.snapshot.nodes {
            let Some((at, host)) = by_name.get(&node.name) else { continue };
            // What is being deleted there is as good as gone.
            for bound in node.pods.iter().filter(|bound| !(node.deleting && bound.terminating)) {
                for counter in self.topology.counting(&bound.shape, bound.terminating) {
                    let key = self.topology.counters[counter].key;
                    let domain = if self.topology.is_host(key) { Some(*at) } else { host.domains[key] };
                    if let (Some(domain), true) = (domain, self.topology.host_passes(counter, host)) {
                        *initial[counter].entry(domain).or_insert(0) += bound.pods.len() as u32;
                    }
                }
            }
        }
        self.initial = initial;
    }
}

/// Which wishes of a shape are still respected: how many of each kind were given up.
struct Wishes {
    affinity: usize,
    anti_affinity: usize,
    node_terms: usize,
    soft_spreads: usize,
    heeds_prefer: bool,
}

impl Wishes {
    /// One wish fewer per level, in the reference's order: pod affinity, pod anti-affinity, node affinity, soft spread, and
    /// last the `PreferNoSchedule` taints (if any pool has one).
    fn levels(shape: &PodShape, ignore: bool, prefers: bool) -> Vec<Self> {
        let most = [
            shape.preferred_affinity.len(),
            shape.preferred_anti_affinity.len(),
            shape.preferred_node_terms.len(),
            soft(shape).count(),
        ];
        let mut dropped = if ignore { most } else { [0; 4] };
        let mut out = Vec::new();
        loop {
            let [affinity, anti_affinity, node_terms, soft_spreads] = dropped;
            out.push(Self { affinity, anti_affinity, node_terms, soft_spreads, heeds_prefer: true });
            match (0..4).find(|kind| dropped[*kind] < most[*kind]) {
                Some(kind) => dropped[kind] += 1,
                None => break,
            }
        }
        if prefers {
            let [affinity, anti_affinity, node_terms, soft_spreads] = most;
            out.push(Self { affinity, anti_affinity, node_terms, soft_spreads, heeds_prefer: false });
        }
        out
    }
}

fn soft(shape: &PodShape) -> impl Iterator<Item = &Spread> {
    shape.spreads.iter().filter(|s| !s.hard)
}

/// What a pod asks of a node's labels, taints and ports: the key under which compatibility is worked out once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeNeeds {
    selector: Requirements,
    terms: Option<Vec<Requirements>>,
    volumes: Vec<Vec<Requirements>>,
    tolerations: Vec<crate::model::Toleration>,
    heeds_prefer: bool,
    ports: BTreeSet<HostPort>,
}

impl NodeNeeds {
    fn of(shape: &PodShape, selector: Requirements, heeds_prefer: bool) -> Self {
        Self {
            selector,
            terms: shape.node_terms.clone(),
            volumes: shape.volumes.clone(),
            tolerations: shape.tolerations.clone(),
            heeds_prefer,
            ports: shape.host_ports.clone(),
        }
    }
}

/// Choices that node selector and affinity allow; `None` when a taint keeps the pod out.
fn affine(shelf: &Shelf, needs: &NodeNeeds) -> Option<Vec<Matching>> {
    if untolerated(&shelf.pool.taints, &needs.tolerations, needs.heeds_prefer).is_some() {
        return None;
    }
    let base = shelf.matching(&needs.selector);
    let Some(terms) = &needs.terms else { return Some(vec![base]) };
    let mut ways: Vec<Matching> = Vec::new();
    for term in terms {
        let mut way = shelf.matching(term);
        way.mask.intersect_with(&base.mask);
        way.open.add_all(&base.open);
        if way.mask.is_clear() || way.open.iter().any(|r| shelf.open.get(&r.key).is_some_and(|o| !o.intersects(r))) {
            continue;
        }
        match ways.iter_mut().find(|known| known.open == way.open) {
            Some(known) => known.mask.union_with(&way.mask),
            None => ways.push(way),
        }
    }
    Some(ways)
}

fn compat(shelf: &Shelf, needs: &NodeNeeds, snapshot: &Snapshot, n_dims: usize) -> Compat {
    let mut ways = affine(shelf, needs).unwrap_or_default();
    for way in &mut ways {
        for terms in &needs.volumes {
            let mut reachable = Bits::with_capacity(shelf.choices.len());
            for term in terms {
                reachable.union_with(&shelf.matching(term).mask);
            }
            way.mask.intersect_with(&reachable);
        }
        for (at, daemon) in snapshot.daemons.iter().enumerate() {
            if daemon.shape.host_ports.iter().any(|a| needs.ports.iter().any(|b| a.clashes(b))) {
                way.mask.difference_with(shelf.daemon_mask(at));
            }
        }
        way.mask.intersect_with(&shelf.sellable);
    }
    ways.retain(|way| !way.mask.is_clear());
    let mut top = vec![i64::MIN; n_dims];
    for way in &ways {
        dims::raise(&mut top, &shelf.top(&way.mask, n_dims));
    }
    Compat { ways, top }
}

fn all_shapes(snapshot: &Snapshot) -> impl Iterator<Item = &PodShape> {
    let bound = snapshot.nodes.iter().flat_map(|n| &n.pods).map(|b| b.shape.as_ref());
    snapshot.groups.iter().map(|g| g.shape.as_ref()).chain(bound)
}

/// Every label key that some pod, volume or topology asks nodes about.
fn asked_keys(snapshot: &Snapshot) -> BTreeSet<Str> {
    let mut keys = BTreeSet::new();
    let mut take = |requirements: &Requirements| keys.extend(requirements.iter().map(|r| r.key.clone()));
    let daemons = snapshot.daemons.iter().map(|d| d.shape.as_ref());
    for shape in snapshot.groups.iter().map(|g| g.shape.as_ref()).chain(daemons) {
        take(&shape.node_selector);
        shape.node_terms.iter().flatten().for_each(&mut take);
        shape.preferred_node_terms.iter().for_each(|(_, term)| take(term));
        shape.volumes.iter().flatten().for_each(&mut take);
    }
    for shape in all_shapes(snapshot) {
        keys.extend(shape.spreads.iter().map(|s| s.key.clone()));
        let wished = shape.preferred_affinity.iter().chain(&shape.preferred_anti_affinity).map(|(_, term)| term);
        keys.extend(shape.affinity.iter().chain(&shape.anti_affinity).chain(wished).map(|t| t.key.clone()));
    }
    keys
}
