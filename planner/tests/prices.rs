//! Where pods are bound to what was bought first: the cheapest pool, domain and company all the same.

mod support;

use std::sync::Arc;

use planner::model::pod::HostPort;
use planner::model::{CapacityType, MicroUsdPerHour, Pod, Pool, Resources, labels};
use support::{pod, pool, replicas, snapshot, spread, term, types, zone_in};

/// A pool in one zone, at a price in thousandths of the usual one.
fn zonal(name: &str, zone: &str, price: i64) -> Pool {
    let mut types = types(&[zone]);
    for offering in types.iter_mut().flat_map(|kind| &mut kind.offerings) {
        offering.price.0 = offering.price.0 * price / 1000;
    }
    Pool { types: Arc::new(types), ..pool(name) }
}

/// In zone a, on-demand, and spot at half the price.
fn with_spot() -> Pool {
    let mut types = types(&["a"]);
    for kind in &mut types {
        let mut spot = kind.offerings.clone();
        for offering in &mut spot {
            offering.capacity_type = CapacityType::Spot;
            offering.price.0 /= 2;
        }
        kind.offerings.extend(spot);
    }
    Pool { types: Arc::new(types), ..pool("general") }
}

#[track_caller]
fn costs(pools: Vec<Pool>, pods: Vec<Pod>, least: i64, greedy: i64) {
    let snapshot = snapshot(pools, pods);
    let plan = planner::plan(&snapshot);
    assert_eq!(planner::check(&snapshot, &plan), []);
    assert_eq!((plan.cost, plan.greedy_cost), (MicroUsdPerHour(least), MicroUsdPerHour(greedy)), "{plan:?}");
}

/// The cheap pool first, and the dear one.
fn near_and_far() -> [Vec<Pool>; 2] {
    let pools = || vec![zonal("cheap", "a", 500), zonal("dear", "b", 1000)];
    [pools(), pools().into_iter().rev().collect()]
}

#[test]
fn pods_that_gather_do_so_where_the_cheaper_of_two_equal_pools_sells() {
    for (pools, greedy) in near_and_far().into_iter().zip([30_000, 60_000]) {
        let pods = replicas("c", 2, 900, |shape| shape.affinity.push(term(labels::ZONE, "c")));
        costs(pools, pods, 30_000, greedy);
    }
}

#[test]
fn a_pod_of_a_spread_that_leaves_it_a_choice_goes_to_the_cheaper_of_two_equal_pools() {
    for (pools, greedy) in near_and_far().into_iter().zip([15_000, 30_000]) {
        let pods = replicas("web", 1, 900, |shape| shape.spreads.push(spread(labels::ZONE, "web")));
        costs(pools, pods, 15_000, greedy);
    }
}

#[test]
fn pods_that_keep_away_from_others_stay_with_the_cheaper_of_two_equal_pools() {
    for (mut pools, greedy) in near_and_far().into_iter().zip([60_000, 90_000]) {
        pools.push(zonal("a-third", "c", 1000));
        let mut foe = pod("foe", 900);
        foe.shape.labels.insert("app".into(), "foe".into());
        foe.shape.node_selector.add(zone_in(&["c"]));
        let mut pods = replicas("web", 2, 900, |shape| shape.anti_affinity.push(term(labels::ZONE, "foe")));
        pods.push(foe);
        costs(pools, pods, 60_000, greedy);
    }
}

#[test]
fn a_heavier_pool_still_sells_first() {
    let [_, mut pools] = near_and_far();
    pools[0].weight = 1;
    let pods = replicas("c", 2, 900, |shape| shape.affinity.push(term(labels::ZONE, "c")));
    costs(pools, pods, 60_000, 60_000);
}

