//! How each pod and each node stands, as text for whoever scrapes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crds::names;
use planner::model::pod::Owner;
use planner::model::{Labels as NodeLabels, Resources, Str};

use super::super::claim::launch::resources;
use super::super::deps::seconds;
use super::super::node::Node;
use super::super::time;
use super::super::world::World;
use crate::observe::mirror::{Form, Pod};
use crate::telemetry::page::{self, Labels};
use crate::telemetry::{NodeRow, write_nodes};

/// Amounts that a pod asks for, and those it is limited to.
#[derive(Clone, Debug, Default)]
struct Asked {
    requests: Resources,
    limits: Resources,
}

/// Each form is added up once.
#[derive(Default)]
struct Sums(HashMap<*const Form, Asked>);

impl Sums {
    fn of(&mut self, pod: &Pod) -> &Asked {
        self.0.entry(Arc::as_ptr(&pod.form)).or_insert_with(|| Asked { requests: pod.requests(), limits: pod.limits() })
    }
}

/// What pods ask for and nodes have, over all nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub requests: Resources,
    pub allocatable: Resources,
}

/// Adds up what pods ask for on the nodes there are.
pub fn used(world: &World) -> Used {
    let mut sums = Sums::default();
    let mut out = Used::default();
    for node in world.nodes() {
        out.allocatable.add(&resources(&node.status.allocatable));
        for pod in world.mirror.pods_on(node.name()) {
            out.requests.add(&sums.of(&pod).requests);
        }
    }
    out
}

/// The families of nodes.
pub fn nodes(world: &World, now: i64, out: &mut String) {
    let nodes = world.nodes();
    let mut sums = Sums::default();
    let labels: Vec<NodeLabels> = nodes.iter().map(|node| labels_of(node)).collect();
    let rows: Vec<NodeRow<'_>> =
        nodes.iter().zip(&labels).map(|(node, labels)| row(world, node, labels, &mut sums, now)).collect();
    write_nodes(out, &rows);
}

fn labels_of(node: &Node) -> NodeLabels {
    node.metadata.labels.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
}

fn row<'a>(world: &World, node: &'a Node, labels: &'a NodeLabels, sums: &mut Sums, now: i64) -> NodeRow<'a> {
    let (mut overhead, allocatable) = (resources(&node.status.capacity), resources(&node.status.allocatable));
    overhead.subtract(&allocatable);
    let mut pods = Asked::default();
    let mut daemons = Asked::default();
    for pod in world.mirror.pods_on(node.name()) {
        let asked = sums.of(&pod);
        let sum = if pod.form.owner() == Owner::DaemonSet { &mut daemons } else { &mut pods };
        sum.requests.add(&asked.requests);
        sum.limits.add(&asked.limits);
    }
    let phase = match (node.metadata.is_deleting(), node.is_ready()) {
        (true, _) => "Terminating",
        (false, true) => "Running",
        (false, false) => "Pending",
    };
    let born = node.metadata.creation_timestamp.as_deref().and_then(time::seconds);
    NodeRow {
        name: node.name(),
        labels,
        phase,
        managed: world.claim_of(node).is_some(),
        age: born.map(|born| seconds(now - born)),
        amounts: [allocatable, pods.requests, pods.limits, daemons.requests, daemons.limits, overhead],
    }
}

const STATE: &str = "karpenter_pods_state";

/// The family of how pods are.
pub fn pods(world: &World, out: &mut String) {
    let pods = world.mirror.pods();
    if pods.is_empty() {
        return;
    }
    let nodes: BTreeMap<String, (Arc<Node>, bool)> = world
        .nodes()
        .into_iter()
        .map(|node| (node.name().to_owned(), (node.clone(), world.claim_of(&node).is_some())))
        .collect();
    page::gauges(out, STATE, "Always 1; how a pod is.");
    for pod in pods {
        let node = pod.node.as_deref().and_then(|name| nodes.get(name));
        let label = |key: &str| node.and_then(|(node, _)| node.metadata.labels.get(key)).map_or("", String::as_str);
        let owner = pod.form.meta.owner_references.first().map_or_else(String::new, |owner| {
            let (version, kind) = (&owner.api_version, owner.kind.to_lowercase());
            format!("/apis/{version}/namespaces/{}/{kind}s/{}", pod.namespace(), owner.name)
        });
        let truth = |is: bool| if is { "true" } else { "false" };
        let labels = Labels::of([
            ("name", pod.name()),
            ("namespace", pod.namespace()),
            ("owner", &owner),
            ("node", pod.node.as_deref().unwrap_or_default()),
            ("scheduled", truth(pod.node.is_some())),
            ("nodepool", label(names::core::NODE_POOL)),
            ("zone", label(names::kubernetes::ZONE)),
            ("arch", label(names::kubernetes::ARCH)),
            ("capacity_type", label(names::core::CAPACITY_TYPE)),
            ("instance_type", label(names::kubernetes::INSTANCE_TYPE)),
            ("phase", pod.phase.as_str()),
            ("ready", truth(pod.ready)),
            ("managed", truth(node.is_some_and(|(_, managed)| *managed))),
        ]);
        page::sample(out, STATE, &labels, 1.0);
    }
}

/// Since when a pod waits, of those that do.
type Since = fn(&super::Clock) -> Option<i64>;

const WAITS: [(&str, &str, Since); 5] = [
    ("karpenter_pods_unstarted_time_seconds", "Age of pods that do not run.", |clock| Some(clock.created)),
    ("karpenter_pods_unbound_time_seconds", "Age of pods that are not bound.", |clock| {
        (!clock.bound).then_some(clock.created)
    }),
    (
        "karpenter_pods_provisioning_unbound_time_seconds",
        "Since the first plan with a place, while not bound.",
        |clock| clock.schedulable.filter(|_| !clock.bound),
    ),
    (
        "karpenter_pods_provisioning_unstarted_time_seconds",
        "Since the first plan with a place, while not running.",
        |clock| clock.schedulable,
    ),
    (
        "karpenter_pods_provisioning_scheduling_undecided_time_seconds",
        "Since the pod was seen, while nothing is decided about it.",
        |clock| clock.seen.filter(|_| !clock.decided),
    ),
];

/// The families of pods that wait.
pub fn waits(world: &World, now: i64, out: &mut String) {
    let waiting: Vec<(Str, super::Clock)> = world.clocks.waiting();
    for (name, help, since) in WAITS {
        let mut series = waiting.iter().filter_map(|(key, clock)| Some((key, since(clock)?))).peekable();
        if series.peek().is_some() {
            page::gauges(out, name, help);
        }
        for (key, since) in series {
            let (namespace, pod) = key.split_once('/').unwrap_or(("", key));
            page::sample(out, name, &Labels::of([("name", pod), ("namespace", namespace)]), seconds(now - since));
        }
    }
}
