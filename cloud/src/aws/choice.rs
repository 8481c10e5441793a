//! Which of an order's offers a fleet is asked for: one way to pay, a bounded number of types, nothing odd unless wanted.

use std::collections::{BTreeMap, BTreeSet};

use planner::model::{CapacityType, Labels, Requirement, Resources, Str};

use super::template::fnv;
use crate::labels::{INTERRUPTIBLE, PARTITION, RESERVATION_TYPE};
use crate::{LaunchOrder, Offer};

/// The most instance types of one fleet.
const MOST_TYPES: usize = 60;
/// The most ways to fill one fleet: EC2 takes no more overrides.
const MOST_WAYS: usize = 300;
/// On claims of which the plan has lowered the least numbers of values.
pub(super) const RELAXED: &str = "karpenter.sh/nodeclaim-min-values-relaxed";
const SIZE: &str = "karpenter.k8s.aws/instance-size";
/// What only machines with accelerators have.
const ACCELERATORS: [&str; 5] =
    ["nvidia.com/gpu", "amd.com/gpu", "habana.ai/gaudi", "aws.amazon.com/neuron", "aws.amazon.com/neuroncore"];

/// The offers to ask for, cheapest first, all paid for in the same way; empty when the order has none.
pub(super) fn choose(order: &LaunchOrder) -> Vec<&Offer> {
    let has_min_values = order.requirements.iter().any(|requirement| requirement.min_values.is_some());
    let mut offers: Vec<&Offer> = order.offers.iter().collect();
    if offers.iter().any(|offer| offer.key.capacity_type == CapacityType::Reserved) {
        offers = reserved(&offers);
    }
    // Machines with accelerators and bare metal are bought by who asks for them, or where there is nothing else.
    if !has_min_values && offers.iter().any(|offer| !is_exotic(&offer.labels, &offer.capacity)) {
        offers.retain(|offer| !is_exotic(&offer.labels, &offer.capacity));
    }
    let cheapest_on_demand =
        offers.iter().filter(|offer| offer.key.capacity_type == CapacityType::OnDemand).map(|offer| offer.price).min();
    if let Some(limit) = cheapest_on_demand.filter(|_| !has_min_values) {
        offers.retain(|offer| offer.key.capacity_type != CapacityType::Spot || offer.price <= limit);
    }
    // Reserved before spot before on-demand.
    let Some(capacity_type) = offers.iter().map(|offer| offer.key.capacity_type).min() else { return offers };
    offers.retain(|offer| offer.key.capacity_type == capacity_type);
    one_partition(order, &mut offers);
    let types = types_of(order, &offers);
    offers.retain(|offer| types.contains(&offer.key.instance_type));
    bounded(&mut offers);
    offers
}

/// Leaves the cheapest ways, and of each type at least one.
fn bounded(offers: &mut Vec<&Offer>) {
    let mut types = BTreeSet::new();
    let n_first = offers.iter().filter(|offer| types.insert(offer.key.instance_type.clone())).count();
    let mut more = MOST_WAYS.saturating_sub(n_first);
    types.clear();
    offers.retain(|offer| {
        let is_first = types.insert(offer.key.instance_type.clone());
        let is_kept = is_first || more > 0;
        more -= usize::from(is_kept && !is_first);
        is_kept
    });
}

/// As many types of these offers as a fleet may have: those that bring the values which the order wants to choose from, then
/// the cheapest.
fn types_of<'a>(order: &LaunchOrder, offers: &[&'a Offer]) -> BTreeSet<&'a Str> {
    let mut types = BTreeSet::new();
    for requirement in order.requirements.iter() {
        let Some(least) = least(requirement) else { continue };
        let mut values = BTreeSet::new();
        for offer in offers {
            let value = offer.labels.get(&requirement.key).filter(|value| requirement.has(value));
            if types.len() < MOST_TYPES && values.len() < least && value.is_some_and(|value| values.insert(value)) {
                types.insert(&offer.key.instance_type);
            }
        }
    }
    for offer in offers {
        if types.len() < MOST_TYPES {
            types.insert(&offer.key.instance_type);
        }
    }
    types
}

