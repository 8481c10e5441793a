//! Answers that are lost, calls that are refused, controllers that are killed: no machine twice, none left over.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::LaunchError;
use planner::model::CapacityType;
use sim::ec2::{Chance, Fault, Level, Rule};
use tokio::time::sleep;

use super::support::{Stand, class, clients, ec2, key, stand, stand_of};

const BOTH: &[&str] = &["spot", "on-demand"];

fn on_fleets(fault: Fault, times: u64) -> Rule {
    Rule { action: Some("CreateFleet".into()), skip: 0, times, fault }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_buys_nothing_twice() {
    let stand = stand(|_| {}).await;
    for (claim, fault) in
        [("a", Fault::LostAfter), ("b", Fault::LostBefore), ("c", Fault::BrokenAfter), ("d", Fault::throttle())]
    {
        stand.ec2.faults(|faults| faults.add(on_fleets(fault, 2)));
        let bought = stand.seller.launch(&stand.class, &stand.order(claim, &["m5.large"], BOTH)).await.unwrap();
        let of_claim: Vec<String> =
            stand.bought().into_iter().filter(|(_, of)| of == claim).map(|(id, _)| id).collect();
        assert_eq!(of_claim.len(), 1, "{claim}");
        assert!(bought.provider_id.ends_with(&of_claim[0]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_was_killed_finds_what_it_bought_even_if_it_asks_otherwise() {
    let first = stand(|_| {}).await;
    first.ec2.faults(|faults| faults.add(on_fleets(Fault::LostAfter, 4)));
    let order = first.order("a", &["m5.large"], BOTH);
    let error = first.seller.launch(&first.class, &order).await.unwrap_err();
    assert!(matches!(error, LaunchError::Unreachable { .. }), "{error}");
    // The next one knows of no earlier attempt, and stock is not what it was.
    let clients = clients(&first.ec2).await;
    let second = stand_of(first.ec2.clone(), clients, first.class.clone());
    let mut order = second.order("a", &["m5.large", "m5.xlarge"], BOTH);
    order.offers.remove(0);
    let found = second.seller.launch(&second.class, &order).await.unwrap();
    assert_eq!(second.bought().len(), 1);
    assert!(found.provider_id.ends_with(&second.bought()[0].0));
    assert_eq!(found.token.as_deref(), Some("uid-of-a"));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_that_bought_nothing_is_told_in_the_end_and_the_claim_can_be_served() {
    let stand = stand(|_| {}).await;
    for zone in ["a", "b", "c", "d"] {
        stand.ec2.set_stock(&key("m5.large", zone, CapacityType::Spot), 0);
    }
    stand.ec2.faults(|faults| faults.add(on_fleets(Fault::LostAfter, 4)));
    let order = stand.order("a", &["m5.large"], &["spot"]);
    assert!(matches!(stand.seller.launch(&stand.class, &order).await, Err(LaunchError::Unreachable { .. })));
    // Asked otherwise, the token says that it was used; no machine is found; the next attempt has a token of its own.
    let other = stand.order("a", &["c5.large"], &["on-demand"]);
    assert!(matches!(stand.seller.launch(&stand.class, &other).await, Err(LaunchError::Unreachable { .. })));
    let bought = stand.seller.launch(&stand.class, &other).await.unwrap();
    assert_eq!((&*bought.instance_type, stand.bought().len()), ("c5.large", 1));
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_done_is_told_at_once_with_what_to_grant() {
    let stand = stand(|_| {}).await;
    let denied = sim::ec2::Refusal::with_status(403, "UnauthorizedOperation", "You are not authorized");
    stand.ec2.faults(|faults| faults.add(on_fleets(Fault::Refused(denied), 1)));
    let error = stand.seller.launch(&stand.class, &stand.order("a", &["m5.large"], BOTH)).await.unwrap_err();
    let LaunchError::Rejected { reason, message, .. } = error else { panic!("{error}") };
    assert_eq!(reason, "Unauthorized");
    assert!(message.contains("grant ec2:CreateFleet"), "{message}");
    assert_eq!(stand.ec2.n_calls("CreateFleet"), 1);
}

/// One life after another buys for the same claims while calls fail by chance; each is killed at some moment. In the end
/// every claim has one machine, and no machine is there that no claim has.
async fn lives(seed: u64, sample: &Stand) {
    let ec2 = ec2(|options| {
        options.seed = seed;
        options.level = Level::Each(4);
        options.throttles = false;
        options.visible_after = i64::try_from(seed % 4).unwrap_or(0) * 1_000_000;
    });
    let faults = vec![
        Fault::LostAfter,
        Fault::LostBefore,
        Fault::BrokenAfter,
        Fault::throttle(),
        Fault::Delay(Duration::from_secs(3)),
    ];
    ec2.faults(|all| all.add_chance(Chance::new(seed, 300, faults)));
    let claims: Vec<String> = (0..4).map(|at| format!("claim-{at}")).collect();
    // What the API server would hold: claims whose machine was written down.
    let mut written: BTreeMap<String, String> = BTreeMap::new();
    for life in 0..40_u64 {
        let clients = clients(&ec2).await;
        let stand = stand_of_types(&ec2, clients, sample);
        let kill = Duration::from_millis(50 + (seed.wrapping_mul(31).wrapping_add(life * 977)) % 40_000);
        let mut tasks = tokio::task::JoinSet::new();
        for claim in claims.iter().filter(|claim| !written.contains_key(*claim)) {
            let (seller, class, claim) = (stand.seller.clone(), stand.class.clone(), claim.clone());
            let mut order = stand.order(&claim, &["m5.large", "c5.large"], BOTH);
            // Stock looks different in each life.
            let n_offers = order.offers.len() as u64;
            order.offers.rotate_left(usize::try_from((seed + life) % n_offers).unwrap_or(0));
            tasks.spawn(async move {
                for _ in 0..20 {
                    match seller.launch(&class, &order).await {
                        Ok(instance) => return Some((claim, instance.provider_id.to_string())),
                        Err(LaunchError::InsufficientCapacity { .. }) => return None,
                        Err(_) => sleep(Duration::from_secs(1)).await,
                    }
                }
                None
            });
        }
        let end = tokio::time::Instant::now() + kill;
        while let Ok(Some(done)) = tokio::time::timeout_at(end, tasks.join_next()).await {
            written.extend(done.unwrap());
        }
        drop(tasks);
        if written.len() == claims.len() {
            break;
        }
    }
    assert_eq!(written.len(), claims.len(), "seed {seed}: a claim never got its machine");
    let machines = ec2.machines();
    for machine in &machines {
        let claim = &machine.tags["karpenter.sh/nodeclaim"];
        assert!(written[claim].ends_with(&machine.id), "seed {seed}: {} of {claim} is a second machine", machine.id);
    }
    assert_eq!(machines.len(), claims.len(), "seed {seed}");
}

/// The same class and types on another EC2, without asking for them again.
fn stand_of_types(ec2: &sim::ec2::Ec2, clients: cloud::aws::Clients, sample: &Stand) -> Stand {
    let seller = std::sync::Arc::new(cloud::aws::Seller::new(clients, super::support::cluster()));
    Stand { ec2: ec2.clone(), seller, class: sample.class.clone(), types: sample.types.clone() }
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_moment_no_machine_is_bought_twice_and_none_is_left_over() {
    let n_seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let mut sample = stand(|_| {}).await;
    sample.types.retain(|kind| ["m5.large", "c5.large"].contains(&&*kind.name));
    let _ = class(&clients(&sample.ec2).await).await;
    for seed in 0..n_seeds {
        lives(seed, &sample).await;
    }
}
