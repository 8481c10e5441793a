//! The controller on the real control plane, with kwok nodes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use control_plane::{Options, wait_for};
use serde_json::{Value, json};

use super::product::Product;
use super::world::{SOON, World};

pub const NODES: &str = "/api/v1/nodes";
pub const CLAIMS: &str = "/apis/karpenter.sh/v1/nodeclaims";
/// For a thousand pods on a busy machine and a build without optimisation.
pub const LONG: Duration = Duration::from_mins(4);

/// A world with a pool of kwok nodes.
pub fn world(options: Options, limits: &Value) -> World {
    let world = World::start(options).with_crds();
    world.api.create("/apis/karpenter.kwok.sh/v1alpha1/kwoknodeclasses", &class()).unwrap();
    world.api.create("/apis/karpenter.sh/v1/nodepools", &pool(limits)).unwrap();
    world
}

pub fn class() -> Value {
    json!({ "apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": { "name": "default" },
        "spec": {} })
}

pub fn pool(limits: &Value) -> Value {
    let among = |key: &str, values: &[&str]| json!({ "key": key, "operator": "In", "values": values });
    json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": "default" },
        "spec": {
            "limits": limits,
            "disruption": { "consolidationPolicy": "WhenEmpty", "consolidateAfter": "0s", "budgets": [{ "nodes": "100%" }] },
            "template": { "spec": {
                "nodeClassRef": { "group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default" },
                "requirements": [
                    among("kubernetes.io/os", &["linux"]),
                    among("karpenter.sh/capacity-type", &["on-demand"]),
                    { "key": "karpenter.kwok.sh/instance-cpu", "operator": "Lt", "values": ["32"] },
                ],
            } },
        },
    })
}

/// Provider ids of nodes and of claims.
fn fleet(world: &World) -> (Vec<String>, Vec<String>) {
    let ids = |path: &str, at: &str| {
        let id = |object: &Value| object.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut ids: Vec<_> = world.api.list(path).unwrap().iter().map(id).collect();
        ids.sort();
        ids
    };
    (ids(NODES, "/spec/providerID"), ids(CLAIMS, "/status/providerID"))
}

/// Waits until each node has its claim and each claim its node, and none stands for two.
fn assert_nothing_leaked(world: &World) {
    wait_for("nodes and claims match one to one", SOON, || {
        let (nodes, claims) = fleet(world);
        let n_different = nodes.iter().collect::<BTreeSet<_>>().len();
        let is_so = nodes == claims && n_different == nodes.len();
        if is_so { Ok(()) } else { Err(format!("nodes {nodes:?}\nclaims {claims:?}")) }
    })
    .unwrap();
}

pub fn wait_empty(world: &World) {
    wait_for("no node and no claim is left", LONG, || {
        let counts = (world.api.count(NODES).unwrap(), world.api.count(CLAIMS).unwrap());
        if counts == (0, 0) { Ok(()) } else { Err(format!("{counts:?} left")) }
    })
    .unwrap();
}

#[test]
fn a_thousand_pods_get_their_nodes_and_nothing_is_left_when_they_go() {
    let world = world(Options::default(), &json!(null));
    let product = Product::start(&world, "millwright", &[]);
    world.deployment("web", 1000, "900m");
    world.wait_ready("web", 1000, LONG);
    assert_nothing_leaked(&world);
    let bought = world.api.count(NODES).unwrap();
    // 900 cores and what each machine keeps for itself fit on 30 of the largest; far more would be waste.
    assert!((29..=250).contains(&bought), "{bought} nodes");

    world.scale("web", 0);
    wait_empty(&world);
    product.stop();
}

#[test]
fn killed_in_the_middle_it_goes_on_where_it_was() {
    const N_NODES: u64 = 150;
    let world = world(Options::default(), &json!(null));
    let product = Product::start(&world, "millwright", &[]);
    world.one_per_host("alone", 150);
    wait_for("some nodes are there", LONG, || match world.api.count(NODES).unwrap() {
        n if n >= N_NODES / 3 => Ok(()),
        n => Err(n.to_string()),
    })
    .unwrap();
    product.kill();
    let product = Product::start(&world, "millwright", &[]);
    world.wait_ready("alone", 150, LONG);
    assert_nothing_leaked(&world);
    assert_eq!(world.api.count(NODES).unwrap(), N_NODES, "nothing was bought twice");

    world.scale("alone", 0);
    wait_for("some nodes are gone", LONG, || match world.api.count(NODES).unwrap() {
        n if n <= N_NODES * 2 / 3 => Ok(()),
        n => Err(n.to_string()),
    })
    .unwrap();
    product.kill();
    let product = Product::start(&world, "millwright", &[]);
    wait_empty(&world);
    product.stop();
}

#[test]
fn a_limit_is_never_exceeded_not_even_for_a_moment() {
    let world = world(Options::default(), &json!({ "nodes": "3", "cpu": "40" }));
    let product = Product::start(&world, "millwright", &[]);
    world.one_per_host("alone", 8);
    let within_limits = || {
        let claims = world.api.list(CLAIMS).unwrap();
        let cpu =
            |claim: &Value| claim["status"]["capacity"]["cpu"].as_str().map_or(0, |cpu| cpu.parse::<u64>().unwrap());
        let n_cpu: u64 = claims.iter().map(cpu).sum();
        assert!(claims.len() <= 3 && n_cpu <= 40, "{} claims, {n_cpu} cores", claims.len());
    };
    wait_for("three pods run", LONG, || {
        within_limits();
        let n_ready = world.n_ready("alone");
        if n_ready == 3 { Ok(()) } else { Err(format!("{n_ready} run")) }
    })
    .unwrap();
    // The other five ask again and again.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(15) {
        within_limits();
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(world.n_ready("alone"), 3);
    product.stop();
}

#[test]
fn of_two_replicas_one_acts_and_the_other_takes_over_when_it_dies() {
    let options = Options::default().with_user("millwright-2", true);
    let world = world(options, &json!(null));
    let first = Product::start(&world, "millwright", &["--disable-leader-election=false"]);
    let second = Product::start(&world, "millwright-2", &["--disable-leader-election=false"]);
    world.one_per_host("alone", 5);
    world.wait_ready("alone", 5, LONG);
    let buyers = || {
        let requests = world.stack.audit().unwrap();
        let buys = requests.into_iter().filter(|r| r.verb == "create" && r.resource == "nodeclaims");
        buys.map(|r| r.user).collect::<BTreeSet<_>>()
    };
    let leader = buyers();
    assert_eq!(leader.len(), 1, "{leader:?}");

    let (dies, stays, heir) =
        if leader.contains("millwright") { (first, second, "millwright-2") } else { (second, first, "millwright") };
    dies.kill();
    world.scale("alone", 8);
    world.wait_ready("alone", 8, LONG);
    assert!(buyers().contains(heir), "{:?}", buyers());
    assert_nothing_leaked(&world);
    stays.stop();
}
