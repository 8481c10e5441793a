//! What spot has cost.

use std::time::Duration;

use sim::ec2::Script;
use tokio::time::advance;

use super::wire::{ec2, ok, refused, texts};

#[tokio::test(start_paused = true)]
async fn prices_move_as_scripted_and_their_history_is_told_the_newest_first() {
    let ec2 = ec2(|_| {});
    let script = r#"{ "prices": [ { "offering": "m5.large/us-west-2a/spot", "afterSeconds": 60, "usd": "0.05" },
                                  { "offering": "m5.large/us-west-2a/spot", "afterSeconds": 120, "usd": "0.070001" } ] }"#;
    Script::parse(script).unwrap().apply(&ec2).unwrap();
    let start = ec2.locked(|state| state.seconds());
    let list = "Action=DescribeSpotPriceHistory&InstanceType.1=m5.large&AvailabilityZone=us-west-2a";
    assert_eq!(texts(&ok(&ec2, list).await, "spotPrice").len(), 1, "what is to come is not told");
    advance(Duration::from_mins(5)).await;
    let told = ok(&ec2, list).await;
    assert_eq!(texts(&told, "spotPrice")[..2], ["0.070001", "0.050000"]);
    assert_eq!(texts(&told, "spotPrice").len(), 3);
    let at = |seconds: i64| jiff::Timestamp::from_second(start + seconds).unwrap();
    let prices = async |from: i64, to: i64| {
        let query = format!("{list}&StartTime={}&EndTime={}", at(from), at(to));
        texts(&ok(&ec2, &query).await, "spotPrice").iter().map(|one| (*one).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(prices(60, 119).await, ["0.050000"]);
    assert_eq!(prices(90, 130).await, ["0.070001", "0.050000"]);
    assert_eq!(prices(9999, 10_000).await, ["0.070001"], "whoever is ahead of us hears of now");
    assert_eq!(refused(&ec2, &format!("{list}&StartTime=soon")).await.1, "InvalidParameterValue");
    let paged = ok(&ec2, &format!("{list}&MaxResults=2")).await;
    let rest = ok(&ec2, &format!("{list}&MaxResults=2&NextToken={}", texts(&paged, "nextToken")[0])).await;
    assert_eq!((texts(&paged, "spotPrice").len(), texts(&rest, "spotPrice").len()), (2, 1));
}

#[test]
fn a_price_that_is_none_is_refused_by_its_place_in_the_script() {
    let ec2 = ec2(|_| {});
    let script = Script::parse(r#"{ "prices": [ { "offering": "m5.large/*/spot", "usd": "cheap" } ] }"#).unwrap();
    let error = script.apply(&ec2).unwrap_err().to_string();
    assert_eq!(error, "prices[0].usd \"cheap\" is no price: write dollars per hour, such as 0.0345");
}

#[tokio::test(start_paused = true)]
async fn reservations_and_groups_of_a_script_are_there() {
    let ec2 = ec2(|_| {});
    let script = r#"{ "reservations": [ { "id": "cr-1", "instanceType": "m5.large", "zone": "us-west-2b", "total": 2, "kind": "capacity-block",
                                          "startsAfterSeconds": 60, "endsAfterSeconds": 86400, "tags": { "team": "a" } } ],
                      "placementGroups": [ { "name": "close", "strategy": "cluster" } ] }"#;
    Script::parse(script).unwrap().apply(&ec2).unwrap();
    let told = ok(&ec2, "Action=DescribeCapacityReservations&Filter.1.Name=tag:team&Filter.1.Value.1=a").await;
    let read =
        ["availabilityZone", "state", "reservationType", "endDateType"].map(|name| texts(&told, name)[0].to_owned());
    assert_eq!(read, ["us-west-2b", "scheduled", "capacity-block", "limited"]);
    assert_eq!(texts(&ok(&ec2, "Action=DescribePlacementGroups&GroupName.1=close").await, "strategy"), ["cluster"]);
    let nowhere = script.replace("us-west-2b", "mars-1a");
    let error = Script::parse(&nowhere).unwrap().apply(&ec2).unwrap_err().to_string();
    assert!(error.starts_with("reservations[0].zone \"mars-1a\" is none of us-west-2a, "), "{error}");
}
