//! What machines that are there have against a pod.

use std::collections::BTreeMap;

use super::state::State;
use super::world::World;
use crate::model::{Refusal, Snapshot, Str};

/// What each node and claim has against a pod of a group that comes alone, by name. Those that would take it are left out.
pub fn refusals(snapshot: &Snapshot, group: usize) -> BTreeMap<&Str, Refusal<'_>> {
    let world = World::new(snapshot, &[]);
    let state = State::new(&world);
    let nodes = snapshot.nodes.iter().filter(|node| node.deleting).map(|node| &node.name);
    let claims = snapshot.claims.iter().filter(|claim| claim.deleting).map(|claim| &claim.name);
    let mut out: BTreeMap<&Str, Refusal> = nodes.chain(claims).map(|name| (name, Refusal::Leaving)).collect();
    let without_wishes = world.groups[group].levels.len() - 1;
    for (at, host) in world.hosts.iter().enumerate() {
        let wishes = || state.refusal(at, group, 0).map(|_| Refusal::Wishes);
        if let Some(refusal) = state.refusal(at, group, without_wishes).or_else(wishes) {
            out.insert(host.name, refusal);
        }
    }
    out
}
