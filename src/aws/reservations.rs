//! Machines in capacity reservations: those whose block ends soon are replaced, and those whose reservation let go of them
//! are called what they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::Instance;
use crds::NodeClaim;
use crds::names::aws as names;
use crds::names::core;
use planner::model::CapacityType;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::classes::class_ref;
use super::{Shared, is_ours};
use crate::act::{ActError, Preconditions};
use crate::controllers::node::Node;

const PERIOD: Duration = Duration::from_mins(1);

/// Looks once a minute. Where no claim is reserved, nothing is asked.
pub(super) async fn run(shared: Arc<Shared>) {
    shared.mirror.until_synced().await;
    loop {
        sleep(PERIOD).await;
        let reserved = reserved(&shared);
        if reserved.is_empty() {
            continue;
        }
        for claim in reserved.iter().filter(|claim| is_expiring(&shared, claim)) {
            told(claim, "replacing a machine whose capacity block ends", end(&shared, claim).await);
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

/// Whether the claim is in a block that EC2 will begin to empty soon.
fn is_expiring(shared: &Shared, claim: &NodeClaim) -> bool {
    let Some(id) = label(claim, names::CAPACITY_RESERVATION_ID) else { return false };
    let kept = shared.market.kept(&class_ref(&claim.spec.node_class_ref.name));
    kept.reservations.iter().any(|one| one.id == id && one.is_expiring(shared.clock.seconds()))
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
