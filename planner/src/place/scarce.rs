//! Why a pool has nothing to sell to a group: sizes, stock, limits, reservations, `minValues`.

use fixedbitset::FixedBitSet as Bits;

use super::dims::fits;
use super::reasons::Case;
use super::shelf::limited_amount;
use super::stock::{out_of_stock, reservations_held, used_up};
use crate::model::resources::NODES;
use crate::model::shown::{Rounding, shown, shown_beside};
use crate::model::{Code, InstanceType, Reason, Resources, Str};

/// All the changes that are needed, as one text.
fn joined(misses: &[String]) -> Option<String> {
    (!misses.is_empty()).then(|| misses.join(", "))
}

impl Case<'_, '_, '_> {
    /// Is there a type that is allowed, large enough, sold, and not sold out?
    pub(super) fn types(&self) -> Option<Reason> {
        let goods = self.goods();
        let group = &self.state.world.groups[self.group];
        let shape = group.shape;
        let mut mask = self.all_labels();
        for terms in &shape.volumes {
            mask.intersect_with(&self.union(terms));
        }
        if mask.is_clear() {
            return Some(self.unsold());
        }
        let mut fitting = Bits::with_capacity(goods.choices.len());
        for room in goods.rooms.iter().filter(|room| fits(&group.need, &room.net)) {
            fitting.union_with(&room.choices);
        }
        fitting.intersect_with(&mask);
        if fitting.is_clear() {
            return Some(self.too_large(&mask));
        }
        let mut sellable = fitting.clone();
        sellable.intersect_with(&goods.sellable);
        if sellable.is_clear() {
            if let Some(reason) = used_up(goods, &fitting) {
                return Some(reason);
            }
            return Some(out_of_stock(goods, &fitting, " would hold the pod"));
        }
        if group.levels.last().is_some_and(|level| level.compat[self.shelf].ways.is_empty()) {
            let ports: Vec<String> = shape.host_ports.iter().map(|p| format!("{}/{}", p.port, p.protocol)).collect();
            let message = format!(
                "host port {} is taken by a DaemonSet on every node of NodePool {}",
                ports.join(", "),
                self.pool()
            );
            return Some(self.reason(Code::HostPortConflict, message, Some("another host port".into())));
        }
        None
    }

    fn too_large(&self, mask: &Bits) -> Reason {
        let (goods, world) = (self.goods(), self.state.world);
        let wanted = &world.groups[self.group].shape.requests;
        let need = &world.groups[self.group].need;
        let top = goods.top(mask, world.dims.len());
        let over = (0..need.len()).filter(|d| need[*d] > top[*d]);
        let largest: Resources = Resources(over.map(|d| (world.dims.name(d).clone(), top[d].max(0))).collect());
        let sold = goods.of_kind.iter().zip(goods.pool.types.iter());
        let allowed = || sold.clone().filter(|(choices, _)| choices.iter().any(|c| mask.contains(*c))).map(|(_, t)| t);
        if !largest.0.is_empty() {
            // Without `DaemonSets` pods can have all there is; of many groups each asks this.
            let whole = match world.snapshot.daemons.as_slice() {
                [] => Resources::default(),
                _ => {
                    let most = |name: &Str| allowed().map(|t| t.allocatable.get(name)).max().unwrap_or(0);
                    Resources(largest.0.keys().map(|name| (name.clone(), most(name))).collect())
                }
            };
            return self.larger_than(&largest, &whole);
        }
        let daemons = if allowed().any(|t| wanted.fits(&t.allocatable)) { " beside what DaemonSets take" } else { "" };
        let message = format!(
            "the pod asks for {wanted}; each amount alone fits some instance type of NodePool {}, no type has all of \
             them{daemons}",
            self.pool()
        );
        self.reason(
            Code::NoInstanceTypeFits,
            message,
            Some("a smaller request, or an instance type with that ratio".into()),
        )
    }

    /// `largest`: what pods can have of each resource; `whole`: the same before `DaemonSets` take theirs.
    pub(super) fn larger_than(&self, largest: &Resources, whole: &Resources) -> Reason {
        let wanted = &self.state.world.groups[self.group].shape.requests;
        let short = wanted.iter().filter(|(name, amount)| largest.0.get(*name).is_some_and(|most| amount > most));
        let (mut said, mut misses) = (Vec::new(), Vec::new());
        for (name, amount) in short {
            let available = |most: i64| shown_beside(name, most, amount, Rounding::Down);
            let (asked, most) = (shown(name, amount), available(largest.get(name)));
            let daemons = if whole.get(name) > largest.get(name) {
                format!(", DaemonSets take the rest of {}", available(whole.get(name)))
            } else {
                String::new()
            };
            said.push(format!("{asked} of {name} asked, {most} at most{daemons}"));
            misses.push(format!("{name} {asked} → {most}"));
        }
        let message = format!("no instance type of NodePool {} is large enough: {}", self.pool(), said.join("; "));
        self.reason(Code::NoInstanceTypeFits, message, joined(&misses))
    }

    /// Choices that would hold one pod alone, limits and topology aside.
    pub(super) fn holding(&self) -> Bits {
        let group = &self.state.world.groups[self.group];
        let mut out = Bits::with_capacity(self.goods().choices.len());
        for way in group.levels.last().iter().flat_map(|level| &level.compat[self.shelf].ways) {
            out.union_with(&way.mask);
        }
        for room in self.goods().rooms.iter().filter(|room| !fits(&group.need, &room.net)) {
            out.difference_with(&room.choices);
        }
        out
    }

    pub(super) fn limits(&self) -> Option<Reason> {
        self.limits_among(&self.holding())
    }

    /// Whether limits and reservations leave none of these choices.
    pub(super) fn limits_among(&self, holding: &Bits) -> Option<Reason> {
        let goods = self.goods();
        let blank = self.state.blank(self.shelf);
        let affordable = self.state.affordable(&blank)?;
        if !holding.is_disjoint(&affordable) {
            return None;
        }
        let mut within = self.state.within_limits(&blank).unwrap_or_else(|| goods.all());
        within.intersect_with(holding);
        if !within.is_clear() {
            return Some(self.reserved(&within));
        }
        let choice = goods.instance_type(holding.minimum()?);
        let limits = goods.pool.limits.iter().zip(&self.state.used[goods.purse]);
        let (mut said, mut misses) = (Vec::new(), Vec::new());
        for ((name, most), used) in limits {
            let more = limited_amount(&choice.capacity, name);
            let after = used + more;
            if after > most {
                let beside = |amount: i64| shown_beside(name, amount, most, Rounding::Up);
                let (limit, used) = (shown(name, most), beside(*used));
                said.push(format!("limits.{name} is {limit}, {used} in use, {}", self.asked_of(name, most, choice)));
                misses.push(format!("limits.{name} {limit} → {}", beside(after)));
            }
        }
        let message = format!("NodePool {} has no room left under its limits: {}", goods.pool.name, said.join("; "));
        Some(self.reason(Code::LimitExceeded, message, joined(&misses)))
    }

    /// What one more machine for the pod takes of a limit, in words.
    fn asked_of(&self, name: &str, limit: i64, choice: &InstanceType) -> String {
        let machine = &choice.name;
        if name == NODES {
            return "1 more asked".into();
        }
        let more = shown_beside(name, limited_amount(&choice.capacity, name), limit, Rounding::Up);
        match self.state.world.groups[self.group].shape.requests.get(name) {
            0 => format!("{more} more asked ({machine})"),
            pod => format!("{more} more asked ({machine} for the pod's {})", shown(name, pod)),
        }
    }

    /// Whoever these choices would do for finds that the reservations they draw on are used up.
    fn reserved(&self, choices: &Bits) -> Reason {
        let goods = self.goods();
        let drawn = goods.reservations.iter().filter(|(_, _, drawing)| !drawing.is_disjoint(choices));
        let (ids, counts): (Vec<&str>, Vec<u32>) = drawn.map(|(id, count, _)| (&**id, *count)).unzip();
        reservations_held(self.pool(), &ids, &counts)
    }

    pub(super) fn min_values(&self) -> Option<Reason> {
        self.min_values_among(self.holding(), "")
    }

    /// Whether these choices are too few. `settled`: what they have in common, in words.
    pub(super) fn min_values_among(&self, mut holding: Bits, settled: &str) -> Option<Reason> {
        if self.state.world.snapshot.policies.relax_min_values {
            return None;
        }
        let goods = self.goods();
        let blank = self.state.blank(self.shelf);
        let affordable = self.state.affordable(&blank);
        if let Some(affordable) = &affordable {
            holding.intersect_with(affordable);
        }
        let limits = if affordable.is_some() { " within its limits" } else { "" };
        let (mut said, mut misses) = (Vec::new(), Vec::new());
        for (key, least) in &goods.min_values {
            let have = goods.distinct(&holding, key);
            if have < *least {
                let hold = if have == 1 { "holds" } else { "hold" };
                said.push(format!(
                    "at least {least} values of {key} to choose from, {have} {hold} the pod{settled}{limits}"
                ));
                misses.push(format!("minValues of {key} {least} → {have}"));
            }
        }
        if said.is_empty() {
            return (!self.state.leaves_choice(&blank, &holding)).then(|| self.choice_is_taken());
        }
        let message = format!("NodePool {} wants {}", goods.pool.name, said.join("; "));
        Some(self.reason(Code::MinValuesNotMet, message, joined(&misses)))
    }

    fn choice_is_taken(&self) -> Reason {
        let message = format!(
            "what is left under the limits of NodePool {} is what its minValues want other new machines to choose from",
            self.pool()
        );
        self.reason(Code::LimitExceeded, message, Some("higher limits, or lower minValues".into()))
    }
}
