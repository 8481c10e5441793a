//! What options say of things that there are not: a slip of the pen would change nothing, in silence.

use std::collections::BTreeSet;

use cloud::catalog::{CatalogError, RegionTable, region_table, regions};
use planner::model::labels::ZONE;
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

/// Notes zones of another region than the one that is planned for, in which nothing can be bought.
fn elsewhere(objects: &Objects, options: &Options, notes: &mut Vec<String>) {
    let is_here = |zone: &&str| zone.starts_with(options.region.as_str());
    let of_classes = objects.ec2_classes.iter().map(|class| -> BTreeSet<&str> {
        class.object.status.iter().flat_map(|status| &status.subnets).map(|subnet| &*subnet.zone).collect()
    });
    let of_pools = objects.node_pools.iter().map(|pool| -> BTreeSet<&str> {
        let asked = pool.object.spec.template.spec.requirements.iter();
        asked.filter(|r| &*r.key == ZONE && &*r.operator == "In").flat_map(|r| &r.values).map(|zone| &**zone).collect()
    });
    let of_nodes = objects.nodes.iter().filter_map(|node| node.object.metadata.labels.get(ZONE));
    let lists = of_classes.chain(of_pools).chain([of_nodes.map(|zone| &**zone).collect()]);
    // A list that has a zone here, too, is one for several regions.
    let strange: BTreeSet<&str> = lists.filter(|list| !list.iter().any(is_here)).flatten().collect();
    if strange.is_empty() {
        return;
    }
    for region in regions().unwrap_or_default().iter().filter(|region| region.name != options.region) {
        let zones: Vec<&str> = region.zones.iter().map(String::as_str).filter(|zone| strange.contains(zone)).collect();
        if !zones.is_empty() {
            let (s, are) = if zones.len() == 1 { ("", "is") } else { ("s", "are") };
            let (shown, name, here) = (listed(&zones), &region.name, &options.region);
            notes.push(format!("zone{s} {shown} {are} of region {name}, not {here}; give --region {name}"));
        }
    }
}

/// The first few, and how many more there are.
fn listed(names: &[&str]) -> String {
    let shown = names[..names.len().min(MOST)].join(", ");
    if names.len() > MOST { format!("{shown} and {} more", names.len() - MOST) } else { shown }
}

/// Notes instance types and zones that are not known.
pub(super) fn unknown(objects: &Objects, options: &Options, pools: &[Pool], notes: &mut Vec<String>) {
    if is_ec2(objects) {
        elsewhere(objects, options, notes);
    }
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
        let plural = if unknown.len() == 1 { "" } else { "s" };
        notes.push(format!(
            "--prices: region {} has no {what}{plural} {}; prices of it change nothing",
            options.region,
            listed(&unknown.into_iter().collect::<Vec<_>>())
        ));
    }
}
