//! Machines being opened: who can join one, what that leaves of its choices, and which one would be bought.

use std::collections::{BTreeMap, BTreeSet};

use fixedbitset::FixedBitSet as Bits;

use super::dims::{add, fits, times};
use super::sale::cheapest;
use super::shelf::Shelf;
use super::state::{Bin, Placed, State, Undo, clash};
use super::topology::Demand;
use crate::model::{Requirement, Requirements, Str};

/// How some pods can join a machine.
pub(crate) struct Joining {
    pub(crate) count: u32,
    mask: Bits,
    open: Requirements,
    pins: Vec<(usize, u32)>,
}

impl State<'_, '_> {
    /// An empty machine of a shelf, not yet opened.
    pub(crate) fn blank(&self, shelf: usize) -> Bin {
        let goods = &self.world.shelves[shelf];
        Bin {
            shelf,
            mask: goods.sellable.clone(),
            chosen: usize::MAX,
            used: vec![0; self.world.dims.len()],
            n_pods: 0,
            contents: Vec::new(),
            open: goods.open.clone(),
            pinned: BTreeMap::new(),
            alive: (0..goods.rooms.len()).collect(),
            top: vec![i64::MAX; self.world.dims.len()],
            excludes: 0,
        }
    }

    /// Choices whose machine would not take the pool over its limits, in place of what the bin counts for now.
    pub(crate) fn affordable(&self, bin: &Bin) -> Option<Bits> {
        let goods = &self.world.shelves[bin.shelf];
        match self.within_limits(bin) {
            Some(within) => Some(self.without_spent_reservations(bin, within)),
            None => (!goods.reservations.is_empty()).then(|| self.without_spent_reservations(bin, goods.all())),
        }
    }

    /// The same, reservations aside; nothing where limits leave out no choice.
    pub(super) fn within_limits(&self, bin: &Bin) -> Option<Bits> {
        let goods = &self.world.shelves[bin.shelf];
        if goods.pool.limits.0.is_empty() || self.far_from_limits(bin.shelf) {
            return None;
        }
        let mut free: Vec<i64> = goods.pool.limits.iter().map(|(_, most)| most).collect();
        add(&mut free, &self.used[goods.purse], -1);
        if bin.chosen != usize::MAX {
            add(&mut free, amounts_of(goods, bin.chosen), 1);
        }
        let mut out = Bits::with_capacity(goods.choices.len());
        for size in goods.sizes.iter().filter(|size| fits(&size.amounts, &free)) {
            out.union_with(&size.choices);
        }
        Some(out)
    }

    /// Would even a machine that is the largest in every limited resource stay within the limits?
    fn far_from_limits(&self, shelf: usize) -> bool {
        let goods = &self.world.shelves[shelf];
        let limits = goods.pool.limits.iter().map(|(_, most)| most);
        goods
            .largest
            .iter()
            .zip(limits)
            .zip(&self.used[goods.purse])
            .all(|((largest, most), used)| *largest <= most - used)
    }

    /// Leaves out choices whose reservation other machines use up.
    fn without_spent_reservations(&self, bin: &Bin, mut choices: Bits) -> Bits {
        let goods = &self.world.shelves[bin.shelf];
        for (id, count, drawing) in &goods.reservations {
            let own = bin.chosen != usize::MAX && drawing.contains(bin.chosen);
            if self.reserved.get(id).copied().unwrap_or(0).saturating_sub(u32::from(own)) >= *count {
                choices.difference_with(drawing);
            }
        }
        choices
    }

