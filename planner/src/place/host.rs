//! Nodes and claims that may take pods, each with the room that its pods and `DaemonSets` leave.

use std::collections::{BTreeMap, BTreeSet};

use super::dims::Dims;
use crate::model::pod::{Attachment, HostPort, Owner};
use crate::model::taint::untolerated;
use crate::model::{Labels, Node, Resources, Snapshot, Str, Taint, labels};

/// A node or claim with room.
pub(crate) struct Host<'a> {
    pub(crate) name: &'a Str,
    pub(crate) labels: &'a Labels,
    pub(crate) taints: &'a [Taint],
    pub(crate) room: Vec<i64>,
    pub(crate) ports: Vec<&'a HostPort>,
    pub(crate) attached: BTreeSet<&'a Attachment>,
    pub(crate) attach_limits: Option<&'a BTreeMap<Str, u32>>,
    /// Value of each topology key.
    pub(crate) domains: Vec<Option<u32>>,
}

/// Nodes on their way out on which pods stay: they take nobody, and what is on them counts.
pub(super) fn held(snapshot: &Snapshot) -> Vec<Host<'_>> {
    let held = snapshot.nodes.iter().filter(|node| node.is_held());
    let hosts = held.map(|node| Host {
        name: &node.name,
        labels: &node.labels,
        taints: &node.taints,
        room: Vec::new(),
        ports: Vec::new(),
        attached: BTreeSet::new(),
        attach_limits: None,
        domains: Vec::new(),
    });
    hosts.collect()
}

/// Those of a snapshot: initialised nodes first, then by name.
pub(super) fn hosts<'a>(snapshot: &'a Snapshot, dims: &Dims) -> Vec<Host<'a>> {
    let mut out: Vec<(bool, Host)> = Vec::new();
    for node in snapshot.nodes.iter().filter(|n| !n.deleting) {
        let mut room = node.allocatable.clone();
        let mut daemons_here = Resources::default();
        for bound in &node.pods {
            room.add_times(&bound.shape.requests, -(bound.pods.len() as i64));
            if bound.shape.owner == Owner::DaemonSet {
                daemons_here.add_times(&bound.shape.requests, bound.pods.len() as i64);
            }
        }
        keep_for_daemons(&mut room, &daemons_here, snapshot, &node.labels, &node.taints);
        out.push((
            !node.initialized,
            Host {
                name: &node.name,
                labels: &node.labels,
                taints: &node.taints,
                room: if is_overdrawn(node, &room) { vec![-1; dims.len()] } else { dims.dense(&room) },
                ports: node.pods.iter().flat_map(|b| &b.shape.host_ports).collect(),
                attached: node.pods.iter().flat_map(|b| &b.shape.attachments).collect(),
                attach_limits: (!node.attach_limits.is_empty()).then_some(&node.attach_limits),
                domains: Vec::new(),
            },
        ));
    }
    for claim in snapshot.claims.iter().filter(|c| !c.deleting) {
        let mut room = claim.allocatable.clone();
        keep_for_daemons(&mut room, &Resources::default(), snapshot, &claim.labels, &claim.taints);
        out.push((
            true,
            Host {
                name: &claim.name,
                labels: &claim.labels,
                taints: &claim.taints,
                room: dims.dense(&room),
                ports: Vec::new(),
                attached: BTreeSet::new(),
                attach_limits: None,
                domains: Vec::new(),
            },
        ));
    }
    out.sort_by(|a, b| (a.0, a.1.name).cmp(&(b.0, b.1.name)));
    out.into_iter().map(|(_, host)| host).collect()
}

/// Is there less than nothing left of something the node has? Then it takes nobody, whatever is asked for, as in Karpenter.
fn is_overdrawn(node: &Node, room: &Resources) -> bool {
    node.allocatable.iter().any(|(name, _)| room.get(name) < 0)
}

/// Takes off what `DaemonSets` will still ask for on a node.
fn keep_for_daemons(room: &mut Resources, here: &Resources, snapshot: &Snapshot, labels: &Labels, taints: &[Taint]) {
    for (name, amount) in daemons_on(snapshot, labels, taints).iter() {
        let to_come = (amount - here.get(name)).max(0);
        let left = room.get(name) - to_come;
        room.set(name, left);
    }
}

/// What `DaemonSets` ask for on a node with these labels and taints once it is initialised.
pub(super) fn daemons_on(snapshot: &Snapshot, labels: &Labels, taints: &[Taint]) -> Resources {
    let mut labels = labels.clone();
    labels.insert(labels::REGISTERED.into(), "true".into());
    labels.insert(labels::INITIALIZED.into(), "true".into());
    let mut out = Resources::default();
    for daemon in &snapshot.daemons {
        if daemon.shape.wants(&labels) && untolerated(taints, &daemon.shape.tolerations, false).is_none() {
            out.add(&daemon.shape.requests);
        }
    }
    out
}
