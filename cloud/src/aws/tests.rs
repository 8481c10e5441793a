//! The seller against answers that EC2 gives seldom.

use planner::model::{CapacityType, Labels, MicroUsdPerHour, Resources};

use super::scripted::{class, clients, instances, n_calls, refusal, seller};
use super::{
    Cluster, Facts, Kind, NodeClass, Seller, health, on_demand, profile, reserve, resolve, spot_prices, template,
};
use crate::catalog::AmiFamily;
use crate::{InstanceState, LaunchError, LaunchOrder, ListError, Offer, OfferingKey, Termination};

fn offer(instance_type: &str, n_efa: i64) -> Offer {
    Offer {
        price: MicroUsdPerHour(1000),
        key: OfferingKey {
            instance_type: instance_type.into(),
            zone: "us-west-2a".into(),
            capacity_type: CapacityType::OnDemand,
            reservation: None,
        },
        labels: Labels::new(),
        capacity: Resources::of([("cpu", 2000), ("pods", 10), ("vpc.amazonaws.com/efa", n_efa)]),
        allocatable: Resources::default(),
        n_left: None,
    }
}

fn order(offers: Vec<Offer>) -> LaunchOrder {
    LaunchOrder { token: "uid-of-a".into(), claim: "a".into(), offers, ..LaunchOrder::default() }
}

const MADE: &str = "<CreateLaunchTemplateResponse></CreateLaunchTemplateResponse>";

