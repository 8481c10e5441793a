//! The text tables that the catalogue is kept in, one line per instance type.
//!
//! `types.tsv` says what each instance type is; `regions.tsv` says, under a heading per region, in which zones a type is
//! sold and at what on-demand price. Both are tab separated and sorted; `-` is "not known" or "has none". The generator
//! writes them.

use std::str::FromStr;

use planner::model::MicroUsdPerHour;

/// First line of `types.tsv`.
pub(crate) const TYPE_COLUMNS: &str = "name\tarch\tvcpu\tmem_mib\tcpu\tclock_mhz\thypervisor\tflags\tdefault_card\tcard_enis\tipv4_per_eni\t\
    storage_gb\tebs_mbps\tefa\tgpus\taccelerators\tneuron\tplacement\tusage\tnetwork_mbps\tbranch_enis";

/// What `DescribeInstanceTypes` and the two tables beside it say of one instance type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeRow {
    pub name: String,
    /// In EC2's order and words: `x86_64`, `arm64`, `i386`.
    pub arch: Vec<String>,
    pub vcpus: i64,
    /// MiB.
    pub memory_mib: i64,
    /// Maker of the processor, in EC2's words.
    pub cpu: String,
    /// Sustained clock, MHz; zero when EC2 says none.
    pub clock_mhz: i64,
    /// `nitro`, `xen`, or empty on bare metal.
    pub hypervisor: String,
    pub flags: Flags,
    /// Which network card the first interface is on.
    pub default_card: usize,
    /// The most interfaces each network card takes.
    pub card_enis: Vec<i64>,
    pub ipv4_per_eni: i64,
    /// Instance store, GB (10^9).
    pub storage_gb: Option<i64>,
    /// Most bandwidth to EBS, Mbit/s, where the type is optimised for EBS by default.
    pub ebs_mbps: Option<i64>,
    /// The most EFA interfaces.
    pub efa: i64,
    pub gpus: Vec<Gpu>,
    pub accelerators: Vec<Accelerator>,
    pub neuron: Vec<Neuron>,
    /// Placement strategies it can be in: `cluster`, `partition`, `spread`.
    pub placement: Vec<String>,
    /// `on-demand`, `spot`, `capacity-block`.
    pub usage: Vec<String>,
    /// Baseline bandwidth, Mbit/s, by EC2's documentation.
    pub network_mbps: Option<i64>,
    /// Interfaces for pods with security groups of their own, by the VPC resource controller's table.
    pub branch_enis: Option<i64>,
}

/// Yes or no of an instance type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    pub bare_metal: bool,
    pub encryption_in_transit: bool,
    pub nitro_enclaves: bool,
    pub nested_virtualization: bool,
    /// Has, or must have, the Elastic Network Adapter.
    pub ena: bool,
    /// Its instance store speaks `NVMe`.
    pub nvme_storage: bool,
}

/// GPUs of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Zero where the machine has a share of one.
    pub count: i64,
    pub name: String,
    pub maker: String,
    /// MiB of each.
    pub memory_mib: i64,
}

/// Inference accelerators of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accelerator {
    pub count: i64,
    pub name: String,
    pub maker: String,
}

/// AWS Neuron devices of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neuron {
    pub count: i64,
    pub name: String,
    /// Of each device.
    pub cores: i64,
}

/// Where the prices of a region come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceKind {
    /// AWS' price list.
    Listed,
    /// An older list, its gaps and errors filled by the family's usual ratio to us-east-1.
    Estimated,
}

/// What one region sells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionTable {
    pub name: String,
    pub prices: PriceKind,
    /// Day of the price list, `YYYY-MM-DD`.
    pub priced_on: String,
    /// Names, sorted.
    pub zones: Vec<String>,
    /// Sorted by type.
    pub sold: Vec<SoldRow>,
}

/// One instance type in one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoldRow {
    pub instance_type: String,
    /// Which zones of the region's list, by place, ascending.
    pub zones: Vec<usize>,
    /// On demand; none where no list has it.
    pub price: Option<MicroUsdPerHour>,
}

/// What is wrong with a line.
pub(crate) type Fault = String;

impl Flags {
    /// In the order of the fields.
    pub(crate) const NAMES: [&str; 6] = ["metal", "transit", "enclaves", "nested", "ena", "nvme"];

    fn read(text: &str) -> Result<Self, Fault> {
        let names = list(text);
        if let Some(unknown) = names.iter().find(|name| !Self::NAMES.contains(&name.as_str())) {
            return Err(format!("unknown flag {unknown}"));
        }
        let [bare_metal, encryption_in_transit, nitro_enclaves, nested_virtualization, ena, nvme_storage] =
            Self::NAMES.map(|name| names.iter().any(|n| n == name));
        Ok(Self { bare_metal, encryption_in_transit, nitro_enclaves, nested_virtualization, ena, nvme_storage })
    }
}

/// Reads `types.tsv`.
///
/// # Errors
/// The line's number and what is wrong with it.
pub(crate) fn read_types(text: &str) -> Result<Vec<TypeRow>, (usize, Fault)> {
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    if lines.next().is_none_or(|(_, line)| line != TYPE_COLUMNS) {
        return Err((1, "other columns than this version reads".into()));
    }
    lines.map(|(at, line)| read_type(line).map_err(|fault| (at, fault))).collect()
}

