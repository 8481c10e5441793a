//! Random pods: sets of equal ones with any of the constraints that pods can have.

use std::collections::BTreeSet;
use std::sync::Arc;

use planner::model::pod::{Attachment, HostPort, Owner, PodTerm, Spread};
use planner::model::selector::{Expression, LabelSelector, SelectorOperator};
use planner::model::snapshot::Daemon;
use planner::model::taint::TolerationOperator;
use planner::model::{
    Code, Effect, Operator, Pod, PodShape, Reason, Requirement, Requirements, Resources, Str, Toleration, labels,
};

use super::market::{CPU_LABEL, TENANCY, TIER, ZONES};
use crate::rng::SplitMix64;

const NAMESPACES: [&str; 2] = ["shop", "batch"];

/// Equal pods.
#[derive(Clone, Debug)]
pub(super) struct App {
    pub name: String,
    pub shape: PodShape,
    pub replicas: usize,
}

impl App {
    /// Its pending pods.
    pub fn pods(&self) -> impl Iterator<Item = Pod> {
        (0..self.replicas).map(|at| Pod {
            name: format!("{}-{at}", self.name).into(),
            uid: format!("{}-{at}", self.name).into(),
            created: 0,
            node: None,
            terminating: false,
            shape: self.shape.clone(),
        })
    }
}

fn name(at: usize) -> String {
    ["web", "api", "cache", "queue", "job", "log"][at % 6].to_owned()
}

/// The app with this number.
pub(super) fn app(rng: &mut SplitMix64, at: usize) -> App {
    let name = name(at);
    let mut shape = PodShape { namespace: (*rng.pick(&NAMESPACES)).into(), ..PodShape::default() };
    shape.labels = [("app".into(), name.as_str().into())].into();
    if rng.chance(30) {
        shape.labels.insert("track".into(), (*rng.pick(&["stable", "canary"])).into());
    }
    let cpu = if rng.chance(4) { 40_000 } else { *rng.pick(&[50, 100, 250, 500, 900, 1500, 3000]) };
    shape.requests = Resources::of([("cpu", cpu), ("memory", rng.between(32, 3000) << 20), ("pods", 1)]);
    if rng.chance(6) {
        shape.requests.set("nvidia.com/gpu", 1);
    }
    node_side(rng, &mut shape);
    pod_side(rng, &mut shape, at);
    machine_side(rng, &mut shape, &name);
    if rng.chance(3) {
        shape.refused = Some(Reason::everywhere(Code::VolumeNotReady, "claim data is missing", None));
    }
    App { name, shape, replicas: 1 + rng.index(6) }
}

fn node_requirement(rng: &mut SplitMix64) -> Requirement {
    match rng.below(8) {
        0 => Requirement::equal(labels::ZONE, *rng.pick(&ZONES)),
        1 => Requirement::new(labels::ZONE, Operator::NotIn, [*rng.pick(&ZONES)]),
        2 => Requirement::equal(labels::ARCH, *rng.pick(&["amd64", "arm64"])),
        3 => Requirement::equal(labels::CAPACITY_TYPE, *rng.pick(&["spot", "on-demand"])),
        4 => Requirement::new(CPU_LABEL, Operator::Gt, [*rng.pick(&["1", "3"])]),
        5 => Requirement::equal(TIER, *rng.pick(&["gold", "silver"])),
        6 => Requirement::equal(TENANCY, "dedicated"),
        _ => Requirement::equal("example.com/team", *rng.pick(&["red", "blue"])),
    }
}

