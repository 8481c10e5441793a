//! Why constraints leave a group nothing together, though a machine could meet each of them alone.

use std::collections::BTreeSet;

use fixedbitset::FixedBitSet as Bits;

use super::agreement::spoken;
use super::domains::Counted;
use super::reasons::Case;
use super::topology::Constraint;
use crate::model::Reason;

/// Ways of settling the domains for which `minValues` are asked about.
const MOST_SETTLED: usize = 16;

impl Case<'_, '_, '_> {
    /// Topology against itself, then limits and `minValues` against what all of it leaves.
    pub(super) fn jointly(&self) -> Option<Reason> {
        let topology = &self.state.world.topology;
        let level = self.state.world.groups[self.group].levels.last()?;
        // A new machine is a host of its own.
        let constraints: Vec<&Constraint> = level.constraints.iter().filter(|c| !topology.is_host(c.key)).collect();
        match self.left_by(&constraints) {
            Some(left) => self.limits_among(&left).or_else(|| self.min_values_settled(&constraints, left)),
            None => self.at_odds(&constraints),
        }
    }

    /// Choices on which one pod would meet all of these constraints; nothing where there is none.
    fn left_by(&self, constraints: &[&Constraint]) -> Option<Bits> {
        let (topology, goods) = (&self.state.world.topology, self.goods());
        let mut left = self.holding();
        for constraint in constraints {
            let name = topology.key_name(constraint.key);
            let lets = |domain: Option<u32>| self.state.allowance(constraint, domain) > 0;
            if goods.open.get(name).is_some() {
                let domains = self.domains(constraint.key, &left);
                let of_key: Vec<&Constraint> =
                    constraints.iter().copied().filter(|c| c.key == constraint.key).collect();
                let any = domains.iter().any(|domain| self.all_let(&of_key, *domain));
                let is_left = if domains.is_empty() { lets(None) } else { any };
                if !is_left {
                    return None;
                }
            } else if let Some(fixed) = goods.pool.labels.get(name) {
                if !lets(topology.known_domain(constraint.key, fixed)) {
                    return None;
                }
            } else {
                let mut open = if lets(None) { goods.all() } else { Bits::with_capacity(goods.choices.len()) };
                for (value, choices) in goods.in_values(name) {
                    if lets(topology.known_domain(constraint.key, value)) {
                        open.union_with(choices);
                    } else {
                        open.difference_with(choices);
                    }
                }
                left.intersect_with(&open);
            }
        }
        (!left.is_clear()).then_some(left)
    }

    fn all_let(&self, constraints: &[&Constraint], domain: u32) -> bool {
        constraints.iter().all(|c| self.state.allowance(c, Some(domain)) > 0)
    }

    /// The first constraint without which the others would leave something, against what that is.
    fn at_odds(&self, constraints: &[&Constraint]) -> Option<Reason> {
        let without = |at: usize| [&constraints[..at], &constraints[at + 1..]].concat();
        let alone = (0..constraints.len()).map(|at| (at, without(at)));
        // Where no single one is in the way: the one that takes the last that those before it leave.
        let before = (0..constraints.len()).rev().map(|at| (at, constraints[..at].to_vec()));
        let (at, others, left) =
            alone.chain(before).find_map(|(at, others)| self.left_by(&others).map(|left| (at, others, left)))?;
        let constraint = constraints[at];
        let key = self.state.world.topology.key_name(constraint.key);
        let of_key: Vec<&Constraint> = others.into_iter().filter(|c| c.key == constraint.key).collect();
        let domains = self.domains(constraint.key, &left).into_iter().filter(|d| self.all_let(&of_key, *d));
        let counts: Vec<Counted> = domains.map(|d| (d, self.state.counted(constraint.counter, d))).collect();
        let reason =
            self.without_domains(constraint, key, &left).unwrap_or_else(|| self.blocked_by(constraint, key, &counts));
        let message = format!("{}; the pod's other constraints leave no other {}", reason.message, spoken(key));
        Some(Reason { message, ..reason })
    }

    /// Too little choice once a machine stands in one domain of each key that constraints look at. Of the cheapest domains
    /// those that lack least are told.
    fn min_values_settled(&self, constraints: &[&Constraint], mut left: Bits) -> Option<Reason> {
        let (topology, goods) = (&self.state.world.topology, self.goods());
        let names = constraints.iter().map(|c| topology.key_name(c.key));
        let keys: BTreeSet<&str> = names.map(AsRef::as_ref).filter(|name| goods.is_indexed(name)).collect();
        if let Some(affordable) = self.state.affordable(&self.state.blank(self.shelf)) {
            left.intersect_with(&affordable);
        }
        let mut best: Option<(u32, Bits)> = None;
        for _ in 0..MOST_SETTLED {
            let Some(first) = left.minimum() else { break };
            let mut settled = left.clone();
            let values = keys.iter().filter_map(|key| goods.with_value(key, goods.label(first, key)?));
            values.for_each(|choices| settled.intersect_with(choices));
            left.difference_with(&settled);
            let lacking =
                goods.min_values.iter().map(|(key, least)| least.saturating_sub(goods.distinct(&settled, key)));
            let lacking = lacking.sum();
            if best.as_ref().is_none_or(|(least, _)| lacking < *least) {
                best = Some((lacking, settled));
            }
        }
        let spoken: Vec<&str> = keys.into_iter().map(spoken).collect();
        let verb = if spoken.len() == 1 { "is" } else { "are" };
        let settled = format!(" once its {} {verb} settled", spoken.join(" and "));
        best.and_then(|(_, choices)| self.min_values_among(choices, if spoken.is_empty() { "" } else { &settled }))
    }
}
