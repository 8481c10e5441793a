//! Why a group has no place: per pool the first predicate that fails, and the one change that would have let it pass.

use std::collections::BTreeSet;

use fixedbitset::FixedBitSet as Bits;

use super::dims::fits;
use super::shelf::{Shelf, limited_amount};
use super::state::State;
use super::topology::{Constraint, Demand};
use crate::model::resources::quantity;
use crate::model::taint::untolerated;
use crate::model::{Code, Reason, Requirement, Requirements, Resources, Str, labels};

/// One reason per dynamic pool, or one that no pool can change.
pub(crate) fn reasons(state: &State, group: usize) -> Vec<Reason> {
    let shape = state.world.groups[group].shape;
    if let Some(refused) = &shape.refused {
        return vec![refused.clone()];
    }
    let mut out = Vec::new();
    for pool in state.world.snapshot.pools.iter().filter(|pool| pool.dynamic()) {
        let shelf = state.world.shelves.iter().position(|shelf| shelf.pool.name == pool.name);
        match (&pool.not_ready, shelf) {
            (Some(reason), _) => out.push(Reason { pool: pool.name.clone(), ..reason.clone() }),
            (None, Some(shelf)) => out.push(Case { state, group, shelf }.explain()),
            (None, None) => {}
        }
    }
    if out.is_empty() {
        let miss = Some("a NodePool whose node class is ready".into());
        out.push(Reason::everywhere(Code::NoNodePool, "there is no NodePool that buys nodes for pods", miss));
    }
    out
}

/// One group against one pool.
struct Case<'s, 'w, 'a> {
    state: &'s State<'w, 'a>,
    group: usize,
    shelf: usize,
}

