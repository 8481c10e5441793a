//! What each node class sells.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use cloud::catalog::{
    AmiFamily, BlockDevice, CapacityReservation, CatalogError, ClassZone, Ec2Class, Ec2Settings, Kubelet, KwokSettings,
    KwokTypes, NetworkInterface, ReservationKind, ec2, kwok,
};
use planner::model::InstanceType;
use planner::model::catalog::Catalog;

use super::super::error::InputError;
use super::super::k8s::karpenter::ClassRef;
use super::super::k8s::meta::condition;
use super::super::k8s::{Condition, Ec2NodeClass, KwokNodeClass};
use super::super::kubelet;
use super::super::objects::{Objects, Sourced};
use super::super::options::Options;
use super::super::scheduler::read_text;
use super::at::At;

pub(super) const EC2: (&str, &str) = ("karpenter.k8s.aws", "EC2NodeClass");
pub(super) const KWOK: (&str, &str) = ("karpenter.kwok.sh", "KWOKNodeClass");

/// Node classes by reference, each catalogue made once.
pub(super) struct Classes<'a> {
    objects: &'a Objects,
    options: &'a Options,
    made: BTreeMap<ClassRef, Catalog>,
    given: Option<&'a Catalogs>,
}

/// What each class sells, as the cloud says.
pub type Catalogs = BTreeMap<cloud::ClassRef, Catalog>;

/// What is known of a class.
pub(super) enum Found {
    /// No provider of ours has such classes.
    Foreign,
    Missing,
    /// With why it cannot be used yet.
    Here {
        unready: Option<String>,
    },
}

impl<'a> Classes<'a> {
    pub(super) fn new(objects: &'a Objects, options: &'a Options, given: Option<&'a Catalogs>) -> Self {
        Self { objects, options, made: BTreeMap::new(), given }
    }

    fn ec2_class(&self, name: &str) -> Option<&'a Sourced<Ec2NodeClass>> {
        self.objects.ec2_classes.iter().map(|class| &**class).find(|class| &*class.object.metadata.name == name)
    }

    fn kwok_class(&self, name: &str) -> Option<&'a Sourced<KwokNodeClass>> {
        self.objects.kwok_classes.iter().map(|class| &**class).find(|class| &*class.object.metadata.name == name)
    }

    /// Is the class there, and ready? `asked`: a status must say so.
    pub(super) fn find(&self, class: &ClassRef, asked: bool) -> Found {
        let here = |deleting: bool, conditions: Option<&[Condition]>, ready_at_birth: bool| {
            let unready = match (deleting, conditions) {
                (true, _) => Some("is being deleted".into()),
                (false, Some(conditions)) => readiness(conditions),
                (false, None) if asked && !ready_at_birth => Some("has no status yet".into()),
                (false, None) => None,
            };
            Found::Here { unready: unready.filter(|_| asked || deleting) }
        };
        match (&*class.group, &*class.kind) {
            EC2 => self.ec2_class(&class.name).map_or(Found::Missing, |c| {
                let conditions = c.object.status.as_ref().map(|status| status.conditions.as_slice());
                here(c.object.metadata.deleting(), conditions, false)
            }),
            KWOK => self.kwok_class(&class.name).map_or(Found::Missing, |c| {
                let conditions = c.object.status.as_ref().map(|status| status.conditions.as_slice());
                here(c.object.metadata.deleting(), conditions, true)
            }),
            _ => Found::Foreign,
        }
    }

    /// What the class' controller would say against its `spec.kubelet`; a running controller says it in the status.
    pub(super) fn invalid(&self, class: &ClassRef) -> Option<String> {
        if self.given.is_some() || (&*class.group, &*class.kind) != EC2 {
            return None;
        }
        kubelet_fault(&self.ec2_class(&class.name)?.object).map(|fault| fault.to_string())
    }

    /// What it sells; a class that is not there sells what its kind usually does.
    pub(super) fn catalog(&mut self, class: &ClassRef) -> Result<Catalog, InputError> {
        if let Some(given) = self.given {
            let ClassRef { group, kind, name } = class.clone();
            return Ok(given.get(&cloud::ClassRef { group, kind, name }).cloned().unwrap_or_default());
        }
        if let Some(made) = self.made.get(class) {
            return Ok(made.clone());
        }
        let types = match (&*class.group, &*class.kind) {
            EC2 => self.ec2(class)?,
            KWOK => self.kwok()?,
            _ => Vec::new(),
        };
        Ok(match self.made.entry(class.clone()) {
            Entry::Occupied(made) => made.get().clone(),
            Entry::Vacant(free) => free.insert(Arc::new(types)).clone(),
        })
    }

    fn kwok(&self) -> Result<Vec<InstanceType>, InputError> {
        let types = match &self.options.instance_types_file {
            None => KwokTypes::Generated,
            Some(path) => KwokTypes::File {
                name: path.to_string_lossy().into_owned(),
                json: read_text(path, "--instance-types-file-path")?,
            },
        };
        kwok(&KwokSettings { types, unavailable: self.options.unavailable.clone() }).map_err(|error| of_option(&error))
    }

    fn ec2(&self, class: &ClassRef) -> Result<Vec<InstanceType>, InputError> {
        let source = self.ec2_class(&class.name);
        let settings = Ec2Settings {
            region: self.options.region.clone(),
            zones: self.options.zones.clone(),
            class: source.map(|class| self.inputs(class)).transpose()?.unwrap_or_default(),
            prices: self.options.prices.clone(),
            unavailable: self.options.unavailable.clone(),
            ..Ec2Settings::default()
        };
        ec2(&settings).map_err(|error| match (&error, source) {
            (CatalogError::Quantity { field, .. } | CatalogError::Threshold { field, .. }, Some(class)) => {
                let at = At::new(&class.origin, EC2.1, &class.object.metadata, "spec");
                at.fault(field, "", error.to_string()).remedy("write a quantity such as 100m or 512Mi")
            }
            _ => of_option(&error),
        })
    }

    fn inputs(&self, class: &Sourced<Ec2NodeClass>) -> Result<Ec2Class, InputError> {
        let (spec, status) = (&class.object.spec, class.object.status.as_ref());
        let at = At::new(&class.origin, EC2.1, &class.object.metadata, "spec");
        let unsigned = |field: &str, value: i64| {
            u32::try_from(value).map_err(|_| {
                at.fault(field, &value.to_string(), "is out of range").remedy("write a whole number from 0")
            })
        };
        Ok(Ec2Class {
            ami_family: family(&class.object),
            zones: status
                .into_iter()
                .flat_map(|status| &status.subnets)
                .map(|subnet| ClassZone {
                    zone: subnet.zone.to_string(),
                    zone_id: (!subnet.zone_id.is_empty()).then(|| subnet.zone_id.to_string()),
                })
                .collect(),
            // An expression is for the controller to evaluate, per type; of a class that is not valid nothing is bought.
            kubelet: match kubelet_fault(&class.object) {
                None => kubelet::entries::of_catalog(&spec.kubelet),
                Some(_) => Kubelet::default(),
            },
            block_devices: spec
                .block_device_mappings
                .iter()
                .map(|mapping| BlockDevice {
                    device_name: (!mapping.device_name.is_empty()).then(|| mapping.device_name.to_string()),
                    root_volume: mapping.root_volume,
                    volume_size: mapping.ebs.volume_size.as_ref().map(|size| size.0.to_string()),
                })
                .collect(),
            instance_store_raid0: &*spec.instance_store_policy == "RAID0",
            network_interfaces: spec
                .network_interfaces
                .iter()
                .map(|interface| {
                    Ok(NetworkInterface {
                        network_card: unsigned("networkInterfaces.networkCardIndex", interface.network_card_index)?,
                        device: unsigned("networkInterfaces.deviceIndex", interface.device_index)?,
                        efa_only: &*interface.interface_type == "efa-only",
                    })
                })
                .collect::<Result<_, InputError>>()?,
            connection_tracking: spec.connection_tracking.is_some(),
            nested_virtualization: &*spec.cpu_options.nested_virtualization == "enabled",
            placement_group: None,
            capacity_reservations: status
                .into_iter()
                .filter(|_| self.options.feature_gates.reserved_capacity)
                .flat_map(|status| &status.capacity_reservations)
                .map(|r| CapacityReservation {
                    id: r.id.to_string(),
                    instance_type: r.instance_type.to_string(),
                    zone: r.availability_zone.to_string(),
                    kind: if &*r.reservation_type == "capacity-block" {
                        ReservationKind::CapacityBlock
                    } else {
                        ReservationKind::Default
                    },
                    interruptible: r.interruptible,
                    expiring: &*r.state == "expiring",
                    // The status does not say how much is left; one is what it stands for.
                    count: 1,
                })
                .collect(),
        })
    }
}

