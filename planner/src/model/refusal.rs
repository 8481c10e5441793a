//! What a machine that is there has against a pod.

use super::{Str, Taint};

/// The first predicate by which it refuses the pod; room comes after what no room would change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal<'a> {
    #[error("on their way out")]
    Leaving,
    #[error("taint {0} is not tolerated")]
    Taint(&'a Taint),
    #[error("node selector or affinity excludes them")]
    Labels,
    #[error("its volumes are elsewhere")]
    Volumes,
    #[error("no more volumes can be attached")]
    Attachments,
    #[error("its host ports are taken")]
    HostPorts,
    /// Of a resource that the pod asks for, beside what `DaemonSets` will still ask for.
    #[error("not enough {0} left")]
    Room(&'a Str),
    #[error("their pods and DaemonSets ask for more than they have")]
    Overdrawn,
    #[error("spread, affinity or anti-affinity forbids it")]
    Topology,
    /// Nothing forbids it: the pod wishes for something else.
    #[error("it prefers others")]
    Wishes,
}
