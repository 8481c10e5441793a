//! Launch templates: what a group of machines is made from, under a name that says what is in it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use aws_sdk_ec2::types::{
    CapacityReservationPreference, CapacityReservationTarget, ConnectionTrackingSpecificationRequest, Filter,
    LaunchTemplateBlockDeviceMappingRequest, LaunchTemplateCapacityReservationSpecificationRequest,
    LaunchTemplateCpuOptionsRequest, LaunchTemplateEbsBlockDeviceRequest, LaunchTemplateEnclaveOptionsRequest,
    LaunchTemplateHttpTokensState, LaunchTemplateIamInstanceProfileSpecificationRequest,
    LaunchTemplateInstanceMarketOptionsRequest, LaunchTemplateInstanceMetadataEndpointState,
    LaunchTemplateInstanceMetadataOptionsRequest, LaunchTemplateInstanceMetadataProtocolIpv6,
    LaunchTemplateInstanceMetadataTagsState, LaunchTemplateInstanceNetworkInterfaceSpecificationRequest,
    LaunchTemplatePlacementRequest, LaunchTemplateTagSpecificationRequest, LaunchTemplatesMonitoringRequest,
    MarketType, NestedVirtualizationSpecification, RequestLaunchTemplateData, ResourceType, Tag, TagSpecification,
    Tenancy, VolumeType,
};
use tokio::time::Instant;

use super::call::{again, pages};
use super::class::{Device, NodeClass};
use super::client::Clients;
use super::fault::{Fault, Kind};
use super::pace::Pace;

/// Of every template that the cluster uses.
pub(super) const CLUSTER_TAG: &str = "eks:eks-cluster-name";
/// A template that was not used for so long is taken away. Karpenter keeps them for a minute and makes most of them anew.
const KEPT: Duration = Duration::from_mins(30);
/// Regions whose API does not know IPv6 for the metadata service.
const WITHOUT_IPV6: [&str; 6] =
    ["us-iso-east-1", "us-iso-west-1", "us-isob-east-1", "us-isob-west-1", "us-isof-south-1", "us-isof-east-1"];
/// Templates read at a time.
const PAGE: i32 = 200;

/// What machines of a group have in common.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template<'a> {
    pub class: &'a NodeClass,
    pub is_ipv6: bool,
    pub image: &'a str,
    /// Base64.
    pub user_data: String,
    /// Interfaces for RDMA; none asked for: zero.
    pub n_efa: i32,
    pub is_spot: bool,
    pub tenancy: String,
    pub reservation: Option<Reservation>,
    pub enclave: bool,
    pub partition: Option<i32>,
    /// Of everything that is made from it.
    pub tags: BTreeMap<String, String>,
}

/// The reservation that machines draw on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reservation {
    pub id: String,
    pub is_block: bool,
    pub is_interruptible: bool,
}

