//! What can be bought: instance types and their offerings.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::labels::{CAPACITY_TYPE, ZONE};
use super::{Labels, MicroUsdPerHour, Resources, Str};

/// How capacity is paid for. The order is the order of preference at equal price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CapacityType {
    Reserved,
    Spot,
    OnDemand,
}

impl CapacityType {
    /// The value of `karpenter.sh/capacity-type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Spot => "spot",
            Self::OnDemand => "on-demand",
        }
    }

    /// From the label value.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "reserved" => Some(Self::Reserved),
            "spot" => Some(Self::Spot),
            "on-demand" => Some(Self::OnDemand),
            _ => None,
        }
    }
}

/// A machine shape under one node class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceType {
    pub name: Str,
    /// Every label its nodes carry whatever the offering: instance type, arch, os, provider labels, region. Not zone or capacity type.
    pub labels: Labels,
    /// Keys with several possible values, one of which the launch settles (`instance-tenancy`), default first.
    pub open_labels: Vec<(Str, Vec<Str>)>,
    /// What the machine has.
    pub capacity: Resources,
    /// What pods (`DaemonSet` pods included) may use of it.
    pub allocatable: Resources,
    /// GPU, accelerator or bare metal: listed as an alternative only where the chosen one is exotic too.
    pub exotic: bool,
    /// Zones × capacity types it is sold in.
    pub offerings: Vec<Offering>,
}

impl InstanceType {
    /// What the type and an offering of it say about a label. Open labels have no value yet.
    pub fn label<'a>(&'a self, offering: &'a Offering, key: &str) -> Option<&'a str> {
        match key {
            ZONE => Some(&offering.zone),
            CAPACITY_TYPE => Some(offering.capacity_type.as_str()),
            _ => offering.labels.get(key).or_else(|| self.labels.get(key)).map(AsRef::as_ref),
        }
    }
}

/// One way to buy an instance type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offering {
    pub zone: Str,
    pub capacity_type: CapacityType,
    pub price: MicroUsdPerHour,
    /// False while it is known to be out of capacity.
    pub available: bool,
    /// It would be available if the class had a subnet with free addresses in the zone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_addresses: bool,
    /// Labels beyond zone and capacity type (zone id, reservation id, placement partition).
    pub labels: Labels,
    /// The reservation it draws on, with how many instances are left in it.
    pub reservation: Option<Reservation>,
}

/// A capacity reservation behind an offering.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    pub id: Str,
    pub count: u32,
}

/// All instance types of one node class, by name. Shared by the pools that refer to it.
pub type Catalog = Arc<Vec<InstanceType>>;
