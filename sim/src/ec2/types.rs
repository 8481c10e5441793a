//! Instance types, and where they are sold.

use std::collections::BTreeSet;

use cloud::catalog::TypeRow;

use super::filter::{Filtered, Filters, Pages, Tags};
use super::params::Params;
use super::refusal::Refusal;
use super::state::{Answer, State};
use super::xml::Xml;

pub const DESCRIBE: &[&str] =
    &["InstanceType.#", "Filter.#.Name", "Filter.#.Value.#", "MaxResults", "NextToken", "DryRun"];

/// Nothing of a catalogue has tags.
static NO_TAGS: Tags = Tags::new();

struct Kind(&'static TypeRow);

impl Filtered for Kind {
    const FILTERS: &'static [&'static str] = &[
        "instance-type",
        "processor-info.supported-architecture",
        "supported-virtualization-type",
        "supported-usage-class",
        "bare-metal",
        "hypervisor",
        "vcpu-info.default-vcpus",
        "memory-info.size-in-mib",
    ];
    const HAS_TAGS: bool = false;

    fn values(&self, filter: &str) -> Option<Vec<String>> {
        let row = self.0;
        Some(match filter {
            "instance-type" => vec![row.name.clone()],
            "processor-info.supported-architecture" => row.arch.clone(),
            "supported-virtualization-type" => vec!["hvm".to_owned()],
            "supported-usage-class" => row.usage.clone(),
            "bare-metal" => vec![row.flags.bare_metal.to_string()],
            "hypervisor" => vec![row.hypervisor.clone()],
            "vcpu-info.default-vcpus" => vec![row.vcpus.to_string()],
            "memory-info.size-in-mib" => vec![row.memory_mib.to_string()],
            _ => return None,
        })
    }

    fn tags(&self) -> &Tags {
        &NO_TAGS
    }
}

/// `DescribeInstanceTypes`: those that the region sells.
pub fn describe(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let names: BTreeSet<&str> = params.texts("InstanceType").into_iter().collect();
    if !names.is_empty() && params.text("MaxResults").is_some() {
        let message = "The parameter InstanceType cannot be used with the parameter MaxResults";
        return Err(Refusal::new("InvalidParameterCombination", message));
    }
    let sold: Vec<&'static TypeRow> =
        state.region.sold.iter().filter_map(|sold| state.instance_type(&sold.instance_type)).collect();
    let unknown: Vec<&str> = names.iter().filter(|name| !sold.iter().any(|row| row.name == **name)).copied().collect();
    if !unknown.is_empty() {
        let message = format!("The following supplied instance types do not exist: [{}]", unknown.join(", "));
        return Err(Refusal::new("InvalidInstanceType", message));
    }
    let filters = Filters::read::<Kind>(params)?;
    let mut found = Vec::new();
    for row in sold {
        if filters.matches(&Kind(row))? && (names.is_empty() || names.contains(&*row.name)) {
            found.push(row);
        }
    }
    let page = Pages { bounds: (5, 100), usual: 100 }.cut(params, found, |row| row.name.clone())?;
    let mut xml = Xml::default();
    xml.list("instanceTypeSet", page.items, write);
    xml.maybe("nextToken", page.next);
    Ok(Answer(xml))
}

fn write(xml: &mut Xml, row: &TypeRow) {
    xml.leaf("instanceType", &row.name);
    xml.texts("supportedUsageClasses", &row.usage);
    xml.texts("supportedVirtualizationTypes", ["hvm"]);
    xml.leaf("bareMetal", row.flags.bare_metal);
    if !row.hypervisor.is_empty() {
        xml.leaf("hypervisor", &row.hypervisor);
    }
    xml.node("processorInfo", |xml| {
        xml.texts("supportedArchitectures", &row.arch);
        if row.clock_mhz > 0 {
            xml.leaf("sustainedClockSpeedInGhz", format!("{}.{:03}", row.clock_mhz / 1000, row.clock_mhz % 1000));
        }
        xml.texts("supportedFeatures", row.flags.nested_virtualization.then_some("nested-virtualization"));
        xml.leaf("manufacturer", &row.cpu);
    });
    xml.node("vCpuInfo", |xml| xml.leaf("defaultVCpus", row.vcpus));
    xml.node("memoryInfo", |xml| xml.leaf("sizeInMiB", row.memory_mib));
    xml.leaf("instanceStorageSupported", row.storage_gb.is_some());
    if let Some(gb) = row.storage_gb {
        xml.node("instanceStorageInfo", |xml| {
            xml.leaf("totalSizeInGB", gb);
            xml.leaf("nvmeSupport", if row.flags.nvme_storage { "required" } else { "unsupported" });
        });
    }
    xml.node("ebsInfo", |xml| {
        xml.leaf("ebsOptimizedSupport", if row.ebs_mbps.is_some() { "default" } else { "supported" });
        if let Some(mbps) = row.ebs_mbps {
            xml.node("ebsOptimizedInfo", |xml| xml.leaf("maximumBandwidthInMbps", mbps));
        }
    });
    xml.node("networkInfo", |xml| {
        xml.leaf("maximumNetworkInterfaces", row.card_enis.get(row.default_card).copied().unwrap_or(0));
        xml.leaf("maximumNetworkCards", row.card_enis.len());
        xml.leaf("defaultNetworkCardIndex", row.default_card);
        xml.list("networkCards", row.card_enis.iter().enumerate(), |xml, (at, enis)| {
            xml.leaf("networkCardIndex", at);
            xml.leaf("maximumNetworkInterfaces", enis);
        });
        xml.leaf("ipv4AddressesPerInterface", row.ipv4_per_eni);
        xml.leaf("enaSupport", if row.flags.ena { "required" } else { "unsupported" });
        xml.leaf("efaSupported", row.efa > 0);
        if row.efa > 0 {
            xml.node("efaInfo", |xml| xml.leaf("maximumEfaInterfaces", row.efa));
        }
        xml.leaf("encryptionInTransitSupported", row.flags.encryption_in_transit);
    });
    accelerators(xml, row);
    xml.node("placementGroupInfo", |xml| xml.texts("supportedStrategies", &row.placement));
    xml.leaf("nitroEnclavesSupport", if row.flags.nitro_enclaves { "supported" } else { "unsupported" });
}

