//! From the class as an API object to what the seller and the catalogue go by.

use std::collections::BTreeMap;

use cloud::aws::reserve::{self, ReservationTerm};
use cloud::aws::resolve::Term;
use cloud::aws::{Device, Image, Metadata, NodeClass, Subnet, Tracking};
use cloud::catalog::{AmiFamily, BlockDevice, CapacityReservation, ClassZone, Ec2Class, Kubelet, NetworkInterface};
use crds::Ec2NodeClass;
use crds::ec2_node_class::{
    AmiSelectorTerm, CapacityReservationSelectorTerm, Ec2NodeClassSpec, InstanceMatchCriteria, InterfaceType, OnOff,
    SecurityGroupSelectorTerm, SubnetSelectorTerm, Tokens,
};
use planner::model::{Operator, Quantity, Requirement, Requirements};

use super::market::Kept;
use crate::observe::kubelet::entries::of_catalog;

const GIB: i64 = 1 << 30;

pub(super) fn family(spec: &Ec2NodeClassSpec) -> Option<AmiFamily> {
    AmiFamily::parse(spec.resolved_ami_family()?.as_str())
}

/// What machines are made from. `seen` are the class's subnets with their free addresses, if they were looked up, `kept` what
/// is kept for its machines; `reserved_capacity` is the feature gate.
pub(super) fn node_class(class: &Ec2NodeClass, seen: &[Subnet], kept: &Kept, reserved_capacity: bool) -> NodeClass {
    let spec = &class.spec;
    let status = class.status.clone().unwrap_or_default();
    let images = status.amis.iter().map(|ami| Image {
        id: ami.id.as_str().into(),
        name: ami.name.clone().unwrap_or_default(),
        requirements: requirements(&ami.requirements),
        is_deprecated: ami.deprecated.unwrap_or_default(),
    });
    NodeClass {
        name: class.metadata.name().to_owned(),
        family: family(spec),
        images: images.collect(),
        subnets: subnets(class, seen),
        security_groups: status.security_groups.iter().map(|group| group.id.as_str().into()).collect(),
        profile: status.instance_profile.unwrap_or_default(),
        user_data: spec.user_data.clone(),
        tags: spec.tags.clone().unwrap_or_default(),
        kubelet: spec.kubelet.clone().unwrap_or_default(),
        kubelets: BTreeMap::new(),
        devices: devices(spec),
        raid0: spec.instance_store_policy.is_some(),
        interfaces: interfaces(spec),
        public_ip: spec.associate_public_ip_address,
        ip_prefixes: spec.ip_prefix_count,
        detailed_monitoring: spec.detailed_monitoring.unwrap_or_default(),
        metadata: metadata(spec),
        tracking: spec.connection_tracking.as_ref().map(|tracking| Tracking {
            tcp_established: tracking.tcp_established_timeout,
            udp_stream: tracking.udp_stream_timeout,
            udp: tracking.udp_timeout,
        }),
        nested_virtualization: spec
            .cpu_options
            .as_ref()
            .and_then(|options| options.nested_virtualization)
            .map(|nested| nested == OnOff::Enabled),
        context: spec.context.clone(),
        placement_group: kept.placement.as_ref().map(|group| group.id.clone()),
        shuns_open_reservations: reserved_capacity,
    }
    .with_devices_of_family()
}

/// The subnets of a class; `seen` are those that were looked up, with their free addresses. One that nobody has counted is
/// taken to have room: EC2 says if not.
pub(super) fn subnets(class: &Ec2NodeClass, seen: &[Subnet]) -> Vec<Subnet> {
    let written = class.status.iter().flat_map(|status| &status.subnets);
    let one = |subnet: &crds::ec2_node_class::Subnet| {
        let seen = seen.iter().find(|seen| *seen.id == subnet.id);
        Subnet {
            id: subnet.id.as_str().into(),
            zone: subnet.zone.as_str().into(),
            zone_id: subnet.zone_id.as_deref().unwrap_or_default().into(),
            available: seen.map_or(i64::from(u16::MAX), |seen| seen.available),
            look: seen.map_or(0, |seen| seen.look),
        }
    };
    written.map(one).collect()
}

pub(super) fn requirements(of: &[crds::LabelRequirement]) -> Requirements {
    let mut all = Requirements::new();
    for one in of {
        if let Some(operator) = Operator::parse(one.operator.as_str()) {
            all.add(Requirement::new(&one.key, operator, one.values.iter().map(String::as_str)));
        }
    }
    all
}

fn metadata(spec: &Ec2NodeClassSpec) -> Metadata {
    let default = Metadata::default();
    let Some(options) = &spec.metadata_options else { return default };
    let is_on = |of: Option<OnOff>, default| of.map_or(default, |of| of == OnOff::Enabled);
    Metadata {
        endpoint: is_on(options.http_endpoint, default.endpoint),
        ipv6: is_on(options.http_protocol_ipv6, default.ipv6),
        hop_limit: options
            .http_put_response_hop_limit
            .and_then(|limit| i32::try_from(limit).ok())
            .unwrap_or(default.hop_limit),
        tokens: options.http_tokens.map_or(default.tokens, |tokens: Tokens| tokens.as_str().to_owned()),
    }
}