/// How many values there are to be to choose from.
fn least(requirement: &Requirement) -> Option<usize> {
    usize::try_from(requirement.min_values?).ok()
}

/// The requirement whose least number of values the order's types do not have, with how many they have. All ways to buy them
/// count: a fleet pays in one way only, and is not short of others for that. Where less choice will do, or the plan has lowered
/// such numbers, nothing is asked.
pub(super) fn lacks_values(order: &LaunchOrder) -> Option<(Str, usize)> {
    let is_relaxed = order.annotations.get(RELAXED).is_some_and(|relaxed| &**relaxed == "true");
    if order.takes_less_choice || is_relaxed {
        return None;
    }
    let offers: Vec<&Offer> = order.offers.iter().collect();
    let types = types_of(order, &offers);
    let of_types = || offers.iter().filter(|offer| types.contains(&offer.key.instance_type));
    order.requirements.iter().find_map(|requirement| {
        let least = least(requirement)?;
        let values = of_types().filter_map(|offer| offer.labels.get(&requirement.key));
        let n_values = values.filter(|value| requirement.has(value)).collect::<BTreeSet<_>>().len();
        (n_values < least).then(|| (requirement.key.clone(), n_values))
    })
}

/// Machines of a placement group with partitions are dealt out over those that the claim allows: which one follows from its
/// token, so that asking again asks the same.
fn one_partition(order: &LaunchOrder, offers: &mut Vec<&Offer>) {
    let partition = |offer: &Offer| offer.labels.get(PARTITION).cloned();
    let all: BTreeSet<_> = offers.iter().filter_map(|offer| partition(offer)).collect();
    let Some(n) = u64::try_from(all.len()).ok().filter(|n| *n > 0) else { return };
    let at = usize::try_from(fnv(&order.token) % n).unwrap_or(0);
    let chosen = all.into_iter().nth(at);
    offers.retain(|offer| partition(offer) == chosen);
}

fn is_exotic(labels: &Labels, capacity: &Resources) -> bool {
    labels.get(SIZE).is_some_and(|size| size.contains("metal"))
        || ACCELERATORS.iter().any(|name| capacity.get(name) != 0)
}

/// What a reservation is, in the order in which reservations at one price are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ReservationKind {
    Plain,
    Block,
    Interruptible,
}

impl ReservationKind {
    fn of(offer: &Offer) -> Self {
        let says = |key: &str, value: &str| offer.labels.get(key).is_some_and(|label| &**label == value);
        match (says(RESERVATION_TYPE, "capacity-block"), says(INTERRUPTIBLE, "true")) {
            (true, _) => Self::Block,
            (false, true) => Self::Interruptible,
            (false, false) => Self::Plain,
        }
    }
}

/// Offers of reservations of the kind of the cheapest: blocks, interruptible ones and others do not go into one fleet. Of a
/// block one offer only; of others for each type and zone the one with most machines left.
fn reserved<'a>(offers: &[&'a Offer]) -> Vec<&'a Offer> {
    let mut all: Vec<&Offer> =
        offers.iter().copied().filter(|offer| offer.key.capacity_type == CapacityType::Reserved).collect();
    let Some(kind) = all.iter().map(|offer| (offer.price, ReservationKind::of(offer))).min().map(|(_, kind)| kind)
    else {
        return Vec::new();
    };
    all.retain(|offer| ReservationKind::of(offer) == kind);
    if kind == ReservationKind::Block {
        all.truncate(1);
        return all;
    }
    let place = |offer: &Offer| (offer.key.instance_type.clone(), offer.key.zone.clone());
    let mut most: BTreeMap<_, &Offer> = BTreeMap::new();
    for offer in &all {
        let best = most.entry(place(offer)).or_insert(offer);
        if offer.n_left > best.n_left {
            *best = offer;
        }
    }
    all.retain(|offer| most.get(&place(offer)).is_some_and(|best| best.key == offer.key));
    all
}

#[cfg(test)]
mod tests {
    use planner::model::{MicroUsdPerHour, Operator};

