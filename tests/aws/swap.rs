//! Taking over from Karpenter, and starting where AWS answers half: nothing that runs is replaced or left behind.

use planner::model::CapacityType;
use serde_json::{Value, json};
use sim::ec2::{Fault, Profile, Refusal, Rule};
use sim::kube::{DeleteOptions, Id, Key, Part};

use super::stage::{Stage, deployment, pod};

const ROLE: &str = "KarpenterNodeRole-demo";

/// Has an action refused so many times.
fn refuse(stage: &sim::ec2::Ec2, action: &str, times: u64) {
    let denied = Refusal::with_status(403, "UnauthorizedOperation", "You are not authorized");
    let fault = Fault::Refused(denied);
    stage.faults(|faults| faults.add(Rule { action: Some(action.into()), skip: 0, times, fault }));
}

#[tokio::test(start_paused = true)]
async fn the_certificate_of_the_api_server_goes_before_that_of_eks_and_does_without_it() {
    let stage = Stage::set_up(
        |setup| {
            setup.aws.cluster_ca_bundle = None;
            setup.authority = Some("T1VSUw==".into());
            // Images of which nobody has to know the addresses of services.
            setup.objects[0]["spec"]["amiSelectorTerms"] = json!([{ "alias": "bottlerocket@latest" }]);
        },
        |ec2| refuse(ec2, "eks:DescribeCluster", u64::MAX),
    );
    stage.until(60, "the class is ready", Stage::is_ready).await;
    let class = stage.class();
    let spec: crds::ec2_node_class::Ec2NodeClassSpec = serde_json::from_value(class["spec"].clone()).unwrap();
    let hash = crds::hash::ec2_node_class(&spec, "T1VSUw==");
    assert_eq!(class["metadata"]["annotations"]["karpenter.k8s.aws/ec2nodeclass-hash"], json!(hash));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn the_version_of_the_cluster_is_asked_again_so_that_images_follow_an_upgrade() {
    let stage = Stage::set_up(|setup| setup.aws.eks_control_plane = true, |_| {});
    stage.until(60, "the class is ready", Stage::is_ready).await;
    // There are no images of this version in the land yet: machines are bought with the last ones.
    let before = stage.class()["status"]["amis"].clone();
    let n_asked = stage.ec2.n_calls("ssm:GetParameter");
    stage.ec2.locked(|state| state.options.kubernetes = "1.36".into());
    let is_asked = |stage: &Stage| stage.ec2.n_calls("ssm:GetParameter") >= n_asked + 5;
    stage.until(420, "images of the new version are looked for", is_asked).await;
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    assert_eq!((stage.class()["status"]["amis"].clone(), stage.is_ready()), (before, true));
    stage.direct.put(pod("web-0", "500m", "1Gi")).unwrap();
    stage.until(120, "the pod runs", |stage| stage.running() == 1).await;
    let newer = stage.ec2.locked(|state| {
        let name = "amazon-eks-node-al2023-x86_64-standard-1.36-v20261120";
        state.land.add_image(name, "x86_64", "/dev/xvda")
    });
    let has_newer = |stage: &Stage| stage.class()["status"]["amis"][0]["id"] == newer.as_str();
    stage.until(420, "what is published then is taken", has_newer).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_class_whose_alias_names_no_image_says_so_and_buys_none_of_another() {
    let pinned = json!([{ "alias": "al2023@v20200101" }]);
    let stage = Stage::set_up(|setup| setup.objects[0]["spec"]["amiSelectorTerms"] = pinned.clone(), |_| {});
    let reason = |stage: &Stage| stage.condition("AMIsReady")["reason"] == "AMINotFound";
    stage.until(30, "the class says so", reason).await;
    let condition = stage.condition("AMIsReady");
    assert_eq!(condition["status"], "Unknown");
    assert_eq!(condition["message"], "no image of al2023@v20200101 is published for Kubernetes 1.35");
    stage.change_class(|class| class["spec"]["amiSelectorTerms"] = json!([{ "alias": "al2023@latest" }]));
    stage.until(30, "the class is ready", Stage::is_ready).await;
    stage.change_class(|class| class["spec"]["amiSelectorTerms"] = pinned.clone());
    stage.until(30, "the class says so again", reason).await;
    assert!(!stage.is_ready(), "images of another alias are not those of this one");
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_not_there_leaves_no_profile_behind_and_is_asked_for_once_a_minute() {
    let stage = Stage::open(|_| {});
    stage.until(60, "the class is ready", Stage::is_ready).await;
    let n_profiles = stage.ec2.locked(|state| state.land.profiles.len());
    stage.change_class(|class| class["spec"]["role"] = json!("Nobody"));
    let is_told = |stage: &Stage| stage.condition("InstanceProfileReady")["status"] == "Unknown";
    stage.until(10, "the class says so", is_told).await;
    let n_tries = stage.ec2.n_calls("iam:AddRoleToInstanceProfile");
    tokio::time::sleep(std::time::Duration::from_secs(170)).await;
    let n_more = stage.ec2.n_calls("iam:AddRoleToInstanceProfile") - n_tries;
    assert!((2..=3).contains(&n_more), "{n_more}");
    assert_eq!(stage.ec2.locked(|state| state.land.profiles.len()), n_profiles);
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_an_old_karpenter_marked_is_tagged_with_the_clusters_name() {
    let stage = Stage::open(|_| {});
    stage.direct.put(deployment(1, "500m", "1Gi")).unwrap();
    let is_marked = |stage: &Stage| {
        let claims = stage.claims();
        claims.len() == 1
            && claims[0]["metadata"]["annotations"]["compatibility.karpenter.k8s.aws/cluster-name-tagged"] == "true"
    };
    stage.until(300, "the machine is tagged", |stage| stage.running() == 1 && is_marked(stage)).await;
    let tag = "eks:eks-cluster-name";
    stage.ec2.locked(|state| state.instances.values_mut().for_each(|one| drop(one.tags.remove(tag))));
    let id = Id::by_kind("karpenter.sh/v1", "NodeClaim").unwrap();
    let unmarked = |old: &Value| {
        let mut claim = old.clone();
        let annotations = claim["metadata"]["annotations"].as_object_mut().unwrap();
        annotations.remove("compatibility.karpenter.k8s.aws/cluster-name-tagged");
        claim
    };
    let name = stage.claims()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    stage.direct.update(id, &Key::cluster(name), Part::Main, unmarked).unwrap();
    let is_tagged = |stage: &Stage| stage.ec2.machines().iter().all(|one| one.tags.contains_key(tag));
    stage.until(30, "it carries the name", is_tagged).await;
    stage.until(10, "the claim says so", is_marked).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_karpenter_made_stays_in_use_as_long_as_it_has_the_role() {
    let stage = Stage::set_up(
        |setup| setup.objects[0]["status"] = json!({ "instanceProfile": "demo_1234" }),
        |ec2| {
            let profile =
                Profile { role: Some(ROLE.into()), path: "/karpenter/us-west-2/demo/u/".into(), ..Profile::default() };
            ec2.locked(|state| {
                state.roles.insert("Other".into());
                state.land.profiles.insert("demo_1234".into(), profile)
            });
        },
    );
    stage.until(5, "the class is ready", Stage::is_ready).await;
    assert_eq!(stage.class()["status"]["instanceProfile"], "demo_1234");
    assert_eq!(stage.ec2.n_calls("iam:CreateInstanceProfile"), 0);
    // Another role needs another profile, and EC2 does not know it for some seconds.
    stage.change_class(|class| class["spec"]["role"] = json!("Other"));
    stage.until(5, "EC2 is asked", |stage| stage.ec2.n_calls("iam:AddRoleToInstanceProfile") == 1).await;
    let is_told = |stage: &Stage| stage.condition("ValidationSucceeded")["reason"] == "InstanceProfileNameInvalid";
    stage.until(5, "that it does not know it is no verdict", is_told).await;
    assert_eq!(stage.condition("ValidationSucceeded")["status"], "Unknown");
    stage.until(12, "it knows it", Stage::is_ready).await;
    assert_ne!(stage.class()["status"]["instanceProfile"], "demo_1234");
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn one_class_without_addresses_says_so_and_stops_no_other() {
    let stage = Stage::set_up(
        |setup| {
            let of = |object: &Value, name: &str| {
                let mut object = object.clone();
                object["metadata"]["name"] = json!(name);
                object
            };
            let (mut class, mut pool) = (of(&setup.objects[0], "tight"), of(&setup.objects[1], "tight"));
            class["spec"]["subnetSelectorTerms"] = json!([{ "tags": { "room": "none" } }]);
            pool["spec"]["template"]["spec"]["nodeClassRef"]["name"] = json!("tight");
            pool["spec"]["template"]["spec"]["taints"] = json!([{ "key": "tight", "effect": "NoSchedule" }]);
            // Both in one zone.
            setup.options.zones = Some(vec!["us-west-2a".into()]);
            setup.objects.extend([class, pool]);
        },
        |ec2| {
            ec2.locked(|state| {
                let mut subnet = state.land.subnets.values().next().unwrap().clone();
                (subnet.id, subnet.second) = ("subnet-0000000000000ffff".into(), 99);
                subnet.tags = [("room".to_owned(), "none".to_owned())].into();
                // One left: less than a machine and the pods it is bought for take.
                subnet.used = subnet.size() - 1;
                state.land.subnets.insert(subnet.id.clone(), subnet);
            });
        },
    );
    stage.until(60, "the classes are ready", |stage| stage.n_ready("karpenter.k8s.aws/v1", "EC2NodeClass") == 2).await;
    stage.until(60, "the pools too", |stage| stage.n_ready("karpenter.sh/v1", "NodePool") == 2).await;
    for at in 0..8 {
        let mut tight = pod(&format!("tight-{at}"), "1", "1Gi");
        tight["spec"]["nodeSelector"] = json!({ "karpenter.sh/nodepool": "tight" });
        tight["spec"]["tolerations"] = json!([{ "key": "tight", "operator": "Exists" }]);
        stage.direct.put(tight).unwrap();
    }
    stage.until(120, "the pods say why", |stage| stage.has_told("has addresses left")).await;
    assert!(stage.ec2.machines().is_empty());
    stage.direct.put(pod("web", "1", "1Gi")).unwrap();
    stage.until(120, "another class buys what the first could not", |stage| stage.running() >= 1).await;
    // Addresses that come free are used.
    stage.ec2.locked(|state| {
        state.land.subnets.get_mut("subnet-0000000000000ffff").unwrap().used = 0;
    });
    stage.until(600, "all run", |stage| stage.running() == 9).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_asked_at_the_start_is_asked_again_within_minutes_and_spot_is_bought_meanwhile() {
    let stage = Stage::open_with(
        |_| {},
        |ec2| ["pricing:GetProducts", "DescribeSpotPriceHistory"].iter().for_each(|action| refuse(ec2, action, 2)),
    );
    stage.direct.put(pod("web-0", "500m", "1Gi")).unwrap();
    stage.until(50, "the pod runs", |stage| stage.running() == 1).await;
    assert_eq!(stage.ec2.machines()[0].key.capacity_type, CapacityType::Spot);
    let log = stage.ec2.log();
    assert!(
        !log.entries().any(|entry| entry.action.contains("SpotPrice") && entry.outcome == "ok"),
        "nobody told a price"
    );
    let answered = |stage: &Stage, action: &str| {
        stage.ec2.log().entries().any(|entry| entry.action == action && entry.outcome == "ok")
    };
    stage.until(240, "spot prices are asked again", |stage| answered(stage, "DescribeSpotPriceHistory")).await;
    stage.until(240, "and those of the list", |stage| answered(stage, "pricing:GetProducts")).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_a_user_gave_a_machine_stays() {
    let stage = Stage::open(|_| {});
    stage.change_class(|class| class["spec"]["tags"] = json!({ "Name": "of-the-team" }));
    stage.direct.put(pod("web-0", "500m", "1Gi")).unwrap();
    stage.until(300, "the pod runs", |stage| stage.running() == 1).await;
    let is_tagged = |stage: &Stage| stage.claims()[0]["metadata"]["annotations"]["karpenter.k8s.aws/tagged"] == "true";
    stage.until(60, "the machine is tagged", is_tagged).await;
    let tags = &stage.ec2.machines()[0].tags;
    assert_eq!(tags["Name"], "of-the-team");
    assert_eq!(tags["karpenter.sh/nodeclaim"], stage.claims()[0]["metadata"]["name"].as_str().unwrap());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_karpenter_bought_and_lost_is_ended_and_one_that_a_claim_names_is_not() {
    let stage = Stage::open(|_| {});
    let mut web = deployment(2, "500m", "1Gi");
    let apart = json!({ "requiredDuringSchedulingIgnoredDuringExecution": [{
        "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": { "app": "web" } } }] });
    web["spec"]["template"]["spec"]["affinity"] = json!({ "podAntiAffinity": apart });
    stage.direct.put(web).unwrap();
    stage.until(300, "two machines run", |stage| stage.running() == 2 && stage.ec2.machines().len() == 2).await;
    stage
        .until(60, "both are tagged", |stage| stage.ec2.machines().iter().all(|one| one.tags.contains_key("Name")))
        .await;
    // As Karpenter leaves them: without the uid of their claim.
    stage.ec2.locked(|state| {
        state.instances.values_mut().for_each(|one| drop(one.tags.remove("millwright.dev/nodeclaim-uid")));
    });
    let claims = stage.claims();
    let name = |claim: &Value| claim["metadata"]["name"].as_str().unwrap().to_owned();
    let lost = claims[0]["status"]["providerID"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let kept = claims[1]["status"]["providerID"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let id = Id::by_kind("karpenter.sh/v1", "NodeClaim").unwrap();
    let stripped = |old: &Value| {
        let mut claim = old.clone();
        claim["metadata"]["finalizers"] = json!([]);
        claim
    };
    stage.direct.update(id, &Key::cluster(name(&claims[0])), Part::Main, stripped).unwrap();
    stage.direct.delete(id, &Key::cluster(name(&claims[0])), &DeleteOptions::default()).unwrap();
    let has = |stage: &Stage, id: &str| stage.ec2.machines().iter().any(|one| one.id == id);
    stage.until(600, "the lost machine is ended", |stage| !has(stage, &lost)).await;
    assert!(has(&stage, &kept));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_class_without_a_stamp_stamps_the_claims_that_another_version_of_the_hash_did() {
    const HASH: &str = "karpenter.k8s.aws/ec2nodeclass-hash";
    const VERSION: &str = "karpenter.k8s.aws/ec2nodeclass-hash-version";
    let stage = Stage::open(|_| {});
    stage.direct.put(deployment(1, "500m", "1Gi")).unwrap();
    stage.until(300, "the pod runs", |stage| stage.running() == 1).await;
    let id = Id::by_kind("karpenter.sh/v1", "NodeClaim").unwrap();
    let name = stage.claims()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let older = |old: &Value| {
        let mut claim = old.clone();
        claim["metadata"]["annotations"][HASH] = json!("1");
        claim["metadata"]["annotations"][VERSION] = json!("v5");
        claim
    };
    stage.direct.update(id, &Key::cluster(name), Part::Main, older).unwrap();
    stage.change_class(|class| {
        let annotations = class["metadata"]["annotations"].as_object_mut().unwrap();
        annotations.retain(|key, _| key != HASH && key != VERSION);
    });
    let stamp = |object: &Value| {
        let annotations = &object["metadata"]["annotations"];
        (annotations[HASH].clone(), annotations[VERSION].clone())
    };
    let is_stamped = |stage: &Stage| {
        let (of_class, of_claim) = (stamp(&stage.class()), stamp(&stage.claims()[0]));
        of_class == of_claim && of_claim.1 == "v6"
    };
    stage.until(70, "both are stamped alike", is_stamped).await;
    stage.close().await;
}
