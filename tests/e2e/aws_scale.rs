//! Much at once on EC2: a thousand pods, spot that is taken back, pools that sell out one after another.
//!
//! The storm is of forty machines; `MACHINES=300` makes it one of three hundred, which takes some minutes.

use control_plane::wait_for;
use planner::model::CapacityType;
use sim::ec2::Instance;

use super::controller::{LONG, wait_empty};
use super::region::{Region, world, world_of};

fn seconds(from: i64, to: i64) -> f64 {
    (to - from) as f64 / 1e6
}

#[test]
fn a_thousand_pods_run_and_no_call_comes_too_fast() {
    let world = world();
    let region = Region::open(world.stack.api("admin").unwrap());
    let product = region.controller(&world);
    let begun = region.now();
    world.deployment("web", 1000, "900m");
    world.wait_ready("web", 1000, LONG);
    println!("{:>8.3} s  from a thousand pods to all ready", seconds(begun, region.now()));
    region.tell_calls("a thousand pods");
    region.assert_nothing_was_doubled_or_refused();
    let (log, n_machines) = (region.ec2.log(), region.ever().len() as u64);
    // One for each machine, and one that was not carried out, to see whether it is allowed.
    assert!(log.count("CreateFleet") <= n_machines + 1, "{:?}", log.counts());
    world.scale("web", 0);
    wait_empty(&world);
    product.stop();
}

#[test]
fn machines_that_are_taken_back_at_once_are_replaced_before_they_go() {
    let n = std::env::var("MACHINES").ok().and_then(|n| n.parse().ok()).unwrap_or(40_u32);
    let world = world_of(&["spot"], &["m", "c", "r"]);
    let region = Region::open(world.stack.api("admin").unwrap());
    let product = region.controller(&world);
    let begun = region.now();
    world.one_per_host("alone", n);
    world.wait_ready("alone", u64::from(n), LONG * 2);
    println!("{:>8.3} s  from {n} pods to all ready, one to a machine", seconds(begun, region.now()));
    let n_fleets = region.ec2.n_calls("CreateFleet");

    let begun = region.now();
    let warned = region.ec2.interrupt_spot(100);
    assert_eq!(warned.len(), usize::try_from(n).unwrap());
    wait_for("replacements are ordered", LONG * 2, || match region.ec2.n_calls("CreateFleet") - n_fleets {
        ordered if ordered >= u64::from(n) => Ok(()),
        ordered => Err(format!("{ordered} of {n}")),
    })
    .unwrap();
    println!("{:>8.3} s  from the notices to the order of the last replacement", seconds(begun, region.now()));
    let is_left = |one: &Instance| warned.contains(&one.id);
    wait_for("those that were warned are gone and all pods run", LONG * 2, || {
        let left = region.ec2.machines().iter().filter(|one| is_left(one)).count();
        let n_ready = world.n_ready("alone");
        if left == 0 && n_ready == u64::from(n) { Ok(()) } else { Err(format!("{left} left, {n_ready} ready")) }
    })
    .unwrap();
    println!("{:>8.3} s  from the notices until all pods run elsewhere", seconds(begun, region.now()));
    // Ended by us, before EC2 took them.
    let taken = region.ec2.locked(|state| {
        let taken = |one: &&Instance| one.reason == "Server.SpotInstanceTermination";
        state.instances.values().filter(taken).count()
    });
    println!("{taken} of {n} machines were taken by EC2 before their pods had left");
    region.tell_calls(&format!("{n} pods and {n} interruptions"));
    region.assert_nothing_was_doubled_or_refused();
    product.stop();
}

#[test]
fn pools_that_sell_out_one_after_another_are_left_for_the_next_in_the_same_call() {
    let world = world_of(&["spot", "on-demand"], &["m"]);
    let region = Region::open(world.stack.api("admin").unwrap());
    let product = region.controller(&world);
    world.one_per_host("alone", 1);
    world.wait_ready("alone", 1, LONG);
    let mut pools = Vec::new();
    for n in 2..=7 {
        let newest = region.ec2.machines().into_iter().max_by_key(|one| one.launched_at).unwrap();
        region.ec2.set_stock(&newest.key, 0);
        pools.push(newest.key);
        world.scale("alone", n);
        world.wait_ready("alone", u64::from(n), LONG);
    }
    assert!(region.ec2.machines().iter().filter(|one| pools.contains(&one.key)).count() == 6, "each pool sold one");
    let n_fleets = |region: &Region| region.ec2.n_calls("CreateFleet");
    assert_eq!(n_fleets(&region), 8, "one for each machine and one to see whether it is allowed");

    // Now all of spot: what is on demand takes its place, after one more call at most.
    region.ec2.locked(|state| {
        let now = state.now();
        let spot = |key: &&cloud::OfferingKey| key.capacity_type == CapacityType::Spot;
        let keys: Vec<_> = state.market.offerings().filter(spot).cloned().collect();
        for key in &keys {
            state.market.schedule(key, now, 0);
        }
    });
    world.scale("alone", 8);
    world.wait_ready("alone", 8, LONG);
    let log = region.ec2.log();
    let times: Vec<i64> = log.entries().filter(|one| one.action == "CreateFleet").map(|one| one.at).skip(8).collect();
    println!(
        "all of spot sold out: {} calls of CreateFleet, {:.3} s from the first to the last",
        times.len(),
        seconds(times[0], times[times.len() - 1])
    );
    region.tell_calls("eight machines from pools that sold out");
    let newest = region.ec2.machines().into_iter().max_by_key(|one| one.launched_at).unwrap();
    assert_eq!(newest.key.capacity_type, CapacityType::OnDemand);
    // A fleet names at most sixty ways; what it did not name is not known to be out.
    assert!(times.len() <= 6, "{times:?}");
    region.assert_nothing_was_doubled_or_refused();
    product.stop();
}
