//! May this node be touched at all? A list of rules, asked in this order; the first that says no is the reason.

use crate::model::Code;

use super::fleet::{Fleet, Machine, Obstacle, PoolTerms};
use super::{Kept, Str};

/// A node that passed every rule, with the terms of its pool.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    pub machine: &'a Machine,
    pub claim: &'a Str,
    pub pool: &'a Str,
    pub terms: &'a PoolTerms,
}

type Rule = fn(&Machine, &Fleet) -> Option<(Code, String)>;

/// In the reference's order.
const RULES: &[Rule] = &[managed, initialized, not_leaving, not_nominated, not_protected, in_a_pool, no_obstacle];

/// The candidate, or why it is none.
pub fn candidate<'a>(machine: &'a Machine, fleet: &'a Fleet) -> Result<Candidate<'a>, Kept> {
    let no = |(code, message)| Kept { node: machine.node.clone(), code, message };
    if let Some(refusal) = RULES.iter().find_map(|rule| rule(machine, fleet)) {
        return Err(no(refusal));
    }
    let terms = machine.pool.as_ref().and_then(|pool| Some((pool, fleet.pools.get(pool)?)));
    match (&machine.claim, terms) {
        (Some(claim), Some((pool, terms))) => Ok(Candidate { machine, claim, pool, terms }),
        _ => Err(no((Code::NotManaged, "the node has no NodeClaim or no NodePool".to_owned()))),
    }
}

fn managed(machine: &Machine, _: &Fleet) -> Option<(Code, String)> {
    machine.claim.is_none().then(|| (Code::NotManaged, "the node has no NodeClaim".to_owned()))
}

fn initialized(machine: &Machine, _: &Fleet) -> Option<(Code, String)> {
    (!machine.initialized).then(|| (Code::NotInitialized, "node isn't initialized".to_owned()))
}

fn not_leaving(machine: &Machine, _: &Fleet) -> Option<(Code, String)> {
    let message = "node is deleting or marked for deletion";
    (machine.leaving || machine.terminating).then(|| (Code::NotInitialized, message.to_owned()))
}

fn not_nominated(machine: &Machine, _: &Fleet) -> Option<(Code, String)> {
    machine.nominated.then(|| (Code::Nominated, "node is nominated for a pending pod".to_owned()))
}

fn not_protected(machine: &Machine, _: &Fleet) -> Option<(Code, String)> {
    let message = "disruption is blocked through the \"karpenter.sh/do-not-disrupt\" annotation";
    machine.protected.then(|| (Code::DoNotDisruptNode, message.to_owned()))
}

fn in_a_pool(machine: &Machine, fleet: &Fleet) -> Option<(Code, String)> {
    let Some(pool) = &machine.pool else {
        return Some((Code::NodePoolMissing, "node doesn't have required label \"karpenter.sh/nodepool\"".to_owned()));
    };
    match fleet.pools.get(pool) {
        Some(terms) if terms.types_known => None,
        _ => Some((Code::NodePoolMissing, format!("NodePool not found (NodePool={pool})"))),
    }
}

fn no_obstacle(machine: &Machine, _: &Fleet) -> Option<(Code, String)> {
    let obstacles = || machine.occupants.iter().filter_map(|o| Some((&o.key, o.obstacle.as_ref()?)));
    // Protection is looked at before budgets, on whatever pod it stands.
    let protected = obstacles().find(|(_, obstacle)| **obstacle == Obstacle::Protected);
    let (key, obstacle) = protected.or_else(|| obstacles().next())?;
    Some(match obstacle {
        Obstacle::Protected => {
            (Code::DoNotDisruptPod, format!("pod has \"karpenter.sh/do-not-disrupt\" annotation (Pod={key})"))
        }
        Obstacle::Pdb(pdb) => {
            (Code::PodDisruptionBudget, format!("pdb prevents pod evictions (PodDisruptionBudget={pdb})"))
        }
        Obstacle::SeveralPdbs => {
            (Code::PodDisruptionBudget, format!("eviction does not support multiple PDBs (Pod={key})"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::fleet::Occupant;
    use super::*;
    use crate::model::budget::Budgets;

    fn fleet() -> Fleet {
        let terms = PoolTerms { budgets: Budgets::default(), consolidates: true, is_static: false, types_known: true };
        Fleet { pools: [("p".into(), terms)].into(), ..Fleet::default() }
    }

    fn sound() -> Machine {
        Machine {
            node: "n".into(),
            claim: Some("c".into()),
            pool: Some("p".into()),
            initialized: true,
            ready: true,
            ..Machine::default()
        }
    }

    fn with(obstacles: &[Obstacle]) -> Machine {
        let occupant = |obstacle: &Obstacle| Occupant {
            key: "a/b".into(),
            reschedulable: true,
            cost: 1,
            obstacle: Some(obstacle.clone()),
        };
        Machine { occupants: obstacles.iter().map(occupant).collect(), ..sound() }
    }

    #[test]
    fn a_sound_node_is_a_candidate() {
        let (fleet, machine) = (fleet(), sound());
        assert_eq!(&**candidate(&machine, &fleet).unwrap().pool, "p");
    }

    #[test]
    fn each_rule_says_no_with_its_own_reason() {
        let pdb = Obstacle::Pdb("x/y".into());
        let table = [
            (Machine { claim: None, ..sound() }, Code::NotManaged, "has no NodeClaim"),
            (Machine { initialized: false, ..sound() }, Code::NotInitialized, "isn't initialized"),
            (Machine { leaving: true, ..sound() }, Code::NotInitialized, "marked for deletion"),
            (Machine { terminating: true, ..sound() }, Code::NotInitialized, "marked for deletion"),
            (Machine { nominated: true, ..sound() }, Code::Nominated, "nominated"),
            (Machine { protected: true, ..sound() }, Code::DoNotDisruptNode, "do-not-disrupt"),
            (Machine { pool: None, ..sound() }, Code::NodePoolMissing, "label"),
            (Machine { pool: Some("q".into()), ..sound() }, Code::NodePoolMissing, "(NodePool=q)"),
            (with(std::slice::from_ref(&pdb)), Code::PodDisruptionBudget, "(PodDisruptionBudget=x/y)"),
            (with(&[Obstacle::SeveralPdbs]), Code::PodDisruptionBudget, "multiple PDBs"),
            (with(&[pdb, Obstacle::Protected]), Code::DoNotDisruptPod, "(Pod=a/b)"),
        ];
        let fleet = fleet();
        for (machine, code, message) in table {
            let kept = candidate(&machine, &fleet).unwrap_err();
            assert_eq!(kept.code, code, "{kept:?}");
            assert!(kept.message.contains(message), "{kept:?}");
        }
    }

    #[test]
    fn a_pool_whose_types_are_unknown_keeps_its_nodes() {
        let mut fleet = fleet();
        fleet.pools.get_mut("p").unwrap().types_known = false;
        assert_eq!(candidate(&sound(), &fleet).unwrap_err().code, Code::NodePoolMissing);
    }
}
