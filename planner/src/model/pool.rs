//! `NodePools`: the templates from which nodes are bought.

use serde::{Deserialize, Serialize};

use super::catalog::Catalog;
use super::reason::Reason;
use super::{Labels, Requirements, Resources, Str, Taint};

/// A pool of equal terms under which nodes may be bought, defaults resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    pub name: Str,
    /// 0 when unset; heavier pools are used first.
    pub weight: i32,
    /// Labels every node of it carries: template labels, the pool's name, the node class.
    pub labels: Labels,
    /// Its requirements, template labels not included; with `minValues`.
    pub requirements: Requirements,
    pub taints: Vec<Taint>,
    /// Gone before a node takes pods; printed, never a reason against a pod.
    pub startup_taints: Vec<Taint>,
    /// Only the resources that are limited; may hold `nodes`.
    pub limits: Resources,
    /// Set for a static pool: so many nodes, whatever the pods.
    pub replicas: Option<u32>,
    /// Why nothing can be bought from it now.
    pub not_ready: Option<Reason>,
    /// What its node class sells, overlays applied.
    pub types: Catalog,
}

impl Pool {
    /// Buys nodes for pods (not static).
    pub fn dynamic(&self) -> bool {
        self.replicas.is_none()
    }
}
