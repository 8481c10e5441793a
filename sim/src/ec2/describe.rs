//! Finding what the account has: zones, subnets, security groups, images.

use super::filter::{Filtered, Filters, Pages, Tags};
use super::land::{ACCOUNT, Image, SecurityGroup, Subnet, VPC, Zone};
use super::params::Params;
use super::refusal::Refusal;
use super::state::{Answer, State};
use super::xml::Xml;
use crate::clock::text_of;

static NO_TAGS: Tags = Tags::new();

pub const ZONES: &[&str] = &["ZoneName.#", "ZoneId.#", "Filter.#.Name", "Filter.#.Value.#", "DryRun"];

struct InRegion<'a>(&'a Zone, &'a str);

impl Filtered for InRegion<'_> {
    const FILTERS: &'static [&'static str] =
        &["zone-name", "zone-id", "zone-type", "region-name", "group-name", "state", "opt-in-status"];
    const HAS_TAGS: bool = false;

    fn values(&self, filter: &str) -> Option<Vec<String>> {
        let Self(zone, region) = self;
        Some(vec![match filter {
            "zone-name" => zone.name.clone(),
            "zone-id" => zone.id.clone(),
            "zone-type" => "availability-zone".to_owned(),
            "region-name" | "group-name" => (*region).to_owned(),
            "state" => "available".to_owned(),
            "opt-in-status" => "opt-in-not-required".to_owned(),
            _ => return None,
        }])
    }

    fn tags(&self) -> &Tags {
        &NO_TAGS
    }
}