impl Template<'_> {
    /// What EC2 is told. [`Template::name`] has to know of everything that this looks at.
    fn data(&self, region: &str) -> RequestLaunchTemplateData {
        let class = self.class;
        let profile = LaunchTemplateIamInstanceProfileSpecificationRequest::builder().name(&class.profile).build();
        let monitoring = LaunchTemplatesMonitoringRequest::builder().enabled(class.detailed_monitoring).build();
        let mut placement = LaunchTemplatePlacementRequest::builder().tenancy(Tenancy::from(self.tenancy.as_str()));
        placement = placement.set_group_id(class.placement_group.clone()).set_partition_number(self.partition);
        let mut tagged = vec![ResourceType::NetworkInterface];
        if self.is_spot {
            tagged.push(ResourceType::SpotInstancesRequest);
        }
        let tags = tagged.into_iter().map(|kind| {
            LaunchTemplateTagSpecificationRequest::builder()
                .resource_type(kind)
                .set_tags(Some(tag_list(&self.tags)))
                .build()
        });
        let devices = class.devices.iter().map(device).collect::<Vec<_>>();
        let cpu = class.nested_virtualization.map(|is_on| {
            let state = if is_on {
                NestedVirtualizationSpecification::Enabled
            } else {
                NestedVirtualizationSpecification::Disabled
            };
            LaunchTemplateCpuOptionsRequest::builder().nested_virtualization(state).build()
        });
        RequestLaunchTemplateData::builder()
            .image_id(self.image)
            .user_data(&self.user_data)
            .iam_instance_profile(profile)
            .monitoring(monitoring)
            .set_block_device_mappings(Some(devices).filter(|devices| !devices.is_empty()))
            .metadata_options(self.metadata(region))
            .set_network_interfaces(Some(self.interfaces()))
            .set_cpu_options(cpu)
            .placement(placement.build())
            .set_enclave_options(
                self.enclave.then(|| LaunchTemplateEnclaveOptionsRequest::builder().enabled(true).build()),
            )
            .set_capacity_reservation_specification(self.reservation_specification())
            .set_instance_market_options(self.market())
            .set_tag_specifications(Some(tags.collect()))
            .build()
    }

    fn metadata(&self, region: &str) -> LaunchTemplateInstanceMetadataOptionsRequest {
        use LaunchTemplateInstanceMetadataEndpointState as Endpoint;
        use LaunchTemplateInstanceMetadataProtocolIpv6 as Ipv6;
        let metadata = &self.class.metadata;
        let ipv6 = if metadata.ipv6 { Ipv6::Enabled } else { Ipv6::Disabled };
        let tokens = match metadata.tokens.as_str() {
            "optional" => LaunchTemplateHttpTokensState::Optional,
            _ => LaunchTemplateHttpTokensState::Required,
        };
        LaunchTemplateInstanceMetadataOptionsRequest::builder()
            .http_endpoint(if metadata.endpoint { Endpoint::Enabled } else { Endpoint::Disabled })
            .set_http_protocol_ipv6((!WITHOUT_IPV6.contains(&region)).then_some(ipv6))
            .http_put_response_hop_limit(metadata.hop_limit)
            .http_tokens(tokens)
            // Keys of our tags are none that the metadata service could serve.
            .instance_metadata_tags(LaunchTemplateInstanceMetadataTagsState::Disabled)
            .build()
    }

    fn interfaces(&self) -> Vec<LaunchTemplateInstanceNetworkInterfaceSpecificationRequest> {
        let own = &self.class.interfaces;
        if !own.is_empty() {
            let at = |at: u32| i32::try_from(at).unwrap_or(i32::MAX);
            return own
                .iter()
                .map(|one| {
                    let kind = if one.efa_only { "efa-only" } else { "interface" };
                    self.interface(at(one.network_card), at(one.device), Some(kind), !one.efa_only)
                })
                .collect();
        }
        if self.n_efa > 0 {
            // The first is the machine's own; those on further cards are second on them.
            return (0..self.n_efa).map(|card| self.interface(card, i32::from(card > 0), Some("efa"), true)).collect();
        }
        vec![self.interface(0, 0, None, true)]
    }

    fn interface(
        &self,
        card: i32,
        device: i32,
        kind: Option<&str>,
        has_addresses: bool,
    ) -> LaunchTemplateInstanceNetworkInterfaceSpecificationRequest {
        let class = self.class;
        let groups = class.security_groups.iter().map(ToString::to_string).collect();
        let mut interface = LaunchTemplateInstanceNetworkInterfaceSpecificationRequest::builder()
            .device_index(device)
            .set_network_card_index(kind.map(|_| card))
            .set_interface_type(kind.map(str::to_owned))
            .set_groups(Some(groups));
        if has_addresses {
            interface = interface.set_associate_public_ip_address(class.public_ip);
            interface = match class.ip_prefixes.filter(|n| *n > 0) {
                Some(n) if self.is_ipv6 => interface.ipv6_prefix_count(n),
                Some(n) => interface.ipv4_prefix_count(n),
                None => interface,
            };
            // As by Karpenter: each interface of EFA has an address of its own, of others the machine's first.
            if self.is_ipv6 && (kind == Some("efa") || card == 0 && device == 0) {
                interface = interface.primary_ipv6(true).ipv6_address_count(1);
            }
            interface = interface.set_connection_tracking_specification(class.tracking.map(|tracking| {
                ConnectionTrackingSpecificationRequest::builder()
                    .set_tcp_established_timeout(tracking.tcp_established)
                    .set_udp_stream_timeout(tracking.udp_stream)
                    .set_udp_timeout(tracking.udp)
                    .build()
            }));
        }
        interface.build()
    }

    /// Which reservation machines draw on; none where EC2 is to do as it usually does.
    fn reservation_specification(&self) -> Option<LaunchTemplateCapacityReservationSpecificationRequest> {
        let builder = LaunchTemplateCapacityReservationSpecificationRequest::builder();
        let builder = match &self.reservation {
            None if !self.class.shuns_open_reservations => return None,
            None => builder.capacity_reservation_preference(CapacityReservationPreference::None),
            Some(reservation) => builder
                .capacity_reservation_preference(CapacityReservationPreference::CapacityReservationsOnly)
                .capacity_reservation_target(
                    CapacityReservationTarget::builder().capacity_reservation_id(&reservation.id).build(),
                ),
        };
        Some(builder.build())
    }

    fn market(&self) -> Option<LaunchTemplateInstanceMarketOptionsRequest> {
        let kind = match self.reservation.as_ref()? {
            Reservation { is_block: true, .. } => MarketType::CapacityBlock,
            Reservation { is_interruptible: true, .. } => MarketType::InterruptibleCapacityReservation,
            Reservation { .. } => return None,
        };
        Some(LaunchTemplateInstanceMarketOptionsRequest::builder().market_type(kind).build())
    }
}

