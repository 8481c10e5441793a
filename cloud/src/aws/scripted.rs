//! For tests: an AWS that answers what a test says, call by call.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};

use super::class::{Cluster, Image, NodeClass, Subnet};
use super::client::{Clients, Connection};
use super::seller::Seller;
use super::transport::{Answer, Transport};
use crate::catalog::AmiFamily;

/// Calls that were made: action and body.
pub(super) type Calls = Arc<Mutex<Vec<(String, String)>>>;

/// The action of a call, whichever protocol it goes by.
fn action_of(request: &Request<Bytes>) -> String {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    let body = String::from_utf8_lossy(request.body()).into_owned();
    let of_target = target.and_then(|target| target.rsplit('.').next()).map(str::to_owned);
    let of_body = || body.split('&').find_map(|pair| pair.strip_prefix("Action=")).map(str::to_owned);
    of_target.or_else(of_body).unwrap_or_else(|| request.uri().path().to_owned())
}

/// Clients whose calls `answer` gives status and body for, by action and body; and what they called.
pub(super) async fn clients(answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static) -> (Clients, Calls) {
    let calls = Calls::default();
    let log = calls.clone();
    let transport = Transport::new(move |request| -> Answer {
        let (action, body) = (action_of(&request), String::from_utf8_lossy(request.body()).into_owned());
        let (status, answer) = answer(&action, &body);
        log.lock().unwrap().push((action, body));
        Box::pin(async move { Ok(Response::builder().status(status).body(Bytes::from(answer)).unwrap()) })
    });
    let connection =
        Connection { region: Some("us-west-2".into()), transport: Some(transport), ..Connection::default() };
    (Clients::connect(connection).await.unwrap(), calls)
}

/// How often an action was called.
pub(super) fn n_calls(calls: &Calls, action: &str) -> usize {
    calls.lock().unwrap().iter().filter(|(of, _)| of == action).count()
}

/// An error of EC2.
pub(super) fn refusal(status: u16, code: &str, message: &str) -> (u16, String) {
    let body = format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>r</RequestID></Response>"
    );
    (status, body)
}

/// Machines as `DescribeInstances` tells of them: id, type, state and token.
pub(super) fn instances(all: &[(&str, &str, &str, &str)]) -> (u16, String) {
    let one = |(id, kind, state, token): &(&str, &str, &str, &str)| {
        format!(
            "<item><instanceId>{id}</instanceId><instanceType>{kind}</instanceType><placement><availabilityZone>us-west-2a</availabilityZone></placement>\
             <instanceState><name>{state}</name></instanceState><tagSet><item><key>millwright.dev/nodeclaim-uid</key><value>{token}</value></item></tagSet></item>"
        )
    };
    let items: String = all.iter().map(one).collect();
    let body = format!(
        "<DescribeInstancesResponse><reservationSet><item><instancesSet>{items}</instancesSet></item></reservationSet></DescribeInstancesResponse>"
    );
    (200, body)
}

/// A seller to the cluster `shop`.
pub(super) fn seller(clients: Clients) -> Seller {
    let cluster = Cluster { name: "shop".into(), service_cidr: Some("10.100.0.0/16".into()), ..Cluster::default() };
    Seller::new(clients, cluster)
}

/// A class with one image for everything and one subnet.
pub(super) fn class() -> NodeClass {
    let image = Image {
        id: "ami-1".into(),
        name: "one".into(),
        requirements: planner::model::Requirements::new(),
        is_deprecated: false,
    };
    let subnet = Subnet {
        id: "subnet-1".into(),
        zone: "us-west-2a".into(),
        zone_id: "usw2-az1".into(),
        available: 500,
        look: 1,
    };
    NodeClass {
        name: "default".into(),
        family: Some(AmiFamily::Al2023),
        images: vec![image],
        subnets: vec![subnet],
        ..NodeClass::default()
    }
}
