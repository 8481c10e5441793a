//! Every call to EC2 lost before or after it was carried out, with and without the controller dying at that moment: in the end
//! each claim had one machine, and none is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::aws::Seller;
use cloud::{LaunchError, Termination};
use sim::ec2::{Ec2, Fault, Level, Rule};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::support::{Stand, class, clients, cluster, ec2, stand};

const CLAIMS: [&str; 3] = ["a", "b", "c"];
/// Lives after which something is wrong.
const MOST_LIVES: usize = 20;

/// What the API server would hold of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Written {
    /// Its machine.
    Bought(String),
    /// Nothing is left of its machine.
    Ended,
}

type Claims = BTreeMap<&'static str, Written>;

/// What goes wrong.
struct Plan {
    /// Which call, counted from the first of all.
    at: u64,
    fault: Option<Fault>,
    /// The controller dies when that call has been made.
    kills: bool,
}

/// One claim from its order to the end of its machine, as far as this life comes; what it comes to is written at once.
async fn tend(
    stand: Stand,
    claim: &'static str,
    written: Option<Written>,
    tell: tokio::sync::mpsc::Sender<(&'static str, Written)>,
) {
    let id = match written {
        Some(Written::Ended) => return,
        Some(Written::Bought(id)) => id,
        None => {
            let order = stand.order(claim, &["m5.large", "c5.large"], &["spot", "on-demand"]);
            let bought = loop {
                match stand.seller.launch(&stand.class, &order).await {
                    Ok(bought) => break bought,
                    Err(LaunchError::InsufficientCapacity { .. }) => return,
                    Err(_) => sleep(Duration::from_secs(1)).await,
                }
            };
            let id = bought.provider_id.to_string();
            tell.send((claim, Written::Bought(id.clone()))).await.unwrap();
            id
        }
    };
    // It serves for a while.
    sleep(Duration::from_secs(30)).await;
    loop {
        if stand.seller.terminate(&id).await == Ok(Termination::Gone) {
            tell.send((claim, Written::Ended)).await.unwrap();
            return;
        }
        sleep(Duration::from_secs(5)).await;
    }
}

fn another(ec2: &Ec2, sample: &Stand, clients: cloud::aws::Clients) -> Stand {
    let seller = Arc::new(Seller::new(clients, cluster()));
    Stand { ec2: ec2.clone(), seller, class: sample.class.clone(), types: sample.types.clone() }
}

fn n_calls(ec2: &Ec2) -> u64 {
    ec2.log().counts().values().sum()
}

/// Runs lives until every machine was bought and ended; how many calls that took.
async fn run(seed: u64, sample: &Stand, plan: &Plan) -> u64 {
    let ec2 = ec2(|options| {
        options.seed = seed;
        options.level = Level::Each(4);
        options.visible_after = i64::try_from(seed % 4).unwrap_or(0) * 1_000_000;
    });
    if let Some(fault) = plan.fault.clone() {
        ec2.faults(|faults| faults.add(Rule { action: None, skip: plan.at, times: 1, fault }));
    }
    let mut claims = Claims::new();
    let mut kills = plan.kills;
    for _ in 0..MOST_LIVES {
        let (tell, mut told) = tokio::sync::mpsc::channel(100);
        let mut tasks = JoinSet::new();
        for claim in CLAIMS {
            let stand = another(&ec2, sample, clients(&ec2).await);
            tasks.spawn(tend(stand, claim, claims.get(claim).cloned(), tell.clone()));
        }
        drop(tell);
        loop {
            if kills && n_calls(&ec2) > plan.at {
                kills = false;
                break;
            }
            // Looked at often only while there is something to be hit.
            let pause = if kills { Duration::from_millis(20) } else { Duration::from_hours(1) };
            match tokio::time::timeout(pause, told.recv()).await {
                Ok(Some((claim, written))) => drop(claims.insert(claim, written)),
                Ok(None) => break,
                Err(_) => {}
            }
        }
        tasks.shutdown().await;
        if claims.len() == CLAIMS.len() && claims.values().all(|written| *written == Written::Ended) {
            break;
        }
    }
    let n_bought = ec2.locked(|state| state.instances.len());
    assert_eq!((claims.len(), n_bought), (CLAIMS.len(), CLAIMS.len()), "seed {seed}: {claims:?}");
    assert!(ec2.machines().is_empty(), "seed {seed}: a machine is left");
    n_calls(&ec2)
}

#[tokio::test(start_paused = true)]
async fn whichever_call_is_lost_each_claim_has_one_machine_and_none_is_left() {
    let mut sample = stand(|_| {}).await;
    sample.types.retain(|kind| ["m5.large", "c5.large"].contains(&&*kind.name));
    let _ = class(&clients(&sample.ec2).await).await;
    let in_all = run(0, &sample, &Plan { at: 0, fault: None, kills: false }).await;
    let ways = [
        (Fault::LostBefore, false),
        (Fault::LostBefore, true),
        (Fault::LostAfter, false),
        (Fault::LostAfter, true),
        (Fault::BrokenAfter, true),
        (Fault::throttle(), false),
    ];
    let each = in_all * ways.len() as u64;
    let n_seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(0).max(each);
    for seed in 0..n_seeds {
        let (fault, kills) = ways[usize::try_from(seed / in_all).unwrap_or(0) % ways.len()].clone();
        run(seed, &sample, &Plan { at: seed % in_all, fault: Some(fault), kills }).await;
    }
}
