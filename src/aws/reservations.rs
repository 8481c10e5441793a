//! Machines in capacity reservations: those whose block ends soon are replaced, and those whose reservation let go of them
//! are called what they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cloud::Instance;
use cloud::aws::Fault;
use cloud::aws::reserve::{self, ReservationTerm};
use crds::NodeClaim;
use crds::names::aws as names;
use crds::names::core;
use planner::model::CapacityType;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Shared, is_ours};
use crate::act::{ActError, Preconditions};
use crate::controllers::node::Node;

const PERIOD: Duration = Duration::from_mins(1);
/// The type of reservations that are no blocks: they are emptied by whoever has them.
const DEFAULT: &str = "default";

/// Looks once a minute. Where no claim is reserved, nothing is asked.
pub(super) async fn run(shared: Arc<Shared>) {
    shared.mirror.until_synced().await;
    loop {
        sleep(PERIOD).await;
        let reserved = reserved(&shared);
        if reserved.is_empty() {
            continue;
        }
        match ending(&shared, &reserved).await {
            Ok(ending) => {
                let is_in = |claim: &&Arc<NodeClaim>| reservation(claim).is_some_and(|id| ending.contains(id));
                for claim in reserved.iter().filter(is_in) {
                    told(claim, "replacing a machine whose capacity block ends", end(&shared, claim).await);
                }
            }
            Err(error) => tracing::warn!(%error, "asking which capacity blocks end"),
        }
        match shared.seller.instances().await {
            Ok(instances) => relabel(&shared, &reserved, &instances).await,
            Err(error) => tracing::warn!(%error, "asking which machines are still in their reservations"),
        }
    }
}

fn told(claim: &NodeClaim, doing: &str, answer: Result<(), ActError>) {
    if let Err(error) = answer
        && !error.is_not_found()
    {
        tracing::warn!(NodeClaim = claim.metadata.name(), %error, "{doing}");
    }
}

fn label<'a>(claim: &'a NodeClaim, key: &str) -> Option<&'a str> {
    claim.metadata.labels.get(key).map(String::as_str)
}

/// Our claims that are said to be in a reservation and that nobody deletes.
fn reserved(shared: &Shared) -> Vec<Arc<NodeClaim>> {
    let mut claims = shared.mirror.claims();
    claims.retain(|claim| {
        is_ours(&claim.spec.node_class_ref)
            && !claim.metadata.is_deleting()
            && label(claim, core::CAPACITY_TYPE) == Some(core::RESERVED)
    });
    claims
}

fn reservation(claim: &NodeClaim) -> Option<&str> {
    label(claim, names::CAPACITY_RESERVATION_ID)
}

/// Ids of the blocks that claims are in and that EC2 will begin to empty soon, whatever their classes select by now.
async fn ending(shared: &Shared, claims: &[Arc<NodeClaim>]) -> Result<BTreeSet<String>, Fault> {
    let may_end = |claim: &&Arc<NodeClaim>| label(claim, names::CAPACITY_RESERVATION_TYPE) != Some(DEFAULT);
    let ids: BTreeSet<&str> = claims.iter().filter(may_end).filter_map(|claim| reservation(claim)).collect();
    let of_id = |id: &str| ReservationTerm { id: Some(id.to_owned()), ..ReservationTerm::default() };
    let terms: Vec<ReservationTerm> = ids.into_iter().map(of_id).collect();
    let now = shared.clock.seconds();
    let found = reserve::reservations(shared.clients(), &terms, now).await?;
    Ok(found.into_iter().filter(|one| one.is_expiring(now)).map(|one| one.id).collect())
}

async fn end(shared: &Shared, claim: &NodeClaim) -> Result<(), ActError> {
    let which = Preconditions::uid(claim.metadata.uid.as_deref().unwrap_or_default());
    shared.api.delete::<NodeClaim>("", claim.metadata.name(), &which, None).await?;
    tracing::info!(NodeClaim = claim.metadata.name(), "initiating delete for capacity block expiration");
    Ok(())
}

/// Calls claims and nodes on-demand whose machines are not in a reservation any more.
async fn relabel(shared: &Shared, claims: &[Arc<NodeClaim>], instances: &[Instance]) {
    let by_id: BTreeMap<&str, &Instance> = instances.iter().map(|one| (&*one.provider_id, one)).collect();
    for claim in claims {
        let provider_id = claim.status.as_ref().and_then(|status| status.provider_id.as_deref());
        let found = provider_id.and_then(|id| by_id.get(id));
        if found.is_none_or(|found| found.capacity_type != CapacityType::OnDemand) {
            continue;
        }
        told(claim, "calling a machine on-demand that left its reservation", demote(shared, claim).await);
    }
}

async fn demote(shared: &Shared, claim: &NodeClaim) -> Result<(), ActError> {
    // Before it is registered, its labels are not ours to write.
    let node = shared.mirror.node_of(claim);
    let is_registered = |of: Option<&planner::model::Str>| of.is_some_and(|registered| &**registered == "true");
    if node.as_ref().is_some_and(|node| !is_registered(node.metadata.labels.get(core::REGISTERED))) {
        return Ok(());
    }
    if let Some(node) = node {
        let _: Node = shared.api.merge("", &node.metadata.name, on_demand()).await?;
    }
    // The claim last: as long as it says reserved, it is looked at again.
    let _: NodeClaim = shared.api.merge("", claim.metadata.name(), on_demand()).await?;
    tracing::info!(NodeClaim = claim.metadata.name(), "updated capacity type from reserved to on-demand");
    Ok(())
}

/// Labels of a machine that is in no reservation. Whether its reservation was interruptible stays, as by Karpenter.
fn on_demand() -> Value {
    let labels = json!({
        core::CAPACITY_TYPE: core::ON_DEMAND,
        names::CAPACITY_RESERVATION_ID: null,
        names::CAPACITY_RESERVATION_TYPE: null,
    });
    json!({ "metadata": { "labels": labels } })
}
