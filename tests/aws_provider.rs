//! The whole controller with the provider of AWS: the API server and EC2 in memory, the real SDK between.
#![expect(clippy::unwrap_used, reason = "what does not come about has failed its test")]

#[path = "aws/buying.rs"]
mod buying;
#[path = "aws/crowds.rs"]
mod crowds;
#[path = "aws/stage.rs"]
mod stage;
#[path = "aws/swap.rs"]
mod swap;

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
    for kind in ["NodeClaim", "Node"] {
        stage.until(20, "both are told", |stage| stage.has_told_of(kind, "SpotInterrupted")).await;
        stage.until(20, "both are told", |stage| stage.has_told_of(kind, "TerminatingOnInterruption")).await;
    }
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
        // EKS is asked for the addresses of Services, which nodes of AL2023 are told.
        state.options.cluster = "demo".into();
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

fn reservation(stage: &Stage, id: &str, kind: &str, ends_in: Option<i64>) -> sim::ec2::Reservation {
    let (zone, now) = stage.ec2.locked(|state| (state.land.zones[1].clone(), state.seconds()));
    sim::ec2::Reservation {
        kind: kind.into(),
        ends_at: ends_in.map(|seconds| now + seconds),
        tags: [("team".to_owned(), "a".to_owned())].into(),
        ..sim::ec2::Reservation::new(id, "m5.xlarge", zone, 2)
    }
}

