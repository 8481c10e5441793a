//! The control plane itself behaves as the tests that use it take for granted.

use std::time::{Duration, Instant};

use control_plane::{Options, Stages, wait_for};
use serde_json::json;

use super::world::{SOON, World, condition};

#[test]
fn a_pod_waits_for_a_node_then_is_bound_and_runs() {
    let world = World::start(Options::default());
    world.deployment("web", 10, "100m");
    wait_for("the scheduler gives a reason", SOON, || {
        let pods = world.pods("web");
        let n_refused = pods.iter().filter(|pod| condition(pod, "PodScheduled") == "False").count();
        if n_refused == 10 { Ok(()) } else { Err(format!("{n_refused} of {} refused", pods.len())) }
    })
    .unwrap();

    world.node("n1", "4");
    let pods = world.wait_running("web", 10, SOON);
    assert!(pods.iter().all(|pod| pod["spec"]["nodeName"] == "n1" && condition(pod, "Ready") == "True"));
    let node = world.api.get("/api/v1/nodes/n1").unwrap();
    assert_eq!(condition(&node, "Ready"), "True");
    assert_eq!(node["status"]["allocatable"]["cpu"], "4");
    assert_eq!(node["spec"]["taints"], json!(null), "the not-ready taint is gone");
}

#[test]
fn an_eviction_that_a_budget_forbids_is_refused_with_429_and_the_cause() {
    let world = World::start(Options::default());
    world.node("n1", "4");
    world.deployment("web", 2, "100m");
    let pods = world.wait_running("web", 2, SOON);
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "web" },
        "spec": { "maxUnavailable": 0, "selector": { "matchLabels": { "app": "web" } } },
    });
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    world.api.create(budgets, &budget).unwrap();
    wait_for("the budget is counted", SOON, || {
        let status = world.api.get(&format!("{budgets}/web")).unwrap()["status"].clone();
        if status["currentHealthy"] == 2 { Ok(()) } else { Err(status.to_string()) }
    })
    .unwrap();
    let name = pods[0]["metadata"]["name"].as_str().unwrap();
    let eviction = json!({ "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": { "name": name, "namespace": "default" } });
    let path = format!("/api/v1/namespaces/default/pods/{name}/eviction");
    let refusal = world.api.create(&path, &eviction).unwrap_err();
    assert_eq!((refusal.code, refusal.reason.as_str()), (429, "TooManyRequests"));
    assert!(refusal.causes.iter().any(|(_, message)| message.contains("needs 2 healthy pods")), "{refusal:?}");

    world.api.delete(&format!("{budgets}/web")).unwrap();
    world.api.create(&path, &eviction).unwrap();
    wait_for("the pod is replaced", SOON, || {
        let pods = world.wait_running("web", 2, SOON);
        if pods.iter().all(|pod| pod["metadata"]["name"] != name) { Ok(()) } else { Err("still there".to_owned()) }
    })
    .unwrap();
}

#[test]
fn stages_can_be_slow_or_never_come() {
    const GONE_AFTER: Duration = Duration::from_secs(5);
    let stages = Stages { node_ready: None, pod_gone: Some(GONE_AFTER), ..Stages::default() };
    let world = World::start(Options::default().with_stages(stages));
    world.node("n1", "4");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p", "labels": { "app": "p" } },
        "spec": { "nodeName": "n1", "containers": [{ "name": "main", "image": "none" }],
            "tolerations": [{ "operator": "Exists" }] },
    });
    world.api.create("/api/v1/namespaces/default/pods", &pod).unwrap();
    world.wait_running("p", 1, SOON);
    let deleted = Instant::now();
    world.api.delete("/api/v1/namespaces/default/pods/p").unwrap();
    wait_for("the pod is gone", SOON, || match world.pods("p").len() {
        0 => Ok(()),
        n_left => Err(format!("{n_left} left")),
    })
    .unwrap();
    assert!(deleted.elapsed() >= GONE_AFTER, "gone after {:?}", deleted.elapsed());
    let node = world.api.get("/api/v1/nodes/n1").unwrap();
    assert_ne!(condition(&node, "Ready"), "True");
}

#[test]
fn users_have_their_own_rights_and_their_requests_are_counted() {
    let world = World::start(Options::default().with_user("guest", false));
    let guest = world.stack.api("guest").unwrap();
    let refusal = guest.get("/api/v1/nodes").unwrap_err();
    assert_eq!((refusal.code, refusal.reason.as_str()), (403, "Forbidden"));
    let product = world.stack.api("millwright").unwrap();
    product.list("/api/v1/nodes").unwrap();
    product.get("/api/v1/nodes/none").unwrap_err();
    let requests = wait_for("the audit log has both", SOON, || {
        let requests = world.stack.audit().unwrap();
        if requests.len() >= 3 { Ok(requests) } else { Err(format!("{requests:?}")) }
    })
    .unwrap();
    let mut seen: Vec<_> = requests.iter().map(|r| (r.user.as_str(), r.verb.as_str(), r.code)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [("guest", "list", 403), ("millwright", "get", 404), ("millwright", "list", 200)]);
    assert!(world.stack.kubeconfig("nobody").unwrap_err().to_string().contains("admin, millwright, guest"));
}

#[test]
fn nothing_is_left_of_a_control_plane_that_was_stopped() {
    let world = World::start(Options::default());
    let (folder, processes) = (world.stack.folder().to_owned(), world.stack.processes());
    assert!(processes.len() == 5 && processes.iter().all(|(_, process)| process.is_alive()));
    world.stack.stop();
    assert!(processes.iter().all(|(_, process)| !process.is_alive()));
    assert!(!folder.exists());
}
