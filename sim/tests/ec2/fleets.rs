//! Fleets: which pools they draw on, what they say of pools without stock, and that a token buys once.

use planner::model::CapacityType;
use sim::ec2::{Fault, Level, Rule};

use super::wire::{call, ec2, fleet, key, ok, refused, template, texts, try_call};

const WEST: &str = "us-west-2a";

#[tokio::test(start_paused = true)]
async fn the_cheapest_pool_with_stock_is_bought_from_and_the_empty_ones_are_told() {
    let ec2 = ec2(|_| {});
    template(&ec2).await;
    ec2.set_stock(&key("m5.large", WEST, CapacityType::OnDemand), 0);
    let answer = ok(&ec2, &fleet(1, "on-demand", &["m5.xlarge/a", "m5.large/a", "m5.large/b"])).await;
    assert_eq!(texts(&answer, "errorCode"), ["InsufficientInstanceCapacity"]);
    let (errors, bought) = answer.split_once("<fleetInstanceSet>").unwrap();
    assert_eq!(
        (texts(errors, "subnetId"), texts(errors, "lifecycle")),
        (vec!["subnet-00000000000000000"], vec!["on-demand"])
    );
    assert_eq!(texts(bought, "subnetId"), ["subnet-00000000000000001"]);
    assert!(bought.contains("<instanceType>m5.large</instanceType></item>"), "{bought}");
}

