//! What can be bought under a class: instance types and prices as EC2 tells them, and what the class makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloud::aws::reserve::CapacityReservation;
use cloud::aws::shift::{Shifted, renewed};
use cloud::aws::{Clients, Facts, Fault, Subnet, on_demand, spot_prices};
use cloud::catalog::{Ec2Settings, PlacementGroup, PriceList, UnavailablePattern, ec2_of};
use cloud::{ClassError, ClassRef, OfferingKey};
use crds::Ec2NodeClass;
use planner::model::Str;
use planner::model::catalog::Catalog;
use tokio::time::{Instant, sleep};

use super::memory::{self, Known};
use super::{Settings, Shared, translate};
use crate::clock::Clock;

/// How often spot prices are asked for; they move by the hour.
const PRICES: Duration = Duration::from_mins(10);
/// How often it is asked which types there are, and what they cost on demand.
const TYPES: Duration = Duration::from_hours(12);

/// How long a pool that had nothing inside a placement group is left alone under its class.
const SHUNNED: Duration = Duration::from_mins(3);

/// Types, prices, and the catalogues made from them.
#[derive(Debug)]
pub struct Market(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    facts: Arc<Facts>,
    /// What the price list service told; empty: the binary's prices count.
    on_demand: PriceList,
    spot: PriceList,
    /// Goes up with every change to types and prices.
    version: u64,
    /// A class' catalogue with what it was made from.
    made: BTreeMap<ClassRef, (Made, Catalog)>,
    /// Subnets of classes with their free addresses, as last looked up.
    subnets: BTreeMap<ClassRef, Vec<Subnet>>,
    /// How often subnets were looked up.
    n_looks: u64,
    /// What is kept for machines of classes, as last looked up.
    kept: BTreeMap<ClassRef, Kept>,
    /// Pools that had nothing inside the placement group of a class, and until when they are left alone. Outside of the
    /// group they may have.
    shunned: BTreeMap<ClassRef, BTreeMap<OfferingKey, Instant>>,
    /// Zones that the cluster is moved away from.
    shifted: Shifted,
    memory: Known,
}

/// What is kept for machines of a class.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Kept {
    pub reservations: Vec<CapacityReservation>,
    pub placement: Option<PlacementGroup>,
}

#[derive(Clone, Debug, PartialEq)]
struct Made {
    version: u64,
    class: cloud::catalog::Ec2Class,
    unavailable: Vec<UnavailablePattern>,
    memory: BTreeMap<Str, i64>,
}

impl Market {
    /// Asks EC2 for types and prices; where it cannot be asked, the binary's tables stand in.
    ///
    /// # Errors
    /// The region and what EC2 said, if neither knows the region.
    pub async fn ask(clients: &Clients, clock: Clock, is_isolated: bool) -> Result<Self, (String, Fault)> {
        let facts = match Facts::ask(clients).await {
            Ok(facts) => facts,
            Err(fault) => {
                let region = clients.region();
                tracing::warn!(error = %fault, "instance types cannot be asked for; those of the binary stand in");
                Facts::embedded(region).ok_or_else(|| (region.to_owned(), fault))?
            }
        };
        let inner = Inner {
            facts: Arc::new(facts),
            on_demand: PriceList::default(),
            spot: PriceList::default(),
            version: 0,
            made: BTreeMap::new(),
            subnets: BTreeMap::new(),
            n_looks: 0,
            kept: BTreeMap::new(),
            shunned: BTreeMap::new(),
            shifted: Shifted::new(),
            memory: Known::default(),
        };
        let market = Self(Mutex::new(inner));
        market.renew_prices(clients, clock.seconds()).await;
        market.renew_on_demand(clients, is_isolated).await;
        Ok(market)
    }

