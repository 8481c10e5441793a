//! Scratch.
use planner::model::group::collapse;
use planner::model::pod::*;
use planner::model::snapshot::Daemon;
use planner::model::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;
fn main() {
    let mut rng = sim::rng::SplitMix64::new(1);
    let mut types = Vec::new();
    for t in 0..400i64 {
        let cpu = 1 + rng.between(0, 63);
        let name = format!("t{t:03}-{cpu}x");
        let capacity = Resources::of([("cpu", cpu * 1000), ("memory", cpu * rng.between(2, 8) << 30), ("pods", 110)]);
        let mut offerings = Vec::new();
        for z in ["a", "b", "c"] {
            for (c, p) in [(CapacityType::Spot, 40), (CapacityType::OnDemand, 100)] {
                offerings.push(Offering {
                    zone: z.into(),
                    capacity_type: c,
                    price: MicroUsdPerHour(cpu * 300 * p + rng.between(0, 3000)),
                    available: true,
                    labels: Labels::new(),
                    reservation: None,
                });
            }
        }
        let mut labels: Labels = [
            (labels::INSTANCE_TYPE.into(), name.as_str().into()),
            (labels::ARCH.into(), "amd64".into()),
            (labels::OS.into(), "linux".into()),
        ]
        .into();
        for k in 0..20 {
            labels.insert(format!("karpenter.k8s.aws/instance-x{k}").into(), "v".into());
        }
        types.push(InstanceType {
            name: name.into(),
            labels,
            open_labels: vec![],
            allocatable: capacity.clone(),
            capacity,
            exotic: false,
            offerings,
        });
    }
    types.sort_by(|a, b| a.name.cmp(&b.name));
    let types = Arc::new(types);
    let pool = |n: &str, w| Pool {
        name: n.into(),
        weight: w,
        labels: [(labels::NODEPOOL.into(), n.into())].into(),
        requirements: Requirements::new(),
        taints: vec![],
        startup_taints: vec![],
        limits: Resources::default(),
        replicas: None,
        not_ready: None,
        types: types.clone(),
    };
    let mut pods = Vec::new();
    let spread = std::env::args().nth(2).is_some();
    let n: usize = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(10_000);
    for g in 0..100 {
        let app = format!("app{g}");
        let mut shape = PodShape {
            namespace: "shop".into(),
            labels: [("app".into(), app.as_str().into())].into(),
            requests: Resources::of([
                ("cpu", rng.between(1, 40) * 50),
                ("memory", rng.between(1, 60) << 26),
                ("pods", 1),
            ]),
            ..PodShape::default()
        };
        let sel = Some(selector::LabelSelector::equal([("app".into(), app.as_str().into())]));
        if spread && g % 3 == 0 {
            shape.spreads.push(Spread {
                key: labels::ZONE.into(),
                max_skew: 1,
                min_domains: None,
                hard: true,
                selector: sel.clone(),
                honor_affinity: true,
                honor_taints: false,
            });
        }
        if spread && g % 3 == 1 {
            shape.anti_affinity.push(PodTerm {
                key: labels::HOSTNAME.into(),
                namespaces: ["shop".into()].into(),
                selector: sel,
            });
        }
        for i in 0..n / 100 {
            pods.push((
                Pod {
                    name: format!("{app}-{i}").into(),
                    uid: "".into(),
                    created: 0,
                    node: None,
                    terminating: false,
                    shape: shape.clone(),
                },
                false,
            ));
        }
    }
    let keys: BTreeSet<Str> = ["app".into()].into();
    let daemon = |i: i64| Daemon {
        namespace: "shop".into(),
        name: format!("d{i}").into(),
        shape: Arc::new(PodShape {
            namespace: "shop".into(),
            requests: Resources::of([("cpu", 10 * i), ("pods", 1)]),
            owner: Owner::DaemonSet,
            ..PodShape::default()
        }),
    };
    let s = Snapshot {
        taken_at: 0,
        groups: collapse(pods, &keys),
        nodes: vec![],
        claims: vec![],
        pools: vec![pool("b", 10), pool("a", 0)],
        daemons: (0..5).map(daemon).collect(),
        ignored: vec![],
        policies: Policies::default(),
    };
    let t = Instant::now();
    let plan = planner::plan(&s);
    let a = t.elapsed();
    let t = Instant::now();
    let faults = planner::check(&s, &plan);
    let b = t.elapsed();
    let offers: usize = plan.launches.iter().map(|l| l.offerings.len()).sum();
    println!(
        "plan {a:?} check {b:?} launches {} offers {offers} unplaced {} faults {} {:?}",
        plan.launches.len(),
        plan.unplaced.len(),
        faults.len(),
        faults.first()
    );
}
