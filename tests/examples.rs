//! The examples are what the README says they are: strict YAML, complete in themselves, each object once.
#![expect(clippy::unwrap_used, reason = "a test program; its helpers may panic too")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

const EXAMPLES: &[&str] = &["shop", "gpu", "batch", "kwok"];

/// All objects of an example, in file order.
fn objects(example: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let texts = paths.iter().map(|path| std::fs::read_to_string(path).unwrap());
    texts.flat_map(|text| serde_saphyr::from_multiple::<Value>(&text).unwrap()).collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Names of a kind; `namespace/name` where there is a namespace.
fn names(objects: &[Value], kind: &str) -> BTreeSet<String> {
    of_kind(objects, kind).iter().map(|object| full_name(object)).collect()
}

fn full_name(object: &Value) -> String {
    let metadata = &object["metadata"];
    match metadata["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/{}", text(&metadata["name"])),
        None => text(&metadata["name"]),
    }
}

/// Pods that a workload asks for.
fn n_pods(workload: &Value) -> u64 {
    workload["spec"]["replicas"].as_u64().or(workload["spec"]["parallelism"].as_u64()).unwrap_or_default()
}

#[test]
fn no_object_stands_twice_in_an_example() {
    for example in EXAMPLES {
        let mut seen = BTreeSet::new();
        for object in objects(example) {
            let id = format!("{} {}", object["kind"], full_name(&object));
            assert!(seen.insert(id.clone()), "{example}: {id} twice");
        }
    }
}

#[test]
fn whatever_an_example_refers_to_is_in_it() {
    for example in EXAMPLES {
        let objects = objects(example);
        let mut namespaces = names(&objects, "Namespace");
        namespaces.insert("kube-system".to_owned());
        let mut priorities = names(&objects, "PriorityClass");
        priorities.insert("system-node-critical".to_owned());
        let volumes = names(&objects, "PersistentVolume");
        let storage_classes = names(&objects, "StorageClass");
        for object in &objects {
            let name = full_name(object);
            if let Some(namespace) = object["metadata"]["namespace"].as_str() {
                assert!(namespaces.contains(namespace), "{example}: {name}: no namespace {namespace}");
            }
            if let Some(priority) = object["spec"]["template"]["spec"]["priorityClassName"].as_str() {
                assert!(priorities.contains(priority), "{example}: {name}: no priority class {priority}");
            }
            let claims = object["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten();
            for claim in claims.chain((object["kind"] == "PersistentVolumeClaim").then_some(object)) {
                let class = text(&claim["spec"]["storageClassName"]);
                assert!(storage_classes.contains(&class), "{example}: {name}: no storage class {class}");
            }
            if let Some(volume) = object["spec"]["volumeName"].as_str() {
                assert!(volumes.contains(volume), "{example}: {name}: no volume {volume}");
            }
        }
        for pool in of_kind(&objects, "NodePool") {
            let class = &pool["spec"]["template"]["spec"]["nodeClassRef"];
            let known = names(&objects, &text(&class["kind"]));
            assert!(known.contains(&text(&class["name"])), "{example}: {}: no node class", full_name(pool));
        }
    }
}

#[test]
fn the_shop_is_as_large_as_the_readme_says() {
    let shop = objects("shop");
    let n = |kind| of_kind(&shop, kind).len();
    assert_eq!((n("Deployment"), n("StatefulSet"), n("DaemonSet"), n("Namespace")), (48, 7, 5, 8));
    let pods: u64 = ["Deployment", "StatefulSet"].iter().flat_map(|kind| of_kind(&shop, kind)).map(n_pods).sum();
    assert_eq!(pods, 186);
}

#[test]
fn the_batch_is_ten_thousand_pods() {
    assert_eq!(of_kind(&objects("batch"), "Job").into_iter().map(n_pods).sum::<u64>(), 10_000);
}

#[test]
fn every_pod_of_the_examples_asks_for_cpu_and_memory() {
    for example in EXAMPLES {
        let objects = objects(example);
        for kind in ["Deployment", "StatefulSet", "DaemonSet", "Job"] {
            for workload in of_kind(&objects, kind) {
                for container in workload["spec"]["template"]["spec"]["containers"].as_array().unwrap() {
                    let requests = &container["resources"]["requests"];
                    let asks = requests["cpu"].is_string() && requests["memory"].is_string();
                    assert!(asks, "{example}: {}", full_name(workload));
                }
            }
        }
    }
}

#[test]
fn the_readme_shows_the_plan_of_the_gpu_team_which_is_not_put_on_bare_metal() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut plan = std::process::Command::new(env!("CARGO_BIN_EXE_millwright"));
    let out = plan.args(["plan", "-f", "examples/gpu"]).current_dir(root).output().unwrap();
    let table = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success() && !table.contains(".metal"), "{table}");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let shown = readme.lines().skip_while(|line| !line.starts_with("NODE")).take_while(|line| *line != "```");
    let lines: BTreeSet<&str> = table.lines().map(str::trim_end).collect();
    for line in shown.filter(|line| *line != "…") {
        assert!(lines.contains(line), "README.md shows {line:?}, which is not in\n{table}");
    }
}