    /// How many pods of a group, at most `want`, can join a machine, and how. `host`: the number its hostname counts under.
    pub(crate) fn joining(&self, bin: &Bin, host: u32, group: usize, level: usize, want: u32) -> Option<Joining> {
        let g = &self.world.groups[group];
        let asked = &g.levels[level];
        let compat = &asked.compat[bin.shelf];
        let free = |need: &[i64], top: &[i64]| need.iter().zip(top).zip(&bin.used).all(|((n, t), u)| *n <= t - u);
        if compat.ways.is_empty() || !free(&g.need, &bin.top) || !free(&g.need, &compat.top) {
            return None;
        }
        let mut most = want;
        if !g.shape.host_ports.is_empty() {
            if clash(&g.shape.host_ports, bin.contents.iter().flat_map(|p| self.ports_of(*p))) {
                return None;
            }
            most = 1;
        }
        let mut keys: Vec<usize> = Vec::new();
        for constraint in &asked.constraints {
            if self.world.topology.is_host(constraint.key) {
                most = most.min(self.allowance(constraint, Some(host)));
            } else if !keys.contains(&constraint.key) {
                keys.push(constraint.key);
            }
        }
        if g.counted_marks & bin.excludes != 0 {
            most = most.min(self.tolerated(&bin.contents, host, group));
        }
        if most == 0 {
            return None;
        }
        // Where its pods are counted has to be settled too, so that others can rely on it.
        let n_own = keys.len();
        for key in g.counted.iter().map(|counter| self.world.topology.counters[*counter].key) {
            if !self.world.topology.is_host(key) && !keys.contains(&key) {
                keys.push(key);
            }
        }
        let pods = Placed { group, level, count: most };
        let found = self.in_some_way(bin, pods, &keys);
        // Others that count them cannot demand a domain that `minValues` leave open.
        let may_stay_open = keys.len() > n_own && !self.world.shelves[bin.shelf].min_values.is_empty();
        if found.is_none() && may_stay_open { self.in_some_way(bin, pods, &keys[..n_own]) } else { found }
    }

    /// The first way of settling open keys in which some of the pods can join.
    fn in_some_way(&self, bin: &Bin, pods: Placed, keys: &[usize]) -> Option<Joining> {
        let compat = &self.world.groups[pods.group].levels[pods.level].compat[bin.shelf];
        compat.ways.iter().find_map(|way| {
            let mut mask = bin.mask.clone();
            mask.intersect_with(&way.mask);
            let mut open = bin.open.clone();
            open.add_all(&way.open);
            if mask.is_clear() || open.iter().any(Requirement::is_contradiction) {
                return None;
            }
            let joining = Joining { count: pods.count, mask, open, pins: Vec::new() };
            self.settle(bin, pods.group, pods.level, keys, joining)
        })
    }

    /// How many more pods of a group those on a machine bear beside them, where they count pods per host.
    pub(super) fn tolerated(&self, contents: &[Placed], host: u32, group: usize) -> u32 {
        let counted = &self.world.groups[group].counted_by_host;
        if counted.is_empty() {
            return u32::MAX;
        }
        let theirs = contents.iter().filter(|placed| placed.group != group).flat_map(|placed| {
            let level = &self.world.groups[placed.group].levels[placed.level];
            level.exclusive.iter().map(|at| &level.constraints[*at]).filter(|c| counted.contains(&c.counter))
        });
        let room = |c: &super::topology::Constraint| match c.demand {
            Demand::Spread { max_skew, .. } => max_skew.saturating_sub(self.counted(c.counter, host)),
            Demand::Affinity => u32::MAX,
            Demand::AntiAffinity => 0,
        };
        theirs.map(room).min().unwrap_or(u32::MAX)
    }

