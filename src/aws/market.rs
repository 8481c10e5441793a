//! What can be bought under a class: instance types and prices as EC2 tells them, and what the class makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloud::aws::reserve::CapacityReservation;
use cloud::aws::shift::{Shifted, renewed};
use cloud::aws::{Clients, Facts, Fault, Subnet, on_demand, spot_prices};
use cloud::catalog::{Ec2Settings, PlacementGroup, PriceList, TypeRow, UnavailablePattern, default_pods, ec2_of};
use cloud::{ClassError, ClassRef, OfferingKey, Sold};
use crds::Ec2NodeClass;
use planner::model::Str;
use planner::model::catalog::Catalog;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until};

use super::kubelet::expressions::Expressions;
use super::memory::{self, Known};
use super::prices::Sources;
use super::{Settings, Shared, translate};
use crate::clock::Clock;
use crate::observe::kubelet::entries::{self, of_catalog};

/// How often spot prices are asked for; they move by the hour.
const PRICES: Duration = Duration::from_mins(10);
/// How often it is asked which types there are, and what they cost on demand.
const TYPES: Duration = Duration::from_hours(12);

/// How long after a failure it is asked again, at first and at most.
const AGAIN: Duration = Duration::from_mins(1);
const AGAIN_AT_MOST: Duration = Duration::from_mins(10);

/// How long a zone without room for an order is left alone under its class, unless addresses come free.
const CROWDED: Duration = Duration::from_mins(3);
/// How long a pool that had nothing inside a placement group is left alone under its class.
const SHUNNED: Duration = Duration::from_mins(3);

/// Types, prices, and the catalogues made from them.
#[derive(Debug)]
pub struct Market(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    facts: Arc<Facts>,
    /// Of the facts.
    sold: Arc<Sold>,
    prices: Sources,
    due: Due,
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
    /// Zones in which a class had no room for an order of so many addresses, and until when that counts.
    crowded: BTreeMap<ClassRef, BTreeMap<Str, (i64, Instant)>>,
    /// Zones that the cluster is moved away from.
    shifted: Shifted,
    memory: Known,
}

/// When each source is asked next.
#[derive(Debug)]
struct Due {
    types: Next,
    /// None: it is never asked.
    on_demand: Option<Next>,
    spot: Next,
}

/// When something is asked next.
#[derive(Clone, Copy, Debug)]
struct Next {
    at: Instant,
    n_failed: u32,
    usually: Duration,
}

impl Next {
    fn new(usually: Duration) -> Self {
        Self { at: Instant::now(), n_failed: 0, usually }
    }

    /// It was asked: again after the usual time, or soon if it failed.
    fn asked(&mut self, went_well: bool) {
        let pause = AGAIN.saturating_mul(2_u32.saturating_pow(self.n_failed)).min(AGAIN_AT_MOST);
        self.n_failed = if went_well { 0 } else { self.n_failed.saturating_add(1) };
        self.at = Instant::now() + if went_well { self.usually } else { pause };
    }

    fn is_due(&self) -> bool {
        self.at <= Instant::now()
    }
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
    /// The kubelet's settings, if some of them are expressions.
    expressions: Option<Map<String, Value>>,
    unavailable: Vec<UnavailablePattern>,
    full_zones: BTreeSet<Str>,
    memory: BTreeMap<Str, i64>,
}

impl Market {
    /// Asks EC2 for types and prices; where it cannot be asked, the binary's tables stand in.
    ///
    /// # Errors
    /// The region and what EC2 said, if neither knows the region.
    pub async fn ask(
        clients: &Clients,
        clock: Clock,
        is_isolated: bool,
        given: PriceList,
    ) -> Result<Self, (String, Fault)> {
        let mut types = Next::new(TYPES);
        let told = Facts::ask(clients).await;
        types.asked(told.is_ok());
        let facts = match told {
            Ok(facts) => facts,
            Err(fault) => {
                let region = clients.region();
                tracing::warn!(error = %fault, "instance types cannot be asked for; those of the binary stand in");
                Facts::embedded(region).ok_or_else(|| (region.to_owned(), fault))?
            }
        };
        // A network without a way out, or a region without the service, keeps the binary's prices.
        let has_list = !is_isolated && !clients.region().starts_with("us-gov");
        let inner = Inner {
            sold: Arc::new(facts.sold()),
            facts: Arc::new(facts),
            prices: Sources { on_demand: PriceList::default(), spot: None, given },
            due: Due { types, on_demand: has_list.then(|| Next::new(TYPES)), spot: Next::new(PRICES) },
            version: 0,
            made: BTreeMap::new(),
            subnets: BTreeMap::new(),
            n_looks: 0,
            kept: BTreeMap::new(),
            shunned: BTreeMap::new(),
            crowded: BTreeMap::new(),
            shifted: Shifted::new(),
            memory: Known::default(),
        };
        let market = Self(Mutex::new(inner));
        market.renew(clients, clock.seconds()).await;
        Ok(market)
    }

