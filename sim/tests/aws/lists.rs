//! What is read from EC2: instance types, prices, subnets, groups, images, machines.

use std::time::Duration;

use cloud::aws::{Facts, resolve, spot_prices};
use cloud::catalog::{Ec2Settings, ec2, ec2_of};
use planner::model::{CapacityType, MicroUsdPerHour};
use tokio::time::advance;

use super::support::{REGION, clients, ec2 as service, prices, stand};

#[tokio::test(start_paused = true)]
async fn what_ec2_tells_of_instance_types_is_what_the_binary_knows() {
    let ec2_service = service(|_| {});
    let asked = Facts::ask(&clients(&ec2_service).await).await.unwrap();
    let embedded = Facts::embedded(REGION).unwrap();
    assert_eq!(asked.region, embedded.region);
    let sold: Vec<_> = embedded
        .types
        .iter()
        .filter(|row| embedded.region.sold.iter().any(|sold| sold.instance_type == row.name))
        .collect();
    for (asked, known) in asked.types.iter().zip(&sold) {
        assert_eq!(asked, *known);
    }
    assert_eq!(asked.types.len(), sold.len());
    let settings = Ec2Settings { region: REGION.into(), prices: prices(&ec2_service), ..Ec2Settings::default() };
    assert_eq!(ec2_of(&asked.types, &asked.region, &settings).unwrap(), ec2(&settings).unwrap());
}

#[tokio::test(start_paused = true)]
async fn spot_prices_are_those_of_the_market() {
    let ec2 = service(|_| {});
    let asked = spot_prices(&clients(&ec2).await, 1_767_225_600).await.unwrap();
    assert_eq!(asked, prices(&ec2));
    assert!(asked.get("m5.large", "us-west-2a", CapacityType::Spot).is_some());
}

#[tokio::test(start_paused = true)]
async fn of_prices_that_moved_the_newest_counts() {
    let ec2 = service(|_| {});
    let start = ec2.locked(|state| {
        let (now, pool) = (state.now(), super::support::key("m5.large", "a", CapacityType::Spot));
        for (after, price) in [(60, 50_000), (120, 70_000)] {
            state.market.schedule_price(&pool, now + after * 1_000_000, MicroUsdPerHour(price));
        }
        state.seconds()
    });
    advance(Duration::from_mins(3)).await;
    let asked = spot_prices(&clients(&ec2).await, start).await.unwrap();
    assert_eq!(asked.get("m5.large", "us-west-2a", CapacityType::Spot), Some(MicroUsdPerHour(70_000)));
}

#[tokio::test(start_paused = true)]
async fn selectors_find_what_they_name() {
    let ec2 = service(|_| {});
    ec2.locked(|state| state.land.subnets.get_mut("subnet-00000000000000002").unwrap().used = 9);
    let clients = clients(&ec2).await;
    let term = |tags: &[(&str, &str)]| resolve::Term {
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..resolve::Term::default()
    };
    let id = resolve::Term { id: Some("subnet-00000000000000001".into()), ..resolve::Term::default() };
    let found = resolve::subnets(&clients, &[id, term(&[("karpenter.sh/discovery", "*")])]).await.unwrap();
    let ids: Vec<&str> = found.iter().map(|subnet| &subnet.id[subnet.id.len() - 1..]).collect();
    assert_eq!(ids, ["0", "1", "3", "2"], "most free addresses first");
    assert!(resolve::subnets(&clients, &[term(&[("karpenter.sh/discovery", "other")])]).await.unwrap().is_empty());
    let name = resolve::Term { name: Some("demo-nodes".into()), ..resolve::Term::default() };
    let groups = resolve::security_groups(&clients, &[name]).await.unwrap();
    assert_eq!((groups.len(), groups[0].1.as_str()), (1, "demo-nodes"));
}

#[tokio::test(start_paused = true)]
async fn the_newest_image_that_is_not_deprecated_is_taken_for_each_kind_of_machine() {
    let ec2 = service(|_| {});
    let (old, new, gone) = ec2.locked(|state| {
        let old = state.land.add_image("mine-1", "x86_64", "/dev/xvda");
        let new = state.land.add_image("mine-2", "x86_64", "/dev/xvda");
        let gone = state.land.add_image("mine-3", "x86_64", "/dev/xvda");
        state.land.images.get_mut(&old).unwrap().created -= 100;
        let image = state.land.images.get_mut(&gone).unwrap();
        (image.created, image.deprecated) = (image.created + 100, Some(1_793_900_000));
        (old, new, gone)
    });
    let clients = clients(&ec2).await;
    let by_name = [resolve::Term { name: Some("mine-*".into()), ..resolve::Term::default() }];
    let now = "2026-11-26T00:00:00Z";
    let found = resolve::images(&clients, &by_name, &[], now).await.unwrap();
    assert_eq!(found.iter().map(|image| &*image.id).collect::<Vec<_>>(), [new.as_str()]);
    // Two kinds of machine, two images.
    let ids = [&old, &gone].map(|id| resolve::Term { id: Some(id.clone()), ..resolve::Term::default() });
    let variants = [(old.clone(), resolve::Variant::Standard), (gone.clone(), resolve::Variant::Nvidia)];
    let found = resolve::images(&clients, &ids, &variants, now).await.unwrap();
    assert_eq!(
        found.iter().map(|image| (&*image.id, image.is_deprecated)).collect::<Vec<_>>(),
        [(gone.as_str(), true), (old.as_str(), false)]
    );
}