    /// Settles the domain of each key in turn, then the room.
    fn settle(&self, bin: &Bin, group: usize, level: usize, keys: &[usize], joining: Joining) -> Option<Joining> {
        let Some((key, rest)) = keys.split_first() else { return self.room(bin, group, joining) };
        let goods = &self.world.shelves[bin.shelf];
        let name = self.world.topology.key_name(*key);
        let constraints = || self.world.groups[group].levels[level].constraints.iter().filter(|c| c.key == *key);
        let forced = self.forced.iter().find(|(k, _)| k == key).map(|(_, domain)| *domain);
        let mut candidates: Vec<u32> = match (bin.pinned.get(key), joining.open.get(name)) {
            (Some(domain), _) => vec![*domain],
            (None, Some(open)) => {
                // What some types leave to the launch others may have for good.
                let had = goods.values_had(&joining.mask, name);
                let values: BTreeSet<&Str> = open.concrete().into_iter().flatten().chain(&had).collect();
                let values = values.into_iter().filter(|value| !goods.having(&joining.mask, name, value).is_clear());
                values.filter_map(|v| self.world.topology.known_domain(*key, v)).collect()
            }
            (None, None) => {
                // The cheapest that is left to buy says which domain comes first.
                let affordable = self.affordable(bin).map(|mut choices| {
                    choices.intersect_with(&joining.mask);
                    choices
                });
                self.world.domains_among(bin.shelf, *key, affordable.as_ref().unwrap_or(&joining.mask))
            }
        };
        if let Some(domain) = forced {
            candidates.retain(|d| *d == domain);
            if candidates.is_empty() {
                return None;
            }
        }
        if candidates.is_empty() {
            // A value that nobody knows yet may be the one that other nodes have, or be another one.
            if joining.open.get(name).is_some_and(Requirement::wants_label) && constraints().next().is_some() {
                return None;
            }
            // Without the label only constraints that a node without it satisfies can hold.
            let least = constraints().map(|c| self.allowance(c, None)).min().unwrap_or(u32::MAX);
            let count = joining.count.min(least);
            return if count == 0 { None } else { self.settle(bin, group, level, rest, Joining { count, ..joining }) };
        }
        let mut ranked: Vec<(u32, usize, u32, u32)> = Vec::new();
        for (order, domain) in candidates.into_iter().enumerate() {
            let binding = constraints().filter(|c| forced.is_none() || !matches!(c.demand, Demand::Spread { .. }));
            let allowed = binding.map(|c| self.allowance(c, Some(domain))).min().unwrap_or(u32::MAX);
            let spread = constraints().find(|c| matches!(c.demand, Demand::Spread { .. }));
            let crowd = spread.map_or_else(
                || self.crowd(&self.world.groups[group].counted, *key, domain),
                |c| self.counted(c.counter, domain),
            );
            if allowed > 0 {
                ranked.push((crowd, order, domain, allowed));
            }
        }
        ranked.sort_unstable();
        for (_, _, domain, allowed) in ranked {
            let mut next = Joining {
                count: joining.count.min(allowed),
                mask: joining.mask.clone(),
                open: joining.open.clone(),
                pins: joining.pins.clone(),
            };
            next.pins.push((*key, domain));
            let value = self.world.topology.domain_name(*key, domain);
            if let Some(open) = goods.open.get(name) {
                next.mask = goods.having(&next.mask, name, value);
                if open.has(value) {
                    next.open.add(Requirement::equal(name, value.clone()));
                }
            } else if let Some(bits) = goods.with_value(name, value) {
                next.mask.intersect_with(bits);
            }
            if let Some(found) = self.settle(bin, group, level, rest, next) {
                return Some(found);
            }
        }
        None
    }

    /// How full a domain is for those who have to spread over it and count these pods without their asking. A mere wish of
    /// others is no reason to buy dearer.
    fn crowd(&self, counted: &[usize], key: usize, domain: u32) -> u32 {
        let counters = counted.iter().filter(|c| {
            let counter = &self.world.topology.counters[**c];
            counter.key == key && counter.binding
        });
        counters.map(|c| self.counted(*c, domain)).max().unwrap_or(0)
    }

    /// As many as the rooms, the limits and `minValues` allow.
    fn room(&self, bin: &Bin, group: usize, mut joining: Joining) -> Option<Joining> {
        let goods = &self.world.shelves[bin.shelf];
        let need = &self.world.groups[group].need;
        let affordable = self.affordable(bin);
        let usable = match &affordable {
            Some(bits) => {
                let mut usable = joining.mask.clone();
                usable.intersect_with(bits);
                usable
            }
            None => joining.mask.clone(),
        };
        let first = usable.minimum()?;
        let mut best = 0;
        for room in bin.alive.iter().map(|at| &goods.rooms[*at]) {
            let left = room.net.iter().zip(&bin.used).map(|(net, used)| net - used);
            let count = times(need, left, joining.count);
            if count > best && (room.choices.contains(first) || room.is_among(&usable)) {
                best = count;
                if best == joining.count {
                    break;
                }
            }
        }
        while best > 0 {
            let mut narrowed = usable.clone();
            goods.keep_holding(&mut narrowed, &with(&bin.used, need, best));
            if narrowed.is_clear() {
                best -= 1;
            } else if self.min_values_met(bin.shelf, &narrowed) && self.leaves_choice(bin, &narrowed) {
                break;
            } else {
                best /= 2;
            }
        }
        joining.count = best;
        (best > 0).then_some(joining)
    }

