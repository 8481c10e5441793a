//! What random pools are and sell.

use planner::model::catalog::{Catalog, Reservation};
use planner::model::{
    CapacityType, Effect, InstanceType, Labels, MicroUsdPerHour, Offering, Operator, Pool, Requirement, Requirements,
    Resources, Str, Taint, labels,
};

use crate::rng::SplitMix64;

/// The zones of every random market.
pub const ZONES: [&str; 3] = ["a", "b", "c"];

/// A key under which the random types tell how many cores they have.
pub(super) const CPU_LABEL: &str = "karpenter.k8s.aws/instance-cpu";
/// A key that some random types leave open.
pub(super) const TENANCY: &str = "karpenter.k8s.aws/instance-tenancy";
/// A custom key that some random pools leave open.
pub(super) const TIER: &str = "example.com/tier";

fn text(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

/// Four to ten machines of 1 to 16 cores, some of them ARM, some with a GPU; by name.
pub(super) fn types(rng: &mut SplitMix64) -> Vec<InstanceType> {
    let mut out: Vec<InstanceType> = Vec::new();
    for _ in 0..4 + rng.index(7) {
        let (family, arch, gpus) =
            *rng.pick(&[("m", "amd64", 0), ("m", "amd64", 0), ("g", "arm64", 0), ("p", "amd64", 1)]);
        let cpus = *rng.pick(&[1, 2, 4, 8, 16]);
        let name = format!("{family}-{cpus}x");
        if out.iter().all(|kind| *kind.name != *name) {
            out.push(instance_type(rng, &name, arch, cpus, gpus));
        }
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    let open = *rng.pick(&[0, 0, 0, 0, 100, 100, 50]);
    for kind in &mut out {
        if rng.chance(open) {
            kind.open_labels.push((TENANCY.into(), vec!["default".into(), "dedicated".into()]));
        }
    }
    out
}

fn instance_type(rng: &mut SplitMix64, name: &str, arch: &str, cpus: i64, gpus: i64) -> InstanceType {
    let memory = (cpus * rng.between(2, 8)) << 30;
    let mut capacity = Resources::of([("cpu", cpus * 1000), ("memory", memory), ("pods", 8 + 4 * cpus)]);
    if gpus > 0 {
        capacity.set("nvidia.com/gpu", gpus);
    }
    let mut allocatable = capacity.clone();
    allocatable.subtract(&Resources::of([("cpu", rng.between(0, 100)), ("memory", rng.between(0, 300) << 20)]));
    let mut labels = text(&[(labels::INSTANCE_TYPE, name), (labels::ARCH, arch), (labels::OS, "linux")]);
    labels.insert(CPU_LABEL.into(), cpus.to_string().into());
    let base = 24_000 * cpus + 400_000 * gpus + rng.between(0, 6_000) * cpus;
    let mut offerings = Vec::new();
    for zone in ZONES {
        if rng.chance(10) {
            continue;
        }
        let on_demand = base + if rng.chance(20) { rng.between(0, 2_000) } else { 0 };
        let spot = base * rng.between(25, 110) / 100;
        for (capacity_type, price) in [(CapacityType::Spot, spot), (CapacityType::OnDemand, on_demand)] {
            if capacity_type == CapacityType::OnDemand || rng.chance(60) {
                offerings.push(offering(rng, zone, capacity_type, price, None));
            }
        }
        if rng.chance(5) {
            let reservation =
                Reservation { id: format!("cr-{name}-{zone}").into(), count: u32::from(rng.chance(70)) + 1 };
            offerings.push(offering(rng, zone, CapacityType::Reserved, base / 1_000, Some(reservation)));
        }
    }
    InstanceType {
        name: name.into(),
        labels,
        open_labels: Vec::new(),
        capacity,
        allocatable,
        exotic: gpus > 0,
        offerings,
    }
}

fn offering(
    rng: &mut SplitMix64,
    zone: &str,
    capacity_type: CapacityType,
    price: i64,
    reservation: Option<Reservation>,
) -> Offering {
    let mut labels = text(&[("topology.k8s.aws/zone-id", &format!("use1-az-{zone}"))]);
    if let Some(reservation) = &reservation {
        labels.insert(labels::RESERVATION_ID.into(), reservation.id.clone());
    }
    Offering {
        zone: zone.into(),
        capacity_type,
        price: MicroUsdPerHour(price),
        available: rng.chance(92),
        no_addresses: false,
        labels,
        reservation,
    }
}

/// A pool over the catalogue, with a few terms of its own.
pub(super) fn pool(rng: &mut SplitMix64, at: usize, types: &Catalog) -> Pool {
    let name: Str = format!("pool-{at}").into();
    let mut labels: Labels = [(labels::NODEPOOL.into(), name.clone())].into();
    if rng.chance(25) {
        labels.insert("example.com/team".into(), (*rng.pick(&["red", "blue"])).into());
    }
    let mut taints = Vec::new();
    if rng.chance(25) {
        let effect = *rng.pick(&[Effect::NoSchedule, Effect::NoSchedule, Effect::NoExecute, Effect::PreferNoSchedule]);
        taints.push(Taint { key: "dedicated".into(), value: (*rng.pick(&["batch", "web"])).into(), effect });
    }
    let mut limits = Resources::default();
    if rng.chance(20) {
        limits.set("cpu", rng.between(1, 24) * 1000);
    }
    if rng.chance(10) {
        limits.set("nodes", rng.between(1, 4));
    }
    let fixed = rng.chance(6);
    Pool {
        name,
        weight: i32::from(rng.chance(40)) * 10,
        labels,
        requirements: requirements(rng),
        taints,
        startup_taints: Vec::new(),
        limits: if fixed { Resources::default() } else { limits },
        replicas: fixed.then(|| u32::from(rng.chance(50)) + 1),
        not_ready: None,
        types: types.clone(),
    }
}

fn requirements(rng: &mut SplitMix64) -> Requirements {
    let mut out = Requirements::new();
    if rng.chance(30) {
        let zones = [&["a", "b"][..], &["c"], &["b", "c"], &["a", "elsewhere"]];
        out.add(Requirement::new(labels::ZONE, Operator::In, rng.pick(&zones).iter().copied()));
    }
    if rng.chance(40) {
        let kinds = [&["on-demand"][..], &["spot"], &["spot", "on-demand"], &["reserved", "on-demand"]];
        out.add(Requirement::new(labels::CAPACITY_TYPE, Operator::In, rng.pick(&kinds).iter().copied()));
    }
    if rng.chance(20) {
        out.add(Requirement::equal(labels::ARCH, *rng.pick(&["amd64", "arm64"])));
    }
    if rng.chance(15) {
        out.add(Requirement::new(CPU_LABEL, Operator::Gt, [*rng.pick(&["1", "2"])]));
    }
    if rng.chance(25) {
        let open = [
            Requirement::new(TIER, Operator::Exists, [""; 0]),
            Requirement::new(TIER, Operator::In, ["gold", "silver"]),
            Requirement::new(TIER, Operator::NotIn, ["gold"]),
        ];
        out.add(rng.pick(&open).clone());
    }
    if rng.chance(12) {
        let mut flexible = Requirement::new(labels::INSTANCE_TYPE, Operator::Exists, [""; 0]);
        flexible.min_values = Some(2 + u32::from(rng.chance(40)));
        out.add(flexible);
    }
    out
}
