//! A fleet of one: what is asked, and what its answer says of the pools that had nothing.

use std::collections::BTreeMap;

use aws_sdk_ec2::operation::create_fleet::CreateFleetOutput;
use aws_sdk_ec2::operation::create_fleet::builders::CreateFleetFluentBuilder;
use aws_sdk_ec2::types::{
    DefaultTargetCapacityType, FleetLaunchTemplateConfigRequest, FleetLaunchTemplateOverridesRequest,
    FleetLaunchTemplateSpecificationRequest, FleetOnDemandAllocationStrategy, FleetReservationType, FleetType,
    OnDemandOptionsRequest, ReservedCapacityOptionsRequest, ResourceType, SpotAllocationStrategy, SpotOptionsRequest,
    TagSpecification, TargetCapacitySpecificationRequest,
};
use planner::model::{CapacityType, Str};

use super::client::Clients;
use super::template::{Reservation, tag_list};
use crate::{Because, LaunchError, Offer, OfferingKey};

/// One way to fill the fleet.
#[derive(Clone, Debug)]
pub(super) struct Way<'a> {
    pub offer: &'a Offer,
    pub subnet: Str,
    pub image: Str,
    /// Name of the launch template.
    pub template: String,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Fleet<'a> {
    pub token: String,
    pub capacity_type: CapacityType,
    pub reservation: Option<Reservation>,
    pub ways: Vec<Way<'a>>,
    /// Prices were changed by an overlay: EC2 is to go by ours.
    pub by_priority: bool,
    pub context: Option<String>,
    pub tags: BTreeMap<String, String>,
}

impl Fleet<'_> {
    pub fn call(&self, clients: &Clients) -> CreateFleetFluentBuilder {
        // In the order of the ways: of equals the first is taken, and the names of templates have no order.
        let mut by_template: Vec<(&str, Vec<FleetLaunchTemplateOverridesRequest>)> = Vec::new();
        for way in &self.ways {
            let one = FleetLaunchTemplateOverridesRequest::builder()
                .instance_type(way.offer.key.instance_type.parse().unwrap_or_else(|never| match never {}))
                .subnet_id(&*way.subnet)
                .image_id(&*way.image)
                .availability_zone(&*way.offer.key.zone)
                .priority(way.offer.price.0 as f64 / 1e6);
            match by_template.iter_mut().find(|(template, _)| *template == way.template) {
                Some((_, overrides)) => overrides.push(one.build()),
                None => by_template.push((&way.template, vec![one.build()])),
            }
        }
        let configs = by_template.into_iter().map(|(template, overrides)| {
            let named = FleetLaunchTemplateSpecificationRequest::builder();
            let named = named.launch_template_name(template).version("$Latest").build();
            FleetLaunchTemplateConfigRequest::builder()
                .launch_template_specification(named)
                .set_overrides(Some(overrides))
                .build()
        });
        let tagged = [ResourceType::Instance, ResourceType::Volume, ResourceType::Fleet]
            .map(|kind| TagSpecification::builder().resource_type(kind).set_tags(Some(tag_list(&self.tags))).build());
        let (target, is_block) = match (&self.reservation, self.capacity_type) {
            (Some(Reservation { is_block: true, .. }), _) => (DefaultTargetCapacityType::CapacityBlock, true),
            (Some(Reservation { is_interruptible: true, .. }), _) => {
                (DefaultTargetCapacityType::ReservedCapacity, false)
            }
            (_, CapacityType::Spot) => (DefaultTargetCapacityType::Spot, false),
            _ => (DefaultTargetCapacityType::OnDemand, false),
        };
        let spot = if self.by_priority {
            SpotAllocationStrategy::CapacityOptimizedPrioritized
        } else {
            SpotAllocationStrategy::PriceCapacityOptimized
        };
        let on_demand = if self.by_priority {
            FleetOnDemandAllocationStrategy::Prioritized
        } else {
            FleetOnDemandAllocationStrategy::LowestPrice
        };
        let capacity = TargetCapacitySpecificationRequest::builder()
            .total_target_capacity(1)
            .default_target_capacity_type(target.clone())
            .build();
        let interruptible = ReservedCapacityOptionsRequest::builder()
            .reservation_types(FleetReservationType::InterruptibleCapacityReservation)
            .build();
        clients
            .ec2
            .create_fleet()
            .r#type(FleetType::Instant)
            .client_token(&self.token)
            .set_context(self.context.clone())
            .set_launch_template_configs(Some(configs.collect()))
            .target_capacity_specification(capacity)
            .set_spot_options(
                (target == DefaultTargetCapacityType::Spot)
                    .then(|| SpotOptionsRequest::builder().allocation_strategy(spot).build()),
            )
            .set_reserved_capacity_options(
                (target == DefaultTargetCapacityType::ReservedCapacity).then_some(interruptible),
            )
            .set_on_demand_options(
                (!is_block).then(|| OnDemandOptionsRequest::builder().allocation_strategy(on_demand).build()),
            )
            .set_tag_specifications(Some(tagged.into()))
    }
}

/// Codes that mean: not here, not now.
const NO_CAPACITY: [&str; 9] = [
    "InsufficientInstanceCapacity",
    "MaxSpotInstanceCountExceeded",
    "VcpuLimitExceeded",
    "UnfulfillableCapacity",
    UNSUPPORTED,
    FULL_SUBNET,
    "MaxFleetCountExceeded",
    "ReservationCapacityExceeded",
    NO_SPOT_ROLE,
];
/// Not sold in this zone, or not in the configuration that is asked for, which is the class'.
const UNSUPPORTED: &str = "Unsupported";
/// With [`UNSUPPORTED`]: it is about the zone.
const IN_ZONE: &str = "in your requested Availability Zone";
pub(super) const FULL_SUBNET: &str = "InsufficientFreeAddressesInSubnet";
/// Said of a spread placement group that takes no more machines in a zone, of whatever type.
const FULL_SPREAD: &str = "limit of instances in this spread placement group";
/// The account has no service-linked role for spot and we may not make it.
const NO_SPOT_ROLE: &str = "AuthFailure.ServiceLinkedRoleCreationNotPermitted";

