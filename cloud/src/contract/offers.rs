//! Which offerings of a catalogue fill a claim, best first.

use planner::model::labels::{CAPACITY_TYPE, INSTANCE_TYPE, RESERVATION_ID, ZONE, well_known};
use planner::model::{CapacityType, InstanceType, Labels, MicroUsdPerHour, Offering, Requirements, Resources, Str};

/// What names an offering.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfferingKey {
    pub instance_type: Str,
    pub zone: Str,
    pub capacity_type: CapacityType,
    /// The reservation it draws on.
    pub reservation: Option<Str>,
}

impl OfferingKey {
    /// Names an offering of an instance type.
    pub fn of(instance_type: &Str, offering: &Offering) -> Self {
        Self {
            instance_type: instance_type.clone(),
            zone: offering.zone.clone(),
            capacity_type: offering.capacity_type,
            reservation: offering.reservation.as_ref().map(|reservation| reservation.id.clone()),
        }
    }

    /// What stands for every offering that is paid for in this way.
    pub fn all_of(capacity_type: CapacityType) -> Self {
        Self { instance_type: ANY.into(), zone: ANY.into(), capacity_type, reservation: None }
    }

    /// Whether it stands for this offering, or is it.
    pub fn names(&self, other: &Self) -> bool {
        let is_any = *self.instance_type == *ANY && *self.zone == *ANY;
        self == other || is_any && self.capacity_type == other.capacity_type
    }

    /// Whether it may stand for an offering of this instance type.
    pub fn is_about(&self, instance_type: &str) -> bool {
        *self.instance_type == *instance_type || *self.instance_type == *ANY
    }
}

/// In a key: whichever.
const ANY: &str = "*";

/// An offering that was asked for and not given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    pub key: OfferingKey,
    pub because: Because,
}

/// Why it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Because {
    /// There is none left, or the account may have no more: minutes may change it.
    Stock,
    /// It is not sold there: that changes rarely.
    Unsupported,
    /// The account lacks what this way to pay takes: somebody has to do something.
    Account,
}

impl From<OfferingKey> for Refused {
    fn from(key: OfferingKey) -> Self {
        Self { key, because: Because::Stock }
    }
}

/// One way to fill an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub price: MicroUsdPerHour,
    pub key: OfferingKey,
    /// Labels of the machine it buys: type, zone, capacity type and everything the provider says.
    pub labels: Labels,
    pub capacity: Resources,
    pub allocatable: Resources,
    /// Machines left in the reservation it draws on.
    pub n_left: Option<u32>,
}

/// The offerings in stock that meet `requirements` and hold `requests`, cheapest first; at equal price reserved before
/// spot before on-demand, then by name and zone.
///
/// A requirement on a key that belongs to the provider and that the machine has not is met only if the label may be
/// missing. Other keys are the claim's own to give.
pub fn offers(types: &[InstanceType], requirements: &Requirements, requests: &Resources) -> Vec<Offer> {
    let mut out = Vec::new();
    for kind in types.iter().filter(|kind| requests.fits(&kind.allocatable)) {
        let of_type = requirements.get(INSTANCE_TYPE).is_none_or(|r| r.has(&kind.name));
        if !of_type {
            continue;
        }
        for offering in kind.offerings.iter().filter(|offering| offering.available) {
            let mut labels = labels_of(kind, offering);
            if settle(kind, requirements, &mut labels) {
                out.push(offer(kind, offering, labels));
            }
        }
    }
    out.sort_by(|a, b| (a.price, a.key.capacity_type, &a.key).cmp(&(b.price, b.key.capacity_type, &b.key)));
    out
}

/// Settles the labels that the type leaves open; false if some requirement cannot be met.
fn settle(kind: &InstanceType, requirements: &Requirements, labels: &mut Labels) -> bool {
    for (key, values) in &kind.open_labels {
        let wanted = requirements.get(key);
        let value = values.iter().find(|value| wanted.is_none_or(|r| r.has(value)));
        match value {
            Some(value) => drop(labels.insert(key.clone(), value.clone())),
            None => return false,
        }
    }
    requirements.iter().all(|r| match labels.get(&r.key) {
        Some(value) => r.has(value),
        None => !well_known(&r.key) || !r.wants_label() || is_of_claim(&r.key),
    })
}

