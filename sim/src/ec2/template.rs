//! Launch templates: what a fleet's machines are made from.

use super::filter::{Filters, Pages};
use super::holdings::Template;
use super::params::{Kind, Params};
use super::refusal::Refusal;
use super::state::{Answer, State};
use super::tags;
use super::xml::Xml;

/// The most user data that EC2 takes, bytes, before base64.
const MOST_USER_DATA: usize = 16_384;
/// Names are 3 to 128 characters of these.
const NAME_SIGNS: &str = "().-/_";

/// Everything that `LaunchTemplateData` may hold here. What no machine has a use for in the simulation (disks, metadata) is
/// checked all the same.
const DATA: &[(&str, Kind)] = &[
    ("BlockDeviceMapping.#.DeviceName", Kind::Text),
    ("BlockDeviceMapping.#.Ebs.DeleteOnTermination", Kind::Bool),
    ("BlockDeviceMapping.#.Ebs.Encrypted", Kind::Bool),
    ("BlockDeviceMapping.#.Ebs.Iops", Kind::Number),
    ("BlockDeviceMapping.#.Ebs.KmsKeyId", Kind::Text),
    ("BlockDeviceMapping.#.Ebs.SnapshotId", Kind::Text),
    ("BlockDeviceMapping.#.Ebs.Throughput", Kind::Number),
    ("BlockDeviceMapping.#.Ebs.VolumeInitializationRate", Kind::Number),
    ("BlockDeviceMapping.#.Ebs.VolumeSize", Kind::Number),
    ("BlockDeviceMapping.#.Ebs.VolumeType", Kind::OneOf(&["gp2", "gp3", "io1", "io2", "sc1", "st1", "standard"])),
    (
        "CapacityReservationSpecification.CapacityReservationPreference",
        Kind::OneOf(&["open", "none", "capacity-reservations-only"]),
    ),
    ("CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId", Kind::Text),
    ("CpuOptions.NestedVirtualization", SWITCH),
    ("EnclaveOptions.Enabled", Kind::Bool),
    ("IamInstanceProfile.Name", Kind::Text),
    ("ImageId", Kind::Text),
    (
        "InstanceMarketOptions.MarketType",
        Kind::OneOf(&["spot", "capacity-block", "interruptible-capacity-reservation"]),
    ),
    ("MetadataOptions.HttpEndpoint", SWITCH),
    ("MetadataOptions.HttpProtocolIpv6", SWITCH),
    ("MetadataOptions.HttpPutResponseHopLimit", Kind::Number),
    ("MetadataOptions.HttpTokens", Kind::OneOf(&["optional", "required"])),
    ("MetadataOptions.InstanceMetadataTags", SWITCH),
    ("Monitoring.Enabled", Kind::Bool),
    ("NetworkInterface.#.AssociatePublicIpAddress", Kind::Bool),
    ("NetworkInterface.#.ConnectionTrackingSpecification.TcpEstablishedTimeout", Kind::Number),
    ("NetworkInterface.#.ConnectionTrackingSpecification.UdpStreamTimeout", Kind::Number),
    ("NetworkInterface.#.ConnectionTrackingSpecification.UdpTimeout", Kind::Number),
    ("NetworkInterface.#.DeviceIndex", Kind::Number),
    ("NetworkInterface.#.InterfaceType", Kind::OneOf(&["interface", "efa", "efa-only"])),
    ("NetworkInterface.#.Ipv4PrefixCount", Kind::Number),
    ("NetworkInterface.#.Ipv6AddressCount", Kind::Number),
    ("NetworkInterface.#.Ipv6PrefixCount", Kind::Number),
    ("NetworkInterface.#.NetworkCardIndex", Kind::Number),
    ("NetworkInterface.#.PrimaryIpv6", Kind::Bool),
    ("NetworkInterface.#.SecurityGroupId.#", Kind::Text),
    ("Placement.GroupId", Kind::Text),
    ("Placement.PartitionNumber", Kind::Number),
    ("Placement.Tenancy", Kind::OneOf(&["default", "dedicated", "host"])),
    ("TagSpecification.#.ResourceType", Kind::Text),
    ("TagSpecification.#.Tag.#.Key", Kind::Text),
    ("TagSpecification.#.Tag.#.Value", Kind::Text),
    ("UserData", Kind::Text),
];
const SWITCH: Kind = Kind::OneOf(&["enabled", "disabled"]);

pub const CREATE: &[&str] = &[
    "LaunchTemplateName",
    "LaunchTemplateData.*",
    "ClientToken",
    "DryRun",
    "TagSpecification.#.ResourceType",
    "TagSpecification.#.Tag.#.Key",
    "TagSpecification.#.Tag.#.Value",
];

/// `CreateLaunchTemplate`.
pub fn create(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let name = params.required("LaunchTemplateName")?;
    let is_good = |c: char| c.is_ascii_alphanumeric() || NAME_SIGNS.contains(c);
    if !(3..=128).contains(&name.len()) || !name.chars().all(is_good) {
        return Err(Refusal::new(
            "InvalidLaunchTemplateName.MalformedException",
            format!("The name '{name}' is malformed"),
        ));
    }
    let data = params.get("LaunchTemplateData").ok_or_else(|| Refusal::missing("LaunchTemplateData"))?;
    data.check(DATA, "LaunchTemplateData")?;
    user_data(data)?;
    let made_with = tags::of_kind(params, "launch-template")?;
    state.authorize_create("CreateLaunchTemplate", "launch-template", &made_with)?;
    if params.is_true("DryRun") {
        return Err(Refusal::dry_run());
    }
    if let Some(there) = state.templates.values().find(|template| template.name == name) {
        let message = format!("Launch template name {} already in use.", there.name);
        return Err(Refusal::new("InvalidLaunchTemplateName.AlreadyExistsException", message));
    }
    let data = data.clone();
    let visible_at = state.now() + state.options.template_visible_after;
    let (id, name, created) = (state.id("lt"), name.to_owned(), state.seconds());
    let template = Template { id, name, created, visible_at, data, tags: made_with };
    let mut xml = Xml::default();
    xml.node("launchTemplate", |xml| template.write(xml));
    state.templates.insert(template.id.clone(), template);
    Ok(Answer(xml))
}

