//! Labels by which offerings of EC2 are told apart, for those who make offerings and those who buy them.

/// `default` or `capacity-block`.
pub(crate) const RESERVATION_TYPE: &str = "karpenter.k8s.aws/capacity-reservation-type";
/// `true` where AWS may take reserved machines back.
pub(crate) const INTERRUPTIBLE: &str = "karpenter.k8s.aws/capacity-reservation-interruptible";
/// From 1.
pub(crate) const PARTITION: &str = "karpenter.k8s.aws/placement-group-partition";
/// Such as `use1-az1`, the same for all accounts.
pub(crate) const ZONE_ID: &str = "topology.k8s.aws/zone-id";
