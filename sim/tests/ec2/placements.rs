//! Placement groups, and how machines and their health are told of.

use std::time::Duration;

use sim::ec2::{Ec2, PlacementGroup, Tags};
use tokio::time::advance;

use super::wire::{ec2, fleet, ok, refused, template, template_with, texts};

/// A group `NAME` with the id `pg-NAME`, and a template for it.
async fn group(ec2: &Ec2, strategy: &str, n_partitions: Option<u32>) {
    let (id, name) = (format!("pg-{strategy}"), strategy.to_owned());
    ec2.locked(|state| {
        let group = PlacementGroup { id: id.clone(), name, strategy: strategy.into(), n_partitions, tags: Tags::new() };
        state.placement_groups.insert(id, group);
    });
    template_with(ec2, strategy, &format!("&LaunchTemplateData.Placement.GroupId=pg-{strategy}")).await;
}

fn in_group(n: u32, strategy: &str, overrides: &[&str]) -> String {
    fleet(n, "on-demand", overrides).replace("millwright/one", &format!("millwright/{strategy}"))
}

#[tokio::test(start_paused = true)]
async fn machines_close_together_stay_in_one_zone_and_are_of_types_that_can() {
    let ec2 = ec2(|_| {});
    group(&ec2, "cluster", None).await;
    ok(&ec2, &in_group(1, "cluster", &["m5.large/a"])).await;
    let answer = ok(&ec2, &in_group(1, "cluster", &["m5.large/b"])).await;
    assert_eq!(texts(&answer, "errorCode"), ["InsufficientInstanceCapacity"]);
    let answer = ok(&ec2, &in_group(1, "cluster", &["t3.large/a"])).await;
    assert_eq!(texts(&answer, "errorCode"), ["InvalidParameterCombination"]);
    ok(&ec2, &in_group(2, "cluster", &["m5.large/a"])).await;
    assert_eq!(ec2.machines().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn seven_machines_of_a_spread_group_fit_a_zone() {
    let ec2 = ec2(|_| {});
    group(&ec2, "spread", None).await;
    let answer = ok(&ec2, &in_group(9, "spread", &["m5.large/a", "m5.xlarge/b"])).await;
    assert_eq!(texts(&answer, "errorCode"), ["InsufficientInstanceCapacity"]);
    let n_in = |zone: &str| ec2.machines().iter().filter(|one| one.zone.name == zone).count();
    assert_eq!((n_in("us-west-2a"), n_in("us-west-2b")), (7, 2));
}

#[tokio::test(start_paused = true)]
async fn partitions_fill_evenly_and_only_those_that_are_there_can_be_asked_for() {
    let ec2 = ec2(|_| {});
    group(&ec2, "partition", Some(3)).await;
    ok(&ec2, &in_group(6, "partition", &["m5.large/a"])).await;
    advance(Duration::from_secs(1)).await;
    let told = ok(&ec2, "Action=DescribeInstances").await;
    let mut partitions = texts(&told, "partitionNumber");
    partitions.sort_unstable();
    assert_eq!(partitions, ["1", "1", "2", "2", "3", "3"]);
    let fourth = "&LaunchTemplateData.Placement.GroupId=pg-partition&LaunchTemplateData.Placement.PartitionNumber=4";
    template_with(&ec2, "fourth", fourth).await;
    let answer = ok(&ec2, &in_group(1, "fourth", &["m5.large/a"])).await;
    assert_eq!(texts(&answer, "errorCode"), ["InvalidParameterValue"]);
}

#[tokio::test(start_paused = true)]
async fn groups_are_told_of_by_id_by_name_and_by_filter() {
    let ec2 = ec2(|_| {});
    group(&ec2, "partition", Some(3)).await;
    group(&ec2, "spread", None).await;
    let list = "Action=DescribePlacementGroups";
    let found = ok(&ec2, &format!("{list}&Filter.1.Name=strategy&Filter.1.Value.1=partition")).await;
    assert_eq!((texts(&found, "groupId"), texts(&found, "partitionCount")), (vec!["pg-partition"], vec!["3"]));
    assert_eq!(texts(&ok(&ec2, &format!("{list}&GroupName.1=spread")).await, "groupId"), ["pg-spread"]);
    assert_eq!(refused(&ec2, &format!("{list}&GroupId.1=pg-none")).await.1, "InvalidPlacementGroup.Unknown");
    template_with(&ec2, "lost", "&LaunchTemplateData.Placement.GroupId=pg-none").await;
    let answer = ok(&ec2, &in_group(1, "lost", &["m5.large/a"])).await;
    assert_eq!(texts(&answer, "errorCode"), ["InvalidPlacementGroup.Unknown"]);
}

#[tokio::test(start_paused = true)]
async fn failed_checks_and_scheduled_events_are_told_of_machines_that_run() {
    let ec2 = ec2(|_| {});
    template(&ec2).await;
    ok(&ec2, &fleet(3, "on-demand", &["m5.large/a"])).await;
    let list = "Action=DescribeInstanceStatus";
    advance(Duration::from_secs(1)).await;
    assert!(texts(&ok(&ec2, list).await, "instanceId").is_empty(), "none runs yet");
    assert_eq!(texts(&ok(&ec2, &format!("{list}&IncludeAllInstances=true")).await, "instanceId").len(), 3);
    advance(Duration::from_mins(1)).await;
    let ids: Vec<String> = ec2.machines().into_iter().map(|one| one.id).collect();
    ec2.locked(|state| {
        let now = state.now();
        state.instances.get_mut(&ids[0]).unwrap().impaired.0 = Some(now);
        state.instances.get_mut(&ids[1]).unwrap().event = Some(("instance-retirement".into(), now + 1));
    });
    let by = |name: &str, value: &str| format!("{list}&Filter.1.Name={name}&Filter.1.Value.1={value}");
    let found = ok(&ec2, &by("instance-status.status", "impaired")).await;
    assert_eq!((texts(&found, "instanceId"), found.contains("impairedSince")), (vec![ids[0].as_str()], true));
    let found = ok(&ec2, &by("event.code", "instance-retirement")).await;
    assert_eq!((texts(&found, "instanceId"), found.contains("notBefore")), (vec![ids[1].as_str()], true));
    assert_eq!(texts(&ok(&ec2, &format!("{list}&InstanceId.1={}", ids[2])).await, "instanceId"), [ids[2].as_str()]);
}
