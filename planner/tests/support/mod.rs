//! Builders that state only what matters: pods, pools and a small catalogue by formula.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unnecessary_wraps, reason = "a selector field is optional")]

use std::collections::BTreeSet;
use std::sync::Arc;

use planner::model::group::collapse;
use planner::model::pod::{Owner, PodTerm, Spread};
use planner::model::selector::LabelSelector;
use planner::model::{
    CapacityType, InstanceType, Labels, MicroUsdPerHour, Node, Offering, Operator, Pod, PodShape, Pool, Requirement,
    Requirements, Resources, Snapshot, labels,
};

/// Machines of 1 to 64 cores, 4 GiB each, in three zones, on-demand; price in proportion, spot a little cheaper where wanted.
pub fn types(zones: &[&str]) -> Vec<InstanceType> {
    let one = |cpu: i64| {
        let capacity = Resources::of([("cpu", cpu * 1000), ("memory", (cpu * 4) << 30), ("pods", 16 * cpu)]);
        let mut allocatable = capacity.clone();
        allocatable.subtract(&Resources::of([("cpu", 100), ("memory", 10 << 20)]));
        let name = format!("t-{cpu}x");
        let offering = |zone: &&str| Offering {
            zone: (*zone).into(),
            capacity_type: CapacityType::OnDemand,
            price: MicroUsdPerHour(30_000 * cpu),
            available: true,
            no_addresses: false,
            labels: Labels::new(),
            reservation: None,
        };
        InstanceType {
            labels: [(labels::INSTANCE_TYPE, name.as_str()), (labels::ARCH, "amd64"), (labels::OS, "linux")]
                .map(|(k, v)| (k.into(), v.into()))
                .into(),
            name: name.into(),
            open_labels: Vec::new(),
            capacity,
            allocatable,
            exotic: false,
            offerings: zones.iter().map(offering).collect(),
        }
    };
    [1, 2, 4, 8, 16, 32, 64].map(one).into()
}

/// A pool of that catalogue in zones a, b and c.
pub fn pool(name: &str) -> Pool {
    Pool {
        name: name.into(),
        weight: 0,
        labels: [(labels::NODEPOOL.into(), name.into())].into(),
        requirements: Requirements::new(),
        taints: Vec::new(),
        startup_taints: Vec::new(),
        limits: Resources::default(),
        replicas: None,
        not_ready: None,
        types: Arc::new(types(&["a", "b", "c"])),
    }
}

/// A pending pod of `cpu` thousandths of a core and 256 MiB.
pub fn pod(name: &str, cpu: i64) -> Pod {
    let requests = Resources::of([("cpu", cpu), ("memory", 256 << 20), ("pods", 1)]);
    let shape = PodShape { namespace: "shop".into(), requests, owner: Owner::Other, ..PodShape::default() };
    Pod { name: name.into(), uid: name.into(), created: 0, node: None, terminating: false, shape }
}

/// `n` pods `name-0`… with label `app` = name, changed by `with`.
pub fn replicas(name: &str, n: usize, cpu: i64, with: impl Fn(&mut PodShape)) -> Vec<Pod> {
    let one = |i| {
        let mut pod = pod(&format!("{name}-{i}"), cpu);
        pod.shape.labels.insert("app".into(), name.into());
        with(&mut pod.shape);
        pod
    };
    (0..n).map(one).collect()
}

pub fn app(name: &str) -> Option<LabelSelector> {
    Some(LabelSelector::equal([("app".into(), name.into())]))
}

pub fn spread(key: &str, name: &str) -> Spread {
    Spread {
        key: key.into(),
        max_skew: 1,
        min_domains: None,
        hard: true,
        selector: app(name),
        honor_affinity: true,
        honor_taints: false,
    }
}

pub fn term(key: &str, name: &str) -> PodTerm {
    PodTerm { key: key.into(), namespaces: ["shop".into()].into(), selector: app(name) }
}

pub fn zone_in(zones: &[&str]) -> Requirement {
    Requirement::new(labels::ZONE, Operator::In, zones.iter().copied())
}

/// Nothing but these pools and pods.
pub fn snapshot(pools: Vec<Pool>, pods: Vec<Pod>) -> Snapshot {
    let keys: BTreeSet<_> = pods.iter().flat_map(|p| p.shape.selector_keys().cloned()).collect();
    Snapshot { groups: collapse(pods.into_iter().map(|pod| (pod, false)), &keys), pools, ..Snapshot::default() }
}

/// A node of so many cores and 32 GiB in zone a that is there.
pub fn node(name: &str, cpu: i64) -> Node {
    let capacity = Resources::of([("cpu", cpu), ("memory", 32 << 30), ("pods", 64)]);
    let all = [(labels::HOSTNAME, name), (labels::ZONE, "a"), (labels::CAPACITY_TYPE, "on-demand")];
    Node {
        name: name.into(),
        labels: all.into_iter().map(|(key, value)| (key.into(), value.into())).collect::<Labels>(),
        taints: Vec::new(),
        allocatable: capacity.clone(),
        capacity,
        pool: None,
        claim: None,
        initialized: true,
        deleting: false,
        pods: Vec::new(),
        attach_limits: [].into(),
    }
}