    fn locked<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks whatever is due; when the next is.
    async fn renew(&self, clients: &Clients, now: i64) -> Instant {
        let (types, on_demand, spot) = self.locked(|inner| {
            let due = &inner.due;
            (due.types.is_due(), due.on_demand.is_some_and(|next| next.is_due()), due.spot.is_due())
        });
        if spot {
            self.renew_spot(clients, now).await;
        }
        if types {
            self.renew_types(clients).await;
        }
        if on_demand {
            self.renew_on_demand(clients).await;
        }
        self.locked(|inner| {
            let due = &inner.due;
            let first = due.types.at.min(due.spot.at);
            due.on_demand.map_or(first, |next| first.min(next.at))
        })
    }

    async fn renew_spot(&self, clients: &Clients, now: i64) {
        // Asked for a moment, EC2 tells the price at it and all since.
        let told = spot_prices(clients, now).await;
        self.locked(|inner| {
            inner.due.spot.asked(told.is_ok());
            let Ok(prices) = &told else { return };
            let before = inner.prices.spot.clone();
            inner.prices.spot.get_or_insert_default().lay_over(prices);
            inner.version += u64::from(inner.prices.spot != before);
        });
        if let Err(error) = told {
            tracing::warn!(%error, "spot prices cannot be asked for; the last ones stay");
        }
    }

    async fn renew_on_demand(&self, clients: &Clients) {
        let told = on_demand(clients).await;
        self.locked(|inner| {
            if let Some(next) = &mut inner.due.on_demand {
                next.asked(told.is_ok());
            }
            let Ok(prices) = &told else { return };
            let before = inner.prices.on_demand.clone();
            inner.prices.on_demand.lay_over(prices);
            inner.version += u64::from(inner.prices.on_demand != before);
        });
        if let Err(error) = told {
            tracing::warn!(%error, "on-demand prices cannot be asked for; the last ones stay");
        }
    }

    async fn renew_types(&self, clients: &Clients) {
        let told = Facts::ask(clients).await;
        if let Err(error) = &told {
            tracing::warn!(%error, "instance types cannot be asked for; the last ones stay");
        }
        self.locked(|inner| {
            inner.due.types.asked(told.is_ok());
            if let Ok(facts) = told
                && *inner.facts != facts
            {
                inner.sold = Arc::new(facts.sold());
                inner.facts = Arc::new(facts);
                inner.version += 1;
            }
        });
    }

    /// What a class sells; the same one for as long as nothing changes. In `full_zones` its subnets have no addresses left.
    pub(super) fn catalog(
        &self,
        name: &ClassRef,
        class: &Ec2NodeClass,
        settings: &Settings,
        full_zones: BTreeSet<Str>,
    ) -> Result<Catalog, ClassError> {
        let now = settings.clock.seconds();
        let parts = self.locked(|inner| {
            let kept = inner.kept.get(name).cloned().unwrap_or_default();
            let of_class = translate::catalog_class(class, &kept, now);
            let unavailable = unavailable(inner, name, class);
            let memory = inner.memory.of(&memory::images(class), now);
            let expressions = expressions(class, settings).cloned();
            let made = Made { version: inner.version, class: of_class, expressions, unavailable, full_zones, memory };
            if let Some((_, catalog)) = inner.made.get(name).filter(|(of, _)| *of == made) {
                return Err(catalog.clone());
            }
            Ok((inner.facts.clone(), inner.prices.told(&inner.facts), made))
        });
        let (facts, prices, made) = match parts {
            Err(catalog) => return Ok(catalog),
            Ok(parts) => parts,
        };
        let of_class = settings.of_catalog(made.class.clone());
        let kubelets = match &made.expressions {
            Some(kubelet) => kubelets(kubelet, facts.types.iter(), &of_class),
            None => BTreeMap::new(),
        };
        let of_region = Ec2Settings {
            region: facts.region.name.clone(),
            prices,
            unavailable: made.unavailable.clone(),
            full_zones: made.full_zones.clone(),
            keeps_unpriced: true,
            kubelets: kubelets.iter().map(|(name, told)| (name.clone(), of_catalog(told))).collect(),
            discovered_memory: made.memory.clone(),
            ..of_class
        };
        let types = ec2_of(&facts.types, &facts.region, &of_region)
            .map_err(|source| ClassError::Catalog { class: name.clone(), source: Box::new(source) })?;
        let catalog = Arc::new(types);
        self.locked(|inner| inner.made.insert(name.clone(), (made, catalog.clone())));
        Ok(catalog)
    }

