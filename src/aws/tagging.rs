//! Names on machines: once a node has joined, its machine carries the node's name, as people look for it in the console.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crds::NodeClaim;
use crds::names::aws as names;
use futures::future::join_all;
use planner::model::Labels;
use serde_json::json;
use tokio::time::sleep;

use super::{Shared, is_ours};

/// How often it is seen whether a machine lacks its name.
const PERIOD: Duration = Duration::from_secs(5);
/// `CreateTags` may be called ten times a second; this leaves half of it to others.
const BETWEEN: Duration = Duration::from_millis(200);

/// Machines that are asked about at once.
const MOST: usize = 200;

/// Tags machines, one after the other.
pub(super) async fn run(shared: Arc<Shared>) {
    shared.mirror.until_synced().await;
    loop {
        sleep(PERIOD).await;
        let claims = shared.mirror.claims();
        let due = claims.iter().filter_map(|claim| Some((claim, untagged(&shared, claim)?)));
        let due: Vec<_> = due.take(MOST).collect();
        // What is there already is not to be written over, and all are asked about in one call.
        let found = join_all(due.iter().map(|(_, (_, provider_id))| shared.seller.instance(provider_id))).await;
        for ((claim, (node, provider_id)), found) in due.into_iter().zip(found) {
            match found {
                Ok(Some(found)) => {
                    tag(&shared, claim, &node, &provider_id, &found.tags).await;
                    sleep(BETWEEN).await;
                }
                // Gone, or not to be seen yet.
                Ok(None) => {}
                Err(error) => tracing::debug!(NodeClaim = claim.metadata.name(), %error, "reading tags of a machine"),
            }
        }
    }
}

/// Name and provider id of a node whose machine does not carry its name.
fn untagged(shared: &Shared, claim: &NodeClaim) -> Option<(String, String)> {
    let meta = &claim.metadata;
    // Versions of Karpenter that did not tag with the cluster's name know only the first of the two.
    let marks = [names::TAGGED, names::CLUSTER_NAME_TAGGED];
    let is_tagged = marks.iter().all(|mark| meta.annotations.get(*mark).is_some_and(|tagged| tagged == "true"));
    if !is_ours(&claim.spec.node_class_ref) || meta.is_deleting() || is_tagged {
        return None;
    }
    let provider_id = claim.status.as_ref()?.provider_id.clone()?;
    let node = shared.mirror.node_of(claim)?;
    Some((node.metadata.name.to_string(), provider_id))
}

async fn tag(shared: &Shared, claim: &NodeClaim, node: &str, provider_id: &str, there: &Labels) {
    let name = claim.metadata.name();
    let cluster = shared.seller.cluster().name.as_str();
    let tags = [(names::NAME_TAG, node), (names::NODE_CLAIM_TAG, name), (names::CLUSTER_NAME_TAG, cluster)];
    let missing = tags.into_iter().filter(|(key, _)| !there.contains_key(*key));
    let missing: BTreeMap<String, String> = missing.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    if !missing.is_empty()
        && let Err(error) = shared.seller.tag(provider_id, &missing).await
    {
        tracing::warn!(NodeClaim = name, %error, "writing names on a machine");
        return;
    }
    let annotations = json!({ names::TAGGED: "true", names::CLUSTER_NAME_TAGGED: "true" });
    let patch = json!({ "metadata": { "annotations": annotations } });
    if let Err(error) = shared.api.merge::<NodeClaim>("", name, patch).await
        && !error.is_not_found()
    {
        tracing::warn!(NodeClaim = name, %error, "noting that a machine carries its name");
    }
}
