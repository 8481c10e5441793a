//! Static pools: so many nodes, whatever the pods.

use std::collections::{BTreeMap, BTreeSet};

use fixedbitset::FixedBitSet as Bits;

use super::dims::{Dims, fits};
use super::names::Names;
use super::sale::empty_launch;
use super::shelf::Shelf;
use super::stock::{out_of_stock, own_conflict, reservations_held, used_up};
use crate::model::resources::NODES;
use crate::model::{Code, Pool, Reason, Requirements, Snapshot, Str};
use crate::plan::{Launch, Short};

/// The launches that bring each static pool up to its replicas, as far as `limits.nodes` and what is sold let them; and
/// who stays short. `keys`: the label keys that `DaemonSets` ask about.
pub(super) fn statics(snapshot: &Snapshot, dims: &Dims, keys: &BTreeSet<Str>) -> (Vec<Launch>, Vec<Short>) {
    let mut names = Names::of(snapshot, &[]);
    let mut drawn: BTreeMap<Str, u32> = BTreeMap::new();
    let (mut out, mut short) = (Vec::new(), Vec::new());
    for pool in &snapshot.pools {
        let Some(replicas) = pool.replicas else { continue };
        let running = running(snapshot, pool);
        let lacking = u32::try_from(i64::from(replicas) - running).unwrap_or(0);
        if lacking == 0 {
            continue;
        }
        let most = pool.limits.iter().find(|(name, _)| ***name == *NODES).map(|(_, most)| most);
        let allowed = most.map_or(lacking, |most| u32::try_from(most - running).unwrap_or(0).min(lacking));
        let before = out.len();
        let mut why = match &pool.not_ready {
            Some(reason) => Some(Reason { pool: pool.name.clone(), ..reason.clone() }),
            None => buy(
                snapshot,
                &Shelf::new(pool, &Requirements::new(), &snapshot.daemons, dims, keys),
                allowed,
                &mut drawn,
                |launch| {
                    out.push(Launch { name: names.next(&pool.name), ..launch });
                },
            ),
        };
        let missing = lacking - (out.len() - before) as u32;
        if let (None, true, Some(most)) = (&why, missing > 0, most) {
            let message =
                format!("limits.nodes of NodePool {} is {most}, {replicas} replicas are asked for", pool.name);
            let miss = Some(format!("limits.nodes {most} → {replicas}"));
            why = Some(Reason { pool: pool.name.clone(), code: Code::LimitExceeded, message, nearest_miss: miss });
        }
        short.extend(why.filter(|_| missing > 0).map(|reason| Short { missing, reason }));
    }
    (out, short)
}

/// Buys `n` machines, or as many as can be had; then also why there are no more.
fn buy(
    snapshot: &Snapshot,
    shelf: &Shelf,
    n: u32,
    drawn: &mut BTreeMap<Str, u32>,
    mut take: impl FnMut(Launch),
) -> Option<Reason> {
    let holding = holding(shelf);
    // Machines of the same choices differ in name alone.
    let mut last: Option<(Bits, Launch)> = None;
    for _ in 0..n {
        let mut left = holding.clone();
        for (id, count, drawing) in &shelf.reservations {
            if drawn.get(id).is_some_and(|n| n >= count) {
                left.difference_with(drawing);
            }
        }
        if last.as_ref().is_none_or(|(choices, _)| *choices != left) {
            match empty_launch(snapshot, shelf, left.clone(), "".into()) {
                Some(launch) => last = Some((left, launch)),
                None => return Some(shortage(shelf, &holding, &left)),
            }
        }
        let (_, launch) = last.as_ref()?;
        if let Some(id) = launch.chosen().and_then(|o| o.reservation.clone()) {
            *drawn.entry(id).or_insert(0) += 1;
        }
        take(launch.clone());
    }
    None
}

/// Choices that can be had and hold the `DaemonSets` that will come to them.
fn holding(shelf: &Shelf) -> Bits {
    let mut out = shelf.sellable.clone();
    for room in &shelf.rooms {
        if !fits(&vec![0; room.net.len()], &room.net) {
            out.difference_with(&room.choices);
        }
    }
    out
}

/// Why there is nothing in `left`, what others have taken being gone from `holding`.
fn shortage(shelf: &Shelf, holding: &Bits, left: &Bits) -> Reason {
    let pool = shelf.pool;
    let name = &pool.name;
    let reason =
        |code, message: String, miss: String| Reason { pool: name.clone(), code, message, nearest_miss: Some(miss) };
    if let Some(conflict) = own_conflict(pool) {
        return conflict;
    }
    if shelf.choices.is_empty() {
        let message = format!("nothing is sold under the requirements of NodePool {name}: {}", pool.requirements);
        return reason(Code::NoOffering, message, format!("a type and zone that NodePool {name} allows"));
    }
    if let Some(reason) = used_up(shelf, &shelf.all()) {
        return reason;
    }
    if shelf.sellable.is_clear() {
        return out_of_stock(shelf, &shelf.all(), "");
    }
    if holding.is_clear() {
        let message = format!("no instance type that NodePool {name} can buy now holds the DaemonSets that run on it");
        return reason(Code::NoInstanceTypeFits, message, format!("a larger instance type allowed by NodePool {name}"));
    }
    if left.is_clear() {
        let ids: (Vec<&str>, Vec<u32>) = shelf.reservations.iter().map(|(id, count, _)| (&**id, *count)).unzip();
        return reservations_held(name, &ids.0, &ids.1);
    }
    let short = |(key, least): &&(Str, u32)| shelf.distinct(left, key) < *least;
    let said = shelf.min_values.iter().filter(short);
    let have = |key: &Str| shelf.distinct(left, key);
    let (messages, misses): (Vec<String>, Vec<String>) = said
        .map(|(key, least)| {
            let have = have(key);
            (
                format!("at least {least} values of {key}, there are {have}"),
                format!("minValues of {key} {least} → {have}"),
            )
        })
        .unzip();
    reason(Code::MinValuesNotMet, format!("NodePool {name} wants {}", messages.join("; ")), misses.join(", "))
}

fn running(snapshot: &Snapshot, pool: &Pool) -> i64 {
    let nodes = snapshot.nodes.iter().filter(|n| !n.deleting && n.pool.as_ref() == Some(&pool.name)).count();
    let claims = snapshot.claims.iter().filter(|c| !c.deleting && c.pool.as_ref() == Some(&pool.name)).count();
    (nodes + claims) as i64
}
