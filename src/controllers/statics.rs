//! Takes claims away from static pools that have more of them than replicas. Budgets have no say in it; each drain has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::Cloud;
use crds::{NodeClaim, NodePool, names};
use futures::{StreamExt as _, stream};
use planner::disrupt::Obstacle;
use planner::disrupt::surplus::{Loss, surplus};
use planner::model::Str;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::claim::draft::{DISRUPTION_REASON, says};
use super::deps::Deps;
use super::disruption::Retired;
use super::fault::Fault;
use super::time;
use crate::act::Preconditions;
use crate::observe::mirror::{Change, Kind};

/// What may leave a pool with too many claims.
const KINDS: [Kind; 2] = [Kind::NodePool, Kind::NodeClaim];
/// It looks so often in any case. The reference's interval.
const PERIOD: Duration = Duration::from_mins(1);
/// Changes come together when many claims are made; they are looked at together.
const QUIET: Duration = Duration::from_millis(500);
/// Until the next look after one that failed, or left some to the next.
const AGAIN: Duration = Duration::from_secs(2);
/// Claims whose deletion is asked for in one look, and at the same time.
const MOST: usize = 256;
const AT_ONCE: usize = 16;

/// Looks at every change until `stop`. Does nothing unless there are static pools at all.
pub async fn run<C: Cloud>(deps: Arc<Deps<C>>, stop: CancellationToken) {
    if !deps.gates.static_capacity {
        return;
    }
    let mut changes = deps.world.mirror.changes(&KINDS);
    let mut retired = Retired::default();
    let mut next = Instant::now();
    loop {
        let is_time = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(next) => true,
            change = changes.next() => concerns(&deps, &change),
        };
        if !is_time {
            continue;
        }
        tokio::time::sleep(QUIET).await;
        while changes.try_next().is_some() {}
        let wait = match look(&deps, &mut retired).await {
            Ok(0) => PERIOD,
            Ok(_) => AGAIN,
            Err(fault) => {
                tracing::error!(controller = "static.deprovisioning", error = %fault, "Reconciler error");
                AGAIN
            }
        };
        next = Instant::now() + wait;
    }
}

/// Whether a change is of a static pool, or of a claim of one.
fn concerns<C: Cloud>(deps: &Deps<C>, change: &Change) -> bool {
    let world = &deps.world;
    let pool = match change.kind {
        Kind::NodePool => world.pool(&change.name),
        _ => world.claim(&change.name).and_then(|claim| world.pool(claim.metadata.labels.get(names::core::NODE_POOL)?)),
    };
    pool.is_some_and(|pool| pool.spec.replicas.is_some())
}

/// One look; gives how many are left for the next.
async fn look<C: Cloud>(deps: &Deps<C>, retired: &mut Retired) -> Result<usize, Fault> {
    let world = &deps.world;
    if !world.mirror.synced() {
        return Ok(1);
    }
    retired.forget(Instant::now());
    let is_ours = |pool: &&Arc<NodePool>| {
        deps.is_managed(&pool.spec.template.spec.node_class_ref) && !pool.metadata.is_deleting()
    };
    let pools = world.mirror.pools();
    let mut running: BTreeMap<&str, (usize, Vec<Arc<NodeClaim>>)> = BTreeMap::new();
    for pool in pools.iter().filter(is_ours) {
        if let Some(replicas) = pool.spec.replicas {
            running.insert(pool.metadata.name(), (usize::try_from(replicas).unwrap_or(usize::MAX), Vec::new()));
        }
    }
    if running.is_empty() {
        return Ok(0);
    }
    for claim in world.mirror.claims() {
        let pool = claim.metadata.labels.get(names::core::NODE_POOL).and_then(|pool| running.get_mut(&**pool));
        let is_going = claim.metadata.is_deleting() || says(&claim, DISRUPTION_REASON) || retired.has(&claim);
        if let Some((_, claims)) = pool.filter(|_| !is_going && deps.is_managed(&claim.spec.node_class_ref)) {
            claims.push(claim);
        }
    }
    let now = deps.clock.seconds();
    let mut all: Vec<Str> = Vec::new();
    for (pool, (replicas, claims)) in running.iter().filter(|(_, (replicas, claims))| claims.len() > *replicas) {
        let members = claims.iter().map(|claim| (loss(deps, claim, now), claim.metadata.name().into())).collect();
        let chosen = surplus(members, *replicas);
        tracing::info!(
            NodePool = pool,
            current = claims.len(),
            desired = replicas,
            "deprovision-count" = chosen.len(),
            "deprovisioning nodeclaims to satisfy replica count"
        );
        all.extend(chosen);
    }
    let left = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    // A stream of futures that borrow needs them in a list.
    let deletions: Vec<_> = all.iter().map(|name| delete(deps, name)).collect();
    let mut deletions = stream::iter(deletions).buffer_unordered(AT_ONCE);
    let mut first = Ok(());
    while let Some(deleted) = deletions.next().await {
        match deleted {
            Ok(uid) => retired.note(&uid, Instant::now()),
            Err(fault) => first = first.and(Err(fault)),
        }
    }
    first.map(|()| left)
}

