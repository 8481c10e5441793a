//! Two claims that name one instance: the end of one is not the end of the other's machine.

use cloud::Cloud;
use crds::NodeClaim;

use super::run::Claims;
use crate::controllers::fault::Fault;
use crate::controllers::node::Node;

impl<C: Cloud> Claims<C> {
    /// Whether another claim that stays has this instance. Its Nodes lose this claim as an owner, so that the cluster's
    /// garbage collector takes them for nobody's.
    pub(super) async fn leaves_to_another(&self, claim: &NodeClaim, provider_id: &str) -> Result<bool, Fault> {
        let (world, uid) = (&self.deps.world, claim.metadata.uid.as_deref().unwrap_or_default());
        let is_another = |other: &NodeClaim| other.metadata.uid != claim.metadata.uid && !other.metadata.is_deleting();
        if !world.mirror.claims_of_provider(provider_id).iter().any(|other| is_another(other)) {
            return Ok(false);
        }
        for node in world.nodes_of(provider_id) {
            let mut after = (*node).clone();
            after.metadata.owner_references.retain(|owner| owner.uid != uid);
            if let Some(patch) = node.patch_to(&after) {
                let _: Node = self.deps.api.steps("", node.name(), patch).await?;
            }
        }
        Ok(true)
    }
}
