//! A node class with everything resolved that its machines are made from, in plain values.

use std::collections::BTreeMap;

use planner::model::{Requirements, Str};
use serde_json::{Map, Value};

use crate::catalog::{AmiFamily, NetworkInterface};

/// The cluster that nodes join.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    pub name: String,
    /// URL of the API server.
    pub endpoint: String,
    /// Its certificate authority, base64 of PEM.
    pub ca_bundle: String,
    /// Addresses of services; the images of AL2023 want to know.
    pub service_cidr: Option<String>,
    /// Address of the cluster's DNS.
    pub dns: Option<String>,
}

impl Cluster {
    /// Whether pods and services have IPv6 addresses.
    pub fn is_ipv6(&self) -> bool {
        self.dns.as_ref().is_some_and(|dns| dns.contains(':'))
    }
}

/// A class, resolved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeClass {
    pub name: String,
    pub family: Option<AmiFamily>,
    /// Newest first: the first whose requirements a type meets is booted.
    pub images: Vec<Image>,
    pub subnets: Vec<Subnet>,
    pub security_groups: Vec<Str>,
    /// Name of the instance profile.
    pub profile: String,
    pub user_data: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// `spec.kubelet`, as written.
    pub kubelet: Map<String, Value>,
    /// What it comes to on types for which it says something else, by name.
    pub kubelets: BTreeMap<Str, Map<String, Value>>,
    pub devices: Vec<Device>,
    /// The volumes of the instance store are one file system for pods.
    pub raid0: bool,
    pub interfaces: Vec<NetworkInterface>,
    pub public_ip: Option<bool>,
    /// Prefixes of addresses for each interface.
    pub ip_prefixes: Option<i32>,
    pub detailed_monitoring: bool,
    pub metadata: Metadata,
    pub tracking: Option<Tracking>,
    pub nested_virtualization: Option<bool>,
    /// Handed to `CreateFleet`.
    pub context: Option<String>,
    pub placement_group: Option<String>,
    /// Machines that are not bought from a reservation keep out of those that are open to all.
    pub shuns_open_reservations: bool,
}

/// An image that machines of the class may boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `ami-…`
    pub id: Str,
    pub name: String,
    /// Of the instance type: its architecture, whether it has GPUs.
    pub requirements: Requirements,
    pub is_deprecated: bool,
}

/// A subnet that machines of the class may be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    pub id: Str,
    pub zone: Str,
    pub zone_id: Str,
    /// Free addresses when it was looked up.
    pub available: i64,
    /// Which look that was: goes up with each, over all classes.
    pub look: u64,
}

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    pub name: String,
    pub delete_on_termination: Option<bool>,
    pub encrypted: Option<bool>,
    pub iops: Option<i32>,
    pub throughput: Option<i32>,
    pub kms_key: Option<String>,
    pub snapshot: Option<String>,
    /// MiB per second.
    pub initialization_rate: Option<i32>,
    pub gib: Option<i32>,
    pub kind: Option<String>,
}

impl Device {
    /// The volumes of a family's image when the class names none.
    pub fn of_family(family: AmiFamily) -> Vec<Self> {
        let volume = |name: &str, gib| Self {
            name: name.to_owned(),
            encrypted: Some(true),
            gib: Some(gib),
            kind: Some("gp3".to_owned()),
            ..Self::default()
        };
        match family {
            AmiFamily::Al2 | AmiFamily::Al2023 => vec![volume("/dev/xvda", 20)],
            AmiFamily::Bottlerocket => vec![volume("/dev/xvda", 4), volume("/dev/xvdb", 20)],
            AmiFamily::Windows2019 | AmiFamily::Windows2022 | AmiFamily::Windows2025 => vec![volume("/dev/sda1", 50)],
            // The image's own.
            AmiFamily::Custom => Vec::new(),
        }
    }
}

/// `spec.metadataOptions`, with the API server's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub endpoint: bool,
    pub ipv6: bool,
    pub hop_limit: i32,
    /// `required` or `optional`.
    pub tokens: String,
}

impl Default for Metadata {
    fn default() -> Self {
        Self { endpoint: true, ipv6: false, hop_limit: 1, tokens: "required".into() }
    }
}

/// `spec.connectionTracking`, seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracking {
    pub tcp_established: Option<i32>,
    pub udp_stream: Option<i32>,
    pub udp: Option<i32>,
}