/// Well-known, and said by the claim itself.
fn is_of_claim(key: &str) -> bool {
    key == planner::model::labels::NODEPOOL || key.ends_with("nodeclass")
}

fn labels_of(kind: &InstanceType, offering: &Offering) -> Labels {
    let mut labels = kind.labels.clone();
    labels.extend(offering.labels.iter().map(|(key, value)| (key.clone(), value.clone())));
    labels.insert(ZONE.into(), offering.zone.clone());
    labels.insert(CAPACITY_TYPE.into(), offering.capacity_type.as_str().into());
    if let Some(reservation) = &offering.reservation {
        labels.insert(RESERVATION_ID.into(), reservation.id.clone());
    }
    labels
}

fn offer(kind: &InstanceType, offering: &Offering, labels: Labels) -> Offer {
    Offer {
        price: offering.price,
        key: OfferingKey::of(&kind.name, offering),
        labels,
        capacity: kind.capacity.clone(),
        allocatable: kind.allocatable.clone(),
        n_left: offering.reservation.as_ref().map(|reservation| reservation.count),
    }
}

#[cfg(test)]
mod tests {
    use planner::model::{Operator, Requirement};

    use super::*;
    use crate::catalog::{KwokSettings, UnavailablePattern, kwok};

    fn linux() -> Requirements {
        let mut out = Requirements::new();
        out.add(Requirement::equal("kubernetes.io/os", "linux"));
        out.add(Requirement::equal("karpenter.sh/nodepool", "general"));
        out.add(Requirement::equal("karpenter.kwok.sh/kwoknodeclass", "default"));
        out.add(Requirement::equal("example.com/team", "a"));
        out
    }

    fn names(settings: &KwokSettings, requirements: &Requirements, cpu: i64) -> Vec<String> {
        let types = kwok(settings).unwrap();
        let found = offers(&types, requirements, &Resources::of([("cpu", cpu)]));
        found
            .iter()
            .map(|o| format!("{}/{}/{}", o.key.instance_type, o.key.zone, o.key.capacity_type.as_str()))
            .collect()
    }

    #[test]
    fn the_cheapest_that_holds_the_requests_comes_first() {
        let all = names(&KwokSettings::default(), &linux(), 900);
        assert_eq!(all[0], "c-1x-amd64-linux/test-zone-a/spot");
        // 36 sizes for linux on both architectures, four zones, two ways to pay.
        assert_eq!(all.len(), 36 * 2 * 4 * 2);
        assert_eq!(names(&KwokSettings::default(), &linux(), 901)[0], "c-2x-amd64-linux/test-zone-a/spot");
    }

    #[test]
    fn what_is_out_of_stock_or_not_asked_for_is_no_offer() {
        let settings = KwokSettings {
            unavailable: vec![UnavailablePattern::parse("*/*/spot").unwrap()],
            ..KwokSettings::default()
        };
        let mut wanted = linux();
        wanted.add(Requirement::equal("topology.kubernetes.io/zone", "test-zone-c"));
        let all = names(&settings, &wanted, 900);
        assert_eq!(all[0], "c-1x-amd64-linux/test-zone-c/on-demand");
        assert!(all.iter().all(|name| name.ends_with("test-zone-c/on-demand")));
    }

    #[test]
    fn a_provider_label_that_the_machine_lacks_is_not_made_up() {
        let mut wanted = linux();
        wanted.add(Requirement::new("karpenter.kwok.sh/instance-gpu", Operator::Exists, Vec::<&str>::new()));
        assert!(names(&KwokSettings::default(), &wanted, 1).is_empty());
        let mut wanted = linux();
        wanted.add(Requirement::new("karpenter.kwok.sh/instance-gpu", Operator::DoesNotExist, Vec::<&str>::new()));
        assert!(!names(&KwokSettings::default(), &wanted, 1).is_empty());
    }
}
