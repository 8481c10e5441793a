//! Is this solution legal? Judged from the problem alone; shares no code with what packs.

use std::collections::{BTreeMap, BTreeSet};

use crate::problem::{ItemIdx, KindIdx, Problem};
use crate::solution::{Bin, BinRef, Solution};

/// A rule that a solution breaks. Bins are named by their place in [`Solution::bins`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A bin names an item, kind or started bin that the problem does not have.
    Unknown { bin: usize },
    /// A bin holds nothing, or lists an item twice, zero times or out of order.
    Contents { bin: usize },
    /// The contents take more than the bin holds.
    Overfull { bin: usize, dim: usize },
    /// The item may not go there.
    NotAllowed { bin: usize, item: ItemIdx },
    /// Too many of one item in one bin.
    PerBin { bin: usize, item: ItemIdx },
    /// Two items in conflict share the bin.
    Conflict { bin: usize, a: ItemIdx, b: ItemIdx },
    /// A started bin is listed twice.
    StartedTwice { bin: usize },
    /// Packed and unpacked do not add up to the item's count.
    Count { item: ItemIdx },
    /// More of a kind than is available.
    Available { kind: KindIdx },
    /// A cap (by index) is exceeded.
    Cap { cap: usize },
    /// A spread (by index) is too uneven in this domain, or uses a domain that is not eligible.
    Spread { spread: usize, domain: u32 },
    /// One kind has more than its share of the bins.
    Share { kind: KindIdx },
    /// `cost` is not the sum over the new bins.
    Cost,
    /// The lower bound is above the cost.
    Bound,
    /// The alternatives of a bin are unsorted, lack its kind, or name one that does not hold the contents.
    Alternatives { bin: usize },
}

/// All rules that `solution` breaks; empty when it is legal.
pub fn verify(problem: &Problem, solution: &Solution) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut packed = vec![0u64; problem.items.len()];
    let mut started_seen = BTreeSet::new();
    let mut bought = vec![0u64; problem.kinds.len()];
    let mut cost = 0i128;
    for (b, bin) in solution.bins.iter().enumerate() {
        if !names_are_known(problem, bin) {
            faults.push(Fault::Unknown { bin: b });
            continue;
        }
        if bin.contents.is_empty()
            || bin.contents.iter().any(|c| c.1 == 0)
            || bin.contents.windows(2).any(|w| w[0].0 >= w[1].0)
        {
            faults.push(Fault::Contents { bin: b });
        }
        for &(item, n) in &bin.contents {
            packed[item.at()] += u64::from(n);
        }
        match bin.kind {
            BinRef::New(kind) => {
                bought[kind.at()] += 1;
                cost += i128::from(problem.kinds[kind.at()].cost);
            }
            BinRef::Started(started) => {
                if !started_seen.insert(started) {
                    faults.push(Fault::StartedTwice { bin: b });
                }
            }
        }
        one_bin(problem, b, bin, &mut faults);
    }
    for &(item, n) in &solution.unpacked {
        if let Some(p) = packed.get_mut(item.at()) {
            *p += u64::from(n);
        }
    }
    for (i, item) in problem.items.iter().enumerate() {
        if packed[i] != u64::from(item.count) {
            faults.push(Fault::Count { item: ItemIdx(u32::try_from(i).unwrap_or(u32::MAX)) });
        }
    }
    what_is_bought(problem, &bought, &mut faults);
    spreads(problem, solution, &mut faults);
    if cost != i128::from(solution.cost) {
        faults.push(Fault::Cost);
    }
    if solution.cost_lower_bound > solution.cost {
        faults.push(Fault::Bound);
    }
    faults
}

fn names_are_known(problem: &Problem, bin: &Bin) -> bool {
    let place = match bin.kind {
        BinRef::New(k) => k.at() < problem.kinds.len(),
        BinRef::Started(s) => s.at() < problem.started.len(),
    };
    place && bin.contents.iter().all(|c| c.0.at() < problem.items.len())
}

/// What the contents take of each dimension.
fn taken(problem: &Problem, contents: &[(ItemIdx, u32)]) -> Vec<i128> {
    let mut sum = vec![0i128; problem.dims];
    for &(item, n) in contents {
        for (s, need) in sum.iter_mut().zip(&problem.items[item.at()].needs) {
            *s += i128::from(*need) * i128::from(n);
        }
    }
    sum
}

/// Whether a new bin of this kind holds that much.
fn holds(problem: &Problem, kind: KindIdx, sum: &[i128]) -> Option<usize> {
    let k = &problem.kinds[kind.at()];
    (0..problem.dims).find(|&d| k.holds[d] < 0 || sum[d] > i128::from(k.holds[d]))
}

