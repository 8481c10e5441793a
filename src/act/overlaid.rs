//! Whether overlays have a part in what a launch may become.

use std::collections::BTreeSet;

use crds::names::core::{CAPACITY_OVERLAY_APPLIED, PRICE_OVERLAY_APPLIED};
use planner::model::{InstanceType, Offering, Str};
use planner::plan::Launch;

/// The annotations that say so. `sold`: what the pool sells, overlays applied; `plain`: what its class does.
pub(super) fn annotations(launch: &Launch, sold: &[InstanceType], plain: &[InstanceType]) -> Vec<&'static str> {
    let wanted: BTreeSet<&Str> = launch.offerings.iter().map(|offering| &offering.instance_type).collect();
    let (mut is_repriced, mut has_more) = (false, false);
    for kind in sold.iter().filter(|kind| wanted.contains(&kind.name)) {
        let Some(plain) = plain.iter().find(|plain| plain.name == kind.name) else { continue };
        has_more |= kind.capacity != plain.capacity;
        let price = |this: &Offering| plain.offerings.iter().find(|one| is_same(one, this)).map(|one| one.price);
        is_repriced |= kind.offerings.iter().any(|one| price(one).is_some_and(|price| price != one.price));
    }
    let all = [(PRICE_OVERLAY_APPLIED, is_repriced), (CAPACITY_OVERLAY_APPLIED, has_more)];
    all.into_iter().filter(|(_, is_so)| *is_so).map(|(key, _)| key).collect()
}

fn is_same(a: &Offering, b: &Offering) -> bool {
    let reservation = |one: &Offering| one.reservation.as_ref().map(|reservation| reservation.id.clone());
    (&a.zone, a.capacity_type, reservation(a)) == (&b.zone, b.capacity_type, reservation(b))
}

#[cfg(test)]
mod tests {
    use planner::model::MicroUsdPerHour;

    use super::*;
    use crate::observe::{Options, Validate, files, snapshot};

    #[test]
    fn a_launch_says_whether_overlays_changed_prices_or_capacity_of_what_it_may_become() {
        let objects = files::read(&["examples/kwok"], Validate::Strict).unwrap();
        let snapshot = snapshot(objects, &Options::default()).unwrap().snapshot;
        let plan = planner::plan(&snapshot);
        let launch = &plan.launches[0];
        let pool = snapshot.pools.iter().find(|pool| pool.name == launch.pool).unwrap();
        let plain = &pool.types;
        let chosen = plain.iter().position(|kind| kind.name == launch.chosen().unwrap().instance_type).unwrap();
        let other =
            plain.iter().position(|kind| launch.offerings.iter().all(|o| o.instance_type != kind.name)).unwrap();
        let changed = |at: usize, change: fn(&mut InstanceType)| {
            let mut sold = (**plain).clone();
            change(&mut sold[at]);
            annotations(launch, &sold, plain)
        };
        let dearer: fn(&mut InstanceType) = |kind| kind.offerings[0].price = MicroUsdPerHour(1);
        let larger: fn(&mut InstanceType) = |kind| kind.capacity.set("example.com/device", 1);
        assert_eq!(changed(chosen, |_| ()), [""; 0]);
        assert_eq!(changed(chosen, dearer), ["karpenter.sh/price-overlay-applied"]);
        assert_eq!(changed(chosen, larger), ["karpenter.sh/capacity-overlay-applied"]);
        assert_eq!((changed(other, dearer), changed(other, larger)), (Vec::new(), Vec::new()));
    }
}
