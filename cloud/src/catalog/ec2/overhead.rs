//! What is kept from pods: reserved for Kubernetes, for the system, and up to where the kubelet evicts.
//! <https://kubernetes.io/docs/tasks/administer-cluster/reserve-compute-resources/>

use planner::model::Resources;
use planner::model::resources::{CPU, EPHEMERAL_STORAGE, MEMORY};

use super::amounts::{Amounts, Threshold};
use super::capacity::{MIB, eni_limited_pods, estimated_memory, is_windows, pods};
use super::settings::{AmiFamily, Ec2Settings};
use crate::catalog::table::TypeRow;

/// Capacity less this is allocatable.
pub(super) fn overhead(row: &TypeRow, settings: &Ec2Settings, amounts: &Amounts, capacity: &Resources) -> Resources {
    let mut all = kube_reserved(row, settings, amounts);
    for (name, amount) in amounts.kube_reserved.iter() {
        all.set(name, amount);
    }
    all.add(&amounts.system_reserved);
    // Shares are of the memory expected, not of what nodes turned out to have.
    let memory = amounts.evict_memory.unwrap_or(Threshold::Amount(100 * MIB)).of(estimated_memory(row, settings));
    let tenth = Threshold::Share(10 * 1_000_000_000);
    let storage = amounts.evict_storage.unwrap_or(tenth).of(capacity.get(EPHEMERAL_STORAGE));
    all.add(&Resources::of([(MEMORY, memory), (EPHEMERAL_STORAGE, storage)]));
    all
}

/// What EKS images reserve when nothing is said. The pods counted for memory are those the network could carry, whatever
/// the kubelet is told to take; Bottlerocket and Windows count what it takes.
fn kube_reserved(row: &TypeRow, settings: &Ec2Settings, amounts: &Amounts) -> Resources {
    let family = settings.class.ami_family;
    let counts_actual = family == Some(AmiFamily::Bottlerocket) || is_windows(family);
    let n_pods = if counts_actual { pods(row, settings, amounts) } else { eni_limited_pods(row, settings, 0) };
    Resources::of([
        (CPU, reserved_millicores(row.vcpus)),
        (MEMORY, (11 * n_pods + 255) * MIB),
        (EPHEMERAL_STORAGE, 1024 * MIB),
    ])
}

/// 6% of the first core, 1% of the second, 0.5% of the next two, 0.25% of the rest; each band cut to whole thousandths.
fn reserved_millicores(cores: i64) -> i64 {
    /// Up to which core, and hundred-thousandths of a core kept of each.
    const BANDS: [(i64, i64); 4] = [(1, 6000), (2, 1000), (4, 500), (i64::MAX, 250)];
    let mut from = 0;
    let mut total = 0;
    for (to, share) in BANDS {
        total += (cores.min(to) - from).max(0) * share / 100;
        from = to;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::reserved_millicores;

    #[test]
    fn fewer_thousandths_are_kept_of_each_further_core() {
        for (cores, want) in
            [(1, 60), (2, 70), (4, 80), (5, 82), (8, 90), (16, 110), (96, 310), (192, 550), (448, 1190)]
        {
            assert_eq!(reserved_millicores(cores), want, "{cores} cores");
        }
    }
}
