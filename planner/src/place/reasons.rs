//! Why a group has no place: per pool the first predicate that fails, and the change that would have let it pass. What a
//! pool has to sell is asked about in `scarce`.

use fixedbitset::FixedBitSet as Bits;

use super::shelf::Shelf;
use super::state::State;
use super::topology::{Constraint, Demand};
use crate::model::taint::untolerated;
use crate::model::{Code, Pool, Reason, Requirements, Str, labels};

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

/// A pool whose own terms exclude each other on some key: it can sell nothing to anybody.
pub(super) fn own_conflict(pool: &Pool) -> Option<Reason> {
    let mut all = pool.requirements.clone();
    all.add_all(&Requirements::of_labels(&pool.labels));
    let crossed = all.iter().find(|r| r.is_contradiction())?;
    let (key, name) = (&crossed.key, &pool.name);
    let label = pool.labels.get(key).map(|value| format!(" beside its label {key}={value}")).unwrap_or_default();
    Some(Reason {
        pool: name.clone(),
        code: Code::RequirementConflict,
        message: format!(
            "the requirements of NodePool {name} on {key} exclude each other{label}: no node has such a value"
        ),
        nearest_miss: Some(format!("one value of {key} that all requirements of NodePool {name} allow")),
    })
}

/// One group against one pool.
pub(super) struct Case<'s, 'w, 'a> {
    pub(super) state: &'s State<'w, 'a>,
    pub(super) group: usize,
    pub(super) shelf: usize,
}

impl Case<'_, '_, '_> {
    pub(super) fn goods(&self) -> &Shelf<'_> {
        &self.state.world.shelves[self.shelf]
    }

    pub(super) fn pool(&self) -> &Str {
        &self.goods().pool.name
    }

    pub(super) fn reason(&self, code: Code, message: String, nearest_miss: Option<String>) -> Reason {
        Reason { pool: self.pool().clone(), code, message, nearest_miss }
    }

    fn explain(&self) -> Reason {
        self.taints()
            .or_else(|| own_conflict(self.goods().pool))
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
        let taints = &self.goods().pool.taints;
        let missing = taints.iter().filter_map(|t| untolerated(std::slice::from_ref(t), &shape.tolerations, false));
        let missing: Vec<String> = missing.map(ToString::to_string).collect();
        if missing.is_empty() {
            return None;
        }
        let (s, all) = (if missing.len() > 1 { "s" } else { "" }, missing.join(", "));
        let message = format!("the pod does not tolerate taint{s} {all} of NodePool {}", self.pool());
        let misses: Vec<String> = missing.iter().map(|taint| format!("toleration for {taint}")).collect();
        Some(self.reason(Code::TaintNotTolerated, message, Some(misses.join(", "))))
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

    pub(super) fn all_labels(&self) -> Bits {
        let (goods, shape) = (self.goods(), self.state.world.groups[self.group].shape);
        let mut mask = goods.matching(&shape.node_selector).mask;
        if let Some(terms) = &shape.node_terms {
            mask.intersect_with(&self.union(terms));
        }
        mask
    }

    pub(super) fn union(&self, terms: &[Requirements]) -> Bits {
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

    fn topology(&self) -> Option<Reason> {
        let world = self.state.world;
        let level = world.groups[self.group].levels.last()?;
        let holding = self.holding();
        let host = self.state.bin_host(self.state.bins.len());
        level.constraints.iter().find_map(|constraint| {
            let key = world.topology.key_name(constraint.key);
            if let Some(reason) = self.without_domains(constraint, key, &holding) {
                return Some(reason);
            }
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

    /// A constraint that wants a label which no machine for the pod would have.
    fn without_domains(&self, constraint: &Constraint, key: &str, holding: &Bits) -> Option<Reason> {
        let (code, purpose) = match constraint.demand {
            Demand::Spread { .. } => (Code::TopologySpread, "over which the pod has to spread"),
            Demand::Affinity => (Code::PodAffinity, "in which the pod wants others near"),
            Demand::AntiAffinity => return None,
        };
        let (goods, pool) = (self.goods(), self.pool());
        if self.state.world.topology.is_host(constraint.key) || holding.is_clear() {
            return None;
        }
        if let Some(open) = goods.open.get(key).filter(|open| open.wants_label()) {
            let unnamed = open.concrete().is_none();
            let message = format!("NodePool {pool} names no values of label {key}, {purpose}");
            return unnamed
                .then(|| self.reason(code, message, Some(format!("values of {key} named by NodePool {pool}"))));
        }
        if !goods.values(holding, key).is_empty() {
            return None;
        }
        let message = format!("no node that NodePool {pool} could buy for the pod has label {key}, {purpose}");
        Some(self.reason(code, message, Some(format!("label {key} on NodePool {pool}"))))
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
            // Nothing else keeps pods without constraints from a machine that would hold them.
            None => Code::MinValuesNotMet,
        }
    }
}
