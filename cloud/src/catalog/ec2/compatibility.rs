//! Which instance types cannot run a node class at all.

use super::capacity::is_windows;
use super::labels::kubernetes_arch;
use super::settings::{AmiFamily, Ec2Class, NetworkInterface};
use crate::catalog::table::TypeRow;

/// Could the class launch on this type?
pub(super) fn runs(row: &TypeRow, class: &Ec2Class) -> bool {
    boots(row, class.ami_family)
        && takes_interfaces(row, &class.network_interfaces)
        && (!class.nested_virtualization || row.flags.nested_virtualization)
        && (!class.connection_tracking || row.hypervisor == "nitro")
        && class.placement_group.as_ref().is_none_or(|g| row.placement.iter().any(|p| p == g.strategy.as_str()))
}

/// AL2023 has no image for the first Arm processors, and Windows none for any.
fn boots(row: &TypeRow, family: Option<AmiFamily>) -> bool {
    let is_old_arm = family == Some(AmiFamily::Al2023) && row.name.starts_with("a1.");
    !is_old_arm && (!is_windows(family) || kubernetes_arch(row) == Some("amd64"))
}

fn takes_interfaces(row: &TypeRow, interfaces: &[NetworkInterface]) -> bool {
    let has_place = |interface: &NetworkInterface| {
        let card = usize::try_from(interface.network_card).ok().and_then(|card| row.card_enis.get(card));
        card.is_some_and(|enis| i64::from(interface.device) < *enis)
    };
    let efa_only = interfaces.iter().filter(|interface| interface.efa_only).count();
    interfaces.is_empty()
        || row.flags.ena
            && interfaces.iter().all(has_place)
            && i64::try_from(efa_only).is_ok_and(|efa_only| efa_only <= row.efa)
}