#[test]
fn machines_that_nobody_counts_who_could_come_there_move_to_the_cheaper_domain() {
    // Two wait for company that never comes, and would be balanced by the others; one counts only in a zone nobody sells.
    let mut pods = replicas("web", 2, 900, |shape| {
        shape.host_ports = [HostPort { port: 80, protocol: "TCP".into(), address: "0.0.0.0".into() }].into();
    });
    let mut lonely = pod("lonely", 100);
    lonely.shape.spreads.push(spread(labels::CAPACITY_TYPE, "web"));
    lonely.shape.affinity.push(term(labels::HOSTNAME, "nobody"));
    let mut abroad = pod("abroad", 100);
    abroad.shape.spreads.push(spread(labels::CAPACITY_TYPE, "web"));
    abroad.shape.node_selector.add(zone_in(&["z"]));
    pods.extend([lonely, abroad]);
    let snapshot = snapshot(vec![with_spot()], pods);
    let plan = planner::plan(&snapshot);
    assert_eq!(planner::check(&snapshot, &plan), []);
    assert_eq!(plan.cost, MicroUsdPerHour(30_000), "{plan:?}");
}

#[test]
fn prices_that_were_rounded_do_not_make_a_burst_many_small_machines() {
    // Each size costs a millionth of a dollar more than two of the size below it, of three dollars and more.
    let mut types = types(&["a"]);
    for (kind, n_halves) in types.iter_mut().zip([0, 1, 3, 7, 15, 31, 63]) {
        kind.allocatable = kind.capacity.clone();
        kind.offerings[0].price.0 = kind.offerings[0].price.0 * 100 + n_halves;
    }
    let snapshot =
        snapshot(vec![Pool { types: Arc::new(types), ..pool("general") }], replicas("web", 65, 1000, |_| {}));
    let plan = planner::plan(&snapshot);
    assert_eq!(planner::check(&snapshot, &plan), []);
    assert_eq!((plan.launches.len(), plan.cost), (2, MicroUsdPerHour(195_000_063)));
}

/// All of these run on so many machines of two cores.
fn all_run_on(pods: Vec<Pod>, n_machines: usize) {
    let mut pool = pool("general");
    pool.types = Arc::new(types(&["a"]).into_iter().filter(|kind| &*kind.name == "t-2x").collect());
    let snapshot = snapshot(vec![pool], pods);
    let plan = planner::plan(&snapshot);
    assert_eq!(planner::check(&snapshot, &plan), []);
    assert!(plan.unplaced.is_empty(), "{plan:?}");
    assert_eq!(plan.launches.len(), n_machines);
}

#[test]
fn who_has_to_be_near_its_kind_is_given_company_with_room_to_spare() {
    // The large one leaves no room on any machine there is; the small one does on one of 2 cores.
    let mut pods = replicas("c", 2, 600, |shape| shape.affinity.push(term(labels::HOSTNAME, "c")));
    for (name, cpu) in [("large", 1_500), ("small", 300)] {
        let mut other = pod(name, cpu);
        other.shape.labels.insert("app".into(), "c".into());
        pods.push(other);
    }
    all_run_on(pods, 2);
}

#[test]
fn who_finds_no_place_in_the_first_of_equal_pools_may_find_one_by_price() {
    // By name two of three fill all that the pool with the rack may buy, and the worker can be near nobody there. By price
    // all three are elsewhere, where no rack is, and the worker is the first in its.
    let [_, mut pools] = near_and_far();
    for pool in &mut pools {
        pool.types = Arc::new(pool.types.iter().filter(|kind| &*kind.name == "t-2x").cloned().collect());
    }
    pools[0].limits = Resources::of([("nodes", 2)]);
    pools[0].labels.insert("rack".into(), "r1".into());
    let mut pods = replicas("web", 3, 1_900, |_| {});
    let mut worker = pod("worker", 500);
    worker.shape.labels.insert("app".into(), "web".into());
    worker.shape.affinity.push(term("rack", "web"));
    pods.push(worker);
    costs(pools, pods, 150_000, 180_000);
}

#[test]
fn each_of_several_that_need_company_of_their_own_gets_it() {
    // On machines of 2 cores four caches fit on one, and two workers want one each beside them.
    let mut pods = replicas("cache", 4, 400, |_| {});
    pods.extend(replicas("worker", 2, 1_400, |shape| {
        shape.affinity.push(term(labels::HOSTNAME, "cache"));
        shape.anti_affinity.push(term(labels::HOSTNAME, "worker"));
    }));
    all_run_on(pods, 3);
}
