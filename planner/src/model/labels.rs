//! Label keys the planner knows by name.

pub const HOSTNAME: &str = "kubernetes.io/hostname";
pub const ZONE: &str = "topology.kubernetes.io/zone";
pub const REGION: &str = "topology.kubernetes.io/region";
pub const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
pub const ARCH: &str = "kubernetes.io/arch";
pub const OS: &str = "kubernetes.io/os";
pub const WINDOWS_BUILD: &str = "node.kubernetes.io/windows-build";
pub const NODEPOOL: &str = "karpenter.sh/nodepool";
pub const CAPACITY_TYPE: &str = "karpenter.sh/capacity-type";
pub const REGISTERED: &str = "karpenter.sh/registered";
pub const INITIALIZED: &str = "karpenter.sh/initialized";
pub const RESERVATION_ID: &str = "karpenter.k8s.aws/capacity-reservation-id";

/// Old spellings and the key each one means.
const ALIASES: [(&str, &str); 5] = [
    ("failure-domain.beta.kubernetes.io/zone", ZONE),
    ("failure-domain.beta.kubernetes.io/region", REGION),
    ("beta.kubernetes.io/arch", ARCH),
    ("beta.kubernetes.io/os", OS),
    ("beta.kubernetes.io/instance-type", INSTANCE_TYPE),
];

/// The stable spelling of a label key.
pub fn normalize(key: &str) -> &str {
    ALIASES.iter().find(|(old, _)| *old == key).map_or(key, |(_, new)| new)
}

/// Keys every provider defines on its nodes.
const WELL_KNOWN: [&str; 8] = [NODEPOOL, ZONE, REGION, INSTANCE_TYPE, ARCH, OS, CAPACITY_TYPE, WINDOWS_BUILD];
/// Label domains the two providers own.
const PROVIDER_DOMAINS: [&str; 3] = ["karpenter.k8s.aws", "karpenter.kwok.sh", "topology.k8s.aws"];

/// A key whose value the provider decides: pods may ask for it without a pool naming it.
pub fn well_known(key: &str) -> bool {
    WELL_KNOWN.contains(&key) || key.split_once('/').is_some_and(|(domain, _)| PROVIDER_DOMAINS.contains(&domain))
}

/// A key that pods and pools may not ask for.
pub fn restricted(key: &str) -> bool {
    if well_known(key) {
        return false;
    }
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    key == HOSTNAME || domain == "karpenter.sh" || domain.ends_with(".karpenter.sh")
}
