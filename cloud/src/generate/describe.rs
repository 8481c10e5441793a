//! Reads the output of `aws ec2 describe-instance-types` and `describe-instance-type-offerings`.
//! <https://docs.aws.amazon.com/cli/latest/reference/ec2/describe-instance-types.html>

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Number;

use super::GenerateError;
use crate::catalog::scaled;
use crate::catalog::table::{Accelerator, Flags, Gpu, Neuron, TypeRow};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceTypes {
    instance_types: Vec<InstanceType>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceType {
    #[serde(rename = "InstanceType")]
    name: String,
    bare_metal: bool,
    #[serde(default)]
    hypervisor: String,
    processor_info: ProcessorInfo,
    #[serde(rename = "VCpuInfo")]
    vcpu_info: VcpuInfo,
    memory_info: SizeMib,
    network_info: NetworkInfo,
    instance_storage_info: Option<InstanceStorageInfo>,
    ebs_info: Option<EbsInfo>,
    gpu_info: Option<GpuInfo>,
    inference_accelerator_info: Option<InferenceAcceleratorInfo>,
    neuron_info: Option<NeuronInfo>,
    placement_group_info: Option<PlacementGroupInfo>,
    #[serde(default)]
    nitro_enclaves_support: String,
    #[serde(default)]
    supported_usage_classes: Vec<String>,
    #[serde(default)]
    supported_virtualization_types: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ProcessorInfo {
    supported_architectures: Vec<String>,
    sustained_clock_speed_in_ghz: Option<Number>,
    #[serde(default)]
    supported_features: Vec<String>,
    #[serde(default)]
    manufacturer: String,
}

#[derive(Deserialize)]
struct VcpuInfo {
    #[serde(rename = "DefaultVCpus")]
    default_vcpus: i64,
}

#[derive(Deserialize)]
struct SizeMib {
    #[serde(rename = "SizeInMiB")]
    size: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkInfo {
    #[serde(default)]
    default_network_card_index: usize,
    #[serde(default)]
    network_cards: Vec<NetworkCard>,
    ipv4_addresses_per_interface: i64,
    #[serde(default)]
    ena_support: String,
    #[serde(default)]
    encryption_in_transit_supported: bool,
    efa_info: Option<EfaInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkCard {
    maximum_network_interfaces: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EfaInfo {
    maximum_efa_interfaces: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceStorageInfo {
    #[serde(rename = "TotalSizeInGB")]
    total_size: Option<i64>,
    nvme_support: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EbsInfo {
    #[serde(default)]
    ebs_optimized_support: String,
    ebs_optimized_info: Option<EbsOptimizedInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EbsOptimizedInfo {
    maximum_bandwidth_in_mbps: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GpuInfo {
    gpus: Vec<GpuDevice>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GpuDevice {
    name: String,
    manufacturer: String,
    count: i64,
    memory_info: SizeMib,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InferenceAcceleratorInfo {
    accelerators: Vec<InferenceDevice>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InferenceDevice {
    name: String,
    manufacturer: String,
    count: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NeuronInfo {
    neuron_devices: Vec<NeuronDevice>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NeuronDevice {
    name: String,
    count: i64,
    core_info: CoreInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CoreInfo {
    count: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PlacementGroupInfo {
    supported_strategies: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceTypeOfferings {
    instance_type_offerings: Vec<InstanceTypeOffering>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceTypeOffering {
    instance_type: String,
    location: String,
}

/// Types that a Kubernetes node can run on: hardware virtualisation, and a processor with a name in Kubernetes.
pub(super) fn instance_types(json: &str) -> Result<Vec<TypeRow>, GenerateError> {
    let read: InstanceTypes = parse("describe-instance-types", json)?;
    let runs = |t: &InstanceType| {
        t.supported_virtualization_types.iter().any(|kind| kind == "hvm")
            && t.processor_info.supported_architectures.iter().any(|arch| arch == "x86_64" || arch == "arm64")
    };
    Ok(read.instance_types.into_iter().filter(runs).map(row).collect())
}

/// Zones by type.
pub(super) fn offerings(json: &str) -> Result<BTreeMap<String, BTreeSet<String>>, GenerateError> {
    let read: InstanceTypeOfferings = parse("describe-instance-type-offerings", json)?;
    let mut zones_by_type: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for offering in read.instance_type_offerings {
        zones_by_type.entry(offering.instance_type).or_default().insert(offering.location);
    }
    Ok(zones_by_type)
}

fn parse<'a, T: Deserialize<'a>>(what: &'static str, json: &'a str) -> Result<T, GenerateError> {
    serde_json::from_str(json).map_err(|error| GenerateError::Json { what, reason: error.to_string() })
}

fn row(t: InstanceType) -> TypeRow {
    let (processor, network, storage) = (t.processor_info, t.network_info, t.instance_storage_info);
    let nvme = storage.as_ref().and_then(|storage| storage.nvme_support.as_deref());
    let by_default = |ebs: &EbsInfo| ebs.ebs_optimized_support == "default";
    TypeRow {
        name: t.name,
        vcpus: t.vcpu_info.default_vcpus,
        memory_mib: t.memory_info.size,
        cpu: processor.manufacturer,
        clock_mhz: processor.sustained_clock_speed_in_ghz.and_then(|ghz| scaled(&ghz.to_string(), 3)).unwrap_or(0),
        hypervisor: t.hypervisor,
        flags: Flags {
            bare_metal: t.bare_metal,
            encryption_in_transit: network.encryption_in_transit_supported,
            nitro_enclaves: t.nitro_enclaves_support == "supported",
            nested_virtualization: processor.supported_features.iter().any(|f| f == "nested-virtualization"),
            ena: matches!(network.ena_support.as_str(), "supported" | "required"),
            nvme_storage: nvme.is_some_and(|support| support != "unsupported"),
        },
        arch: processor.supported_architectures,
        default_card: network.default_network_card_index,
        card_enis: network.network_cards.iter().map(|card| card.maximum_network_interfaces).collect(),
        ipv4_per_eni: network.ipv4_addresses_per_interface,
        storage_gb: storage.and_then(|storage| storage.total_size),
        ebs_mbps: t.ebs_info.filter(by_default).and_then(|e| e.ebs_optimized_info).map(|e| e.maximum_bandwidth_in_mbps),
        efa: network.efa_info.map_or(0, |efa| efa.maximum_efa_interfaces),
        gpus: t.gpu_info.map_or_else(Vec::new, |info| info.gpus.into_iter().map(gpu).collect()),
        accelerators: t.inference_accelerator_info.map_or_else(Vec::new, |info| {
            let devices = info.accelerators.into_iter();
            devices.map(|d| Accelerator { count: d.count, name: d.name, maker: d.manufacturer }).collect()
        }),
        neuron: t.neuron_info.map_or_else(Vec::new, |info| {
            let devices = info.neuron_devices.into_iter();
            devices.map(|d| Neuron { count: d.count, name: d.name, cores: d.core_info.count }).collect()
        }),
        placement: t.placement_group_info.map_or_else(Vec::new, |info| info.supported_strategies),
        usage: t.supported_usage_classes,
        network_mbps: None,
        branch_enis: None,
    }
}

fn gpu(device: GpuDevice) -> Gpu {
    Gpu { count: device.count, name: device.name, maker: device.manufacturer, memory_mib: device.memory_info.size }
}
