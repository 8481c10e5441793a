//! The catalogue of kwok's simulated nodes: 144 types by formula, or those of a file.

mod file;

use planner::model::labels::{ARCH, INSTANCE_TYPE, OS};
use planner::model::resources::{self, CPU, EPHEMERAL_STORAGE, MEMORY, PODS};
use planner::model::{CapacityType, InstanceType, Labels, MicroUsdPerHour, Offering, Resources};

use super::intern::Interner;
use super::unavailable::any_names;
use super::{CatalogError, UnavailablePattern};

const MIB: i64 = 1 << 20;
/// Family letter and GiB of memory per core.
const FAMILIES: [(&str, i64); 3] = [("c", 2), ("m", 8), ("s", 4)];
const CORES: [i64; 12] = [1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256];
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];
const SYSTEMS: [&str; 2] = ["linux", "windows"];
const ZONES: [&str; 4] = ["test-zone-a", "test-zone-b", "test-zone-c", "test-zone-d"];
/// What every node keeps for itself.
const RESERVED_MILLICORES: i64 = 100;
const RESERVED_BYTES: i64 = 10 * MIB;

const FAMILY: &str = "karpenter.kwok.sh/instance-family";
const SIZE: &str = "karpenter.kwok.sh/instance-size";
const INSTANCE_CPU: &str = "karpenter.kwok.sh/instance-cpu";
const INSTANCE_MEMORY: &str = "karpenter.kwok.sh/instance-memory";

/// What [`kwok`] asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KwokSettings {
    pub types: KwokTypes,
    /// Offerings that are out of capacity.
    pub unavailable: Vec<UnavailablePattern>,
}

/// Which types there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KwokTypes {
    /// 3 families × 12 sizes × 2 architectures × 2 operating systems.
    #[default]
    Generated,
    /// Those of `--instance-types-file-path`.
    File {
        /// Named in errors.
        name: String,
        /// Its content, JSON.
        json: String,
    },
}

/// Instance types of the kwok provider, by name.
///
/// # Errors
/// When the file of types cannot be read; never for the generated ones.
pub fn kwok(settings: &KwokSettings) -> Result<Vec<InstanceType>, CatalogError> {
    let mut interner = Interner::default();
    let mut types = match &settings.types {
        KwokTypes::Generated => generated(&mut interner),
        KwokTypes::File { name, json } => file::read(name, json, &mut interner)?,
    };
    types.sort_by(|a, b| a.name.cmp(&b.name));
    for InstanceType { name, offerings, .. } in &mut types {
        offerings.sort_by(|a, b| (&a.zone, a.capacity_type, &a.labels).cmp(&(&b.zone, b.capacity_type, &b.labels)));
        for offering in offerings {
            let is_out = any_names(&settings.unavailable, name, &offering.zone, offering.capacity_type);
            offering.available &= !is_out;
        }
    }
    Ok(types)
}

fn generated(interner: &mut Interner) -> Vec<InstanceType> {
    let mut types = Vec::new();
    for (family, gib_per_core) in FAMILIES {
        for cores in CORES {
            let bytes = cores * gib_per_core * 1024 * MIB;
            for arch in ARCHITECTURES {
                for system in SYSTEMS {
                    let name = format!("{family}-{cores}x-{arch}-{system}");
                    let capacity = Resources::of([
                        (CPU, cores * 1000),
                        (MEMORY, bytes),
                        (PODS, (16 * cores).min(1024)),
                        (EPHEMERAL_STORAGE, 20 * 1024 * MIB),
                    ]);
                    let offerings = ZONES.iter().flat_map(|zone| both_ways(zone, cores, bytes, interner)).collect();
                    types.push(instance_type(&name, arch, Some(system), &capacity, offerings, interner));
                }
            }
        }
    }
    types
}

/// 2.5 cents a core and a tenth of a cent per 10^9 bytes on demand; spot is 30% off.
fn both_ways(zone: &str, cores: i64, bytes: i64, interner: &mut Interner) -> [Offering; 2] {
    let picodollars = i128::from(cores) * 25_000_000_000 + i128::from(bytes);
    let mut at = |capacity_type, tenths: i128| Offering {
        zone: interner.get(zone),
        capacity_type,
        price: MicroUsdPerHour(i64::try_from((picodollars * tenths + 5_000_000) / 10_000_000).unwrap_or(i64::MAX)),
        available: true,
        no_addresses: false,
        labels: Labels::new(),
        reservation: None,
    };
    [at(CapacityType::Spot, 7), at(CapacityType::OnDemand, 10)]
}

fn instance_type(
    name: &str,
    arch: &str,
    system: Option<&str>,
    capacity: &Resources,
    offerings: Vec<Offering>,
    interner: &mut Interner,
) -> InstanceType {
    let cores = resources::quantity(CPU, capacity.get(CPU)).to_string();
    let mut labels = Labels::new();
    let mut set = |key: &str, value: &str| interner.label(&mut labels, key, value);
    set(INSTANCE_TYPE, name);
    set(ARCH, arch);
    if let Some(system) = system {
        set(OS, system);
    }
    set(FAMILY, family(name));
    set(SIZE, size(name).unwrap_or(&cores));
    set(INSTANCE_CPU, &cores);
    set(INSTANCE_MEMORY, &resources::quantity(MEMORY, capacity.get(MEMORY)).to_string());
    let mut allocatable = capacity.clone();
    allocatable.subtract(&Resources::of([(CPU, RESERVED_MILLICORES), (MEMORY, RESERVED_BYTES)]));
    // Whatever a plug-in hands out (GPUs) has a domain of its own.
    let has_devices = capacity.nonzero().iter().any(|(resource, _)| resource.contains('/'));
    InstanceType {
        name: interner.get(name),
        labels,
        open_labels: Vec::new(),
        capacity: capacity.nonzero(),
        allocatable: allocatable.nonzero(),
        exotic: has_devices || name.contains("metal"),
        offerings,
    }
}

/// What stands before the first `.` or `-`; the first letter where there is neither.
fn family(name: &str) -> &str {
    let first = name.chars().next().map_or(0, char::len_utf8);
    name.split_once(['.', '-']).map_or(&name[..first], |(family, _)| family)
}

/// `large` of `m5.large`, `4x` of `c-4x-amd64-linux`; none where a name says no size.
fn size(name: &str) -> Option<&str> {
    let numbered = |text: &str, unit: &str| {
        text.strip_suffix(unit).is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
    };
    let is_word = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if let Some((family, size)) = name.split_once('.') {
        let known = ["nano", "micro", "small", "medium", "large", "metal"].contains(&size) || numbered(size, "xlarge");
        return (known && is_word(family)).then_some(size);
    }
    let parts: Vec<&str> = name.split('-').collect();
    match parts[..] {
        [_, size, _, _] if size.len() > 1 && numbered(size, "x") => Some(size),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_family_and_size() {
        for (name, want) in [
            ("m5.large", ("m5", Some("large"))),
            ("m5.24xlarge", ("m5", Some("24xlarge"))),
            ("m5.metal-24xl", ("m5", None)),
            ("c-4x-amd64-linux", ("c", Some("4x"))),
            ("n2-standard-8", ("n2", None)),
            ("Standard_D4", ("S", None)),
            ("", ("", None)),
        ] {
            assert_eq!((family(name), size(name)), want, "{name}");
        }
    }
}
