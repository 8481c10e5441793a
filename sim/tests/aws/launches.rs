//! Buying: what is asked of EC2, and what comes of it.

use std::time::Duration;

use cloud::aws::{Cluster, Seller};
use cloud::{InstanceState, LaunchError, LaunchOrder, Termination};
use planner::model::{CapacityType, Resources};
use tokio::time::{Instant, advance};

use super::support::{cluster, key, stand};

const BOTH: &[&str] = &["spot", "on-demand"];

#[tokio::test(start_paused = true)]
async fn a_claim_gets_the_machine_it_was_planned_for() {
    let stand = stand(|_| {}).await;
    let order = stand.order("a", &["m5.large", "m5.xlarge"], BOTH);
    let bought = stand.seller.launch(&stand.class, &order).await.unwrap();
    let machine = &stand.ec2.machines()[0];
    assert_eq!(*bought.provider_id, *format!("aws:///{}/{}", machine.zone.name, machine.id));
    assert_eq!((&*bought.instance_type, bought.capacity_type), ("m5.large", CapacityType::Spot));
    assert_eq!(bought.capacity.get("pods"), 29);
    assert_eq!(bought.labels.get("topology.kubernetes.io/zone").map(|zone| &**zone), Some(machine.zone.name.as_str()));
    assert_eq!(bought.image.as_deref(), Some(machine.image.as_str()));
    let tag = |key: &str| machine.tags.get(key).map(String::as_str);
    for (name, want) in [
        ("karpenter.sh/nodepool", "general"),
        ("karpenter.k8s.aws/ec2nodeclass", "default"),
        ("eks:eks-cluster-name", "demo"),
        ("kubernetes.io/cluster/demo", "owned"),
        ("karpenter.sh/nodeclaim", "a"),
        ("millwright.dev/nodeclaim-uid", "uid-of-a"),
    ] {
        assert_eq!(tag(name), Some(want), "{name}");
    }
    assert_eq!(machine.groups[0].0, "sg-00000000000000001");
    assert_eq!(machine.profile.as_deref(), Some("KarpenterNodeInstanceProfile-demo"));
}

#[tokio::test(start_paused = true)]
async fn claims_that_are_alike_share_a_template_and_others_do_not() {
    let stand = stand(|_| {}).await;
    for claim in ["a", "b"] {
        stand.seller.launch(&stand.class, &stand.order(claim, &["m5.large"], BOTH)).await.unwrap();
    }
    assert_eq!(stand.ec2.n_calls("CreateLaunchTemplate"), 1);
    // Another image is another template, in the same fleet.
    stand.seller.launch(&stand.class, &stand.order("c", &["m5.large", "m6g.large"], BOTH)).await.unwrap();
    assert_eq!(stand.ec2.n_calls("CreateLaunchTemplate"), 2);
    stand.seller.launch(&stand.class, &stand.order("d", &["m5.large"], &["on-demand"])).await.unwrap();
    assert_eq!(stand.ec2.n_calls("CreateLaunchTemplate"), 3);
}

