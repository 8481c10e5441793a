//! Which things fill a bin by a few of them, so that their numbers are to be planned one by one.

use crate::instance::Instance;

/// Classes of which at most this many fit into the offer that suits them best get rows of their own.
const FEW: u32 = 10;

/// An offer suits a class where a thing costs at most so many times what it does in the cheapest.
const SUITS: f64 = 1.02;

/// Which classes have few to a bin.
pub(super) fn few_to_a_bin<const R: usize>(inst: &Instance<R>) -> Vec<bool> {
    let mut most_fit = vec![0u32; inst.classes.len()];
    let mut least = vec![f64::INFINITY; inst.classes.len()];
    let each = || inst.offers[..inst.n_new].iter().flat_map(|o| o.fit.iter().map(move |fit| (o, fit.0 as usize)));
    for (offer, k) in each() {
        least[k] = least[k].min(offer.price / f64::from(inst.fits(k, &offer.holds)));
    }
    for (offer, k) in each() {
        // More than a few are as good as any number.
        if most_fit[k] <= FEW {
            let n = inst.fits(k, &offer.holds);
            if n > most_fit[k] && offer.price / f64::from(n) <= SUITS * least[k] {
                most_fit[k] = n;
            }
        }
    }
    let classes = inst.classes.iter().zip(most_fit);
    classes.map(|(class, fit)| class.per_bin != u32::MAX || !class.foes.is_empty() || fit <= FEW).collect()
}
