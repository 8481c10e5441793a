//! Why no domain takes a group: topology spread, pod affinity and anti-affinity against what a pool could buy.

use std::collections::BTreeSet;

use fixedbitset::FixedBitSet as Bits;

use super::agreement::spoken;
use super::reasons::Case;
use super::topology::{Constraint, Demand};
use crate::model::{Code, Reason, Requirement, Str};

/// Domains named in one message.
const MOST_DOMAINS: usize = 6;

/// A domain that a pool could add to, and how many pods are counted in it.
pub(super) type Counted = (u32, u32);

impl Case<'_, '_, '_> {
    pub(super) fn topology(&self) -> Option<Reason> {
        let world = self.state.world;
        let level = world.groups[self.group].levels.last()?;
        let holding = self.holding();
        let host = self.state.bin_host(self.state.bins.len());
        level.constraints.iter().find_map(|constraint| {
            let key = world.topology.key_name(constraint.key);
            if let Some(reason) = self.without_domains(constraint, key, &holding) {
                return Some(reason);
            }
            let mut counts: Vec<Counted> = Vec::new();
            let open = if world.topology.is_host(constraint.key) {
                self.state.allowance(constraint, Some(host)) > 0
            } else {
                let domains = self.domains(constraint.key, &holding).into_iter();
                counts.extend(domains.map(|d| (d, self.state.counted(constraint.counter, d))));
                counts.iter().any(|(d, _)| self.state.allowance(constraint, Some(*d)) > 0)
            };
            (!open).then(|| self.blocked_by(constraint, key, &counts))
        })
    }

    /// Domains in which one of these choices could stand for the pod, as far as they are known.
    pub(super) fn domains(&self, key: usize, choices: &Bits) -> Vec<u32> {
        let (world, goods) = (self.state.world, self.goods());
        let name = world.topology.key_name(key);
        let values: BTreeSet<Str> = match goods.open.get(name) {
            Some(open) => {
                let ways = world.groups[self.group].levels.last().into_iter().flat_map(|l| &l.compat[self.shelf].ways);
                let left =
                    ways.map(|way| way.open.get(name).map_or_else(|| open.clone(), |asked| asked.intersect(open)));
                let had = goods.values_had(choices, name);
                left.flat_map(|left| left.concrete().cloned().unwrap_or_default()).chain(had).collect()
            }
            None => return self.known(key, &goods.values(choices, name)),
        };
        self.known(key, &values)
    }

    fn known<'v>(&self, key: usize, values: impl IntoIterator<Item = &'v Str>) -> Vec<u32> {
        values.into_iter().filter_map(|value| self.state.world.topology.known_domain(key, value)).collect()
    }

    /// A constraint that cannot hold on any machine for the pod, as none has the label or a value of it that is known.
    pub(super) fn without_domains(&self, constraint: &Constraint, key: &str, holding: &Bits) -> Option<Reason> {
        let (code, purpose) = match constraint.demand {
            Demand::Spread { .. } => (Code::TopologySpread, "over which the pod has to spread"),
            Demand::Affinity => (Code::PodAffinity, "in which the pod wants others near"),
            Demand::AntiAffinity => (Code::PodAntiAffinity, "in which anti-affinity keeps the pod apart from others"),
        };
        let (goods, pool) = (self.goods(), self.pool());
        if self.state.world.topology.is_host(constraint.key) || holding.is_clear() {
            return None;
        }
        if goods.open.get(key).is_some_and(Requirement::wants_label) {
            let is_unnamed = self.domains(constraint.key, holding).is_empty();
            let message = format!("NodePool {pool} names no values of label {key}, {purpose}");
            return is_unnamed
                .then(|| self.reason(code, message, Some(format!("values of {key} named by NodePool {pool}"))));
        }
        // Nobody is near a node that lacks the label.
        if constraint.demand == Demand::AntiAffinity || !goods.values(holding, key).is_empty() {
            return None;
        }
        let message = format!("no node that NodePool {pool} could buy for the pod has label {key}, {purpose}");
        Some(self.reason(code, message, Some(format!("label {key} on NodePool {pool}"))))
    }

    pub(super) fn blocked_by(&self, constraint: &Constraint, key: &str, counts: &[Counted]) -> Reason {
        let pool = self.pool();
        let at = self.listed(constraint, counts);
        let picked = self.state.world.topology.picked(constraint.counter);
        match constraint.demand {
            Demand::Spread { max_skew, min_domains } => self.uneven(constraint, key, counts, (max_skew, min_domains)),
            Demand::Affinity => {
                let message = format!(
                    "no node of NodePool {pool} could share its {key} with a pod the affinity asks for: {picked}{at}"
                );
                let miss = if self.state.total(constraint.counter) == 0 {
                    format!("a place for {picked}")
                } else {
                    format!("a {} with such a pod and room beside it", spoken(key))
                };
                self.reason(Code::PodAffinity, message, Some(miss))
            }
            Demand::AntiAffinity => {
                let message = format!(
                    "every {key} of NodePool {pool} holds a pod that anti-affinity keeps apart from this one: {picked}{at}"
                );
                self.reason(Code::PodAntiAffinity, message, Some(format!("one more {}", spoken(key))))
            }
        }
    }

    /// Spread: too few domains, or those that the pool could add to are ahead of others.
    fn uneven(&self, spread: &Constraint, key: &str, counts: &[Counted], (skew, most): (u32, u32)) -> Reason {
        let (pool, at) = (self.pool(), self.listed(spread, counts));
        let counted = |domain: &u32| self.state.counted(spread.counter, *domain);
        let lowest = counts.iter().map(|(_, n)| *n).min().unwrap_or(0);
        let emptiest = spread.universe.iter().min_by_key(|domain| counted(domain));
        let least = emptiest.map_or(0, counted);
        let there = u32::try_from(spread.universe.len()).unwrap_or(u32::MAX);
        // What the skew has to be for one pod more where there are fewest of those that can be added to.
        let needed = |least: u32| lowest.saturating_sub(least) + u32::from(spread.counts_itself);
        let are_few = there < most;
        let of_which =
            if there == 1 { "of which there is 1".to_string() } else { format!("of which there are {there}") };
        if are_few && needed(least) <= skew {
            let message = format!(
                "minDomains {most} over {key}, {of_which}: each that NodePool {pool} could add to may \
                 hold no more than its maxSkew, {skew}{at}"
            );
            let miss = format!("minDomains {most} → {there}, or one more {}", spoken(key));
            return self.reason(Code::TopologySpread, message, Some(miss));
        }
        let least = if are_few { 0 } else { least };
        let others = emptiest.filter(|domain| counts.iter().all(|(d, _)| d != *domain));
        let beside = match others {
            _ if are_few => format!("; minDomains {most}, {of_which}: the emptiest counts as 0"),
            Some(domain) => format!("; {}: {least}, where it can buy nothing for the pod", self.name(spread, *domain)),
            None => String::new(),
        };
        let ahead = lowest.saturating_sub(least).max(skew);
        let message = format!(
            "every {key} that NodePool {pool} could add to is already {ahead} ahead of the emptiest{at}{beside}"
        );
        let room = others.map_or_else(|| format!("the emptiest {}", spoken(key)), |domain| self.name(spread, *domain));
        let miss = format!("maxSkew {skew} → {}, or room in {room}", needed(least).max(skew + 1));
        self.reason(Code::TopologySpread, message, Some(miss))
    }

    fn name(&self, constraint: &Constraint, domain: u32) -> String {
        self.state.world.topology.domain_name(constraint.key, domain).to_string()
    }

    fn listed(&self, constraint: &Constraint, counts: &[Counted]) -> String {
        if counts.is_empty() {
            return String::new();
        }
        let one = |(domain, n): &Counted| format!("{}: {n}", self.name(constraint, *domain));
        let mut all: Vec<String> = counts.iter().take(MOST_DOMAINS).map(one).collect();
        if counts.len() > MOST_DOMAINS {
            all.push(format!("and {} more", counts.len() - MOST_DOMAINS));
        }
        format!(" ({})", all.join(", "))
    }

    pub(super) fn first_topology_code(&self) -> Code {
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