/// Selectors, node affinity, tolerations.
fn node_side(rng: &mut SplitMix64, shape: &mut PodShape) {
    if rng.chance(25) {
        shape.node_selector.add(node_requirement(rng));
    }
    if rng.chance(12) {
        let one = |rng: &mut SplitMix64| Requirements::from_iter([node_requirement(rng)]);
        shape.node_terms = Some((0..=rng.index(2)).map(|_| one(rng)).collect());
    }
    if rng.chance(12) {
        shape.preferred_node_terms = vec![(10, Requirements::from_iter([node_requirement(rng)]))];
    }
    if rng.chance(35) {
        let (operator, value) = *rng.pick(&[
            (TolerationOperator::Exists, ""),
            (TolerationOperator::Equal, "batch"),
            (TolerationOperator::Equal, "web"),
        ]);
        let effect = *rng.pick(&[None, Some(Effect::NoSchedule)]);
        shape.tolerations.push(Toleration { key: "dedicated".into(), operator, value: value.into(), effect });
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a selector field is optional")]
fn selector(rng: &mut SplitMix64, own: usize) -> Option<LabelSelector> {
    let other = rng.index(6);
    let one = |at: usize| LabelSelector::equal([("app".into(), name(at).into())]);
    let any = |values: BTreeSet<Str>| Expression { key: "app".into(), operator: SelectorOperator::In, values };
    match rng.below(10) {
        0..=5 => Some(one(own)),
        6 | 7 => Some(one(other)),
        8 => Some(LabelSelector([any([name(own).into(), name(other).into()].into())].into())),
        _ => Some(LabelSelector::equal([("track".into(), "stable".into())])),
    }
}

fn term(rng: &mut SplitMix64, namespace: &Str, own: usize) -> PodTerm {
    let key = *rng.pick(&[labels::ZONE, labels::HOSTNAME, labels::HOSTNAME, labels::CAPACITY_TYPE]);
    let mut namespaces = BTreeSet::from([namespace.clone()]);
    if rng.chance(20) {
        namespaces.extend(NAMESPACES.map(Str::from));
    }
    PodTerm { key: key.into(), namespaces, selector: selector(rng, own) }
}

/// Spread and (anti-)affinity, hard and wished for.
fn pod_side(rng: &mut SplitMix64, shape: &mut PodShape, own: usize) {
    if rng.chance(25) {
        let keys = [labels::ZONE, labels::ZONE, labels::HOSTNAME, labels::CAPACITY_TYPE, TIER];
        for _ in 0..=rng.index(2) {
            shape.spreads.push(Spread {
                key: (*rng.pick(&keys)).into(),
                max_skew: 1 + u32::from(rng.chance(25)),
                min_domains: rng.chance(15).then_some(2),
                hard: rng.chance(75),
                selector: selector(rng, own),
                honor_affinity: rng.chance(80),
                honor_taints: rng.chance(30),
            });
        }
    }
    let namespace = shape.namespace.clone();
    if rng.chance(12) {
        shape.affinity.push(term(rng, &namespace, own));
    }
    if rng.chance(15) {
        shape.anti_affinity.push(term(rng, &namespace, own));
    }
    if rng.chance(8) {
        shape.preferred_affinity.push((5, term(rng, &namespace, own)));
    }
    if rng.chance(8) {
        shape.preferred_anti_affinity.push((5, term(rng, &namespace, own)));
    }
}

/// Host ports and volumes.
fn machine_side(rng: &mut SplitMix64, shape: &mut PodShape, name: &str) {
    if rng.chance(10) {
        shape.host_ports.insert(port(rng));
    }
    if rng.chance(10) {
        let zone = *rng.pick(&ZONES);
        let reach = |zones: &[&'static str]| {
            Requirements::from_iter([Requirement::new(labels::ZONE, Operator::In, zones.iter().copied())])
        };
        let volumes = [vec![reach(&[zone])], vec![reach(&["a"]), reach(&["b"])], vec![reach(&["b", "c"])]];
        shape.volumes.push(rng.pick(&volumes).clone());
    }
    if rng.chance(15) {
        let claim = format!("{}/{name}-{}", shape.namespace, rng.below(2));
        shape.attachments.insert(Attachment { driver: "ebs.csi.aws.com".into(), claim: claim.into() });
    }
}

fn port(rng: &mut SplitMix64) -> HostPort {
    HostPort {
        port: *rng.pick(&[80, 443]),
        protocol: (*rng.pick(&["TCP", "TCP", "UDP"])).into(),
        address: (*rng.pick(&["", "", "10.0.0.1"])).into(),
    }
}

/// A `DaemonSet`.
pub(super) fn daemon(rng: &mut SplitMix64, at: usize) -> Daemon {
    let name: Str = format!("daemon-{at}").into();
    let requests = Resources::of([("cpu", rng.between(0, 3) * 50), ("memory", rng.between(1, 200) << 20), ("pods", 1)]);
    let mut shape = PodShape { namespace: "shop".into(), requests, owner: Owner::DaemonSet, ..PodShape::default() };
    if rng.chance(60) {
        shape.tolerations.push(Toleration {
            key: "".into(),
            operator: TolerationOperator::Exists,
            value: "".into(),
            effect: None,
        });
    }
    if rng.chance(30) {
        shape.node_selector.add(node_requirement(rng));
    }
    if rng.chance(15) {
        shape.host_ports.insert(port(rng));
    }
    Daemon { namespace: "shop".into(), name, shape: Arc::new(shape) }
}
