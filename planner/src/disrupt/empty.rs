//! Nodes on which no pod is left that anybody would miss.

use crate::model::Code;
use crate::model::budget::DisruptionReason;

use super::allowance::Allowances;
use super::candidates::{Candidate, candidate};
use super::fleet::Fleet;
use super::{Kept, Retirement, Verdict};

type Rule = fn(&Candidate<'_>) -> Option<(Code, String)>;

/// In the reference's order.
const RULES: &[Rule] = &[dynamic, consolidates, not_kept_free, empty, rested];

/// Every empty node that its pool's budgets let go, whatever the pool's consolidation policy.
pub fn empty_nodes(fleet: &Fleet) -> Verdict {
    let mut out = Verdict::default();
    let mut allowances = Allowances::of(fleet, DisruptionReason::Empty);
    for machine in &fleet.machines {
        let found = candidate(machine, fleet).and_then(|found| {
            let no = RULES.iter().find_map(|rule| rule(&found));
            no.map_or(Ok(found), |(code, message)| Err(Kept { node: machine.node.clone(), code, message }))
        });
        match found {
            Err(kept) => out.kept.push(kept),
            Ok(Candidate { claim, pool, .. }) => {
                out.n_eligible += 1;
                if allowances.take(pool) {
                    out.retire.push(Retirement {
                        node: machine.node.clone(),
                        claim: claim.clone(),
                        pool: pool.clone(),
                        reason: DisruptionReason::Empty,
                    });
                } else {
                    out.kept.push(Kept {
                        node: machine.node.clone(),
                        code: Code::BudgetExhausted,
                        message: format!("NodePool {pool} has no allowed disruptions left for reason Empty"),
                    });
                }
            }
        }
    }
    out
}

fn dynamic(found: &Candidate<'_>) -> Option<(Code, String)> {
    let message = || format!("NodePool {} keeps a fixed number of nodes", found.pool);
    found.terms.is_static.then(|| (Code::ConsolidationDisabled, message()))
}

fn consolidates(found: &Candidate<'_>) -> Option<(Code, String)> {
    let message = || format!("NodePool \"{}\" has consolidation disabled", found.pool);
    (!found.terms.consolidates).then(|| (Code::ConsolidationDisabled, message()))
}

fn not_kept_free(found: &Candidate<'_>) -> Option<(Code, String)> {
    let n = found.machine.stand_ins;
    (n > 0).then(|| (Code::PodsWouldNotFit, format!("{n} stand-ins of CapacityBuffers have their room on it")))
}

fn empty(found: &Candidate<'_>) -> Option<(Code, String)> {
    let machine = found.machine;
    if machine.is_empty() {
        return None;
    }
    let n_pods = machine.occupants.iter().filter(|occupant| occupant.reschedulable).count();
    Some((Code::PodsWouldNotFit, format!("{n_pods} pods on it would need another place")))
}

fn rested(found: &Candidate<'_>) -> Option<(Code, String)> {
    let message = "pods came or went within consolidateAfter";
    (!found.machine.consolidatable).then(|| (Code::ConsolidateAfterPending, message.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::fleet::{EVICTION_UNIT, Machine, Occupant, PoolTerms};
    use super::*;
    use crate::model::budget::{Budget, Budgets};

    fn machine(node: &str) -> Machine {
        Machine {
            node: node.into(),
            claim: Some(format!("claim-of-{node}").into()),
            pool: Some("p".into()),
            initialized: true,
            ready: true,
            consolidatable: true,
            ..Machine::default()
        }
    }

    fn fleet(nodes: &str, machines: Vec<Machine>) -> Fleet {
        let budgets = Budgets::Of(vec![Budget::parse::<&str>(nodes, None, None, None).unwrap()]);
        let terms = PoolTerms { budgets, consolidates: true, is_static: false, types_known: true };
        Fleet { now: 0, machines, pools: [("p".into(), terms)].into() }
    }

    fn codes(verdict: &Verdict) -> Vec<(&str, Code)> {
        verdict.kept.iter().map(|kept| (&*kept.node, kept.code)).collect()
    }

    #[test]
    fn empty_nodes_go_within_the_budget_in_order_of_name() {
        let verdict = empty_nodes(&fleet("2", vec![machine("a"), machine("b"), machine("c")]));
        let nodes: Vec<_> = verdict.retire.iter().map(|r| (&*r.node, &*r.claim)).collect();
        assert_eq!(nodes, [("a", "claim-of-a"), ("b", "claim-of-b")]);
        assert_eq!(codes(&verdict), [("c", Code::BudgetExhausted)]);
        assert_eq!(verdict.n_eligible, 3);
    }

    #[test]
    fn a_node_with_a_pod_that_costs_something_or_that_just_lost_one_stays() {
        let pod = Occupant { key: "a/b".into(), reschedulable: true, cost: EVICTION_UNIT, obstacle: None };
        let daemon = Occupant { reschedulable: false, ..pod.clone() };
        let verdict = empty_nodes(&fleet(
            "100%",
            vec![
                Machine { occupants: vec![pod], ..machine("busy") },
                Machine { occupants: vec![daemon], ..machine("daemons-only") },
                Machine { consolidatable: false, ..machine("restless") },
                Machine { stand_ins: 2, ..machine("spare") },
            ],
        ));
        assert_eq!(verdict.retire.len(), 1);
        let expected = [
            ("busy", Code::PodsWouldNotFit),
            ("restless", Code::ConsolidateAfterPending),
            ("spare", Code::PodsWouldNotFit),
        ];
        assert_eq!(codes(&verdict), expected);
    }

    #[test]
    fn a_pool_that_never_consolidates_or_is_static_keeps_its_empty_nodes() {
        for change in [(|t| t.consolidates = false) as fn(&mut PoolTerms), |t| t.is_static = true] {
            let mut fleet = fleet("100%", vec![machine("a")]);
            change(fleet.pools.get_mut("p").unwrap());
            assert_eq!(codes(&empty_nodes(&fleet)), [("a", Code::ConsolidationDisabled)]);
        }
    }
}
