//! What one pool can sell, flattened to ranked choices (type × zone × capacity type) with an index from label values to choices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fixedbitset::FixedBitSet as Bits;

use super::dims::{Dims, raise};
use super::room::{Nets, Room};
use super::settled::{Settled, open_values};
use crate::model::labels::well_known;
use crate::model::snapshot::Daemon;
use crate::model::taint::untolerated;
use crate::model::{
    InstanceType, MicroUsdPerHour, Offering, Operator, PodShape, Pool, Requirement, Requirements, Resources, Str,
};
use crate::plan::RankedOffering;

/// A pool's goods. Choices are ranked: a lower index is never dearer.
pub(crate) struct Shelf<'a> {
    pub(crate) pool: &'a Pool,
    /// The first shelf of its pool: what all of them use of its limits is kept there.
    pub(super) purse: usize,
    pub(crate) choices: Vec<Choice>,
    /// The same as a plan names them.
    pub(crate) ranked: Arc<[RankedOffering]>,
    /// Per type, its choices.
    pub(crate) of_kind: Vec<Vec<usize>>,
    /// Choices that can be had now.
    pub(crate) sellable: Bits,
    /// Choices that are no GPU, accelerator or bare metal machine.
    pub(crate) generic: Bits,
    /// Distinct amounts of room for pods, `DaemonSets` taken off.
    pub(crate) rooms: Vec<Room>,
    pub(super) nets: Nets,
    /// Distinct capacities in the pool's limited resources.
    pub(crate) sizes: Vec<Size>,
    /// Largest capacity in each of them.
    pub(crate) largest: Vec<i64>,
    /// Largest room of each resource among the choices that can be had now.
    pub(crate) sellable_top: Vec<i64>,
    /// Keys whose value the launch settles, with what the pool allows.
    pub(crate) open: Requirements,
    /// Keys with `minValues` and how many.
    pub(crate) min_values: Vec<(Str, u32)>,
    /// Reservations: id, machines left in it, and the choices that draw on it.
    pub(crate) reservations: Vec<(Str, u32, Bits)>,
    /// Open keys that types bring, which other types may have settled already or not have at all.
    pub(super) settled: BTreeMap<Str, Settled<'a>>,
    index: BTreeMap<Str, KeyIndex>,
    daemon_masks: Vec<Bits>,
    /// Choices by zone and by capacity type.
    pub(crate) zones: BTreeMap<Str, Bits>,
    pub(crate) capacity_types: BTreeMap<&'static str, Bits>,
    /// Per dimension: amounts of room, ascending, each with the choices that have at least so much.
    ladders: Vec<Vec<(i64, Bits)>>,
}

/// One offering of one instance type.
pub(crate) struct Choice {
    pub(crate) kind: usize,
    pub(crate) offering: usize,
    pub(crate) price: i64,
    pub(crate) room: usize,
    pub(crate) size: usize,
}

/// Capacity in limited resources that some choices share.
pub(crate) struct Size {
    pub(crate) amounts: Vec<i64>,
    pub(crate) choices: Bits,
}

struct KeyIndex {
    values: BTreeMap<Str, Bits>,
    absent: Bits,
}

/// Choices that satisfy some requirements, with what these ask of the open keys.
#[derive(Clone, Debug)]
pub(crate) struct Matching {
    pub(crate) mask: Bits,
    pub(crate) open: Requirements,
}

