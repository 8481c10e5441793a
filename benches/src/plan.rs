//! `planner::plan` on synthetic clusters: the diverse mix, wishes that cannot be met, equal pods, pods that fit nowhere.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::unnecessary_wraps,
    reason = "made-up clusters are small, and a selector field is optional"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use planner::model::group::collapse;
use planner::model::pod::{PodTerm, Spread};
use planner::model::selector::LabelSelector;
use planner::model::{
    CapacityType, InstanceType, Labels, MicroUsdPerHour, Offering, Pod, PodShape, Pool, Requirements, Resources,
    Snapshot, Str, labels,
};
use serde::Serialize;

use crate::measure::{cpu_seconds, forget_peak, median, peak_rss_mb};
use crate::options::Options as Bench;
use crate::table::Table;

/// One measurement; field names are those of the interface.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    case: String,
    pods: usize,
    types: usize,
    seconds: f64,
    pods_per_second: f64,
    peak_rss_mb: f64,
    allocated_mb: f64,
    groups: usize,
    nodes: usize,
    cost: String,
    bound: String,
    greedy_cost: String,
    unplaced: usize,
}

/// Runs every case and prints, and on request keeps, the table.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let options = Bench::parse(args, &["--only", "--effort"])?;
    let (quick, only) = (options.quick, &options.only);
    let mut rows = Vec::new();
    for (name, build) in cases(quick).into_iter().filter(|(name, _)| name.contains(only)) {
        let mut input = build()?;
        input.policies.effort = options.effort.unwrap_or(input.policies.effort);
        rows.push(measure(&name, &input, if quick { 1 } else { 3 }));
        eprintln!("{name} done");
    }
    if READ.contains(only) {
        rows.push(read(if quick { 1 } else { 3 })?);
        eprintln!("{READ} done");
    }
    options.publish("plan", &rows, &table(&rows))
}

type Build = Box<dyn Fn() -> anyhow::Result<Snapshot>>;

fn cases(quick: bool) -> Vec<(String, Build)> {
    let mut out: Vec<(String, Build)> = Vec::new();
    let sizes: &[usize] = if quick { &[1_000, 10_000] } else { &[1_000, 5_000, 10_000, 20_000] };
    for n in sizes.iter().copied() {
        out.push((format!("diverse {n}"), Box::new(move || Ok(snapshot(fake_types(400), diverse(n))))));
    }
    for ignore in [false, true] {
        let name = format!("wishes 4000 {}", if ignore { "ignored" } else { "respected" });
        out.push((
            name,
            Box::new(move || {
                let mut all = snapshot(fake_types(400), wishes(4_000));
                all.policies.ignore_preferences = ignore;
                Ok(all)
            }),
        ));
    }
    for n in [1_000, 100_000] {
        out.push((format!("equal {n}"), Box::new(move || Ok(snapshot(us_east_1()?, equal(n))))));
    }
    out.push(("plain 10000 on us-east-1".into(), Box::new(|| Ok(snapshot(us_east_1()?, plain(10_000))))));
    out.push(("diverse 10000 on us-east-1".into(), Box::new(|| Ok(snapshot(us_east_1()?, diverse(10_000))))));
    for n in [200, 1_000] {
        out.push((format!("sizes {n} on us-east-1"), Box::new(move || Ok(snapshot(us_east_1()?, of_sizes(n, 3))))));
    }
    out.push(("nowhere 15000".into(), Box::new(|| Ok(snapshot(us_east_1()?, nowhere(15_000))))));
    out
}

fn measure(name: &str, input: &Snapshot, times: usize) -> Row {
    let mut seconds = Vec::new();
    let mut answer = None;
    forget_peak();
    let before = peak_rss_mb();
    for _ in 0..times {
        let start = cpu_seconds();
        answer = Some(planner::plan(input));
        seconds.push(cpu_seconds() - start);
    }
    let plan = answer.unwrap_or_default();
    let median = median(&mut seconds);
    let pods = input.groups.iter().map(|g| g.pods.len()).sum();
    Row {
        case: name.to_owned(),
        pods,
        types: input.pools.iter().map(|p| p.types.len()).sum(),
        seconds: median,
        pods_per_second: pods as f64 / median,
        peak_rss_mb: peak_rss_mb(),
        allocated_mb: (peak_rss_mb() - before).max(0.0),
        groups: input.groups.len(),
        nodes: plan.launches.len(),
        cost: plan.cost.to_string(),
        bound: plan.cost_lower_bound.to_string(),
        greedy_cost: plan.greedy_cost.to_string(),
        unplaced: plan.unplaced.iter().map(|u| u.pods.len()).sum(),
    }
}

