//! Names of the group `karpenter.sh`, and of Millwright's own extensions.

/// The API group.
pub const GROUP: &str = "karpenter.sh";

// Labels.

/// The pool that a claim or node belongs to.
pub const NODE_POOL: &str = "karpenter.sh/nodepool";
/// How the capacity is paid for: one of [`CAPACITY_TYPES`].
pub const CAPACITY_TYPE: &str = "karpenter.sh/capacity-type";
/// `true` on a Node once it carries all that its claim says.
pub const REGISTERED: &str = "karpenter.sh/registered";
/// `true` on a Node once pods may run on it.
pub const INITIALIZED: &str = "karpenter.sh/initialized";
/// `true` on a Node keeps registration from touching its taints, save for the unregistered taint.
pub const DO_NOT_SYNC_TAINTS: &str = "karpenter.sh/do-not-sync-taints";

pub const SPOT: &str = "spot";
pub const ON_DEMAND: &str = "on-demand";
pub const RESERVED: &str = "reserved";
/// All values of [`CAPACITY_TYPE`], the one that is taken first at the front.
pub const CAPACITY_TYPES: [&str; 3] = [RESERVED, SPOT, ON_DEMAND];

// Annotations.

/// On pods `true` or a Go duration since their start, on nodes `true` only.
pub const DO_NOT_DISRUPT: &str = "karpenter.sh/do-not-disrupt";
pub const NODE_POOL_HASH: &str = "karpenter.sh/nodepool-hash";
pub const NODE_POOL_HASH_VERSION: &str = "karpenter.sh/nodepool-hash-version";
/// On a claim: the RFC 3339 time at which patience with its pods ends.
pub const TERMINATION_TIMESTAMP: &str = "karpenter.sh/nodeclaim-termination-timestamp";
/// On a claim: `true` if it was launched with less choice than `minValues` asks for.
pub const MIN_VALUES_RELAXED: &str = "karpenter.sh/nodeclaim-min-values-relaxed";
/// On a claim: `true` if an overlay changed the price of a type it may become.
pub const PRICE_OVERLAY_APPLIED: &str = "karpenter.sh/price-overlay-applied";
/// On a claim: `true` if an overlay changed the capacity of a type it may become.
pub const CAPACITY_OVERLAY_APPLIED: &str = "karpenter.sh/capacity-overlay-applied";

// Taints, without a value.

/// With `NoSchedule`: the node is being taken away.
pub const DISRUPTED_TAINT: &str = "karpenter.sh/disrupted";
/// With `NoExecute`: the node has not registered; the kubelet must join with it.
pub const UNREGISTERED_TAINT: &str = "karpenter.sh/unregistered";

// Finalizers, events, leases.

/// Holds back Nodes and `NodeClaim`s until they are drained and their instance is gone.
pub const TERMINATION_FINALIZER: &str = "karpenter.sh/termination";
pub const LEADER_LEASE: &str = "karpenter-leader-election";

/// The resource that counts nodes in the limits of a pool.
pub const NODES_RESOURCE: &str = "nodes";

/// Keys of the group that users may state requirements about.
pub const WELL_KNOWN_LABELS: [&str; 2] = [NODE_POOL, CAPACITY_TYPE];
