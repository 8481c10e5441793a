//! The cluster around the server: what a controller of nodes may count on happening by itself.
#![expect(clippy::unwrap_used, reason = "what is not there has failed the test")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sim::kube::object::list;
use sim::kube::{ApiServer, DeleteOptions, Direct, Id, Key, Object, Part};
use sim::world::{Options, World};

/// A world that runs in the background of a test.
fn world(seed: u64) -> Direct {
    let server = ApiServer::new(seed);
    tokio::spawn(World::new(&server, &Options { seed, ..Options::default() }).run());
    server.direct("test")
}

async fn after(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn node(name: &str, cpu: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": name, "annotations": { "kwok.x-k8s.io/node": "fake" },
            "labels": { "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": "a", "pool": "x" } },
        "status": { "capacity": { "cpu": cpu, "memory": "64Gi", "pods": "110" } } })
}

fn template(cpu: &str) -> Value {
    json!({ "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [
        { "name": "main", "image": "pause", "resources": { "requests": { "cpu": cpu, "memory": "100Mi" } } }] } })
}

fn deployment(name: &str, replicas: usize, cpu: &str) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name }, "spec": { "replicas": replicas,
        "selector": { "matchLabels": { "app": "web" } }, "template": template(cpu) } })
}

fn pod(name: &str, cpu: &str) -> Value {
    let template = template(cpu);
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "labels": template["metadata"]["labels"] }, "spec": template["spec"] })
}

fn scale(api: &Direct, name: &str, replicas: usize) {
    let change = |old: &Value| {
        let mut new = old.clone();
        new["spec"]["replicas"] = replicas.into();
        new
    };
    api.update(Id::DEPLOYMENT, &Key::new("default", name), Part::Main, change).unwrap();
}

fn pods(api: &Direct) -> Vec<Arc<Object>> {
    api.list(Id::POD)
}

fn running(api: &Direct) -> usize {
    pods(api).iter().filter(|pod| pod.is_condition_true("Ready")).count()
}

fn get(api: &Direct, name: &str) -> Arc<Object> {
    api.get(Id::POD, &Key::new("default", name)).unwrap()
}