    fn locked<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn renew_prices(&self, clients: &Clients, now: i64) {
        // Asked for a moment, EC2 tells the price at it and all since.
        match spot_prices(clients, now).await {
            Ok(prices) => self.locked(|inner| {
                let before = inner.spot.clone();
                inner.spot.lay_over(&prices);
                inner.version += u64::from(inner.spot != before);
            }),
            Err(error) => tracing::warn!(%error, "spot prices cannot be asked for; the last ones stay"),
        }
    }

    /// A network without a way out, or a region without the service, keeps the binary's prices.
    async fn renew_on_demand(&self, clients: &Clients, is_isolated: bool) {
        if is_isolated || clients.region().starts_with("us-gov") {
            return;
        }
        match on_demand(clients).await {
            Ok(prices) => self.locked(|inner| {
                let before = inner.on_demand.clone();
                inner.on_demand.lay_over(&prices);
                inner.version += u64::from(inner.on_demand != before);
            }),
            Err(error) => tracing::warn!(%error, "on-demand prices cannot be asked for; the last ones stay"),
        }
    }

    async fn renew_types(&self, clients: &Clients) {
        match Facts::ask(clients).await {
            Ok(facts) => self.locked(|inner| {
                if *inner.facts != facts {
                    inner.facts = Arc::new(facts);
                    inner.version += 1;
                }
            }),
            Err(error) => tracing::warn!(%error, "instance types cannot be asked for; the last ones stay"),
        }
    }

    /// What a class sells; the same one for as long as nothing changes.
    pub(super) fn catalog(
        &self,
        name: &ClassRef,
        class: &Ec2NodeClass,
        settings: &Settings,
    ) -> Result<Catalog, ClassError> {
        let now = settings.clock.seconds();
        let parts = self.locked(|inner| {
            let kept = inner.kept.get(name).cloned().unwrap_or_default();
            let of_class = translate::catalog_class(class, &kept, now);
            let unavailable = unavailable(inner, name, class);
            let memory = inner.memory.of(&memory::images(class), now);
            let made = Made { version: inner.version, class: of_class, unavailable, memory };
            if let Some((_, catalog)) = inner.made.get(name).filter(|(of, _)| *of == made) {
                return Err(catalog.clone());
            }
            let mut prices = inner.on_demand.clone();
            prices.lay_over(&inner.spot);
            Ok((inner.facts.clone(), prices, made))
        });
        let (facts, prices, made) = match parts {
            Err(catalog) => return Ok(catalog),
            Ok(parts) => parts,
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share from 0 to 1, in millionths"
        )]
        let overhead = (settings.config.vm_memory_overhead_percent * 1e6).round() as u32;
        let of_region = Ec2Settings {
            region: facts.region.name.clone(),
            class: made.class.clone(),
            reserved_enis: settings.config.reserved_enis,
            vm_memory_overhead_millionths: overhead,
            prices,
            unavailable: made.unavailable.clone(),
            discovered_memory: made.memory.clone(),
            ..Ec2Settings::default()
        };
        let types = ec2_of(&facts.types, &facts.region, &of_region)
            .map_err(|source| ClassError::Catalog { class: name.clone(), source: Box::new(source) })?;
        let catalog = Arc::new(types);
        self.locked(|inner| inner.made.insert(name.clone(), (made, catalog.clone())));
        Ok(catalog)
    }

    /// Subnets of a class were looked up.
    pub(super) fn saw_subnets(&self, class: ClassRef, mut subnets: Vec<Subnet>) {
        self.locked(|inner| {
            inner.n_looks += 1;
            for subnet in &mut subnets {
                subnet.look = inner.n_looks;
            }
            inner.subnets.insert(class, subnets);
        });
    }

    pub(super) fn subnets(&self, class: &ClassRef) -> Vec<Subnet> {
        self.locked(|inner| inner.subnets.get(class).cloned().unwrap_or_default())
    }

    /// What is kept for a class was looked up.
    pub(super) fn saw_kept(&self, class: ClassRef, kept: Kept) {
        self.locked(|inner| drop(inner.kept.insert(class, kept)));
    }

    pub(super) fn kept(&self, class: &ClassRef) -> Kept {
        self.locked(|inner| inner.kept.get(class).cloned().unwrap_or_default())
    }

    /// The id of a zone that some class has a subnet in; empty for others.
    pub(super) fn zone_id(&self, zone: &str) -> String {
        self.locked(|inner| {
            let found = inner.subnets.values().flatten().find(|subnet| *subnet.zone == *zone);
            found.map(|subnet| subnet.zone_id.to_string()).unwrap_or_default()
        })
    }

    /// What is known of the memory of nodes.
    pub(super) fn memory(&self, look: impl FnOnce(&mut Known)) {
        self.locked(|inner| look(&mut inner.memory));
    }

    /// ARC told, if it answered, which zones the cluster is moved away from; the ids of those that it is at `now`.
    pub(super) fn saw_shifts(&self, told: Option<Shifted>, now: i64) -> BTreeSet<Str> {
        self.locked(|inner| {
            inner.shifted = renewed(&inner.shifted, told, now);
            inner.shifted.keys().cloned().collect()
        })
    }

    /// A machine was bought from a reservation: until the next look there is one less in it.
    pub(super) fn drew_on(&self, reservation: &str) {
        self.locked(|inner| {
            let all = inner.kept.values_mut().flat_map(|kept| &mut kept.reservations);
            all.filter(|one| one.id == reservation).for_each(|one| one.n_left = one.n_left.saturating_sub(1));
        });
    }

    /// Pools had nothing inside the placement group of a class.
    pub(super) fn shun(&self, class: &ClassRef, pools: Vec<OfferingKey>) {
        let until = Instant::now() + SHUNNED;
        self.locked(|inner| {
            inner.shunned.entry(class.clone()).or_default().extend(pools.into_iter().map(|pool| (pool, until)));
        });
    }

    /// A class is gone.
    pub(super) fn forget(&self, class: &ClassRef) {
        self.locked(|inner| {
            inner.kept.remove(class);
            inner.shunned.remove(class);
            inner.made.remove(class);
            inner.subnets.remove(class);
        });
    }
}

