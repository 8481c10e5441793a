//! A machine and its life: pending, running, shutting down, terminated; how lists tell of it.

use cloud::OfferingKey;
use planner::model::CapacityType;

use super::filter::{Filtered, Tags};
use super::land::{ACCOUNT, VPC, Zone};
use super::xml::Xml;
use crate::clock::{Micros, text_of};

/// ```text
/// pending ──▶ running ──▶ shutting-down ──▶ terminated ──▶ forgotten, after an hour
///    └────────────────────────▲
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Pending,
    Running,
    ShuttingDown,
    Terminated,
}

impl Phase {
    /// EC2's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
        }
    }

    /// EC2's number.
    pub fn code(self) -> u16 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
        }
    }

    pub fn write(self, xml: &mut Xml, element: &str) {
        xml.node(element, |xml| {
            xml.leaf("code", self.code());
            xml.leaf("name", self.as_str());
        });
    }
}

/// A machine that was bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    pub id: String,
    /// Its pool.
    pub key: OfferingKey,
    /// `x86_64` or `arm64`.
    pub arch: String,
    /// `nitro`, `xen`, or empty on bare metal.
    pub hypervisor: String,
    pub image: String,
    pub subnet: String,
    pub zone: Zone,
    pub address: String,
    /// All addresses of the subnet that it holds, the first one among them.
    pub addresses: Vec<String>,
    pub groups: Vec<(String, String)>,
    /// `interface`, `efa` or `efa-only`, one for each network interface.
    pub interfaces: Vec<String>,
    pub profile: Option<String>,
    /// Base64, as the template had it.
    pub user_data: String,
    /// `capacity-block` or `interruptible-capacity-reservation`; none for machines on spot and on demand.
    pub market: Option<String>,
    /// As the fleet was given it.
    pub context: Option<String>,
    /// Of the spot request behind it.
    pub spot_request: Option<String>,
    /// `capacity-reservations-only`, `none`; as the template says.
    pub reservation_preference: Option<String>,
    pub tenancy: String,
    /// Placement group id and partition.
    pub placement: Option<(String, Option<u32>)>,
    pub client_token: String,
    pub launched_at: Micros,
    pub runs_at: Micros,
    /// From when on EC2 tells of it.
    pub visible_at: Micros,
    pub ends_at: Option<Micros>,
    pub gone_at: Option<Micros>,
    /// Why it ended, in EC2's words; empty while it lives.
    pub reason: &'static str,
    /// Failed checks: of the instance, of the system under it.
    pub impaired: (Option<Micros>, Option<Micros>),
    /// A scheduled event, such as `instance-retirement`, and when it begins.
    pub event: Option<(String, Micros)>,
    pub tags: Tags,
}

impl Instance {
    pub fn phase(&self, now: Micros) -> Phase {
        match (self.gone_at, self.ends_at) {
            (Some(_), _) => Phase::Terminated,
            (None, Some(_)) => Phase::ShuttingDown,
            (None, None) if self.runs_at <= now => Phase::Running,
            (None, None) => Phase::Pending,
        }
    }

    pub fn is_spot(&self) -> bool {
        self.key.capacity_type == CapacityType::Spot
    }

    fn private_dns(&self, region: &str) -> String {
        let dashed = self.address.replace('.', "-");
        if region == "us-east-1" {
            format!("ip-{dashed}.ec2.internal")
        } else {
            format!("ip-{dashed}.{region}.compute.internal")
        }
    }

