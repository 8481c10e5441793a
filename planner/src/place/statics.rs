//! Static pools: so many nodes, whatever the pods.

use std::collections::{BTreeMap, BTreeSet};

use super::dims::Dims;
use super::launch::empty_launch;
use super::shelf::Shelf;
use crate::model::{Pool, Snapshot, Str};
use crate::plan::Launch;

/// The launches that bring each static pool up to its replicas, as far as `limits.nodes` lets them.
pub(crate) fn statics(snapshot: &Snapshot) -> Vec<Launch> {
    let mut taken: BTreeSet<Str> = snapshot.nodes.iter().map(|n| n.name.clone()).collect();
    taken.extend(snapshot.claims.iter().map(|c| c.name.clone()));
    let mut drawn: BTreeMap<Str, u32> = BTreeMap::new();
    let mut out: Vec<Launch> = Vec::new();
    for pool in snapshot.pools.iter().filter(|pool| pool.not_ready.is_none()) {
        let Some(replicas) = pool.replicas else { continue };
        let running = running(snapshot, pool);
        let most = pool.limits.iter().find(|(name, _)| ***name == *crate::model::resources::NODES);
        let wanted = i64::from(replicas).min(most.map_or(i64::MAX, |(_, most)| most)) - running;
        let shelf = Shelf::new(pool, &snapshot.daemons, &Dims::of(snapshot), &BTreeSet::new());
        let mut n = 0;
        for _ in 0..wanted.max(0) {
            let name: Str = loop {
                n += 1;
                let name: Str = format!("{}-{n}", pool.name).into();
                if taken.insert(name.clone()) {
                    break name;
                }
            };
            let mut left = shelf.sellable.clone();
            for (id, count, drawing) in &shelf.reservations {
                if drawn.get(id).is_some_and(|n| n >= count) {
                    left.difference_with(drawing);
                }
            }
            let Some(launch) = empty_launch(snapshot, &shelf, left, name) else { break };
            if let Some(id) = launch.chosen().and_then(|o| o.reservation.clone()) {
                *drawn.entry(id).or_insert(0) += 1;
            }
            out.push(launch);
        }
    }
    out
}

fn running(snapshot: &Snapshot, pool: &Pool) -> i64 {
    let nodes = snapshot.nodes.iter().filter(|n| !n.deleting && n.pool.as_ref() == Some(&pool.name)).count();
    let claims = snapshot.claims.iter().filter(|c| !c.deleting && c.pool.as_ref() == Some(&pool.name)).count();
    (nodes + claims) as i64
}
