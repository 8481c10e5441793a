//! The kinds that are mirrored, and the news that one of them changed.

use planner::model::Str;

use super::super::k8s;

/// A kind of object in the mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Pod,
    Node,
    NodeClaim,
    NodePool,
    Ec2NodeClass,
    KwokNodeClass,
    NodeOverlay,
    CapacityBuffer,
    DaemonSet,
    PodDisruptionBudget,
    PersistentVolumeClaim,
    PersistentVolume,
    StorageClass,
    CsiNode,
    VolumeAttachment,
    Namespace,
    PriorityClass,
    RuntimeClass,
    Service,
    Deployment,
    ReplicaSet,
    StatefulSet,
    ReplicationController,
    PodTemplate,
}

/// One object came, changed or went. Several changes of one object may be told once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Change {
    pub kind: Kind,
    /// Empty for kinds without namespaces.
    pub namespace: Str,
    pub name: Str,
}

/// An object as the API server tells of it, trimmed.
#[derive(Clone, Debug)]
pub enum Object {
    Pod(Box<k8s::Pod>),
    Node(Box<k8s::Node>),
    NodeClaim(Box<Both<crds::NodeClaim, k8s::NodeClaim>>),
    NodePool(Box<Both<crds::NodePool, k8s::NodePool>>),
    Ec2NodeClass(Box<Both<crds::Ec2NodeClass, k8s::Ec2NodeClass>>),
    KwokNodeClass(Box<Both<crds::KwokNodeClass, k8s::KwokNodeClass>>),
    NodeOverlay(Box<k8s::NodeOverlay>),
    CapacityBuffer(Box<k8s::CapacityBuffer>),
    DaemonSet(Box<k8s::DaemonSet>),
    PodDisruptionBudget(Box<k8s::PodDisruptionBudget>),
    PersistentVolumeClaim(Box<k8s::PersistentVolumeClaim>),
    PersistentVolume(Box<k8s::PersistentVolume>),
    StorageClass(Box<k8s::StorageClass>),
    CsiNode(Box<k8s::CsiNode>),
    VolumeAttachment(Box<k8s::VolumeAttachment>),
    Namespace(Box<k8s::Namespace>),
    PriorityClass(Box<k8s::PriorityClass>),
    RuntimeClass(Box<k8s::RuntimeClass>),
    Service(Box<k8s::Service>),
    Deployment(Box<k8s::Workload>),
    ReplicaSet(Box<k8s::Workload>),
    StatefulSet(Box<k8s::Workload>),
    ReplicationController(Box<k8s::Workload>),
    PodTemplate(Box<k8s::PodTemplate>),
}

/// An object of our own API, whole for the controllers and trimmed for the planner.
#[derive(Clone, Debug)]
pub struct Both<Whole, Trimmed> {
    pub whole: Whole,
    pub trimmed: Trimmed,
}

macro_rules! identity {
    ($($plain:ident)*; $($both:ident)*) => {
        impl Object {
            /// Kind, namespace and name.
            pub fn identity(&self) -> (Kind, Str, Str) {
                let of = |kind, meta: &k8s::ObjectMeta| (kind, meta.namespace.clone(), meta.name.clone());
                match self {
                    $(Self::$plain(object) => of(Kind::$plain, &object.metadata),)*
                    $(Self::$both(object) => of(Kind::$both, &object.trimmed.metadata),)*
                }
            }
        }
    };
}

identity! {
    Pod Node NodeOverlay CapacityBuffer DaemonSet PodDisruptionBudget PersistentVolumeClaim PersistentVolume StorageClass
    CsiNode VolumeAttachment Namespace PriorityClass RuntimeClass Service Deployment ReplicaSet StatefulSet
    ReplicationController PodTemplate;
    NodeClaim NodePool Ec2NodeClass KwokNodeClass
}
