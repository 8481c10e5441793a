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

#[cfg(test)]
mod tests {
    use super::values;
    use crate::bits::BitSet;
    use crate::problem::{BinKind, Item, Options, Problem};

    fn problem(flexibility: Vec<u32>) -> Problem {
        let kind = |cpu: i64, cost: i64, zone: u32, group: u32| BinKind {
            holds: vec![cpu],
            cost,
            domains: vec![zone],
            group,
            ..BinKind::default()
        };
        let kinds = vec![kind(4, 10, 0, 1), kind(4, 12, 0, 1), kind(8, 30, 0, 1), kind(4, 1, 1, 1), kind(4, 2, 0, 0)];
        let allowed = BitSet::full(kinds.len());
        let items = vec![Item { needs: vec![1], count: 1, allowed, ..Item::default() }];
        Problem { dims: 1, items, kinds, options: Options { flexibility, ..Options::default() }, ..Problem::default() }
    }

    #[test]
    fn a_kind_is_valued_at_the_mean_of_those_of_its_group_and_domain_that_could_stand_in_for_it() {
        // Two of four cpu: their mean, but never less than the kind's own cost. One of eight: the missing one counts
        // double. Alone in its zone: likewise. Group 0 asks for no choice.
        assert_eq!(values(&problem(vec![1, 2])), [11, 12, 45, 1, 2]);
        assert_eq!(values(&problem(Vec::new())), [10, 12, 30, 1, 2]);
    }

    #[test]
    fn a_kind_that_serves_fewer_items_is_no_stand_in() {
        let mut problem = problem(vec![1, 2]);
        let narrow = BitSet::of(problem.kinds.len(), [0, 2]);
        problem.items.push(Item { needs: vec![2], count: 1, allowed: narrow, ..Item::default() });
        // The second kind may not hold the new item, so the first has the third as its only other choice.
        assert_eq!(values(&problem)[0], 20);
    }

    #[test]
    fn the_charge_per_bin_comes_on_top() {
        let mut problem = problem(vec![1, 2]);
        problem.options.bin_charge = 7;
        assert_eq!(values(&problem), [18, 19, 52, 8, 9]);
    }
}