/// What is wrong with the kubelet's settings of a class.
pub(crate) fn kubelet_fault(class: &Ec2NodeClass) -> Option<kubelet::Fault> {
    // Where a controller found the class to be valid, expressions are switched on.
    let is_valid = class.status.as_ref().is_some_and(|status| {
        let verdict =
            condition(&status.conditions, "ValidationSucceeded").or_else(|| condition(&status.conditions, "Ready"));
        verdict.is_some_and(|verdict| &*verdict.status == "True")
    });
    kubelet::fault(&class.spec.kubelet, family(class), is_valid)
}

/// The family of its images.
fn family(class: &Ec2NodeClass) -> Option<AmiFamily> {
    let spec = &class.spec;
    let alias = spec.ami_selector_terms.iter().map(|term| &*term.alias).find(|alias| !alias.is_empty());
    let named = if spec.ami_family.is_empty() { alias } else { Some(&*spec.ami_family) };
    named.and_then(AmiFamily::parse)
}

/// Why a class or pool with these conditions is not ready.
pub(super) fn readiness(conditions: &[Condition]) -> Option<String> {
    match condition(conditions, "Ready") {
        Some(ready) if &*ready.status == "True" => None,
        Some(ready) => {
            let detail: Vec<&str> =
                [&*ready.reason, &*ready.message].into_iter().filter(|part| !part.is_empty()).collect();
            let colon = if detail.is_empty() { "" } else { ": " };
            Some(format!("is not ready{colon}{}", detail.join(", ")))
        }
        None => Some("has no Ready condition yet".into()),
    }
}

pub(super) fn of_option(error: &CatalogError) -> InputError {
    let message = error.to_string();
    let (option, remedy) = match error {
        CatalogError::Region { .. } => ("--region", "name one of the regions listed"),
        CatalogError::Zone { .. } => ("--zones", "name zones of the region, or set --region"),
        CatalogError::Pattern { .. } => ("--unavailable", "write TYPE/ZONE/CAPACITY_TYPE; * stands for any"),
        CatalogError::Price { .. } => ("--prices", "mend the line named"),
        CatalogError::InstanceTypes { .. } => {
            ("--instance-types-file-path", "mend the file, or leave the option out for the generated types")
        }
        _ => return InputError::new(message),
    };
    InputError::new(message).field(option).remedy(remedy)
}