/// What the fleet came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    /// Id of the machine and the place of its way; no place if the answer names none that was asked for.
    pub bought: Option<(String, Option<usize>)>,
    /// Pools that had nothing.
    pub refused: Vec<crate::Refused>,
    /// Subnets that are full.
    pub full: Vec<Str>,
    /// The reason of each error that is about a pool, with the place of its way.
    pub failed: Vec<(usize, &'static str)>,
    /// Errors in words, each once.
    pub errors: Vec<Said>,
}

/// Why a pool gave nothing, in EC2's words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Said {
    pub code: String,
    pub message: String,
}

impl Said {
    fn is_capacity(&self) -> bool {
        NO_CAPACITY.contains(&self.code.as_str())
    }

    fn because(&self) -> Because {
        let is_about_zone = self.code == UNSUPPORTED && self.message.contains(IN_ZONE);
        if is_about_zone { Because::Unsupported } else { Because::Stock }
    }
}

impl Outcome {
    pub fn read(fleet: &Fleet<'_>, answer: &CreateFleetOutput) -> Self {
        let place = |instance_type: Option<&str>, subnet: Option<&str>, zone: Option<&str>| {
            let is_it = |way: &Way<'_>| {
                instance_type.is_some_and(|name| name == &*way.offer.key.instance_type)
                    && match (subnet, zone) {
                        (Some(subnet), _) => subnet == &*way.subnet,
                        (None, Some(zone)) => zone == &*way.offer.key.zone,
                        (None, None) => false,
                    }
            };
            fleet.ways.iter().position(is_it)
        };
        let mut outcome =
            Self { bought: None, refused: Vec::new(), full: Vec::new(), failed: Vec::new(), errors: Vec::new() };
        for error in answer.errors() {
            let overrides = error.launch_template_and_overrides().and_then(|of| of.overrides());
            let instance_type =
                overrides.and_then(|one| one.instance_type()).map(aws_sdk_ec2::types::InstanceType::as_str);
            let zone = overrides.and_then(|one| one.availability_zone());
            let at = place(instance_type, overrides.and_then(|one| one.subnet_id()), zone);
            let refused = Said {
                code: error.error_code().unwrap_or_default().to_owned(),
                message: error.error_message().unwrap_or_default().to_owned(),
            };
            outcome.failed.extend(at.map(|at| (at, super::fault::reason(&refused.code, &refused.message))));
            if refused.code == NO_SPOT_ROLE {
                let key = OfferingKey::all_of(CapacityType::Spot);
                outcome.refused.push(crate::Refused { key, because: Because::Account });
            } else if let Some(way) = at.map(|at| &fleet.ways[at]).filter(|_| refused.is_capacity()) {
                let of = |way: &Way<'_>| crate::Refused { key: way.offer.key.clone(), because: refused.because() };
                if refused.code == FULL_SUBNET {
                    // Says nothing of the pool, which classes with other subnets may buy from.
                    outcome.full.push(way.subnet.clone());
                } else if refused.message.contains(FULL_SPREAD) {
                    let zone = &way.offer.key.zone;
                    outcome.refused.extend(fleet.ways.iter().filter(|way| way.offer.key.zone == *zone).map(of));
                } else {
                    outcome.refused.push(of(way));
                }
            }
            outcome.errors.push(refused);
        }
        outcome.refused.sort();
        outcome.refused.dedup();
        outcome.errors.sort();
        outcome.errors.dedup();
        outcome.bought = answer.instances().iter().find_map(|group| {
            let id = group.instance_ids().first()?.clone();
            let overrides = group.launch_template_and_overrides().and_then(|of| of.overrides());
            let instance_type = group.instance_type().or_else(|| overrides.and_then(|one| one.instance_type()));
            let at = place(
                instance_type.map(aws_sdk_ec2::types::InstanceType::as_str),
                overrides.and_then(|one| one.subnet_id()),
                overrides.and_then(|one| one.availability_zone()),
            );
            Some((id, at))
        });
        outcome
    }

    /// What to tell of a fleet that bought nothing.
    pub fn into_error(self) -> LaunchError {
        let words: Vec<String> = self.errors.iter().map(|one| format!("{}: {}", one.code, one.message)).collect();
        let message = if words.is_empty() { "too few instances returned".to_owned() } else { words.join("; ") };
        match self.errors.iter().find(|one| !one.is_capacity()) {
            None => LaunchError::InsufficientCapacity { refused: self.refused, message },
            Some(other) => {
                let reason = super::fault::reason(&other.code, &other.message).to_owned();
                LaunchError::Rejected { reason, message, refused: self.refused }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_sold_in_a_zone_is_left_alone_for_long() {
        let because = |code: &str, message: &str| Said { code: code.into(), message: message.into() }.because();
        let zone = "Your requested instance type (p5.48xlarge) is not supported in your requested Availability Zone (us-west-2d).";
        assert_eq!(because("Unsupported", zone), Because::Unsupported);
        let configuration = "The requested configuration is currently not supported. Please check the documentation for supported configurations.";
        assert_eq!(because("Unsupported", configuration), Because::Stock, "another class may ask for something else");
        assert_eq!(because("InsufficientInstanceCapacity", "none in your requested Availability Zone"), Because::Stock);
    }
}
