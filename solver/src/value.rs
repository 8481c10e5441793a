//! What a kind costs in the objective: its own price, or the mean of the cheapest that could stand in for it, plus the
//! charge per bin.

use crate::problem::{BinKind, Problem};

/// Objective value of each kind in micro-dollars per hour.
pub(crate) fn values(problem: &Problem) -> Vec<i64> {
    let charge = problem.options.bin_charge.max(0);
    let wanted = |kind: &BinKind| problem.options.flexibility.get(kind.group as usize).copied().unwrap_or(1);
    let mut values: Vec<i64> = problem.kinds.iter().map(|k| k.cost.saturating_add(charge)).collect();
    if problem.kinds.iter().all(|k| wanted(k) <= 1) {
        return values;
    }
    let mut by_cost: Vec<usize> = (0..problem.kinds.len()).collect();
    by_cost.sort_by_key(|&k| (problem.kinds[k].cost, k));
    let served = signatures(problem);
    for (i, kind) in problem.kinds.iter().enumerate() {
        let k = wanted(kind) as usize;
        if k <= 1 {
            continue;
        }
        let stand_ins = by_cost.iter().filter(|&&j| {
            let other = &problem.kinds[j];
            other.group == kind.group
                && other.domains.first() == kind.domains.first()
                && other.holds.iter().zip(&kind.holds).all(|(o, h)| o >= h)
                && served[j].is_superset(&served[i])
        });
        let (mut n, mut sum, mut dearest) = (0i64, 0i64, kind.cost);
        for &j in stand_ins.take(k) {
            n += 1;
            sum = sum.saturating_add(problem.kinds[j].cost);
            dearest = dearest.max(problem.kinds[j].cost);
        }
        let wanted = i64::try_from(k).unwrap_or(i64::MAX);
        sum = sum.saturating_add(dearest.saturating_mul(2).saturating_mul(wanted - n));
        values[i] = (sum / wanted).max(kind.cost).saturating_add(charge);
    }
    values
}

/// The distinct allowed sets that each kind is in.
fn signatures(problem: &Problem) -> Vec<std::collections::BTreeSet<usize>> {
    let mut sets: Vec<&crate::bits::BitSet> = problem.items.iter().map(|i| &i.allowed).collect();
    sets.sort_unstable();
    sets.dedup();
    let mut served = vec![std::collections::BTreeSet::new(); problem.kinds.len()];
    for (s, set) in sets.iter().enumerate() {
        for k in set.iter().filter(|&k| k < problem.kinds.len()) {
            served[k].insert(s);
        }
    }
    served
}
