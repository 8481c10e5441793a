//! First values per class: what the resources cost where a class may go, from one small linear program per label.

use crate::bits::BitSet;
use crate::effort::Meter;
use crate::instance::Instance;
use crate::master::{Column, EXACT, Master};
use crate::num::u32_of;

/// Value per class at the resource prices of its label: min Σ price·x with Σ share·x ≥ the demand of the label and of
/// those it shares offers with.
pub(crate) fn resource_values<const R: usize>(inst: &Instance<R>, meter: &mut Meter) -> Vec<f64> {
    let mut offers_of = vec![BitSet::new(inst.n_new); inst.n_labels];
    let mut first_class = vec![None; inst.n_labels];
    let mut demand = vec![[0.0f64; R]; inst.n_labels];
    for (k, class) in inst.classes.iter().enumerate() {
        let l = class.label as usize;
        first_class[l].get_or_insert(k);
        for r in 0..R {
            demand[l][r] += class.share[r] * f64::from(class.count);
        }
    }
    for (o, offer) in inst.offers[..inst.n_new].iter().enumerate() {
        for &(k, _) in &offer.fit {
            offers_of[inst.classes[k as usize].label as usize].insert(o);
        }
    }
    let mut values = vec![0.0; inst.classes.len()];
    for l in 0..inst.n_labels {
        if first_class[l].is_none() || offers_of[l].is_empty() {
            continue;
        }
        let mut wanted = [0.0f64; R];
        for other in 0..inst.n_labels {
            if offers_of[l].intersects(&offers_of[other]) {
                for r in 0..R {
                    wanted[r] += demand[other][r];
                }
            }
        }
        let prices = resource_prices(inst, &offers_of[l], &wanted, meter);
        for (k, class) in inst.classes.iter().enumerate().filter(|c| c.1.label as usize == l) {
            values[k] = (0..R).map(|r| prices[r] * class.share[r]).sum();
        }
    }
    values
}

/// Duals of the covering problem over these offers.
fn resource_prices<const R: usize>(
    inst: &Instance<R>,
    offers: &BitSet,
    wanted: &[f64; R],
    meter: &mut Meter,
) -> [f64; R] {
    let rows: Vec<usize> = inst.active.iter().copied().filter(|&r| wanted[r] > 0.0).collect();
    // Starting columns: each dimension bought alone, at the best rate any offer has.
    let start: Vec<Option<(f64, f64)>> = rows
        .iter()
        .map(|&r| {
            let rate = offers
                .iter()
                .filter(|&o| inst.offers[o].share[r] > 0.0)
                .map(|o| inst.offers[o].price / inst.offers[o].share[r])
                .fold(f64::INFINITY, f64::min);
            Some((if rate.is_finite() { rate * 1.0001 } else { 1e15 }, 1.0))
        })
        .collect();
    let mut master = Master::new(rows.iter().map(|&r| wanted[r]).collect(), &start, EXACT);
    for o in offers.iter() {
        let column = rows
            .iter()
            .enumerate()
            .filter(|(_, r)| inst.offers[o].share[**r] > 0.0)
            .map(|(i, &r)| (u32_of(i), inst.offers[o].share[r]))
            .collect();
        master.add(Column::new(u32_of(o), inst.offers[o].price, column, Vec::new()));
    }
    master.optimise(200, &mut meter.part(u64::MAX));
    meter.charge(master.columns.len() * rows.len() * 4);
    let mut prices = [0.0; R];
    for (i, &r) in rows.iter().enumerate() {
        prices[r] = master.duals[i].max(0.0);
    }
    prices
}
