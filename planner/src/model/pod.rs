//! Pods, distilled to what scheduling looks at.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::reason::Reason;
use super::selector::LabelSelector;
use super::{Labels, Requirements, Resources, Str, Toleration};

/// One pod as observed: who it is, and its shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    pub name: Str,
    pub uid: Str,
    /// Seconds since the Unix epoch; 0 when unknown.
    pub created: i64,
    /// The node it is bound to.
    pub node: Option<Str>,
    /// Being deleted.
    pub terminating: bool,
    /// All that decides where it may run. Its labels are complete here; groups keep only those that a selector looks at.
    pub shape: PodShape,
}

/// Everything about a pod that decides where it may run. Pods with equal shapes are interchangeable.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodShape {
    pub namespace: Str,
    pub labels: Labels,
    /// With init containers, sidecars, overhead and one `pods`.
    pub requests: Resources,
    /// `nodeSelector`.
    pub node_selector: Requirements,
    /// Required node affinity: one of the terms must hold. `None`: no such affinity; an empty list: nothing satisfies it.
    pub node_terms: Option<Vec<Requirements>>,
    /// Preferred node affinity, heaviest first.
    pub preferred_node_terms: Vec<(i32, Requirements)>,
    pub tolerations: Vec<Toleration>,
    pub spreads: Vec<Spread>,
    pub affinity: Vec<PodTerm>,
    pub anti_affinity: Vec<PodTerm>,
    /// Heaviest first.
    pub preferred_affinity: Vec<(i32, PodTerm)>,
    /// Heaviest first.
    pub preferred_anti_affinity: Vec<(i32, PodTerm)>,
    pub host_ports: BTreeSet<HostPort>,
    /// Per volume the places it can be reached from (one of the terms); volumes reachable from anywhere are left out.
    pub volumes: Vec<Vec<Requirements>>,
    /// Volumes that count against a node's attach limit: driver and claim.
    pub attachments: BTreeSet<Attachment>,
    pub priority: i32,
    pub owner: Owner,
    pub do_not_disrupt: bool,
    /// Why no pool can ever take it (restricted label, missing claim, …).
    pub refused: Option<Reason>,
}

/// What kind of object a pod belongs to, as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Owner {
    #[default]
    Other,
    DaemonSet,
    StatefulSet,
    /// A static (mirror) pod.
    Node,
}

/// A port on the node itself. An empty address is the wildcard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostPort {
    pub port: u16,
    pub protocol: Str,
    pub address: Str,
}

impl HostPort {
    /// Can the two not be open on one node?
    pub fn clashes(&self, other: &Self) -> bool {
        let wild = self.address.is_empty() || other.address.is_empty();
        self.port == other.port && self.protocol == other.protocol && (wild || self.address == other.address)
    }
}

/// A volume that takes an attachment slot of a CSI driver; pods that share the claim share the slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attachment {
    pub driver: Str,
    pub claim: Str,
}

/// A topology spread constraint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Spread {
    pub key: Str,
    pub max_skew: u32,
    pub min_domains: Option<u32>,
    /// `DoNotSchedule`; otherwise it is a wish.
    pub hard: bool,
    /// Which pods of the namespace count; `matchLabelKeys` are folded in. `None` counts none.
    pub selector: Option<LabelSelector>,
    /// `nodeAffinityPolicy: Honor`: nodes the pod may not use are no domains.
    pub honor_affinity: bool,
    /// `nodeTaintsPolicy: Honor`: nodes the pod does not tolerate are no domains.
    pub honor_taints: bool,
}

/// A pod (anti-)affinity term.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodTerm {
    pub key: Str,
    /// Namespaces it looks in, with `namespaceSelector` resolved.
    pub namespaces: BTreeSet<Str>,
    /// `None` selects no pod.
    pub selector: Option<LabelSelector>,
}

impl PodTerm {
    /// Does it pick a pod of this shape?
    pub fn picks(&self, other: &PodShape) -> bool {
        self.namespaces.contains(&other.namespace) && self.selector.as_ref().is_some_and(|s| s.matches(&other.labels))
    }
}

impl Spread {
    /// Does a pod of this shape count for it, seen from a pod in `namespace`?
    pub fn counts(&self, namespace: &str, other: &PodShape) -> bool {
        *other.namespace == *namespace && self.selector.as_ref().is_some_and(|s| s.matches(&other.labels))
    }
}

impl PodShape {
    /// Do these node labels satisfy the node selector and the required node affinity?
    pub fn wants(&self, labels: &Labels) -> bool {
        self.node_selector.allow(labels)
            && self.node_terms.as_ref().is_none_or(|terms| terms.iter().any(|term| term.allow(labels)))
    }

    /// Can all its volumes be reached from a node with these labels?
    pub fn reaches_volumes(&self, labels: &Labels) -> bool {
        self.volumes.iter().all(|terms| terms.iter().any(|term| term.allow(labels)))
    }

    /// Every label key that some selector of this pod looks at.
    pub fn selector_keys(&self) -> impl Iterator<Item = &Str> {
        let preferred = self.preferred_affinity.iter().chain(&self.preferred_anti_affinity).map(|(_, term)| term);
        let terms = self.affinity.iter().chain(&self.anti_affinity).chain(preferred);
        let selectors = terms.map(|t| &t.selector).chain(self.spreads.iter().map(|s| &s.selector));
        selectors.flatten().flat_map(LabelSelector::keys)
    }
}