    pub(super) fn facts(&self) -> Arc<Facts> {
        self.locked(|inner| inner.facts.clone())
    }

    /// What the region sells at all.
    pub(super) fn sold(&self) -> Arc<Sold> {
        self.locked(|inner| inner.sold.clone())
    }

    /// All prices that were told or given.
    pub(super) fn prices(&self) -> PriceList {
        self.locked(|inner| inner.prices.told(&inner.facts))
    }

    /// What the kubelet of a class is told on these types, where it has expressions.
    pub(super) fn kubelets(
        &self,
        class: &Ec2NodeClass,
        types: &BTreeSet<&str>,
        settings: &Settings,
    ) -> BTreeMap<Str, Map<String, Value>> {
        let Some(kubelet) = expressions(class, settings) else { return BTreeMap::new() };
        let facts = self.facts();
        let of_class = settings.of_catalog(translate::catalog_class(class, &Kept::default(), 0));
        kubelets(kubelet, facts.types.iter().filter(|row| types.contains(row.name.as_str())), &of_class)
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

    /// A reservation had no machine, or takes back those that it gave: until the next look there is none in it.
    pub(super) fn emptied(&self, reservation: &str) {
        self.locked(|inner| {
            let all = inner.kept.values_mut().flat_map(|kept| &mut kept.reservations);
            all.filter(|one| one.id == reservation).for_each(|one| one.n_left = 0);
        });
    }

    /// Pools had nothing inside the placement group of a class.
    pub(super) fn shun(&self, class: &ClassRef, pools: Vec<OfferingKey>) {
        let until = Instant::now() + SHUNNED;
        self.locked(|inner| {
            inner.shunned.entry(class.clone()).or_default().extend(pools.into_iter().map(|pool| (pool, until)));
        });
    }

    /// A class had no room in these zones for an order of so many addresses.
    pub(super) fn lacks_room(&self, class: &ClassRef, zones: impl Iterator<Item = Str>, n_addresses: i64) {
        let until = Instant::now() + CROWDED;
        self.locked(|inner| {
            let mut zones = zones.peekable();
            if zones.peek().is_some() {
                let of_class = inner.crowded.entry(class.clone()).or_default();
                of_class.extend(zones.map(|zone| (zone, (n_addresses, until))));
            }
        });
    }

    /// How many addresses the next order under a class is taken to want, by zone; one where nothing is known.
    pub(super) fn wanted(&self, class: &ClassRef) -> BTreeMap<Str, i64> {
        let now = Instant::now();
        self.locked(|inner| {
            let of_class = inner.crowded.get(class).into_iter().flatten();
            of_class.filter(|(_, (_, until))| *until > now).map(|(zone, (n, _))| (zone.clone(), *n)).collect()
        })
    }

    /// A class is gone.
    pub(super) fn forget(&self, class: &ClassRef) {
        self.locked(|inner| {
            inner.kept.remove(class);
            inner.shunned.remove(class);
            inner.crowded.remove(class);
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

/// The settings of a class' kubelet, if some are expressions and that is allowed.
fn expressions<'a>(class: &'a Ec2NodeClass, settings: &Settings) -> Option<&'a Map<String, Value>> {
    let kubelet = class.spec.kubelet.as_ref().filter(|_| settings.config.node_class_cel)?;
    entries::first(kubelet).map(|_| kubelet)
}

/// What a kubelet with expressions is told on each type. A class with one that has no value somewhere is not ready.
fn kubelets<'a>(
    kubelet: &Map<String, Value>,
    types: impl Iterator<Item = &'a TypeRow>,
    settings: &Ec2Settings,
) -> BTreeMap<Str, Map<String, Value>> {
    let Ok(Some(read)) = Expressions::read(kubelet) else { return BTreeMap::new() };
    let told = |row: &TypeRow| {
        let told = read.on(kubelet, row, default_pods(row, settings)).ok()?;
        Some((Str::from(row.name.as_str()), told))
    };
    types.filter_map(told).collect()
}

/// Keeps types and prices fresh.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        let next = shared.market.renew(shared.clients(), shared.clock.seconds()).await;
        sleep_until(next).await;
    }
}