impl<'a> Shelf<'a> {
    /// Flattens the pool's types. `narrowed`: what is settled of its open keys; `keys`: those that anybody will ask about.
    pub(super) fn new(
        pool: &'a Pool,
        narrowed: &Requirements,
        daemons: &[Daemon],
        dims: &Dims,
        keys: &BTreeSet<Str>,
    ) -> Self {
        let mut carried: BTreeSet<&Str> = pool.types.iter().flat_map(|t| t.labels.keys()).collect();
        carried.extend(pool.types.iter().flat_map(|t| &t.offerings).flat_map(|o| o.labels.keys()));
        let mut open = Requirements::new();
        let mut fixed = Requirements::new();
        for requirement in pool.requirements.iter() {
            let key = &requirement.key;
            if pool.labels.contains_key(key) || carried.contains(key) || well_known(key) {
                fixed.add(requirement.clone());
            } else {
                open.add(requirement.clone());
            }
        }
        let mut of_types: BTreeMap<&Str, BTreeSet<&Str>> = BTreeMap::new();
        for (key, values) in pool.types.iter().flat_map(|t| &t.open_labels) {
            of_types.entry(key).or_default().extend(values);
        }
        for (key, values) in &of_types {
            let all = Requirement::new(key, Operator::In, values.iter().copied().cloned());
            let left = pool.requirements.get(key).map_or_else(|| all.clone(), |asked| all.intersect(asked));
            // Where the pool leaves nothing to settle, what types have anyway decides.
            if open.get(key).is_none() && !left.is_contradiction() {
                open.add(left);
            }
        }
        fixed = fixed.iter().filter(|r| open.get(&r.key).is_none()).cloned().collect();
        open.add_all(narrowed);
        let mut ranked: Vec<(usize, usize)> = Vec::new();
        for (kind, instance_type) in pool.types.iter().enumerate() {
            for (offering, sold) in instance_type.offerings.iter().enumerate() {
                let settles = |r: &Requirement| match open_values(instance_type, &r.key) {
                    Some(values) => values.iter().any(|value| r.has(value)),
                    None => !of_types.contains_key(&r.key) || r.allows(label(pool, instance_type, sold, &r.key)),
                };
                let open_met = pool.requirements.iter().all(settles);
                if open_met && fixed.iter().all(|r| r.allows(label(pool, instance_type, sold, &r.key))) {
                    ranked.push((kind, offering));
                }
            }
        }
        ranked.sort_by_key(|(kind, offering)| {
            let (instance_type, sold) = (&pool.types[*kind], &pool.types[*kind].offerings[*offering]);
            let reservation = sold.reservation.as_ref().map(|r| &r.id);
            (sold.price, sold.capacity_type, &instance_type.name, &sold.zone, reservation)
        });
        let ranked_offering = |(kind, offering): &(usize, usize)| {
            let (instance_type, sold) = (&pool.types[*kind], &pool.types[*kind].offerings[*offering]);
            RankedOffering {
                price: MicroUsdPerHour(sold.price.0),
                capacity_type: sold.capacity_type,
                instance_type: instance_type.name.clone(),
                zone: sold.zone.clone(),
                reservation: sold.reservation.as_ref().map(|r| r.id.clone()),
            }
        };
        let mut shelf = Self {
            pool,
            purse: 0,
            ranked: ranked.iter().map(ranked_offering).collect(),
            of_kind: vec![Vec::new(); pool.types.len()],
            sellable: Bits::with_capacity(ranked.len()),
            generic: Bits::with_capacity(ranked.len()),
            rooms: Vec::new(),
            nets: Nets::default(),
            sizes: Vec::new(),
            largest: Vec::new(),
            sellable_top: Vec::new(),
            open,
            min_values: pool.requirements.iter().filter_map(|r| Some((r.key.clone(), r.min_values?))).collect(),
            reservations: Vec::new(),
            settled: BTreeMap::new(),
            index: BTreeMap::new(),
            daemon_masks: Vec::new(),
            ladders: Vec::new(),
            zones: BTreeMap::new(),
            capacity_types: BTreeMap::new(),
            choices: Vec::with_capacity(ranked.len()),
        };
        let none = Bits::with_capacity(ranked.len());
        for (at, (kind, offering)) in ranked.into_iter().enumerate() {
            let (instance_type, sold) = (&pool.types[kind], &pool.types[kind].offerings[offering]);
            shelf.sellable.set(at, sold.available && sold.reservation.as_ref().is_none_or(|r| r.count > 0));
            shelf.generic.set(at, !instance_type.exotic);
            shelf.of_kind[kind].push(at);
            shelf.zones.entry(sold.zone.clone()).or_insert_with(|| none.clone()).insert(at);
            shelf.capacity_types.entry(sold.capacity_type.as_str()).or_insert_with(|| none.clone()).insert(at);
            shelf.choices.push(Choice { kind, offering, price: sold.price.0, room: 0, size: 0 });
        }
        shelf.find_settled(of_types.keys());
        let min_keys = shelf.min_values.iter().map(|(key, _)| key);
        let asked: BTreeSet<Str> = keys.iter().chain(min_keys).cloned().collect();
        for key in asked {
            if !pool.labels.contains_key(&key) && shelf.open.get(&key).is_none() {
                shelf.index_key(key);
            }
        }
        shelf.find_rooms(daemons, dims);
        shelf.find_ladders(dims.len());
        shelf.find_sizes();
        shelf.sellable_top = shelf.top(&shelf.sellable, dims.len());
        shelf.find_reservations();
        shelf
    }