#[tokio::test(start_paused = true)]
async fn open_reservations_are_kept_out_of_where_reservations_are_bought_by_name() {
    let mut stand = stand(|_| {}).await;
    for (shuns, want) in [(true, Some("none")), (false, None)] {
        stand.class.shuns_open_reservations = shuns;
        let bought = stand.seller.launch(&stand.class, &stand.order(&format!("{shuns}"), &["m5.large"], BOTH)).await;
        let id = bought.unwrap().provider_id.rsplit('/').next().unwrap().to_owned();
        let preference = stand.ec2.locked(|state| state.instances[&id].reservation_preference.clone());
        assert_eq!(preference.as_deref(), want);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reservation_is_drawn_on_until_it_is_used_up() {
    let stand = stand(|_| {}).await;
    let zone = stand.ec2.locked(|state| state.land.zones[0].clone());
    stand.ec2.locked(|state| {
        state.reserve(sim::ec2::Reservation::new("cr-1", "m5.large", zone, 1));
    });
    let bought = stand.seller.launch(&stand.class, &stand.reserved("a", "cr-1")).await.unwrap();
    assert_eq!((bought.capacity_type, bought.reservation.as_deref()), (CapacityType::Reserved, Some("cr-1")));
    let error = stand.seller.launch(&stand.class, &stand.reserved("b", "cr-1")).await.unwrap_err();
    let LaunchError::InsufficientCapacity { refused, message } = error else { panic!("{error}") };
    assert!(message.contains("ReservationCapacityExceeded") && refused[0].key.reservation.as_deref() == Some("cr-1"));
    tokio::time::advance(Duration::from_secs(2)).await;
    let listed = stand.seller.instances().await.unwrap();
    assert_eq!(listed[0].reservation.as_deref(), Some("cr-1"));
}

#[tokio::test(start_paused = true)]
async fn an_arm_machine_boots_an_arm_image() {
    let stand = stand(|_| {}).await;
    let bought = stand.seller.launch(&stand.class, &stand.order("a", &["m6g.large"], BOTH)).await.unwrap();
    let image = bought.image.unwrap();
    assert_eq!(stand.ec2.locked(|state| state.land.images[&*image].arch.clone()), "arm64");
}

#[tokio::test(start_paused = true)]
async fn pools_without_stock_are_told_beside_the_machine_that_was_bought() {
    let stand = stand(|_| {}).await;
    let order = stand.order("a", &["m5.large"], &["on-demand"]);
    stand.ec2.set_stock(&key("m5.large", "a", CapacityType::OnDemand), 0);
    let bought = stand.seller.launch(&stand.class, &order).await.unwrap();
    assert_eq!(bought.refused, [key("m5.large", "a", CapacityType::OnDemand).into()]);
    assert_ne!(&*bought.zone, "us-west-2a");
}

#[tokio::test(start_paused = true)]
async fn when_everything_is_out_every_pool_is_told_at_once() {
    let stand = stand(|_| {}).await;
    for zone in ["a", "b", "c", "d"] {
        stand.ec2.set_stock(&key("m5.large", zone, CapacityType::Spot), 0);
    }
    let order = stand.order("a", &["m5.large"], &["spot"]);
    let error = stand.seller.launch(&stand.class, &order).await.unwrap_err();
    let LaunchError::InsufficientCapacity { refused, message } = error else { panic!("{error}") };
    assert_eq!(refused.len(), order.offers.len());
    assert!(message.contains("InsufficientInstanceCapacity: There is no Spot capacity"), "{message}");
    assert_eq!(stand.ec2.n_calls("CreateFleet"), 1, "no second call for what is known to be out");
    // The next attempt is not answered with the old answer.
    stand.ec2.set_stock(&key("m5.large", "b", CapacityType::Spot), 5);
    let bought = stand.seller.launch(&stand.class, &order).await.unwrap();
    assert_eq!(&*bought.zone, "us-west-2b");
}

#[tokio::test(start_paused = true)]
async fn a_full_subnet_is_passed_over() {
    let stand = stand(|_| {}).await;
    stand.ec2.locked(|state| {
        for subnet in state.land.subnets.values_mut().filter(|subnet| subnet.zone.name != "us-west-2c") {
            subnet.used = subnet.size();
        }
    });
    let order = stand.order("a", &["m5.large"], &["on-demand"]);
    let bought = stand.seller.launch(&stand.class, &order).await.unwrap();
    assert_eq!(&*bought.zone, "us-west-2c");
    let again = stand.seller.launch(&stand.class, &stand.order("b", &["m5.large"], &["on-demand"])).await.unwrap();
    assert!(
        bought.refused.is_empty() && again.refused.is_empty(),
        "which says nothing of the pools: others may buy there"
    );
}

#[tokio::test(start_paused = true)]
async fn pods_with_addresses_of_ipv6_take_none_of_a_subnet() {
    let mut stand = stand(|_| {}).await;
    stand.class.subnets.iter_mut().for_each(|subnet| subnet.available = 5);
    let order = |claim: &str| LaunchOrder {
        requests: Resources::of([("cpu", 500), ("pods", 20)]),
        ..stand.order(claim, &["m5.large"], &["on-demand"])
    };
    let error = stand.seller.launch(&stand.class, &order("a")).await.unwrap_err();
    assert!(error.to_string().contains("out of addresses"), "{error}");
    let ipv6 = Cluster { dns: Some("fd00:10:100::a".into()), ..cluster() };
    let seller = Seller::new(stand.seller.clients().clone(), ipv6);
    seller.launch(&stand.class, &order("b")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_class_is_a_reason_and_no_shortage() {
    let mut stand = stand(|_| {}).await;
    stand.class.profile = "missing".into();
    let error = stand.seller.launch(&stand.class, &stand.order("a", &["m5.large"], BOTH)).await.unwrap_err();
    let LaunchError::Rejected { reason, .. } = error else { panic!("{error}") };
    assert_eq!(reason, "InstanceProfileNameInvalid");
    // Mended, the same claim gets its machine.
    stand.class.profile = "KarpenterNodeInstanceProfile-demo".into();
    stand.seller.launch(&stand.class, &stand.order("a", &["m5.large"], BOTH)).await.unwrap();
    stand.class.user_data = Some("x".repeat(17_000));
    let error = stand.seller.launch(&stand.class, &stand.order("b", &["m5.large"], BOTH)).await.unwrap_err();
    assert!(matches!(&error, LaunchError::Rejected { reason, .. } if reason == "UserDataSizeLimitExceeded"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_template_that_somebody_took_away_is_made_again() {
    let stand = stand(|_| {}).await;
    stand.seller.launch(&stand.class, &stand.order("a", &["m5.large"], BOTH)).await.unwrap();
    stand.ec2.locked(|state| state.templates.clear());
    let order = stand.order("b", &["m5.large"], BOTH);
    let error = stand.seller.launch(&stand.class, &order).await.unwrap_err();
    assert!(matches!(error, LaunchError::Unreachable { .. }), "{error}");
    stand.seller.launch(&stand.class, &order).await.unwrap();
    assert_eq!(stand.bought().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn templates_that_are_not_used_are_taken_away_also_those_of_earlier_runs() {
    let first = stand(|_| {}).await;
    first.seller.launch(&first.class, &first.order("a", &["m5.large"], BOTH)).await.unwrap();
    let clients = super::support::clients(&first.ec2).await;
    let later = super::support::stand_of(first.ec2.clone(), clients, first.class.clone());
    later.seller.hydrate().await.unwrap();
    assert_eq!(later.seller.collect().await.unwrap(), 0);
    advance(Duration::from_mins(31)).await;
    assert_eq!(later.seller.collect().await.unwrap(), 1);
    assert!(first.ec2.locked(|state| state.templates.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn an_end_is_asked_for_until_nothing_is_left() {
    let stand = stand(|_| {}).await;
    let bought = stand.seller.launch(&stand.class, &stand.order("a", &["m5.large"], BOTH)).await.unwrap();
    let id = &*bought.provider_id;
    // EC2 does not show it yet: it must not be taken for gone.
    assert_eq!(stand.seller.terminate(id).await.unwrap(), Termination::Started);
    advance(Duration::from_secs(2)).await;
    assert_eq!(stand.seller.terminate(id).await.unwrap(), Termination::Started);
    let found = stand.seller.instance(id).await.unwrap().unwrap();
    assert_eq!((found.state, found.token.as_deref()), (InstanceState::Terminating, Some("uid-of-a")));
    advance(Duration::from_mins(3)).await;
    assert_eq!(stand.seller.terminate(id).await.unwrap(), Termination::Gone);
    assert_eq!(stand.seller.instance(id).await.unwrap(), None);
    assert_eq!(stand.seller.terminate("aws:///us-west-2a/i-0123456789abcdef0").await.unwrap(), Termination::Gone);
}

#[tokio::test(start_paused = true)]
async fn three_hundred_claims_at_once_stay_inside_the_limits() {
    let stand = stand(|options| options.level = sim::ec2::Level::Each(1000)).await;
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for at in 0..300 {
        let (seller, class) = (stand.seller.clone(), stand.class.clone());
        let order = stand.order(&format!("c{at}"), &["m5.large", "c5.xlarge", "r5.large"], BOTH);
        tasks.spawn(async move { seller.launch(&class, &order).await });
    }
    let bought: Vec<_> = tasks.join_all().await.into_iter().map(Result::unwrap).collect();
    let ordering = start.elapsed();
    assert!(ordering <= Duration::from_secs(70), "{ordering:?}");
    advance(Duration::from_secs(5)).await;
    let mut tasks = tokio::task::JoinSet::new();
    for instance in bought {
        let seller = stand.seller.clone();
        tasks.spawn(async move { seller.terminate(&instance.provider_id).await });
    }
    assert!(tasks.join_all().await.into_iter().all(|answer| answer == Ok(Termination::Started)));
    assert!(stand.ec2.machines().is_empty());
    let log = stand.ec2.log();
    assert!(log.entries().all(|entry| entry.outcome == "ok"), "something was refused");
    assert_eq!(log.count("CreateFleet"), 300);
    assert!(log.count("CreateLaunchTemplate") <= 2, "{:?}", log.counts());
    assert!(log.count("TerminateInstances") <= 4 && log.count("DescribeInstances") <= 4, "{:?}", log.counts());
}