/// The case that reads pods and plans nothing.
const READ: &str = "read 15000";

fn read(times: usize) -> anyhow::Result<Row> {
    let reading = crate::read::pods(15_000, times)?;
    Ok(Row {
        case: format!("{READ} ({:.0} MB of JSON)", reading.file_mb),
        pods: reading.pods,
        types: 0,
        seconds: reading.seconds,
        pods_per_second: reading.pods as f64 / reading.seconds,
        peak_rss_mb: reading.peak_rss_mb,
        allocated_mb: 0.0,
        groups: reading.groups,
        nodes: 0,
        cost: String::new(),
        bound: String::new(),
        greedy_cost: String::new(),
        unplaced: 0,
    })
}

fn table(rows: &[Row]) -> Table {
    let header = [
        "case",
        "pods",
        "groups",
        "types",
        "CPU s",
        "pods/s",
        "peak MB",
        "nodes",
        "$/h",
        "bound",
        "greedy $/h",
        "unplaced",
    ];
    let mut out = Table::new(&header);
    for r in rows {
        out.row(vec![
            r.case.clone(),
            r.pods.to_string(),
            r.groups.to_string(),
            r.types.to_string(),
            format!("{:.3}", r.seconds),
            format!("{:.0}", r.pods_per_second),
            format!("{:.0}", r.peak_rss_mb),
            r.nodes.to_string(),
            r.cost.clone(),
            r.bound.clone(),
            r.greedy_cost.clone(),
            r.unplaced.to_string(),
        ]);
    }
    out
}

/// Repeatable pseudo-random numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }
}

fn us_east_1() -> anyhow::Result<Vec<InstanceType>> {
    Ok(cloud::catalog::ec2(&cloud::catalog::Ec2Settings::default())?)
}

/// `n` made-up types: 1 to `n` cores with 2 GiB each, five zones' worth of prices in three zones.
fn fake_types(n: usize) -> Vec<InstanceType> {
    let one = |i: usize| {
        let cpu = i as i64 + 1;
        let capacity = Resources::of([("cpu", cpu * 1000), ("memory", (cpu * 2) << 30), ("pods", cpu * 10)]);
        let mut allocatable = capacity.clone();
        allocatable.subtract(&Resources::of([("cpu", 100), ("memory", 10 << 20)]));
        let name: Str = format!("fake-{i}").into();
        let mut has = Labels::new();
        has.insert(labels::INSTANCE_TYPE.into(), name.clone());
        has.insert(labels::ARCH.into(), "amd64".into());
        has.insert(labels::OS.into(), "linux".into());
        let mut offerings = Vec::new();
        for zone in ["test-zone-1", "test-zone-2", "test-zone-3"] {
            for (capacity_type, share) in [(CapacityType::OnDemand, 100), (CapacityType::Spot, 70)] {
                let price = MicroUsdPerHour((25_000 * cpu + 1_000 * cpu * 2) * share / 100);
                offerings.push(Offering {
                    zone: zone.into(),
                    capacity_type,
                    price,
                    available: true,
                    no_addresses: false,
                    labels: Labels::new(),
                    reservation: None,
                });
            }
        }
        InstanceType { name, labels: has, open_labels: Vec::new(), capacity, allocatable, exotic: false, offerings }
    };
    (0..n).map(one).collect()
}

fn snapshot(types: Vec<InstanceType>, pods: Vec<Pod>) -> Snapshot {
    let keys: BTreeSet<Str> = pods.iter().flat_map(|p| p.shape.selector_keys().cloned()).collect();
    let pool = Pool {
        name: "default".into(),
        weight: 0,
        labels: [(labels::NODEPOOL.into(), "default".into())].into(),
        requirements: Requirements::new(),
        taints: Vec::new(),
        startup_taints: Vec::new(),
        limits: Resources::of([("cpu", 10_000_000_000), ("memory", i64::MAX / 4)]),
        replicas: None,
        not_ready: None,
        types: Arc::new(types),
    };
    Snapshot {
        groups: collapse(pods.into_iter().map(|pod| (pod, false)), &keys),
        pools: vec![pool],
        ..Snapshot::default()
    }
}

