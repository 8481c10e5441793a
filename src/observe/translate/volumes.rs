//! Where a pod's volumes can be reached, what they take to attach, and why one is not ready.

use planner::model::labels::{HOSTNAME, REGION, ZONE};
use planner::model::pod::Attachment;
use planner::model::{Code, Operator, PodShape, Reason, Requirement, Requirements, Str};

use super::super::error::InputError;
use super::super::k8s::storage::{ClaimSpec, ClaimTemplate};
use super::super::k8s::{self};
use super::super::objects::Sourced;
use super::at::At;
use super::labels::{node_key, node_term};
use super::world::World;

const BOUND: &str = "pv.kubernetes.io/bind-completed";
/// Provisioners of old and the CSI drivers that took over from them.
const MIGRATED: [(&str, &str); 7] = [
    ("kubernetes.io/aws-ebs", "ebs.csi.aws.com"),
    ("kubernetes.io/gce-pd", "pd.csi.storage.gke.io"),
    ("kubernetes.io/azure-disk", "disk.csi.azure.com"),
    ("kubernetes.io/azure-file", "file.csi.azure.com"),
    ("kubernetes.io/cinder", "cinder.csi.openstack.org"),
    ("kubernetes.io/vsphere-volume", "csi.vsphere.vmware.com"),
    ("kubernetes.io/portworx-volume", "pxd.portworx.com"),
];

/// A pod whose volumes are looked at.
pub(super) struct Mounts<'a> {
    pub(super) namespace: &'a str,
    pub(super) pod: &'a str,
    pub(super) spec: &'a k8s::PodSpec,
    /// Claim templates of its `StatefulSet`, if the pod is still to be made.
    pub(super) templates: &'a [ClaimTemplate],
    pub(super) world: &'a World<'a>,
}