impl Case<'_, '_, '_> {
    fn goods(&self) -> &Shelf<'_> {
        &self.state.world.shelves[self.shelf]
    }

    fn pool(&self) -> &Str {
        &self.goods().pool.name
    }

    fn reason(&self, code: Code, message: String, nearest_miss: Option<String>) -> Reason {
        Reason { pool: self.pool().clone(), code, message, nearest_miss }
    }

    fn explain(&self) -> Reason {
        self.taints()
            .or_else(|| self.labels())
            .or_else(|| self.volumes())
            .or_else(|| self.types())
            .or_else(|| self.limits())
            .or_else(|| self.min_values())
            .or_else(|| self.topology())
            .unwrap_or_else(|| {
                let message =
                    format!("no machine of NodePool {} satisfies all constraints of the pod at once", self.pool());
                self.reason(self.first_topology_code(), message, None)
            })
    }

    fn taints(&self) -> Option<Reason> {
        let shape = self.state.world.groups[self.group].shape;
        let taint = untolerated(&self.goods().pool.taints, &shape.tolerations, false)?;
        let message = format!("the pod does not tolerate taint {taint} of NodePool {}", self.pool());
        Some(self.reason(Code::TaintNotTolerated, message, Some(format!("toleration for {taint}"))))
    }

    fn labels(&self) -> Option<Reason> {
        let shape = self.state.world.groups[self.group].shape;
        if let Some(reason) = self.unmet(&shape.node_selector) {
            return Some(reason);
        }
        let terms = shape.node_terms.as_ref()?;
        if terms.is_empty() {
            let message = "the required node affinity has no term that a node could satisfy".to_string();
            return Some(self.reason(Code::RequirementConflict, message, None));
        }
        let mut first = None;
        for term in terms {
            let mut all = shape.node_selector.clone();
            all.add_all(term);
            let reason = self.unmet(&all)?;
            first.get_or_insert(reason);
        }
        first
    }

    /// The first key on which the pool and the pod cannot agree.
    fn unmet(&self, requirements: &Requirements) -> Option<Reason> {
        let (goods, pool) = (self.goods(), self.goods().pool);
        for asked in requirements.iter() {
            let key = &asked.key;
            if asked.is_contradiction() {
                let message = format!("the pod's own requirements on {key} exclude each other");
                return Some(self.reason(
                    Code::RequirementConflict,
                    message,
                    Some(format!("one value of {key} that all of them allow")),
                ));
            }
            let conflict = |offered: String| {
                let message = format!("the pod asks for {asked}, NodePool {} has {offered}", pool.name);
                self.reason(
                    Code::RequirementConflict,
                    message,
                    Some(format!("{key} of NodePool {} and the pod to overlap", pool.name)),
                )
            };
            if let Some(value) = pool.labels.get(key) {
                if !asked.allows(Some(value)) {
                    return Some(conflict(format!("{key}={value}")));
                }
            } else if let Some(offered) = goods.open.get(key).or_else(|| pool.requirements.get(key)) {
                let missing_wanted = !asked.wants_label() && asked.concrete().is_some() && offered.wants_label();
                if !asked.intersects(offered) || missing_wanted {
                    return Some(conflict(offered.to_string()));
                }
            } else if asked.wants_label() && !self.carried(key) {
                let value = asked.any("").filter(|v| !v.is_empty());
                let label = value.map_or_else(|| key.to_string(), |v| format!("{key}={v}"));
                let message = format!(
                    "the pod asks for {asked}, and neither NodePool {} nor its instance types have label {key}",
                    pool.name
                );
                return Some(self.reason(
                    Code::UnknownLabel,
                    message,
                    Some(format!("label {label} on NodePool {}", pool.name)),
                ));
            }
        }
        None
    }

    /// Does any type or offering of the pool have the label?
    fn carried(&self, key: &str) -> bool {
        let by_type = |t: &crate::model::InstanceType| {
            t.labels.contains_key(key) || t.offerings.iter().any(|o| o.labels.contains_key(key))
        };
        matches!(key, labels::ZONE | labels::CAPACITY_TYPE) || self.goods().pool.types.iter().any(by_type)
    }

    fn all_labels(&self) -> Bits {
        let (goods, shape) = (self.goods(), self.state.world.groups[self.group].shape);
        let mut mask = goods.matching(&shape.node_selector).mask;
        if let Some(terms) = &shape.node_terms {
            mask.intersect_with(&self.union(terms));
        }
        mask
    }

    fn union(&self, terms: &[Requirements]) -> Bits {
        let mut any = Bits::with_capacity(self.goods().choices.len());
        for term in terms {
            any.union_with(&self.goods().matching(term).mask);
        }
        any
    }

    fn volumes(&self) -> Option<Reason> {
        let shape = self.state.world.groups[self.group].shape;
        let mut mask = self.all_labels();
        if mask.is_clear() {
            return None;
        }
        for terms in &shape.volumes {
            let mut next = mask.clone();
            next.intersect_with(&self.union(terms));
            if next.is_clear() {
                let places: Vec<String> = terms.iter().map(ToString::to_string).collect();
                let places = places.join(" or ");
                let message = format!(
                    "a volume of the pod can be reached only from {places}, where NodePool {} sells nothing for it",
                    self.pool()
                );
                let zone = terms.iter().find_map(|t| t.get(labels::ZONE)?.any(""));
                let miss = zone.map(|zone| format!("zone {zone} added to NodePool {}", self.pool()));
                return Some(self.reason(Code::VolumeZone, message, miss));
            }
            mask = next;
        }
        None
    }

    /// Is there a type that is allowed, large enough, sold, and not sold out?
    fn types(&self) -> Option<Reason> {
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
            let first = fitting.minimum().unwrap_or(0);
            let (name, sold) = (&goods.instance_type(first).name, goods.offering(first));
            let offering = format!("{name} in {} ({})", sold.zone, sold.capacity_type.as_str());
            if let Some(zones) = self.without_addresses(&fitting) {
                let message = format!(
                    "{} offerings of NodePool {} would hold the pod, and no subnet of its class in {zones} has addresses left",
                    fitting.count_ones(..),
                    self.pool()
                );
                let miss = format!("a subnet with free addresses in {}", sold.zone);
                return Some(self.reason(Code::SubnetAddressesExhausted, message, Some(miss)));
            }
            let message = format!(
                "{} offerings of NodePool {} would hold the pod, all out of capacity now",
                fitting.count_ones(..),
                self.pool()
            );
            return Some(self.reason(Code::OfferingUnavailable, message, Some(format!("capacity for {offering}"))));
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

    /// Zones of the choices that lack nothing but addresses, in words; none if there are no such choices.
    fn without_addresses(&self, choices: &Bits) -> Option<String> {
        let goods = self.goods();
        let of = choices.ones().map(|at| goods.offering(at)).filter(|sold| sold.no_addresses);
        let zones: BTreeSet<&str> = of.map(|sold| &*sold.zone).collect();
        (!zones.is_empty()).then(|| zones.into_iter().collect::<Vec<_>>().join(", "))
    }

    /// No choice has the labels: is it the type, or only where and how it is sold?
    fn unsold(&self) -> Reason {
        let (goods, pool) = (self.goods(), self.goods().pool);
        let shape = self.state.world.groups[self.group].shape;
        let place = |r: &&Requirement| matches!(r.key.as_ref(), labels::ZONE | labels::CAPACITY_TYPE);
        let agrees = |t: &crate::model::InstanceType, list: &Requirements| {
            let settled = |r: &&Requirement| goods.open.get(&r.key).is_some() || pool.labels.contains_key(&r.key);
            let of_offering = |r: &&Requirement| t.offerings.iter().any(|o| o.labels.contains_key(&r.key));
            list.iter()
                .filter(|r| !place(r) && !settled(r) && !of_offering(r))
                .all(|r| r.allows(t.labels.get(&r.key).map(AsRef::as_ref)))
        };
        let term = |t: &crate::model::InstanceType| {
            shape.node_terms.as_ref().is_none_or(|terms| terms.iter().any(|x| agrees(t, x)))
        };
        let types: Vec<_> = pool
            .types
            .iter()
            .filter(|t| agrees(t, &pool.requirements) && agrees(t, &shape.node_selector) && term(t))
            .collect();
        let asked = self.asked();
        if types.is_empty() {
            let message = format!("no instance type of NodePool {} has {asked}", pool.name);
            return self.reason(
                Code::NoInstanceTypeFits,
                message,
                Some(format!("an instance type with {asked} allowed by NodePool {}", pool.name)),
            );
        }
        let Some(fit) = types.iter().find(|t| shape.requests.fits(&t.allocatable)) else {
            let none = Resources(shape.requests.iter().map(|(name, _)| (name.clone(), 0)).collect());
            let largest = types.iter().fold(none, |mut top, t| {
                top.raise_to(&t.allocatable);
                top
            });
            return self.larger_than(&largest);
        };
        let message =
            format!("{} would hold the pod, but nothing is sold under {asked} in NodePool {}", fit.name, pool.name);
        let zones: Vec<&str> = fit.offerings.iter().map(|o| o.zone.as_ref()).collect();
        let miss = zones.first().map(|zone| format!("zone {zone} or another capacity type allowed for {}", fit.name));
        self.reason(Code::NoOffering, message, miss)
    }

    /// What pod and pool ask of zone, capacity type and type labels, in words.
    fn asked(&self) -> String {
        let shape = self.state.world.groups[self.group].shape;
        let mut all = self.goods().pool.requirements.clone();
        all.add_all(&shape.node_selector);
        if let Some([term]) = shape.node_terms.as_deref() {
            all.add_all(term);
        }
        all.to_string()
    }

    fn too_large(&self, mask: &Bits) -> Reason {
        let (goods, world) = (self.goods(), self.state.world);
        let need = &world.groups[self.group].need;
        let top = goods.top(mask, world.dims.len());
        let over = (0..need.len()).filter(|d| need[*d] > top[*d]);
        let largest: Resources = Resources(over.map(|d| (world.dims.name(d).clone(), top[d].max(0))).collect());
        if !largest.0.is_empty() {
            return self.larger_than(&largest);
        }
        let wanted = &world.groups[self.group].shape.requests;
        let message = format!(
            "the pod asks for {wanted}; each amount alone fits some instance type of NodePool {}, no type has all of them",
            self.pool()
        );
        self.reason(
            Code::NoInstanceTypeFits,
            message,
            Some("a smaller request, or an instance type with that ratio".into()),
        )
    }

    fn larger_than(&self, largest: &Resources) -> Reason {
        let wanted = &self.state.world.groups[self.group].shape.requests;
        let short = wanted.iter().filter(|(name, amount)| largest.0.get(*name).is_some_and(|most| amount > most));
        let (mut said, mut miss) = (Vec::new(), None);
        for (name, amount) in short {
            let (asked, most) = (quantity(name, amount), quantity(name, largest.get(name)));
            said.push(format!("{asked} of {name} asked, {most} at most"));
            miss.get_or_insert(format!("{name} {asked} → {most}"));
        }
        let message = format!("no instance type of NodePool {} is large enough: {}", self.pool(), said.join("; "));
        self.reason(Code::NoInstanceTypeFits, message, miss)
    }

    /// Choices that would hold one pod alone, limits and topology aside.
    fn holding(&self) -> Bits {
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

    fn limits(&self) -> Option<Reason> {
        let goods = self.goods();
        let holding = self.holding();
        let affordable = self.state.affordable(&self.state.blank(self.shelf))?;
        if !holding.is_disjoint(&affordable) {
            return None;
        }
        let capacity = &goods.instance_type(holding.minimum()?).capacity;
        let limits = goods.pool.limits.iter().zip(&self.state.used[self.shelf]);
        let (mut said, mut miss) = (Vec::new(), None);
        for ((name, most), used) in limits {
            let after = used + limited_amount(capacity, name);
            if after > most {
                said.push(format!("limits.{name} is {}, {} in use", quantity(name, most), quantity(name, *used)));
                miss.get_or_insert(format!("limits.{name} {} → {}", quantity(name, most), quantity(name, after)));
            }
        }
        let message = format!("NodePool {} has no room left under its limits: {}", goods.pool.name, said.join("; "));
        Some(self.reason(Code::LimitExceeded, message, miss))
    }

    fn min_values(&self) -> Option<Reason> {
        if self.state.world.snapshot.policies.relax_min_values {
            return None;
        }
        let (goods, mut holding) = (self.goods(), self.holding());
        let blank = self.state.blank(self.shelf);
        let affordable = self.state.affordable(&blank);
        if let Some(affordable) = &affordable {
            holding.intersect_with(affordable);
        }
        let short = |(key, least): &&(Str, u32)| goods.distinct(&holding, key) < *least;
        let Some((key, least)) = goods.min_values.iter().find(short) else {
            return (!self.state.leaves_choice(&blank, &holding)).then(|| self.choice_is_taken());
        };
        let have = goods.distinct(&holding, key);
        let limits = if affordable.is_some() { " within its limits" } else { "" };
        let message = format!(
            "NodePool {} wants at least {least} values of {key} to choose from, {have} hold the pod{limits}",
            goods.pool.name
        );
        Some(self.reason(Code::MinValuesNotMet, message, Some(format!("minValues of {key} {least} → {have}"))))
    }

    fn choice_is_taken(&self) -> Reason {
        let message = format!(
            "what is left under the limits of NodePool {} is what its minValues want other new machines to choose from",
            self.pool()
        );
        self.reason(Code::LimitExceeded, message, Some("higher limits, or lower minValues".into()))
    }

    fn topology(&self) -> Option<Reason> {
        let world = self.state.world;
        let level = world.groups[self.group].levels.last()?;
        let holding = self.holding();
        let host = self.state.bin_host(self.state.bins.len());
        level.constraints.iter().find_map(|constraint| {
            let key = world.topology.key_name(constraint.key);
            let mut counts = Vec::new();
            let open = if world.topology.is_host(constraint.key) {
                self.state.allowance(constraint, Some(host)) > 0
            } else {
                let mut values = self.goods().values(&holding, key);
                if let Some(open) = self.goods().open.get(key) {
                    values = open.concrete().into_iter().flatten().cloned().collect();
                }
                let domains: Vec<u32> =
                    values.iter().filter_map(|v| world.topology.known_domain(constraint.key, v)).collect();
                for (value, domain) in values.iter().zip(&domains) {
                    counts.push(format!("{value}: {}", self.state.counted(constraint.counter, *domain)));
                }
                domains.iter().any(|d| self.state.allowance(constraint, Some(*d)) > 0)
            };
            (!open).then(|| self.blocked_by(constraint, key, &counts))
        })
    }

    fn blocked_by(&self, constraint: &Constraint, key: &str, counts: &[String]) -> Reason {
        let at = if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) };
        let pool = self.pool();
        match constraint.demand {
            Demand::Spread { max_skew, .. } => {
                let message = format!(
                    "every {key} that NodePool {pool} could add to is already {max_skew} ahead of the emptiest{at}"
                );
                self.reason(
                    Code::TopologySpread,
                    message,
                    Some(format!("maxSkew {max_skew} → {}, or room in the emptiest {key}", max_skew + 1)),
                )
            }
            Demand::Affinity => {
                let message =
                    format!("no node of NodePool {pool} could share its {key} with a pod the affinity asks for{at}");
                self.reason(Code::PodAffinity, message, Some(format!("a {key} with such a pod and room beside it")))
            }
            Demand::AntiAffinity => {
                let message = format!(
                    "every {key} of NodePool {pool} holds a pod that anti-affinity keeps apart from this one{at}"
                );
                self.reason(Code::PodAntiAffinity, message, Some(format!("one more {key}")))
            }
        }
    }

    fn first_topology_code(&self) -> Code {
        let level = self.state.world.groups[self.group].levels.last();
        match level.and_then(|l| l.constraints.first()).map(|c| c.demand) {
            Some(Demand::Spread { .. }) => Code::TopologySpread,
            Some(Demand::Affinity) => Code::PodAffinity,
            Some(Demand::AntiAffinity) => Code::PodAntiAffinity,
            None => Code::BudgetOfEffort,
        }
    }
}
