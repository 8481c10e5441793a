//! Capacity reservations and placement groups.

use cloud::OfferingKey;
use planner::model::{CapacityType, MicroUsdPerHour};

use super::filter::{Filtered, Filters, Pages, Tags};
use super::land::{ACCOUNT, Zone};
use super::params::Params;
use super::refusal::Refusal;
use super::state::{Answer, State};
use super::xml::Xml;
use crate::clock::text_of;
use crate::market::Stock;

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
    /// Seconds since 1970; none: until it is cancelled.
    pub ends_at: Option<i64>,
    pub interruptible: bool,
    pub tags: Tags,
}

impl Reservation {
    /// Its pool.
    pub fn key(&self) -> OfferingKey {
        OfferingKey {
            instance_type: self.instance_type.as_str().into(),
            zone: self.zone.name.as_str().into(),
            capacity_type: CapacityType::Reserved,
            reservation: Some(self.id.as_str().into()),
        }
    }

    fn state(&self, now: i64) -> &'static str {
        if self.ends_at.is_some_and(|ends| ends <= now) { "expired" } else { "active" }
    }
}

struct At<'a>(&'a Reservation, i64);

impl Filtered for At<'_> {
    fn values(&self, filter: &str) -> Option<Vec<String>> {
        let Self(reservation, now) = self;
        Some(vec![match filter {
            "state" => reservation.state(*now).to_owned(),
            "instance-type" => reservation.instance_type.clone(),
            "owner-id" => ACCOUNT.to_owned(),
            "availability-zone" => reservation.zone.name.clone(),
            "availability-zone-id" => reservation.zone.id.clone(),
            "instance-match-criteria" => reservation.criteria.clone(),
            "tenancy" => "default".to_owned(),
            _ => return None,
        }])
    }

    fn tags(&self) -> &Tags {
        &self.0.tags
    }
}

impl State {
    /// Reserves capacity: the pool it makes is bought from by name only.
    pub fn reserve(&mut self, reservation: Reservation) {
        self.market.offer(reservation.key(), Stock::of(MicroUsdPerHour(0), reservation.total));
        self.reservations.insert(reservation.id.clone(), reservation);
    }
}

pub const DESCRIBE: &[&str] =
    &["CapacityReservationId.#", "Filter.#.Name", "Filter.#.Value.#", "MaxResults", "NextToken", "DryRun"];

/// `DescribeCapacityReservations`.
pub fn describe(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let ids = params.texts("CapacityReservationId");
    if let Some(unknown) = ids.iter().find(|id| !state.reservations.contains_key(**id)) {
        let message = format!("The capacity reservation ID '{unknown}' does not exist");
        return Err(Refusal::new("InvalidCapacityReservationId.NotFound", message));
    }
    let (filters, now) = (Filters::read(params)?, state.seconds());
    let mut found = Vec::new();
    for reservation in state.reservations.values() {
        if filters.matches(&At(reservation, now))? && (ids.is_empty() || ids.contains(&&*reservation.id)) {
            found.push((reservation, state.available(&reservation.key())));
        }
    }
    let page = Pages { bounds: (1, 1000), usual: 1000 }.cut(params, found, |(one, _)| one.id.clone())?;
    let mut xml = Xml::default();
    xml.list("capacityReservationSet", page.items, |xml, (one, available)| {
        xml.leaf("capacityReservationId", &one.id);
        xml.leaf("ownerId", ACCOUNT);
        xml.leaf("instanceType", &one.instance_type);
        xml.leaf("instancePlatform", "Linux/UNIX");
        xml.leaf("availabilityZone", &one.zone.name);
        xml.leaf("availabilityZoneId", &one.zone.id);
        xml.leaf("tenancy", "default");
        xml.leaf("totalInstanceCount", one.total);
        xml.leaf("availableInstanceCount", available);
        xml.leaf("state", one.state(now));
        xml.maybe("endDate", one.ends_at.map(text_of));
        xml.leaf("endDateType", if one.ends_at.is_some() { "limited" } else { "unlimited" });
        xml.leaf("instanceMatchCriteria", &one.criteria);
        xml.leaf("reservationType", &one.kind);
        xml.leaf("interruptible", one.interruptible);
        xml.tags(&one.tags);
    });
    xml.maybe("nextToken", page.next);
    Ok(Answer(xml))
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

pub const PLACEMENT: &[&str] = &["GroupId.#", "GroupName.#", "Filter.#.Name", "Filter.#.Value.#", "DryRun"];

/// `DescribePlacementGroups`.
pub fn placement_groups(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let (ids, names, filters) = (params.texts("GroupId"), params.texts("GroupName"), Filters::read(params)?);
    let groups = || state.placement_groups.values();
    let unknown_id = ids.iter().find(|id| !groups().any(|group| group.id == **id));
    let unknown_name = names.iter().find(|name| !groups().any(|group| group.name == **name));
    if let Some(unknown) = unknown_id.or(unknown_name) {
        let message = format!("The Placement Group '{unknown}' is unknown.");
        return Err(Refusal::new("InvalidPlacementGroup.Unknown", message));
    }
    let mut xml = Xml::default();
    let mut found = Vec::new();
    for group in groups() {
        let is_named =
            (ids.is_empty() || ids.contains(&&*group.id)) && (names.is_empty() || names.contains(&&*group.name));
        if filters.matches(group)? && is_named {
            found.push(group);
        }
    }
    xml.list("placementGroupSet", found, |xml, group| {
        xml.leaf("groupId", &group.id);
        xml.leaf("groupName", &group.name);
        xml.leaf("state", "available");
        xml.leaf("strategy", &group.strategy);
        xml.maybe("partitionCount", group.n_partitions);
        xml.tags(&group.tags);
    });
    Ok(Answer(xml))
}
