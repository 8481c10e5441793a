//! Tags: with what a thing is made, and what is put on it later.

use super::filter::Tags;
use super::params::Params;
use super::refusal::Refusal;
use super::state::{Answer, State};
use super::xml::Xml;

/// The most tags of one thing.
const MOST: usize = 50;

/// The tags that a call's `TagSpecification`s give to one kind of thing.
///
/// # Errors
/// When a specification names no kind, or a tag breaks EC2's rules.
pub fn of_kind(params: &Params, kind: &str) -> Result<Tags, Refusal> {
    let mut found = Tags::new();
    for specification in params.list("TagSpecification") {
        let tags = read(specification)?;
        if specification.required("ResourceType")? == kind {
            found.extend(tags);
        }
    }
    Ok(found)
}

/// Every kind of thing that a call's `TagSpecification`s name, with its tags.
///
/// # Errors
/// As [`of_kind`].
pub fn by_kind(params: &Params) -> Result<Vec<(String, Tags)>, Refusal> {
    let specifications = params.list("TagSpecification").into_iter();
    specifications.map(|one| Ok((one.required("ResourceType")?.to_owned(), read(one)?))).collect()
}

fn read(params: &Params) -> Result<Tags, Refusal> {
    let mut tags = Tags::new();
    for tag in params.list("Tag") {
        let key = tag.required("Key")?;
        let value = tag.get("Value").map(Params::own_text).unwrap_or_default();
        if key.starts_with("aws:") {
            let message = "Tag keys starting with 'aws:' are reserved for internal use";
            return Err(Refusal::invalid_value(message));
        }
        if key.len() > 128 || value.len() > 256 {
            return Err(Refusal::invalid_value(&format!("Tag '{key}' is too long")));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(Refusal::invalid_value(&format!("Duplicate tag key '{key}' specified.")));
        }
    }
    if tags.len() > MOST {
        return Err(Refusal::new("TagLimitExceeded", format!("More than {MOST} tags specified")));
    }
    Ok(tags)
}

pub const CREATE: &[&str] = &["ResourceId.#", "Tag.#.Key", "Tag.#.Value", "DryRun"];

/// `CreateTags`.
pub fn create(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let ids = params.texts("ResourceId");
    if ids.is_empty() {
        return Err(Refusal::missing("ResourceId"));
    }
    let tags = read(params)?;
    if tags.is_empty() {
        return Err(Refusal::missing("Tag"));
    }
    for id in &ids {
        let (kind, there) = match id.split_once('-').map(|(prefix, _)| prefix) {
            Some("i") => ("instance", state.visible(id)?.tags.clone()),
            Some("lt") => ("launch-template", state.templates.get(*id).ok_or_else(|| not_found(id))?.tags.clone()),
            Some("subnet") => ("subnet", state.land.subnets.get(*id).ok_or_else(|| not_found(id))?.tags.clone()),
            Some("sg") => ("security-group", state.land.groups.get(*id).ok_or_else(|| not_found(id))?.tags.clone()),
            _ => return Err(Refusal::new("InvalidID", format!("The ID '{id}' is not valid"))),
        };
        state.authorize_tagging(&format!("{kind}/{id}"), &there, &tags)?;
        if there.keys().chain(tags.keys()).collect::<std::collections::BTreeSet<_>>().len() > MOST {
            return Err(Refusal::new(
                "TagLimitExceeded",
                format!("The resource {id} would have more than {MOST} tags"),
            ));
        }
    }
    if params.is_true("DryRun") {
        return Err(Refusal::dry_run());
    }
    for id in ids {
        let instance = state.instances.get_mut(id).map(|instance| &mut instance.tags);
        let template = state.templates.get_mut(id).map(|template| &mut template.tags);
        let subnet = state.land.subnets.get_mut(id).map(|subnet| &mut subnet.tags);
        let group = state.land.groups.get_mut(id).map(|group| &mut group.tags);
        if let Some(there) = instance.or(template).or(subnet).or(group) {
            there.extend(tags.clone());
        }
    }
    let mut xml = Xml::default();
    xml.leaf("return", true);
    Ok(Answer(xml))
}

fn not_found(id: &str) -> Refusal {
    Refusal::new("InvalidID", format!("The ID '{id}' is not valid"))
}
