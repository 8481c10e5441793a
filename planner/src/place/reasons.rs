//! Why a group has no place: per pool the first predicate that fails, and the change that would have let it pass. Labels are
//! asked about here and in `agreement`, volumes in `reach`, what a pool has to sell in `scarce` and `unsold`, topology in
//! `domains`, and in `jointly` where only all of it together leaves nothing; what stands against anybody is in `stock`.

use fixedbitset::FixedBitSet as Bits;

use super::shelf::Shelf;
use super::state::State;
use super::stock::own_conflict;
use crate::model::labels::well_known;
use crate::model::taint::untolerated;
use crate::model::{Code, Reason, Requirement, Requirements, Str, labels};

/// One reason per dynamic pool, or one that no pool can change.
pub(crate) fn reasons(state: &State, group: usize) -> Vec<Reason> {
    let shape = state.world.groups[group].shape;
    if let Some(refused) = &shape.refused {
        return vec![refused.clone()];
    }
    let mut out = Vec::new();
    for pool in state.world.snapshot.pools.iter().filter(|pool| pool.dynamic()) {
        if let Some(reason) = &pool.not_ready {
            out.push(Reason { pool: pool.name.clone(), ..reason.clone() });
            continue;
        }
        let shelves = state.world.shelves.iter().enumerate().filter(|(_, shelf)| shelf.pool.name == pool.name);
        let reasons = shelves.map(|(shelf, _)| Case { state, group, shelf }.explain());
        // Of several shelves the one that would take most.
        out.extend(reasons.rev().max_by_key(|(rank, _)| *rank).map(|(_, reason)| reason));
    }
    if out.is_empty() {
        let miss = Some("a NodePool whose node class is ready".into());
        out.push(Reason::everywhere(Code::NoNodePool, "there is no NodePool that buys nodes for pods", miss));
    }
    out
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

    /// The first predicate that fails, by its number, and why.
    fn explain(&self) -> (usize, Reason) {
        let predicates: [&dyn Fn() -> Option<Reason>; 9] = [
            &|| self.taints(),
            &|| own_conflict(self.goods().pool),
            &|| self.labels(),
            &|| self.volumes(),
            &|| self.types(),
            &|| self.limits(),
            &|| self.min_values(),
            &|| self.topology(),
            &|| self.jointly(),
        ];
        let failed = predicates.iter().enumerate().find_map(|(at, fails)| Some((at, fails()?)));
        failed.unwrap_or_else(|| {
            let message =
                format!("no machine of NodePool {} satisfies all constraints of the pod at once", self.pool());
            (predicates.len(), self.reason(self.first_topology_code(), message, None))
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
            let miss = Some("a term of it that some node can satisfy".into());
            return Some(self.reason(Code::RequirementConflict, message, miss));
        }
        let mut first = None;
        for all in self.alternatives() {
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
                let message = format!("the pod asks for {}, NodePool {} has {offered}", asked.of_pod(), pool.name);
                self.reason(Code::RequirementConflict, message, Some(self.agreement(asked)))
            };
            if let Some(value) = pool.labels.get(key) {
                if !asked.allows(Some(value)) {
                    return Some(conflict(format!("{key}={value}")));
                }
            } else if let Some(offered) = goods.open.get(key).or_else(|| pool.requirements.get(key)) {
                let missing_wanted = !asked.wants_label() && asked.concrete().is_some() && offered.wants_label();
                if !asked.intersects(offered) || missing_wanted {
                    let all = pool.requirements.get(key).filter(|all| !asked.intersects(all));
                    return Some(conflict(all.unwrap_or(offered).to_string()));
                }
            } else if asked.wants_label() && !self.carried(key) {
                return Some(self.unknown(asked));
            }
        }
        None
    }

    /// Neither the pool nor anything that it sells has the label.
    fn unknown(&self, asked: &Requirement) -> Reason {
        let (key, text, pool) = (&asked.key, asked.of_pod(), self.pool());
        if well_known(key) {
            // A pool cannot define it: only its provider can.
            let message = format!("the pod asks for {text}, and nothing that NodePool {pool} sells has label {key}");
            return self.reason(Code::RequirementConflict, message, Some(format!("{key} not asked for")));
        }
        let value = asked.any("").filter(|v| !v.is_empty());
        let label = value.map_or_else(|| key.to_string(), |v| format!("{key}={v}"));
        let message =
            format!("the pod asks for {text}, and neither NodePool {pool} nor its instance types have label {key}");
        self.reason(Code::UnknownLabel, message, Some(format!("label {label} on NodePool {pool}")))
    }

    /// Does any type or offering of the pool have the label?
    fn carried(&self, key: &str) -> bool {
        matches!(key, labels::ZONE | labels::CAPACITY_TYPE) || self.values_sold(key).next().is_some()
    }

    /// What the pod asks of a node's labels; more than one where its node affinity has several terms.
    pub(super) fn alternatives(&self) -> Vec<Requirements> {
        let shape = self.state.world.groups[self.group].shape;
        let Some(terms) = &shape.node_terms else { return vec![shape.node_selector.clone()] };
        let with = |term: &Requirements| {
            let mut all = shape.node_selector.clone();
            all.add_all(term);
            all
        };
        terms.iter().map(with).collect()
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
}