/// The answer of a fleet: what it bought, and codes of errors of pools with their types.
fn fleet(bought: Option<(&str, &str)>, errors: &[(&str, &str)]) -> (u16, String) {
    let bought = bought.map(|(id, subnet)| {
        format!(
            "<item><instanceIds><item>{id}</item></instanceIds><instanceType>m5.large</instanceType>\
             <launchTemplateAndOverrides><overrides><instanceType>m5.large</instanceType><subnetId>{subnet}</subnetId></overrides></launchTemplateAndOverrides></item>"
        )
    });
    let error = |(code, kind): &(&str, &str)| {
        format!(
            "<item><errorCode>{code}</errorCode><errorMessage>m</errorMessage><launchTemplateAndOverrides><overrides>\
             <instanceType>{kind}</instanceType><subnetId>subnet-1</subnetId></overrides></launchTemplateAndOverrides></item>"
        )
    };
    let errors: String = errors.iter().map(error).collect();
    let body = format!(
        "<CreateFleetResponse><fleetInstanceSet>{}</fleetInstanceSet><errorSet>{errors}</errorSet></CreateFleetResponse>",
        bought.unwrap_or_default()
    );
    (200, body)
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_somebody_stopped_is_ended_and_not_waited_for() {
    for (state, n_ends) in [("running", 1), ("stopping", 1), ("stopped", 1), ("shutting-down", 0)] {
        let (clients, calls) = clients(move |action, _| match action {
            "DescribeInstances" => instances(&[("i-1", "m5.large", state, "u")]),
            _ => (200, "<TerminateInstancesResponse></TerminateInstancesResponse>".to_owned()),
        })
        .await;
        let seller = seller(clients);
        assert_eq!(seller.terminate("aws:///us-west-2a/i-1").await, Ok(Termination::Started));
        assert_eq!(n_calls(&calls, "TerminateInstances"), n_ends, "{state}");
        let told = seller.instance("aws:///us-west-2a/i-1").await.unwrap().unwrap().state;
        assert_eq!(told == InstanceState::Stopped, state.starts_with("stop"), "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_was_just_bought_is_gone_once_it_is_told_to_have_ended_and_not_while_it_is_not_shown() {
    for (shown, gone) in [(&[("i-1", "m5.large", "terminated", "u")][..], true), (&[], false)] {
        let (clients, _) = clients(move |action, _| match action {
            "CreateFleet" => fleet(Some(("i-1", "subnet-1")), &[]),
            "DescribeInstances" => instances(shown),
            "TerminateInstances" => (200, "<TerminateInstancesResponse></TerminateInstancesResponse>".to_owned()),
            _ => (200, MADE.to_owned()),
        })
        .await;
        let seller = seller(clients);
        let id = seller.launch(&class(), &order(vec![offer("m5.large", 0)])).await.unwrap().provider_id;
        let end = if gone { Termination::Gone } else { Termination::Started };
        assert_eq!(seller.terminate(&id).await, Ok(end));
        assert_eq!(matches!(seller.instance(&id).await, Ok(None)), gone);
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_was_bought_otherwise_than_asked_is_found_by_its_tag_and_not_bought_again() {
    for is_shown in [true, false] {
        let (clients, calls) = clients(move |action, _| match action {
            "CreateFleet" => fleet(Some(("i-1", "subnet-of-nobody")), &[]),
            "DescribeInstances" if is_shown => instances(&[("i-1", "m5.xlarge", "pending", "uid-of-a")]),
            "DescribeInstances" => instances(&[]),
            _ => (200, MADE.to_owned()),
        })
        .await;
        let seller = seller(clients);
        for _ in 0..2 {
            match seller.launch(&class(), &order(vec![offer("m5.large", 0)])).await {
                Ok(bought) => assert!(is_shown && &*bought.instance_type == "m5.xlarge"),
                Err(error) => assert!(!is_shown && matches!(error, LaunchError::Unreachable { .. }), "{error}"),
            }
        }
        let calls = calls.lock().unwrap();
        let mut fleets = calls.iter().filter(|(action, _)| action == "CreateFleet");
        assert!(fleets.all(|(_, body)| body.contains("ClientToken=uid-of-a&")), "the token stays the same");
    }
}

#[tokio::test(start_paused = true)]
async fn pools_that_were_out_are_told_though_another_error_decides() {
    let errors = [("InsufficientInstanceCapacity", "m5.large"), ("UnauthorizedOperation", "c5.large")];
    let (clients, _) = clients(move |action, _| match action {
        "CreateFleet" => fleet(None, &errors),
        _ => (200, MADE.to_owned()),
    })
    .await;
    let error = seller(clients).launch(&class(), &order(vec![offer("m5.large", 0), offer("c5.large", 0)])).await;
    let Err(LaunchError::Rejected { reason, refused, .. }) = error else { panic!("{error:?}") };
    assert_eq!(reason, "Unauthorized");
    assert_eq!(refused, [offer("m5.large", 0).key.into()]);
}

#[tokio::test(start_paused = true)]
async fn types_with_other_numbers_of_interfaces_for_rdma_have_templates_of_their_own() {
    let (clients, calls) = clients(|action, _| match action {
        "CreateFleet" => fleet(Some(("i-1", "subnet-1")), &[]),
        _ => (200, MADE.to_owned()),
    })
    .await;
    let mut order = order(vec![offer("p5.48xlarge", 32), offer("p4d.24xlarge", 4), offer("p4de.24xlarge", 4)]);
    order.requests = Resources::of([("vpc.amazonaws.com/efa", 1)]);
    let _ = seller(clients).launch(&class(), &order).await;
    let calls = calls.lock().unwrap();
    let made: Vec<&String> =
        calls.iter().filter(|(action, _)| action == "CreateLaunchTemplate").map(|(_, body)| body).collect();
    let n_interfaces = |body: &str| body.matches(".InterfaceType=efa").count();
    let mut found: Vec<usize> = made.iter().map(|body| n_interfaces(body)).collect();
    found.sort_unstable();
    assert_eq!(found, [4, 32]);
}

#[tokio::test(start_paused = true)]
async fn each_interface_for_rdma_has_an_address_of_ipv6_where_the_cluster_does() {
    let (clients, calls) = clients(|action, _| match action {
        "CreateFleet" => fleet(Some(("i-1", "subnet-1")), &[]),
        _ => (200, MADE.to_owned()),
    })
    .await;
    let cluster = Cluster { name: "shop".into(), dns: Some("fd00:10:100::a".into()), ..Cluster::default() };
    let mut order = order(vec![offer("p4d.24xlarge", 4)]);
    order.requests = Resources::of([("vpc.amazonaws.com/efa", 1)]);
    let of_custom = NodeClass { family: Some(AmiFamily::Custom), ..class() };
    let _ = Seller::new(clients, cluster).launch(&of_custom, &order).await;
    let calls = calls.lock().unwrap();
    let (_, made) = calls.iter().find(|(action, _)| action == "CreateLaunchTemplate").unwrap();
    for part in [".InterfaceType=efa", ".PrimaryIpv6=true", ".Ipv6AddressCount=1"] {
        assert_eq!(made.matches(part).count(), 4, "{part}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_template_that_could_not_be_deleted_is_deleted_the_next_time() {
    let busy = std::sync::atomic::AtomicUsize::new(4);
    let (clients, calls) = clients(move |action, _| {
        let is_busy = || busy.fetch_update(
            std::sync::atomic::Ordering::Relaxed,
            std::sync::atomic::Ordering::Relaxed,
            |left| left.checked_sub(1),
        );
        match action {
            "DescribeLaunchTemplates" => {
                let one = |name: &str| format!("<item><launchTemplateName>{name}</launchTemplateName></item>");
                let all = one("karpenter.k8s.aws/1") + &one("karpenter.k8s.aws/2");
                (200, format!("<DescribeLaunchTemplatesResponse><launchTemplates>{all}</launchTemplates></DescribeLaunchTemplatesResponse>"))
            }
            _ if is_busy().is_ok() => refusal(503, "RequestLimitExceeded", "m"),
            _ => (200, "<DeleteLaunchTemplateResponse></DeleteLaunchTemplateResponse>".to_owned()),
        }
    })
    .await;
    let seller = seller(clients);
    seller.hydrate().await.unwrap();
    tokio::time::advance(std::time::Duration::from_mins(31)).await;
    assert!(seller.collect().await.is_err());
    assert_eq!(n_calls(&calls, "DeleteLaunchTemplate"), 5, "the other one went all the same");
    assert_eq!(seller.collect().await.unwrap(), 1);
    assert_eq!(seller.collect().await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_is_handed_on_to_be_deleted_and_holds_up_no_other() {
    let warning = r#"{ \"version\": \"0\", \"source\": \"aws.ec2\", \"detail-type\": \"EC2 Spot Instance Interruption Warning\", \"time\": \"2026-01-01T00:00:00Z\", \"detail\": { \"instance-id\": \"i-1\" } }"#;
    let batch = format!(
        r#"{{ "Messages": [{{ "MessageId": "1", "ReceiptHandle": "a", "Body": "junk" }}, {{ "MessageId": "2", "ReceiptHandle": "b", "Body": "{warning}" }}] }}"#
    );
    let (clients, _) = clients(move |action, _| match action {
        "GetQueueUrl" => (200, r#"{ "QueueUrl": "https://sqs/1/shop" }"#.to_owned()),
        "ReceiveMessage" => (200, batch.clone()),
        _ => (400, r#"{ "__type": "AccessDenied", "message": "no" }"#.to_owned()),
    })
    .await;
    let notices = seller(clients).listening("shop").notices().await.unwrap().unwrap();
    let kinds: Vec<_> = notices.iter().map(|notice| (notice.kind, &*notice.receipt)).collect();
    assert_eq!(kinds, [(crate::NoticeKind::Other, "a"), (crate::NoticeKind::SpotInterruption, "b")]);
}

/// A page of machines, and the token of the next.
fn page(id: &str, next: &str) -> (u16, String) {
    let (status, body) = instances(&[(id, "m5.large", "running", "u")]);
    (status, body.replace("</reservationSet>", &format!("</reservationSet><nextToken>{next}</nextToken>")))
}

#[tokio::test(start_paused = true)]
async fn a_list_is_read_page_by_page_to_its_end() {
    let (clients, calls) =
        clients(|_, body| if body.contains("NextToken=second") { page("i-2", "") } else { page("i-1", "second") })
            .await;
    let found = seller(clients).instances().await.unwrap();
    let ids: Vec<&str> = found.iter().map(|one| &*one.provider_id).collect();
    assert_eq!(ids, ["aws:///us-west-2a/i-1", "aws:///us-west-2a/i-2"]);
    assert_eq!(n_calls(&calls, "DescribeInstances"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_too_many_pages_is_a_fault_and_never_taken_for_the_whole() {
    let n_read = std::sync::atomic::AtomicUsize::new(0);
    let (clients, calls) = clients(move |_, _| {
        let at = n_read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        page(&format!("i-{at}"), &format!("after-{at}"))
    })
    .await;
    let Err(ListError::Cut { message }) = seller(clients).instances().await else { panic!("a part is no list") };
    assert_eq!(message, "ec2:DescribeInstances: more than 1000 pages: the list is not read to its end");
    assert_eq!(n_calls(&calls, "DescribeInstances"), 1000);
}

#[tokio::test(start_paused = true)]
async fn every_list_that_comes_back_to_the_same_page_is_a_fault_after_two() {
    let (clients, calls) = clients(|action, _| match action {
        "GetProducts" => (200, r#"{ "PriceList": [], "NextToken": "again" }"#.to_owned()),
        "ListInstanceProfiles" => {
            let result = "<InstanceProfiles></InstanceProfiles><IsTruncated>true</IsTruncated><Marker>again</Marker>";
            let result = format!("<ListInstanceProfilesResult>{result}</ListInstanceProfilesResult>");
            (200, format!("<ListInstanceProfilesResponse>{result}</ListInstanceProfilesResponse>"))
        }
        "DescribeInstanceTypeOfferings" => (200, format!("<{action}Response></{action}Response>")),
        _ => (200, format!("<{action}Response><nextToken>again</nextToken></{action}Response>")),
    })
    .await;
    let faults = [
        ("DescribeInstances", super::instances::of_cluster(&clients, "shop").await.err()),
        ("DescribeInstanceTypes", Facts::ask(&clients).await.err()),
        ("DescribeSpotPriceHistory", spot_prices(&clients, 0).await.err()),
        ("DescribeSubnets", resolve::subnets(&clients, &[resolve::Term::default()]).await.err()),
        ("DescribeSecurityGroups", resolve::security_groups(&clients, &[resolve::Term::default()]).await.err()),
        ("DescribeImages", resolve::images(&clients, &[resolve::Term::default()], &[], "").await.err()),
        (
            "DescribeCapacityReservations",
            reserve::reservations(&clients, &[reserve::ReservationTerm::default()], 0).await.err(),
        ),
        ("DescribeInstanceStatus", health::ailing(&clients, 0).await.err()),
        ("ListInstanceProfiles", profile::of_cluster(&clients, "shop").await.err()),
        ("GetProducts", on_demand(&clients).await.err()),
        ("DescribeLaunchTemplates", template::Templates::default().hydrate(&clients, "shop").await.err()),
    ];
    for (action, fault) in faults {
        assert_eq!(fault.map(|fault| fault.kind), Some(Kind::Cut), "{action}");
        assert_eq!(n_calls(&calls, action), 2, "{action}");
    }
}
