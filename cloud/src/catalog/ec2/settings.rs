//! What the EC2 catalogue depends on: the region, the operator's settings and the node class, in plain values.

use std::collections::{BTreeMap, BTreeSet};

use planner::model::Str;

use crate::catalog::{PriceList, UnavailablePattern};

/// Everything [`super::ec2`] asks for. The default is all of us-east-1 under no particular node class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ec2Settings {
    pub region: String,
    /// Only these zones; goes before the class's. Each must be of the region.
    pub zones: Option<Vec<String>>,
    pub class: Ec2Class,
    /// Interfaces of every node kept from pods (`--reserved-enis`).
    pub reserved_enis: u32,
    /// Share of memory that the hypervisor and kernel are taken to keep, in millionths (`--vm-memory-overhead-percent`
    /// 0.075 is 75000).
    pub vm_memory_overhead_millionths: u32,
    /// Memory that nodes of a type have been seen to have, bytes; goes before the estimate.
    pub discovered_memory: BTreeMap<Str, i64>,
    /// Laid over the catalogue's prices. Spot is offered only at a price from here.
    pub prices: PriceList,
    /// Offerings that are out of capacity.
    pub unavailable: Vec<UnavailablePattern>,
    /// Types and ways to buy that no list has a price of are there too, out of stock and at no price: a machine of such a type
    /// is not one of a type that there is not.
    pub keeps_unpriced: bool,
    /// What the class' kubelet comes to on types for which it says something else, by name.
    pub kubelets: BTreeMap<Str, Kubelet>,
    /// Zones in which no subnet of the class has room for a machine.
    pub full_zones: BTreeSet<Str>,
}

impl Default for Ec2Settings {
    fn default() -> Self {
        Self {
            region: "us-east-1".into(),
            zones: None,
            class: Ec2Class::default(),
            reserved_enis: 0,
            vm_memory_overhead_millionths: 75_000,
            discovered_memory: BTreeMap::new(),
            prices: PriceList::default(),
            unavailable: Vec::new(),
            kubelets: BTreeMap::new(),
            keeps_unpriced: false,
            full_zones: BTreeSet::new(),
        }
    }
}

/// The parts of an `EC2NodeClass` that change what its nodes are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ec2Class {
    /// None where no class is known: AL2023's rules, without the types AL2023 does not run on taken out.
    pub ami_family: Option<AmiFamily>,
    /// Zones of the class's subnets (`status.subnets`); empty is every zone of the region.
    pub zones: Vec<ClassZone>,
    pub kubelet: Kubelet,
    pub block_devices: Vec<BlockDevice>,
    /// `instanceStorePolicy: RAID0`: pods' ephemeral storage is the instance store.
    pub instance_store_raid0: bool,
    /// `networkInterfaces`; empty is the default, with as many EFAs as the type takes.
    pub network_interfaces: Vec<NetworkInterface>,
    /// `connectionTracking` is set, which only Nitro machines take.
    pub connection_tracking: bool,
    /// `cpuOptions.nestedVirtualization: enabled`.
    pub nested_virtualization: bool,
    pub placement_group: Option<PlacementGroup>,
    /// `status.capacityReservations`.
    pub capacity_reservations: Vec<CapacityReservation>,
}

/// What boots; decides pod density, reserved memory and the root device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmiFamily {
    Al2,
    Al2023,
    Bottlerocket,
    Windows2019,
    Windows2022,
    Windows2025,
    Custom,
}

impl AmiFamily {
    /// From `spec.amiFamily`, or the family of an alias such as `al2023@latest`.
    pub fn parse(text: &str) -> Option<Self> {
        let family = text.split('@').next().unwrap_or_default().to_ascii_lowercase();
        Some(match family.as_str() {
            "al2" => Self::Al2,
            "al2023" => Self::Al2023,
            "bottlerocket" => Self::Bottlerocket,
            "windows2019" => Self::Windows2019,
            "windows2022" => Self::Windows2022,
            "windows2025" => Self::Windows2025,
            "custom" => Self::Custom,
            _ => return None,
        })
    }

    /// The value of `node.kubernetes.io/windows-build`; none for Linux.
    pub fn windows_build(self) -> Option<&'static str> {
        match self {
            Self::Windows2019 => Some("10.0.17763"),
            Self::Windows2022 => Some("10.0.20348"),
            Self::Windows2025 => Some("10.0.26100"),
            Self::Al2 | Self::Al2023 | Self::Bottlerocket | Self::Custom => None,
        }
    }
}

/// A zone in which the class has a subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassZone {
    pub zone: String,
    /// The account-independent id (`use1-az6`), where the status has it.
    pub zone_id: Option<String>,
}

/// The parts of `spec.kubelet` that change what pods may use. Amounts are as written; keys that are no resource of the
/// machine (`pid`) are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kubelet {
    pub max_pods: Option<u32>,
    /// Zero is none.
    pub pods_per_core: Option<u32>,
    pub kube_reserved: BTreeMap<String, String>,
    pub system_reserved: BTreeMap<String, String>,
    /// By signal: `memory.available`, `nodefs.available`; quantities or shares such as `5%`.
    pub eviction_hard: BTreeMap<String, String>,
}

/// An entry of `spec.blockDeviceMappings`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockDevice {
    pub device_name: Option<String>,
    /// The kubelet's root directory is on it.
    pub root_volume: bool,
    /// `ebs.volumeSize` as written.
    pub volume_size: Option<String>,
}

/// An entry of `spec.networkInterfaces`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkInterface {
    pub network_card: u32,
    pub device: u32,
    /// Carries no IP addresses, only EFA traffic.
    pub efa_only: bool,
}

/// The placement group that the class resolves to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementGroup {
    /// `pg-…`
    pub id: String,
    pub strategy: PlacementStrategy,
}

/// How a placement group keeps machines together or apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacementStrategy {
    Cluster,
    Spread,
    /// With how many partitions.
    Partition(u32),
}

impl PlacementStrategy {
    /// EC2's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Spread => "spread",
            Self::Partition(_) => "partition",
        }
    }
}

/// Capacity already paid for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapacityReservation {
    /// `cr-…`
    pub id: String,
    pub instance_type: String,
    pub zone: String,
    pub kind: ReservationKind,
    /// EC2 may take its instances back.
    pub interruptible: bool,
    /// Ends soon: nothing new is launched into it.
    pub expiring: bool,
    /// Instances left in it.
    pub count: u32,
}

/// `reservationType` of a capacity reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservationKind {
    Default,
    CapacityBlock,
}

impl ReservationKind {
    /// The value of `karpenter.k8s.aws/capacity-reservation-type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::CapacityBlock => "capacity-block",
        }
    }
}
