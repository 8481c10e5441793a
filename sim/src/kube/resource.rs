//! The kinds that the server serves: their names, and what the server does differently for one or the other.

use std::sync::LazyLock;

/// A kind, as an index into the table of all kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u8);

/// One kind of the API.
#[derive(Clone, Debug)]
pub struct Resource {
    pub id: Id,
    /// Empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub is_namespaced: bool,
    /// Whether `/status` is written apart from the rest.
    pub has_status: bool,
    /// Whether `metadata.generation` counts changes of what is wanted.
    pub counts_generation: bool,
    /// Whether the answer to a deletion that takes effect at once is the object, not a `Status`.
    pub returns_deleted: bool,
    /// The CRD, for kinds that are not built in.
    pub crd: Option<crds::Kind>,
}

const STATUS: u8 = 1;
const GENERATION: u8 = 2;
const CLUSTER: u8 = 4;
const RETURNED: u8 = 8;

/// Group and version, kind, plural, flags.
const BUILT_IN: [(&str, &str, &str, u8); 23] = [
    ("v1", "Pod", "pods", STATUS | GENERATION | RETURNED),
    ("v1", "Node", "nodes", STATUS | CLUSTER),
    ("v1", "Namespace", "namespaces", STATUS | CLUSTER),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", STATUS | RETURNED),
    ("v1", "PersistentVolume", "persistentvolumes", STATUS | CLUSTER | RETURNED),
    ("v1", "Service", "services", STATUS | RETURNED),
    ("v1", "Event", "events", 0),
    ("v1", "ConfigMap", "configmaps", 0),
    ("events.k8s.io/v1", "Event", "events", 0),
    ("apps/v1", "Deployment", "deployments", STATUS | GENERATION),
    ("apps/v1", "ReplicaSet", "replicasets", STATUS | GENERATION),
    ("apps/v1", "StatefulSet", "statefulsets", STATUS | GENERATION),
    ("apps/v1", "DaemonSet", "daemonsets", STATUS | GENERATION),
    ("batch/v1", "Job", "jobs", STATUS | GENERATION),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", STATUS | GENERATION),
    ("storage.k8s.io/v1", "StorageClass", "storageclasses", CLUSTER | RETURNED),
    ("storage.k8s.io/v1", "CSINode", "csinodes", CLUSTER | RETURNED),
    ("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", STATUS | CLUSTER | RETURNED),
    ("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", CLUSTER),
    ("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", CLUSTER),
    ("coordination.k8s.io/v1", "Lease", "leases", 0),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", STATUS | CLUSTER),
    ("v1", "PodTemplate", "podtemplates", GENERATION),
];

static TABLE: LazyLock<Vec<Resource>> = LazyLock::new(table);

fn table() -> Vec<Resource> {
    let mut table = Vec::new();
    for (api_version, kind, plural, flags) in BUILT_IN {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        table.push(Resource {
            id: Id(u8::try_from(table.len()).unwrap_or(u8::MAX)),
            group,
            version,
            kind,
            plural,
            is_namespaced: flags & CLUSTER == 0,
            has_status: flags & STATUS != 0,
            counts_generation: flags & GENERATION != 0,
            returns_deleted: flags & RETURNED != 0,
            crd: None,
        });
    }
    for crd in crds::all() {
        table.push(Resource {
            id: Id(u8::try_from(table.len()).unwrap_or(u8::MAX)),
            group: &crd.group,
            version: &crd.version,
            kind: crd.kind.as_str(),
            plural: &crd.plural,
            is_namespaced: crd.is_namespaced,
            has_status: true,
            counts_generation: true,
            returns_deleted: false,
            crd: Some(crd.kind),
        });
    }
    table
}

/// Every kind, built-in ones first.
pub fn all() -> &'static [Resource] {
    &TABLE
}

impl Id {
    pub const POD: Self = Self(0);
    pub const NODE: Self = Self(1);
    pub const NAMESPACE: Self = Self(2);
    pub const CLAIM_OF_VOLUME: Self = Self(3);
    pub const VOLUME: Self = Self(4);
    pub const SERVICE: Self = Self(5);
    pub const EVENT: Self = Self(6);
    pub const CONFIG_MAP: Self = Self(7);
    /// The same objects as [`Id::EVENT`], in their newer form.
    pub const NEW_EVENT: Self = Self(8);
    pub const DEPLOYMENT: Self = Self(9);
    pub const REPLICA_SET: Self = Self(10);
    pub const STATEFUL_SET: Self = Self(11);
    pub const DAEMON_SET: Self = Self(12);
    pub const JOB: Self = Self(13);
    pub const PDB: Self = Self(14);
    pub const STORAGE_CLASS: Self = Self(15);
    pub const CSI_NODE: Self = Self(16);
    pub const VOLUME_ATTACHMENT: Self = Self(17);
    pub const PRIORITY_CLASS: Self = Self(18);
    pub const RUNTIME_CLASS: Self = Self(19);
    pub const LEASE: Self = Self(20);
    pub const CRD: Self = Self(21);

    /// The id of one of our own kinds.
    pub fn of(kind: crds::Kind) -> Self {
        all().iter().find(|resource| resource.crd == Some(kind)).map_or(Self::POD, |resource| resource.id)
    }

    /// Finds a kind by `apiVersion` and `kind`.
    pub fn by_kind(api_version: &str, kind: &str) -> Option<Self> {
        all().iter().find(|resource| resource.kind == kind && resource.api_version() == api_version).map(|r| r.id)
    }

    /// Finds a kind by group (empty for core), version and plural, as paths name it.
    pub fn by_plural(group: &str, version: &str, plural: &str) -> Option<Self> {
        let is_it = |r: &&Resource| r.plural == plural && r.group == group && r.version == version;
        all().iter().find(is_it).map(|resource| resource.id)
    }

    /// What there is to know of the kind.
    pub fn resource(self) -> &'static Resource {
        &all()[self.index()]
    }

    /// Its place in the table.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The kind under which the objects are kept.
    pub(super) fn stored(self) -> Self {
        if self == Self::NEW_EVENT { Self::EVENT } else { self }
    }
}

impl Resource {
    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// How messages name the kind: `pods`, `nodeclaims.karpenter.sh`.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_ids_are_those_of_the_table() {
        for (id, kind, api_version) in [
            (Id::POD, "Pod", "v1"),
            (Id::CLAIM_OF_VOLUME, "PersistentVolumeClaim", "v1"),
            (Id::EVENT, "Event", "v1"),
            (Id::NEW_EVENT, "Event", "events.k8s.io/v1"),
            (Id::DAEMON_SET, "DaemonSet", "apps/v1"),
            (Id::JOB, "Job", "batch/v1"),
            (Id::PDB, "PodDisruptionBudget", "policy/v1"),
            (Id::VOLUME_ATTACHMENT, "VolumeAttachment", "storage.k8s.io/v1"),
            (Id::LEASE, "Lease", "coordination.k8s.io/v1"),
            (Id::CRD, "CustomResourceDefinition", "apiextensions.k8s.io/v1"),
            (Id::of(crds::Kind::NodeClaim), "NodeClaim", "karpenter.sh/v1"),
            (Id::of(crds::Kind::CapacityBuffer), "CapacityBuffer", "autoscaling.x-k8s.io/v1beta1"),
        ] {
            assert_eq!(Id::by_kind(api_version, kind), Some(id), "{kind}");
            let resource = id.resource();
            assert_eq!(Id::by_plural(resource.group, resource.version, resource.plural), Some(id), "{kind}");
        }
        assert_eq!(all().len(), 29);
    }
}
