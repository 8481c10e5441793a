//! Metrics of the provider: what the seller tells, and what can be bought.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloud::OfferingKey;
use cloud::aws::{Telling, Told};
use crds::Ec2NodeClass;
use crds::names::aws as names;
use planner::model::{CapacityType, MicroUsdPerHour};
use tokio::time::sleep;

use super::prices::listed;
use super::{Shared, classes, is_ours};
use crate::telemetry::Metrics;

/// The most user data that EC2 takes, bytes before base64.
const MOST_USER_DATA: usize = 16_384;
/// From here on, nine tenths of that, it is said.
const LONG_USER_DATA: usize = 14_746;
/// How often it is counted what can be bought.
const PERIOD: Duration = Duration::from_mins(1);

/// Counts what the seller tells.
pub(super) fn telling(metrics: Metrics) -> Telling {
    // Classes of which that was said.
    let long = Mutex::<BTreeSet<String>>::default();
    Telling::new(move |told| match told {
        Told::LaunchFailed { zone, zone_id, capacity_type, reason } => {
            let labels = [zone, zone_id, capacity_type.as_str(), reason];
            metrics.cloudprovider_instance_launch_failures_total.inc(labels);
        }
        Told::Batch { name, size, waited } => {
            metrics.cloudprovider_batcher_batch_size.observe([name], size as f64);
            metrics.cloudprovider_batcher_batch_time_seconds.observe([name], waited.as_secs_f64());
        }
        Told::Call { action, status, n_tries, took } => {
            let (service, action) = named(action);
            let labels = [service, action, &status.to_string()];
            metrics.aws_sdk_go_request_total.inc(labels);
            metrics.aws_sdk_go_request_retry_count.observe(labels, f64::from(n_tries - 1));
            metrics.aws_sdk_go_request_duration_seconds.observe(labels, took.as_secs_f64());
        }
        Told::Try { action, status, took } => {
            let (service, action) = named(action);
            let labels = [service, action, &status.to_string()];
            metrics.aws_sdk_go_request_attempt_total.inc(labels);
            metrics.aws_sdk_go_request_attempt_duration_seconds.observe(labels, took.as_secs_f64());
        }
        Told::UserData { class, bytes } => {
            metrics.ec2nodeclasses_userdata_bytes.set([class], bytes as f64);
            let mut long = long.lock().unwrap_or_else(PoisonError::into_inner);
            if bytes < LONG_USER_DATA {
                long.remove(class);
            } else if long.insert(class.to_owned()) {
                tracing::warn!(
                    EC2NodeClass = class,
                    bytes,
                    limit = MOST_USER_DATA,
                    "the user data of machines is near EC2's limit"
                );
            }
        }
    })
}

/// Service and action as the SDK for Go names them, of `ec2:CreateFleet`.
fn named(action: &'static str) -> (&'static str, &'static str) {
    let (service, action) = action.split_once(':').unwrap_or(("", action));
    let service = match service {
        "arc-zonal-shift" => "ARC Zonal Shift",
        "ec2" => "EC2",
        "eks" => "EKS",
        "iam" => "IAM",
        "pricing" => "Pricing",
        "sqs" => "SQS",
        "ssm" => "SSM",
        other => other,
    };
    (service, action)
}

/// Of one offering over all classes: whether some can buy it, and the least it costs.
type Offered = BTreeMap<(String, CapacityType, String), (bool, MicroUsdPerHour)>;

/// Says what can be bought under the classes of pools, once a minute.
pub(super) async fn run(shared: Arc<Shared>) {
    shared.mirror.until_synced().await;
    loop {
        sleep(PERIOD).await;
        offerings(&shared);
    }
}

/// The classes that some pool buys under.
fn of_pools(shared: &Shared) -> Vec<Arc<Ec2NodeClass>> {
    let pools = shared.mirror.pools();
    let refs = pools.iter().map(|pool| &pool.spec.template.spec.node_class_ref);
    let names: BTreeSet<&str> = refs.filter(|class| is_ours(class)).map(|class| class.name.as_str()).collect();
    names.into_iter().filter_map(|name| shared.mirror.ec2_class(name)).collect()
}

/// Adds what is sold and no class can buy, such as in zones where none has a subnet. Of reservations there is a row for every zone, with
/// zeros where there are none.
fn not_offered<'a>(shared: &Shared, types: impl Iterator<Item = &'a String>, offered: &mut Offered) {
    let (sold, facts, prices) = (shared.market.sold(), shared.market.facts(), shared.market.prices());
    let reserved = shared.settings.reserved_capacity.then_some(CapacityType::Reserved);
    for name in types {
        let ways = sold.ways.get(name.as_str()).into_iter().flatten().copied().chain(reserved);
        let listed = listed(&facts, name);
        for (way, zone) in ways.flat_map(|way| sold.zones.iter().map(move |zone| (way, zone))) {
            let price = prices.get(name, zone, way).or(listed.filter(|_| way == CapacityType::OnDemand));
            let key = (name.clone(), way, zone.to_string());
            offered.entry(key).or_insert((false, price.unwrap_or(MicroUsdPerHour(0))));
        }
    }
}

fn offerings(shared: &Shared) {
    let metrics = &shared.metrics;
    let mut offered = Offered::new();
    let refused = shared.facts.unavailable(shared.clock.seconds());
    let mut types = BTreeMap::new();
    for class in of_pools(shared) {
        let name = classes::class_ref(class.metadata.name());
        let Ok(catalog) = shared.catalog(&name, &class) else { continue };
        for kind in catalog.iter() {
            // As EC2 counts it, before anything is kept from nodes.
            let mib = kind.labels.get(names::INSTANCE_MEMORY).and_then(|mib| mib.parse::<i64>().ok()).unwrap_or(0);
            types.insert(kind.name.to_string(), (kind.capacity.get("cpu"), mib << 20));
            let of_kind: Vec<&OfferingKey> = refused.iter().filter(|key| key.is_about(&kind.name)).collect();
            for offering in &kind.offerings {
                let this = OfferingKey::of(&kind.name, offering);
                let is_refused = of_kind.iter().any(|key| key.names(&this));
                let key = (kind.name.to_string(), offering.capacity_type, offering.zone.to_string());
                let of = offered.entry(key).or_insert((false, offering.price));
                *of = (of.0 || offering.available && !is_refused, of.1.min(offering.price));
            }
        }
    }
    not_offered(shared, types.keys(), &mut offered);
    metrics.cloudprovider_instance_type_offering_available.reset();
    metrics.cloudprovider_instance_type_offering_price_estimate.reset();
    for ((name, capacity_type, zone), (is_available, price)) in &offered {
        let labels = [name.as_str(), capacity_type.as_str(), zone.as_str()];
        metrics.cloudprovider_instance_type_offering_available.set(labels, if *is_available { 1.0 } else { 0.0 });
        metrics.cloudprovider_instance_type_offering_price_estimate.set(labels, price.0 as f64 / 1e6);
    }
    for (name, (milli_cpu, memory)) in &types {
        metrics.cloudprovider_instance_type_cpu_cores.set([name], *milli_cpu as f64 / 1000.0);
        metrics.cloudprovider_instance_type_memory_bytes.set([name], *memory as f64);
    }
}
