//! How many calls the provider makes: many claims at once stay inside what an account may call.

use std::time::Duration;

use cloud::Termination;
use sim::ec2::Level;
use tokio::task::JoinSet;

use super::support::{Stand, stand};

/// Buys so many machines in the same moment; their provider ids.
async fn buy(stand: &Stand, n: usize) -> Vec<String> {
    let mut tasks = JoinSet::new();
    for at in 0..n {
        let (seller, class) = (stand.seller.clone(), stand.class.clone());
        let order = stand.order(&format!("c{at}"), &["m5.large", "c5.large"], &["spot", "on-demand"]);
        tasks.spawn(async move { seller.launch(&class, &order).await.unwrap().provider_id.to_string() });
    }
    tasks.join_all().await
}

fn n_throttled(stand: &Stand) -> usize {
    stand.ec2.log().entries().filter(|entry| entry.outcome == "RequestLimitExceeded").count()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_claims_at_once_stay_inside_the_limits_of_an_account() {
    let stand = stand(|options| options.level = Level::Each(2000)).await;
    let n_before = stand.ec2.n_calls("DescribeInstances");
    let ids = buy(&stand, 1000).await;
    assert_eq!(stand.bought().len(), 1000);
    assert_eq!(stand.ec2.n_calls("CreateFleet"), 1000, "one for each, none again");
    assert!(stand.ec2.n_calls("CreateLaunchTemplate") <= 4);
    assert_eq!(stand.ec2.n_calls("DescribeInstances"), n_before, "who buys does not look");
    tokio::time::advance(Duration::from_secs(5)).await;
    let mut tasks = JoinSet::new();
    for id in ids {
        let seller = stand.seller.clone();
        tasks.spawn(async move { seller.terminate(&id).await.unwrap() });
    }
    assert!(tasks.join_all().await.iter().all(|answer| *answer == Termination::Started));
    assert!(stand.bought().is_empty());
    assert!(stand.ec2.n_calls("TerminateInstances") <= 5, "{}", stand.ec2.n_calls("TerminateInstances"));
    assert_eq!(n_throttled(&stand), 0, "{:?}", stand.ec2.log().counts());
}

#[tokio::test(start_paused = true)]
async fn five_hundred_claims_in_flight_make_no_storm_of_questions() {
    let stand = stand(|options| options.level = Level::Each(2000)).await;
    let ids = buy(&stand, 500).await;
    tokio::time::advance(Duration::from_secs(5)).await;
    let n_before = stand.ec2.n_calls("DescribeInstances");
    // Each is asked after by itself, several times over.
    for _ in 0..10 {
        let mut tasks = JoinSet::new();
        for id in ids.clone() {
            let seller = stand.seller.clone();
            tasks.spawn(async move { seller.instance(&id).await.unwrap().unwrap() });
        }
        tasks.join_all().await;
    }
    let n_asked = stand.ec2.n_calls("DescribeInstances") - n_before;
    assert!(n_asked <= 30, "{n_asked}: two hundred machines are one question");
    assert_eq!(n_throttled(&stand), 0);
}
