//! Nodes that have joined, and claims that are bought and have not.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::pod::Owner;
use super::{Labels, PodShape, Resources, Str, Taint, labels};

/// A machine that has joined the cluster, ours or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub name: Str,
    /// Normalised keys, `kubernetes.io/hostname` always there.
    pub labels: Labels,
    /// Those that will stay: ephemeral and startup taints of a node still starting are left out.
    pub taints: Vec<Taint>,
    pub capacity: Resources,
    pub allocatable: Resources,
    /// The pool it belongs to, by label.
    pub pool: Option<Str>,
    /// The `NodeClaim` behind it.
    pub claim: Option<Str>,
    pub initialized: bool,
    /// On its way out: takes no pods, counts against no limit.
    pub deleting: bool,
    /// Pods bound to it that will stay there, collapsed by shape.
    pub pods: Vec<BoundPods>,
    /// Volumes each CSI driver can attach here, where the driver says.
    pub attach_limits: BTreeMap<Str, u32>,
}

impl Node {
    /// What it has for pods that are not on it yet; below zero where it is overdrawn.
    pub fn free(&self) -> Resources {
        let mut free = self.allocatable.clone();
        for bound in &self.pods {
            free.add_times(&bound.shape.requests, -i64::try_from(bound.pods.len()).unwrap_or(i64::MAX));
        }
        free
    }

    /// Has it yet to join? A claim on which pods have their place already takes part as a node.
    pub fn is_coming(&self) -> bool {
        !self.initialized && self.claim.as_ref() == Some(&self.name) && !self.labels.contains_key(labels::REGISTERED)
    }

    /// Is it on its way out and kept by pods that may not be sent away? For as long as these stay they are near other pods,
    /// or in their way; daemons, and what is being deleted, leave with the node.
    pub fn is_held(&self) -> bool {
        let stays =
            |bound: &BoundPods| !bound.terminating && !matches!(bound.shape.owner, Owner::DaemonSet | Owner::Node);
        self.deleting && self.pods.iter().any(stays)
    }
}

/// Equal pods on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundPods {
    pub shape: Arc<PodShape>,
    /// `namespace/name`, sorted.
    pub pods: Vec<Str>,
    /// Being deleted: they hold their room but do not count for spread.
    pub terminating: bool,
    /// Not bound to it: an earlier plan or the scheduler keeps their place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub promised: bool,
}

/// A `NodeClaim` whose node has not joined yet, or has joined and is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub name: Str,
    /// Its labels and the single-valued requirements, with `kubernetes.io/hostname` set to its name.
    pub labels: Labels,
    pub taints: Vec<Taint>,
    pub capacity: Resources,
    /// What it will offer; for one not launched yet, what it was asked to hold.
    pub allocatable: Resources,
    pub pool: Option<Str>,
    pub deleting: bool,
    /// Its node has joined and is gone: nothing is coming.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bereft: bool,
}
