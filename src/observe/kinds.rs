//! The kinds that are read, and the versions they are served in.

/// A kind that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Pod,
    Node,
    Namespace,
    PersistentVolumeClaim,
    PersistentVolume,
    Service,
    PodTemplate,
    ReplicationController,
    Deployment,
    StatefulSet,
    ReplicaSet,
    DaemonSet,
    Job,
    PodDisruptionBudget,
    PriorityClass,
    RuntimeClass,
    StorageClass,
    CsiNode,
    NodePool,
    NodeClaim,
    NodeOverlay,
    CapacityBuffer,
    Ec2NodeClass,
    KwokNodeClass,
}

/// How a kind is called, where it lives and what it is served as.
pub(crate) struct Served {
    pub(crate) kind: Kind,
    pub(crate) name: &'static str,
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) namespaced: bool,
    /// One of ours, with a CRD.
    pub(crate) custom: bool,
}

const fn core(kind: Kind, name: &'static str, group: &'static str, namespaced: bool) -> Served {
    Served { kind, name, group, version: "v1", namespaced, custom: false }
}

const fn custom(
    kind: Kind,
    name: &'static str,
    group: &'static str,
    version: &'static str,
    namespaced: bool,
) -> Served {
    Served { kind, name, group, version, namespaced, custom: true }
}

/// Every kind that is read.
pub(crate) const SERVED: [Served; 24] = [
    core(Kind::Pod, "Pod", "", true),
    core(Kind::Node, "Node", "", false),
    core(Kind::Namespace, "Namespace", "", false),
    core(Kind::PersistentVolumeClaim, "PersistentVolumeClaim", "", true),
    core(Kind::PersistentVolume, "PersistentVolume", "", false),
    core(Kind::Service, "Service", "", true),
    core(Kind::PodTemplate, "PodTemplate", "", true),
    core(Kind::ReplicationController, "ReplicationController", "", true),
    core(Kind::Deployment, "Deployment", "apps", true),
    core(Kind::StatefulSet, "StatefulSet", "apps", true),
    core(Kind::ReplicaSet, "ReplicaSet", "apps", true),
    core(Kind::DaemonSet, "DaemonSet", "apps", true),
    core(Kind::Job, "Job", "batch", true),
    core(Kind::PodDisruptionBudget, "PodDisruptionBudget", "policy", true),
    core(Kind::PriorityClass, "PriorityClass", "scheduling.k8s.io", false),
    core(Kind::RuntimeClass, "RuntimeClass", "node.k8s.io", false),
    core(Kind::StorageClass, "StorageClass", "storage.k8s.io", false),
    core(Kind::CsiNode, "CSINode", "storage.k8s.io", false),
    custom(Kind::NodePool, "NodePool", "karpenter.sh", "v1", false),
    custom(Kind::NodeClaim, "NodeClaim", "karpenter.sh", "v1", false),
    custom(Kind::NodeOverlay, "NodeOverlay", "karpenter.sh", "v1alpha1", false),
    custom(Kind::CapacityBuffer, "CapacityBuffer", "autoscaling.x-k8s.io", "v1beta1", true),
    custom(Kind::Ec2NodeClass, "EC2NodeClass", "karpenter.k8s.aws", "v1", false),
    custom(Kind::KwokNodeClass, "KWOKNodeClass", "karpenter.kwok.sh", "v1alpha1", false),
];

impl Served {
    /// `group/version`, or just the version for the core group.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.into() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// What an `apiVersion` and `kind` mean.
pub(crate) enum Lookup {
    Known(&'static Served),
    /// A kind we read, in a version no API server of today serves.
    Unserved(&'static Served),
    Unknown,
}

/// Do objects of this kind live in a namespace?
pub(crate) fn is_namespaced(kind: &str) -> bool {
    SERVED.iter().any(|served| served.name == kind && served.namespaced)
}

/// Groups that once held kinds of others.
const FORMER: [(&str, &str); 3] = [("extensions", "apps"), ("extensions", "policy"), ("apps", "policy")];

/// Finds a kind.
pub(crate) fn look_up(api_version: &str, kind: &str) -> Lookup {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let Some(served) = SERVED.iter().find(|served| served.name == kind) else { return Lookup::Unknown };
    if served.group == group {
        return if served.version == version { Lookup::Known(served) } else { Lookup::Unserved(served) };
    }
    if FORMER.contains(&(group, served.group)) {
        return Lookup::Unserved(served);
    }
    Lookup::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_yesterday_are_known_for_what_they_are() {
        for (version, kind) in [
            ("karpenter.sh/v1beta1", "NodePool"),
            ("apps/v1beta1", "Deployment"),
            ("extensions/v1beta1", "DaemonSet"),
            ("policy/v1beta1", "PodDisruptionBudget"),
            ("v1beta3", "Pod"),
        ] {
            assert!(matches!(look_up(version, kind), Lookup::Unserved(_)), "{version} {kind}");
        }
    }

    #[test]
    fn a_kind_of_the_same_name_in_a_foreign_group_is_unknown() {
        assert!(matches!(look_up("serving.knative.dev/v1", "Service"), Lookup::Unknown));
        assert!(matches!(look_up("v1", "Service"), Lookup::Known(_)));
        assert!(matches!(look_up("apps/v1", "ControllerRevision"), Lookup::Unknown));
    }

    #[test]
    fn every_kind_stands_at_its_own_place() {
        for (at, served) in SERVED.iter().enumerate() {
            assert_eq!(served.kind as usize, at, "{}", served.name);
        }
    }
}