    pub(super) fn min_values_met(&self, shelf: usize, mask: &Bits) -> bool {
        let goods = &self.world.shelves[shelf];
        self.world.snapshot.policies.relax_min_values
            || goods.min_values.iter().all(|(key, least)| goods.distinct(mask, key) >= *least)
    }

    /// Would the pool's other machines still have the choice that `minValues` demand, if a machine became the cheapest of
    /// these choices? What it takes of the pool's limits, none of them can turn into any more.
    pub(super) fn leaves_choice(&self, bin: &Bin, choices: &Bits) -> bool {
        let goods = &self.world.shelves[bin.shelf];
        let free = goods.pool.limits.0.is_empty() || self.world.snapshot.policies.relax_min_values;
        if free || goods.min_values.is_empty() {
            return true;
        }
        let Some(next) = cheapest(goods, choices, None) else { return true };
        let mut left: Vec<i64> = goods.pool.limits.iter().map(|(_, most)| most).collect();
        add(&mut left, &self.used[goods.purse], -1);
        add(&mut left, amounts_of(goods, next), -1);
        if bin.chosen != usize::MAX {
            add(&mut left, amounts_of(goods, bin.chosen), 1);
        }
        if fits(&goods.largest, &left) {
            return true;
        }
        let of_pool = |other: &&Bin| self.world.shelves[other.shelf].purse == goods.purse;
        let others = self.bins.iter().filter(|other| of_pool(other) && !std::ptr::eq(*other, bin));
        others.into_iter().all(|other| {
            let goods = &self.world.shelves[other.shelf];
            let mut free = left.clone();
            add(&mut free, amounts_of(goods, other.chosen), 1);
            let mut within = Bits::with_capacity(goods.choices.len());
            for size in goods.sizes.iter().filter(|size| fits(&size.amounts, &free)) {
                within.union_with(&size.choices);
            }
            within.intersect_with(&other.mask);
            self.min_values_met(other.shelf, &within)
        })
    }

    /// The choice that a machine would be bought as once these pods are in it.
    pub(super) fn would_choose(&self, bin: &Bin, group: usize, joining: &Joining) -> Option<usize> {
        let goods = &self.world.shelves[bin.shelf];
        let mut mask = joining.mask.clone();
        goods.keep_holding(&mut mask, &with(&bin.used, &self.world.groups[group].need, joining.count));
        cheapest(goods, &mask, self.affordable(bin).as_ref())
    }

    /// Opens a machine with its first pods.
    pub(crate) fn open(&mut self, mut blank: Bin, joining: Joining, group: usize, level: usize) {
        blank.top.clone_from(&self.world.shelves[blank.shelf].sellable_top);
        self.by_pods.insert((blank.n_pods, self.bins.len()));
        self.bins.push(blank);
        self.note(|_| Undo::Opened);
        self.join(self.bins.len() - 1, joining, group, level);
    }

    /// Adds pods to an open machine.
    pub(crate) fn join(&mut self, at: usize, joining: Joining, group: usize, level: usize) {
        let world = self.world;
        self.note(|state| Undo::Bin { at, before: Box::new(state.bins[at].clone()) });
        let shelf = self.bins[at].shelf;
        let (goods, g) = (&world.shelves[shelf], &world.groups[group]);
        let after = with(&self.bins[at].used, &g.need, joining.count);
        let affordable = self.affordable(&self.bins[at]);
        let bin = &mut self.bins[at];
        bin.mask = joining.mask;
        bin.open = joining.open;
        bin.pinned.extend(joining.pins);
        if !bin.alive.iter().all(|room| fits(&after, goods.nets.at(*room))) {
            goods.keep_holding(&mut bin.mask, &after);
            bin.alive.retain(|room| fits(&after, goods.nets.at(*room)) && goods.rooms[*room].is_among(&bin.mask));
            bin.top.fill(i64::MIN);
            for room in &bin.alive {
                super::dims::raise(&mut bin.top, goods.nets.at(*room));
            }
        }
        bin.used = after;
        bin.excludes |= g.levels[level].excluded_marks;
        self.by_pods.remove(&(bin.n_pods, at));
        bin.n_pods += joining.count;
        self.by_pods.insert((bin.n_pods, at));
        match bin.contents.iter_mut().find(|p| p.group == group && p.level == level) {
            Some(placed) => placed.count += joining.count,
            None => bin.contents.push(Placed { group, level, count: joining.count }),
        }
        let before = bin.chosen;
        bin.chosen = cheapest(goods, &bin.mask, affordable.as_ref()).unwrap_or(before);
        self.account(shelf, before, self.bins[at].chosen);
        for counter in &g.counted {
            let key = world.topology.counters[*counter].key;
            let Some(domain) = self.bin_domain(at, key) else { continue };
            let passing = world.topology.counters[*counter].passing.as_ref();
            if passing.is_none_or(|p| p[shelf].contains(self.bins[at].chosen)) {
                self.count(*counter, domain, joining.count);
            }
        }
    }