impl Mounts<'_> {
    /// Does it mount any claim? Without, nothing depends on the pod's name.
    pub(super) fn any(spec: &k8s::PodSpec, templates: &[ClaimTemplate]) -> bool {
        !templates.is_empty()
            || spec.volumes.iter().any(|v| v.persistent_volume_claim.is_some() || v.ephemeral.is_some())
    }

    /// Fills in volumes and attachments, and the first reason a volume is not ready.
    pub(super) fn fill(&self, shape: &mut PodShape) -> Result<(), InputError> {
        for template in self.templates {
            self.claim(&format!("{}-{}", template.metadata.name, self.pod), Some(&template.spec), shape)?;
        }
        for volume in &self.spec.volumes {
            // A StatefulSet's template goes before a volume of the same name.
            if self.templates.iter().any(|template| template.metadata.name == volume.name) {
                continue;
            }
            if let Some(source) = &volume.persistent_volume_claim {
                self.claim(&source.claim_name, None, shape)?;
            } else if let Some(source) = &volume.ephemeral {
                let name = format!("{}-{}", self.pod, volume.name);
                self.claim(&name, Some(&source.volume_claim_template.spec), shape)?;
            }
        }
        shape.volumes.sort();
        shape.volumes.dedup();
        Ok(())
    }

    fn claim(&self, name: &str, template: Option<&ClaimSpec>, shape: &mut PodShape) -> Result<(), InputError> {
        let found = self.world.claims.get(&(self.namespace, name)).copied();
        let who = format!("PersistentVolumeClaim {}/{name}", self.namespace);
        let Some(spec) = found.map(|claim| &claim.object.spec).or(template) else {
            let miss = format!("{who} created");
            return not_ready(shape, format!("{who} does not exist"), Some(miss));
        };
        if let Some(claim) = found {
            let phase = claim.object.status.as_ref().map_or("", |status| &*status.phase);
            if claim.object.metadata.deleting() {
                return not_ready(shape, format!("{who} is being deleted"), None);
            }
            if phase == "Lost" {
                return not_ready(shape, format!("{who} has lost its volume"), None);
            }
            if !spec.volume_name.is_empty() {
                // Written by hand and never seen by a binder: taken as it is meant.
                let bound =
                    claim.object.metadata.annotations.contains_key(BOUND) || phase == "Bound" || phase.is_empty();
                return self.bound(&who, name, &spec.volume_name, bound, shape);
            }
        }
        self.unbound(&who, name, spec, shape)
    }

    fn bound(&self, who: &str, name: &str, volume: &str, bound: bool, shape: &mut PodShape) -> Result<(), InputError> {
        let Some(Sourced { origin, object }) = self.world.volumes.get(volume).copied() else {
            return not_ready(
                shape,
                format!("{who} is bound to PersistentVolume {volume}, which does not exist"),
                None,
            );
        };
        if object.metadata.deleting() {
            return not_ready(
                shape,
                format!("{who} is bound to PersistentVolume {volume}, which is being deleted"),
                None,
            );
        }
        if !bound {
            return not_ready(shape, format!("{who} names PersistentVolume {volume} and is not bound to it yet"), None);
        }
        let at = At::new(origin, "PersistentVolume", &object.metadata, "spec");
        let mut terms: Vec<Requirements> = Vec::new();
        if let Some(required) = &object.spec.node_affinity.required {
            for (index, term) in required.node_selector_terms.iter().enumerate() {
                terms.extend(node_term(&at, &format!("nodeAffinity.required.nodeSelectorTerms[{index}]"), term)?);
            }
        } else {
            terms.extend(of_labels(&object.metadata.labels));
        }
        // What lies on a node's own disk names that node, and no node to come could have its name. As in Karpenter, the
        // rest of the term decides.
        if object.spec.local.is_some() || object.spec.host_path.is_some() {
            let kept =
                |term: Requirements| term.iter().filter(|r| *r.key != *HOSTNAME).cloned().collect::<Requirements>();
            terms = terms.into_iter().map(kept).collect();
        }
        if !terms.is_empty() && !terms.iter().any(Requirements::is_empty) {
            terms.sort();
            shape.volumes.push(terms);
        }
        self.attach(driver_of(object), name, shape);
        Ok(())
    }

    fn unbound(&self, who: &str, name: &str, spec: &ClaimSpec, shape: &mut PodShape) -> Result<(), InputError> {
        let class = match spec.storage_class_name.as_deref() {
            Some(class) => class,
            None => self.world.default_class.unwrap_or_default(),
        };
        if class.is_empty() {
            let miss = "spec.storageClassName set, or a StorageClass marked as default";
            return not_ready(shape, format!("{who} is not bound and has no storage class"), Some(miss.into()));
        }
        let Some(Sourced { object, .. }) = self.world.classes.get(class).copied() else {
            let miss = format!("StorageClass {class} created");
            return not_ready(shape, format!("{who} asks for StorageClass {class}, which does not exist"), Some(miss));
        };
        if &*object.volume_binding_mode != "WaitForFirstConsumer" {
            let message =
                format!("{who} is not bound, and its StorageClass {class} binds at once: its volume is awaited");
            let miss = format!("StorageClass {class} volumeBindingMode Immediate → WaitForFirstConsumer");
            return not_ready(shape, message, Some(miss));
        }
        let one = |e: &k8s::storage::TopologyExpression| {
            Requirement::new(node_key(&e.key), Operator::In, e.values.iter().cloned())
        };
        let terms = object.allowed_topologies.iter().filter(|term| !term.match_label_expressions.is_empty());
        let mut terms: Vec<Requirements> = terms.map(|t| t.match_label_expressions.iter().map(one).collect()).collect();
        if !terms.is_empty() {
            terms.sort();
            shape.volumes.push(terms);
        }
        self.attach(migrated(&object.provisioner), name, shape);
        Ok(())
    }

    fn attach(&self, driver: Option<&str>, name: &str, shape: &mut PodShape) {
        if let Some(driver) = driver.and_then(|driver| self.world.limited_drivers.get(driver)) {
            let claim: Str = format!("{}/{name}", self.namespace).into();
            shape.attachments.insert(Attachment { driver: (*driver).into(), claim });
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "ends the look at one claim")]
fn not_ready(shape: &mut PodShape, message: String, miss: Option<String>) -> Result<(), InputError> {
    shape.refused.get_or_insert_with(|| Reason::everywhere(Code::VolumeNotReady, message, miss));
    Ok(())
}

/// Zone and region labels of volumes older than node affinity; several zones are joined by `__`.
fn of_labels(labels: &planner::model::Labels) -> Option<Requirements> {
    let places = labels.iter().filter(|(key, _)| [ZONE, REGION].contains(&node_key(key)));
    let out: Requirements =
        places.map(|(key, value)| Requirement::new(node_key(key), Operator::In, value.split("__"))).collect();
    (!out.is_empty()).then_some(out)
}

fn driver_of(volume: &k8s::PersistentVolume) -> Option<&str> {
    let spec = &volume.spec;
    let in_tree = [
        (spec.aws_elastic_block_store.is_some(), "kubernetes.io/aws-ebs"),
        (spec.gce_persistent_disk.is_some(), "kubernetes.io/gce-pd"),
        (spec.azure_disk.is_some(), "kubernetes.io/azure-disk"),
        (spec.cinder.is_some(), "kubernetes.io/cinder"),
    ];
    match &spec.csi {
        Some(csi) => Some(&csi.driver),
        None => in_tree.into_iter().find(|(is, _)| *is).and_then(|(_, name)| migrated(name)),
    }
}

/// The CSI driver of a provisioner; none for one that attaches nothing.
fn migrated(provisioner: &str) -> Option<&str> {
    match MIGRATED.iter().find(|(old, _)| *old == provisioner) {
        Some((_, new)) => Some(new),
        None => (!provisioner.starts_with("kubernetes.io/")).then_some(provisioner),
    }
}