fn user_data(data: &Params) -> Result<(), Refusal> {
    let Some(text) = data.text("UserData") else { return Ok(()) };
    let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    if text.len() % 4 != 0 || padding > 2 || !text.bytes().all(is_base64) {
        return Err(Refusal::new("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data"));
    }
    if text.len() / 4 * 3 - padding > MOST_USER_DATA {
        return Err(Refusal::invalid_value(&format!("User data is limited to {MOST_USER_DATA} bytes")));
    }
    Ok(())
}

pub const DESCRIBE: &[&str] = &[
    "LaunchTemplateId.#",
    "LaunchTemplateName.#",
    "Filter.#.Name",
    "Filter.#.Value.#",
    "MaxResults",
    "NextToken",
    "DryRun",
];

/// `DescribeLaunchTemplates`.
pub fn describe(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let there = || state.templates.values().filter(|template| template.visible_at <= state.now());
    for name in params.texts("LaunchTemplateName") {
        if !there().any(|template| template.name == name) {
            return Err(unknown_name(name));
        }
    }
    for id in params.texts("LaunchTemplateId") {
        if !there().any(|template| template.id == id) {
            return Err(unknown_id(id));
        }
    }
    let (names, ids) = (params.texts("LaunchTemplateName"), params.texts("LaunchTemplateId"));
    let filters = Filters::read::<Template>(params)?;
    let mut found = Vec::new();
    for template in there() {
        let is_named =
            names.is_empty() && ids.is_empty() || names.contains(&&*template.name) || ids.contains(&&*template.id);
        if filters.matches(template)? && is_named {
            found.push(template);
        }
    }
    let page = Pages { bounds: (1, 200), usual: 200 }.cut(params, found, |template| template.id.clone())?;
    let mut xml = Xml::default();
    xml.list("launchTemplates", page.items, |xml, template| template.write(xml));
    xml.maybe("nextToken", page.next);
    Ok(Answer(xml))
}

pub const DELETE: &[&str] = &["LaunchTemplateId", "LaunchTemplateName", "DryRun"];

/// `DeleteLaunchTemplate`.
pub fn delete(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let template = match (params.text("LaunchTemplateId"), params.text("LaunchTemplateName")) {
        (Some(_), Some(_)) => {
            return Err(Refusal::new(
                "InvalidParameterCombination",
                "Specify either the id or the name of the launch template",
            ));
        }
        (Some(id), None) => state.templates.get(id).ok_or_else(|| unknown_id(id))?,
        (None, Some(name)) => {
            state.templates.values().find(|template| template.name == name).ok_or_else(|| unknown_name(name))?
        }
        (None, None) => return Err(Refusal::missing("LaunchTemplateId")),
    };
    let template = template.clone();
    state.authorize_on("DeleteLaunchTemplate", &format!("launch-template/{}", template.id), &template.tags)?;
    if params.is_true("DryRun") {
        return Err(Refusal::dry_run());
    }
    state.templates.remove(&template.id);
    let mut xml = Xml::default();
    xml.node("launchTemplate", |xml| template.write(xml));
    Ok(Answer(xml))
}

/// The template that a `LaunchTemplateSpecification` names.
pub fn named<'a>(state: &'a State, specification: &Params) -> Result<&'a Template, Refusal> {
    let mut there = state.templates.values().filter(|template| template.visible_at <= state.now());
    let template = match (specification.text("LaunchTemplateName"), specification.text("LaunchTemplateId")) {
        (Some(name), None) => there.find(|template| template.name == name).ok_or_else(|| unknown_name(name))?,
        (None, Some(id)) => there.find(|template| template.id == id).ok_or_else(|| unknown_id(id))?,
        (Some(_), Some(_)) => {
            let message = "Specify either the id or the name of the launch template";
            return Err(Refusal::new("InvalidParameterCombination", message));
        }
        (None, None) => return Err(Refusal::missing("LaunchTemplateConfigs.1.LaunchTemplateSpecification")),
    };
    match specification.text("Version") {
        None | Some("$Latest" | "$Default" | "1") => Ok(template),
        Some(version) => {
            let message = format!(
                "Could not find the specified version {version} for the launch template with ID {}.",
                template.id
            );
            Err(Refusal::new("InvalidLaunchTemplateId.VersionNotFound", message))
        }
    }
}

fn unknown_name(name: &str) -> Refusal {
    let message = format!("The specified launch template, with template name {name}, does not exist.");
    Refusal::new("InvalidLaunchTemplateName.NotFoundException", message)
}

fn unknown_id(id: &str) -> Refusal {
    let message = format!("The specified launch template, with template ID {id}, does not exist.");
    Refusal::new("InvalidLaunchTemplateId.NotFound", message)
}
