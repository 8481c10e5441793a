//! What the placement engine does with small clusters.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use planner::model::{Code, InstanceType, MicroUsdPerHour, Operator, Pool, Requirement, labels};
use planner::plan::Plan;
use support::{app, pod, pool, replicas, snapshot, spread, term};

fn zones(plan: &Plan) -> Vec<(&str, usize)> {
    let mut out: Vec<(&str, usize)> =
        plan.launches.iter().map(|l| (l.labels[labels::ZONE].as_ref(), l.pods.len())).collect();
    out.sort_unstable();
    out
}

#[test]
fn three_small_pods_share_the_smallest_machine_that_holds_them() {
    let plan = planner::plan(&snapshot(vec![pool("general")], replicas("web", 3, 300, |_| {})));
    assert_eq!(plan.launches.len(), 1);
    assert_eq!(plan.launches[0].offerings[0].instance_type.as_ref(), "t-1x");
    assert_eq!(plan.cost.0, 30_000);
    assert_eq!(plan.cost_lower_bound.0, 30_000);
    assert_eq!(plan.launches[0].offerings.len(), 21);
}

#[test]
fn spread_over_zones_comes_out_even() {
    for n in [2, 6, 7, 100] {
        let pods = replicas("web", n, 400, |shape| shape.spreads.push(spread(labels::ZONE, "web")));
        let plan = planner::plan(&snapshot(vec![pool("general")], pods));
        assert!(plan.unplaced.is_empty(), "{:?}", plan.unplaced);
        let mut per_zone = std::collections::BTreeMap::new();
        for (zone, pods) in zones(&plan) {
            *per_zone.entry(zone).or_insert(0) += pods;
        }
        let (most, least) = (per_zone.values().max().unwrap(), per_zone.values().min().unwrap());
        assert!(per_zone.len() == 3.min(n) && most - least <= 1, "{per_zone:?}");
    }
}

#[test]
fn anti_affinity_by_host_takes_one_machine_each() {
    let pods = replicas("kafka", 3, 300, |shape| shape.anti_affinity.push(term(labels::HOSTNAME, "kafka")));
    let plan = planner::plan(&snapshot(vec![pool("general")], pods));
    assert_eq!(plan.launches.len(), 3);
    assert_eq!(plan.cost.0, 90_000);
}

#[test]
fn anti_affinity_by_zone_takes_one_zone_each_and_says_no_to_the_fourth() {
    let pods = replicas("kafka", 4, 300, |shape| shape.anti_affinity.push(term(labels::ZONE, "kafka")));
    let plan = planner::plan(&snapshot(vec![pool("general")], pods));
    assert_eq!(zones(&plan), [("a", 1), ("b", 1), ("c", 1)]);
    assert_eq!(plan.unplaced[0].reasons[0].code, Code::PodAntiAffinity);
}

#[test]
fn affinity_follows_a_pod_that_is_placed_later() {
    let mut front = pod("front", 500);
    front.shape.affinity.push(term(labels::HOSTNAME, "cache"));
    let mut pods = replicas("cache", 1, 400, |_| {});
    pods.push(front);
    let plan = planner::plan(&snapshot(vec![pool("general")], pods));
    assert_eq!(plan.launches.len(), 1, "{plan:?}");
    assert_eq!(plan.launches[0].pods.len(), 2);
}

#[test]
fn limits_are_kept_and_named() {
    let mut small = pool("small");
    small.limits.set("cpu", 4_000);
    let plan = planner::plan(&snapshot(vec![small], replicas("web", 8, 800, |_| {})));
    let placed: usize = plan.launches.iter().map(|l| l.pods.len()).sum();
    let cpu: i64 = plan.launches.iter().map(|l| l.capacity.get("cpu")).sum();
    assert_eq!((placed, cpu, plan.unplaced[0].pods.len()), (4, 4_000, 4), "{:?}", plan.unplaced);
    assert_eq!(plan.unplaced[0].reasons[0].code, Code::LimitExceeded);
    assert_eq!(plan.unplaced[0].reasons[0].nearest_miss.as_deref(), Some("limits.cpu 4 → 5"));
}

#[test]
fn smaller_machines_are_bought_where_they_cost_less() {
    let plan = planner::plan(&snapshot(vec![pool("general")], replicas("web", 5, 800, |_| {})));
    assert_eq!(plan.cost.0, 150_000);
    assert_eq!(plan.greedy_cost.0, 240_000);
    assert!(plan.cost_lower_bound.0 > 120_000);
}

#[test]
fn what_fits_nowhere_is_told_what_would() {
    let plan = planner::plan(&snapshot(vec![pool("general")], replicas("huge", 2, 100_000, |_| {})));
    let reason = &plan.unplaced[0].reasons[0];
    assert_eq!((plan.unplaced[0].pods.len(), reason.code), (2, Code::NoInstanceTypeFits));
    assert_eq!(reason.nearest_miss.as_deref(), Some("cpu 100 → 63900m"));
}