    fn index_key(&mut self, key: Str) {
        let n = self.choices.len();
        let mut index = KeyIndex { values: BTreeMap::new(), absent: Bits::with_capacity(n) };
        for at in 0..n {
            match self.label(at, &key) {
                None => index.absent.insert(at),
                Some(value) => match index.values.get_mut(value) {
                    Some(bits) => bits.insert(at),
                    None => {
                        let mut bits = Bits::with_capacity(n);
                        bits.insert(at);
                        index.values.insert(value.into(), bits);
                    }
                },
            }
        }
        self.index.insert(key, index);
    }

    fn find_rooms(&mut self, daemons: &[Daemon], dims: &Dims) {
        let runs = |d: &Daemon| {
            untolerated(&self.pool.taints, &d.shape.tolerations, false).is_none().then(|| self.mask_of_shape(&d.shape))
        };
        let none = Bits::with_capacity(self.choices.len());
        let masks: Vec<Bits> = daemons.iter().map(|d| runs(d).unwrap_or_else(|| none.clone())).collect();
        let requests: Vec<Vec<i64>> = daemons.iter().map(|d| dims.dense(&d.shape.requests)).collect();
        let bases: Vec<Vec<i64>> = self.pool.types.iter().map(|t| dims.dense(&t.allocatable)).collect();
        let mut seen: BTreeMap<(Vec<usize>, usize), usize> = BTreeMap::new();
        let mut by_net: BTreeMap<Vec<i64>, usize> = BTreeMap::new();
        for at in 0..self.choices.len() {
            let set: Vec<usize> = (0..masks.len()).filter(|d| masks[*d].contains(at)).collect();
            let kind = self.choices[at].kind;
            let room = *seen.entry((set, kind)).or_insert_with_key(|(set, kind)| {
                let mut net = bases[*kind].clone();
                for daemon in set {
                    super::dims::add(&mut net, &requests[*daemon], -1);
                }
                let next = by_net.len();
                *by_net.entry(net).or_insert(next)
            });
            self.choices[at].room = room;
        }
        let mut nets: Vec<(Vec<i64>, usize)> = by_net.into_iter().collect();
        nets.sort_by_key(|(_, at)| *at);
        self.rooms = nets.into_iter().map(|(net, _)| Room::new(net, self.choices.len())).collect();
        for (at, choice) in self.choices.iter().enumerate() {
            self.rooms[choice.room].add(at);
        }
        self.nets = Nets::of(&self.rooms);
        self.daemon_masks = masks;
    }

    fn find_ladders(&mut self, n_dims: usize) {
        let none = Bits::with_capacity(self.choices.len());
        let ladder = |dim: usize| {
            let mut by_amount: BTreeMap<i64, Bits> = BTreeMap::new();
            for room in &self.rooms {
                by_amount.entry(room.net[dim]).or_insert_with(|| none.clone()).union_with(&room.choices);
            }
            let mut rungs: Vec<(i64, Bits)> = by_amount.into_iter().collect();
            for at in (1..rungs.len()).rev() {
                let (low, high) = rungs.split_at_mut(at);
                low[at - 1].1.union_with(&high[0].1);
            }
            rungs
        };
        self.ladders = (0..n_dims).map(ladder).collect();
    }

    /// Leaves those choices of `mask` whose room holds `used`.
    pub(crate) fn keep_holding(&self, mask: &mut Bits, used: &[i64]) {
        for (ladder, used) in self.ladders.iter().zip(used) {
            match ladder.get(ladder.partition_point(|(amount, _)| amount < used)) {
                // The lowest rung has all choices.
                Some((amount, bits)) if *amount != ladder[0].0 => mask.intersect_with(bits),
                Some(_) => {}
                None => mask.clear(),
            }
        }
    }