    /// Its entry in `DescribeInstances`.
    pub fn write(&self, xml: &mut Xml, phase: Phase, region: &str) {
        let is_there = phase != Phase::Terminated;
        xml.leaf("instanceId", &self.id);
        xml.leaf("imageId", &self.image);
        phase.write(xml, "instanceState");
        xml.leaf("privateDnsName", if is_there { self.private_dns(region) } else { String::new() });
        xml.leaf("reason", if self.reason.is_empty() { "" } else { self.reason });
        xml.leaf("amiLaunchIndex", 0);
        xml.leaf("instanceType", &self.key.instance_type);
        xml.leaf("launchTime", text_of(self.launched_at.div_euclid(1_000_000)));
        xml.node("placement", |xml| {
            xml.leaf("availabilityZone", &self.zone.name);
            xml.leaf("availabilityZoneId", &self.zone.id);
            xml.leaf("tenancy", &self.tenancy);
            if let Some((group, partition)) = &self.placement {
                xml.leaf("groupId", group);
                xml.maybe("partitionNumber", *partition);
            }
        });
        xml.leaf("architecture", &self.arch);
        if !self.hypervisor.is_empty() {
            xml.leaf("hypervisor", &self.hypervisor);
        }
        xml.leaf("virtualizationType", "hvm");
        xml.leaf("rootDeviceType", "ebs");
        xml.leaf("clientToken", &self.client_token);
        if self.is_spot() {
            xml.leaf("instanceLifecycle", "spot");
            xml.maybe("spotInstanceRequestId", self.spot_request.as_ref());
        }
        xml.maybe("instanceLifecycle", self.market.as_ref());
        if let Some(id) = &self.key.reservation {
            xml.leaf("capacityReservationId", id);
        }
        if let Some(preference) = &self.reservation_preference {
            xml.node("capacityReservationSpecification", |xml| xml.leaf("capacityReservationPreference", preference));
        }
        // EC2 forgets the network of a machine that is gone.
        if is_there {
            xml.leaf("subnetId", &self.subnet);
            xml.leaf("vpcId", VPC);
            xml.leaf("privateIpAddress", &self.address);
            let groups = |xml: &mut Xml| {
                xml.list("groupSet", &self.groups, |xml, (id, name)| {
                    xml.leaf("groupId", id);
                    xml.leaf("groupName", name);
                });
            };
            groups(xml);
            xml.list("networkInterfaceSet", self.interfaces.iter().enumerate(), |xml, (at, kind)| {
                xml.leaf("networkInterfaceId", format!("eni-{}{at:x}", &self.id[2..]));
                xml.leaf("subnetId", &self.subnet);
                xml.leaf("vpcId", VPC);
                xml.leaf("interfaceType", kind);
                groups(xml);
            });
        }
        if let Some(profile) = &self.profile {
            xml.node("iamInstanceProfile", |xml| {
                xml.leaf("arn", format!("arn:aws:iam::{ACCOUNT}:instance-profile/{profile}"));
                xml.leaf("id", "AIPAEXAMPLE");
            });
        }
        if !self.reason.is_empty() {
            xml.node("stateReason", |xml| {
                xml.leaf("code", self.reason);
                xml.leaf("message", format!("{}: the machine was ended", self.reason));
            });
        }
        xml.tags(&self.tags);
    }
}

/// An instance with its state at the time of a call.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub instance: &'a Instance,
    pub phase: Phase,
}

impl Filtered for Seen<'_> {
    const FILTERS: &'static [&'static str] = &[
        "instance-id",
        "instance-state-name",
        "instance-state-code",
        "instance-type",
        "instance-lifecycle",
        "availability-zone",
        "availability-zone-id",
        "subnet-id",
        "network-interface.subnet-id",
        "vpc-id",
        "network-interface.vpc-id",
        "image-id",
        "architecture",
        "client-token",
        "private-ip-address",
        "tenancy",
        "capacity-reservation-id",
        "spot-instance-request-id",
        "instance.group-id",
        "network-interface.group-id",
        "instance.group-name",
        "owner-id",
    ];

    fn values(&self, filter: &str) -> Option<Vec<String>> {
        let Seen { instance, phase } = self;
        let groups = |by: fn(&(String, String)) -> &String| instance.groups.iter().map(by).cloned().collect();
        Some(vec![match filter {
            "instance-id" => instance.id.clone(),
            "instance-state-name" => phase.as_str().to_owned(),
            "instance-state-code" => phase.code().to_string(),
            "instance-type" => instance.key.instance_type.to_string(),
            "instance-lifecycle" => {
                let spot = instance.is_spot().then(|| "spot".to_owned());
                return Some(spot.or_else(|| instance.market.clone()).into_iter().collect());
            }
            "availability-zone" => instance.zone.name.clone(),
            "availability-zone-id" => instance.zone.id.clone(),
            "subnet-id" | "network-interface.subnet-id" => instance.subnet.clone(),
            "vpc-id" | "network-interface.vpc-id" => VPC.to_owned(),
            "image-id" => instance.image.clone(),
            "architecture" => instance.arch.clone(),
            "client-token" => instance.client_token.clone(),
            "private-ip-address" => instance.address.clone(),
            "tenancy" => instance.tenancy.clone(),
            "capacity-reservation-id" => {
                return Some(instance.key.reservation.iter().map(ToString::to_string).collect());
            }
            "spot-instance-request-id" => return Some(instance.spot_request.clone().into_iter().collect()),
            "instance.group-id" | "network-interface.group-id" => return Some(groups(|(id, _)| id)),
            "instance.group-name" => return Some(groups(|(_, name)| name)),
            "owner-id" => ACCOUNT.to_owned(),
            _ => return None,
        }])
    }

    fn tags(&self) -> &Tags {
        &self.instance.tags
    }
}
