//! What a machine has, before anything is kept from pods.
//!
//! Fields of `DescribeInstanceTypes`:
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceTypeInfo.html>.

use planner::model::Resources;
use planner::model::resources::{CPU, EPHEMERAL_STORAGE, MEMORY, PODS};

use super::amounts::Amounts;
use super::settings::{AmiFamily, Ec2Settings};
use crate::catalog::table::TypeRow;

pub(super) const MIB: i64 = 1 << 20;
const NVIDIA_GPU: &str = "nvidia.com/gpu";
const AMD_GPU: &str = "amd.com/gpu";
const GAUDI: &str = "habana.ai/gaudi";
const NEURON: &str = "aws.amazon.com/neuron";
const NEURON_CORE: &str = "aws.amazon.com/neuroncore";
const EFA: &str = "vpc.amazonaws.com/efa";
const POD_ENI: &str = "vpc.amazonaws.com/pod-eni";
const PRIVATE_IPV4: &str = "vpc.amazonaws.com/PrivateIPv4Address";

/// Resources only machines with accelerators have.
pub(super) const ACCELERATORS: [&str; 5] = [NVIDIA_GPU, AMD_GPU, GAUDI, NEURON, NEURON_CORE];

/// All resources of a type under a class, zero amounts too.
pub(super) fn capacity(row: &TypeRow, settings: &Ec2Settings, amounts: &Amounts) -> Resources {
    let class = &settings.class;
    let memory = settings.discovered_memory.get(row.name.as_str()).copied();
    let gpus_of = |maker: &str| row.gpus.iter().filter(|gpu| gpu.maker == maker).map(|gpu| gpu.count).sum();
    let efa_only = class.network_interfaces.iter().filter(|interface| interface.efa_only).count();
    let efa = if class.network_interfaces.is_empty() { row.efa } else { i64::try_from(efa_only).unwrap_or(i64::MAX) };
    let mut all = Resources::of([
        (CPU, row.vcpus * 1000),
        (MEMORY, memory.unwrap_or_else(|| estimated_memory(row, settings))),
        (EPHEMERAL_STORAGE, ephemeral_storage(row, settings, amounts)),
        (PODS, pods(row, settings, amounts)),
        (NVIDIA_GPU, gpus_of("NVIDIA")),
        (AMD_GPU, gpus_of("AMD")),
        (GAUDI, gpus_of("Habana")),
        (NEURON, row.neuron.iter().map(|device| device.count).sum()),
        (NEURON_CORE, row.neuron.first().map_or(0, |device| device.count * device.cores)),
        (EFA, efa),
        (POD_ENI, row.branch_enis.unwrap_or(0)),
    ]);
    if is_windows(class.ami_family) {
        all.set(PRIVATE_IPV4, (row.ipv4_per_eni - 1).max(0));
    }
    all
}

pub(super) fn is_windows(family: Option<AmiFamily>) -> bool {
    family.is_some_and(|family| family.windows_build().is_some())
}

/// Bytes the operating system is expected to see. Arm machines lose another 64 MiB to the firmware.
pub(super) fn estimated_memory(row: &TypeRow, settings: &Ec2Settings) -> i64 {
    let firmware = if row.arch.first().is_some_and(|arch| arch == "arm64") { 64 } else { 0 };
    let seen = row.memory_mib - firmware;
    let share = i64::from(settings.vm_memory_overhead_millionths);
    (seen - (seen * share + 999_999).div_euclid(1_000_000)) * MIB
}

fn ephemeral_storage(row: &TypeRow, settings: &Ec2Settings, amounts: &Amounts) -> i64 {
    match row.storage_gb {
        Some(gb) if settings.class.instance_store_raid0 => gb * 1_000_000_000,
        _ => amounts.root_volume,
    }
}

/// How many pods the kubelet takes if nobody says so.
pub fn default_pods(row: &TypeRow, settings: &Ec2Settings) -> i64 {
    if is_windows(settings.class.ami_family) {
        110
    } else {
        eni_limited_pods(row, settings, i64::from(settings.reserved_enis))
    }
}

/// How many pods the kubelet takes.
pub(super) fn pods(row: &TypeRow, settings: &Ec2Settings, amounts: &Amounts) -> i64 {
    let pods = amounts.max_pods.map_or_else(|| default_pods(row, settings), i64::from);
    match amounts.pods_per_core {
        Some(per_core) if per_core > 0 && settings.class.ami_family != Some(AmiFamily::Bottlerocket) => {
            pods.min(i64::from(per_core) * row.vcpus)
        }
        _ => pods,
    }
}

/// Pods that get an address: each interface of the first card keeps one for itself, and two pods (the network plugin and
/// kube-proxy) use the host's.
/// <https://github.com/awslabs/amazon-eks-ami/blob/main/templates/shared/runtime/eni-max-pods.txt>
pub(super) fn eni_limited_pods(row: &TypeRow, settings: &Ec2Settings, reserved_enis: i64) -> i64 {
    let interfaces = row.card_enis.get(row.default_card).copied().unwrap_or(0);
    let efa_only = settings.class.network_interfaces.iter().filter(|i| i.efa_only && i.network_card == 0).count();
    let usable = interfaces - reserved_enis - i64::try_from(efa_only).unwrap_or(i64::MAX);
    if usable <= 0 { 0 } else { usable * (row.ipv4_per_eni - 1) + 2 }
}
