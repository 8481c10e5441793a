//! The market behind the region: a pool for each type, zone and way to pay, with stock and prices drawn from the seed.

use cloud::OfferingKey;
use cloud::catalog::{CatalogError, RegionTable, TypeRow};
use planner::model::{CapacityType, MicroUsdPerHour};

use super::options::{Level, Options};
use crate::market::{Market, Options as MarketOptions, Stock, UNLIMITED};
use crate::rng::SplitMix64;

/// Leaves only these zones.
pub fn keep_zones(region: &mut RegionTable, only: &[String]) -> Result<(), CatalogError> {
    if let Some(unknown) = only.iter().find(|zone| !region.zones.contains(zone)) {
        let (region, known) = (region.name.clone(), region.zones.clone());
        return Err(CatalogError::Zone { zone: unknown.clone(), region, known });
    }
    let kept: Vec<usize> = (0..region.zones.len()).filter(|at| only.contains(&region.zones[*at])).collect();
    for row in &mut region.sold {
        let places = row.zones.iter().filter_map(|zone| kept.iter().position(|at| at == zone));
        row.zones = places.collect();
    }
    region.sold.retain(|row| !row.zones.is_empty());
    region.zones = kept.into_iter().map(|at| region.zones[at].clone()).collect();
    Ok(())
}

/// The region's pools. Spot costs a quarter to seven tenths of on-demand; a type without a price has no spot market.
pub fn of(options: &Options, region: &RegionTable, types: &[TypeRow]) -> Market {
    let mut market = Market::new(MarketOptions { seed: options.seed, boot: options.boot, register: options.register });
    let mut rng = SplitMix64::new(options.seed ^ 0x5eed);
    for sold in &region.sold {
        let Ok(at) = types.binary_search_by(|row| row.name.cmp(&sold.instance_type)) else { continue };
        let row = &types[at];
        let price = sold.price.unwrap_or(MicroUsdPerHour(50_000 * row.vcpus));
        for zone in sold.zones.iter().filter_map(|at| region.zones.get(*at)) {
            for (usage, capacity_type) in [("on-demand", CapacityType::OnDemand), ("spot", CapacityType::Spot)] {
                let is_spot = capacity_type == CapacityType::Spot;
                let share = rng.between(25, 70);
                let units = units(options.level, is_spot, row.vcpus, &mut rng);
                if !row.usage.iter().any(|one| one == usage) || is_spot && sold.price.is_none() {
                    continue;
                }
                let price = if is_spot { MicroUsdPerHour(price.0 * share / 100) } else { price };
                let key = OfferingKey {
                    instance_type: row.name.as_str().into(),
                    zone: zone.as_str().into(),
                    capacity_type,
                    reservation: None,
                };
                market.offer(key, Stock::of(price, units));
            }
        }
    }
    market
}

fn units(level: Level, is_spot: bool, vcpus: i64, rng: &mut SplitMix64) -> u32 {
    let drawn = if is_spot { rng.between(0, 120) } else { rng.between(20, 400) };
    match level {
        Level::Unlimited => UNLIMITED,
        Level::Each(units) => units,
        Level::Seeded => u32::try_from(drawn * 8 / (8 + vcpus)).unwrap_or(0),
    }
}
