//! Decides, purely: an immutable [`model::Snapshot`] in, a [`plan::Plan`] out. No clock, network, randomness or logging.

pub mod model;
pub mod plan;

use model::{Code, Reason, Snapshot};
use plan::{Plan, Unplaced};

/// Which nodes to buy for the pods of a snapshot, and why any has no place.
pub fn plan(snapshot: &Snapshot) -> Plan {
    let reason = Reason::everywhere(Code::NoNodePool, "no NodePool", None);
    let unplaced = snapshot.groups.iter().map(|group| Unplaced {
        pods: group.pods.iter().map(|pod| pod.key.clone()).collect(),
        reasons: vec![reason.clone()],
    });
    Plan { unplaced: unplaced.collect(), ignored: snapshot.ignored.clone(), ..Plan::default() }
}