fn device(device: &Device) -> LaunchTemplateBlockDeviceMappingRequest {
    let ebs = LaunchTemplateEbsBlockDeviceRequest::builder()
        .set_delete_on_termination(device.delete_on_termination)
        .set_encrypted(device.encrypted)
        .set_iops(device.iops.filter(|iops| *iops > 0))
        .set_throughput(device.throughput.filter(|throughput| *throughput > 0))
        .set_kms_key_id(device.kms_key.clone())
        .set_snapshot_id(device.snapshot.clone())
        .set_volume_initialization_rate(device.initialization_rate)
        .set_volume_size(device.gib)
        .set_volume_type(device.kind.as_deref().map(VolumeType::from));
    LaunchTemplateBlockDeviceMappingRequest::builder().device_name(&device.name).ebs(ebs.build()).build()
}

/// Tags in the SDK's form, sorted by key.
pub(super) fn tag_list(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// FNV-1a with 64 bits: the same for the same text, on every machine.
pub(super) fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The templates that are there, as far as we know, and when each was used last.
#[derive(Debug, Default)]
pub(super) struct Templates {
    used: Mutex<BTreeMap<String, Instant>>,
    /// Held by whoever makes one: a hundred claims that are alike need it made once.
    making: tokio::sync::Mutex<()>,
}

impl Templates {
    fn note(&self, name: &str) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Instant::now());
    }

    /// It turned out not to be there.
    pub fn forget(&self, name: &str) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    fn is_known(&self, name: &str) -> bool {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    /// Makes sure that a template is there; its name. Making one that is there already is no fault: its name says what is
    /// in it.
    pub async fn ensure(&self, clients: &Clients, pace: &Pace, template: &Template<'_>) -> Result<String, Fault> {
        let name = template.name(clients.region());
        if !self.is_known(&name) {
            let _alone = self.making.lock().await;
            if !self.is_known(&name) {
                pace.turn().await;
                make(clients, &name, template).await?;
                self.note(&name);
            }
        }
        self.note(&name);
        Ok(name)
    }

    /// Learns of the templates that earlier runs left, so that they are used or taken away.
    pub async fn hydrate(&self, clients: &Clients, cluster: &str) -> Result<(), Fault> {
        for name in names(clients, &[(&format!("tag:{CLUSTER_TAG}"), cluster)]).await? {
            self.note(&name);
        }
        Ok(())
    }

    /// Takes away what was not used for long.
    pub async fn collect(&self, clients: &Clients, pace: &Pace) -> Result<usize, Fault> {
        let stale: Vec<(String, Instant)> = {
            let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.iter().filter(|(_, at)| at.elapsed() >= KEPT).map(|(name, at)| (name.clone(), *at)).collect()
        };
        let (mut n_gone, mut first) = (0, None);
        for (name, at) in stale {
            // Forgotten before: a launch that comes now makes it anew. One that could not be deleted is tried next time.
            self.forget(&name);
            pace.turn().await;
            match delete(clients, &name).await {
                Ok(()) => n_gone += 1,
                Err(fault) => {
                    self.used.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert(at);
                    first = first.or(Some(fault));
                }
            }
        }
        first.map_or(Ok(n_gone), Err)
    }
}

async fn make(clients: &Clients, name: &str, template: &Template<'_>) -> Result<(), Fault> {
    let tags = TagSpecification::builder()
        .resource_type(ResourceType::LaunchTemplate)
        .set_tags(Some(tag_list(&template.tags)))
        .build();
    let data = template.data(clients.region());
    let made = again(clients, "ec2:CreateLaunchTemplate", || {
        let call = clients.ec2.create_launch_template().launch_template_name(name);
        call.launch_template_data(data.clone()).tag_specifications(tags.clone()).send()
    });
    match made.await {
        Ok(_) | Err(Fault { kind: Kind::AlreadyExists | Kind::TokenMismatch, .. }) => Ok(()),
        Err(fault) => Err(fault),
    }
}

async fn delete(clients: &Clients, name: &str) -> Result<(), Fault> {
    let call = || clients.ec2.delete_launch_template().launch_template_name(name).send();
    match again(clients, "ec2:DeleteLaunchTemplate", call).await {
        Ok(_) | Err(Fault { kind: Kind::TemplateNotFound, .. }) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// Takes away every template of a class.
pub(super) async fn delete_all(clients: &Clients, cluster: &str, class: &str) -> Result<(), Fault> {
    let filters = [(format!("tag:{CLUSTER_TAG}"), cluster), ("tag:karpenter.k8s.aws/ec2nodeclass".to_owned(), class)];
    let filters: Vec<(&str, &str)> = filters.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    for name in names(clients, &filters).await? {
        delete(clients, &name).await?;
    }
    Ok(())
}

async fn names(clients: &Clients, filters: &[(&str, &str)]) -> Result<Vec<String>, Fault> {
    let filters: Vec<Filter> =
        filters.iter().map(|(name, value)| Filter::builder().name(*name).values(*value).build()).collect();
    let mut found = Vec::new();
    let send = |token| {
        let call = clients.ec2.describe_launch_templates().max_results(PAGE).set_next_token(token);
        call.set_filters(Some(filters.clone())).send()
    };
    pages(clients, "ec2:DescribeLaunchTemplates", send, |page| {
        found.extend(page.launch_templates().iter().filter_map(|one| one.launch_template_name().map(str::to_owned)));
        page.next_token
    })
    .await?;
    Ok(found)
}
