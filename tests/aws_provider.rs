//! The whole controller with the provider of AWS: the API server and EC2 in memory, the real SDK between.
#![expect(clippy::unwrap_used, reason = "what does not come about has failed its test")]

#[path = "aws/stage.rs"]
mod stage;

use planner::model::CapacityType;
use serde_json::json;
use sim::ec2::{Fault, Rule};
use stage::{Stage, deployment, gpu_pod, pod};

#[tokio::test(start_paused = true)]
async fn pending_pods_become_machines_of_ec2_and_run_on_them() {
    let stage = Stage::open(|_| {});
    for at in 0..20 {
        stage.direct.put(pod(&format!("web-{at}"), "500m", "1Gi")).unwrap();
    }
    stage.until(300, "twenty pods run", |stage| stage.running() == 20).await;
    let class = stage.class();
    assert_eq!(class["status"]["instanceProfile"].as_str().unwrap().split('_').next(), Some("demo"));
    let reasons: Vec<_> =
        class["status"]["conditions"].as_array().unwrap().iter().map(|c| (&c["type"], &c["status"])).collect();
    assert!(reasons.iter().all(|(_, status)| *status == "True"), "{reasons:?}");
    assert_eq!(class["status"]["amis"].as_array().unwrap().len(), 5);
    assert!(class["metadata"]["annotations"]["karpenter.k8s.aws/ec2nodeclass-hash"].is_string());
    for claim in stage.claims() {
        let annotations = &claim["metadata"]["annotations"];
        assert_eq!(annotations["karpenter.k8s.aws/ec2nodeclass-hash-version"], "v6");
        assert!(claim["status"]["imageID"].as_str().unwrap().starts_with("ami-"));
        assert!(claim["metadata"]["labels"]["topology.k8s.aws/zone-id"].is_string());
    }
    assert_eq!(stage.ec2.machines().len(), stage.claims().len());
    // Names are written on machines once nodes have joined.
    stage
        .until(60, "names on machines", |stage| stage.ec2.machines().iter().all(|one| one.tags.contains_key("Name")))
        .await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_gpu_pod_gets_a_g4dn_with_the_image_for_it() {
    let stage = Stage::open(|_| {});
    stage.direct.put(gpu_pod("train-0")).unwrap();
    stage.until(300, "the GPU pod runs", |stage| stage.running() == 1).await;
    let machines = stage.ec2.machines();
    assert_eq!(machines.len(), 1);
    let image = stage.ec2.locked(|state| state.land.images[&machines[0].image].name.clone());
    assert!(image.contains("-nvidia-"), "{image}");
    assert_eq!(&*machines[0].key.instance_type, "g4dn.xlarge");
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn each_pool_that_is_out_is_left_for_the_next_without_asking_again() {
    let stage = Stage::open(|_| {});
    stage.ec2.locked(|state| {
        let now = state.now();
        let spot: Vec<_> =
            state.market.offerings().filter(|key| key.capacity_type == CapacityType::Spot).cloned().collect();
        for key in &spot {
            state.market.schedule(key, now, 0);
        }
    });
    stage.direct.put(pod("web-0", "500m", "1Gi")).unwrap();
    stage.until(300, "the pod runs", |stage| stage.running() == 1).await;
    assert_eq!(stage.ec2.machines()[0].key.capacity_type, CapacityType::OnDemand);
    assert!(stage.ec2.n_calls("CreateFleet") <= 30, "{}", stage.ec2.n_calls("CreateFleet"));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn machines_that_nobody_needs_are_ended_and_nothing_is_left_behind() {
    let stage = Stage::open(|_| {});
    for at in 0..8 {
        stage.direct.put(pod(&format!("web-{at}"), "1", "2Gi")).unwrap();
    }
    stage.until(300, "eight pods run", |stage| stage.running() == 8).await;
    stage.ec2.faults(|faults| {
        faults.add(Rule { action: Some("TerminateInstances".into()), skip: 0, times: 2, fault: Fault::LostAfter });
    });
    stage.delete_pods();
    stage.until(1200, "no machine is left", |stage| stage.ec2.machines().is_empty() && stage.claims().is_empty()).await;
    stage.until(60, "no node is left", |stage| stage.nodes().is_empty()).await;
    // The class goes, and all that was made for it.
    stage.delete_class();
    stage.until(120, "the class is gone", |stage| stage.class().is_null()).await;
    assert!(stage.ec2.locked(|state| state.templates.is_empty()));
    assert_eq!(stage.ec2.locked(|state| state.land.profiles.len()), 1);
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_interruptions_is_over_before_the_machines_are_taken() {
    let stage = Stage::open(|options| options.level = sim::ec2::Level::Each(500));
    stage.direct.put(deployment(200, "500m", "1Gi")).unwrap();
    stage.until(300, "two hundred pods run", |stage| stage.running() == 200).await;
    let warned = stage.ec2.interrupt_spot(100);
    assert!(warned.len() > 1, "{}", warned.len());
    let n_fleets = stage.ec2.n_calls("CreateFleet");
    // Claims are on their way out within seconds, and replacements are ordered before the two minutes are over.
    stage
        .until(20, "claims are being deleted", |stage| {
            stage.claims().iter().filter(|claim| !claim["metadata"]["deletionTimestamp"].is_null()).count()
                >= warned.len()
        })
        .await;
    stage.until(60, "replacements are ordered", |stage| stage.ec2.n_calls("CreateFleet") > n_fleets).await;
    stage
        .until(600, "all run again", |stage| {
            stage.running() == 200 && stage.ec2.machines().iter().all(|one| !warned.contains(&one.id))
        })
        .await;
    stage.until(60, "every message is deleted", |stage| stage.ec2.locked(|state| state.queue.is_empty())).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_class_says_what_it_lacks_and_mends_itself() {
    let stage = Stage::open(|options| options.cluster = "other".into());
    let is_missing = |stage: &Stage| stage.condition("SubnetsReady")["reason"] == "SubnetsNotFound";
    stage.until(30, "the class says what it lacks", is_missing).await;
    assert_eq!(stage.condition("Ready")["status"], "False");
    stage.ec2.locked(|state| {
        for subnet in state.land.subnets.values_mut() {
            subnet.tags.insert("karpenter.sh/discovery".into(), "demo".into());
        }
        for group in state.land.groups.values_mut() {
            group.tags.insert("karpenter.sh/discovery".into(), "demo".into());
        }
        state.roles.insert("KarpenterNodeRole-demo".into());
    });
    stage.until(120, "the class is ready", |stage| stage.condition("Ready")["status"] == json!("True")).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_role_may_not_do_is_a_condition_of_the_class() {
    let stage = Stage::open(|_| {});
    let denied = sim::ec2::Refusal::with_status(403, "UnauthorizedOperation", "You are not authorized");
    stage.ec2.faults(|faults| {
        faults.add(Rule { action: Some("RunInstances".into()), skip: 0, times: 100, fault: Fault::Refused(denied) });
    });
    let is_told = |stage: &Stage| stage.condition("ValidationSucceeded")["reason"] == "RunInstancesAuthCheckFailed";
    stage.until(30, "the class says what may not be done", is_told).await;
    let validation = stage.condition("ValidationSucceeded");
    assert!(validation["message"].as_str().unwrap().contains("grant ec2:RunInstances"), "{validation}");
    // Granted, it is tried again by itself.
    stage.ec2.faults(sim::ec2::Faults::clear);
    stage.until(120, "the class is ready", |stage| stage.condition("Ready")["status"] == "True").await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_pods_stay_inside_the_limits_of_an_account() {
    let stage = Stage::open(|options| options.level = sim::ec2::Level::Each(500));
    for at in 0..1000 {
        stage.direct.put(pod(&format!("web-{at}"), "900m", "1Gi")).unwrap();
    }
    stage.until(900, "a thousand pods run", |stage| stage.running() == 1000).await;
    let log = stage.ec2.log();
    let throttled = log.entries().filter(|entry| entry.outcome == "RequestLimitExceeded").count();
    assert_eq!(throttled, 0, "{:?}", log.counts());
    let machines = stage.ec2.machines().len() as u64;
    // One for each, and one that was not carried out, to see whether it is allowed.
    assert_eq!(log.count("CreateFleet"), machines + 1, "{:?}", log.counts());
    stage.close().await;
}
