//! The controller on the real control plane with machines of EC2: a GPU for a pod, and a controller that is killed.

use control_plane::wait_for;
use serde_json::{Value, json};

use super::controller::{CLAIMS, LONG, NODES, wait_empty};
use super::region::{CLASSES, Region, world};
use super::world::{SOON, condition};

#[test]
fn a_pod_for_a_gpu_becomes_a_g4dn_and_runs_on_it() {
    let world = world();
    let region = Region::open(world.stack.api("admin").unwrap());
    let product = region.controller(&world);
    wait_for("the class is ready", LONG, || {
        let class = world.api.get(&format!("{CLASSES}/default")).unwrap();
        if condition(&class, "Ready") == "True" { Ok(()) } else { Err(class["status"].to_string()) }
    })
    .unwrap();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "train", "labels": { "app": "train" } },
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "nodeSelector": { "karpenter.k8s.aws/instance-gpu-name": "t4", "karpenter.sh/capacity-type": "on-demand" },
            "containers": [{ "name": "main", "image": "none",
                "resources": { "requests": { "cpu": "3", "memory": "12Gi" }, "limits": { "nvidia.com/gpu": "1" } } }],
        },
    });
    let created = region.now();
    world.api.create("/api/v1/namespaces/default/pods", &pod).unwrap();
    let joined = first(&region, "a node has joined", || world.api.count(NODES).unwrap() > 0);
    let read = || world.pods("train").pop().unwrap_or_default();
    let bound = first(&region, "the pod is bound", || read()["spec"]["nodeName"].is_string());
    let runs = first(&region, "the pod runs", || read()["status"]["phase"] == "Running");
    let machines = region.ec2.machines();
    assert_eq!(machines.iter().map(|one| &*one.key.instance_type).collect::<Vec<_>>(), ["g4dn.xlarge"]);
    let registers = region.ec2.locked(|state| state.market.machine(&machines[0].id).unwrap().registers_at);
    let stages = [created, machines[0].launched_at, machines[0].runs_at, registers, joined, bound, runs];
    assert!(stages.is_sorted(), "{stages:?}");
    let names = [
        "ours: from the pod to CreateFleet",
        "EC2's: booting",
        "EC2's: until the agent registers",
        "the agent's: until the node is there (it looks every 0.2 s)",
        "ours and the scheduler's: until the pod is bound",
        "kubelet's: until it runs",
    ];
    for (name, ends) in names.iter().zip(stages.windows(2)) {
        println!("{:>8.3} s  {name}", (ends[1] - ends[0]) as f64 / 1e6);
    }
    println!("{:>8.3} s  from the pod to Running", (runs - created) as f64 / 1e6);
    region.tell_calls("a pod for a GPU");

    world.api.delete("/api/v1/namespaces/default/pods/train").unwrap();
    wait_empty(&world);
    wait_for("the machine is ended", SOON, || match region.ec2.machines().len() {
        0 => Ok(()),
        n_left => Err(format!("{n_left} left")),
    })
    .unwrap();
    product.stop();
}

/// When it is so for the first time, as EC2 has the time.
fn first(region: &Region, what: &str, is_so: impl Fn() -> bool) -> i64 {
    wait_for(what, LONG, || if is_so() { Ok(region.now()) } else { Err("not yet".to_owned()) }).unwrap()
}

#[test]
fn killed_while_it_buys_it_buys_nothing_twice_and_leaves_nothing() {
    let world = world();
    let region = Region::open(world.stack.api("admin").unwrap());
    let product = region.controller(&world);
    world.one_per_host("alone", 15);
    wait_for("some machines are bought", LONG, || match region.ec2.machines().len() {
        n if n >= 5 => Ok(()),
        n => Err(n.to_string()),
    })
    .unwrap();
    product.kill();
    let product = region.controller(&world);
    world.wait_ready("alone", 15, LONG);
    wait_for("machines and claims match one to one", SOON, || {
        let mut machines: Vec<String> =
            region.ec2.machines().iter().map(|one| format!("aws:///{}/{}", one.zone.name, one.id)).collect();
        let id = |claim: &Value| claim["status"]["providerID"].as_str().unwrap_or_default().to_owned();
        let mut claims: Vec<String> = world.api.list(CLAIMS).unwrap().iter().map(id).collect();
        machines.sort();
        claims.sort();
        if machines == claims { Ok(()) } else { Err(format!("{} machines, {} claims", machines.len(), claims.len())) }
    })
    .unwrap();
    world.scale("alone", 0);
    wait_empty(&world);
    product.stop();
    // Over the whole run: machines that were ended are still told of.
    region.assert_nothing_was_doubled_or_refused();
    assert_eq!(region.ever().len(), 15, "{:?}", region.ever());
}
