//! What stands on one machine: room, node selector, taints, host ports, volumes.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::pod::Owner;
use crate::model::taint::untolerated;
use crate::model::{PodShape, Resources, Str};

use super::after::{After, Cell, Stand};
use super::{Fault, Misfit};

/// Faults on machines that the plan buys or puts pods on.
pub(super) fn check(after: &After, faults: &mut Vec<Fault>) {
    for (at, host) in after.hosts.iter().enumerate().filter(|(at, host)| after.changed(*at) || host.bought.is_some()) {
        let stand = host.stand();
        let mut misfits = Vec::new();
        labels(after, at, &stand, &mut misfits);
        room(&asked(after, at, &stand), host.allocatable, &mut misfits);
        taints(after, at, &mut misfits);
        ports(after, at, &stand, &mut misfits);
        attachments(after, at, &mut misfits);
        faults.extend(misfits.into_iter().map(|misfit| Fault::Misfit { host: host.name.clone(), misfit }));
    }
}

/// Node selector, required node affinity and the places of volumes.
fn labels(after: &After, host: usize, stand: &Stand, misfits: &mut Vec<Misfit>) {
    for cell in after.cells_of(host).filter(|cell| cell.group.is_some()) {
        if !stand.wanted_by(cell.shape) {
            misfits.push(Misfit::Selector { pod: cell.pods[0].clone() });
        }
        if !stand.reached_by(cell.shape) {
            misfits.push(Misfit::VolumeZone { pod: cell.pods[0].clone() });
        }
    }
}

/// What the pods on a machine and its `DaemonSet`s ask for. `DaemonSet` pods that are there already are not counted again.
pub(super) fn asked(after: &After, host: usize, stand: &Stand) -> Resources {
    let runs = after.snapshot.daemons.iter().map(|daemon| stand.runs(&daemon.shape, after.hosts[host].taints));
    asked_with(after, host, &runs.collect::<Vec<_>>())
}

/// The same where these `DaemonSet`s run.
pub(super) fn asked_with(after: &After, host: usize, runs: &[bool]) -> Resources {
    let (mut pods, mut daemons) = (Resources::default(), Resources::default());
    for cell in after.cells_of(host) {
        let times = i64::try_from(cell.pods.len()).unwrap_or(i64::MAX);
        pods.add_times(&cell.shape.requests, times);
        if cell.shape.owner == Owner::DaemonSet && cell.group.is_none() {
            daemons.add_times(&cell.shape.requests, -times);
        }
    }
    for (daemon, _) in after.snapshot.daemons.iter().zip(runs).filter(|(_, runs)| **runs) {
        daemons.add(&daemon.shape.requests);
    }
    for (name, amount) in daemons.iter().filter(|(_, amount)| *amount > 0) {
        pods.add(&Resources([(name.clone(), amount)].into()));
    }
    pods
}

/// Every resource asked for that a machine with this much would lack.
pub(super) fn room(asked: &Resources, room: &Resources, misfits: &mut Vec<Misfit>) {
    let over = asked.iter().filter(|(name, amount)| *amount > 0 && *amount > room.get(name));
    misfits.extend(over.map(|(name, amount)| Misfit::Room {
        resource: name.clone(),
        asked: amount,
        room: room.get(name),
    }));
}

fn taints(after: &After, host: usize, misfits: &mut Vec<Misfit>) {
    for cell in after.cells_of(host).filter(|cell| cell.group.is_some()) {
        if let Some(taint) = untolerated(after.hosts[host].taints, &cell.shape.tolerations, false) {
            misfits.push(Misfit::Taint { pod: cell.pods[0].clone(), taint: taint.to_string().into() });
        }
    }
}

/// Host ports among the pods of a machine, and for a purchase against the `DaemonSet`s to come.
pub(super) fn ports(after: &After, host: usize, stand: &Stand, misfits: &mut Vec<Misfit>) {
    let cells: Vec<_> = with_ports(after, host).collect();
    for (at, cell) in cells.iter().enumerate().filter(|(_, cell)| cell.group.is_some()) {
        if let [pod, other, ..] = cell.pods[..] {
            misfits.push(Misfit::HostPort { pod: pod.clone(), other: other.clone() });
        }
        let others = cells.iter().enumerate().filter(|(i, other)| *i < at || (*i > at && other.group.is_none()));
        misfits.extend(
            others
                .filter(|(_, other)| clash(cell.shape, other.shape))
                .map(|(_, other)| Misfit::HostPort { pod: cell.pods[0].clone(), other: other.pods[0].clone() }),
        );
    }
    if after.hosts[host].bought.is_some() && !cells.is_empty() {
        let runs = after.snapshot.daemons.iter().map(|daemon| stand.runs(&daemon.shape, after.hosts[host].taints));
        daemon_ports(after, host, &runs.collect::<Vec<_>>(), misfits);
    }
}

/// Host ports of the plan's pods on a machine against those of these `DaemonSet`s.
pub(super) fn daemon_ports(after: &After, host: usize, runs: &[bool], misfits: &mut Vec<Misfit>) {
    for cell in with_ports(after, host).filter(|cell| cell.group.is_some()) {
        for (daemon, _) in after.snapshot.daemons.iter().zip(runs).filter(|(_, runs)| **runs) {
            if clash(cell.shape, &daemon.shape) {
                misfits.push(Misfit::HostPort { pod: cell.pods[0].clone(), other: daemon.name.clone() });
            }
        }
    }
}

fn with_ports<'c, 'a>(after: &'c After<'a>, host: usize) -> impl Iterator<Item = &'c Cell<'a>> {
    after.cells_of(host).filter(|cell| !cell.shape.host_ports.is_empty())
}

fn clash(one: &PodShape, other: &PodShape) -> bool {
    one.host_ports.iter().any(|port| other.host_ports.iter().any(|other| port.clashes(other)))
}

/// Volumes per driver against what the node can attach; pods that share a claim share the slot.
fn attachments(after: &After, host: usize, misfits: &mut Vec<Misfit>) {
    let Some(limits) = after.hosts[host].attach_limits else { return };
    let mut used: BTreeMap<&Str, BTreeSet<&Str>> = BTreeMap::new();
    let mut touched: BTreeSet<&Str> = BTreeSet::new();
    for cell in after.cells_of(host) {
        for attachment in &cell.shape.attachments {
            used.entry(&attachment.driver).or_default().insert(&attachment.claim);
            if cell.group.is_some() {
                touched.insert(&attachment.driver);
            }
        }
    }
    for (driver, limit) in limits.iter().filter(|(driver, _)| touched.contains(driver)) {
        let asked = used.get(driver).map_or(0, BTreeSet::len);
        if u32::try_from(asked).is_ok_and(|asked| asked > *limit) {
            misfits.push(Misfit::Attachments { driver: driver.clone(), asked, room: *limit });
        }
    }
}