#[tokio::test(start_paused = true)]
async fn the_clusters_machines_are_listed_and_nobody_elses() {
    let stand = stand(|options| options.level = sim::ec2::Level::Each(2000)).await;
    let mut ids = Vec::new();
    for at in 0..5 {
        let order = stand.order(&format!("c{at}"), &["m5.large"], &["on-demand"]);
        ids.push(stand.seller.launch(&stand.class, &order).await.unwrap().provider_id);
    }
    stand.ec2.locked(|state| {
        let other = state.instances.values_mut().next().unwrap();
        other.tags.insert("eks:eks-cluster-name".into(), "other".into());
    });
    assert!(stand.seller.instances().await.unwrap().len() < 4, "EC2 shows new machines late");
    advance(Duration::from_secs(2)).await;
    let listed = stand.seller.instances().await.unwrap();
    assert_eq!(listed.len(), 4);
    for instance in listed {
        assert!(ids.contains(&instance.provider_id));
        assert!(instance.token.is_some_and(|token| token.starts_with("uid-of-c")));
        assert!(instance.launched_at >= 1_767_225_600);
    }
}

#[tokio::test(start_paused = true)]
async fn an_alias_finds_an_image_for_each_kind_of_machine() {
    let ec2 = service(|_| {});
    let clients = clients(&ec2).await;
    let parameters = cloud::aws::alias::Parameters::default();
    let found = parameters.of_alias(&clients, "al2023@latest", "1.35").await.unwrap();
    assert_eq!(found.len(), 5);
    let ids: Vec<_> =
        found.iter().map(|(id, _)| resolve::Term { id: Some(id.clone()), ..resolve::Term::default() }).collect();
    let images = resolve::images(&clients, &ids, &found, "2026-11-26T00:00:00Z").await.unwrap();
    assert_eq!(images.len(), 5);
    let n_calls = ec2.n_calls("ssm:GetParameter");
    parameters.of_alias(&clients, "al2023@latest", "1.35").await.unwrap();
    assert_eq!(ec2.n_calls("ssm:GetParameter"), n_calls, "what was looked up holds for a day");
    let pinned = parameters.of_alias(&clients, "al2023@v20261105", "1.35").await.unwrap();
    assert_eq!(pinned, found);
    assert!(parameters.of_alias(&clients, "al2023@latest", "1.20").await.unwrap().is_empty());
    ec2.locked(|state| drop(state.parameters.insert("/mine".into(), "ami-0123".into())));
    assert_eq!(parameters.own(&clients, "/mine").await.unwrap().as_deref(), Some("ami-0123"));
    assert_eq!(parameters.own(&clients, "/nowhere").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_role_gets_one_profile_however_often_it_is_asked_for() {
    use cloud::aws::profile::{Owner, delete_all, ensure, legacy_name};
    let ec2 = service(|_| {});
    let clients = clients(&ec2).await;
    let tags = std::collections::BTreeMap::new();
    let owner = Owner { cluster: "demo", class: "default", uid: "u-1", tags: &tags };
    let name = ensure(&clients, &owner, "path/KarpenterNodeRole-demo", None).await.unwrap();
    assert_eq!(ensure(&clients, &owner, "KarpenterNodeRole-demo", None).await.unwrap(), name);
    let profile = ec2.locked(|state| state.land.profiles[&name].clone());
    assert_eq!(
        (profile.role.as_deref(), profile.path.as_str()),
        (Some("KarpenterNodeRole-demo"), "/karpenter/us-west-2/demo/u-1/")
    );
    assert_eq!(profile.tags["eks:eks-cluster-name"], "demo");
    assert_eq!(ec2.n_calls("iam:CreateInstanceProfile"), 1);
    let missing = ensure(&clients, &owner, "nobody", None).await.unwrap_err();
    assert!(missing.to_string().contains("nobody cannot be found"), "{missing}");
    // FNV-1 of "us-west-2default".
    assert_eq!(legacy_name(&clients, &owner).as_deref(), Some("demo_4067990795380418201"));
    assert_eq!(legacy_name(&clients, &Owner { cluster: "a/b", ..owner.clone() }), None, "IAM takes no such name");
    delete_all(&clients, &owner).await.unwrap();
    assert_eq!(ec2.locked(|state| state.land.profiles.len()), 1, "only that of the account's own is left");
}

#[tokio::test(start_paused = true)]
async fn eks_tells_of_the_cluster() {
    let ec2 = service(|_| {});
    let clients = clients(&ec2).await;
    let cluster = cloud::aws::cluster::describe(&clients, "demo").await.unwrap();
    assert_eq!((cluster.service_cidr.as_deref(), cluster.version.as_deref()), (Some("10.100.0.0/16"), Some("1.35")));
    let unknown = cloud::aws::cluster::describe(&clients, "other").await.unwrap_err();
    assert!(unknown.to_string().contains("ResourceNotFoundException"), "{unknown}");
}

#[tokio::test(start_paused = true)]
async fn on_demand_prices_are_those_of_the_list() {
    let ec2 = service(|_| {});
    let prices = cloud::aws::on_demand(&clients(&ec2).await).await.unwrap();
    ec2.locked(|state| {
        for sold in state.region.sold.iter().filter(|sold| sold.price.is_some()) {
            let listed = prices.get(&sold.instance_type, "us-west-2a", CapacityType::OnDemand);
            assert_eq!(listed, sold.price, "{}", sold.instance_type);
        }
    });
}