fn pod(at: usize, cpu: i64, mebibytes: i64) -> Pod {
    let requests = Resources::of([("cpu", cpu), ("memory", mebibytes << 20), ("pods", 1)]);
    let shape = PodShape { namespace: "default".into(), requests, ..PodShape::default() };
    Pod { name: format!("pod-{at}").into(), uid: "".into(), created: 0, node: None, terminating: false, shape }
}

fn sized(at: usize, dice: &mut Dice) -> Pod {
    let cpu = [100, 250, 500, 1000, 1500][dice.below(5)];
    let memory = [100, 256, 512, 1024, 2048, 4096][dice.below(6)];
    pod(at, cpu, memory)
}

fn letter(dice: &mut Dice) -> Str {
    ["a", "b", "c", "d", "e", "f", "g"][dice.below(7)].into()
}

fn picks(key: &str, value: Str) -> Option<LabelSelector> {
    Some(LabelSelector::equal([(key.into(), value)]))
}

/// In fifths: plain, zone spread, host spread, zone affinity to its own kind, host anti-affinity.
fn diverse(n: usize) -> Vec<Pod> {
    let mut dice = Dice(42);
    let one = |at: usize| {
        let mut pod = sized(at, &mut dice);
        let shape = &mut pod.shape;
        let namespaces: BTreeSet<Str> = [shape.namespace.clone()].into();
        match at % 5 {
            1 | 2 => {
                shape.labels.insert("my-label".into(), letter(&mut dice));
                let key = if at % 5 == 1 { labels::ZONE } else { labels::HOSTNAME };
                shape.spreads.push(Spread {
                    key: key.into(),
                    max_skew: 1,
                    min_domains: None,
                    hard: true,
                    selector: picks("my-label", letter(&mut dice)),
                    honor_affinity: true,
                    honor_taints: false,
                });
            }
            3 => {
                let own = letter(&mut dice);
                shape.labels.insert("my-affinity".into(), own.clone());
                shape.affinity.push(PodTerm {
                    key: labels::ZONE.into(),
                    namespaces,
                    selector: picks("my-affinity", own),
                });
            }
            4 => {
                shape.labels.insert("app".into(), "nginx".into());
                let selector = picks("app", "nginx".into());
                shape.anti_affinity.push(PodTerm { key: labels::HOSTNAME.into(), namespaces, selector });
            }
            _ => {}
        }
        pod
    };
    (0..n).map(one).collect()
}

/// Pods that wish for a zone they can have and for company they cannot avoid.
fn wishes(n: usize) -> Vec<Pod> {
    let mut dice = Dice(42);
    let one = |at: usize| {
        let mut pod = sized(at, &mut dice);
        let shape = &mut pod.shape;
        shape.labels.insert("app".into(), "wishes".into());
        let zone = planner::model::Requirement::equal(labels::ZONE, "test-zone-1");
        shape.preferred_node_terms.push((1, [zone].into_iter().collect()));
        for (weight, key) in [(10, labels::ZONE), (1, labels::HOSTNAME)] {
            let namespaces = [shape.namespace.clone()].into();
            let term = PodTerm { key: key.into(), namespaces, selector: picks("app", "wishes".into()) };
            shape.preferred_anti_affinity.push((weight, term));
        }
        pod
    };
    (0..n).map(one).collect()
}

fn equal(n: usize) -> Vec<Pod> {
    (0..n).map(|at| pod(at, 500, 1024)).collect()
}

fn plain(n: usize) -> Vec<Pod> {
    let mut dice = Dice(7);
    (0..n).map(|at| sized(at, &mut dice)).collect()
}

/// `n` sizes, so many pods of each.
fn of_sizes(n: usize, each: usize) -> Vec<Pod> {
    let size = |at: usize| (100 + (at % 997) as i64, 64 + (at * 7 % 1501) as i64);
    (0..n * each).map(|at| pod(at, size(at / each).0, size(at / each).1)).collect()
}

/// Each of its own size, all too large.
fn nowhere(n: usize) -> Vec<Pod> {
    (0..n).map(|at| pod(at, 1_000_000 + at as i64, 1024)).collect()
}
