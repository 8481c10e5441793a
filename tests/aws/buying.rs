//! What is bought and what is said of it: overlays, reservations, quotas, profiles, images, prices of one's own.

use planner::model::CapacityType;
use serde_json::{Value, json};
use sim::ec2::{Fault, Reservation, Rule};
use sim::kube::{Id, Key};

use super::stage::{Stage, deployment, pod};

#[tokio::test(start_paused = true)]
async fn what_an_overlay_adds_and_what_it_makes_dearer_holds_when_machines_are_bought() {
    let stage = Stage::set_up(
        |setup| {
            setup.gates.node_overlay = true;
            let overlay = |name: &str, spec: Value| json!({ "apiVersion": "karpenter.sh/v1alpha1", "kind": "NodeOverlay", "metadata": { "name": name }, "spec": spec });
            let m5 = json!([{ "key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["m5"] }]);
            let adds = json!({ "weight": 2, "requirements": m5, "capacity": { "example.com/fuse": "10" } });
            setup.objects.push(overlay("fuse", adds));
            setup
                .objects
                .push(overlay("dearer", json!({ "weight": 1, "requirements": m5, "priceAdjustment": "+10%" })));
        },
        |_| {},
    );
    let mut fused = pod("fused", "500m", "1Gi");
    fused["spec"]["containers"][0]["resources"]["limits"] = json!({ "example.com/fuse": "1" });
    fused["spec"]["containers"][0]["resources"]["requests"]["example.com/fuse"] = json!("1");
    stage.direct.put(fused).unwrap();
    stage.until(120, "a machine is bought", |stage| !stage.ec2.machines().is_empty()).await;
    assert!(stage.ec2.machines()[0].key.instance_type.starts_with("m5."));
    stage.until(30, "it is written down", |stage| !stage.claims()[0]["status"]["providerID"].is_null()).await;
    let claim = stage.claims().remove(0);
    assert_eq!(claim["metadata"]["annotations"]["karpenter.sh/price-overlay-applied"], "true");
    assert_eq!(claim["status"]["capacity"]["example.com/fuse"], "10");
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_role_for_spot_leaves_spot_alone_as_a_whole_and_is_told() {
    let stage = Stage::open(|options| options.has_spot_role = false);
    stage.direct.put(pod("web-0", "500m", "1Gi")).unwrap();
    stage.until(120, "the pod runs on demand", |stage| stage.running() == 1).await;
    assert_eq!(stage.ec2.machines()[0].key.capacity_type, CapacityType::OnDemand);
    assert!(stage.has_said("SpotServiceLinkedRoleCreationFailure"));
    // One fleet on spot and one on demand, beside those that were not carried out.
    assert_eq!(stage.ec2.n_calls("CreateFleet") - stage.ec2.n_calls("RunInstances"), 2);
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_waits_while_nobody_knows_whether_its_class_is_ready() {
    let stage = Stage::open(|_| {});
    stage.until(60, "the class is ready", Stage::is_ready).await;
    // The second look at another form of the class is not answered.
    stage.ec2.faults(|faults| {
        let (skip, times, fault) = (0, 60, Fault::LostBefore);
        faults.add(Rule { action: Some("RunInstances".into()), skip, times, fault });
    });
    stage.change_class(|class| class["spec"]["tags"] = json!({ "team": "a" }));
    stage.direct.put(pod("web-0", "500m", "1Gi")).unwrap();
    stage.until(30, "it is not known", |stage| stage.condition("Ready")["status"] == "Unknown").await;
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    let before: Vec<String> = stage.claims().iter().map(|claim| claim["metadata"]["uid"].to_string()).collect();
    stage.ec2.faults(sim::ec2::Faults::clear);
    stage.until(120, "the pod runs", |stage| stage.running() == 1).await;
    let after: Vec<String> = stage.claims().iter().map(|claim| claim["metadata"]["uid"].to_string()).collect();
    assert!(before.iter().all(|uid| after.contains(uid)), "no claim was given up: {before:?} {after:?}");
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn profiles_of_roles_that_no_class_names_any_more_are_taken_away() {
    let stage = Stage::open(|_| {});
    stage.until(60, "the class is ready", Stage::is_ready).await;
    let old = stage.class()["status"]["instanceProfile"].as_str().unwrap().to_owned();
    stage.direct.put(deployment(1, "500m", "1Gi")).unwrap();
    stage.until(120, "the pod runs", |stage| stage.running() == 1).await;
    stage.ec2.locked(|state| state.roles.insert("Other".into()));
    stage.change_class(|class| class["spec"]["role"] = json!("Other"));
    let is_new = |stage: &Stage| stage.is_ready() && stage.class()["status"]["instanceProfile"] != old.as_str();
    stage.until(60, "the class has another", is_new).await;
    stage.claims().iter().for_each(|claim| stage.delete_claim(claim["metadata"]["name"].as_str().unwrap()));
    let has = |stage: &Stage, name: &str| stage.ec2.locked(|state| state.land.profiles.contains_key(name));
    let is_replaced = |stage: &Stage| {
        let claims = stage.claims();
        !claims.is_empty()
            && claims.iter().all(|claim| {
                claim["metadata"]["annotations"]["karpenter.k8s.aws/instance-profile-name"] != old.as_str()
            })
    };
    stage.until(600, "no machine runs under it", is_replaced).await;
    stage.until(4200, "it is taken away", |stage| !has(stage, &old)).await;
    let new = stage.class()["status"]["instanceProfile"].as_str().unwrap().to_owned();
    assert!(has(&stage, &new));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_was_called_back_is_left_within_the_hour() {
    let stage = Stage::open(|_| {});
    stage.until(60, "the class is ready", Stage::is_ready).await;
    let first = stage.class()["status"]["amis"].clone();
    let recalled = first.as_array().unwrap().iter().map(|ami| ami["id"].as_str().unwrap().to_owned()).next().unwrap();
    stage.ec2.locked(|state| {
        let now = state.seconds();
        let image = state.land.images.get_mut(&recalled).unwrap();
        image.deprecated = Some(now);
        let (name, arch) = (image.name.replace("v20261105", "v20261001"), image.arch.clone());
        image.name = format!("recalled-{}", image.name);
        state.land.add_image(&name, &arch, "/dev/xvda");
    });
    let is_left = |stage: &Stage| {
        let amis = stage.class()["status"]["amis"].as_array().cloned().unwrap_or_default();
        amis.len() == first.as_array().unwrap().len() && amis.iter().all(|ami| ami["id"] != recalled.as_str())
    };
    stage.until(3600, "another is chosen", is_left).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_alias_that_is_not_made_for_the_version_says_so() {
    let stage = Stage::set_up(
        |setup| setup.objects[0]["spec"]["amiSelectorTerms"] = json!([{ "alias": "al2@latest" }]),
        |_| {},
    );
    stage.until(30, "it is said", |stage| stage.condition("AMIsReady")["reason"] == "UnsupportedAlias").await;
    assert_eq!(stage.condition("AMIsReady")["status"], "False");
    let told = "operator_ec2nodeclass_status_condition_count{name=\"default\",namespace=\"\",reason=\"UnsupportedAlias\",status=\"False\",type=\"AMIsReady\"} 1";
    stage.until(30, "and counted", |stage| stage.metrics.render().contains(told)).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn prices_of_ones_own_go_before_those_of_aws() {
    let file = std::env::temp_dir().join(format!("millwright-prices-{}.csv", std::process::id()));
    std::fs::write(&file, "instance_type,zone,capacity_type,usd_per_hour\nr5.8xlarge,,on-demand,0.00001\n").unwrap();
    let stage = Stage::set_up(|setup| setup.prices = Some(file.clone()), |_| {});
    let told = |stage: &Stage| {
        let page = stage.metrics.render();
        let name = "karpenter_cloudprovider_instance_type_offering_price_estimate{capacity_type=\"on-demand\",instance_type=\"r5.8xlarge\"";
        page.lines().find(|line| line.starts_with(name)).is_some_and(|line| line.ends_with(" 0.00001"))
    };
    stage.until(120, "the price counts", told).await;
    std::fs::remove_file(&file).unwrap();
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn the_reservation_of_a_smaller_machine_is_used_for_a_small_pod() {
    let stage = Stage::open(|_| {});
    stage.allow_reserved();
    stage.ec2.locked(|state| {
        let zone = state.land.zones[1].clone();
        // By name the larger would come first.
        for (id, kind) in [("cr-0a", "c5.9xlarge"), ("cr-0b", "m5.large")] {
            let tags = [("team".to_owned(), "a".to_owned())].into();
            state.reserve(Reservation { tags, ..Reservation::new(id, kind, zone.clone(), 2) });
        }
    });
    stage.change_class(|class| {
        class["spec"]["capacityReservationSelectorTerms"] = json!([{ "tags": { "team": "a" } }]);
    });
    let are_known =
        |stage: &Stage| stage.class()["status"]["capacityReservations"].as_array().is_some_and(|all| all.len() == 2);
    stage.until(60, "both are known", are_known).await;
    stage.direct.put(pod("web-0", "500m", "1Gi")).unwrap();
    stage.until(120, "the pod runs", |stage| stage.running() == 1).await;
    assert_eq!(stage.ec2.machines()[0].key.reservation.as_deref(), Some("cr-0b"));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_was_full_is_used_again_as_soon_as_it_has_room() {
    let stage = Stage::open(|_| {});
    stage.allow_reserved();
    let key = stage.ec2.locked(|state| {
        let reservation = Reservation::new("cr-0a", "m5.large", state.land.zones[1].clone(), 1);
        let key = reservation.key();
        state.reserve(reservation);
        key
    });
    stage.change_class(|class| class["spec"]["capacityReservationSelectorTerms"] = json!([{ "id": "cr-0a" }]));
    let is_known =
        |stage: &Stage| stage.is_ready() && stage.class()["status"]["capacityReservations"][0]["id"] == "cr-0a";
    stage.until(60, "the reservation is known", is_known).await;
    // Somebody else was there since it was looked at, and it is not looked at again for a minute.
    stage.ec2.set_stock(&key, 0);
    stage.direct.put(pod("web-0", "500m", "1Gi")).unwrap();
    stage.until(30, "a machine is bought otherwise", |stage| stage.ec2.machines().len() == 1).await;
    assert_eq!(stage.ec2.machines()[0].key.reservation, None);
    let refused = "reason=\"LaunchFailed\"";
    assert!(stage.metrics.render().contains(refused), "it was asked for");
    stage.ec2.set_stock(&key, 1);
    let mut second = pod("web-1", "500m", "1Gi");
    second["spec"]["nodeSelector"] = json!({ "karpenter.sh/capacity-type": "reserved" });
    stage.direct.put(second).unwrap();
    // A class is looked at once a minute; what is left alone for its stock is so for three at least.
    let is_used = |stage: &Stage| stage.ec2.machines().iter().any(|one| one.key.reservation == key.reservation);
    stage.until(90, "it is used", is_used).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn images_and_subnets_hold_for_their_intervals_and_reservations_are_seen_meanwhile() {
    let hour = std::time::Duration::from_hours(1);
    let set = |aws: &mut millwright::config::AwsConfig| {
        (aws.ami_refresh_interval, aws.subnet_refresh_interval) = (hour, hour / 2);
    };
    let stage = Stage::open_as(|_| {}, |_| {}, set);
    stage.change_class(|class| class["spec"]["capacityReservationSelectorTerms"] = json!([{ "id": "cr-0a" }]));
    stage.until(60, "the class is ready", Stage::is_ready).await;
    tokio::time::sleep(std::time::Duration::from_secs(15)).await;
    let calls = |stage: &Stage| (stage.ec2.n_calls("DescribeImages"), stage.ec2.n_calls("DescribeSubnets"));
    let (n_images, n_subnets) = calls(&stage);
    stage.ec2.locked(|state| {
        let zone = state.land.zones[1].clone();
        state.reserve(Reservation::new("cr-0a", "m5.large", zone, 1));
    });
    let is_known = |stage: &Stage| stage.class()["status"]["capacityReservations"][0]["id"] == "cr-0a";
    stage.until(70, "the reservation is known", is_known).await;
    assert_eq!(calls(&stage), (n_images, n_subnets));
    tokio::time::sleep(hour * 3 / 4).await;
    assert_eq!(calls(&stage), (n_images + 1, n_subnets + 1), "images are looked at for having been called back");
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_reservation_takes_back_is_bought_elsewhere_before_it_goes() {
    let stage = Stage::open(|_| {});
    stage.allow_reserved();
    stage.ec2.locked(|state| {
        let zone = state.land.zones[1].clone();
        state.reserve(Reservation { interruptible: true, ..Reservation::new("cr-0a", "m5.large", zone, 2) });
    });
    stage.change_class(|class| class["spec"]["capacityReservationSelectorTerms"] = json!([{ "id": "cr-0a" }]));
    let is_known =
        |stage: &Stage| stage.is_ready() && stage.class()["status"]["capacityReservations"][0]["id"] == "cr-0a";
    stage.until(60, "the reservation is known", is_known).await;
    stage.direct.put(deployment(2, "1200m", "1Gi")).unwrap();
    stage.until(300, "two pods run", |stage| stage.running() == 2).await;
    let is_lent = |one: &sim::ec2::Instance| one.key.reservation.as_deref() == Some("cr-0a");
    assert!(stage.ec2.machines().iter().all(is_lent), "both machines are the reservation's");
    let warned = stage.ec2.locked(|state| state.reclaim("cr-0a"));
    assert_eq!(warned.len(), 2);
    let is_elsewhere = |stage: &Stage| {
        let machines = stage.ec2.machines();
        let others = machines.iter().filter(|one| !warned.contains(&one.id));
        others.clone().count() > 0 && others.clone().all(|one| !is_lent(one))
    };
    stage.until(60, "a machine outside of it is bought", is_elsewhere).await;
    let received =
        "karpenter_interruption_received_messages_total{message_type=\"capacity_reservation_interrupted\"} 2";
    assert!(stage.metrics.render().contains(received), "it was told of each machine");
    stage
        .until(600, "both run elsewhere", |stage| {
            stage.running() == 2 && stage.ec2.machines().iter().all(|one| !warned.contains(&one.id))
        })
        .await;
    stage.until(60, "every message is deleted", |stage| stage.ec2.locked(|state| state.queue.is_empty())).await;
    stage.close().await;
}

/// The pool with these types, bought on demand, and with so many of them to choose from.
fn on_demand(setup: &mut super::stage::Setup, types: &[&str], least: u32) {
    setup.objects[1]["spec"]["template"]["spec"]["requirements"] = json!([
        { "key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"] },
        { "key": "node.kubernetes.io/instance-type", "operator": "In", "values": types, "minValues": least },
    ]);
}

/// Nothing is left of a type on demand, in any zone.
fn sell_out(ec2: &sim::ec2::Ec2, instance_type: &str) {
    let keys: Vec<_> = ec2.locked(|state| {
        let of_type = |key: &&cloud::OfferingKey| {
            *key.instance_type == *instance_type && key.capacity_type == CapacityType::OnDemand
        };
        state.market.offerings().filter(of_type).cloned().collect()
    });
    for key in &keys {
        ec2.set_stock(key, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fleet_is_asked_for_all_the_types_that_a_claim_wants_to_choose_from() {
    // A machine with a GPU is left out of fleets that other types can fill, unless there is to be choice.
    let types = ["m5.large", "g4dn.xlarge"];
    let stage = Stage::set_up(|setup| on_demand(setup, &types, 2), |ec2| sell_out(ec2, "m5.large"));
    stage.direct.put(pod("web-0", "500m", "1Gi")).unwrap();
    stage.until(120, "the pod runs", |stage| stage.running() == 1).await;
    assert_eq!(&*stage.ec2.machines()[0].key.instance_type, "g4dn.xlarge");
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_ec2_refused_is_shown_as_not_to_be_had_for_as_long_as_it_is_left_alone() {
    let types = ["c5.large", "m5.large"];
    let stage = Stage::set_up(|setup| on_demand(setup, &types, 1), |ec2| sell_out(ec2, "c5.large"));
    let shows = |stage: &Stage, kind: &str, value: &str| {
        let name = format!(
            "karpenter_cloudprovider_instance_type_offering_available{{capacity_type=\"on-demand\",instance_type=\"{kind}\",zone=\"us-west-2a\"}} {value}"
        );
        stage.metrics.render().lines().any(|line| line == name)
    };
    stage.direct.put(pod("web-0", "500m", "1Gi")).unwrap();
    stage.until(120, "the pod runs", |stage| stage.running() == 1).await;
    assert_eq!(&*stage.ec2.machines()[0].key.instance_type, "m5.large");
    stage.until(70, "what was refused is shown", |stage| shows(stage, "c5.large", "0")).await;
    assert!(shows(&stage, "m5.large", "1"));
    let page = stage.metrics.render();
    for name in ["offering_available", "offering_price_estimate"] {
        let row = format!(
            "karpenter_cloudprovider_instance_type_{name}{{capacity_type=\"reserved\",instance_type=\"m5.large\",zone=\"us-west-2a\"}} 0"
        );
        assert!(page.lines().any(|line| line == row), "{row}");
    }
    stage.until(300, "it may be tried again", |stage| shows(stage, "c5.large", "1")).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn the_profile_that_an_earlier_karpenter_made_for_a_class_goes_with_it_unless_somebody_names_it() {
    for (is_named, n_left) in [(false, 1), (true, 2)] {
        let legacy = "demo_4067990795380418201";
        let stage = Stage::set_up(
            |setup| {
                if is_named {
                    let spec = setup.objects[0]["spec"].as_object_mut().unwrap();
                    spec.remove("role");
                    spec.insert("instanceProfile".into(), json!(legacy));
                }
            },
            |ec2| {
                ec2.locked(|state| {
                    let profile = state.land.profiles["KarpenterNodeInstanceProfile-demo"].clone();
                    state.land.profiles.insert(legacy.into(), profile);
                });
            },
        );
        stage.until(60, "the class is ready", Stage::is_ready).await;
        stage.delete_class();
        stage.until(120, "the class is gone", |stage| stage.class().is_null()).await;
        let has = stage.ec2.locked(|state| (state.land.profiles.len(), state.land.profiles.contains_key(legacy)));
        assert_eq!(has, (n_left, is_named));
        stage.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_class_that_waits_for_its_claims_says_so() {
    let stage = Stage::open(|_| {});
    stage.direct.put(deployment(1, "500m", "1Gi")).unwrap();
    stage.until(120, "the pod runs", |stage| stage.running() == 1).await;
    stage.delete_class();
    stage.until(30, "it is said", |stage| stage.has_said("WaitingOnNodeClaimTermination")).await;
    let reason = |stage: &Stage| {
        let pool = stage.direct.get(Id::by_kind("karpenter.sh/v1", "NodePool").unwrap(), &Key::cluster("general"));
        let conditions = pool.unwrap().value()["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().find(|one| one["type"] == "NodeClassReady").map(|one| one["reason"].clone())
    };
    stage.until(30, "the pool too", |stage| reason(stage) == Some(json!("NodeClassTerminating"))).await;
    stage.close().await;
}

/// A claim as somebody writes it by hand.
fn claim(class: &str) -> Value {
    json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "metadata": { "name": "by-hand" },
        "spec": {
            "nodeClassRef": { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": class },
            "requirements": [{ "key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"] }],
            "resources": { "requests": { "cpu": "1" } },
        },
    })
}

#[tokio::test(start_paused = true)]
async fn a_claim_says_why_its_class_gives_it_nothing_to_choose_from() {
    let stage = Stage::open(|_| {});
    stage.until(60, "the class is ready", Stage::is_ready).await;
    stage.direct.put(claim("absent")).unwrap();
    stage.until(30, "it is said", |stage| stage.has_told("Failed resolving NodeClass")).await;
    stage.until(30, "the claim is given up", |stage| stage.claims().is_empty()).await;
    // Of an amount that nobody can read no allocatable follows.
    stage.change_class(|class| class["spec"]["kubelet"] = json!({ "evictionHard": { "memory.available": "much" } }));
    let is_looked_at =
        |stage: &Stage| stage.condition("ValidationSucceeded")["reason"] == "InvalidKubeletConfiguration";
    stage.until(30, "the class is looked at", is_looked_at).await;
    stage.direct.put(claim("default")).unwrap();
    let reason = |stage: &Stage| {
        let claims = stage.claims();
        let conditions = claims.first().and_then(|claim| claim["status"]["conditions"].as_array()).cloned();
        conditions.into_iter().flatten().find(|one| one["type"] == "Launched").map(|one| one["reason"].clone())
    };
    stage.until(30, "it says so", |stage| reason(stage) == Some(json!("InstanceTypeResolutionFailed"))).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn expressions_of_the_kubelet_are_reckoned_for_each_type_with_their_gate() {
    let stage = Stage::set_up(
        |setup| {
            setup.aws.node_class_cel = true;
            setup.objects[0]["spec"]["kubelet"] =
                json!({ "maxPods": "vcpus * 7", "kubeReserved": { "memory": "max_pods * 11 + 300" } });
        },
        |_| {},
    );
    stage.direct.put(pod("web-0", "500m", "1Gi")).unwrap();
    stage.until(120, "the pod runs", |stage| stage.running() == 1).await;
    let machine = stage.ec2.machines().remove(0);
    let claim = stage.claims().remove(0);
    let vcpus =
        cloud::catalog::type_rows().unwrap().iter().find(|row| row.name == *machine.key.instance_type).unwrap().vcpus;
    assert_eq!(claim["status"]["capacity"]["pods"], (vcpus * 7).to_string());
    let data = String::from_utf8(base64::Engine::decode(&base64::prelude::BASE64_STANDARD, machine.user_data).unwrap())
        .unwrap();
    let memory = (vcpus * 77 + 300 + 15) / 16 * 16;
    assert!(data.contains(&format!("maxPods: {}", vcpus * 7)) && data.contains(&format!("{memory}Mi")), "{data}");
    stage.change_class(|class| class["spec"]["kubelet"]["maxPods"] = json!("1 / (vcpus - 2)"));
    let reason = |stage: &Stage| stage.condition("ValidationSucceeded")["reason"].clone();
    stage
        .until(30, "a type without a value is named", |stage| reason(stage) == "KubeletExpressionEvaluationFailed")
        .await;
    stage.close().await;
}
