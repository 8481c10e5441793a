//! In which zones a type is sold, how it is paid for, and at what price.

use planner::model::catalog::Reservation;
use planner::model::{CapacityType, Labels, MicroUsdPerHour, Offering};

use super::settings::{CapacityReservation, Ec2Settings, PlacementStrategy};
use crate::catalog::CatalogError;
use crate::catalog::intern::Interner;
use crate::catalog::table::{RegionTable, SoldRow, TypeRow};
use crate::catalog::unavailable::any_names;
use crate::labels::{INTERRUPTIBLE, PARTITION, RESERVATION_TYPE, ZONE_ID};

/// By so much the price on demand is divided for what is reserved: below any spot price, and above zero.
const RESERVED: i64 = 10_000;

/// One region, as far as the settings let us buy in it.
pub(super) struct Market<'a> {
    settings: &'a Ec2Settings,
    /// Zones of the region, in its order.
    zones: Vec<Zone<'a>>,
}

struct Zone<'a> {
    name: &'a str,
    id: Option<&'a str>,
    /// Nothing is bought elsewhere.
    is_open: bool,
}

impl<'a> Market<'a> {
    /// # Errors
    /// When a zone asked for by name is not of the region. A class may have subnets in zones we do not know.
    pub(super) fn new(settings: &'a Ec2Settings, region: &'a RegionTable) -> Result<Self, CatalogError> {
        if let Some(unknown) = settings.zones.iter().flatten().find(|zone| !region.zones.contains(zone)) {
            let (region, known) = (region.name.clone(), region.zones.clone());
            return Err(CatalogError::Zone { zone: unknown.clone(), region, known });
        }
        let of_class = &settings.class.zones;
        let zones = region.zones.iter().map(|name| {
            let in_class = of_class.iter().find(|zone| zone.zone == *name);
            let is_open = match &settings.zones {
                Some(asked) => asked.contains(name),
                None => of_class.is_empty() || in_class.is_some(),
            };
            Zone { name, id: in_class.and_then(|zone| zone.zone_id.as_deref()), is_open }
        });
        Ok(Self { settings, zones: zones.collect() })
    }

    /// Every way to buy `row`, by zone, then reserved before spot before on-demand.
    pub(super) fn offerings(&self, row: &TypeRow, sold: &SoldRow, interner: &mut Interner) -> Vec<Offering> {
        let mut all = Vec::new();
        for zone in sold.zones.iter().filter_map(|at| self.zones.get(*at)).filter(|zone| zone.is_open) {
            let reservations = self.settings.class.capacity_reservations.iter();
            let mut reservations: Vec<_> =
                reservations.filter(|r| r.instance_type == row.name && r.zone == zone.name).collect();
            reservations.sort_by(|a, b| a.id.cmp(&b.id));
            all.extend(
                reservations.into_iter().map(|reservation| self.reserved((row, sold), zone, reservation, interner)),
            );
            let listed = |capacity_type| self.settings.prices.get(&row.name, zone.name, capacity_type);
            let has = |usage: &str| row.usage.iter().any(|one| one == usage);
            // A price for spot is what shows that there is a spot market.
            match listed(CapacityType::Spot) {
                Some(price) => all.push(self.plain(row, zone, CapacityType::Spot, price, interner)),
                None if has("spot") => all.extend(self.unpriced(row, zone, CapacityType::Spot, interner)),
                None => {}
            }
            match listed(CapacityType::OnDemand).or(sold.price).filter(|_| has("on-demand")) {
                Some(price) => all.push(self.plain(row, zone, CapacityType::OnDemand, price, interner)),
                None if has("on-demand") => all.extend(self.unpriced(row, zone, CapacityType::OnDemand, interner)),
                None => {}
            }
        }
        self.by_partition(all, interner)
    }

    fn plain(
        &self,
        row: &TypeRow,
        zone: &Zone<'_>,
        capacity_type: CapacityType,
        price: MicroUsdPerHour,
        interner: &mut Interner,
    ) -> Offering {
        let mut labels = Labels::new();
        if let Some(id) = zone.id {
            interner.label(&mut labels, ZONE_ID, id);
        }
        let in_stock = !any_names(&self.settings.unavailable, &row.name, zone.name, capacity_type);
        let is_full = self.settings.full_zones.contains(zone.name);
        Offering {
            zone: interner.get(zone.name),
            capacity_type,
            price,
            available: in_stock && !is_full,
            no_addresses: in_stock && is_full,
            labels,
            reservation: None,
        }
    }

    /// There, and not to be bought: nobody knows what it costs.
    fn unpriced(
        &self,
        row: &TypeRow,
        zone: &Zone<'_>,
        capacity_type: CapacityType,
        interner: &mut Interner,
    ) -> Option<Offering> {
        let plain = || self.plain(row, zone, capacity_type, MicroUsdPerHour(0), interner);
        self.settings.keeps_unpriced.then(plain).map(|one| Offering { available: false, no_addresses: false, ..one })
    }

    /// Paid for already, so it costs next to nothing more to use: enough to tell what is worth more from what is worth less.
    fn reserved(
        &self,
        (row, sold): (&TypeRow, &SoldRow),
        zone: &Zone<'_>,
        reservation: &CapacityReservation,
        interner: &mut Interner,
    ) -> Offering {
        let worth = self.settings.prices.get(&row.name, zone.name, CapacityType::OnDemand).or(sold.price);
        let price = worth.map_or(MicroUsdPerHour(0), |worth| MicroUsdPerHour((worth.0 + RESERVED - 1) / RESERVED));
        let mut offering = self.plain(row, zone, CapacityType::Reserved, price, interner);
        let labels = &mut offering.labels;
        interner.label(labels, planner::model::labels::RESERVATION_ID, &reservation.id);
        interner.label(labels, RESERVATION_TYPE, reservation.kind.as_str());
        interner.label(labels, INTERRUPTIBLE, if reservation.interruptible { "true" } else { "false" });
        let is_open = reservation.count > 0 && !reservation.expiring;
        offering.available &= is_open;
        offering.no_addresses &= is_open;
        offering.reservation = Some(Reservation { id: interner.get(&reservation.id), count: reservation.count });
        offering
    }

    /// A partition placement group offers everything once per partition.
    fn by_partition(&self, offerings: Vec<Offering>, interner: &mut Interner) -> Vec<Offering> {
        let group = self.settings.class.placement_group.as_ref();
        let Some(PlacementStrategy::Partition(n_partitions)) = group.map(|group| group.strategy) else {
            return offerings;
        };
        let mut all = Vec::new();
        for offering in offerings {
            for partition in 1..=n_partitions {
                let mut offering = offering.clone();
                interner.label(&mut offering.labels, PARTITION, &partition.to_string());
                all.push(offering);
            }
        }
        all
    }
}