    use super::*;
    use crate::OfferingKey;

    fn offer(name: &str, capacity_type: CapacityType, price: i64) -> Offer {
        let gpus = i64::from(name.starts_with('g'));
        Offer {
            price: MicroUsdPerHour(price),
            key: OfferingKey { instance_type: name.into(), zone: "a".into(), capacity_type, reservation: None },
            labels: Labels::new(),
            capacity: Resources::of([("cpu", 1000), ("nvidia.com/gpu", gpus)]),
            allocatable: Resources::default(),
            n_left: None,
        }
    }

    fn order(offers: Vec<Offer>) -> LaunchOrder {
        LaunchOrder { token: "t".into(), claim: "c".into(), offers, ..LaunchOrder::default() }
    }

    fn chosen(order: &LaunchOrder) -> Vec<&str> {
        choose(order).iter().map(|offer| &*offer.key.instance_type).collect()
    }

    #[test]
    fn spot_is_asked_for_where_it_is_no_dearer_than_on_demand() {
        use CapacityType::{OnDemand, Spot};
        let offers = vec![offer("m1", Spot, 3), offer("m2", OnDemand, 5), offer("m3", Spot, 5), offer("m4", Spot, 6)];
        assert_eq!(chosen(&order(offers.clone())), ["m1", "m3"]);
        assert_eq!(chosen(&order(offers[1..2].to_vec())), ["m2"]);
        assert!(chosen(&order(Vec::new())).is_empty());
    }

    #[test]
    fn accelerators_are_left_out_unless_nothing_else_is_there() {
        use CapacityType::OnDemand;
        let offers = vec![offer("g1", OnDemand, 1), offer("m1", OnDemand, 2)];
        assert_eq!(chosen(&order(offers.clone())), ["m1"]);
        assert_eq!(chosen(&order(offers[..1].to_vec())), ["g1"]);
        let mut wide = order(offers);
        let mut many = Requirement::new("x", Operator::Exists, Vec::<&str>::new());
        many.min_values = Some(2);
        wide.requirements.add(many);
        assert_eq!(chosen(&wide), ["g1", "m1"]);
    }

    #[test]
    fn no_more_than_sixty_types_are_asked_for() {
        let offers = (0..100).map(|at| offer(&format!("m{at:03}"), CapacityType::OnDemand, at)).collect();
        assert_eq!(chosen(&order(offers)).len(), 60);
    }

    #[test]
    fn no_more_than_three_hundred_ways_are_asked_for_and_each_type_keeps_its_cheapest() {
        let zones = ["a", "b", "c", "d", "e", "f", "g"];
        let of = |at: usize| {
            zones.map(|zone| {
                let mut offer = offer(&format!("m{at:02}"), CapacityType::OnDemand, i64::try_from(at).unwrap());
                offer.key.zone = zone.into();
                offer
            })
        };
        let order = order((0..60).flat_map(of).collect());
        let found = choose(&order);
        assert_eq!(found.len(), 300);
        let types: BTreeSet<_> = found.iter().map(|offer| offer.key.instance_type.clone()).collect();
        assert_eq!(types.len(), 60);
        assert_eq!(found.iter().filter(|offer| &*offer.key.instance_type == "m59").count(), 1);
    }

    #[test]
    fn fewer_values_than_the_claim_wants_to_choose_from_are_told_unless_fewer_will_do() {
        let mut wide = order((0..3).map(|at| offer(&format!("m{at}"), CapacityType::OnDemand, at)).collect());
        for offer in &mut wide.offers {
            offer.labels.insert("node.kubernetes.io/instance-type".into(), offer.key.instance_type.clone());
        }
        let mut many = Requirement::new("node.kubernetes.io/instance-type", Operator::Exists, Vec::<&str>::new());
        many.min_values = Some(4);
        wide.requirements.add(many);
        let lacks = |order: &LaunchOrder| lacks_values(order).map(|(_, n)| n);
        assert_eq!(lacks(&wide), Some(3));
        wide.takes_less_choice = true;
        assert_eq!((lacks(&wide), choose(&wide).len()), (None, 3), "by the policy");
        wide.takes_less_choice = false;
        wide.annotations.insert(RELAXED.into(), "true".into());
        assert_eq!(lacks(&wide), None, "the plan has lowered them");
    }