    fn find_sizes(&mut self) {
        let names: Vec<&Str> = self.pool.limits.iter().map(|(name, _)| name).collect();
        let mut by_amounts: BTreeMap<Vec<i64>, usize> = BTreeMap::new();
        for at in 0..self.choices.len() {
            let capacity = &self.pool.types[self.choices[at].kind].capacity;
            let amounts: Vec<i64> = names.iter().map(|name| limited_amount(capacity, name)).collect();
            let next = by_amounts.len();
            let size = *by_amounts.entry(amounts.clone()).or_insert(next);
            if size == self.sizes.len() {
                self.sizes.push(Size { amounts, choices: Bits::with_capacity(self.choices.len()) });
            }
            self.sizes[size].choices.insert(at);
            self.choices[at].size = size;
        }
        self.largest = vec![0; names.len()];
        for size in &self.sizes {
            raise(&mut self.largest, &size.amounts);
        }
    }

    fn find_settled<'k>(&mut self, keys: impl Iterator<Item = &'k &'k Str>) {
        for key in keys {
            let said = (0..self.choices.len()).map(|at| (self.instance_type(at), self.label(at, key)));
            let settled = Settled::new(key, &said.collect::<Vec<_>>());
            self.settled.insert((*key).clone(), settled);
        }
    }

    fn find_reservations(&mut self) {
        let mut by_id: BTreeMap<Str, (u32, Bits)> = BTreeMap::new();
        for at in 0..self.choices.len() {
            let Some(reservation) = &self.offering(at).reservation else { continue };
            let fresh = || (reservation.count, Bits::with_capacity(self.choices.len()));
            let (count, drawing) = by_id.entry(reservation.id.clone()).or_insert_with(fresh);
            *count = (*count).min(reservation.count);
            drawing.insert(at);
        }
        self.reservations = by_id.into_iter().map(|(id, (count, drawing))| (id, count, drawing)).collect();
    }

    /// The type behind a choice.
    pub(crate) fn instance_type(&self, choice: usize) -> &'a InstanceType {
        &self.pool.types[self.choices[choice].kind]
    }

    /// The offering behind a choice.
    pub(crate) fn offering(&self, choice: usize) -> &'a Offering {
        &self.instance_type(choice).offerings[self.choices[choice].offering]
    }

    /// The value of a label on a node of this choice; open keys have none yet.
    pub(crate) fn label(&self, choice: usize, key: &str) -> Option<&'a str> {
        label(self.pool, self.instance_type(choice), self.offering(choice), key)
    }

    /// Choices on which some `DaemonSet` number `daemon` runs.
    pub(crate) fn daemon_mask(&self, daemon: usize) -> &Bits {
        &self.daemon_masks[daemon]
    }

    /// All choices.
    pub(crate) fn all(&self) -> Bits {
        let mut bits = Bits::with_capacity(self.choices.len());
        bits.insert_range(..);
        bits
    }

    /// Choices whose value of `key` is one that `requirement` allows. `None`: the key is open and can be settled so.
    pub(crate) fn satisfying(&self, requirement: &Requirement) -> Option<Bits> {
        let none = || Bits::with_capacity(self.choices.len());
        let key = &requirement.key;
        if let Some(open) = self.open.get(key) {
            let is_wanted = open.wants_label() || requirement.wants_label();
            let is_out = is_wanted && !requirement.intersects(open) || closed_out(requirement, open);
            let anyway = || self.settled.get(key).map_or_else(none, |settled| settled.anyway(requirement));
            return is_out.then(anyway);
        }
        if let Some(value) = self.pool.labels.get(key) {
            return Some(if requirement.allows(Some(value)) { self.all() } else { none() });
        }
        let Some(index) = self.index.get(key) else {
            return Some(if requirement.allows(None) { self.all() } else { none() });
        };
        let mut out = if requirement.wants_label() { none() } else { index.absent.clone() };
        match requirement.concrete() {
            Some(values) => {
                values.iter().filter_map(|v| index.values.get(v)).for_each(|bits| out.union_with(bits));
            }
            None => index.values.iter().filter(|(v, _)| requirement.has(v)).for_each(|(_, bits)| out.union_with(bits)),
        }
        Some(out)
    }

    /// Choices that satisfy all of `requirements`; what they ask of open keys comes along.
    pub(crate) fn matching(&self, requirements: &Requirements) -> Matching {
        let mut out = Matching { mask: self.all(), open: Requirements::new() };
        for requirement in requirements.iter() {
            match self.satisfying(requirement) {
                Some(bits) => out.mask.intersect_with(&bits),
                None => {
                    if let Some(settled) = self.settled.get(&requirement.key) {
                        out.mask.intersect_with(&settled.possibly(requirement));
                    }
                    out.open.add(requirement.clone());
                }
            }
        }
        out
    }

    /// Choices a pod of this shape could select, open keys taken as settled in its favour.
    fn mask_of_shape(&self, shape: &PodShape) -> Bits {
        let strip = |requirements: &Requirements| -> Option<Requirements> {
            let own = |r: &&Requirement| {
                r.key.as_ref() == crate::model::labels::REGISTERED
                    || r.key.as_ref() == crate::model::labels::INITIALIZED
            };
            let unmet = requirements.iter().filter(own).any(|r| !r.allows(Some("true")));
            (!unmet).then(|| requirements.iter().filter(|r| !own(r)).cloned().collect())
        };
        let none = Bits::with_capacity(self.choices.len());
        let Some(selector) = strip(&shape.node_selector) else { return none };
        let mut mask = self.matching(&selector).mask;
        if let Some(terms) = &shape.node_terms {
            let mut any = none;
            for term in terms.iter().filter_map(&strip) {
                any.union_with(&self.matching(&term).mask);
            }
            mask.intersect_with(&any);
        }
        mask
    }

    /// Values of a label among the choices of `mask`, the one with the cheapest choice first.
    pub(crate) fn values(&self, mask: &Bits, key: &str) -> Vec<Str> {
        let Some(index) = self.index.get(key) else {
            return self.pool.labels.get(key).cloned().into_iter().collect();
        };
        let mut found: Vec<(usize, &Str)> =
            index.values.iter().filter_map(|(value, bits)| Some((first_of_both(bits, mask)?, value))).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, value)| value.clone()).collect()
    }

    /// Do choices differ in this label, so that they can be told apart by it?
    pub(crate) fn is_indexed(&self, key: &str) -> bool {
        self.index.contains_key(key)
    }

    /// The values of a label that choices differ in, each with its choices.
    pub(crate) fn in_values(&self, key: &str) -> impl Iterator<Item = (&Str, &Bits)> {
        self.index.get(key).into_iter().flat_map(|index| &index.values)
    }

    /// Every value of a label that nodes of this pool may have.
    pub(crate) fn known_values(&self, key: &str) -> Vec<Str> {
        let open = self.open.get(key).and_then(Requirement::concrete).into_iter().flatten();
        let fixed = self.pool.labels.get(key).cloned().into_iter().chain(self.values_had(&self.all(), key));
        let indexed = self.index.get(key).into_iter().flat_map(|index| index.values.keys());
        open.chain(indexed).cloned().chain(fixed).collect()
    }

    /// Choices whose `key` has this value.
    pub(crate) fn with_value(&self, key: &str, value: &str) -> Option<&Bits> {
        self.index.get(key)?.values.get(value)
    }

    /// How many distinct values of `key` the choices of `mask` have.
    pub(crate) fn distinct(&self, mask: &Bits, key: &str) -> u32 {
        match self.index.get(key) {
            Some(index) => index.values.values().filter(|bits| !bits.is_disjoint(mask)).count() as u32,
            None => u32::from(self.pool.labels.contains_key(key) || self.open.get(key).is_some()),
        }
    }

    /// The largest room of each resource among the choices of `mask`.
    pub(crate) fn top(&self, mask: &Bits, dims: usize) -> Vec<i64> {
        let mut top = vec![i64::MIN; dims];
        for room in self.rooms.iter().filter(|room| room.is_among(mask)) {
            raise(&mut top, &room.net);
        }
        top
    }
}

/// The pod asks for the label to be missing, and the launch will set it.
fn closed_out(requirement: &Requirement, open: &Requirement) -> bool {
    !requirement.wants_label() && requirement.concrete().is_some_and(BTreeSet::is_empty) && open.wants_label()
}

/// The lowest index in both.
pub(crate) fn first_of_both(a: &Bits, b: &Bits) -> Option<usize> {
    a.intersection(b).next()
}

/// What a machine counts against a limit of this name.
pub(crate) fn limited_amount(capacity: &Resources, name: &str) -> i64 {
    if name == crate::model::resources::NODES { 1 } else { capacity.get(name) }
}

fn label<'a>(pool: &'a Pool, instance_type: &'a InstanceType, sold: &'a Offering, key: &str) -> Option<&'a str> {
    // What a machine is, no label of its pool changes.
    instance_type.label(sold, key).or_else(|| pool.labels.get(key).map(AsRef::as_ref))
}
