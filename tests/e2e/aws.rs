//! The controller on the real control plane with machines of EC2, which is simulated on a loopback port. An agent stands in
//! for the machines' own: it makes nodes of them as their user data says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use control_plane::{Api, Options, wait_for};
use serde_json::{Value, json};
use sim::clock::Clock;
use sim::ec2::{Agents, Ec2, Level, Options as Ec2Options, listen};

use super::controller::{LONG, NODES, wait_empty};
use super::product::Product;
use super::world::{SOON, World};

const CLAIMS: &str = "/apis/karpenter.sh/v1/nodeclaims";
const CLASSES: &str = "/apis/karpenter.k8s.aws/v1/ec2nodeclasses";
const SECOND: i64 = 1_000_000;

/// EC2 and the agents on its machines, until it is dropped.
struct Region {
    ec2: Ec2,
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    running: Option<JoinHandle<()>>,
}

impl Region {
    fn open(api: Api) -> Self {
        let options = Ec2Options {
            region: "us-west-2".into(),
            cluster: "test".into(),
            level: Level::Each(100),
            boot: 2 * SECOND,
            register: SECOND,
            shutting_down: SECOND,
            ..Ec2Options::default()
        };
        let (told, heard) = std::sync::mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
        let running = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let ec2 = Ec2::new(options, Clock::at(jiff::Timestamp::now().as_second())).unwrap();
                let (address, serving) = listen(ec2.clone(), SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
                told.send((ec2.clone(), address)).unwrap();
                let agents = async {
                    let mut agents = Agents::new(&ec2);
                    while !until.load(Ordering::Relaxed) {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        let create = |node: &Value| api.create(NODES, node).is_ok();
                        let delete = |name: &str| drop(api.delete(&format!("{NODES}/{name}")));
                        agents.step(&ec2, create, delete);
                    }
                };
                tokio::select! {
                    () = serving => {}
                    () = agents => {}
                }
            });
        });
        let (ec2, address) = heard.recv_timeout(SOON).unwrap();
        Self { ec2, address, stop, running: Some(running) }
    }

    fn controller(&self, world: &World) -> Product {
        let endpoint = format!("http://{}", self.address);
        let env = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_REGION", "us-west-2"),
            ("AWS_ACCESS_KEY_ID", "simulated"),
            ("AWS_SECRET_ACCESS_KEY", "simulated"),
            ("INTERRUPTION_QUEUE", "test"),
        ];
        Product::start_on(world, "millwright", "aws", &env)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

fn world() -> World {
    let world = World::start(Options::default()).with_crds();
    let discovery = json!([{ "tags": { "karpenter.sh/discovery": "test" } }]);
    let class = json!({
        "apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": { "name": "default" },
        "spec": { "amiSelectorTerms": [{ "alias": "al2023@latest" }], "role": "KarpenterNodeRole-test",
            "subnetSelectorTerms": discovery, "securityGroupSelectorTerms": discovery },
    });
    world.api.create(CLASSES, &class).unwrap();
    let pool = json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": "default" },
        "spec": {
            "disruption": { "consolidationPolicy": "WhenEmpty", "consolidateAfter": "0s", "budgets": [{ "nodes": "100%" }] },
            "template": { "spec": {
                "nodeClassRef": { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" },
                "requirements": [
                    { "key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot", "on-demand"] },
                    { "key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["m", "g"] },
                ],
            } },
        },
    });
    world.api.create("/apis/karpenter.sh/v1/nodepools", &pool).unwrap();
    world
}

#[test]
fn a_pod_for_a_gpu_becomes_a_g4dn_and_runs_on_it() {
    let world = world();
    let region = Region::open(world.stack.api("admin").unwrap());
    let product = region.controller(&world);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "train", "labels": { "app": "train" } },
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "nodeSelector": { "karpenter.k8s.aws/instance-gpu-name": "t4", "karpenter.sh/capacity-type": "on-demand" },
            "containers": [{ "name": "main", "image": "none",
                "resources": { "requests": { "cpu": "3", "memory": "12Gi" }, "limits": { "nvidia.com/gpu": "1" } } }],
        },
    });
    world.api.create("/api/v1/namespaces/default/pods", &pod).unwrap();
    world.wait_running("train", 1, LONG);
    let machines = region.ec2.machines();
    assert_eq!(machines.iter().map(|one| &*one.key.instance_type).collect::<Vec<_>>(), ["g4dn.xlarge"]);

    world.api.delete("/api/v1/namespaces/default/pods/train").unwrap();
    wait_empty(&world);
    wait_for("the machine is ended", SOON, || match region.ec2.machines().len() {
        0 => Ok(()),
        n_left => Err(format!("{n_left} left")),
    })
    .unwrap();
    product.stop();
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
    assert_eq!(region.ec2.machines().len(), 15, "nothing was bought twice");
    world.scale("alone", 0);
    wait_empty(&world);
    product.stop();
}