#[test]
fn an_unknown_label_is_named() {
    let mut lost = pod("lost", 100);
    lost.shape.node_selector.add(planner::model::Requirement::equal("workload", "shop"));
    let plan = planner::plan(&snapshot(vec![pool("general")], vec![lost]));
    assert_eq!(plan.unplaced[0].reasons[0].code, Code::UnknownLabel);
    let _ = app("x");
}

/// Every offering three times, in partitions that differ in their label alone.
fn in_partitions() -> Pool {
    let mut pool = pool("apart");
    let mut types = (*pool.types).clone();
    for kind in &mut types {
        let offerings = std::mem::take(&mut kind.offerings);
        let in_partition = |partition: &str| {
            let mut all = offerings.clone();
            for offering in &mut all {
                offering.labels.insert(PARTITION.into(), partition.into());
            }
            all
        };
        kind.offerings = ["1", "2", "3"].into_iter().flat_map(in_partition).collect();
    }
    pool.types = Arc::new(types);
    pool
}

const PARTITION: &str = "karpenter.k8s.aws/placement-group-partition";

#[test]
fn offerings_that_differ_in_a_label_alone_are_listed_once_and_bought_as_asked_for() {
    let only = |partition: &str| Requirement::equal(PARTITION, partition);
    let (mut restricted, mut pinned) = (in_partitions(), pod("web", 300));
    restricted.requirements.add(only("3"));
    pinned.shape.node_selector.add(only("2"));
    let plain = || pod("web", 300);
    for (pool, pod, partition) in
        [(in_partitions(), plain(), "1"), (in_partitions(), pinned, "2"), (restricted, plain(), "3")]
    {
        let snapshot = snapshot(vec![pool], vec![pod]);
        let plan = planner::plan(&snapshot);
        assert_eq!(planner::check(&snapshot, &plan), [], "partition {partition}");
        let launch = &plan.launches[0];
        assert_eq!((launch.offerings.len(), launch.offerings_total), (21, 21));
        assert_eq!(&*launch.labels[PARTITION], partition);
    }
}

/// The label that `minValues` count values of.
const FAMILY: &str = "karpenter.k8s.aws/instance-family";

/// A pool of 700 types of one size, each dearer than the one before. The first 690 are of family `a`, the last ten of
/// families of their own; `least` families are wanted.
fn wide(least: u32) -> Pool {
    let mut pool = pool("wide");
    let model = pool.types[2].clone();
    let one = |at: i64| {
        let mut kind: InstanceType = model.clone();
        kind.name = format!("w-{at:03}").into();
        let family = if at < 690 { "a".to_owned() } else { format!("rare-{at}") };
        kind.labels.insert(labels::INSTANCE_TYPE.into(), kind.name.clone());
        kind.labels.insert(FAMILY.into(), family.into());
        for offering in &mut kind.offerings {
            offering.price = MicroUsdPerHour(100_000 + at);
        }
        kind
    };
    pool.types = Arc::new((0..700).map(one).collect());
    let mut families = Requirement::new(FAMILY, Operator::Exists, Vec::<&str>::new());
    families.min_values = Some(least);
    pool.requirements.add(families);
    pool
}

#[test]
fn of_more_than_600_types_the_cheapest_are_named_and_those_that_min_values_want() {
    for least in [1, 4, 11] {
        let plan = planner::plan(&snapshot(vec![wide(least)], replicas("web", 1, 300, |_| {})));
        let launch = &plan.launches[0];
        let types: BTreeSet<_> = launch.offerings.iter().map(|offering| offering.instance_type.clone()).collect();
        let families: BTreeSet<&str> =
            types.iter().map(|name| if **name < *"w-690" { "a" } else { name.as_ref() }).collect();
        assert_eq!(types.len(), 600);
        assert_eq!(families.len(), least as usize, "the dearest families are named as far as they are wanted");
        let cheapest = 600 - (least as usize - 1);
        assert_eq!(types.iter().nth(cheapest - 1).map(AsRef::as_ref), Some(&*format!("w-{:03}", cheapest - 1)));
        assert_eq!(launch.offerings[0].instance_type.as_ref(), "w-000");
        assert_eq!((launch.offerings.len(), launch.offerings_total), (1800, 2100));
        // A claim asks for these types and no other.
        let named = launch.requirements.get(labels::INSTANCE_TYPE).unwrap();
        assert!(types.iter().all(|name| named.has(name)) && !named.has("w-650"));
    }
}

#[test]
fn min_values_that_cannot_be_met_by_all_types_are_a_reason() {
    let plan = planner::plan(&snapshot(vec![wide(12)], replicas("web", 1, 300, |_| {})));
    assert_eq!(plan.unplaced[0].reasons[0].code, Code::MinValuesNotMet);
}

/// A pool of one type of one core, that costs so much in each of the zones a, b and c.
fn priced(prices: [i64; 3]) -> Pool {
    let mut types = support::types(&["a", "b", "c"]);
    types.truncate(1);
    for (offering, price) in types[0].offerings.iter_mut().zip(prices) {
        offering.price = MicroUsdPerHour(price);
    }
    Pool { types: Arc::new(types), ..pool("general") }
}

