//! What options say of things that there are not: a slip of the pen would change nothing, in silence.

use std::collections::BTreeSet;

use cloud::catalog::{CatalogError, RegionTable, region_table, regions};
use planner::model::{CapacityType, Pool};

use super::super::error::InputError;
use super::super::objects::Objects;
use super::super::options::{DEFAULT_REGION, Options};
use super::classes::{EC2, of_option};

/// How many names a note lists.
const MOST: usize = 5;

/// A region that there is not, or a zone that neither the region nor any pool has: wrong even where nothing is bought from
/// EC2. Notes zones that choose nothing.
pub(super) fn places(
    objects: &Objects,
    options: &Options,
    pools: &[Pool],
    notes: &mut Vec<String>,
) -> Result<(), InputError> {
    let zones = options.zones.as_deref().unwrap_or_default();
    if options.region == DEFAULT_REGION && zones.is_empty() {
        return Ok(());
    }
    let known = regions().map_err(|error| of_option(&error))?;
    let region = known.iter().find(|region| region.name == options.region).ok_or_else(|| {
        let known = known.iter().map(|region| region.name.clone()).collect();
        of_option(&CatalogError::Region { region: options.region.clone(), known })
    })?;
    let sold: BTreeSet<&str> =
        pools.iter().flat_map(|pool| pool.types.iter()).flat_map(|of| &of.offerings).map(|o| &*o.zone).collect();
    let is_unknown = |zone: &&String| !region.zones.contains(zone) && !sold.contains(zone.as_str());
    if let Some(zone) = zones.iter().find(is_unknown).filter(|_| !pools.is_empty()) {
        let (zone, region, known) = (zone.clone(), region.name.clone(), region.zones.clone());
        return Err(of_option(&CatalogError::Zone { zone, region, known }));
    }
    if !zones.is_empty() && !pools.is_empty() && !is_ec2(objects) {
        notes.push("--zones changes nothing: it chooses among the zones of EC2, and no NodePool buys there".into());
    }
    Ok(())
}

/// Does any pool buy from EC2?
fn is_ec2(objects: &Objects) -> bool {
    let mut classes = objects.node_pools.iter().map(|pool| &pool.spec.template.spec.node_class_ref);
    classes.any(|class| (&*class.group, &*class.kind) == EC2)
}

/// Notes instance types and zones that are not known.
pub(super) fn unknown(objects: &Objects, options: &Options, pools: &[Pool], notes: &mut Vec<String>) {
    let is_asked = !options.unavailable.is_empty() || options.prices.offerings().next().is_some();
    let region = if is_asked && is_ec2(objects) { region_table(&options.region).ok() } else { None };
    if let Some(region) = &region {
        prices(region, options, notes);
    }
    if pools.is_empty() {
        return;
    }
    for pattern in &options.unavailable {
        let all = [CapacityType::Reserved, CapacityType::Spot, CapacityType::OnDemand];
        let is_sold =
            |name: &str, zone: &str| all.iter().any(|capacity_type| pattern.names(name, zone, *capacity_type));
        let in_region = |region: &RegionTable| {
            region.sold.iter().any(|row| region.zones.iter().any(|zone| is_sold(&row.instance_type, zone)))
        };
        let in_pools = || {
            let mut types = pools.iter().flat_map(|pool| pool.types.iter());
            types.any(|of| of.offerings.iter().any(|offering| is_sold(&of.name, &offering.zone)))
        };
        if !region.as_ref().is_some_and(in_region) && !in_pools() {
            notes.push(format!("--unavailable {pattern} names nothing that is sold: no such instance type, or zone"));
        }
    }
}

fn prices(region: &RegionTable, options: &Options, notes: &mut Vec<String>) {
    let types: BTreeSet<&str> = region.sold.iter().map(|row| row.instance_type.as_str()).collect();
    let zones: BTreeSet<&str> = region.zones.iter().map(String::as_str).collect();
    let (mut no_types, mut no_zones) = (BTreeSet::new(), BTreeSet::new());
    for (instance_type, zone, _) in options.prices.offerings() {
        if !types.contains(instance_type) {
            no_types.insert(instance_type);
        }
        if !zone.is_empty() && !zones.contains(zone) {
            no_zones.insert(zone);
        }
    }
    for (what, unknown) in [("instance type", no_types), ("zone", no_zones)] {
        if unknown.is_empty() {
            continue;
        }
        let shown: Vec<&str> = unknown.iter().copied().take(MOST).collect();
        let more = unknown.len() - shown.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let plural = if unknown.len() == 1 { "" } else { "s" };
        notes.push(format!(
            "--prices: region {} has no {what}{plural} {}{more}; prices of it change nothing",
            options.region,
            shown.join(", ")
        ));
    }
}
