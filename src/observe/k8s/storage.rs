//! Volumes, claims to them, and classes.

use planner::model::{Labels, Str};
use serde::Deserialize;

use super::meta::ObjectMeta;
use super::selector::NodeSelector;

/// A claim to a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct PersistentVolumeClaim {
    pub metadata: ObjectMeta,
    pub spec: ClaimSpec,
    pub status: Option<ClaimStatus>,
}

/// What claims are made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct ClaimTemplate {
    pub metadata: ObjectMeta,
    pub spec: ClaimSpec,
}

/// What a claim asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// Unset: the default class. Empty: no class at all.
    pub storage_class_name: Option<Str>,
    pub volume_name: Str,
}

/// `Pending`, `Bound` or `Lost`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct ClaimStatus {
    pub phase: Str,
}

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct PersistentVolume {
    pub metadata: ObjectMeta,
    pub spec: VolumeSpec,
}

/// Where it can be reached and who attaches it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSpec {
    pub node_affinity: VolumeNodeAffinity,
    pub csi: Option<CsiSource>,
    pub local: Option<Present>,
    pub host_path: Option<Present>,
    pub aws_elastic_block_store: Option<Present>,
    pub gce_persistent_disk: Option<Present>,
    pub azure_disk: Option<Present>,
    pub cinder: Option<Present>,
}

/// A source of which only the presence matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Present {}

/// Where it can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct VolumeNodeAffinity {
    pub required: Option<NodeSelector>,
}

/// Its driver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct CsiSource {
    pub driver: Str,
}

/// How volumes are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageClass {
    pub metadata: ObjectMeta,
    pub provisioner: Str,
    /// `Immediate` when unset.
    pub volume_binding_mode: Str,
    pub allowed_topologies: Vec<TopologyTerm>,
}

impl StorageClass {
    /// Used by claims that name no class.
    pub fn is_default(&self) -> bool {
        is_yes(&self.metadata.annotations, "storageclass.kubernetes.io/is-default-class")
            || is_yes(&self.metadata.annotations, "storageclass.beta.kubernetes.io/is-default-class")
    }
}

fn is_yes(annotations: &Labels, key: &str) -> bool {
    annotations.get(key).is_some_and(|value| &**value == "true")
}

/// All of its conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopologyTerm {
    pub match_label_expressions: Vec<TopologyExpression>,
}

/// A node label and its allowed values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct TopologyExpression {
    pub key: Str,
    pub values: Vec<Str>,
}

/// A volume at a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct VolumeAttachment {
    pub metadata: ObjectMeta,
    pub spec: AttachmentSpec,
}

/// Which volume, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachmentSpec {
    pub node_name: Str,
    pub source: AttachmentSource,
}

/// The volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachmentSource {
    /// Empty for a volume written into the pod itself.
    pub persistent_volume_name: Str,
}