fn interfaces(spec: &Ec2NodeClassSpec) -> Vec<NetworkInterface> {
    let of = |at: i32| u32::try_from(at).unwrap_or_default();
    let all = spec.network_interfaces.iter().flatten();
    all.map(|one| NetworkInterface {
        network_card: of(one.network_card_index),
        device: of(one.device_index),
        efa_only: one.interface_type != InterfaceType::Interface,
    })
    .collect()
}

fn devices(spec: &Ec2NodeClassSpec) -> Vec<Device> {
    let narrow = |wide: Option<i64>| wide.and_then(|wide| i32::try_from(wide).ok());
    let all = spec.block_device_mappings.iter().flatten();
    all.map(|mapping| {
        let ebs = mapping.ebs.clone().unwrap_or_default();
        // EC2 counts in whole GiB.
        let size = ebs.volume_size.as_ref().and_then(|size| Quantity::parse(size.as_str()).ok());
        let gib = size.map(|size| (size.value() + GIB - 1) / GIB);
        Device {
            name: mapping.device_name.clone().unwrap_or_default(),
            delete_on_termination: ebs.delete_on_termination,
            encrypted: ebs.encrypted,
            iops: narrow(ebs.iops),
            throughput: narrow(ebs.throughput),
            kms_key: ebs.kms_key_id,
            snapshot: ebs.snapshot_id,
            initialization_rate: ebs.volume_initialization_rate,
            gib: narrow(gib),
            kind: ebs.volume_type.map(|kind| kind.as_str().to_owned()),
        }
    })
    .collect()
}

/// What decides which types there are under the class and what their nodes have.
pub(super) fn catalog_class(class: &Ec2NodeClass, kept: &Kept, now: i64) -> Ec2Class {
    let spec = &class.spec;
    let subnets = class.status.iter().flat_map(|status| &status.subnets);
    let mut zones: Vec<ClassZone> = Vec::new();
    for subnet in subnets {
        if !zones.iter().any(|zone| zone.zone == subnet.zone) {
            zones.push(ClassZone { zone: subnet.zone.clone(), zone_id: subnet.zone_id.clone() });
        }
    }
    zones.sort_by(|a, b| a.zone.cmp(&b.zone));
    let devices = spec.block_device_mappings.iter().flatten().map(|mapping| BlockDevice {
        device_name: mapping.device_name.clone(),
        root_volume: mapping.root_volume.unwrap_or_default(),
        volume_size: mapping.ebs.as_ref().and_then(|ebs| Some(ebs.volume_size.as_ref()?.as_str().to_owned())),
    });
    Ec2Class {
        ami_family: family(spec),
        zones,
        kubelet: kubelet(spec),
        block_devices: devices.collect(),
        instance_store_raid0: spec.instance_store_policy.is_some(),
        network_interfaces: interfaces(spec),
        connection_tracking: spec.connection_tracking.is_some(),
        nested_virtualization: spec
            .cpu_options
            .as_ref()
            .is_some_and(|options| options.nested_virtualization == Some(OnOff::Enabled)),
        placement_group: kept.placement.clone(),
        capacity_reservations: kept.reservations.iter().map(|one| reservation(one, now)).collect(),
    }
}

fn reservation(one: &reserve::CapacityReservation, now: i64) -> CapacityReservation {
    CapacityReservation {
        id: one.id.clone(),
        instance_type: one.instance_type.clone(),
        zone: one.zone.clone(),
        kind: one.kind,
        interruptible: one.is_interruptible,
        expiring: one.is_expiring(now),
        count: one.n_left,
    }
}

pub(super) fn reservation_terms(terms: &[CapacityReservationSelectorTerm]) -> Vec<ReservationTerm> {
    let criteria = |of: InstanceMatchCriteria| match of {
        InstanceMatchCriteria::Open => "open".to_owned(),
        InstanceMatchCriteria::Targeted => "targeted".to_owned(),
    };
    let one = |term: &CapacityReservationSelectorTerm| ReservationTerm {
        id: term.id.clone(),
        owner: term.owner_id.clone(),
        criteria: term.instance_match_criteria.map(criteria),
        tags: tags(&term.tags),
    };
    terms.iter().map(one).collect()
}

fn kubelet(spec: &Ec2NodeClassSpec) -> Kubelet {
    spec.kubelet.as_ref().map(of_catalog).unwrap_or_default()
}

fn tags(of: &BTreeMap<String, String>) -> Vec<(String, String)> {
    of.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

pub(super) fn subnet_terms(terms: &[SubnetSelectorTerm]) -> Vec<Term> {
    terms.iter().map(|term| Term { id: term.id.clone(), tags: tags(&term.tags), ..Term::default() }).collect()
}

pub(super) fn group_terms(terms: &[SecurityGroupSelectorTerm]) -> Vec<Term> {
    let one = |term: &SecurityGroupSelectorTerm| Term {
        id: term.id.clone(),
        name: term.name.clone(),
        tags: tags(&term.tags),
        owner: None,
    };
    terms.iter().map(one).collect()
}

/// Terms that EC2 itself can answer; aliases and parameters are SSM's.
pub(super) fn image_terms(terms: &[AmiSelectorTerm]) -> Vec<Term> {
    let own = terms.iter().filter(|term| term.alias.is_none() && term.ssm_parameter.is_none());
    let one = |term: &AmiSelectorTerm| Term {
        id: term.id.clone(),
        name: term.name.clone(),
        owner: term.owner.clone(),
        tags: tags(&term.tags),
    };
    own.map(one).collect()
}