fn read_type(line: &str) -> Result<TypeRow, Fault> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [
        name,
        arch,
        vcpus,
        memory,
        cpu,
        clock,
        hypervisor,
        flags,
        card,
        enis,
        ipv4,
        storage,
        ebs,
        efa,
        gpus,
        accelerators,
        neuron,
        placement,
        usage,
        network,
        branch,
    ] = fields[..]
    else {
        return Err(format!("{} fields", fields.len()));
    };
    Ok(TypeRow {
        name: name.into(),
        arch: list(arch),
        vcpus: number(vcpus)?,
        memory_mib: number(memory)?,
        cpu: cpu.into(),
        clock_mhz: number(clock)?,
        hypervisor: if hypervisor == "-" { String::new() } else { hypervisor.into() },
        flags: Flags::read(flags)?,
        default_card: number(card)?,
        card_enis: list(enis).iter().map(|n| number(n)).collect::<Result<_, _>>()?,
        ipv4_per_eni: number(ipv4)?,
        storage_gb: maybe(storage)?,
        ebs_mbps: maybe(ebs)?,
        efa: number(efa)?,
        gpus: groups(gpus, |[count, name, maker, memory]| {
            let (count, memory_mib) = (number(count)?, number(memory)?);
            Ok(Gpu { count, name: name.into(), maker: maker.into(), memory_mib })
        })?,
        accelerators: groups(accelerators, |[count, name, maker]| {
            Ok(Accelerator { count: number(count)?, name: name.into(), maker: maker.into() })
        })?,
        neuron: groups(neuron, |[count, name, cores]| {
            Ok(Neuron { count: number(count)?, name: name.into(), cores: number(cores)? })
        })?,
        placement: list(placement),
        usage: list(usage),
        network_mbps: maybe(network)?,
        branch_enis: maybe(branch)?,
    })
}

/// The part of `regions.tsv` that is about one region, with the number of its first line.
pub(crate) fn find_region<'a>(text: &'a str, name: &str) -> Option<(usize, &'a str)> {
    let heading = format!("@{name}\t");
    let start = if text.starts_with(&heading) { 0 } else { text.find(&format!("\n{heading}"))? + 1 };
    let end = text[start..].find("\n@").map_or(text.len(), |length| start + length + 1);
    Some((text[..start].lines().count() + 1, &text[start..end]))
}

/// Headings of `regions.tsv`, without what is sold.
///
/// # Errors
/// The line's number and what is wrong with it.
pub(crate) fn read_headings(text: &str) -> Result<Vec<RegionTable>, (usize, Fault)> {
    let headings = text.lines().enumerate().filter(|(_, line)| line.starts_with('@'));
    headings.map(|(at, line)| read_heading(line).map_err(|fault| (at + 1, fault))).collect()
}

/// Reads the part about one region.
///
/// # Errors
/// The line's number, from the part's first, and what is wrong with it.
pub(crate) fn read_region(part: &str) -> Result<RegionTable, (usize, Fault)> {
    let mut lines = part.lines().enumerate().map(|(at, line)| (at + 1, line));
    let (_, heading) = lines.next().ok_or_else(|| (1, Fault::from("no heading")))?;
    let mut region = read_heading(heading).map_err(|fault| (1, fault))?;
    let n_zones = region.zones.len();
    region.sold =
        lines.map(|(at, line)| read_sold(line, n_zones).map_err(|fault| (at, fault))).collect::<Result<_, _>>()?;
    Ok(region)
}

fn read_heading(line: &str) -> Result<RegionTable, Fault> {
    let fields: Vec<&str> = line.trim_start_matches('@').split('\t').collect();
    let [name, kind, priced_on, zones] = fields[..] else { return Err("no heading of a region".into()) };
    let prices = match kind {
        "listed" => PriceKind::Listed,
        "estimated" => PriceKind::Estimated,
        _ => return Err(format!("prices are \"{kind}\"")),
    };
    Ok(RegionTable { name: name.into(), prices, priced_on: priced_on.into(), zones: list(zones), sold: Vec::new() })
}

fn read_sold(line: &str, n_zones: usize) -> Result<SoldRow, Fault> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [instance_type, zones, price] = fields[..] else { return Err(format!("{} fields", fields.len())) };
    let zones = if zones == "-" { "" } else { zones };
    let place = |letter: u8| usize::from(letter.wrapping_sub(b'a'));
    let zones: Vec<usize> = zones.bytes().map(place).collect();
    if zones.iter().any(|place| *place >= n_zones) {
        return Err("a zone that the heading does not list".into());
    }
    Ok(SoldRow { instance_type: instance_type.into(), zones, price: maybe(price)?.map(MicroUsdPerHour) })
}

fn list(text: &str) -> Vec<String> {
    if text == "-" { Vec::new() } else { text.split(',').map(str::to_owned).collect() }
}

fn number<T: FromStr>(text: &str) -> Result<T, Fault> {
    text.parse().map_err(|_| format!("\"{text}\" is no number"))
}

fn maybe(text: &str) -> Result<Option<i64>, Fault> {
    if text == "-" { Ok(None) } else { number(text).map(Some) }
}

/// `a*b;c*d`: records of `N` parts.
fn groups<T, const N: usize>(text: &str, read: impl Fn([&str; N]) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
    let records = text.split(';').filter(|record| *record != "-");
    let parts = records.map(|record| record.split('*').collect::<Vec<_>>());
    parts
        .map(|parts| read(parts.try_into().map_err(|p: Vec<&str>| format!("a record of {} parts", p.len()))?))
        .collect()
}
