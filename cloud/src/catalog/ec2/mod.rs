//! The EC2 catalogue: every instance type of a region as one node class would launch it.

mod amounts;
mod capacity;
mod compatibility;
mod labels;
mod offerings;
mod overhead;
pub(crate) mod settings;

use planner::model::{CapacityType, InstanceType, MicroUsdPerHour, Resources, Str};

pub use self::capacity::default_pods;

use self::amounts::Amounts;
use self::offerings::Market;
use self::settings::Ec2Settings;
use super::CatalogError;
use super::embedded;
use super::intern::Interner;
use super::table::{RegionTable, SoldRow, TypeRow};

/// Instance types of the region, by name, with what they offer in the zones asked for. A type that is priced but sold in
/// none of them, or cannot run the class, is there without offerings; one without any price is not there unless the settings keep it.
///
/// Zones are those of the settings, else those of the class, else all of the region.
///
/// # Errors
/// When the region or a zone asked for is not known, or an amount of the class cannot be read.
pub fn ec2(settings: &Ec2Settings) -> Result<Vec<InstanceType>, CatalogError> {
    ec2_of(embedded::types()?, &embedded::region(&settings.region)?, settings)
}

/// As [`ec2`], of types and a region that EC2 told of rather than those of the binary. Both are sorted by name.
///
/// # Errors
/// When a zone asked for is not of the region, or an amount of the class cannot be read.
pub fn ec2_of(
    types: &[TypeRow],
    region: &RegionTable,
    settings: &Ec2Settings,
) -> Result<Vec<InstanceType>, CatalogError> {
    let market = Market::new(settings, region)?;
    let amounts = Amounts::read(&settings.class, &settings.class.kubelet)?;
    let mut interner = Interner::default();
    let kept = rows(types, &region.sold)
        .filter(|(row, sold)| settings.keeps_unpriced || sold.price.is_some() || settings.prices.mentions(&row.name));
    kept.map(|(row, sold)| {
        let own = settings.kubelets.get(row.name.as_str());
        let own = own.map(|kubelet| Amounts::read(&settings.class, kubelet)).transpose()?;
        Ok(instance_type(row, sold, settings, &market, own.as_ref().unwrap_or(&amounts), &mut interner))
    })
    .collect()
}

/// The hourly price of a machine that runs already, whatever the zones and reservations of the settings.
///
/// # Errors
/// When the region is not known.
pub fn ec2_price(
    settings: &Ec2Settings,
    instance_type: &str,
    zone: &str,
    capacity_type: CapacityType,
) -> Result<Option<MicroUsdPerHour>, CatalogError> {
    let listed = settings.prices.get(instance_type, zone, capacity_type);
    let RegionTable { sold, .. } = embedded::region(&settings.region)?;
    let row = sold.binary_search_by(|row| row.instance_type.as_str().cmp(instance_type)).ok().map(|at| &sold[at]);
    Ok(match capacity_type {
        CapacityType::Reserved => Some(MicroUsdPerHour(0)),
        CapacityType::Spot => listed,
        CapacityType::OnDemand => listed.or_else(|| row.and_then(|row| row.price)),
    })
}

/// Types with what the region says of them; both lists are sorted by name.
fn rows<'a>(types: &'a [TypeRow], sold: &'a [SoldRow]) -> impl Iterator<Item = (&'a TypeRow, &'a SoldRow)> {
    sold.iter().filter_map(|sold| {
        let at = types.binary_search_by(|row| row.name.cmp(&sold.instance_type)).ok()?;
        Some((&types[at], sold))
    })
}

fn instance_type(
    row: &TypeRow,
    sold: &SoldRow,
    settings: &Ec2Settings,
    market: &Market<'_>,
    amounts: &Amounts,
    interner: &mut Interner,
) -> InstanceType {
    let capacity = capacity::capacity(row, settings, amounts);
    let mut allocatable = capacity.clone();
    allocatable.subtract(&overhead::overhead(row, settings, amounts, &capacity));
    let offerings =
        if compatibility::runs(row, &settings.class) { market.offerings(row, sold, interner) } else { Vec::new() };
    InstanceType {
        name: interner.get(&row.name),
        labels: labels::labels(row, settings, interner),
        open_labels: vec![(interner.get(labels::TENANCY), vec![interner.get("default"), interner.get("dedicated")])],
        exotic: is_exotic(row, &capacity),
        capacity: shared(&capacity.nonzero(), interner),
        allocatable: shared(&allocatable.nonzero(), interner),
        offerings,
    }
}

/// GPUs, accelerators, bare metal: bought only by what needs them.
fn is_exotic(row: &TypeRow, capacity: &Resources) -> bool {
    row.name.contains("metal") || capacity::ACCELERATORS.iter().any(|name| capacity.get(name) != 0)
}

fn shared(resources: &Resources, interner: &mut Interner) -> Resources {
    let pairs = resources.iter().map(|(name, amount)| (interner.get(name), amount));
    Resources(pairs.collect::<std::collections::BTreeMap<Str, i64>>())
}