/// Pools that are left alone under a class, for as long as they are, and zones that are shifted.
fn unavailable(inner: &mut Inner, name: &ClassRef, class: &Ec2NodeClass) -> Vec<UnavailablePattern> {
    let zones = zones_of(class, |id| inner.shifted.contains_key(id));
    let mut all: Vec<_> =
        zones.iter().filter_map(|zone| UnavailablePattern::parse(&format!("*/{zone}/*")).ok()).collect();
    let now = Instant::now();
    let Some(shunned) = inner.shunned.get_mut(name) else { return all };
    shunned.retain(|_, until| *until > now);
    let of = |key: &OfferingKey| {
        let text = format!("{}/{}/{}", key.instance_type, key.zone, key.capacity_type.as_str());
        UnavailablePattern::parse(&text).ok()
    };
    all.extend(shunned.keys().filter_map(of));
    all
}

/// Names of the zones of a class' subnets whose ids are meant.
pub(super) fn zones_of(class: &Ec2NodeClass, is_meant: impl Fn(&str) -> bool) -> BTreeSet<Str> {
    let subnets = class.status.iter().flat_map(|status| &status.subnets);
    let meant = subnets.filter(|subnet| subnet.zone_id.as_deref().is_some_and(&is_meant));
    meant.map(|subnet| Str::from(subnet.zone.as_str())).collect()
}

/// Keeps types and prices fresh.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut types_at = Instant::now();
    loop {
        sleep(PRICES).await;
        shared.market.renew_prices(shared.clients(), shared.clock.seconds()).await;
        if types_at.elapsed() >= TYPES {
            types_at = Instant::now();
            shared.market.renew_types(shared.clients()).await;
            let is_isolated = shared.settings.config.isolated_vpc;
            shared.market.renew_on_demand(shared.clients(), is_isolated).await;
        }
    }
}
