//! Nodes on their way out, on the real control plane: what holds them up, and what ends that.

use std::time::{Duration, Instant};

use control_plane::{Options, Stages, wait_for};
use serde_json::{Value, json};

use super::controller::{CLAIMS, LONG, NODES, world};
use super::product::Product;
use super::world::{SOON, World};

const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
const ATTACHMENTS: &str = "/apis/storage.k8s.io/v1/volumeattachments";
/// Long enough for what should not happen to happen.
const WHILE: Duration = Duration::from_secs(6);

/// A world in which four pods run on one node, and the names of its claim and node.
fn with_one_node(options: Options, pool: &Value) -> (World, Product, String, String) {
    let world = world(options, &json!(null));
    world.api.patch("/apis/karpenter.sh/v1/nodepools/default", pool).unwrap();
    let product = Product::start(&world, "millwright", &[]);
    world.deployment("web", 4, "100m");
    world.wait_running("web", 4, LONG);
    let name = |path: &str| {
        let all = world.api.list(path).unwrap();
        assert_eq!(all.len(), 1, "{path}");
        all[0]["metadata"]["name"].as_str().unwrap().to_owned()
    };
    let (claim, node) = (name(CLAIMS), name(NODES));
    (world, product, claim, node)
}

fn is_tainted(world: &World, node: &str) -> bool {
    let node = world.api.get(&format!("{NODES}/{node}")).unwrap();
    let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    taints.iter().any(|taint| taint["key"] == "karpenter.sh/disrupted" && taint["effect"] == "NoSchedule")
}

fn n_on(world: &World, node: &str) -> usize {
    world.pods("web").iter().filter(|pod| pod["spec"]["nodeName"] == node).count()
}

fn wait_gone(world: &World, claim: &str, node: &str) {
    wait_for("node and claim are gone", LONG, || {
        let found = |path: String| world.api.get(&path).map_or_else(|refusal| refusal.code != 404, |_| true);
        let left = (found(format!("{CLAIMS}/{claim}")), found(format!("{NODES}/{node}")));
        if left == (false, false) { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .unwrap();
}

/// For a while the node keeps so many pods.
fn assert_keeps(world: &World, node: &str, n_pods: usize) {
    let begin = Instant::now();
    while begin.elapsed() < WHILE {
        assert_eq!(n_on(world, node), n_pods, "after {:?}", begin.elapsed());
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_node_is_drained_as_its_pods_budget_allows_and_then_waits_for_its_volumes() {
    let (world, product, claim, node) = with_one_node(Options::default(), &json!({}));
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "web" },
        "spec": { "maxUnavailable": 0, "selector": { "matchLabels": { "app": "web" } } },
    });
    world.api.create(BUDGETS, &budget).unwrap();
    wait_for("the budget is counted", SOON, || {
        let status = world.api.get(&format!("{BUDGETS}/web")).unwrap()["status"].clone();
        if status["currentHealthy"] == 4 { Ok(()) } else { Err(status.to_string()) }
    })
    .unwrap();
    let attachment = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": { "name": "attached" },
        "spec": { "attacher": "csi.test", "nodeName": node, "source": { "persistentVolumeName": "data" } },
    });
    world.api.create(ATTACHMENTS, &attachment).unwrap();

    world.api.delete(&format!("{CLAIMS}/{claim}")).unwrap();
    wait_for("the node is tainted", SOON, || if is_tainted(&world, &node) { Ok(()) } else { Err("not yet") }).unwrap();
    let labels = world.api.get(&format!("{NODES}/{node}")).unwrap()["metadata"]["labels"].clone();
    assert_eq!(labels["node.kubernetes.io/exclude-from-external-load-balancers"], "karpenter");
    assert_keeps(&world, &node, 4);

    world.api.patch(&format!("{BUDGETS}/web"), &json!({ "spec": { "maxUnavailable": 1 } })).unwrap();
    wait_for("the pods run elsewhere", LONG, || match (n_on(&world, &node), world.n_ready("web")) {
        (0, 4) => Ok(()),
        left => Err(format!("{left:?}")),
    })
    .unwrap();
    // Nobody is left on it, and its volume is still attached.
    assert_keeps(&world, &node, 0);
    assert!(world.api.get(&format!("{NODES}/{node}")).is_ok(), "it waits for its volume");
    world.api.delete(&format!("{ATTACHMENTS}/attached")).unwrap();
    wait_gone(&world, &claim, &node);
    product.stop();
}

#[test]
fn what_protects_pods_ends_with_the_grace_period_of_their_node() {
    const GRACE: Duration = Duration::from_secs(20);
    let pool = json!({ "spec": { "template": { "spec": { "terminationGracePeriod": "20s" } } } });
    // Pods take long to go, so that they can only be gone in time if they are deleted in time.
    let stages = Stages { pod_gone: Some(Duration::from_secs(1)), ..Stages::default() };
    let (world, product, claim, node) = with_one_node(Options::default().with_stages(stages), &pool);
    let mark = json!({ "metadata": { "annotations": { "karpenter.sh/do-not-disrupt": "true" } } });
    for pod in world.pods("web") {
        let name = pod["metadata"]["name"].as_str().unwrap();
        world.api.patch(&format!("/api/v1/namespaces/default/pods/{name}"), &mark).unwrap();
    }
    let deleted = Instant::now();
    world.api.delete(&format!("{CLAIMS}/{claim}")).unwrap();
    wait_for("the node is tainted", SOON, || if is_tainted(&world, &node) { Ok(()) } else { Err("not yet") }).unwrap();
    assert_keeps(&world, &node, 4);
    let annotations = world.api.get(&format!("{CLAIMS}/{claim}")).unwrap()["metadata"]["annotations"].clone();
    assert!(annotations["karpenter.sh/nodeclaim-termination-timestamp"].is_string(), "{annotations}");
    wait_gone(&world, &claim, &node);
    assert!(deleted.elapsed() >= GRACE, "gone after {:?}", deleted.elapsed());
    world.wait_ready("web", 4, LONG);
    product.stop();
}
