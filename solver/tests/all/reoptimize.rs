//! Re-optimisation: waves lead to legal, cheaper states within their limits.

use std::collections::BTreeMap;

use crate::support::{Shape, problem};
use proptest::prelude::*;
use solver::{
    BinRef, Cancel, Destination, Effort, ItemIdx, Moves, Problem, Reoptimized, StartedBin, greedy, reoptimize,
};

/// The greedy packing of a problem as started bins, with some things gone.
fn packed(mut problem: Problem, leave: u32) -> Problem {
    problem.started.clear();
    problem.caps.clear();
    problem.kinds.iter_mut().for_each(|k| k.available = None);
    let solution = greedy(&problem);
    for bin in &solution.bins {
        let BinRef::New(kind) = bin.kind else { continue };
        let kind_of = &problem.kinds[kind.at()];
        let contents: Vec<(ItemIdx, u32)> = bin.contents.iter().map(|&(i, n)| (i, n.div_ceil(leave))).collect();
        let mut room = kind_of.holds.clone();
        for &(i, n) in &contents {
            for (r, need) in room.iter_mut().zip(&problem.items[i.at()].needs) {
                *r -= need * i64::from(n);
            }
        }
        problem.started.push(StartedBin {
            room,
            cost: kind_of.cost,
            contents,
            domains: kind_of.domains.clone(),
            kind: Some(kind),
            pinned: false,
        });
    }
    let n = problem.started.len();
    problem.items.iter_mut().for_each(|i| i.allowed_started = solver::BitSet::full(n));
    problem
}

/// Carries the waves out and checks every state; returns the cost at the end.
fn carry_out(problem: &Problem, result: &Reoptimized) -> Result<i64, String> {
    let mut bins: BTreeMap<Destination, BTreeMap<ItemIdx, u32>> = problem
        .started
        .iter()
        .enumerate()
        .map(|(s, b)| {
            (Destination::Started(solver::StartedIdx(u32::try_from(s).unwrap())), b.contents.iter().copied().collect())
        })
        .collect();
    for (w, wave) in result.waves.iter().enumerate() {
        for &b in &wave.buy {
            bins.insert(Destination::New(b), BTreeMap::new());
        }
        for m in &wave.moves {
            let from = bins.get_mut(&Destination::Started(m.from)).ok_or("moved from a bin that is gone")?;
            let left = from.get_mut(&m.item).filter(|n| **n >= m.count).ok_or("moved what is not there")?;
            *left -= m.count;
            *bins.get_mut(&m.to).ok_or("moved to a bin that is not there")?.entry(m.item).or_insert(0) += m.count;
        }
        for s in &wave.retire {
            let gone = bins.remove(&Destination::Started(*s)).ok_or("retired twice")?;
            if gone.values().any(|n| *n > 0) {
                return Err(format!("wave {w} retires a bin that is not empty"));
            }
        }
        for (at, contents) in &bins {
            let holds: Vec<i64> = match at {
                Destination::New(b) => match result.buy[*b].kind {
                    BinRef::New(k) => problem.kinds[k.at()].holds.clone(),
                    BinRef::Started(_) => return Err("bought a started bin".into()),
                },
                Destination::Started(s) => problem.kinds[problem.started[s.at()].kind.unwrap().at()].holds.clone(),
            };
            for (d, hold) in holds.iter().enumerate() {
                let used: i64 = contents.iter().map(|(i, n)| problem.items[i.at()].needs[d] * i64::from(*n)).sum();
                if used > *hold {
                    return Err(format!("wave {w} overfills {at:?}"));
                }
            }
            for (i, n) in contents {
                if problem.items[i.at()].per_bin_max.is_some_and(|m| *n > m) {
                    return Err(format!("wave {w} has too many of {i:?} in {at:?}"));
                }
            }
            for c in &problem.conflicts {
                let has = |i| contents.get(&i).is_some_and(|n| *n > 0);
                if has(c.a) && has(c.b) {
                    return Err(format!("wave {w} brings a conflict into {at:?}"));
                }
            }
        }
    }
    Ok(bins
        .keys()
        .map(|at| match at {
            Destination::Started(s) => problem.started[s.at()].cost,
            Destination::New(b) => match result.buy[*b].kind {
                BinRef::New(k) => problem.kinds[k.at()].cost,
                BinRef::Started(_) => 0,
            },
        })
        .sum())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn waves_lead_to_a_cheaper_legal_state(
        problem in problem(Shape { most_things: 120, extras: true }),
        leave in 1u32..4,
        price in 0i64..4000,
        most_things in prop_oneof![Just(u64::MAX), 0u64..20],
    ) {
        let problem = packed(problem, leave);
        let moves = Moves { price, most_things, most_retired: usize::MAX };
        let result = reoptimize(&problem, moves, Effort(3_000), &Cancel::new());
        let cost = carry_out(&problem, &result);
        prop_assert_eq!(cost, Ok(result.cost_after));
        prop_assert!(result.moved <= most_things);
        let saved = result.cost_before - result.cost_after;
        prop_assert!(saved >= price * i64::try_from(result.moved).unwrap(), "saved {} moved {}", saved, result.moved);
    }
}
