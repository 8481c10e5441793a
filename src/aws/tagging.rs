//! Names on machines: once a node has joined, its machine carries the node's name, as people look for it in the console.

use std::sync::Arc;
use std::time::Duration;

use crds::NodeClaim;
use crds::names::aws as names;
use serde_json::json;
use tokio::time::sleep;

use super::Shared;

/// How often it is seen whether a machine lacks its name.
const PERIOD: Duration = Duration::from_secs(5);
/// `CreateTags` may be called ten times a second; this leaves half of it to others.
const BETWEEN: Duration = Duration::from_millis(200);

/// Tags machines, one after the other.
pub(super) async fn run(shared: Arc<Shared>) {
    shared.mirror.until_synced().await;
    loop {
        sleep(PERIOD).await;
        for claim in shared.mirror.claims() {
            if let Some((node, provider_id)) = untagged(&shared, &claim) {
                tag(&shared, &claim, &node, &provider_id).await;
                sleep(BETWEEN).await;
            }
        }
    }
}

/// Name and provider id of a node whose machine does not carry its name.
fn untagged(shared: &Shared, claim: &NodeClaim) -> Option<(String, String)> {
    let meta = &claim.metadata;
    let is_ours = claim.spec.node_class_ref.kind == super::CLASSES[0].kind;
    if !is_ours || meta.is_deleting() || meta.annotations.get(names::TAGGED).is_some_and(|tagged| tagged == "true") {
        return None;
    }
    let provider_id = claim.status.as_ref()?.provider_id.clone()?;
    let node = shared.mirror.node_of(claim)?;
    Some((node.metadata.name.to_string(), provider_id))
}

async fn tag(shared: &Shared, claim: &NodeClaim, node: &str, provider_id: &str) {
    let name = claim.metadata.name();
    let cluster = shared.seller.cluster().name.as_str();
    let tags = [(names::NAME_TAG, node), (names::NODE_CLAIM_TAG, name), (names::CLUSTER_NAME_TAG, cluster)];
    if let Err(error) = shared.seller.tag(provider_id, &tags).await {
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
