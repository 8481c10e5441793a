//! Launch templates: what a fleet's machines are made from.

use super::filter::{Filtered, Filters, Pages, Tags};
use super::params::Params;
use super::refusal::Refusal;
use super::state::{Answer, State};
use super::tags;
use super::xml::Xml;
use crate::clock::text_of;

/// A launch template with its one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub id: String,
    pub name: String,
    /// Seconds since 1970.
    pub created: i64,
    /// As it was given.
    pub data: Params,
    pub tags: Tags,
}

/// The most user data that EC2 takes, bytes, before base64.
const MOST_USER_DATA: usize = 16_384;
/// Names are 3 to 128 characters of these.
const NAME_SIGNS: &str = "().-/_";

impl Filtered for Template {
    fn values(&self, filter: &str) -> Option<Vec<String>> {
        Some(vec![match filter {
            "launch-template-name" => self.name.clone(),
            "create-time" => text_of(self.created),
            _ => return None,
        }])
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Template {
    fn write(&self, xml: &mut Xml) {
        xml.leaf("launchTemplateId", &self.id);
        xml.leaf("launchTemplateName", &self.name);
        xml.leaf("createTime", text_of(self.created));
        xml.leaf("createdBy", format!("arn:aws:iam::{}:role/millwright", super::land::ACCOUNT));
        xml.leaf("defaultVersionNumber", 1);
        xml.leaf("latestVersionNumber", 1);
        xml.tags(&self.tags);
    }
}

/// Everything that `LaunchTemplateData` may hold here.
const DATA: &[&str] = &[
    "BlockDeviceMapping.#.DeviceName",
    "BlockDeviceMapping.#.Ebs.DeleteOnTermination",
    "BlockDeviceMapping.#.Ebs.Encrypted",
    "BlockDeviceMapping.#.Ebs.Iops",
    "BlockDeviceMapping.#.Ebs.KmsKeyId",
    "BlockDeviceMapping.#.Ebs.SnapshotId",
    "BlockDeviceMapping.#.Ebs.Throughput",
    "BlockDeviceMapping.#.Ebs.VolumeInitializationRate",
    "BlockDeviceMapping.#.Ebs.VolumeSize",
    "BlockDeviceMapping.#.Ebs.VolumeType",
    "CapacityReservationSpecification.CapacityReservationPreference",
    "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId",
    "CpuOptions.NestedVirtualization",
    "EnclaveOptions.Enabled",
    "IamInstanceProfile.Name",
    "ImageId",
    "InstanceMarketOptions.MarketType",
    "MetadataOptions.HttpEndpoint",
    "MetadataOptions.HttpProtocolIpv6",
    "MetadataOptions.HttpPutResponseHopLimit",
    "MetadataOptions.HttpTokens",
    "MetadataOptions.InstanceMetadataTags",
    "Monitoring.Enabled",
    "NetworkInterface.#.AssociatePublicIpAddress",
    "NetworkInterface.#.ConnectionTrackingSpecification.*",
    "NetworkInterface.#.DeviceIndex",
    "NetworkInterface.#.InterfaceType",
    "NetworkInterface.#.Ipv4PrefixCount",
    "NetworkInterface.#.Ipv6AddressCount",
    "NetworkInterface.#.Ipv6PrefixCount",
    "NetworkInterface.#.NetworkCardIndex",
    "NetworkInterface.#.PrimaryIpv6",
    "NetworkInterface.#.SecurityGroupId.#",
    "Placement.GroupId",
    "Placement.PartitionNumber",
    "Placement.Tenancy",
    "TagSpecification.#.ResourceType",
    "TagSpecification.#.Tag.#.Key",
    "TagSpecification.#.Tag.#.Value",
    "UserData",
];

pub const CREATE: &[&str] = &[
    "LaunchTemplateName",
    "LaunchTemplateData.*",
    "ClientToken",
    "DryRun",
    "VersionDescription",
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
    let data = params.get("LaunchTemplateData").cloned().ok_or_else(|| Refusal::missing("LaunchTemplateData"))?;
    if let Some(unknown) = data.unknown(DATA) {
        return Err(Refusal::unknown_parameter(&format!("LaunchTemplateData.{unknown}")));
    }
    user_data(&data)?;
    let made_with = tags::of_kind(params, "launch-template")?;
    state.authorize_create("CreateLaunchTemplate", "launch-template", &made_with)?;
    if params.is_true("DryRun") {
        return Err(Refusal::dry_run());
    }
    if let Some(there) = state.templates.values().find(|template| template.name == name) {
        let message = format!("Launch template name {} already in use.", there.name);
        return Err(Refusal::new("InvalidLaunchTemplateName.AlreadyExistsException", message));
    }
    let template =
        Template { id: state.id("lt"), name: name.to_owned(), created: state.seconds(), data, tags: made_with };
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
    for name in params.texts("LaunchTemplateName") {
        if !state.templates.values().any(|template| template.name == name) {
            return Err(unknown_name(name));
        }
    }
    for id in params.texts("LaunchTemplateId") {
        if !state.templates.contains_key(id) {
            return Err(unknown_id(id));
        }
    }
    let (names, ids) = (params.texts("LaunchTemplateName"), params.texts("LaunchTemplateId"));
    let filters = Filters::read(params)?;
    let mut found = Vec::new();
    for template in state.templates.values() {
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
    let template = match (specification.text("LaunchTemplateName"), specification.text("LaunchTemplateId")) {
        (Some(name), _) => {
            state.templates.values().find(|template| template.name == name).ok_or_else(|| unknown_name(name))?
        }
        (None, Some(id)) => state.templates.get(id).ok_or_else(|| unknown_id(id))?,
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
