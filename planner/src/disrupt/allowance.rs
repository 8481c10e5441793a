//! How many nodes of each pool may still go, by its budgets.

use std::collections::BTreeMap;

use crate::model::Str;
use crate::model::budget::{Allowance, DisruptionReason};

use super::fleet::{Fleet, Machine};

/// What is left of every pool's budgets for one reason, taken from as nodes are chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowances {
    allowed: BTreeMap<Str, Allowance>,
    left: BTreeMap<Str, Allowance>,
    used: BTreeMap<Str, u32>,
    counted: BTreeMap<Str, u32>,
}

impl Allowances {
    /// Nodes that are not ready, or on their way out for whatever reason, have used up a part already.
    pub fn of(fleet: &Fleet, reason: DisruptionReason) -> Self {
        let counts = |machine: &&Machine| machine.claim.is_some() && machine.initialized && !machine.terminating;
        let (mut used, mut allowed, mut counted) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let left = fleet.pools.iter().map(|(pool, terms)| {
            let of_pool = || fleet.machines.iter().filter(counts).filter(|machine| machine.pool.as_ref() == Some(pool));
            let n_nodes = clipped(of_pool().count());
            let n_gone = clipped(of_pool().filter(|machine| !machine.ready || machine.leaving).count());
            used.insert(pool.clone(), n_gone);
            counted.insert(pool.clone(), n_nodes);
            allowed.insert(pool.clone(), terms.budgets.allowed(reason, n_nodes, fleet.now));
            (pool.clone(), terms.budgets.remaining(reason, n_nodes, n_gone, fleet.now))
        });
        let left = left.collect();
        Self { allowed, left, used, counted }
    }

    /// What the budgets of this pool allow, whatever uses them up.
    pub fn allowed(&self, pool: &str) -> Allowance {
        self.allowed.get(pool).copied().unwrap_or(Allowance::Nodes(0))
    }

    /// What is left for this pool.
    pub fn left(&self, pool: &str) -> Allowance {
        self.left.get(pool).copied().unwrap_or(Allowance::Nodes(0))
    }

    /// Nodes of this pool that use up its budgets already.
    pub fn used(&self, pool: &str) -> u32 {
        self.used.get(pool).copied().unwrap_or_default()
    }

    /// Nodes of this pool that its budgets are shares of.
    pub fn counted(&self, pool: &str) -> u32 {
        self.counted.get(pool).copied().unwrap_or_default()
    }

    /// Takes one node of the pool; false if its budgets do not allow it.
    pub fn take(&mut self, pool: &str) -> bool {
        match self.left.get_mut(pool) {
            Some(Allowance::Unlimited) => true,
            Some(Allowance::Nodes(left)) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

fn clipped(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::fleet::PoolTerms;
    use super::*;
    use crate::model::budget::{Budget, Budgets};

    fn budget(nodes: &str) -> Budget {
        Budget::parse::<&str>(nodes, None, None, None).unwrap()
    }

    fn fleet(budgets: Budgets, machines: Vec<Machine>) -> Fleet {
        let terms = PoolTerms { budgets, consolidates: true, is_static: false, types_known: true };
        Fleet { now: 0, machines, pools: [("p".into(), terms)].into() }
    }

    fn machine() -> Machine {
        Machine {
            claim: Some("c".into()),
            pool: Some("p".into()),
            initialized: true,
            ready: true,
            ..Machine::default()
        }
    }

    #[test]
    fn nodes_not_ready_or_leaving_use_up_the_budget_and_those_ending_do_not_count() {
        let mut machines = vec![machine(); 20];
        machines[0].ready = false;
        machines[1].leaving = true;
        machines.push(Machine { terminating: true, leaving: true, ..machine() });
        machines.push(Machine { initialized: false, ..machine() });
        machines.push(Machine { claim: None, ..machine() });
        let fleet = fleet(Budgets::Of(vec![budget("20%"), budget("5")]), machines);
        let mut allowances = Allowances::of(&fleet, DisruptionReason::Empty);
        assert_eq!(allowances.left("p"), Allowance::Nodes(2), "4 of 20, 2 used");
        assert_eq!((allowances.used("p"), allowances.allowed("p")), (2, Allowance::Nodes(4)));
        assert_eq!((allowances.counted("p"), allowances.counted("q")), (20, 0));
        assert!(allowances.take("p") && allowances.take("p") && !allowances.take("p"));
    }

    #[test]
    fn a_pool_without_budgets_is_not_limited_and_one_with_unreadable_ones_gives_nothing() {
        let mut free = Allowances::of(&fleet(Budgets::Of(Vec::new()), vec![machine()]), DisruptionReason::Empty);
        assert!(free.take("p") && free.take("p"));
        assert!(!free.take("another"));
        let closed = fleet(Budgets::Unreadable("no".to_owned()), vec![machine()]);
        assert!(!Allowances::of(&closed, DisruptionReason::Empty).take("p"));
    }
}