#[test]
fn what_a_spread_leaves_over_goes_where_it_is_cheapest() {
    for n in [4, 7, 8, 13] {
        let pods = replicas("web", n, 600, |shape| shape.spreads.push(spread(labels::ZONE, "web")));
        let plan = planner::plan(&snapshot(vec![priced([200_000, 70_000, 100_000])], pods));
        let [each, over] = [n / 3, n % 3].map(|n| i64::try_from(n).unwrap());
        let rest: i64 = [70_000, 100_000].iter().take(n % 3).sum();
        assert_eq!(plan.cost.0, each * 370_000 + rest, "{n} pods, {over} left over");
    }
}

#[test]
fn the_skew_that_a_spread_allows_is_used_where_that_is_cheaper() {
    for (n, cost) in [(2, 140_000), (4, 70_000 * 2 + 100_000 * 2), (5, 70_000 * 3 + 100_000 + 200_000)] {
        let with = |shape: &mut planner::model::PodShape| {
            shape.spreads.push(planner::model::pod::Spread { max_skew: 2, ..spread(labels::ZONE, "web") });
        };
        let plan = planner::plan(&snapshot(vec![priced([200_000, 70_000, 100_000])], replicas("web", n, 600, with)));
        assert!(plan.unplaced.is_empty());
        assert_eq!(plan.cost.0, cost, "{n} pods: {:?}", zones(&plan));
    }
}

#[test]
fn who_spreads_more_strictly_over_the_same_pods_is_not_moved_away_from() {
    let mut pods = replicas("web", 4, 600, |shape| {
        shape.spreads.push(planner::model::pod::Spread { max_skew: 3, ..spread(labels::ZONE, "web") });
    });
    let mut strict = replicas("strict", 3, 600, |shape| {
        shape.labels.insert("app".into(), "web".into());
        shape.spreads.push(spread(labels::ZONE, "web"));
    });
    pods.append(&mut strict);
    let input = snapshot(vec![priced([200_000, 70_000, 100_000])], pods);
    let plan = planner::plan(&input);
    assert!(plan.unplaced.is_empty());
    assert!(planner::check(&input, &plan).is_empty());
}

#[test]
fn the_cheapest_split_is_found_for_pods_that_ask_for_a_part_of_the_pool() {
    let mut both = priced([200_000, 70_000, 100_000]);
    let mut arm = both.types[0].clone();
    arm.name = "t-1x-arm".into();
    arm.labels.insert(labels::INSTANCE_TYPE.into(), arm.name.clone());
    arm.labels.insert(labels::ARCH.into(), "arm64".into());
    both.types = Arc::new(vec![both.types[0].clone(), arm]);
    for (n, cost) in [(2, 140_000), (4, 70_000 * 2 + 100_000 * 2)] {
        let with = |shape: &mut planner::model::PodShape| {
            shape.node_selector.add(Requirement::equal(labels::ARCH, "arm64"));
            shape.spreads.push(planner::model::pod::Spread { max_skew: 2, ..spread(labels::ZONE, "web") });
        };
        let input = snapshot(vec![both.clone()], replicas("web", n, 600, with));
        let plan = planner::plan(&input);
        assert_eq!(planner::check(&input, &plan), []);
        assert_eq!((plan.unplaced.len(), plan.cost.0), (0, cost), "{n} pods: {:?}", zones(&plan));
    }
}

#[test]
fn a_zone_is_not_the_cheapest_for_a_reservation_that_is_used_up() {
    let mut general = pool("general");
    let mut types = (*general.types).clone();
    let in_b = |offering: &&mut planner::model::Offering| *offering.zone == *"b";
    for offering in types.iter_mut().flat_map(|kind| &mut kind.offerings).filter(in_b) {
        offering.price.0 *= 2;
    }
    let mut reserved = types[0].offerings[1].clone();
    reserved.capacity_type = planner::model::CapacityType::Reserved;
    reserved.price = MicroUsdPerHour(1);
    reserved.reservation = Some(planner::model::catalog::Reservation { id: "cr-1".into(), count: 1 });
    types[0].offerings.push(reserved);
    general.types = Arc::new(types);
    let port = planner::model::pod::HostPort { port: 80, protocol: "TCP".into(), address: "".into() };
    let mut pods = replicas("cache", 3, 300, |shape| shape.host_ports = [port.clone()].into());
    pods.extend(replicas("api", 3, 400, |shape| shape.affinity.push(term(labels::ZONE, "cache"))));
    let mut snapshot = snapshot(vec![general], pods);
    snapshot.policies.effort = 0;
    let plan = planner::plan(&snapshot);
    assert_eq!(planner::check(&snapshot, &plan), []);
    assert_eq!((plan.unplaced.len(), plan.cost.0), (0, 60_001), "{:?}", zones(&plan));
}
