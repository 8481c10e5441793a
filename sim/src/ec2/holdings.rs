//! What an account holds beside its machines: launch templates, capacity reservations, placement groups, zones that it is
//! moved away from, and what is to happen to them.

use cloud::OfferingKey;
use planner::model::CapacityType;

use super::filter::{Filtered, Tags};
use super::land::{ACCOUNT, Zone};
use super::params::Params;
use super::xml::Xml;
use crate::clock::{Micros, text_of};

/// A launch template with its one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub id: String,
    pub name: String,
    /// Seconds since 1970.
    pub created: i64,
    /// From when on it is found, in microseconds since 1970.
    pub visible_at: Micros,
    /// As it was given.
    pub data: Params,
    pub tags: Tags,
}

impl Filtered for Template {
    const FILTERS: &'static [&'static str] = &["launch-template-name", "create-time"];

    fn values(&self, filter: &str) -> Option<Vec<String>> {
        Some(vec![match filter {
            "launch-template-name" => self.name.clone(),
            "create-time" => text_of(self.created),
            _ => return None,
        }])
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Template {
    /// As answers show it.
    pub(super) fn write(&self, xml: &mut Xml) {
        xml.leaf("launchTemplateId", &self.id);
        xml.leaf("launchTemplateName", &self.name);
        xml.leaf("createTime", text_of(self.created));
        xml.leaf("createdBy", format!("arn:aws:iam::{ACCOUNT}:role/millwright"));
        xml.leaf("defaultVersionNumber", 1);
        xml.leaf("latestVersionNumber", 1);
        xml.tags(&self.tags);
    }
}

/// The kind of a capacity block.
pub const BLOCK: &str = "capacity-block";

/// A capacity reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// `cr-…`
    pub id: String,
    pub instance_type: String,
    pub zone: Zone,
    /// `default` or `capacity-block`.
    pub kind: String,
    /// `open` or `targeted`.
    pub criteria: String,
    pub total: u32,
    /// Seconds since 1970; none: at once.
    pub starts_at: Option<i64>,
    /// Seconds since 1970; none: until it is cancelled.
    pub ends_at: Option<i64>,
    pub interruptible: bool,
    pub tags: Tags,
}

impl Reservation {
    /// A targeted one of the usual kind, from now on and without an end.
    pub fn new(id: &str, instance_type: &str, zone: Zone, total: u32) -> Self {
        Self {
            id: id.to_owned(),
            instance_type: instance_type.to_owned(),
            zone,
            kind: "default".to_owned(),
            criteria: "targeted".to_owned(),
            total,
            starts_at: None,
            ends_at: None,
            interruptible: false,
            tags: Tags::new(),
        }
    }

    /// Its pool.
    pub fn key(&self) -> OfferingKey {
        OfferingKey {
            instance_type: self.instance_type.as_str().into(),
            zone: self.zone.name.as_str().into(),
            capacity_type: CapacityType::Reserved,
            reservation: Some(self.id.as_str().into()),
        }
    }

    pub fn is_block(&self) -> bool {
        self.kind == BLOCK
    }

    /// What a machine's template has to say of its market to be let in.
    pub fn market(&self) -> Option<&'static str> {
        match (self.is_block(), self.interruptible) {
            (true, _) => Some(BLOCK),
            (false, true) => Some("interruptible-capacity-reservation"),
            (false, false) => None,
        }
    }

    /// EC2's word for what it is at a time, in seconds since 1970.
    pub fn state(&self, now: i64) -> &'static str {
        if self.ends_at.is_some_and(|ends| ends <= now) {
            "expired"
        } else if self.starts_at.is_some_and(|starts| now < starts) {
            "scheduled"
        } else {
            "active"
        }
    }
}

/// A placement group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementGroup {
    /// `pg-…`
    pub id: String,
    pub name: String,
    /// `cluster`, `spread` or `partition`.
    pub strategy: String,
    /// Of the strategy `partition`.
    pub n_partitions: Option<u32>,
    pub tags: Tags,
}

impl Filtered for PlacementGroup {
    const FILTERS: &'static [&'static str] = &["group-name", "strategy", "state"];

    fn values(&self, filter: &str) -> Option<Vec<String>> {
        Some(vec![match filter {
            "group-name" => self.name.clone(),
            "strategy" => self.strategy.clone(),
            "state" => "available".to_owned(),
            _ => return None,
        }])
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

/// A zone that is left for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// `use1-az1`
    pub zone_id: String,
    /// Seconds since 1970.
    pub starts_at: i64,
    pub ends_at: i64,
}

/// Something that is to happen to a reservation or a machine at its time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// A capacity block's end is announced.
    BlockWarns(String),
    /// A capacity block's machines begin to end.
    BlockEnds(String),
    /// A reservation is over: what runs in it runs on demand.
    Expires(String),
    /// A machine has shut down.
    Released(String),
}
