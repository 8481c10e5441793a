//! A seller on an EC2 with ten of everything, and orders for it.

use std::sync::Arc;
use std::time::Duration;

use cloud::aws::{Clients, Cluster, Connection, Facts, NodeClass, Seller, resolve};
use cloud::catalog::{AmiFamily, Ec2Settings, PriceList, ec2_of};
use cloud::{ClassRef, LaunchOrder, OfferingKey, offers};
use planner::model::{CapacityType, InstanceType, Labels, Operator, Requirement, Requirements, Resources};
use sim::clock::Clock;
use sim::ec2::{Ec2, Level, Options};

pub const REGION: &str = "us-west-2";

/// Everything a test needs.
pub struct Stand {
    pub ec2: Ec2,
    pub seller: Arc<Seller>,
    pub class: NodeClass,
    /// What the class can buy.
    pub types: Vec<InstanceType>,
}

pub fn ec2(change: impl FnOnce(&mut Options)) -> Ec2 {
    let mut options = Options {
        region: REGION.into(),
        level: Level::Each(10),
        latency: Duration::from_millis(10),
        ..Options::default()
    };
    change(&mut options);
    Ec2::new(options, Clock::new()).unwrap()
}

pub async fn clients(ec2: &Ec2) -> Clients {
    let connection =
        Connection { region: Some(REGION.into()), transport: Some(ec2.transport()), ..Connection::default() };
    Clients::connect(connection).await.unwrap()
}

pub fn cluster() -> Cluster {
    Cluster {
        name: "demo".into(),
        endpoint: "https://api.demo".into(),
        ca_bundle: "Q0E=".into(),
        service_cidr: Some("10.100.0.0/16".into()),
        dns: Some("10.100.0.10".into()),
    }
}

fn term(tags: &[(&str, &str)]) -> resolve::Term {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    resolve::Term { tags, ..resolve::Term::default() }
}

/// A class as its controller would resolve it, asked of EC2.
pub async fn class(clients: &Clients) -> NodeClass {
    let discovery = [term(&[("karpenter.sh/discovery", "demo")])];
    let image = |name: &str| resolve::Term { name: Some(name.into()), ..resolve::Term::default() };
    let images = [image("amazon-eks-node-al2023-x86_64-standard-*"), image("amazon-eks-node-al2023-arm64-standard-*")];
    let groups = resolve::security_groups(clients, &discovery).await.unwrap();
    NodeClass {
        name: "default".into(),
        family: Some(AmiFamily::Al2023),
        images: resolve::images(clients, &images, &[], "2026-11-26T00:00:00Z").await.unwrap(),
        subnets: resolve::subnets(clients, &discovery).await.unwrap(),
        security_groups: groups.into_iter().map(|(id, _)| id).collect(),
        profile: "KarpenterNodeInstanceProfile-demo".into(),
        ..NodeClass::default()
    }
    .with_devices_of_family()
}

/// The simulation's spot prices, laid over the catalogue.
pub fn prices(ec2: &Ec2) -> PriceList {
    let mut prices = PriceList::default();
    ec2.locked(|state| {
        let now = state.now();
        for key in state.market.offerings().filter(|key| key.capacity_type == CapacityType::Spot) {
            let price = state.market.price(key, now).unwrap();
            prices.set(&key.instance_type, &key.zone, CapacityType::Spot, price);
        }
    });
    prices
}

pub fn stand_of(ec2: Ec2, clients: Clients, class: NodeClass) -> Stand {
    let settings = Ec2Settings { region: REGION.into(), prices: prices(&ec2), ..Ec2Settings::default() };
    let facts = Facts::embedded(REGION).unwrap();
    let types = ec2_of(&facts.types, &facts.region, &settings).unwrap();
    Stand { seller: Arc::new(Seller::new(clients, cluster())), ec2, class, types }
}

pub async fn stand(change: impl FnOnce(&mut Options)) -> Stand {
    let ec2 = ec2(change);
    let clients = clients(&ec2).await;
    let class = class(&clients).await;
    stand_of(ec2, clients, class)
}

pub fn key(instance_type: &str, zone: &str, capacity_type: CapacityType) -> OfferingKey {
    let zone = format!("{REGION}{zone}");
    OfferingKey { instance_type: instance_type.into(), zone: zone.as_str().into(), capacity_type, reservation: None }
}

impl Stand {
    /// An order for a claim: these types, these ways to pay.
    pub fn order(&self, claim: &str, types: &[&str], capacity_types: &[&str]) -> LaunchOrder {
        let mut requirements = Requirements::new();
        requirements.add(Requirement::new("node.kubernetes.io/instance-type", Operator::In, types.iter().copied()));
        requirements.add(Requirement::new("karpenter.sh/capacity-type", Operator::In, capacity_types.iter().copied()));
        let requests = Resources::of([("cpu", 500)]);
        let label = |key: &str, value: &str| (key.into(), value.into());
        LaunchOrder {
            token: format!("uid-of-{claim}").into(),
            claim: claim.into(),
            pool: Some("general".into()),
            class: ClassRef { group: "karpenter.k8s.aws".into(), kind: "EC2NodeClass".into(), name: "default".into() },
            offers: offers(&self.types, &requirements, &requests),
            requirements,
            requests,
            labels: [label("karpenter.sh/nodepool", "general"), label("team", "a")].into(),
            annotations: Labels::new(),
            taints: Vec::new(),
            startup_taints: Vec::new(),
            takes_less_choice: false,
        }
    }

    /// An order for an m5.large in the first zone, on a capacity reservation of its own.
    pub fn reserved(&self, claim: &str, reservation: &str) -> LaunchOrder {
        let mut order = self.order(claim, &["m5.large"], &["on-demand"]);
        order.offers.retain(|offer| *offer.key.zone == *format!("{REGION}a"));
        let offer = &mut order.offers[0];
        offer.key.capacity_type = CapacityType::Reserved;
        offer.key.reservation = Some(reservation.into());
        offer.labels.insert("karpenter.k8s.aws/capacity-reservation-type".into(), "default".into());
        order
    }

    /// Machines that have not begun to end, with the claims they were bought for.
    pub fn bought(&self) -> Vec<(String, String)> {
        let machines = self.ec2.machines().into_iter();
        machines.map(|machine| (machine.id, machine.tags["karpenter.sh/nodeclaim"].clone())).collect()
    }
}
