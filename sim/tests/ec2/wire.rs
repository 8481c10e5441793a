//! Raw calls, and reading their answers without an XML library.

use std::fmt::Write as _;

use bytes::Bytes;
use cloud::OfferingKey;
use http::{Method, Request, header};
use planner::model::CapacityType;
use serde_json::Value;
use sim::clock::Clock;
use sim::ec2::{Ec2, Level, Lost, Options};

/// An account in us-west-2 with ten of everything.
pub fn ec2(change: impl FnOnce(&mut Options)) -> Ec2 {
    let mut options = Options { region: "us-west-2".into(), level: Level::Each(10), ..Options::default() };
    change(&mut options);
    Ec2::new(options, Clock::new()).unwrap()
}

pub fn request(query: &str) -> Request<Bytes> {
    let body = format!("Version=2016-11-15&{query}");
    let request = Request::builder().method(Method::POST).uri("http://ec2.us-west-2.amazonaws.com/");
    request.header(header::AUTHORIZATION, "AWS4-HMAC-SHA256 Credential=A").body(Bytes::from(body)).unwrap()
}

/// A call's status and answer.
pub async fn call(ec2: &Ec2, query: &str) -> (u16, String) {
    try_call(ec2, query).await.unwrap()
}

pub async fn try_call(ec2: &Ec2, query: &str) -> Result<(u16, String), Lost> {
    let response = ec2.serve(request(query)).await?;
    Ok((response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap()))
}

/// The answer of a call that has to go well.
pub async fn ok(ec2: &Ec2, query: &str) -> String {
    let (status, body) = call(ec2, query).await;
    assert_eq!(status, 200, "{query}: {body}");
    body
}

/// Status and code of a call that has to be refused.
pub async fn refused(ec2: &Ec2, query: &str) -> (u16, String) {
    let (status, body) = call(ec2, query).await;
    assert_ne!(status, 200, "{query}: {body}");
    (status, texts(&body, "Code")[0].to_owned())
}

/// The texts of every element of this name, in order.
pub fn texts<'a>(xml: &'a str, element: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let parts = xml.split(open.as_str()).skip(1);
    parts.map(|part| part.split_once(close.as_str()).map_or("", |(text, _)| text)).collect()
}

pub fn key(instance_type: &str, zone: &str, capacity_type: CapacityType) -> OfferingKey {
    OfferingKey { instance_type: instance_type.into(), zone: zone.into(), capacity_type, reservation: None }
}

/// A call of a service that speaks JSON: status and answer.
pub async fn asked(ec2: &Ec2, target: &str, body: &Value) -> (u16, Value) {
    let request = Request::builder().method(Method::POST).uri("http://service/").header("x-amz-target", target);
    let request = request.header(header::AUTHORIZATION, "AWS4-HMAC-SHA256 Credential=A");
    let response = ec2.serve(request.body(Bytes::from(body.to_string())).unwrap()).await.unwrap();
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
}

/// A launch template with the name `millwright/one`.
pub async fn template(ec2: &Ec2) {
    template_with(ec2, "one", "").await;
}

/// A launch template `millwright/NAME` with more in it.
pub async fn template_with(ec2: &Ec2, name: &str, more: &str) {
    let image = ec2.locked(|state| {
        state.land.image_named("amazon-eks-node-al2023-x86_64-standard-1.35-v20261105").unwrap().id.clone()
    });
    let query = format!(
        "Action=CreateLaunchTemplate&LaunchTemplateName=millwright/{name}&LaunchTemplateData.ImageId={image}{more}\
         &LaunchTemplateData.NetworkInterface.1.DeviceIndex=0&LaunchTemplateData.NetworkInterface.1.SecurityGroupId.1=sg-00000000000000001"
    );
    ok(ec2, &query).await;
}

/// A fleet of `n` machines; overrides as `type/zone`, where the zone is a letter.
pub fn fleet(n: u32, lifecycle: &str, overrides: &[&str]) -> String {
    let mut query = format!(
        "Action=CreateFleet&Type=instant&TargetCapacitySpecification.TotalTargetCapacity={n}\
         &TargetCapacitySpecification.DefaultTargetCapacityType={lifecycle}\
         &LaunchTemplateConfigs.1.LaunchTemplateSpecification.LaunchTemplateName=millwright/one\
         &LaunchTemplateConfigs.1.LaunchTemplateSpecification.Version=$Latest\
         &TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=team&TagSpecification.1.Tag.1.Value=a"
    );
    for (at, one) in overrides.iter().enumerate() {
        let (instance_type, zone) = one.split_once('/').unwrap();
        let subnet = u32::from(zone.as_bytes()[0] - b'a');
        let path = format!("&LaunchTemplateConfigs.1.Overrides.{}", at + 1);
        let _ = write!(query, "{path}.InstanceType={instance_type}{path}.SubnetId=subnet-0{subnet:016x}");
    }
    query
}