#[tokio::test(start_paused = true)]
async fn a_fleet_that_wants_more_than_there_is_gets_what_there_is() {
    let ec2 = ec2(|options| options.level = Level::Each(2));
    template(&ec2).await;
    let answer = ok(&ec2, &fleet(5, "on-demand", &["m5.large/a", "m5.large/b"])).await;
    let bought = answer.split_once("<fleetInstanceSet>").unwrap().1;
    let groups: Vec<usize> = texts(bought, "instanceIds").iter().map(|ids| texts(ids, "item").len()).collect();
    assert_eq!(groups, [2, 2], "ids are grouped by override");
    assert_eq!(texts(&answer, "errorCode").len(), 2, "both pools ran dry");
    assert_eq!(ec2.machines().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_token_buys_once_and_another_order_under_it_is_refused() {
    let ec2 = ec2(|_| {});
    template(&ec2).await;
    let order = format!("{}&ClientToken=t1", fleet(2, "spot", &["m5.large/a", "c5.large/b"]));
    let first = ok(&ec2, &order).await;
    let again = ok(&ec2, &order).await;
    assert_eq!(texts(&first, "fleetId"), texts(&again, "fleetId"));
    assert_eq!(ec2.machines().len(), 2);
    let other = format!("{}&ClientToken=t1", fleet(3, "spot", &["m5.large/a"]));
    assert_eq!(refused(&ec2, &other).await, (400, "IdempotentParameterMismatch".into()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_lost_after_execution_comes_again_for_the_same_token() {
    let ec2 = ec2(|_| {});
    template(&ec2).await;
    ec2.faults(|faults| {
        faults.add(Rule { action: Some("CreateFleet".into()), skip: 0, times: 1, fault: Fault::LostAfter });
    });
    let order = format!("{}&ClientToken=t1", fleet(1, "on-demand", &["m5.large/a"]));
    assert!(try_call(&ec2, &order).await.is_err());
    assert_eq!(ec2.machines().len(), 1);
    let answer = ok(&ec2, &order).await;
    assert!(answer.contains(&ec2.machines()[0].id));
    assert_eq!(ec2.machines().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_pool_is_refused_for_its_own_reason_and_the_fleet_goes_on() {
    let ec2 = ec2(|_| {});
    template(&ec2).await;
    ec2.locked(|state| state.land.subnets.get_mut("subnet-00000000000000002").unwrap().used = 1 << 14);
    let wanted = ["zz9.large/a", "m6g.large/a", "m5.large/c", "m5.xlarge/a"];
    // More than any pool has, so that each is tried.
    let answer = ok(&ec2, &fleet(11, "on-demand", &wanted)).await;
    let errors = texts(answer.split_once("<fleetInstanceSet>").unwrap().0, "item");
    let told = |kind: &str| {
        let of_kind = errors.iter().filter(|error| error.contains(&format!("<instanceType>{kind}</instanceType>")));
        of_kind.map(|error| (texts(error, "errorCode")[0], texts(error, "errorMessage")[0])).collect::<Vec<_>>()
    };
    assert_eq!(told("zz9.large"), [("InvalidParameterValue", "Invalid value 'zz9.large' for InstanceType.")]);
    assert_eq!(told("m6g.large")[0].0, "InvalidParameterValue");
    assert!(told("m6g.large")[0].1.contains("does not match the architecture 'x86_64' of the specified AMI"));
    assert_eq!(told("m5.large")[0].0, "InsufficientFreeAddressesInSubnet");
    assert_eq!(told("m5.xlarge")[0].0, "InsufficientInstanceCapacity");
    assert_eq!(errors.len(), 4, "{errors:?}");
    assert_eq!(ec2.machines().len(), 10);
    assert!(ec2.machines().iter().all(|one| &*one.key.instance_type == "m5.xlarge"));
}

#[tokio::test(start_paused = true)]
async fn a_type_that_the_zone_does_not_sell_is_unsupported() {
    let ec2 = ec2(|_| {});
    template(&ec2).await;
    let (kind, zone) = ec2.locked(|state| {
        let n_zones = state.region.zones.len();
        let row = state.region.sold.iter().find(|row| {
            let kind = state.instance_type(&row.instance_type).unwrap();
            row.zones.len() < n_zones && kind.arch.contains(&"x86_64".to_owned())
        });
        let row = row.unwrap();
        let missing = (0..n_zones).find(|at| !row.zones.contains(at)).unwrap();
        (row.instance_type.clone(), ["a", "b", "c", "d"][missing])
    });
    let answer = ok(&ec2, &fleet(1, "on-demand", &[&format!("{kind}/{zone}")])).await;
    assert_eq!(texts(&answer, "errorCode"), ["Unsupported"]);
    assert!(ec2.machines().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_quota_of_vcpus_is_told_pool_by_pool() {
    let ec2 = ec2(|options| options.on_demand_vcpus = Some(5));
    template(&ec2).await;
    let answer = ok(&ec2, &fleet(3, "on-demand", &["m5.large/a"])).await;
    assert_eq!(texts(&answer, "errorCode"), ["VcpuLimitExceeded"]);
    assert_eq!(ec2.machines().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn spot_goes_to_pools_that_are_deep_before_those_that_are_cheap() {
    let ec2 = ec2(|options| options.level = Level::Each(100));
    template(&ec2).await;
    let price = |kind: &str| ec2.locked(|s| s.market.price(&key(kind, WEST, CapacityType::Spot), s.now()).unwrap());
    let (cheap, dear) =
        if price("m5.large") < price("m5.4xlarge") { ("m5.large", "m5.4xlarge") } else { ("m5.4xlarge", "m5.large") };
    let strategy = "&SpotOptions.AllocationStrategy=price-capacity-optimized";
    let order = format!("{}{strategy}", fleet(1, "spot", &[&format!("{dear}/a"), &format!("{cheap}/a")]));
    assert!(ok(&ec2, &order).await.contains(&format!("<instanceType>{cheap}</instanceType></item>")));
    ec2.set_stock(&key(cheap, WEST, CapacityType::Spot), 5);
    assert!(ok(&ec2, &order).await.contains(&format!("<instanceType>{dear}</instanceType></item>")));
    ec2.set_stock(&key(dear, WEST, CapacityType::Spot), 0);
    let answer = ok(&ec2, &order).await;
    assert!(answer.contains(&format!("<instanceType>{cheap}</instanceType></item>")));
}

#[tokio::test(start_paused = true)]
async fn whole_call_errors_are_those_of_ec2() {
    let ec2 = ec2(|_| {});
    let order = fleet(1, "spot", &["m5.large/a"]);
    assert_eq!(refused(&ec2, &order).await, (400, "InvalidLaunchTemplateName.NotFoundException".into()));
    template(&ec2).await;
    assert_eq!(refused(&ec2, &order.replace("$Latest", "7")).await.1, "InvalidLaunchTemplateId.VersionNotFound");
    assert_eq!(refused(&ec2, &format!("{order}&DryRun=true")).await, (412, "DryRunOperation".into()));
    assert_eq!(refused(&ec2, &order.replace("instant", "request")).await, (501, "NotImplemented".into()));
    assert_eq!(call(&ec2, &order.replace("=spot", "=barter")).await.0, 400);
    assert!(ec2.machines().is_empty());
}