fn nominate(api: &Direct, pod: &str, node: &str) {
    let change = |old: &Value| {
        let mut new = old.clone();
        new["status"]["nominatedNodeName"] = node.into();
        new
    };
    api.update(Id::POD, &Key::new("default", pod), Part::Status, change).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_deployment_waits_for_nodes_and_then_runs() {
    let api = world(1);
    api.create(deployment("web", 20, "500m")).unwrap();
    after(1).await;
    assert_eq!(pods(&api).len(), 20);
    let condition = pods(&api)[0].condition("PodScheduled").cloned().unwrap();
    assert_eq!((condition["status"].as_str(), condition["reason"].as_str()), (Some("False"), Some("Unschedulable")));
    assert_eq!(condition["message"], "no nodes available to schedule pods");
    api.create(node("a", "8")).unwrap();
    api.create(node("b", "8")).unwrap();
    after(5).await;
    assert_eq!(running(&api), 20);
    let status = api.get(Id::DEPLOYMENT, &Key::new("default", "web")).unwrap();
    assert_eq!(status.at("/status/readyReplicas"), Some(&json!(20)));
    scale(&api, "web", 3);
    after(5).await;
    assert_eq!((pods(&api).len(), running(&api)), (3, 3));
    api.delete(Id::DEPLOYMENT, &Key::new("default", "web"), &DeleteOptions::default()).unwrap();
    after(5).await;
    assert_eq!(pods(&api).len(), 0);
    assert_eq!(api.list(Id::REPLICA_SET).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_template_replaces_the_pods() {
    let api = world(1);
    api.create(node("a", "8")).unwrap();
    api.create(deployment("web", 4, "500m")).unwrap();
    after(5).await;
    let change = |old: &Value| {
        let mut new = old.clone();
        new["spec"]["template"]["spec"]["containers"][0]["image"] = "pause:2".into();
        new
    };
    api.update(Id::DEPLOYMENT, &Key::new("default", "web"), Part::Main, change).unwrap();
    after(10).await;
    assert_eq!((pods(&api).len(), running(&api)), (4, 4));
    assert!(pods(&api).iter().all(|pod| pod.text("/spec/containers/0/image") == "pause:2"));
}

#[tokio::test(start_paused = true)]
async fn a_node_becomes_ready_and_loses_only_the_taint_that_says_it_is_not() {
    let api = world(1);
    let mut tainted = node("a", "8");
    tainted["spec"] = json!({ "taints": [{ "key": "karpenter.sh/unregistered", "effect": "NoExecute" }] });
    api.create(tainted).unwrap();
    api.create(pod("p", "1")).unwrap();
    after(5).await;
    let node = api.get(Id::NODE, &Key::cluster("a")).unwrap();
    assert!(node.is_condition_true("Ready"));
    let taints: Vec<_> = list(node.value(), "/spec/taints").map(|taint| taint["key"].as_str().unwrap()).collect();
    assert_eq!(taints, ["karpenter.sh/unregistered"]);
    let message = get(&api, "p").condition("PodScheduled").unwrap()["message"].clone();
    assert_eq!(message, "0/1 nodes are available: 1 node(s) had untolerated taint {karpenter.sh/unregistered: }.");
    let open = |old: &Value| {
        let mut new = old.clone();
        new["spec"]["taints"] = json!([]);
        new
    };
    api.update(Id::NODE, &Key::cluster("a"), Part::Main, open).unwrap();
    after(5).await;
    assert_eq!(get(&api, "p").text("/status/phase"), "Running");
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_clears_a_nomination_unless_the_pod_never_preempts() {
    let api = world(1);
    api.create(pod("p", "1")).unwrap();
    let mut never = pod("never", "1");
    never["spec"]["preemptionPolicy"] = "Never".into();
    api.create(never).unwrap();
    after(1).await;
    nominate(&api, "p", "to-come");
    nominate(&api, "never", "to-come");
    after(1).await;
    assert_eq!(get(&api, "p").text("/status/nominatedNodeName"), "to-come");
    // A node on which neither fits makes the scheduler try again.
    api.create(node("small", "100m")).unwrap();
    after(15).await;
    assert_eq!(get(&api, "p").text("/status/nominatedNodeName"), "");
    assert_eq!(get(&api, "never").text("/status/nominatedNodeName"), "to-come");
}

#[tokio::test(start_paused = true)]
async fn a_nominated_pod_goes_to_its_node_and_holds_its_room_there() {
    let api = world(1);
    api.create(pod("blocker", "1")).unwrap();
    after(1).await;
    for name in ["b-1", "b-2", "a-1", "a-2"] {
        api.create(pod(name, "900m")).unwrap();
    }
    after(1).await;
    for (name, cpu) in [("a", "1800m"), ("b", "1800m"), ("c", "16")] {
        let mut node = node(name, cpu);
        node["spec"] = json!({ "taints": [{ "key": "gate", "effect": "NoExecute" }] });
        api.create(node).unwrap();
    }
    after(15).await;
    // Written just before the nodes open; the emptiest one would be preferred otherwise.
    for (pod, node) in [("b-1", "b"), ("b-2", "b"), ("a-1", "a"), ("a-2", "a"), ("blocker", "c")] {
        nominate(&api, pod, node);
    }
    for name in ["c", "a", "b"] {
        let open = |old: &Value| {
            let mut new = old.clone();
            new["spec"]["taints"] = json!([]);
            new
        };
        api.update(Id::NODE, &Key::cluster(name), Part::Main, open).unwrap();
    }
    after(10).await;
    for (pod, node) in [("b-1", "b"), ("b-2", "b"), ("a-1", "a"), ("a-2", "a"), ("blocker", "c")] {
        assert_eq!(get(&api, pod).text("/spec/nodeName"), node, "{pod}");
        assert_eq!(get(&api, pod).text("/status/nominatedNodeName"), "");
    }
}

#[tokio::test(start_paused = true)]
async fn spread_and_affinity_are_kept() {
    let api = world(1);
    for (name, zone) in [("a", "1"), ("b", "2"), ("c", "2")] {
        let mut node = node(name, "32");
        node["metadata"]["labels"]["topology.kubernetes.io/zone"] = zone.into();
        api.create(node).unwrap();
    }
    let mut spread = deployment("web", 6, "100m");
    spread["spec"]["template"]["spec"]["topologySpreadConstraints"] = json!([{ "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule",
        "topologyKey": "topology.kubernetes.io/zone", "labelSelector": { "matchLabels": { "app": "web" } } }]);
    api.create(spread).unwrap();
    let mut hermit = deployment("hermit", 4, "100m");
    hermit["spec"]["selector"]["matchLabels"]["app"] = "hermit".into();
    hermit["spec"]["template"]["metadata"]["labels"]["app"] = "hermit".into();
    hermit["spec"]["template"]["spec"]["affinity"] = json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [
        { "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": { "app": "hermit" } } }] } });
    api.create(hermit).unwrap();
    after(10).await;
    let on = |app: &str, node: &str| {
        pods(&api).iter().filter(|pod| pod.label("app") == Some(app) && pod.text("/spec/nodeName") == node).count()
    };
    assert_eq!((on("web", "a"), on("web", "b") + on("web", "c")), (3, 3));
    assert_eq!([on("hermit", "a"), on("hermit", "b"), on("hermit", "c"), on("hermit", "")], [1, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn daemons_come_with_their_nodes_and_go_with_them() {
    let api = world(1);
    api.create(json!({ "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": { "name": "agent" }, "spec": {
        "selector": { "matchLabels": { "app": "web" } }, "template": template("10m") } }))
        .unwrap();
    api.create(node("a", "4")).unwrap();
    let mut other = node("b", "4");
    other["spec"] = json!({ "taints": [{ "key": "own", "effect": "NoSchedule" }] });
    api.create(other).unwrap();
    after(10).await;
    let nodes: Vec<_> = pods(&api).iter().map(|pod| pod.text("/spec/nodeName").to_owned()).collect();
    assert_eq!((nodes, running(&api)), (vec!["a".to_owned()], 1));
    api.delete(Id::NODE, &Key::cluster("a"), &DeleteOptions::default()).unwrap();
    after(90).await;
    assert_eq!(pods(&api).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn members_of_a_stateful_set_keep_their_volumes_and_their_zone() {
    let api = world(1);
    api.create(json!({ "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": { "name": "disk" },
        "provisioner": "sim.csi.example.com", "volumeBindingMode": "WaitForFirstConsumer" }))
        .unwrap();
    let mut zone_b = node("b", "4");
    zone_b["metadata"]["labels"]["topology.kubernetes.io/zone"] = "b".into();
    api.create(zone_b).unwrap();
    api.create(
        json!({ "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "db" }, "spec": { "replicas": 2,
        "serviceName": "db", "selector": { "matchLabels": { "app": "web" } }, "template": template("1"),
        "volumeClaimTemplates": [{ "metadata": { "name": "data" }, "spec": { "storageClassName": "disk",
            "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "10Gi" } } } }] } }),
    )
    .unwrap();
    after(15).await;
    let names: Vec<_> = pods(&api).iter().map(|pod| pod.name().to_owned()).collect();
    assert_eq!((names, running(&api)), (vec!["db-0".to_owned(), "db-1".to_owned()], 2));
    let claim = api.get(Id::CLAIM_OF_VOLUME, &Key::new("default", "data-db-0")).unwrap();
    assert_eq!(claim.text("/status/phase"), "Bound");
    // The zone's only node goes; the member waits, though there is room elsewhere.
    api.create(node("a", "4")).unwrap();
    api.delete(Id::NODE, &Key::cluster("b"), &DeleteOptions::default()).unwrap();
    after(120).await;
    let message = get(&api, "db-0").condition("PodScheduled").unwrap()["message"].clone();
    assert_eq!(message, "0/1 nodes are available: 1 node(s) had volume node affinity conflict.");
}

#[tokio::test(start_paused = true)]
async fn a_job_ends_when_enough_pods_have_succeeded() {
    let api = world(1);
    api.create(node("a", "8")).unwrap();
    let mut template = template("1");
    template["metadata"]["annotations"] = json!({ "sim.millwright.dev/run-seconds": "20" });
    template["spec"]["restartPolicy"] = "Never".into();
    api.create(json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "sums" }, "spec": {
        "parallelism": 2, "completions": 5, "template": template } }))
        .unwrap();
    after(10).await;
    assert_eq!(running(&api), 2);
    after(90).await;
    let job = api.get(Id::JOB, &Key::new("default", "sums")).unwrap();
    assert!(job.is_condition_true("Complete"));
    assert_eq!(job.at("/status/succeeded"), Some(&json!(5)));
    assert_eq!(pods(&api).len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_taint_drives_pods_away_that_do_not_tolerate_it() {
    let api = world(1);
    api.create(node("a", "8")).unwrap();
    api.create(pod("p", "1")).unwrap();
    let mut patient = pod("patient", "1");
    patient["spec"]["tolerations"] =
        json!([{ "key": "out", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60 }]);
    api.create(patient).unwrap();
    after(5).await;
    let taint = |old: &Value| {
        let mut new = old.clone();
        new["spec"]["taints"] = json!([{ "key": "out", "effect": "NoExecute" }]);
        new
    };
    api.update(Id::NODE, &Key::cluster("a"), Part::Main, taint).unwrap();
    after(10).await;
    assert_eq!(pods(&api).iter().map(|pod| pod.name().to_owned()).collect::<Vec<_>>(), ["patient"]);
    after(60).await;
    assert_eq!(pods(&api).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pod_takes_its_time_to_end_within_its_grace() {
    let api = world(1);
    api.create(node("a", "8")).unwrap();
    let mut slow = pod("slow", "1");
    slow["metadata"]["annotations"] = json!({ "sim.millwright.dev/stop-seconds": "20" });
    api.create(slow).unwrap();
    after(5).await;
    api.delete(Id::POD, &Key::new("default", "slow"), &DeleteOptions::default()).unwrap();
    after(19).await;
    assert!(get(&api, "slow").is_deleting());
    after(2).await;
    assert_eq!(pods(&api).len(), 0);
}

/// What happens to a little cluster under a seed, line by line.
async fn story(seed: u64) -> Vec<String> {
    let api = world(seed);
    api.create(deployment("web", 30, "700m")).unwrap();
    for at in 0..5 {
        api.create(node(&format!("n-{at}"), "4")).unwrap();
        after(3).await;
    }
    api.server().compact(Id::POD);
    scale(&api, "web", 12);
    after(30).await;
    api.delete(Id::NODE, &Key::cluster("n-2"), &DeleteOptions::default()).unwrap();
    after(120).await;
    api.server().log().lines().map(str::to_owned).collect()
}

#[test]
fn the_same_seed_gives_the_same_story() {
    let run = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(story(seed))
    };
    let first = run(7);
    assert!(first.len() > 150, "{} lines", first.len());
    assert_eq!(first, run(7));
    assert_ne!(first, run(8));
}

#[tokio::test(start_paused = true)]
async fn three_thousand_pods_on_two_hundred_nodes_run() {
    let api = world(1);
    for at in 0..3 {
        let name = format!("web-{at}");
        let mut big = deployment(&name, 1000, "400m");
        big["spec"]["selector"]["matchLabels"]["app"] = name.as_str().into();
        big["spec"]["template"]["metadata"]["labels"]["app"] = name.as_str().into();
        api.create(big).unwrap();
    }
    after(30).await;
    assert_eq!(pods(&api).len(), 3000);
    for at in 0..201 {
        api.create(node(&format!("n-{at:04}"), "8")).unwrap();
    }
    after(120).await;
    assert_eq!(running(&api), 3000);
}