    #[test]
    fn of_too_many_types_those_stay_that_bring_values_the_claim_wants_to_choose_from() {
        const FAMILY: &str = "karpenter.k8s.aws/instance-family";
        let mut wide = order((0..100).map(|at| offer(&format!("m{at:03}"), CapacityType::OnDemand, at)).collect());
        for (at, offer) in wide.offers.iter_mut().enumerate() {
            offer.labels.insert(FAMILY.into(), format!("family-{}", at / 20).into());
        }
        let mut five = Requirement::new(FAMILY, Operator::Exists, Vec::<&str>::new());
        five.min_values = Some(5);
        wide.requirements.add(five);
        let found = chosen(&wide);
        assert_eq!((found.len(), found[0], found[59]), (60, "m000", "m080"));
        assert_eq!(lacks_values(&wide), None);
        wide.offers.truncate(80);
        assert_eq!(lacks_values(&wide).map(|(_, n)| n), Some(4));
    }

    #[test]
    fn a_fleet_that_pays_in_one_way_has_not_fewer_ways_to_pay_than_its_claim_wants() {
        const WAY: &str = "karpenter.sh/capacity-type";
        let mut both = order(vec![offer("m1", CapacityType::Spot, 1), offer("m1", CapacityType::OnDemand, 2)]);
        for offer in &mut both.offers {
            offer.labels.insert(WAY.into(), offer.key.capacity_type.as_str().into());
        }
        let mut two = Requirement::new(WAY, Operator::In, ["spot", "on-demand"]);
        two.min_values = Some(2);
        both.requirements.add(two);
        let found = choose(&both);
        assert!(found.iter().all(|offer| offer.key.capacity_type == CapacityType::Spot));
        assert_eq!(lacks_values(&both), None);
        both.offers.truncate(1);
        assert_eq!(lacks_values(&both).map(|(_, n)| n), Some(1));
    }

    #[test]
    fn machines_are_dealt_out_over_partitions_and_the_same_claim_always_gets_the_same_one() {
        let in_partition = |partition: &str| {
            let mut offer = offer("m1", CapacityType::OnDemand, 1);
            offer.labels.insert(PARTITION.into(), partition.into());
            offer
        };
        let of = |token: &str| {
            let order = LaunchOrder { token: token.into(), ..order(["1", "2", "3"].map(in_partition).to_vec()) };
            let chosen = choose(&order);
            assert_eq!(chosen.len(), 1);
            chosen[0].labels[PARTITION].to_string()
        };
        let mut found = BTreeSet::new();
        for at in 0..40 {
            let token = format!("uid-{at}");
            assert_eq!(of(&token), of(&token));
            found.insert(of(&token));
        }
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn what_is_paid_for_already_goes_first_and_apart_by_kind() {
        let mut block = offer("p1", CapacityType::Reserved, 0);
        block.labels.insert(RESERVATION_TYPE.into(), "capacity-block".into());
        let mut plain = offer("m1", CapacityType::Reserved, 0);
        plain.labels.insert(RESERVATION_TYPE.into(), "default".into());
        let spot = offer("m2", CapacityType::Spot, 1);
        assert_eq!(chosen(&order(vec![block.clone(), plain.clone(), spot.clone()])), ["m1"], "at one price the plain");
        let mut dear = plain.clone();
        dear.price = MicroUsdPerHour(9);
        assert_eq!(chosen(&order(vec![block, dear, spot])), ["p1"]);
        let mut roomy = plain.clone();
        (roomy.key.reservation, roomy.n_left) = (Some("cr-z".into()), Some(7));
        let order = order(vec![plain, roomy]);
        let found = choose(&order);
        assert_eq!((found.len(), found[0].key.reservation.as_deref()), (1, Some("cr-z")), "the one with most left");
    }
}
