//! The amounts that a node class states as text, read once for all instance types.

use std::collections::BTreeMap;

use planner::model::resources::{self, CPU, EPHEMERAL_STORAGE, MEMORY};
use planner::model::{Quantity, Resources};

use super::settings::{AmiFamily, BlockDevice, Ec2Class, Kubelet};
use crate::catalog::CatalogError;

const GIB: i64 = 1 << 30;

/// Amounts of a class, in the units of [`Resources`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Amounts {
    /// Of the volume that holds the kubelet's root directory, bytes.
    pub root_volume: i64,
    /// Pods that the kubelet is told to take; none: what the network carries.
    pub max_pods: Option<u32>,
    pub pods_per_core: Option<u32>,
    /// What replaces the reserved defaults, name by name.
    pub kube_reserved: Resources,
    pub system_reserved: Resources,
    pub evict_memory: Option<Threshold>,
    pub evict_storage: Option<Threshold>,
}

/// Where the kubelet begins to evict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threshold {
    /// Bytes.
    Amount(i64),
    /// Of the capacity, in billionths of a percent.
    Share(i128),
}

impl Threshold {
    /// In bytes of `capacity`, rounded up. 100% turns the threshold off, as in the kubelet.
    pub fn of(self, capacity: i64) -> i64 {
        const WHOLE: i128 = 100 * 1_000_000_000;
        match self {
            Self::Amount(bytes) => bytes,
            Self::Share(WHOLE) => 0,
            Self::Share(share) => {
                let exact = i128::from(capacity) * share;
                i64::try_from((exact + WHOLE - 1).div_euclid(WHOLE)).unwrap_or(i64::MAX)
            }
        }
    }

    fn parse(field: &str, text: &str) -> Result<Self, CatalogError> {
        let wrong = || CatalogError::Threshold { field: field.into(), value: text.into() };
        let Some(share) = text.strip_suffix('%') else {
            let amount = Quantity::parse(text).map_err(|_| wrong())?;
            return if amount.is_negative() { Err(wrong()) } else { Ok(Self::Amount(amount.value())) };
        };
        let digits = share.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let share = Quantity::parse(share).ok().filter(|_| digits).ok_or_else(wrong)?;
        if share > Quantity::units(100, false) { Err(wrong()) } else { Ok(Self::Share(share.nano())) }
    }
}

impl Amounts {
    /// # Errors
    /// Names the field whose text is no amount.
    pub fn read(class: &Ec2Class, kubelet: &Kubelet) -> Result<Self, CatalogError> {
        let signal = |name: &str| {
            let text = kubelet.eviction_hard.get(name);
            text.map(|text| Threshold::parse(&format!("kubelet.evictionHard[\"{name}\"]"), text)).transpose()
        };
        Ok(Self {
            root_volume: root_volume(class)?,
            max_pods: kubelet.max_pods,
            pods_per_core: kubelet.pods_per_core,
            kube_reserved: reserved("kubelet.kubeReserved", &kubelet.kube_reserved)?,
            system_reserved: reserved("kubelet.systemReserved", &kubelet.system_reserved)?,
            evict_memory: signal("memory.available")?,
            evict_storage: signal("nodefs.available")?,
        })
    }
}

/// The kubelet also takes `pid`, which is no resource of the machine.
fn reserved(field: &str, texts: &BTreeMap<String, String>) -> Result<Resources, CatalogError> {
    let mut amounts = Resources::default();
    for name in [CPU, MEMORY, EPHEMERAL_STORAGE] {
        if let Some(text) = texts.get(name) {
            amounts.set(name, resources::amount(name, quantity(&format!("{field}.{name}"), text)?));
        }
    }
    Ok(amounts)
}

/// Size of the volume that pods' ephemeral storage is on: the one marked as root; else the last for a custom image, whose
/// device names are not known, or the one that the image family puts the kubelet on; else that family's default.
fn root_volume(class: &Ec2Class) -> Result<i64, CatalogError> {
    let (device, default) = match class.ami_family {
        None | Some(AmiFamily::Al2 | AmiFamily::Al2023) => (Some("/dev/xvda"), 20 * GIB),
        Some(AmiFamily::Bottlerocket) => (Some("/dev/xvdb"), 20 * GIB),
        Some(AmiFamily::Windows2019 | AmiFamily::Windows2022 | AmiFamily::Windows2025) => (Some("/dev/sda1"), 50 * GIB),
        Some(AmiFamily::Custom) => (None, 20 * GIB),
    };
    let devices = &class.block_devices;
    let sized = |d: &&BlockDevice| d.volume_size.is_some();
    let marked = devices.iter().find(|d| d.root_volume).filter(sized);
    let found = marked.or_else(|| match device {
        None => devices.last().filter(sized),
        Some(name) => devices.iter().find(|d| d.device_name.as_deref() == Some(name)).filter(sized),
    });
    match found.and_then(|d| d.volume_size.as_deref()) {
        Some(text) => Ok(quantity("blockDeviceMappings[].ebs.volumeSize", text)?.value()),
        None => Ok(default),
    }
}

fn quantity(field: &str, text: &str) -> Result<Quantity, CatalogError> {
    Quantity::parse(text).map_err(|source| CatalogError::Quantity { field: field.into(), source })
}