fn accelerators(xml: &mut Xml, row: &TypeRow) {
    if !row.gpus.is_empty() {
        xml.node("gpuInfo", |xml| {
            xml.list("gpus", &row.gpus, |xml, gpu| {
                xml.leaf("name", &gpu.name);
                xml.leaf("manufacturer", &gpu.maker);
                xml.leaf("count", gpu.count);
                xml.node("memoryInfo", |xml| xml.leaf("sizeInMiB", gpu.memory_mib));
            });
        });
    }
    if !row.accelerators.is_empty() {
        xml.node("inferenceAcceleratorInfo", |xml| {
            // The one list of EC2 whose elements are not called `item`.
            xml.node("accelerators", |xml| {
                for device in &row.accelerators {
                    xml.node("member", |xml| {
                        xml.leaf("count", device.count);
                        xml.leaf("name", &device.name);
                        xml.leaf("manufacturer", &device.maker);
                    });
                }
            });
        });
    }
    if !row.neuron.is_empty() {
        xml.node("neuronInfo", |xml| {
            xml.list("neuronDevices", &row.neuron, |xml, device| {
                xml.leaf("count", device.count);
                xml.leaf("name", &device.name);
                xml.node("coreInfo", |xml| xml.leaf("count", device.cores));
            });
        });
    }
}

pub const OFFERINGS: &[&str] =
    &["LocationType", "Filter.#.Name", "Filter.#.Value.#", "MaxResults", "NextToken", "DryRun"];

struct Sold {
    instance_type: String,
    location: String,
}

impl Filtered for Sold {
    const FILTERS: &'static [&'static str] = &["instance-type", "location"];
    const HAS_TAGS: bool = false;

    fn values(&self, filter: &str) -> Option<Vec<String>> {
        Some(vec![match filter {
            "instance-type" => self.instance_type.clone(),
            "location" => self.location.clone(),
            _ => return None,
        }])
    }

    fn tags(&self) -> &Tags {
        &NO_TAGS
    }
}

/// `DescribeInstanceTypeOfferings`.
pub fn offerings(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let by = params.text("LocationType").unwrap_or("region").to_owned();
    let places = |zones: &[usize]| -> Result<Vec<String>, Refusal> {
        let zones = zones.iter().filter_map(|at| state.land.zones.get(*at));
        Ok(match by.as_str() {
            "region" => vec![state.region.name.clone()],
            "availability-zone" => zones.map(|zone| zone.name.clone()).collect(),
            "availability-zone-id" => zones.map(|zone| zone.id.clone()).collect(),
            other => return Err(Refusal::invalid_value(&format!("Invalid value '{other}' for locationType"))),
        })
    };
    let filters = Filters::read::<Sold>(params)?;
    let mut found = Vec::new();
    for row in &state.region.sold {
        for location in places(&row.zones)? {
            let sold = Sold { instance_type: row.instance_type.clone(), location };
            if filters.matches(&sold)? {
                found.push(sold);
            }
        }
    }
    let pages = Pages { bounds: (5, 1000), usual: 1000 };
    let page = pages.cut(params, found, |sold| format!("{} {}", sold.instance_type, sold.location))?;
    let mut xml = Xml::default();
    xml.list("instanceTypeOfferingSet", page.items, |xml, sold| {
        xml.leaf("instanceType", sold.instance_type);
        xml.leaf("locationType", &by);
        xml.leaf("location", sold.location);
    });
    xml.maybe("nextToken", page.next);
    Ok(Answer(xml))
}