#[tokio::test(start_paused = true)]
async fn reserved_capacity_is_used_first_and_given_up_before_it_ends() {
    let stage = Stage::open(|_| {});
    stage.allow_reserved();
    let block = reservation(&stage, "cr-0b", "capacity-block", Some(3600 + 40 * 60));
    stage.ec2.locked(|state| state.reserve(block));
    stage.change_class(|class| {
        class["spec"]["capacityReservationSelectorTerms"] = json!([{ "tags": { "team": "a" } }]);
    });
    let is_known = |stage: &Stage| stage.class()["status"]["capacityReservations"][0]["state"] == "active";
    stage.until(60, "the reservation is known", is_known).await;
    for at in 0..6 {
        stage.direct.put(pod(&format!("web-{at}"), "1", "1Gi")).unwrap();
    }
    stage.until(300, "six pods run", |stage| stage.running() == 6).await;
    let reserved = |stage: &Stage| {
        let machines = stage.ec2.machines();
        machines.iter().filter(|one| one.key.reservation.as_deref() == Some("cr-0b")).count()
    };
    assert_eq!(reserved(&stage), 2, "both are in use");
    let claims = stage.claims();
    let of_block = claims.iter().filter(|claim| {
        let labels = &claim["metadata"]["labels"];
        labels["karpenter.sh/capacity-type"] == "reserved"
            && labels["karpenter.k8s.aws/capacity-reservation-id"] == "cr-0b"
            && labels["karpenter.k8s.aws/capacity-reservation-type"] == "capacity-block"
    });
    assert_eq!(of_block.count(), 2);
    // Forty minutes before its end nothing is to be left in it.
    stage.until(3600 + 600, "the block is empty", |stage| reserved(stage) == 0).await;
    let is_told = |stage: &Stage| stage.class()["status"]["capacityReservations"][0]["state"] == "expiring";
    stage.until(70, "the class says so", is_told).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_block_is_given_up_before_it_ends_though_the_class_does_not_select_it_any_more() {
    // Drift is found, and may replace nothing.
    let blocked = |setup: &mut stage::Setup| {
        setup.objects[1]["spec"]["disruption"]["budgets"] = json!([{ "nodes": "0" }]);
    };
    let stage = Stage::set_up(blocked, |_| {});
    stage.allow_reserved();
    let block = reservation(&stage, "cr-0b", "capacity-block", Some(3600 + 40 * 60));
    stage.ec2.locked(|state| state.reserve(block));
    stage.change_class(|class| class["spec"]["capacityReservationSelectorTerms"] = json!([{ "id": "cr-0b" }]));
    let is_known = |stage: &Stage| stage.class()["status"]["capacityReservations"][0]["state"] == "active";
    stage.until(60, "the reservation is known", is_known).await;
    stage.direct.put(deployment(1, "1", "1Gi")).unwrap();
    stage.until(300, "the pod runs", |stage| stage.running() == 1).await;
    let n_reserved = |stage: &Stage| stage.ec2.machines().iter().filter(|one| one.key.reservation.is_some()).count();
    assert_eq!(n_reserved(&stage), 1);
    stage.change_class(|class| class["spec"]["capacityReservationSelectorTerms"] = json!(null));
    tokio::time::sleep(std::time::Duration::from_mins(30)).await;
    assert_eq!(n_reserved(&stage), 1, "it stays until then");
    stage.until(1800 + 600, "the block is empty", |stage| n_reserved(stage) == 0).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_its_reservation_let_go_of_is_called_what_it_is() {
    let stage = Stage::open(|_| {});
    stage.allow_reserved();
    let plain = reservation(&stage, "cr-0a", "default", None);
    stage.ec2.locked(|state| state.reserve(plain));
    stage.change_class(|class| class["spec"]["capacityReservationSelectorTerms"] = json!([{ "id": "cr-0a" }]));
    let is_known = |stage: &Stage| stage.class()["status"]["capacityReservations"][0]["id"] == "cr-0a";
    stage.until(60, "the reservation is known", is_known).await;
    stage.direct.put(pod("web-0", "1", "1Gi")).unwrap();
    stage.until(300, "the pod runs", |stage| stage.running() == 1).await;
    let type_of = |object: &serde_json::Value| object["metadata"]["labels"]["karpenter.sh/capacity-type"].clone();
    assert_eq!(type_of(&stage.claims()[0]), "reserved");
    stage.ec2.locked(|state| {
        for one in state.instances.values_mut() {
            (one.key.reservation, one.key.capacity_type) = (None, CapacityType::OnDemand);
        }
    });
    stage.until(120, "it is on demand", |stage| type_of(&stage.claims()[0]) == "on-demand").await;
    assert_eq!(type_of(&stage.nodes()[0]), "on-demand");
    assert!(stage.claims()[0]["metadata"]["labels"]["karpenter.k8s.aws/capacity-reservation-id"].is_null());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn machines_go_into_the_placement_group_of_their_class() {
    let stage = Stage::open(|_| {});
    stage.change_class(|class| class["spec"]["placementGroupSelector"] = json!({ "name": "apart" }));
    let reason = |stage: &Stage| stage.condition("PlacementGroupReady")["reason"].clone();
    stage.until(60, "the group is missing", |stage| reason(stage) == "PlacementGroupNotFound").await;
    stage.direct.put(pod("web-0", "1", "1Gi")).unwrap();
    stage.ec2.locked(|state| {
        let group = sim::ec2::PlacementGroup {
            id: "pg-0123".into(),
            name: "apart".into(),
            strategy: "partition".into(),
            n_partitions: Some(3),
            tags: sim::ec2::Tags::new(),
        };
        state.placement_groups.insert(group.id.clone(), group);
    });
    stage.until(300, "the pod runs", |stage| stage.running() == 1).await;
    let machines = stage.ec2.machines();
    let (group, partition) = machines[0].placement.clone().unwrap();
    let labels = &stage.nodes()[0]["metadata"]["labels"];
    assert_eq!((group.as_str(), labels["karpenter.k8s.aws/placement-group-id"].as_str()), ("pg-0123", Some("pg-0123")));
    let partition = partition.unwrap().to_string();
    assert_eq!(labels["karpenter.k8s.aws/placement-group-partition"], partition.as_str());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_whose_checks_fail_is_replaced_without_waiting_for_its_pods() {
    let stage = Stage::open(|_| {});
    stage.direct.put(deployment(2, "500m", "1Gi")).unwrap();
    stage.until(300, "the pods run", |stage| stage.running() == 2).await;
    let ill = stage.ec2.machines()[0].id.clone();
    stage.ec2.locked(|state| {
        let now = state.now();
        state.instances.get_mut(&ill).unwrap().impaired.0 = Some(now);
    });
    let is_gone = |stage: &Stage| stage.ec2.machines().iter().all(|one| one.id != ill) && stage.running() == 2;
    stage.until(600, "it is replaced", is_gone).await;
    let page = stage.metrics.render();
    let counted = "karpenter_interruption_instance_status_unhealthy_total{category=\"InstanceStatus\"} 1";
    assert!(page.contains(counted), "{page}");
    assert!(page.contains("karpenter_cloudprovider_instance_type_offering_available{"), "what can be bought is shown");
    assert!(page.contains("karpenter_ec2nodeclasses_userdata_bytes{nodeclass=\"default\"}"));
    assert!(page.contains("aws_sdk_go_request_total{action=\"CreateFleet\",service=\"EC2\",status_code=\"200\"}"));
    assert!(page.contains("karpenter_cloudprovider_batcher_batch_size_count{batcher=\"describe_instances\"}"));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn nodes_teach_how_much_memory_their_types_have() {
    let stage = Stage::open_as(|_| {}, |_| {}, |aws| aws.vm_memory_overhead_percent = 0.02);
    stage.direct.put(deployment(1, "1", "1Gi")).unwrap();
    stage.until(300, "the pod runs", |stage| stage.running() == 1).await;
    let kind = stage.ec2.machines()[0].key.instance_type.to_string();
    let memory = stage.nodes()[0]["status"]["capacity"]["memory"].as_str().unwrap().to_owned();
    let seen = planner::model::Quantity::parse(&memory).unwrap().value();
    let of = |claim: &serde_json::Value| {
        let memory = claim["status"]["capacity"]["memory"].as_str().unwrap_or("0");
        planner::model::Quantity::parse(memory).unwrap().value()
    };
    assert!(of(&stage.claims()[0]) > seen, "at first it is taken to have more");
    let of_type = cloud::catalog::type_rows().unwrap().iter().find(|row| row.name == kind).unwrap().memory_mib << 20;
    let counted = format!("karpenter_cloudprovider_instance_type_memory_bytes{{instance_type=\"{kind}\"}} {of_type}");
    stage.until(70, "the metric counts as EC2 does", |stage| stage.metrics.render().contains(&counted)).await;
    tokio::time::sleep(std::time::Duration::from_secs(15)).await;
    let mut second = pod("second", "1", "1Gi");
    second["spec"]["nodeSelector"] = json!({ "node.kubernetes.io/instance-type": kind });
    second["spec"]["affinity"] = json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [{
        "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": { "app": "web" } } }] } });
    stage.direct.put(second).unwrap();
    let knows = |stage: &Stage| stage.claims().iter().any(|claim| of(claim) == seen);
    stage.until(120, "the next is known to have less", knows).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_the_cluster_is_moved_away_from_is_left_alone_until_that_is_over() {
    let stage = Stage::open_as(|_| {}, |_| {}, |aws| aws.enable_zonal_shift = true);
    stage.direct.put(deployment(1, "1", "1Gi")).unwrap();
    stage.until(300, "the pod runs", |stage| stage.running() == 1).await;
    let machine = stage.ec2.machines()[0].clone();
    let claim = stage.claims()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    stage.ec2.locked(|state| {
        let zone = state.land.zones.iter().find(|zone| zone.name == *machine.key.zone).unwrap();
        let (zone_id, now) = (zone.id.clone(), state.seconds());
        state.shifts.push(sim::ec2::Shift { zone_id, starts_at: now, ends_at: now + 900 });
    });
    stage.until(60, "the pool is told", |stage| stage.has_said("ZonalShiftActive")).await;
    assert!(stage.has_told(&format!("Zonal shift detected: offerings in zone {} (", machine.key.zone)));
    // Nothing of EC2 is changed there, not even when its claim is deleted; what replaces it is elsewhere.
    stage.delete_claim(&claim);
    let in_zone = |stage: &Stage| stage.ec2.machines().iter().filter(|one| one.key.zone == machine.key.zone).count();
    let is_replaced = |stage: &Stage| stage.ec2.machines().len() == 2 && stage.running() == 1;
    stage.until(300, "the pod runs elsewhere", is_replaced).await;
    assert_eq!((in_zone(&stage), stage.ec2.n_calls("TerminateInstances")), (1, 0));
    assert!(
        stage.claims().iter().any(|one| one["metadata"]["name"] == claim.as_str()),
        "it waits for its machine's end"
    );
    stage.until(900, "the shift is over", |stage| stage.has_said("ZonalShiftCleared")).await;
    stage.until(120, "the machine is ended", |stage| in_zone(stage) == 0).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn in_a_private_network_machines_are_bought_and_what_is_missing_is_said() {
    let out_of_reach = [
        "pricing:GetProducts",
        "iam:ListInstanceProfiles",
        "iam:GetInstanceProfile",
        "iam:CreateInstanceProfile",
        "ssm:GetParameter",
        "eks:DescribeCluster",
    ];
    let stage = Stage::set_up(
        |setup| {
            setup.aws.cluster_ca_bundle = None;
            setup.authority = Some("Q0E=".into());
        },
        |ec2| {
            ec2.faults(|faults| {
                for action in out_of_reach {
                    let (skip, times, fault) = (0, u64::MAX, Fault::LostBefore);
                    faults.add(Rule { action: Some(action.into()), skip, times, fault });
                }
            });
        },
    );
    // An alias is looked up in SSM: the class says so.
    stage.until(60, "the class says what it misses", |stage| stage.condition("AMIsReady")["status"] == "Unknown").await;
    let message = stage.condition("AMIsReady")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("ssm:GetParameter"), "{message}");
    // Images by name and a profile of one's own need neither SSM nor IAM, and Bottlerocket no addresses of services of EKS.
    stage.change_class(|class| {
        class["spec"]["amiFamily"] = json!("Bottlerocket");
        class["spec"]["amiSelectorTerms"] = json!([{ "name": "bottlerocket-aws-k8s-1.35-x86_64-*" }]);
        class["spec"]["role"] = json!(null);
        class["spec"]["instanceProfile"] = json!("KarpenterNodeInstanceProfile-demo");
    });
    stage.direct.put(pod("web-0", "500m", "1Gi")).unwrap();
    stage.until(600, "the pod runs", |stage| stage.running() == 1).await;
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
    // One for each, and those that were not carried out, to see whether a launch is allowed: some until EC2 knows the profile.
    let n_tries = log.count("RunInstances");
    assert!(n_tries <= 5);
    assert_eq!(log.count("CreateFleet"), machines + n_tries, "{:?}", log.counts());
    stage.close().await;
}
