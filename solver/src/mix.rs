//! Plan and pour: the fractional plan says how much of which family to buy; whole bins are bought for it, the fractions
//! carried on to smaller sizes of the family, and everything is poured in at once.

use std::collections::BTreeMap;

use crate::buy::Work;
use crate::columns::Generated;
use crate::dive::Draft;
use crate::effort::Meter;
use crate::guide::Guide;
use crate::nodes::Node;
use crate::num::floor_count;
use crate::pour::{Quota, pour};
use crate::rows::Rows;

/// Completes `draft` by the mix of offers in `plan`, bought `scale` times.
pub(crate) fn plan_and_pour<const R: usize>(
    guide: &Guide<'_, R>,
    draft: &mut Draft<R>,
    plan: &Generated,
    scale: f64,
    meter: &mut Meter,
) {
    let inst = guide.inst;
    let none = vec![false; inst.classes.len()];
    let rows = Rows::new(inst, &none, &draft.left, &draft.budget.0);
    let mut quota = Quota::new(guide.n_families, rows.n_units);
    let mut amounts: BTreeMap<u32, f64> = BTreeMap::new();
    for (offer, x, pattern) in &plan.used {
        *amounts.entry(*offer).or_insert(0.0) += x * scale;
        for &(k, n) in pattern {
            let family = guide.family[*offer as usize];
            quota.grant(family, rows.unit[k as usize], &inst.classes[k as usize].share, x * f64::from(n));
        }
    }
    let size = |o: u32| -> f64 { (0..R).map(|r| inst.offers[o as usize].holds[r] as f64 * guide.worth[r]).sum() };
    let mut by_family: BTreeMap<u32, Vec<(u32, f64)>> = BTreeMap::new();
    for (o, x) in amounts {
        by_family.entry(guide.family[o as usize]).or_default().push((o, x));
    }
    let mut bins: Vec<Node<R>> = Vec::new();
    let mut buy = |o: u32, n: u32, draft: &mut Draft<R>| {
        for _ in 0..n {
            if draft.budget.allows(inst, o) {
                draft.budget.take(inst, o);
                bins.push(Node::empty(inst, o));
            }
        }
    };
    for (family, mut offers) in by_family {
        offers.sort_by(|a, b| size(b.0).total_cmp(&size(a.0)).then(a.0.cmp(&b.0)));
        let mut carried = 0.0;
        for (o, x) in offers {
            let n = floor_count(x + carried / size(o) + 1e-6);
            carried = ((x - f64::from(n)) * size(o) + carried).max(0.0);
            buy(o, n, draft);
        }
        let members: Vec<u32> =
            guide.by_price.iter().copied().filter(|&o| guide.family[o as usize] == family).collect();
        let smallest = members.iter().map(|&o| size(o)).fold(f64::INFINITY, f64::min);
        for _ in 0..4 {
            if carried < 0.05 * smallest {
                break;
            }
            let covers = members.iter().copied().find(|&o| size(o) >= carried * 0.95);
            let within =
                members.iter().copied().filter(|&o| size(o) <= carried).max_by(|&a, &b| size(a).total_cmp(&size(b)));
            let price = |o: u32| inst.offers[o as usize].price;
            match (covers, within) {
                (Some(c), Some(w)) if price(c) > price(w) * 1.35 => {
                    buy(w, 1, draft);
                    carried -= size(w);
                }
                (Some(c), _) => {
                    buy(c, 1, draft);
                    carried = 0.0;
                }
                (None, Some(w)) => {
                    buy(w, 1, draft);
                    carried -= size(w);
                }
                (None, None) => break,
            }
        }
    }
    pour(guide, &mut bins, &mut quota, &rows.unit, &guide.big_first(), &mut draft.left, meter);
    for node in bins.iter().filter(|n| n.pattern.is_empty()) {
        draft.budget.give(inst, node.offer);
    }
    bins.retain(|n| !n.pattern.is_empty());
    for node in &mut bins {
        guide.right_size(node, &mut draft.budget);
    }
    draft.nodes.append(&mut bins);
    let Draft { nodes, left, budget } = draft;
    guide.greedy_all(left, budget, nodes, &mut Work::default(), meter);
}
