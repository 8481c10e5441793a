//! Pods on a node that the mirror does not have. A watch that has gone silent says nothing for half a minute, and a pod that was
//! bound meanwhile is not to die with the machine: before the end the API server itself is asked.

use cloud::Cloud;
use crds::ObjectMeta;
use serde::Deserialize;

use super::deps::Deps;
use crate::act::{ActError, Object};

/// Whoever has one of these as an owner goes with the node, and others of it may come as long as the node is there.
const STAY_WITH_NODE: [&str; 2] = ["DaemonSet", "Node"];

/// A pod, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Bound {
    metadata: ObjectMeta,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    phase: String,
}

impl Object for Bound {
    const KIND: &'static str = "Pod";
    const API: &'static str = "/api/v1";
    const PLURAL: &'static str = "pods";
    const NAMESPACED: bool = true;
}

/// Whether there is one that has not finished and would need another place.
pub async fn has_strangers<C: Cloud>(deps: &Deps<C>, node: &str) -> Result<bool, ActError> {
    // What the server has in memory: the question is whether our watch lives, and to read all pods of a cluster is dear.
    let there: Vec<Bound> = deps.api.list_where(&format!("spec.nodeName={node}")).await?;
    let known = deps.world.mirror.pods_on(node);
    let is_stranger = |pod: &&Bound| {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let stays = |owner: &crds::OwnerReference| STAY_WITH_NODE.contains(&&*owner.kind);
        !matches!(&*pod.status.phase, "Succeeded" | "Failed")
            && !pod.metadata.owner_references.iter().any(stays)
            && !known.iter().any(|known| *known.uid == *uid)
    };
    let strangers: Vec<&str> = there.iter().filter(is_stranger).map(|pod| pod.metadata.name()).collect();
    if let [first, ..] = strangers[..] {
        tracing::warn!(Node = node, Pod = first, n_pods = strangers.len(), "a node has pods that no watch has shown");
    }
    Ok(!strangers.is_empty())
}
