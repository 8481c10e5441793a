//! Everything a plan is made from, at one moment.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::reason::Code;
use super::{Claim, Node, PodGroup, PodShape, Pool, Resources, Str};

/// The cluster and the market as they stood at `taken_at`. Immutable; equal snapshots give equal plans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Seconds since the Unix epoch: the only clock.
    pub taken_at: i64,
    /// Pods to place (pending, moving, stand-ins), in the order of [`super::group::collapse`].
    pub groups: Vec<PodGroup>,
    /// Sorted by name.
    pub nodes: Vec<Node>,
    /// Sorted by name.
    pub claims: Vec<Claim>,
    /// Heaviest first, then by name from the end of the alphabet, as the reference tries them.
    pub pools: Vec<Pool>,
    /// One per `DaemonSet`, sorted by name.
    pub daemons: Vec<Daemon>,
    /// Pods that are not to be placed, with why.
    pub ignored: Vec<Ignored>,
    pub policies: Policies,
}

impl Snapshot {
    /// What the nodes and claims of a pool have that stay, with how many they are.
    pub fn in_use(&self, pool: &str) -> Resources {
        let mine = |of: &Option<Str>| of.as_deref() == Some(pool);
        let nodes = self.nodes.iter().filter(|node| !node.deleting && mine(&node.pool)).map(|node| &node.capacity);
        let claims = self.claims.iter().filter(|c| !c.deleting && mine(&c.pool)).map(|claim| &claim.capacity);
        let mut sum = Resources::default();
        nodes.chain(claims).for_each(|capacity| sum.add_node(capacity));
        sum
    }
}

/// The pods of a `DaemonSet`, one of which every matching node runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    pub namespace: Str,
    pub name: Str,
    pub shape: Arc<PodShape>,
}

/// Pods left out of the plan for one reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ignored {
    pub code: Code,
    pub message: String,
    /// `namespace/name`, sorted.
    pub pods: Vec<Str>,
}

/// Settings that change what a plan may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policies {
    /// `--preference-policy Ignore`: wishes are not looked at.
    pub ignore_preferences: bool,
    /// `--min-values-policy BestEffort`: `minValues` that cannot be met are lowered.
    pub relax_min_values: bool,
    /// Steps the solver may take; the plan is the best found within them.
    pub effort: u64,
}

impl Default for Policies {
    fn default() -> Self {
        Self { ignore_preferences: false, relax_min_values: false, effort: DEFAULT_EFFORT }
    }
}

/// Enough for a good plan of 10,000 pods in a fraction of a second.
pub const DEFAULT_EFFORT: u64 = 200_000;
