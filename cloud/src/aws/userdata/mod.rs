//! What a machine is told when it boots, so that it joins the cluster as the node it was bought to be.

mod al2;
mod al2023;
mod bottlerocket;
mod kubelet;
mod mime;
mod windows;
mod yaml;

use planner::model::{Effect, Labels, Taint};
use serde_json::{Map, Value};

use super::class::Cluster;
use crate::catalog::AmiFamily;

/// Nodes have it until everything is written on them.
const UNREGISTERED: &str = "karpenter.sh/unregistered";
/// Tells the controller that taints are ours from the start.
const NO_SYNC: &str = "karpenter.sh/do-not-sync-taints";

/// Everything that goes into it.
#[derive(Clone, Debug, PartialEq)]
pub struct UserData<'a> {
    pub family: AmiFamily,
    pub cluster: &'a Cluster,
    /// `spec.userData`.
    pub custom: Option<&'a str>,
    /// Of the node, with its capacity type.
    pub labels: &'a Labels,
    /// Those of the claim, startup taints among them.
    pub taints: Vec<Taint>,
    /// `spec.kubelet`.
    pub kubelet: &'a Map<String, Value>,
    /// What `maxPods` comes to for the type.
    pub max_pods: i64,
    pub raid0: bool,
    /// Of the image that is booted.
    pub image_name: &'a str,
}

/// Why none can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserDataError {
    #[error("the class's userData: {0}")]
    Custom(String),
    #[error(
        "the addresses of the cluster's services are not known, without which AL2023 does not join: grant eks:DescribeCluster"
    )]
    NoServiceCidr,
}

impl UserDataError {
    /// The reason that goes into conditions.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Custom(_) => "UserDataInvalid",
            Self::NoServiceCidr => "ClusterCIDRResolutionFailed",
        }
    }
}

impl UserData<'_> {
    /// The text, before base64.
    ///
    /// # Errors
    /// When the class's own part cannot be read.
    pub fn text(&self) -> Result<String, UserDataError> {
        match self.family {
            AmiFamily::Al2 => al2::text(self),
            AmiFamily::Al2023 => al2023::text(self),
            AmiFamily::Windows2019 | AmiFamily::Windows2022 | AmiFamily::Windows2025 => Ok(windows::text(self)),
            AmiFamily::Custom => Ok(self.custom.unwrap_or_default().to_owned()),
            AmiFamily::Bottlerocket => bottlerocket::text(self),
        }
    }

    /// Labels that a kubelet may give its node, sorted.
    fn node_labels(&self) -> Labels {
        let is_kept_back = |key: &str| {
            let domain = key.split_once('/').map_or("", |(domain, _)| domain);
            ["kubernetes.io", "k8s.io", "node-restriction.kubernetes.io"]
                .iter()
                .any(|kept| domain == *kept || domain.strip_suffix(kept).is_some_and(|rest| rest.ends_with('.')))
        };
        let mut labels = self.labels.clone();
        labels.retain(|key, _| !is_kept_back(key));
        labels.insert(NO_SYNC.into(), "true".into());
        labels
    }

    /// The claim's taints, and that of a node nobody has looked at yet.
    fn node_taints(&self) -> Vec<Taint> {
        let mut taints = self.taints.clone();
        if !taints.iter().any(|taint| &*taint.key == UNREGISTERED) {
            taints.push(Taint { key: UNREGISTERED.into(), value: "".into(), effect: Effect::NoExecute });
        }
        taints
    }

    /// The addresses of DNS: the class's, else the cluster's.
    fn dns(&self) -> Vec<String> {
        let own = self.kubelet.get("clusterDNS").and_then(Value::as_array);
        match own {
            Some(own) => own.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            None => self.cluster.dns.iter().cloned().collect(),
        }
    }
}

/// What of a class' user data is left out of that of its machines, for people.
pub fn left_out(family: AmiFamily, custom: &str) -> Vec<String> {
    if family == AmiFamily::Bottlerocket { bottlerocket::left_out(custom) } else { Vec::new() }
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::NoSchedule => "NoSchedule",
        Effect::PreferNoSchedule => "PreferNoSchedule",
        Effect::NoExecute => "NoExecute",
    }
}

#[cfg(test)]
mod tests;
