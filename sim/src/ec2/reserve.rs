//! Capacity reservations: on demand and as blocks, open and targeted, for later, for a while, and such as may be taken back.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/capacity-reservation-overview.html>

use cloud::OfferingKey;
use planner::model::MicroUsdPerHour;

use super::filter::{Filtered, Filters, Pages, Tags};
use super::holdings::Reservation;
use super::land::ACCOUNT;
use super::params::Params;
use super::refusal::Refusal;
use super::state::{Answer, State};
use super::xml::Xml;
use crate::clock::text_of;
use crate::market::Stock;

struct At<'a>(&'a Reservation, i64);

impl Filtered for At<'_> {
    const FILTERS: &'static [&'static str] = &[
        "state",
        "instance-type",
        "owner-id",
        "availability-zone",
        "availability-zone-id",
        "instance-match-criteria",
        "tenancy",
        "start-date",
        "end-date",
        "end-date-type",
    ];

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
            "start-date" => return Some(reservation.starts_at.map(text_of).into_iter().collect()),
            "end-date" => return Some(reservation.ends_at.map(text_of).into_iter().collect()),
            "end-date-type" => end_type(reservation).to_owned(),
            _ => return None,
        }])
    }

    fn tags(&self) -> &Tags {
        &self.0.tags
    }
}

fn end_type(reservation: &Reservation) -> &'static str {
    if reservation.ends_at.is_some() { "limited" } else { "unlimited" }
}

impl State {
    /// Reserves capacity: the pool it makes is bought from by name, or by machines that fit if it is open.
    pub fn reserve(&mut self, reservation: Reservation) {
        self.market.offer(reservation.key(), Stock::of(MicroUsdPerHour(0), reservation.total));
        if let Some(ends_at) = reservation.ends_at {
            self.will_end(&reservation.id, ends_at * 1_000_000, reservation.is_block());
        }
        self.reservations.insert(reservation.id.clone(), reservation);
    }

    /// How many more machines a reservation has room for now.
    pub fn room_in(&self, reservation: &Reservation) -> u32 {
        let is_active = reservation.state(self.seconds()) == "active";
        if is_active { self.available(&reservation.key()) } else { 0 }
    }

    /// The open reservation that a machine of this type in this zone goes into.
    pub fn open_reservation(&self, instance_type: &str, zone: &str) -> Option<OfferingKey> {
        let fits = |one: &&Reservation| {
            let is_plain = one.criteria == "open" && one.market().is_none();
            is_plain && one.instance_type == instance_type && one.zone.name == zone && self.room_in(one) > 0
        };
        self.reservations.values().find(fits).map(Reservation::key)
    }

    /// Takes back what an interruptible reservation has lent: its machines get two minutes' notice. Their ids.
    pub fn reclaim(&mut self, reservation: &str) -> Vec<String> {
        let (now, machines) = (self.now(), self.machines_in(reservation));
        for machine in &machines {
            self.market.interrupt(machine, now);
        }
        self.tick();
        machines
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
    let (filters, now) = (Filters::read::<At<'_>>(params)?, state.seconds());
    let mut found = Vec::new();
    for reservation in state.reservations.values() {
        if filters.matches(&At(reservation, now))? && (ids.is_empty() || ids.contains(&&*reservation.id)) {
            found.push((reservation, state.room_in(reservation)));
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
        xml.maybe("startDate", one.starts_at.map(text_of));
        xml.maybe("endDate", one.ends_at.map(text_of));
        xml.leaf("endDateType", end_type(one));
        xml.leaf("instanceMatchCriteria", &one.criteria);
        xml.leaf("reservationType", &one.kind);
        xml.leaf("interruptible", one.interruptible);
        xml.tags(&one.tags);
    });
    xml.maybe("nextToken", page.next);
    Ok(Answer(xml))
}