fn one_bin(problem: &Problem, b: usize, bin: &Bin, faults: &mut Vec<Fault>) {
    let sum = taken(problem, &bin.contents);
    let over = match bin.kind {
        BinRef::New(k) => holds(problem, k, &sum),
        BinRef::Started(s) => {
            (0..problem.dims).find(|&d| sum[d] > 0 && sum[d] > i128::from(problem.started[s.at()].room[d]))
        }
    };
    if let Some(dim) = over {
        faults.push(Fault::Overfull { bin: b, dim });
    }
    for &(item, n) in &bin.contents {
        let it = &problem.items[item.at()];
        let allowed = match bin.kind {
            BinRef::New(k) => it.allowed.contains(k.at()),
            BinRef::Started(s) => it.allowed_started.contains(s.at()),
        };
        if !allowed {
            faults.push(Fault::NotAllowed { bin: b, item });
        }
        if it.per_bin_max.is_some_and(|m| n > m) {
            faults.push(Fault::PerBin { bin: b, item });
        }
    }
    let here: BTreeSet<ItemIdx> = bin.contents.iter().map(|c| c.0).collect();
    for c in &problem.conflicts {
        if c.a != c.b && here.contains(&c.a) && here.contains(&c.b) {
            faults.push(Fault::Conflict { bin: b, a: c.a, b: c.b });
        }
    }
    if let BinRef::New(kind) = bin.kind {
        let cost = |k: &KindIdx| problem.kinds[k.at()].cost;
        let fine = bin.alternatives.contains(&kind)
            && bin.alternatives.windows(2).all(|w| cost(&w[0]) <= cost(&w[1]))
            && bin.alternatives.iter().all(|k| {
                holds(problem, *k, &sum).is_none()
                    && bin.contents.iter().all(|c| problem.items[c.0.at()].allowed.contains(k.at()))
            });
        if !fine {
            faults.push(Fault::Alternatives { bin: b });
        }
    }
}

fn what_is_bought(problem: &Problem, bought: &[u64], faults: &mut Vec<Fault>) {
    let total: u64 = bought.iter().sum();
    for (k, &n) in bought.iter().enumerate() {
        let kind = KindIdx(u32::try_from(k).unwrap_or(u32::MAX));
        if problem.kinds[k].available.is_some_and(|a| n > u64::from(a)) {
            faults.push(Fault::Available { kind });
        }
        if let Some(percent) = problem.options.max_share_percent
            && n > 1
            && n > (total * u64::from(percent)).div_ceil(100)
        {
            faults.push(Fault::Share { kind });
        }
    }
    for (c, cap) in problem.caps.iter().enumerate() {
        let used: i128 = cap
            .kinds
            .iter()
            .filter(|&k| k < bought.len())
            .map(|k| i128::from(cap.weights[k]) * i128::from(bought[k]))
            .sum();
        if used > i128::from(cap.limit.max(0)) {
            faults.push(Fault::Cap { cap: c });
        }
    }
}

fn spreads(problem: &Problem, solution: &Solution, faults: &mut Vec<Fault>) {
    for (s, spread) in problem.spreads.iter().enumerate() {
        let mut counts: BTreeMap<u32, u64> = spread.counts.iter().map(|(d, n)| (*d, u64::from(*n))).collect();
        let mut received = BTreeSet::new();
        for bin in solution.bins.iter().filter(|b| names_are_known(problem, b)) {
            let n: u64 = bin.contents.iter().filter(|c| spread.items.contains(&c.0)).map(|c| u64::from(c.1)).sum();
            if n == 0 {
                continue;
            }
            let domains = match bin.kind {
                BinRef::New(k) => &problem.kinds[k.at()].domains,
                BinRef::Started(st) => &problem.started[st.at()].domains,
            };
            let Some(&domain) = domains.get(spread.key) else {
                faults.push(Fault::Spread { spread: s, domain: u32::MAX });
                continue;
            };
            match counts.get_mut(&domain) {
                Some(c) => *c += n,
                None => faults.push(Fault::Spread { spread: s, domain }),
            }
            received.insert(domain);
        }
        let few = counts.len() < spread.min_domains as usize;
        let least = if few { 0 } else { counts.values().copied().min().unwrap_or(0) };
        for domain in received {
            if counts.get(&domain).is_some_and(|&n| n > least + u64::from(spread.max_skew)) {
                faults.push(Fault::Spread { spread: s, domain });
            }
        }
    }
}
