//! How EC2 behaves whatever is asked: pages, filters, limits, what it does not know.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use sim::ec2::{Fault, Rule, Script};
use tokio::time::{Instant, advance};

use super::wire::{ec2, fleet, ok, refused, template, texts, try_call};

#[tokio::test(start_paused = true)]
async fn types_come_a_hundred_at_a_time_and_each_once() {
    let ec2 = ec2(|_| {});
    let mut seen = BTreeSet::new();
    let mut query = "Action=DescribeInstanceTypes&MaxResults=100".to_owned();
    let mut n_pages = 0;
    loop {
        let answer = ok(&ec2, &query).await;
        let before = seen.len();
        // The first element inside an entry is its name.
        let names = answer.split("<item><instanceType>").skip(1).map(|part| part.split_once('<').unwrap().0.to_owned());
        seen.extend(names);
        assert!(seen.len() - before <= 100);
        n_pages += 1;
        match texts(&answer, "nextToken").first() {
            Some(token) => query = format!("Action=DescribeInstanceTypes&MaxResults=100&NextToken={token}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), ec2.locked(|state| state.region.sold.len()));
    assert_eq!(n_pages, seen.len().div_ceil(100));
    assert_eq!(refused(&ec2, "Action=DescribeInstanceTypes&MaxResults=101").await.1, "InvalidParameterValue");
}

#[tokio::test(start_paused = true)]
async fn what_it_does_not_know_is_an_error_and_never_ignored() {
    let ec2 = ec2(|_| {});
    assert_eq!(refused(&ec2, "Action=StopInstances&InstanceId.1=i-1").await, (501, "NotImplemented".into()));
    assert_eq!(refused(&ec2, "Action=DescribeSubnets&Colour=red").await, (400, "UnknownParameter".into()));
    let filter = "Action=DescribeSubnets&Filter.1.Name=colour&Filter.1.Value.1=red";
    assert_eq!(refused(&ec2, filter).await, (400, "InvalidParameterValue".into()));
    assert_eq!(refused(&ec2, "Action=DescribeSubnets&DryRun=true").await, (412, "DryRunOperation".into()));
    let unsigned = Request::post("/").body(Bytes::from_static(b"Action=DescribeSubnets&Version=2016-11-15")).unwrap();
    assert_eq!(ec2.serve(unsigned).await.unwrap().status(), 403);
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_limits_are_refused_until_the_bucket_fills() {
    let ec2 = ec2(|options| options.latency = Duration::ZERO);
    for _ in 0..100 {
        ok(&ec2, "Action=DescribeSubnets").await;
    }
    assert_eq!(refused(&ec2, "Action=DescribeSubnets").await, (503, "RequestLimitExceeded".into()));
    // Each action has a bucket of its own.
    ok(&ec2, "Action=DescribeImages").await;
    advance(Duration::from_secs(1)).await;
    ok(&ec2, "Action=DescribeSubnets").await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_filter_is_refused_where_nothing_could_match_it() {
    let ec2 = ec2(|_| {});
    let odd = "Filter.1.Name=colour&Filter.1.Value.1=red";
    let nothing = "Filter.1.Name=instance-type&Filter.1.Value.1=none&Filter.2.Name=colour&Filter.2.Value.1=red";
    for (action, filters) in [
        ("DescribeInstances", odd),
        ("DescribeInstanceStatus", odd),
        ("DescribeLaunchTemplates", odd),
        ("DescribeCapacityReservations", odd),
        ("DescribePlacementGroups", odd),
        ("DescribeInstanceTypes", nothing),
        ("DescribeInstanceTypeOfferings", nothing),
        ("DescribeSpotPriceHistory", nothing),
        ("DescribeSpotPriceHistory&InstanceType.1=none", odd),
    ] {
        let query = format!("Action={action}&{filters}");
        assert_eq!(refused(&ec2, &query).await, (400, "InvalidParameterValue".into()), "{action}");
    }
    let of_tags = "Action=DescribeInstanceTypes&Filter.1.Name=tag:a&Filter.1.Value.1=b";
    assert_eq!(refused(&ec2, of_tags).await.1, "InvalidParameterValue", "types have no tags");
}

#[tokio::test(start_paused = true)]
async fn a_parameter_that_means_nothing_is_not_taken_in_silence() {
    let ec2 = ec2(|_| {});
    template(&ec2).await;
    let order = fleet(1, "on-demand", &["m5.large/a"]);
    let odd = "&TargetCapacitySpecification.SpotTargetCapacity=1";
    assert_eq!(refused(&ec2, &format!("{order}{odd}")).await, (400, "UnknownParameter".into()));
    let odd = "&ReservedCapacityOptions.ReservationType.1=interruptible-capacity-reservation";
    assert_eq!(refused(&ec2, &format!("{order}{odd}")).await, (400, "InvalidFleetConfig".into()));
    let odd = "&OnDemandOptions.AllocationStrategy=dearest";
    assert_eq!(refused(&ec2, &format!("{order}{odd}")).await, (400, "InvalidParameterValue".into()));
    // Known, and not looked at by what was asked for: the first name counts, and the second key says nothing.
    let odd = "Action=DescribeInstances&Filter.1.Name=image-id&Filter.1.Value.1=x&Filter.1.Value.one=y";
    assert_ne!(refused(&ec2, odd).await.0, 200);
    let data = "Action=CreateLaunchTemplate&LaunchTemplateName=odd&LaunchTemplateData";
    for odd in ["MetadataOptions.HttpTokens=never", "Monitoring.Enabled=1", "BlockDeviceMapping.1.Ebs.VolumeSize=big"] {
        assert_eq!(refused(&ec2, &format!("{data}.{odd}")).await, (400, "InvalidParameterValue".into()), "{odd}");
    }
    let context = format!("{order}&Context=ctx-1");
    ok(&ec2, &context).await;
    assert_eq!(ec2.machines()[0].context.as_deref(), Some("ctx-1"));
}

#[tokio::test(start_paused = true)]
async fn a_template_is_found_late_where_that_is_asked_for() {
    let ec2 = ec2(|options| options.template_visible_after = 2_000_000);
    template(&ec2).await;
    let order = fleet(1, "on-demand", &["m5.large/a"]);
    assert_eq!(refused(&ec2, &order).await.1, "InvalidLaunchTemplateName.NotFoundException");
    assert!(!ok(&ec2, "Action=DescribeLaunchTemplates").await.contains("millwright/one"));
    advance(Duration::from_secs(2)).await;
    ok(&ec2, &order).await;
}

#[tokio::test(start_paused = true)]
async fn faults_befall_the_calls_they_name() {
    let ec2 = ec2(|options| options.latency = Duration::ZERO);
    template(&ec2).await;
    let rule = |fault| Rule { action: Some("CreateFleet".into()), skip: 0, times: 1, fault };
    let order = fleet(1, "on-demand", &["m5.large/a"]);
    ec2.faults(|faults| faults.add(rule(Fault::LostBefore)));
    assert!(try_call(&ec2, &order).await.is_err() && ec2.machines().is_empty());
    ec2.faults(|faults| faults.add(rule(Fault::throttle())));
    assert_eq!(refused(&ec2, &order).await, (503, "RequestLimitExceeded".into()));
    ec2.faults(|faults| faults.add(rule(Fault::Delay(Duration::from_secs(9)))));
    let start = Instant::now();
    ok(&ec2, &order).await;
    assert_eq!(start.elapsed(), Duration::from_secs(9));
    ec2.faults(|faults| faults.add(rule(Fault::BrokenAfter)));
    assert_eq!(refused(&ec2, &order).await, (500, "InternalError".into()));
    assert_eq!(ec2.machines().len(), 2, "it was executed all the same");
    let outcomes: Vec<String> =
        ec2.log().entries().filter(|e| e.action == "CreateFleet").map(|e| e.outcome.clone()).collect();
    assert_eq!(outcomes, ["lost before execution", "RequestLimitExceeded", "ok", "InternalError"]);
}

#[tokio::test(start_paused = true)]
async fn a_script_empties_pools_and_breaks_calls_when_it_says() {
    let ec2 = ec2(|_| {});
    template(&ec2).await;
    let script = r#"{ "faults": [ { "action": "CreateFleet", "skip": 1, "fault": "internal" } ],
                      "stock": [ { "offering": "m5.*/us-west-2a/on-demand", "afterSeconds": 60, "units": 0 } ] }"#;
    Script::parse(script).unwrap().apply(&ec2).unwrap();
    let order = fleet(1, "on-demand", &["m5.large/a"]);
    ok(&ec2, &order).await;
    assert_eq!(refused(&ec2, &order).await.1, "InternalError");
    ok(&ec2, &order).await;
    advance(Duration::from_secs(61)).await;
    assert_eq!(texts(&ok(&ec2, &order).await, "errorCode"), ["InsufficientInstanceCapacity"]);
}

#[tokio::test(start_paused = true)]
async fn subnets_and_images_are_found_as_a_node_class_asks() {
    let ec2 = ec2(|_| {});
    let subnets = ok(&ec2, "Action=DescribeSubnets&Filter.1.Name=tag:karpenter.sh/discovery&Filter.1.Value.1=demo&Filter.2.Name=availability-zone-id&Filter.2.Value.1=usw2-az2").await;
    assert_eq!(texts(&subnets, "availabilityZone"), ["us-west-2b"]);
    let images = ok(&ec2, "Action=DescribeImages&Owner.1=amazon&Filter.1.Name=name&Filter.1.Value.1=amazon-eks-node-al2023-*-standard-*&Filter.2.Name=architecture&Filter.2.Value.1=arm64").await;
    assert_eq!(texts(&images, "imageId").len(), 1);
    assert_eq!(refused(&ec2, "Action=DescribeImages&ImageId.1=ami-0000").await.1, "InvalidAMIID.NotFound");
    assert_eq!(refused(&ec2, "Action=DescribeSubnets&SubnetId.1=subnet-9").await.1, "InvalidSubnetID.NotFound");
    let groups = ok(&ec2, "Action=DescribeSecurityGroups&Filter.1.Name=group-name&Filter.1.Value.1=demo-nodes").await;
    assert_eq!(texts(&groups, "groupId"), ["sg-00000000000000001"]);
    let zones = ok(&ec2, "Action=DescribeAvailabilityZones").await;
    assert_eq!(texts(&zones, "zoneName").len(), 4);
}
