//! Kubernetes' own kinds, trimmed to the fields that matter for planning. Unknown fields are passed over; strictness is
//! the reader's business.

pub mod karpenter;
pub mod meta;
pub mod node;
pub mod pod;
pub mod policy;
pub mod selector;
pub mod storage;
pub mod workload;

pub use karpenter::{CapacityBuffer, Ec2NodeClass, KwokNodeClass, NodeClaim, NodeOverlay, NodePool};
pub use meta::{Amount, Amounts, Condition, ObjectMeta, OwnerReference};
pub use node::{CsiNode, Namespace, Node, NodeTaint};
pub use pod::{Pod, PodSpec, PodTemplate};
pub use policy::{PodDisruptionBudget, PriorityClass, RuntimeClass, Service};
pub use selector::{LabelSelector, NodeSelectorTerm};
pub use storage::{PersistentVolume, PersistentVolumeClaim, StorageClass, VolumeAttachment};
pub use workload::{DaemonSet, Job, Workload};
