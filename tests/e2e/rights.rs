//! The controller with no more rights than the shipped RBAC files give.

use std::time::Duration;

use control_plane::{Options, wait_for};
use serde_json::{Value, json};

use super::controller::{NODES, wait_empty, world};
use super::product::Product;
use super::world::{SOON, World};

const USER: &str = "karpenter";
const NOMINATED: Duration = Duration::from_secs(20);

/// The objects of a shipped file, bound to the test's user.
fn shipped(file: &str) -> Vec<Value> {
    let path = format!("{}/deploy/kubernetes/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let read = |part: &str| {
        let mut object: Value = serde_saphyr::from_str(part).unwrap();
        if object.get("subjects").is_some() {
            object["subjects"] = json!([{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER }]);
        }
        object
    };
    text.split("\n---\n").map(read).collect()
}

fn apply(world: &World, objects: &[Value]) {
    for object in objects {
        let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
        let namespace = object["metadata"]["namespace"].as_str().map(|name| format!("namespaces/{name}/"));
        let path = format!("/apis/rbac.authorization.k8s.io/v1/{}{plural}", namespace.unwrap_or_default());
        world.api.create(&path, object).unwrap();
    }
}

/// Requests that were refused to the controller.
fn refused(world: &World) -> Vec<String> {
    let requests = world.stack.audit().unwrap();
    let of_user = requests.iter().filter(|request| request.user == USER && request.code == 403);
    of_user.map(|request| format!("{} {}", request.verb, request.resource)).collect()
}

#[test]
fn with_the_rights_of_karpenter_it_works_and_with_its_own_it_is_refused_nothing() {
    let world = world(Options::default().with_user(USER, false), &json!({}));
    apply(&world, &shipped("karpenter.yaml"));
    apply(&world, &shipped("kwok.yaml"));
    let args = ["--disable-leader-election=false", "--leader-election-namespace=kube-system"];
    let product = Product::start(&world, USER, &args);
    world.deployment("web", 20, "3500m");
    world.wait_running("web", 20, SOON);
    world.scale("web", 0);
    wait_empty(&world);
    product.stop();
    assert!(!refused(&world).is_empty(), "this test would not notice a right that is missing");

    apply(&world, &shipped("millwright.yaml"));
    let before = refused(&world).len();
    let product = Product::start(&world, USER, &args);
    // Of two sizes: where all pods are alike, any of them may go to any node, and none is nominated.
    for (name, cpu) in [("shop", "3500m"), ("tools", "900m")] {
        world.deployment(name, 12, cpu);
    }
    for name in ["shop", "tools"] {
        world.wait_running(name, 12, SOON);
    }
    wait_for("pods were told their nodes", NOMINATED, || {
        let requests = world.stack.audit().unwrap();
        let n = requests
            .iter()
            .filter(|request| request.user == USER && request.resource == "pods/status" && request.code == 200)
            .count();
        if n > 0 { Ok(()) } else { Err(format!("{n} nominations")) }
    })
    .unwrap();
    let refusals = refused(&world);
    assert_eq!(refusals.len(), before, "{:?}", &refusals[before.min(refusals.len())..]);
    for name in ["shop", "tools"] {
        world.scale(name, 0);
    }
    wait_empty(&world);
    assert_eq!(world.api.count(NODES).unwrap(), 0);
    product.stop();
}
