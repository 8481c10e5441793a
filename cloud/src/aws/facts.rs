//! What the region sells, asked of EC2: instance types, the zones they are sold in, prices.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, InstanceTypeInfo, LocationType};
use planner::model::{CapacityType, MicroUsdPerHour};

use super::call::pages;
use super::client::Clients;
use super::fault::Fault;
use crate::Sold;
use crate::catalog::{
    Accelerator, Flags, Gpu, Neuron, PriceKind, PriceList, RegionTable, SoldRow, TypeRow, region_table, type_rows,
};

/// Entries of a page. EC2's largest.
const TYPES: i32 = 100;
const OFFERINGS: i32 = 1000;
const PRICES: i32 = 1000;

/// What a region sells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// By name.
    pub types: Vec<TypeRow>,
    pub region: RegionTable,
}

impl Facts {
    /// What the binary knows of a region; nothing for one it does not know.
    pub fn embedded(region: &str) -> Option<Self> {
        Some(Self { types: type_rows().ok()?.to_vec(), region: region_table(region).ok()? })
    }

    /// What EC2 says now. On-demand prices, bandwidths and branch interfaces are not told by these calls: they are the
    /// binary's.
    ///
    /// # Errors
    /// When EC2 cannot be asked.
    pub async fn ask(clients: &Clients) -> Result<Self, Fault> {
        let types = types(clients).await?;
        let zones_by_type = offerings(clients).await?;
        Ok(Self { region: sold(clients.region(), zones_by_type), types })
    }

    /// Types, zones and ways to pay, without prices.
    pub fn sold(&self) -> Sold {
        let is_sold =
            |row: &&TypeRow| self.region.sold.binary_search_by(|one| one.instance_type.cmp(&row.name)).is_ok();
        let ways = |row: &TypeRow| row.usage.iter().filter_map(|usage| CapacityType::parse(usage)).collect();
        let types = self.types.iter().filter(is_sold);
        Sold {
            zones: self.region.zones.iter().map(|zone| zone.as_str().into()).collect(),
            ways: types.map(|row| (row.name.as_str().into(), ways(row))).collect(),
        }
    }
}

fn filter(name: &str, values: &[&str]) -> Filter {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Filter::builder().name(name).set_values(Some(values)).build()
}

async fn types(clients: &Clients) -> Result<Vec<TypeRow>, Fault> {
    let known: BTreeMap<&str, &TypeRow> =
        type_rows().unwrap_or_default().iter().map(|row| (row.name.as_str(), row)).collect();
    let mut rows = Vec::new();
    let send = |token| {
        let call = clients.ec2.describe_instance_types().max_results(TYPES).set_next_token(token);
        let call = call.filters(filter("supported-virtualization-type", &["hvm"]));
        call.filters(filter("processor-info.supported-architecture", &["x86_64", "arm64"])).send()
    };
    pages(clients, "ec2:DescribeInstanceTypes", send, |page| {
        rows.extend(page.instance_types().iter().filter_map(|info| {
            let mut row = row(info)?;
            let known = known.get(row.name.as_str());
            row.network_mbps = known.and_then(|known| known.network_mbps);
            row.branch_enis = known.and_then(|known| known.branch_enis);
            Some(row)
        }));
        page.next_token
    })
    .await?;
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(rows)
}

async fn offerings(clients: &Clients) -> Result<BTreeMap<String, Vec<String>>, Fault> {
    let mut zones_by_type: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let send = |token| {
        let call = clients.ec2.describe_instance_type_offerings().location_type(LocationType::AvailabilityZone);
        call.max_results(OFFERINGS).set_next_token(token).send()
    };
    pages(clients, "ec2:DescribeInstanceTypeOfferings", send, |page| {
        for offering in page.instance_type_offerings() {
            if let (Some(name), Some(zone)) = (offering.instance_type(), offering.location()) {
                zones_by_type.entry(name.as_str().to_owned()).or_default().push(zone.to_owned());
            }
        }
        page.next_token
    })
    .await?;
    Ok(zones_by_type)
}

fn sold(region: &str, zones_by_type: BTreeMap<String, Vec<String>>) -> RegionTable {
    // The prices of another region rank types better than none.
    let known = region_table(region).or_else(|_| region_table("us-east-1")).ok();
    let price = |name: &str| {
        let rows = &known.as_ref()?.sold;
        let at = rows.binary_search_by(|row| row.instance_type.as_str().cmp(name)).ok()?;
        rows[at].price
    };
    let mut zones: Vec<String> = zones_by_type.values().flatten().cloned().collect();
    zones.sort();
    zones.dedup();
    let sold = zones_by_type.into_iter().map(|(instance_type, of_type)| {
        let mut places: Vec<usize> = of_type.iter().filter_map(|zone| zones.binary_search(zone).ok()).collect();
        places.sort_unstable();
        SoldRow { price: price(&instance_type), instance_type, zones: places }
    });
    RegionTable {
        name: region.to_owned(),
        prices: known.as_ref().map_or(PriceKind::Estimated, |known| known.prices),
        priced_on: known.as_ref().map(|known| known.priced_on.clone()).unwrap_or_default(),
        sold: sold.collect(),
        zones,
    }
}

