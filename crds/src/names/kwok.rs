//! Names of the group `karpenter.kwok.sh`.

pub const GROUP: &str = "karpenter.kwok.sh";
/// The class of a node.
pub const NODE_CLASS: &str = "karpenter.kwok.sh/kwoknodeclass";
pub const INSTANCE_CPU: &str = "karpenter.kwok.sh/instance-cpu";
pub const INSTANCE_MEMORY: &str = "karpenter.kwok.sh/instance-memory";
pub const INSTANCE_FAMILY: &str = "karpenter.kwok.sh/instance-family";
pub const INSTANCE_SIZE: &str = "karpenter.kwok.sh/instance-size";

/// Keys of the group that users may state requirements about.
pub const WELL_KNOWN_LABELS: [&str; 4] = [INSTANCE_CPU, INSTANCE_MEMORY, INSTANCE_FAMILY, INSTANCE_SIZE];
