//! The labels that every node of an instance type carries, whatever its zone and capacity type.
//!
//! Keys and meanings are Karpenter's: <https://karpenter.sh/docs/concepts/scheduling/#well-known-labels>. What EC2 does not
//! say of a type has no label.

use planner::model::Labels;
use planner::model::labels::{ARCH, INSTANCE_TYPE, OS, REGION, WINDOWS_BUILD};

use super::capacity::is_windows;
use super::settings::Ec2Settings;
use crate::catalog::intern::Interner;
use crate::catalog::table::TypeRow;

pub(super) const TENANCY: &str = "karpenter.k8s.aws/instance-tenancy";
const PREFIX: &str = "karpenter.k8s.aws/";

/// Labels of `row` under the settings' class and region.
pub(super) fn labels(row: &TypeRow, settings: &Ec2Settings, interner: &mut Interner) -> Labels {
    let mut labels = Labels::new();
    let mut set = |key: &str, value: &str| interner.label(&mut labels, key, value);
    set(INSTANCE_TYPE, &row.name);
    set(REGION, &settings.region);
    if let Some(arch) = kubernetes_arch(row) {
        set(ARCH, arch);
    }
    let family = settings.class.ami_family;
    if !is_windows(family) {
        set(OS, "linux");
    } else if kubernetes_arch(row) == Some("amd64") {
        set(OS, "windows");
    }
    if let Some(build) = family.and_then(super::settings::AmiFamily::windows_build) {
        set(WINDOWS_BUILD, build);
    }
    for (name, value) in of_the_machine(row) {
        set(&format!("{PREFIX}{name}"), &value);
    }
    if let Some(group) = &settings.class.placement_group {
        set(&format!("{PREFIX}placement-group-id"), &group.id);
    }
    labels
}

/// The first architecture of the type that Kubernetes has a name for.
pub(super) fn kubernetes_arch(row: &TypeRow) -> Option<&'static str> {
    row.arch.iter().find_map(|arch| match arch.as_str() {
        "x86_64" => Some("amd64"),
        "arm64" => Some("arm64"),
        _ => None,
    })
}

fn of_the_machine(row: &TypeRow) -> Vec<(&'static str, String)> {
    let (family, size) = row.name.split_once('.').unwrap_or((&row.name, ""));
    let mut all = vec![
        ("instance-family", family.to_owned()),
        ("instance-size", size.to_owned()),
        ("instance-capability-flex", family.contains("-flex").to_string()),
        ("instance-cpu", row.vcpus.to_string()),
        ("instance-memory", row.memory_mib.to_string()),
        ("instance-cpu-manufacturer", kebab(&row.cpu)),
        ("instance-cpu-sustained-clock-speed-mhz", row.clock_mhz.to_string()),
        ("instance-hypervisor", row.hypervisor.clone()),
        ("instance-encryption-in-transit-supported", row.flags.encryption_in_transit.to_string()),
        ("nitro-sandbox", row.flags.nitro_enclaves.to_string()),
    ];
    if let Some((category, generation)) = category_and_generation(family) {
        all.push(("instance-category", category.to_owned()));
        all.push(("instance-generation", generation.to_owned()));
    }
    if let Some(gb) = row.storage_gb.filter(|_| row.flags.nvme_storage) {
        all.push(("instance-local-nvme", gb.to_string()));
    }
    if let Some(mbps) = row.ebs_mbps {
        all.push(("instance-ebs-bandwidth", mbps.to_string()));
    }
    if let Some(mbps) = row.network_mbps {
        all.push(("instance-network-bandwidth", mbps.to_string()));
    }
    // Machines with two kinds of GPU would have two values, so they have none.
    if let [gpu] = &row.gpus[..] {
        all.push(("instance-gpu-name", kebab(&gpu.name)));
        all.push(("instance-gpu-manufacturer", kebab(&gpu.maker)));
        all.push(("instance-gpu-count", gpu.count.to_string()));
        all.push(("instance-gpu-memory", gpu.memory_mib.to_string()));
    }
    let accelerator = match (&row.neuron[..], &row.accelerators[..]) {
        ([device], _) => Some((&device.name, "AWS", device.count)),
        ([], [device]) => Some((&device.name, device.maker.as_str(), device.count)),
        _ => None,
    };
    if let Some((name, maker, count)) = accelerator {
        all.push(("instance-accelerator-name", kebab(name)));
        all.push(("instance-accelerator-manufacturer", kebab(maker)));
        all.push(("instance-accelerator-count", count.to_string()));
    }
    all
}

/// `m5` is (m, 5), `u-6tb1` (u, 1), `c7gn` (c, 7).
fn category_and_generation(family: &str) -> Option<(&str, &str)> {
    let letters = family.find(|c: char| !c.is_ascii_lowercase())?;
    let (category, rest) = family.split_at(letters);
    // High-memory machines have their size before the generation.
    let sized = rest.strip_prefix('-').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let rest = sized.and_then(|rest| rest.strip_prefix("tb")).unwrap_or(rest);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    (!category.is_empty() && end > 0).then(|| (category, &rest[..end]))
}

fn kebab(text: &str) -> String {
    text.to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::category_and_generation;

    #[test]
    fn a_family_names_its_category_and_generation() {
        for (family, want) in [
            ("m5", Some(("m", "5"))),
            ("c7gn", Some(("c", "7"))),
            ("u-6tb1", Some(("u", "1"))),
            ("u7i-12tb", Some(("u", "7"))),
            ("inf2", Some(("inf", "2"))),
            ("m7i-flex", Some(("m", "7"))),
            ("hpc7a", Some(("hpc", "7"))),
            ("mac", None),
            ("7x", None),
        ] {
            assert_eq!(category_and_generation(family), want, "{family}");
        }
    }
}
