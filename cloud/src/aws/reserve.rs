//! What is kept for machines of a class: capacity reservations, and the placement group that they are to be in.

use aws_sdk_ec2::types::{CapacityReservationType, Filter, PlacementStrategy as Ec2Strategy};

use super::call::{again, pages};
use super::client::Clients;
use super::fault::{Fault, Kind};
use crate::catalog::{PlacementGroup, PlacementStrategy, ReservationKind};

/// Reservations of a page.
const PAGE: i32 = 1000;
/// Nothing new goes into a capacity block so long before its end, seconds: EC2 begins to take machines half an hour before.
const BEFORE_END: i64 = 40 * 60;

/// One term of a selector of reservations. What is found by any term is selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReservationTerm {
    /// Goes before everything else.
    pub id: Option<String>,
    /// An account.
    pub owner: Option<String>,
    /// `open` or `targeted`.
    pub criteria: Option<String>,
    /// Key and value; `*` for any value.
    pub tags: Vec<(String, String)>,
}

/// A capacity reservation that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapacityReservation {
    /// `cr-…`
    pub id: String,
    pub instance_type: String,
    pub zone: String,
    /// The account that pays for it.
    pub owner: String,
    pub kind: ReservationKind,
    /// Takes any machine that fits, not only those that name it.
    pub is_open: bool,
    /// EC2 may take its machines back.
    pub is_interruptible: bool,
    /// Seconds since the epoch; none: until it is cancelled.
    pub ends_at: Option<i64>,
    /// Machines left in it.
    pub n_left: u32,
}

impl CapacityReservation {
    /// Whether it is too near its end for machines to go into it, or to stay.
    pub fn is_expiring(&self, now: i64) -> bool {
        self.kind == ReservationKind::CapacityBlock && self.ends_at.is_some_and(|end| now >= end - BEFORE_END)
    }
}

impl ReservationTerm {
    fn filters(&self) -> Vec<Filter> {
        let filter = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
        let mut filters = vec![filter("state", "active")];
        if self.id.is_some() {
            return filters;
        }
        filters.extend(self.owner.as_ref().map(|owner| filter("owner-id", owner)));
        filters.extend(self.criteria.as_ref().map(|criteria| filter("instance-match-criteria", criteria)));
        filters.extend(self.tags.iter().map(|(key, value)| match value.as_str() {
            "*" => filter("tag-key", key),
            value => filter(&format!("tag:{key}"), value),
        }));
        filters
    }
}

/// The reservations of a class that have not ended at `now`, by id. One that is named and is not there is left out.
///
/// # Errors
/// When EC2 cannot be asked.
pub async fn reservations(
    clients: &Clients,
    terms: &[ReservationTerm],
    now: i64,
) -> Result<Vec<CapacityReservation>, Fault> {
    let mut found = Vec::new();
    for term in terms {
        let filters = term.filters();
        let send = |token| {
            let call = clients.ec2.describe_capacity_reservations().set_filters(Some(filters.clone()));
            let call = call.set_next_token(token);
            match &term.id {
                Some(id) => call.capacity_reservation_ids(id).send(),
                None => call.max_results(PAGE).send(),
            }
        };
        let asked = pages(clients, "ec2:DescribeCapacityReservations", send, |page| {
            found.extend(page.capacity_reservations().iter().filter_map(read));
            page.next_token
        });
        match asked.await {
            Ok(()) | Err(Fault { kind: Kind::NotFound, .. }) => {}
            Err(fault) => return Err(fault),
        }
    }
    found.retain(|one: &CapacityReservation| one.ends_at.is_none_or(|end| end > now));
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found.dedup_by(|later, first| later.id == first.id);
    Ok(found)
}

/// A reservation in our words; nothing for a kind that we do not know, which nothing is bought from.
fn read(one: &aws_sdk_ec2::types::CapacityReservation) -> Option<CapacityReservation> {
    let kind = match one.reservation_type() {
        None | Some(CapacityReservationType::Default) => ReservationKind::Default,
        Some(CapacityReservationType::CapacityBlock) => ReservationKind::CapacityBlock,
        Some(_) => return None,
    };
    let is_open = match one.instance_match_criteria()?.as_str() {
        "open" => true,
        "targeted" => false,
        _ => return None,
    };
    Some(CapacityReservation {
        id: one.capacity_reservation_id()?.to_owned(),
        instance_type: one.instance_type()?.to_owned(),
        zone: one.availability_zone()?.to_owned(),
        owner: one.owner_id().unwrap_or_default().to_owned(),
        kind,
        is_open,
        is_interruptible: one.interruptible().unwrap_or_default(),
        ends_at: one.end_date().map(aws_smithy_types::DateTime::secs),
        n_left: one.available_instance_count().and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
    })
}

/// The placement group of an id, or else of a name; none if there is no such group.
///
/// # Errors
/// When EC2 cannot be asked, or names a strategy that we do not know.
pub async fn placement_group(
    clients: &Clients,
    id: Option<&str>,
    name: Option<&str>,
) -> Result<Option<PlacementGroup>, Fault> {
    const ACTION: &str = "ec2:DescribePlacementGroups";
    let available = Filter::builder().name("state").values("available").build();
    let ids = id.map(|id| vec![id.to_owned()]);
    let names = name.filter(|_| id.is_none()).map(|name| vec![name.to_owned()]);
    let answer = again(clients, ACTION, || {
        let call = clients.ec2.describe_placement_groups().filters(available.clone());
        call.set_group_ids(ids.clone()).set_group_names(names.clone()).send()
    });
    let answer = match answer.await {
        Err(Fault { kind: Kind::NotFound, .. }) => return Ok(None),
        answer => answer?,
    };
    let Some(group) = answer.placement_groups().first() else { return Ok(None) };
    let id = group.group_id().unwrap_or_default().to_owned();
    let n_partitions = group.partition_count().and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
    let strategy = match group.strategy() {
        Some(Ec2Strategy::Cluster) => PlacementStrategy::Cluster,
        Some(Ec2Strategy::Spread) => PlacementStrategy::Spread,
        Some(Ec2Strategy::Partition) => PlacementStrategy::Partition(n_partitions.max(1)),
        other => {
            let message = format!("the strategy {} of {id} is not known", other.map_or("", |other| other.as_str()));
            return Err(Fault { action: ACTION, kind: Kind::Refused, code: String::new(), message });
        }
    };
    Ok(Some(PlacementGroup { id, strategy }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_left_alone_before_its_end_and_other_reservations_are_not() {
        let one = |kind, ends_at| CapacityReservation {
            id: "cr-1".into(),
            instance_type: "p5.48xlarge".into(),
            zone: "a".into(),
            owner: "1".into(),
            kind,
            is_open: false,
            is_interruptible: false,
            ends_at,
            n_left: 1,
        };
        let block = one(ReservationKind::CapacityBlock, Some(10_000));
        assert!(!block.is_expiring(7_599) && block.is_expiring(7_600) && block.is_expiring(20_000));
        assert!(!one(ReservationKind::Default, Some(10_000)).is_expiring(9_999));
        assert!(!one(ReservationKind::CapacityBlock, None).is_expiring(9_999));
    }
}
