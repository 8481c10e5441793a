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
    // There are no images of this version in the land.
    stage.ec2.locked(|state| state.options.kubernetes = "1.34".into());
    let has_none = |stage: &Stage| stage.condition("AMIsReady")["reason"] == "AMINotFound";
    stage.until(420, "images of the new version are looked for", has_none).await;
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
