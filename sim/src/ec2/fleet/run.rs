//! `RunInstances` as a dry run: would a machine of this template start in this subnet? Nothing is ever run by it here.

use planner::model::CapacityType;

use super::super::params::Params;
use super::super::refusal::Refusal;
use super::super::state::{Answer, State};
use super::super::template;
use super::pool::Pool;

pub const DRY_RUN: &[&str] = &[
    "ClientToken",
    "DryRun",
    "InstanceType",
    "LaunchTemplate.LaunchTemplateId",
    "LaunchTemplate.LaunchTemplateName",
    "LaunchTemplate.Version",
    "MaxCount",
    "MinCount",
    "NetworkInterface.#.DeviceIndex",
    "NetworkInterface.#.SubnetId",
    "TagSpecification.#.ResourceType",
    "TagSpecification.#.Tag.#.Key",
    "TagSpecification.#.Tag.#.Value",
];

/// `RunInstances`.
pub fn dry_run(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    if !params.is_true("DryRun") {
        return Err(Refusal::unimplemented("RunInstances that is no dry run"));
    }
    // It would make two calls one; nothing is run here.
    params.text("ClientToken");
    let count = |name: &str| params.number(name)?.ok_or_else(|| Refusal::missing(name));
    let (least, most) = (count("MinCount")?, count("MaxCount")?);
    if least < 1 || most < least {
        return Err(Refusal::invalid_value(&format!("MinCount {least} and MaxCount {most} are no range from 1")));
    }
    super::authorize(state, "RunInstances", params)?;
    let specification = params.get("LaunchTemplate").ok_or_else(|| Refusal::missing("LaunchTemplate"))?;
    let template = template::named(state, specification)?;
    let instance_type = params.required("InstanceType")?;
    let interfaces = params.list("NetworkInterface");
    for interface in &interfaces {
        interface.number("DeviceIndex")?;
    }
    let subnet = interfaces.iter().find_map(|interface| interface.text("SubnetId"));
    let subnet = subnet.ok_or_else(|| Refusal::missing("NetworkInterface.1.SubnetId"))?;
    let one = Params::parse(format!("InstanceType={instance_type}&SubnetId={subnet}").as_bytes());
    let pool = Pool::of(state, template, &one, CapacityType::OnDemand)?;
    match pool.refusal(state) {
        Some((code, message)) => Err(Refusal::new(code, message)),
        None => Err(Refusal::dry_run()),
    }
}