/// Asks for the end of a claim; gives its uid.
async fn delete<C: Cloud>(deps: &Deps<C>, name: &str) -> Result<String, Fault> {
    let uid = deps.world.claim(name).and_then(|claim| claim.metadata.uid.clone()).unwrap_or_default();
    deps.api.delete::<NodeClaim>("", name, &Preconditions::uid(&uid), None).await?;
    tracing::info!(NodeClaim = name, "deleting nodeclaim");
    Ok(uid)
}

/// What is lost with a claim at second `now`.
fn loss<C: Cloud>(deps: &Deps<C>, claim: &NodeClaim, now: i64) -> Loss {
    let Some(id) = claim.status.as_ref().and_then(|status| status.provider_id.as_deref()) else { return Loss::Nothing };
    let nodes = deps.world.mirror.nodes_of_provider(id);
    let pods: Vec<_> = nodes.iter().flat_map(|node| deps.world.pods_on(&node.metadata.name)).collect();
    let occupants: Vec<_> = pods.iter().map(|pod| pod.occupant(None, now)).collect();
    let are_protected = occupants.iter().any(|occupant| occupant.obstacle == Some(Obstacle::Protected));
    if !are_protected && pods.iter().all(|pod| pod.daemon) {
        return Loss::Empty;
    }
    Loss::of_pods(are_protected, occupants.iter().map(|occupant| occupant.cost), millionths_left(claim, now))
}

/// How much of its life a claim has left: all of it if it never expires.
fn millionths_left(claim: &NodeClaim, now: i64) -> u32 {
    const ALL: u32 = 1_000_000;
    let created = claim.metadata.creation_timestamp.as_deref().and_then(time::seconds);
    let span = claim.spec.expire_after.as_ref().and_then(time::span).filter(|span| *span > 0);
    let (Some(created), Some(span)) = (created, span) else { return ALL };
    let left = span.saturating_sub(now.saturating_sub(created)).clamp(0, span);
    u32::try_from(i128::from(left) * i128::from(ALL) / i128::from(span)).unwrap_or(ALL)
}

#[cfg(test)]
mod tests {
    use super::super::claim::testing::claim;
    use super::*;

    #[test]
    fn a_claim_that_expires_soon_has_little_of_its_life_left() {
        let mut claim = claim("a");
        for (text, now, expected) in [
            (None, 500, 1_000_000),
            (Some("Never"), 500, 1_000_000),
            (Some("1000s"), 0, 1_000_000),
            (Some("1000s"), 250, 750_000),
            (Some("1000s"), 5000, 0),
        ] {
            claim.spec.expire_after = text.map(Into::into);
            assert_eq!(millionths_left(&claim, now), expected, "{text:?} {now}");
        }
    }
}
