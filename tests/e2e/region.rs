//! A region of EC2 on a loopback port, with an agent that stands in for the machines' own: it makes nodes of them as their
//! user data says. And a real control plane with a class and a pool of machines of it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use control_plane::{Api, Options};
use serde_json::{Value, json};
use sim::clock::Clock;
use sim::ec2::{Agents, Ec2, Level, Options as Ec2Options, listen};

use super::controller::NODES;
use super::product::Product;
use super::world::{SOON, World};

pub const CLASSES: &str = "/apis/karpenter.k8s.aws/v1/ec2nodeclasses";
const SECOND: i64 = 1_000_000;

/// EC2 and the agents on its machines, until it is dropped.
pub struct Region {
    pub ec2: Ec2,
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    running: Option<JoinHandle<()>>,
}

impl Region {
    pub fn open(api: Api) -> Self {
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

    pub fn controller(&self, world: &World) -> Product {
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

    /// Microseconds since 1970, as EC2 has them.
    pub fn now(&self) -> i64 {
        self.ec2.locked(|state| state.now())
    }

    /// Every machine that there ever was, with the claim it was bought for.
    pub fn ever(&self) -> Vec<(String, String)> {
        self.ec2.locked(|state| {
            let machines = state.instances.values();
            machines.map(|one| (one.tags["karpenter.sh/nodeclaim"].clone(), one.id.clone())).collect()
        })
    }

    /// No claim was ever given two machines, and no call came too fast.
    pub fn assert_nothing_was_doubled_or_refused(&self) {
        let ever = self.ever();
        let claims: BTreeSet<&String> = ever.iter().map(|(claim, _)| claim).collect();
        assert_eq!(ever.len(), claims.len(), "a claim was given two machines: {ever:?}");
        let log = self.ec2.log();
        let odd: Vec<_> = log.entries().filter(|entry| entry.outcome == "RequestLimitExceeded").collect();
        assert!(odd.is_empty(), "{odd:?}");
    }

    /// The calls so far by action, for people.
    pub fn tell_calls(&self, of_what: &str) {
        let log = self.ec2.log();
        let calls: Vec<String> = log.counts().iter().map(|(action, n)| format!("{action} {n}")).collect();
        println!("calls for {of_what}: {}", calls.join(", "));
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

/// Spot and on demand, general purpose and with GPUs.
pub fn world() -> World {
    world_of(&["spot", "on-demand"], &["m", "g"])
}

pub fn world_of(capacity_types: &[&str], categories: &[&str]) -> World {
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
                    { "key": "karpenter.sh/capacity-type", "operator": "In", "values": capacity_types },
                    { "key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": categories },
                ],
            } },
        },
    });
    world.api.create("/apis/karpenter.sh/v1/nodepools", &pool).unwrap();
    world
}
