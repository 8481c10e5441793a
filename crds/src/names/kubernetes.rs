//! Names of Kubernetes itself.

// Labels.

pub const ZONE: &str = "topology.kubernetes.io/zone";
pub const REGION: &str = "topology.kubernetes.io/region";
pub const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
pub const ARCH: &str = "kubernetes.io/arch";
pub const OS: &str = "kubernetes.io/os";
pub const WINDOWS_BUILD: &str = "node.kubernetes.io/windows-build";
/// No pool may state it and no pod of ours may ask for it.
pub const HOSTNAME: &str = "kubernetes.io/hostname";
/// Set to `karpenter` together with the disrupted taint.
pub const EXCLUDE_FROM_LOAD_BALANCERS: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// Keys of Kubernetes that users may state requirements about.
pub const WELL_KNOWN_LABELS: [&str; 6] = [ZONE, REGION, INSTANCE_TYPE, ARCH, OS, WINDOWS_BUILD];

/// Old keys and what they mean today.
pub const ALIASES: [(&str, &str); 5] = [
    ("failure-domain.beta.kubernetes.io/zone", ZONE),
    ("failure-domain.beta.kubernetes.io/region", REGION),
    ("beta.kubernetes.io/arch", ARCH),
    ("beta.kubernetes.io/os", OS),
    ("beta.kubernetes.io/instance-type", INSTANCE_TYPE),
];

/// Today's key for a label.
pub fn normalized(key: &str) -> &str {
    ALIASES.iter().find(|(old, _)| *old == key).map_or(key, |(_, new)| new)
}

// Annotations.

/// On a pod: how much it costs to delete it, relative to its siblings.
pub const POD_DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

// Taints.

pub const NOT_READY_TAINT: &str = "node.kubernetes.io/not-ready";
pub const UNREACHABLE_TAINT: &str = "node.kubernetes.io/unreachable";
pub const UNINITIALIZED_TAINT: &str = "node.cloudprovider.kubernetes.io/uninitialized";
/// Taints with this prefix go away when the node is ready for some purpose.
pub const READINESS_TAINT_PREFIX: &str = "readiness.k8s.io/";

/// Taints, as key and effect, that a node carries for a while at first. They are ignored until it is initialised, and
/// it is not initialised before they are gone. Taints with [`READINESS_TAINT_PREFIX`] are of this sort too.
pub const EPHEMERAL_TAINTS: [(&str, &str); 5] = [
    (NOT_READY_TAINT, "NoSchedule"),
    (NOT_READY_TAINT, "NoExecute"),
    (UNREACHABLE_TAINT, "NoSchedule"),
    (UNINITIALIZED_TAINT, "NoSchedule"),
    (super::core::UNREGISTERED_TAINT, "NoExecute"),
];

// Resources.

pub const CPU: &str = "cpu";
pub const MEMORY: &str = "memory";
pub const EPHEMERAL_STORAGE: &str = "ephemeral-storage";
pub const PODS: &str = "pods";
