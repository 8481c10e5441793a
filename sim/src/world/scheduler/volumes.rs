//! Volume claims of pods: where they let a pod go, and the volumes that are made when it goes there.

use serde_json::json;

use crate::kube::object::{list, member, text};
use crate::kube::{Direct, Id, Key, Object, Part};

use super::node::Node;
use super::pod::{NodeTerm, Pod, node_term};

/// What the claims of a pod ask of its node.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    /// For each bound volume, terms of which one must hold.
    bound: Vec<Vec<NodeTerm>>,
    /// For each claim that waits for its pod, the topologies that its class allows; none allow all.
    waiting: Vec<(Key, Vec<NodeTerm>)>,
}

impl Volumes {
    /// Reads the claims of a pod; an error says why it can go nowhere.
    pub fn read(api: &Direct, pod: &Pod) -> Result<Self, String> {
        let mut volumes = Self::default();
        for name in &pod.claims {
            let key = Key::new(pod.key.namespace.as_str(), name.as_str());
            let Some(claim) = api.get(Id::CLAIM_OF_VOLUME, &key) else {
                return Err(format!("persistentvolumeclaim {name:?} not found"));
            };
            let volume = claim.text("/spec/volumeName");
            if !volume.is_empty() {
                let volume = api.get(Id::VOLUME, &Key::cluster(volume));
                let Some(volume) = volume else { return Err("pod has unbound PersistentVolumes".to_owned()) };
                let terms: Vec<_> =
                    list(volume.value(), "/spec/nodeAffinity/required/nodeSelectorTerms").map(node_term).collect();
                if !terms.is_empty() {
                    volumes.bound.push(terms);
                }
                continue;
            }
            let class = api.get(Id::STORAGE_CLASS, &Key::cluster(claim.text("/spec/storageClassName")));
            match class.filter(|class| class.text("/volumeBindingMode") == "WaitForFirstConsumer") {
                Some(class) => volumes.waiting.push((key, topologies(&class))),
                None => return Err("pod has unbound immediate PersistentVolumeClaims".to_owned()),
            }
        }
        Ok(volumes)
    }

    pub fn refuses(&self, node: &Node) -> Option<String> {
        let allows = |terms: &[NodeTerm]| terms.iter().any(|term| term.allows(&node.name, node.labels()));
        if !self.bound.iter().all(|terms| allows(terms)) {
            return Some("node(s) had volume node affinity conflict".to_owned());
        }
        if !self.waiting.iter().all(|(_, terms)| terms.is_empty() || allows(terms)) {
            return Some("node(s) didn't find available persistent volumes to bind".to_owned());
        }
        None
    }

    /// Makes a volume in the node's zone for each claim that waits.
    pub fn provision(&self, api: &Direct, node: &Node) {
        for (key, _) in &self.waiting {
            let Some(claim) = api.get(Id::CLAIM_OF_VOLUME, key) else { continue };
            provision(api, &claim, node.label("topology.kubernetes.io/zone"));
        }
    }
}

/// `allowedTopologies` as terms on nodes.
fn topologies(class: &Object) -> Vec<NodeTerm> {
    let term = |topology: &serde_json::Value| {
        let expressions: Vec<_> = list(topology, "/matchLabelExpressions")
            .map(|e| json!({ "key": e["key"], "operator": "In", "values": e["values"] }))
            .collect();
        node_term(&json!({ "matchExpressions": expressions }))
    };
    list(class.value(), "/allowedTopologies").map(term).collect()
}

/// Makes the volume of a claim and binds both.
pub(in crate::world) fn provision(api: &Direct, claim: &Object, zone: Option<&str>) {
    let name = format!("pvc-{}", claim.uid());
    let mut volume = json!({ "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": name }, "spec": {
        "capacity": claim.at("/spec/resources/requests"), "accessModes": claim.at("/spec/accessModes"),
        "storageClassName": claim.text("/spec/storageClassName"), "persistentVolumeReclaimPolicy": "Delete",
        "csi": { "driver": "sim.csi.example.com", "volumeHandle": name },
        "claimRef": { "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": claim.namespace(),
            "name": claim.name(), "uid": claim.uid() } } });
    if let Some(zone) = zone {
        volume["spec"]["nodeAffinity"] = json!({ "required": { "nodeSelectorTerms": [{ "matchExpressions": [
            { "key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone] }] }] } });
    }
    // The volume may be there from an earlier try; binding is done again in any case.
    drop(api.create(volume));
    let phase = |value: &serde_json::Value| {
        let mut value = value.clone();
        member(&mut value, "status").insert("phase".to_owned(), "Bound".into());
        value
    };
    let bind = |value: &serde_json::Value| {
        let mut value = value.clone();
        if text(&value, "/spec/volumeName").is_empty() {
            member(&mut value, "spec").insert("volumeName".to_owned(), name.as_str().into());
        }
        value
    };
    drop(api.update(Id::VOLUME, &Key::cluster(name.as_str()), Part::Status, phase));
    drop(api.update(Id::CLAIM_OF_VOLUME, &claim.key(), Part::Main, bind));
    drop(api.update(Id::CLAIM_OF_VOLUME, &claim.key(), Part::Status, phase));
}
