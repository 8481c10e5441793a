//! The life of a machine as EC2 tells of it, and what it holds while it lives.

use std::time::Duration;

use planner::model::CapacityType;
use sim::ec2::What;
use tokio::time::advance;

use super::wire::{ec2, fleet, key, ok, refused, template, texts};

const ALL: &str = "Action=DescribeInstances";

#[tokio::test(start_paused = true)]
async fn a_machine_is_seen_late_pends_runs_shuts_down_and_is_remembered_for_an_hour() {
    let ec2 = ec2(|options| options.visible_after = 2_000_000);
    template(&ec2).await;
    let id = texts(&ok(&ec2, &fleet(1, "spot", &["m5.large/a"])).await, "instanceIds")[0]
        .replace("<item>", "")
        .replace("</item>", "");
    let one = format!("{ALL}&InstanceId.1={id}");
    assert!(!ok(&ec2, ALL).await.contains(&id), "lists do not show it yet");
    assert_eq!(refused(&ec2, &one).await, (400, "InvalidInstanceID.NotFound".into()));
    advance(Duration::from_secs(2)).await;
    let states = |answer: &str| {
        texts(answer, "instanceState").iter().map(|state| texts(state, "name")[0].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states(&ok(&ec2, &one).await), ["pending"]);
    advance(Duration::from_secs(30)).await;
    let answer = ok(&ec2, &one).await;
    assert_eq!(states(&answer), ["running"]);
    assert_eq!(
        (texts(&answer, "instanceLifecycle"), texts(&answer, "availabilityZone")),
        (vec!["spot"], vec!["us-west-2a"])
    );
    let ended = ok(&ec2, &format!("Action=TerminateInstances&InstanceId.1={id}")).await;
    assert!(ended.contains("<currentState><code>32</code>") && ended.contains("<previousState><code>16</code>"));
    assert_eq!(states(&ok(&ec2, &one).await), ["shutting-down"]);
    advance(Duration::from_secs(6)).await;
    assert_eq!(states(&ok(&ec2, &one).await), ["terminated"]);
    advance(Duration::from_hours(1)).await;
    assert_eq!(refused(&ec2, &one).await.1, "InvalidInstanceID.NotFound");
}

#[tokio::test(start_paused = true)]
async fn addresses_and_stock_come_back_once_a_machine_is_gone() {
    let ec2 = ec2(|_| {});
    template(&ec2).await;
    let pool = key("m5.large", "us-west-2a", CapacityType::OnDemand);
    let free =
        || ec2.locked(|state| (state.land.subnets["subnet-00000000000000000"].available(), state.available(&pool)));
    let before = free();
    ok(&ec2, &fleet(3, "on-demand", &["m5.large/a"])).await;
    assert_eq!(free(), (before.0 - 3, before.1 - 3));
    advance(Duration::from_secs(1)).await;
    for machine in ec2.machines() {
        ok(&ec2, &format!("Action=TerminateInstances&InstanceId.1={}", machine.id)).await;
    }
    assert_eq!(free(), (before.0 - 3, before.1 - 3), "a machine that shuts down still holds them");
    advance(Duration::from_secs(6)).await;
    assert_eq!(free(), before);
}

#[tokio::test(start_paused = true)]
async fn one_unknown_id_keeps_all_others_running() {
    let ec2 = ec2(|_| {});
    template(&ec2).await;
    ok(&ec2, &fleet(1, "on-demand", &["m5.large/a"])).await;
    advance(Duration::from_secs(1)).await;
    let id = &ec2.machines()[0].id;
    let query = format!("Action=TerminateInstances&InstanceId.1={id}&InstanceId.2=i-0123456789abcdef0");
    assert_eq!(refused(&ec2, &query).await.1, "InvalidInstanceID.NotFound");
    assert_eq!(refused(&ec2, "Action=TerminateInstances&InstanceId.1=i-xyz").await.1, "InvalidInstanceID.Malformed");
    let dry = format!("Action=TerminateInstances&InstanceId.1={id}&DryRun=true");
    assert_eq!(refused(&ec2, &dry).await, (412, "DryRunOperation".into()));
    assert_eq!(ec2.machines().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_spot_machine_is_warned_two_minutes_before_it_is_taken() {
    let ec2 = ec2(|_| {});
    template(&ec2).await;
    ok(&ec2, &fleet(4, "spot", &["m5.large/a"])).await;
    ok(&ec2, &fleet(1, "on-demand", &["m5.large/a"])).await;
    advance(Duration::from_mins(1)).await;
    assert_eq!(ec2.interrupt_spot(100).len(), 4);
    let news = ec2.locked(|state| state.news.take());
    assert_eq!(news.iter().filter(|piece| piece.what == What::State("running")).count(), 5);
    assert_eq!(news.iter().filter(|piece| matches!(piece.what, What::SpotWarning { .. })).count(), 4);
    advance(Duration::from_secs(119)).await;
    assert_eq!(ec2.machines().len(), 5);
    advance(Duration::from_secs(2)).await;
    assert_eq!(ec2.machines().len(), 1);
    let answer = ok(&ec2, &format!("{ALL}&Filter.1.Name=instance-lifecycle&Filter.1.Value.1=spot")).await;
    assert_eq!(texts(&answer, "stateReason").len(), 4);
    assert!(answer.contains("Server.SpotInstanceTermination"));
}

#[tokio::test(start_paused = true)]
async fn what_happened_is_dated_by_when_it_happened_and_not_by_who_looks() {
    let told = async |looks: u64| {
        let ec2 = ec2(|_| {});
        template(&ec2).await;
        ok(&ec2, &fleet(3, "spot", &["m5.large/a"])).await;
        ec2.interrupt_spot(100);
        for _ in 0..looks {
            advance(Duration::from_secs(600 / looks)).await;
            ec2.locked(|_| {});
        }
        ec2.locked(|state| (state.opened_at, state.news.take()))
    };
    let (began, late) = told(1).await;
    assert_eq!(late, told(600).await.1, "who looks every second hears the same");
    let of_one: Vec<_> = late.iter().filter(|piece| piece.thing == late[0].thing).map(|piece| piece.what).collect();
    let [pending, warned, running, ending, gone] = of_one[..] else { panic!("{of_one:?}") };
    assert!(matches!(warned, What::SpotWarning { gone_at } if gone_at - began <= 120_100_000));
    let states = [pending, running, ending, gone];
    assert_eq!(states, ["pending", "running", "shutting-down", "terminated"].map(What::State));
    let at = |what: What| late.iter().find(|piece| piece.what == what).unwrap().at;
    assert_eq!(at(gone) - at(ending), 5_000_000);
    assert!((15_000_000..=25_000_000).contains(&(at(running) - at(pending))));
}

#[tokio::test(start_paused = true)]
async fn tags_are_put_on_what_is_there_and_on_nothing_else() {
    let ec2 = ec2(|_| {});
    template(&ec2).await;
    ok(&ec2, &fleet(1, "on-demand", &["m5.large/a"])).await;
    advance(Duration::from_secs(1)).await;
    let id = ec2.machines()[0].id.clone();
    ok(&ec2, &format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key=Name&Tag.1.Value=node-1")).await;
    let found = ok(
        &ec2,
        &format!("{ALL}&Filter.1.Name=tag:Name&Filter.1.Value.1=node-*&Filter.2.Name=tag-key&Filter.2.Value.1=team"),
    )
    .await;
    assert_eq!(texts(&found, "instanceId"), [id.as_str()]);
    let unknown = "Action=CreateTags&ResourceId.1=i-0123456789abcdef0&Tag.1.Key=Name&Tag.1.Value=x";
    assert_eq!(refused(&ec2, unknown).await.1, "InvalidInstanceID.NotFound");
    let reserved = format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key=aws:x&Tag.1.Value=x");
    assert_eq!(refused(&ec2, &reserved).await.1, "InvalidParameterValue");
}