    /// Draws on limits and reservations as one choice of a shelf, and no more as another.
    pub(super) fn account(&mut self, shelf: usize, before: usize, now: usize) {
        let goods = &self.world.shelves[shelf];
        if before == now {
            return;
        }
        let draws_on =
            |choice: usize| goods.offering(choice).reservation.as_ref().map(|reservation| reservation.id.clone());
        let old = if before == usize::MAX { None } else { draws_on(before) };
        let new = draws_on(now);
        if old != new {
            self.note(|state| Undo::Reserved { before: state.reserved.clone() });
            if let Some(count) = old.and_then(|id| self.reserved.get_mut(&id)) {
                *count -= 1;
            }
            if let Some(id) = new {
                *self.reserved.entry(id).or_insert(0) += 1;
            }
        }
        if goods.pool.limits.0.is_empty() {
            return;
        }
        let purse = goods.purse;
        self.note(|state| Undo::Used { purse, before: state.used[purse].clone() });
        if before != usize::MAX {
            add(&mut self.used[purse], amounts_of(goods, before), -1);
        }
        add(&mut self.used[purse], amounts_of(goods, now), 1);
    }

    /// The domain of a bin, settled now if it was open: whoever is counted there must be able to rely on it. Where
    /// `minValues` want it open it is a guess.
    fn bin_domain(&mut self, at: usize, key: usize) -> Option<u32> {
        if self.world.topology.is_host(key) {
            return Some(self.bin_host(at));
        }
        if let Some(domain) = self.bins[at].pinned.get(&key) {
            return Some(*domain);
        }
        let bin = &self.bins[at];
        let goods = &self.world.shelves[bin.shelf];
        let name = self.world.topology.key_name(key);
        let value: Str = match (goods.label(bin.chosen, name), bin.open.get(name)) {
            (Some(value), _) => value.into(),
            (None, Some(open)) => open.concrete()?.first()?.clone(),
            (None, None) => return None,
        };
        let domain = self.world.topology.known_domain(key, &value)?;
        let is_open = bin.open.get(name).is_some_and(|open| open.has(&value));
        let mut narrowed = goods.having(&bin.mask, name, &value);
        if let (false, Some(bits)) = (is_open, goods.with_value(name, &value)) {
            narrowed.intersect_with(bits);
        }
        let shelf = bin.shelf;
        if !self.min_values_met(shelf, &narrowed) && self.min_values_met(shelf, &bin.mask) {
            return Some(domain);
        }
        let bin = &mut self.bins[at];
        bin.pinned.insert(key, domain);
        bin.mask = narrowed;
        if is_open {
            bin.open.add(Requirement::equal(name, value));
        }
        Some(domain)
    }
}

/// What a machine of a choice takes of its pool's limits.
fn amounts_of<'g>(goods: &'g Shelf, choice: usize) -> &'g [i64] {
    &goods.sizes[goods.choices[choice].size].amounts
}

/// What is used once so many more have come.
fn with(used: &[i64], need: &[i64], count: u32) -> Vec<i64> {
    used.iter().zip(need).map(|(used, need)| used + need * i64::from(count)).collect()
}
