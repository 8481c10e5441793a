//! What classes say, and what is made of them.

use cloud::LaunchError;
use cloud::aws::reserve::CapacityReservation;
use cloud::aws::{Fault, Image, Kind, Refused, Subnet};
use cloud::catalog::{AmiFamily, PlacementGroup, PlacementStrategy, ReservationKind};
use crds::{Condition, Ec2NodeClass, NodeClassRef};
use planner::model::{Requirement, Requirements};
use serde_json::{Value, json};

use super::market::Kept;
use super::translate;
use super::verdict::{Draft, Findings};

/// 2026-01-02.
const NOW: i64 = 1_767_312_000;

fn class(spec: &Value) -> Ec2NodeClass {
    let mut whole = json!({
        "apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass",
        "metadata": { "name": "default", "uid": "u", "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": { "amiSelectorTerms": [{ "alias": "al2023@latest" }], "role": "nodes" },
    });
    for (key, value) in spec.as_object().unwrap() {
        whole["spec"][key] = value.clone();
    }
    serde_json::from_value(whole).unwrap()
}

fn fault() -> Fault {
    Fault {
        action: "ec2:DescribeSubnets",
        kind: Kind::Throttled,
        code: "RequestLimitExceeded".into(),
        message: "m".into(),
    }
}

fn findings() -> Findings {
    let mut requirements = Requirements::new();
    requirements.add(Requirement::equal("kubernetes.io/arch", "amd64"));
    let image = Image { id: "ami-1".into(), name: "one".into(), requirements, is_deprecated: false };
    let subnet =
        |id: &str, available| Subnet { id: id.into(), zone: "a".into(), zone_id: "az1".into(), available, look: 0 };
    Findings {
        images: Ok(vec![image]),
        subnets: Ok(vec![subnet("subnet-b", 9), subnet("subnet-a", 3)]),
        groups: Ok(vec![("sg-1".into(), "nodes".to_owned())]),
        profile: Ok("demo_1".to_owned()),
        reservations: Some(Ok(Vec::new())),
        placement: None,
        service_cidr: Ok(true),
        expressions: None,
    }
}

fn settled(class: Ec2NodeClass, findings: Findings) -> Draft {
    let family = translate::family(&class.spec);
    let mut draft = Draft::new(class, "2026-01-02T00:00:00Z", true);
    draft.stamp("7".to_owned());
    draft.settle(findings, family, NOW);
    if draft.is_sound {
        draft.rehearsed(&Ok(()));
    }
    draft
}

fn said(draft: &Draft, kind: &str) -> (String, String) {
    let found: &Condition = draft.conditions.get(kind).unwrap();
    (found.status.to_string(), found.reason.clone())
}

#[tokio::test]
async fn a_part_that_breaks_off_is_told_and_one_that_ends_is_not() {
    let broken = tokio_util::sync::CancellationToken::new();
    let mut parts = tokio::task::JoinSet::new();
    parts.spawn(async {});
    super::watch(parts, broken.clone()).await;
    assert!(!broken.is_cancelled());
    let mut parts = tokio::task::JoinSet::new();
    parts.spawn(std::future::pending());
    parts.spawn(async { panic!("on purpose") });
    super::watch(parts, broken.clone()).await;
    assert!(broken.is_cancelled());
}

#[test]
fn a_class_whose_selectors_find_something_is_ready_and_written_once() {
    let draft = settled(class(&json!({})), findings());
    assert_eq!(said(&draft, "Ready").0, "True");
    let patch = draft.status_patch().unwrap();
    assert_eq!(patch["status"]["subnets"][0], json!({ "id": "subnet-b", "zone": "a", "zoneID": "az1" }));
    assert_eq!(patch["status"]["amis"][0]["requirements"][0]["operator"], "In");
    assert_eq!(patch["status"]["instanceProfile"], "demo_1");
    let meta = draft.metadata_patch().unwrap();
    assert_eq!(meta["metadata"]["finalizers"], json!(["karpenter.k8s.aws/termination"]));
    // What was written is not written again, though addresses were taken meanwhile.
    let mut written = draft.class.clone();
    written.status.as_mut().unwrap().conditions = draft.conditions.conditions().to_vec();
    let mut again = findings();
    again.subnets.as_mut().unwrap().reverse();
    let second = settled(written, again);
    assert_eq!((second.status_patch(), second.metadata_patch()), (None, None));
}

#[test]
fn what_was_not_found_is_told_and_what_was_not_answered_changes_nothing() {
    let nothing = Findings { images: Ok(Vec::new()), subnets: Ok(Vec::new()), groups: Ok(Vec::new()), ..findings() };
    let draft = settled(class(&json!({})), nothing);
    for (kind, reason) in [
        ("AMIsReady", "AMINotFound"),
        ("SubnetsReady", "SubnetsNotFound"),
        ("SecurityGroupsReady", "SecurityGroupsNotFound"),
        ("ValidationSucceeded", "DependenciesNotReady"),
    ] {
        assert_eq!(said(&draft, kind), ("False".to_owned(), reason.to_owned()));
    }
    // Being refused is an answer: what is known is not known any more, and what to grant is said.
    let mut ready = settled(class(&json!({})), findings());
    ready.class.status.as_mut().unwrap().conditions = ready.conditions.conditions().to_vec();
    let denied = || Fault { kind: Kind::Unauthorized, code: "UnauthorizedOperation".into(), ..fault() };
    let draft = settled(ready.class, Findings { subnets: Err(denied()), ..findings() });
    assert_eq!(said(&draft, "SubnetsReady"), ("Unknown".to_owned(), "Unauthorized".to_owned()));
    assert_eq!(said(&draft, "Ready").0, "Unknown");
    assert!(draft.conditions.get("SubnetsReady").unwrap().message.contains("grant ec2:DescribeSubnets"));
    let unanswered = || Findings { subnets: Err(fault()), profile: Err(fault()), ..findings() };
    let draft = settled(class(&json!({})), unanswered());
    assert_eq!(said(&draft, "SubnetsReady"), ("Unknown".to_owned(), "RequestLimitExceeded".to_owned()));
    assert_eq!(said(&draft, "ValidationSucceeded").0, "Unknown");
    let mut ready = settled(class(&json!({})), findings());
    ready.class.status.as_mut().unwrap().conditions = ready.conditions.conditions().to_vec();
    let draft = settled(ready.class, unanswered());
    assert_eq!(said(&draft, "Ready").0, "True");
    assert_eq!(draft.class.status.unwrap().subnets.len(), 2, "what was known stays");
}

#[test]
fn what_this_version_does_not_do_is_said_on_the_class() {
    for (spec, kind, reason) in [
        (json!({ "tags": { "karpenter.sh/nodepool": "x" } }), "ValidationSucceeded", "TagValidationFailed"),
        (json!({ "kubelet": { "maxPods": "vcpus * 2" } }), "ValidationSucceeded", "KubeletExpressionsDisabled"),
        (
            json!({ "amiFamily": "AL2", "kubelet": { "logging": {} } }),
            "ValidationSucceeded",
            "UnsupportedKubeletConfiguration",
        ),
    ] {
        let draft = settled(class(&spec), findings());
        assert_eq!(said(&draft, kind), ("False".to_owned(), reason.to_owned()), "{spec}");
        assert_eq!(said(&draft, "Ready").0, "False");
    }
}

#[test]
fn a_class_becomes_what_machines_are_made_from() {
    let spec = json!({
        "blockDeviceMappings": [{ "deviceName": "/dev/xvda", "rootVolume": true,
            "ebs": { "volumeSize": "20G", "volumeType": "gp3", "iops": 4000, "encrypted": true } }],
        "metadataOptions": { "httpTokens": "optional", "httpPutResponseHopLimit": 2 },
        "kubelet": { "maxPods": 40, "kubeReserved": { "cpu": "100m" } },
        "userData": "echo hi",
    });
    let class = settled(class(&spec), findings()).class;
    let seen = Subnet { id: "subnet-a".into(), zone: "a".into(), zone_id: "az1".into(), available: 3, look: 4 };
    let made = translate::node_class(&class, &[seen], &Kept::default(), true);
    assert_eq!(made.family, Some(AmiFamily::Al2023));
    assert_eq!((made.devices[0].gib, made.devices[0].iops), (Some(19), Some(4000)));
    assert_eq!((made.metadata.tokens.as_str(), made.metadata.hop_limit), ("optional", 2));
    let left: Vec<i64> = made.subnets.iter().map(|subnet| subnet.available).collect();
    assert_eq!(left, [65_535, 3], "a subnet that nobody has counted is taken to have room");
    assert!(made.shuns_open_reservations);
    let of_catalog = translate::catalog_class(&class, &Kept::default(), NOW);
    assert_eq!(of_catalog.kubelet.max_pods, Some(40));
    assert_eq!(of_catalog.zones.len(), 1);
    assert_eq!(of_catalog.block_devices[0].volume_size.as_deref(), Some("20G"));
}

#[test]
fn what_a_launch_would_be_refused_is_told_before_any_is_made() {
    let denied = || Fault { kind: Kind::Unauthorized, code: "UnauthorizedOperation".into(), ..fault() };
    let rejected =
        |reason: &str| LaunchError::Rejected { reason: reason.into(), message: "m".into(), refused: Vec::new() };
    let profile = Fault {
        kind: Kind::Refused,
        code: "InvalidParameterValue".into(),
        message: "iamInstanceProfile.name is invalid".into(),
        ..fault()
    };
    for (refused, reason) in [
        (Refused::Template(rejected("Unauthorized")), Some("CreateLaunchTemplateAuthCheckFailed")),
        (Refused::Template(rejected("UnauthorizedServiceControlPolicy")), Some("CreateLaunchTemplateAuthCheckFailed")),
        (Refused::Template(rejected("UserDataSizeLimitExceeded")), Some("UserDataSizeLimitExceeded")),
        (Refused::Fleet(denied()), Some("CreateFleetAuthCheckFailed")),
        (Refused::Run(denied()), Some("RunInstancesAuthCheckFailed")),
        // One of ours is only not known yet.
        (Refused::Run(profile.clone()), None),
        (Refused::Template(rejected("UserDataInvalid")), Some("UserDataInvalid")),
        (Refused::Fleet(fault()), None),
    ] {
        let mut draft = settled(class(&json!({})), findings());
        draft.rehearsed(&Err(refused.clone()));
        let told = draft.conditions.get("ValidationSucceeded").filter(|condition| condition.is_false());
        assert_eq!(told.map(|condition| condition.reason.as_str()), reason, "{refused:?}");
    }
    let mut own = class(&json!({ "instanceProfile": "mine" }));
    own.spec.role = None;
    let mut draft = settled(own, findings());
    draft.rehearsed(&Err(Refused::Run(profile)));
    assert_eq!(said(&draft, "ValidationSucceeded"), ("False".to_owned(), "InstanceProfileNotFound".to_owned()));
}

#[test]
fn a_launch_that_could_not_be_tried_leaves_what_the_last_one_came_to() {
    let busy = || Err(Refused::Fleet(fault()));
    let denied = Fault { kind: Kind::Unauthorized, code: "UnauthorizedOperation".into(), ..fault() };
    let next = |draft: &Draft, generation: i64| {
        let mut written = draft.class.clone();
        written.metadata.generation = Some(generation);
        written.status.as_mut().unwrap().conditions = draft.conditions.conditions().to_vec();
        let mut draft = Draft::new(written, "2026-01-02T00:05:00Z", true);
        draft.settle(findings(), Some(AmiFamily::Al2023), NOW);
        draft.rehearsed(&busy());
        draft
    };
    let mut draft = settled(class(&json!({})), findings());
    assert_eq!(said(&next(&draft, 3), "ValidationSucceeded").0, "True");
    assert_eq!(said(&next(&draft, 4), "ValidationSucceeded").0, "Unknown", "another spec was never tried");
    draft.rehearsed(&Err(Refused::Run(denied)));
    let again = next(&draft, 3);
    assert_eq!(said(&again, "ValidationSucceeded"), ("False".to_owned(), "RunInstancesAuthCheckFailed".to_owned()));
    assert_eq!(again.status_patch(), None, "and is not written anew each time");
    let mut never = Draft::new(class(&json!({})), "2026-01-02T00:00:00Z", true);
    never.settle(findings(), Some(AmiFamily::Al2023), NOW);
    never.rehearsed(&busy());
    assert_eq!(said(&never, "ValidationSucceeded"), ("Unknown".to_owned(), "RequestLimitExceeded".to_owned()));
}

#[test]
fn images_that_are_to_know_the_addresses_of_services_wait_for_them() {
    let with = |service_cidr| {
        said(&settled(class(&json!({})), Findings { service_cidr, ..findings() }), "ValidationSucceeded")
    };
    let reason = "ClusterCIDRResolutionFailed".to_owned();
    assert_eq!(with(Ok(false)), ("False".to_owned(), reason.clone()));
    let denied = Fault { action: "eks:DescribeCluster", kind: Kind::Unauthorized, ..fault() };
    assert_eq!(with(Err(denied)), ("False".to_owned(), reason.clone()));
    assert_eq!(with(Err(fault())), ("Unknown".to_owned(), reason));
}

fn block(ends_at: i64) -> CapacityReservation {
    CapacityReservation {
        id: "cr-1".into(),
        instance_type: "p5.48xlarge".into(),
        zone: "a".into(),
        owner: "123456789012".into(),
        kind: ReservationKind::CapacityBlock,
        is_open: false,
        is_interruptible: false,
        ends_at: Some(ends_at),
        n_left: 3,
    }
}

#[test]
fn reservations_are_written_with_their_state_and_sold_until_they_near_their_end() {
    let with = |ends_at| {
        let found = Findings { reservations: Some(Ok(vec![block(ends_at)])), ..findings() };
        let draft = settled(class(&json!({ "capacityReservationSelectorTerms": [{ "id": "cr-1" }] })), found);
        assert_eq!(said(&draft, "CapacityReservationsReady").0, "True");
        let kept = Kept { reservations: vec![block(ends_at)], placement: None };
        let sold = translate::catalog_class(&draft.class, &kept, NOW).capacity_reservations;
        (draft.status_patch().unwrap()["status"]["capacityReservations"][0].clone(), sold[0].expiring, sold[0].count)
    };
    let (written, is_expiring, count) = with(NOW + 86_400);
    assert_eq!(
        written,
        json!({
            "availabilityZone": "a", "endTime": "2026-01-03T00:00:00Z", "id": "cr-1", "instanceMatchCriteria": "targeted",
            "instanceType": "p5.48xlarge", "ownerID": "123456789012", "reservationType": "capacity-block",
            "interruptible": false, "state": "active",
        })
    );
    assert_eq!((is_expiring, count), (false, 3));
    let (written, is_expiring, _) = with(NOW + 600);
    assert_eq!((&written["state"], is_expiring), (&json!("expiring"), true));
    let draft = settled(class(&json!({})), Findings { reservations: Some(Err(fault())), ..findings() });
    assert_eq!(said(&draft, "CapacityReservationsReady").0, "Unknown");
}

#[test]
fn a_placement_group_has_to_be_there() {
    let with = |placement| {
        let spec = json!({ "placementGroupSelector": { "name": "x" } });
        said(&settled(class(&spec), Findings { placement: Some(placement), ..findings() }), "PlacementGroupReady")
    };
    let group = PlacementGroup { id: "pg-1".into(), strategy: PlacementStrategy::Spread };
    assert_eq!(with(Ok(Some(group))).0, "True");
    assert_eq!(with(Ok(None)), ("False".to_owned(), "PlacementGroupNotFound".to_owned()));
    let denied = Fault { kind: Kind::Unauthorized, code: "UnauthorizedOperation".into(), ..fault() };
    assert_eq!(with(Err(denied)), ("False".to_owned(), "PlacementGroupResolutionFailed".to_owned()));
    assert_eq!(with(Err(fault())).0, "Unknown");
}

#[test]
fn a_class_of_the_same_kind_in_another_group_is_none_of_ours() {
    let class = |group: &str, kind: &str| NodeClassRef { group: group.into(), kind: kind.into(), name: "c".into() };
    assert!(super::is_ours(&class("karpenter.k8s.aws", "EC2NodeClass")));
    assert!(!super::is_ours(&class("example.com", "EC2NodeClass")));
    assert!(!super::is_ours(&class("karpenter.k8s.aws", "KWOKNodeClass")));
}