/// What spot costs now, by type and zone.
///
/// # Errors
/// When EC2 cannot be asked.
pub async fn spot_prices(clients: &Clients, now_seconds: i64) -> Result<PriceList, Fault> {
    let mut prices = PriceList::default();
    // A price that has moved since the moment is told as often: the newest counts, in whatever order they come.
    let mut newest: BTreeMap<(String, String), i64> = BTreeMap::new();
    let send = |token| {
        let call = clients.ec2.describe_spot_price_history().max_results(PRICES).set_next_token(token);
        let call = call.product_descriptions("Linux/UNIX").product_descriptions("Linux/UNIX (Amazon VPC)");
        call.start_time(aws_smithy_types::DateTime::from_secs(now_seconds)).send()
    };
    pages(clients, "ec2:DescribeSpotPriceHistory", send, |page| {
        for price in page.spot_price_history() {
            let amount = price.spot_price().and_then(MicroUsdPerHour::parse);
            if let (Some(name), Some(zone), Some(amount)) = (price.instance_type(), price.availability_zone(), amount) {
                let at = price.timestamp().map_or(0, aws_smithy_types::DateTime::secs);
                let last = newest.entry((name.as_str().to_owned(), zone.to_owned())).or_insert(i64::MIN);
                if at > *last {
                    *last = at;
                    prices.set(name.as_str(), zone, CapacityType::Spot, amount);
                }
            }
        }
        page.next_token
    })
    .await?;
    Ok(prices)
}

fn row(info: &InstanceTypeInfo) -> Option<TypeRow> {
    let (processor, network) = (info.processor_info()?, info.network_info()?);
    let storage = info.instance_storage_info();
    let ebs =
        info.ebs_info().filter(|ebs| ebs.ebs_optimized_support().is_some_and(|support| support.as_str() == "default"));
    let gpus = info.gpu_info().map(aws_sdk_ec2::types::GpuInfo::gpus).unwrap_or_default();
    let accelerators = info
        .inference_accelerator_info()
        .map(aws_sdk_ec2::types::InferenceAcceleratorInfo::accelerators)
        .unwrap_or_default();
    let neuron = info.neuron_info().map(aws_sdk_ec2::types::NeuronInfo::neuron_devices).unwrap_or_default();
    let supported = |support: Option<&str>| matches!(support, Some("supported" | "required"));
    Some(TypeRow {
        name: info.instance_type()?.as_str().to_owned(),
        arch: processor.supported_architectures().iter().map(|arch| arch.as_str().to_owned()).collect(),
        vcpus: i64::from(info.v_cpu_info()?.default_v_cpus()?),
        memory_mib: info.memory_info()?.size_in_mib()?,
        cpu: processor.manufacturer().unwrap_or_default().to_owned(),
        clock_mhz: processor.sustained_clock_speed_in_ghz().map_or(0, mhz),
        hypervisor: info.hypervisor().map(|one| one.as_str().to_owned()).unwrap_or_default(),
        flags: Flags {
            bare_metal: info.bare_metal().unwrap_or_default(),
            encryption_in_transit: network.encryption_in_transit_supported().unwrap_or_default(),
            nitro_enclaves: info.nitro_enclaves_support().is_some_and(|support| support.as_str() == "supported"),
            nested_virtualization: processor
                .supported_features()
                .iter()
                .any(|one| one.as_str() == "nested-virtualization"),
            ena: supported(network.ena_support().map(aws_sdk_ec2::types::EnaSupport::as_str)),
            nvme_storage: storage
                .and_then(|storage| storage.nvme_support())
                .is_some_and(|support| support.as_str() != "unsupported"),
        },
        default_card: network.default_network_card_index().and_then(|at| usize::try_from(at).ok()).unwrap_or(0),
        card_enis: network
            .network_cards()
            .iter()
            .map(|card| i64::from(card.maximum_network_interfaces().unwrap_or_default()))
            .collect(),
        ipv4_per_eni: i64::from(network.ipv4_addresses_per_interface().unwrap_or_default()),
        storage_gb: storage.and_then(aws_sdk_ec2::types::InstanceStorageInfo::total_size_in_gb),
        ebs_mbps: ebs.and_then(|ebs| ebs.ebs_optimized_info()?.maximum_bandwidth_in_mbps()).map(i64::from),
        efa: network.efa_info().and_then(aws_sdk_ec2::types::EfaInfo::maximum_efa_interfaces).map_or(0, i64::from),
        gpus: gpus.iter().map(gpu).collect(),
        accelerators: accelerators
            .iter()
            .map(|device| Accelerator {
                count: device.count().map_or(0, i64::from),
                name: device.name().unwrap_or_default().to_owned(),
                maker: device.manufacturer().unwrap_or_default().to_owned(),
            })
            .collect(),
        neuron: neuron
            .iter()
            .map(|device| Neuron {
                count: device.count().map_or(0, i64::from),
                name: device.name().unwrap_or_default().to_owned(),
                cores: device
                    .core_info()
                    .and_then(aws_sdk_ec2::types::NeuronDeviceCoreInfo::count)
                    .map_or(0, i64::from),
            })
            .collect(),
        placement: info
            .placement_group_info()
            .map(|info| info.supported_strategies().iter().map(|one| one.as_str().to_owned()).collect())
            .unwrap_or_default(),
        usage: info.supported_usage_classes().iter().map(|one| one.as_str().to_owned()).collect(),
        network_mbps: None,
        branch_enis: None,
    })
}

fn gpu(device: &aws_sdk_ec2::types::GpuDeviceInfo) -> Gpu {
    Gpu {
        count: device.count().map_or(0, i64::from),
        name: device.name().unwrap_or_default().to_owned(),
        maker: device.manufacturer().unwrap_or_default().to_owned(),
        memory_mib: device
            .memory_info()
            .and_then(aws_sdk_ec2::types::GpuDeviceMemoryInfo::size_in_mib)
            .map_or(0, i64::from),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a clock of some thousand MHz")]
fn mhz(ghz: f64) -> i64 {
    (ghz * 1000.0).round() as i64
}