/// `DescribeAvailabilityZones`.
pub fn zones(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let (names, ids, filters) =
        (params.texts("ZoneName"), params.texts("ZoneId"), Filters::read::<InRegion<'_>>(params)?);
    let region = state.region.name.as_str();
    let is_known = |asked: &str| state.land.zones.iter().any(|zone| zone.name == asked || zone.id == asked);
    if let Some(unknown) = names.iter().chain(&ids).find(|asked| !is_known(asked)) {
        return Err(Refusal::invalid_value(&format!("Invalid availability zone: [{unknown}]")));
    }
    let mut xml = Xml::default();
    let mut found = Vec::new();
    for zone in &state.land.zones {
        let is_named =
            (names.is_empty() || names.contains(&&*zone.name)) && (ids.is_empty() || ids.contains(&&*zone.id));
        if filters.matches(&InRegion(zone, region))? && is_named {
            found.push(zone);
        }
    }
    xml.list("availabilityZoneInfo", found, |xml, zone| {
        xml.leaf("zoneName", &zone.name);
        xml.leaf("zoneId", &zone.id);
        xml.leaf("zoneState", "available");
        xml.leaf("zoneType", "availability-zone");
        xml.leaf("regionName", region);
        xml.leaf("groupName", region);
        xml.leaf("networkBorderGroup", region);
        xml.leaf("optInStatus", "opt-in-not-required");
    });
    Ok(Answer(xml))
}

pub const SUBNETS: &[&str] = &["SubnetId.#", "Filter.#.Name", "Filter.#.Value.#", "MaxResults", "NextToken", "DryRun"];

/// `DescribeSubnets`.
pub fn subnets(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let ids = params.texts("SubnetId");
    let unknown = ids.iter().find(|id| !state.land.subnets.contains_key(**id));
    if let Some(unknown) = unknown {
        let message = format!("The subnet ID '{unknown}' does not exist");
        return Err(Refusal::new("InvalidSubnetID.NotFound", message));
    }
    let filters = Filters::read::<Subnet>(params)?;
    let mut found = Vec::new();
    for subnet in state.land.subnets.values() {
        if filters.matches(subnet)? && (ids.is_empty() || ids.contains(&&*subnet.id)) {
            found.push(subnet);
        }
    }
    let page = Pages { bounds: (5, 1000), usual: 1000 }.cut(params, found, |subnet| subnet.id.clone())?;
    let mut xml = Xml::default();
    xml.list("subnetSet", page.items, |xml, subnet| {
        xml.leaf("subnetId", &subnet.id);
        xml.leaf("state", "available");
        xml.leaf("vpcId", VPC);
        xml.leaf("ownerId", ACCOUNT);
        xml.leaf("cidrBlock", subnet.cidr());
        xml.leaf("availableIpAddressCount", subnet.available());
        xml.leaf("availabilityZone", &subnet.zone.name);
        xml.leaf("availabilityZoneId", &subnet.zone.id);
        xml.leaf("mapPublicIpOnLaunch", subnet.maps_public_ip);
        xml.leaf("defaultForAz", false);
        xml.tags(&subnet.tags);
    });
    xml.maybe("nextToken", page.next);
    Ok(Answer(xml))
}

pub const GROUPS: &[&str] =
    &["GroupId.#", "GroupName.#", "Filter.#.Name", "Filter.#.Value.#", "MaxResults", "NextToken", "DryRun"];

/// `DescribeSecurityGroups`.
pub fn groups(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let (ids, names) = (params.texts("GroupId"), params.texts("GroupName"));
    if let Some(unknown) = ids.iter().find(|id| !state.land.groups.contains_key(**id)) {
        return Err(Refusal::new("InvalidGroup.NotFound", format!("The security group '{unknown}' does not exist")));
    }
    let filters = Filters::read::<SecurityGroup>(params)?;
    let mut found = Vec::new();
    for group in state.land.groups.values() {
        let is_named =
            (ids.is_empty() || ids.contains(&&*group.id)) && (names.is_empty() || names.contains(&&*group.name));
        if filters.matches(group)? && is_named {
            found.push(group);
        }
    }
    let page = Pages { bounds: (5, 1000), usual: 1000 }.cut(params, found, |group| group.id.clone())?;
    let mut xml = Xml::default();
    xml.list("securityGroupInfo", page.items, |xml, group| {
        xml.leaf("ownerId", ACCOUNT);
        xml.leaf("groupId", &group.id);
        xml.leaf("groupName", &group.name);
        xml.leaf("groupDescription", format!("{} of the simulation", group.name));
        xml.leaf("vpcId", VPC);
        xml.tags(&group.tags);
    });
    xml.maybe("nextToken", page.next);
    Ok(Answer(xml))
}

pub const IMAGES: &[&str] = &[
    "ImageId.#",
    "Owner.#",
    "IncludeDeprecated",
    "Filter.#.Name",
    "Filter.#.Value.#",
    "MaxResults",
    "NextToken",
    "DryRun",
];

/// `DescribeImages`. Deprecated images of others are shown only when asked for, as by EC2.
pub fn images(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let (ids, owners) = (params.texts("ImageId"), params.texts("Owner"));
    if let Some(unknown) = ids.iter().find(|id| !state.land.images.contains_key(**id)) {
        let code = if unknown.starts_with("ami-") { "InvalidAMIID.NotFound" } else { "InvalidAMIID.Malformed" };
        return Err(Refusal::new(code, format!("The image id '[{unknown}]' does not exist")));
    }
    let filters = Filters::read::<Image>(params)?;
    let (now, with_deprecated) = (state.seconds(), params.is_true("IncludeDeprecated"));
    let mut found = Vec::new();
    for image in state.land.images.values() {
        let (account, alias) = &image.owner;
        let is_owned = owners.is_empty()
            || owners.iter().any(|owner| {
                *owner == account || alias.as_deref() == Some(owner) || *owner == "self" && account == ACCOUNT
            });
        let is_shown = with_deprecated || account == ACCOUNT || image.deprecated.is_none_or(|at| at > now);
        if filters.matches(image)? && is_owned && is_shown && (ids.is_empty() || ids.contains(&&*image.id)) {
            found.push(image);
        }
    }
    let page = Pages { bounds: (1, 1000), usual: 1000 }.cut(params, found, |image| image.id.clone())?;
    let mut xml = Xml::default();
    xml.list("imagesSet", page.items, |xml, image| {
        xml.leaf("imageId", &image.id);
        xml.leaf("name", &image.name);
        xml.leaf("imageState", "available");
        xml.leaf("imageOwnerId", &image.owner.0);
        xml.maybe("imageOwnerAlias", image.owner.1.as_ref());
        xml.leaf("isPublic", image.owner.1.is_some());
        xml.leaf("architecture", &image.arch);
        xml.leaf("imageType", "machine");
        xml.leaf("creationDate", text_of(image.created));
        xml.maybe("deprecationTime", image.deprecated.map(text_of));
        xml.leaf("rootDeviceName", &image.root_device);
        xml.leaf("rootDeviceType", "ebs");
        xml.leaf("virtualizationType", "hvm");
        xml.tags(&image.tags);
    });
    xml.maybe("nextToken", page.next);
    Ok(Answer(xml))
}
