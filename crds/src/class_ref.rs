//! The reference from a pool or claim to the node class that says how its nodes are built.

use serde::{Deserialize, Serialize};

/// Group and kind choose the cloud, the name one object of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeClassRef {
    /// Without a version.
    pub group: String,
    pub kind: String,
    pub name: String,
}

impl NodeClassRef {
    /// The label that carries the class' name on claims and nodes, such as `karpenter.k8s.aws/ec2nodeclass`.
    pub fn label_key(&self) -> String {
        format!("{}/{}", self.group, self.kind.to_lowercase())
    }
}
