//! IAM: instance profiles and the roles in them.

use super::super::filter::Tags;
use super::super::land::{ACCOUNT, Profile};
use super::super::params::Params;
use super::super::refusal::Refusal;
use super::super::state::{Action, Answer, State};
use super::super::xml::Xml;

/// The actions, each with the parameters it takes.
pub const ACTIONS: &[Action] = &[
    ("AddRoleToInstanceProfile", &["InstanceProfileName", "RoleName"], add_role),
    ("CreateInstanceProfile", &["InstanceProfileName", "Path", "Tags.member.#.Key", "Tags.member.#.Value"], create),
    ("DeleteInstanceProfile", &["InstanceProfileName"], delete),
    ("GetInstanceProfile", &["InstanceProfileName"], get),
    ("ListInstanceProfiles", &["PathPrefix", "MaxItems", "Marker"], list),
    ("RemoveRoleFromInstanceProfile", &["InstanceProfileName", "RoleName"], remove_role),
];

fn not_found(what: &str, name: &str) -> Refusal {
    Refusal::with_status(404, "NoSuchEntity", format!("{what} {name} cannot be found."))
}

fn write(xml: &mut Xml, name: &str, profile: &Profile) {
    xml.leaf("InstanceProfileName", name);
    xml.leaf("InstanceProfileId", "AIPAEXAMPLE");
    xml.leaf("Path", &profile.path);
    xml.leaf("Arn", format!("arn:aws:iam::{ACCOUNT}:instance-profile{}{name}", profile.path));
    xml.leaf("CreateDate", "2026-01-01T00:00:00Z");
    xml.node("Roles", |xml| {
        if let Some(role) = &profile.role {
            xml.node("member", |xml| {
                xml.leaf("RoleName", role);
                xml.leaf("RoleId", "AROAEXAMPLE");
                xml.leaf("Path", "/");
                xml.leaf("Arn", format!("arn:aws:iam::{ACCOUNT}:role/{role}"));
                xml.leaf("CreateDate", "2026-01-01T00:00:00Z");
            });
        }
    });
}

/// Whether something may be done with a profile; its own tags count if it is there.
fn authorize(state: &State, action: &str, name: &str, asked: Option<(&str, &Tags)>) -> Result<(), Refusal> {
    let there = state.land.profiles.get(name);
    let path = asked.map(|(path, _)| path).or_else(|| Some(there?.path.as_str())).unwrap_or("/");
    let arn = format!("arn:aws:iam::{ACCOUNT}:instance-profile{path}{name}");
    let of_thing = there.map(|profile| ("aws:ResourceTag", &profile.tags));
    let tags: Vec<_> = of_thing.into_iter().chain(asked.map(|(_, tags)| ("aws:RequestTag", tags))).collect();
    state.authorize_beside(&format!("iam:{action}"), arn, &tags, None)
}

fn one(element: &str, name: &str, profile: &Profile) -> Answer {
    let mut xml = Xml::default();
    xml.node(element, |xml| xml.node("InstanceProfile", |xml| write(xml, name, profile)));
    Answer(xml)
}

fn nothing() -> Answer {
    Answer(Xml::default())
}

fn create(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let name = params.required("InstanceProfileName")?;
    if state.land.profiles.contains_key(name) {
        let message = format!("Instance Profile {name} already exists.");
        return Err(Refusal::with_status(409, "EntityAlreadyExists", message));
    }
    let mut tags = Tags::new();
    for tag in params.get("Tags").map(|tags| tags.list("member")).unwrap_or_default() {
        tags.insert(tag.required("Key")?.to_owned(), tag.text("Value").unwrap_or_default().to_owned());
    }
    let path = params.text("Path").unwrap_or("/");
    authorize(state, "CreateInstanceProfile", name, Some((path, &tags)))?;
    let visible_at = state.now() + state.options.profile_visible_after;
    let profile = Profile { path: path.to_owned(), role: None, tags, visible_at };
    let answer = one("CreateInstanceProfileResult", name, &profile);
    state.land.profiles.insert(name.to_owned(), profile);
    Ok(answer)
}

fn get(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let name = params.required("InstanceProfileName")?;
    authorize(state, "GetInstanceProfile", name, None)?;
    let profile = state.land.profiles.get(name).ok_or_else(|| not_found("Instance Profile", name))?;
    Ok(one("GetInstanceProfileResult", name, profile))
}

fn add_role(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let (name, role) = (params.required("InstanceProfileName")?, params.required("RoleName")?);
    authorize(state, "AddRoleToInstanceProfile", name, None)?;
    let to_ec2 = Some(("iam:PassedToService", "ec2.amazonaws.com"));
    state.authorize_beside("iam:PassRole", format!("arn:aws:iam::{ACCOUNT}:role/{role}"), &[], to_ec2)?;
    if !state.roles.contains(role) {
        return Err(not_found("The role with name", role));
    }
    let visible_at = state.now() + state.options.profile_visible_after;
    let profile = state.land.profiles.get_mut(name).ok_or_else(|| not_found("Instance Profile", name))?;
    if profile.role.is_some() {
        let message = "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1";
        return Err(Refusal::with_status(409, "LimitExceeded", message));
    }
    (profile.role, profile.visible_at) = (Some(role.to_owned()), visible_at);
    Ok(nothing())
}

fn remove_role(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let (name, role) = (params.required("InstanceProfileName")?, params.required("RoleName")?);
    authorize(state, "RemoveRoleFromInstanceProfile", name, None)?;
    let profile = state.land.profiles.get_mut(name).ok_or_else(|| not_found("Instance Profile", name))?;
    if profile.role.as_deref() != Some(role) {
        return Err(not_found("The role with name", role));
    }
    profile.role = None;
    Ok(nothing())
}

fn delete(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let name = params.required("InstanceProfileName")?;
    authorize(state, "DeleteInstanceProfile", name, None)?;
    let profile = state.land.profiles.get(name).ok_or_else(|| not_found("Instance Profile", name))?;
    if profile.role.is_some() {
        let message = "Cannot delete entity, must remove roles from instance profile first.";
        return Err(Refusal::with_status(409, "DeleteConflict", message));
    }
    state.land.profiles.remove(name);
    Ok(nothing())
}

fn list(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    state.authorize_beside("iam:ListInstanceProfiles", "*".to_owned(), &[], None)?;
    let prefix = params.text("PathPrefix").unwrap_or("/");
    let most = params.number("MaxItems")?.and_then(|most| usize::try_from(most).ok()).unwrap_or(100);
    let after = params.text("Marker").unwrap_or_default();
    let all = state.land.profiles.iter();
    let mut rest = all.filter(|(name, profile)| profile.path.starts_with(prefix) && name.as_str() > after);
    let page: Vec<_> = rest.by_ref().take(most).collect();
    let is_truncated = rest.next().is_some();
    let mut xml = Xml::default();
    xml.node("ListInstanceProfilesResult", |xml| {
        xml.node("InstanceProfiles", |xml| {
            for (name, profile) in &page {
                xml.node("member", |xml| write(xml, name, profile));
            }
        });
        xml.leaf("IsTruncated", is_truncated);
        xml.maybe("Marker", page.last().filter(|_| is_truncated).map(|(name, _)| name));
    });
    Ok(Answer(xml))
}
