//! Finding machines, ending them, and how they are doing.

use std::collections::BTreeSet;

use super::filter::{Filtered, Filters, Pages, Tags};
use super::instance::{Instance, Phase, Seen};
use super::land::ACCOUNT;
use super::params::Params;
use super::refusal::Refusal;
use super::state::{Answer, State};
use super::xml::Xml;
use crate::clock::text_of;

pub const DESCRIBE: &[&str] =
    &["InstanceId.#", "Filter.#.Name", "Filter.#.Value.#", "MaxResults", "NextToken", "DryRun"];

/// `DescribeInstances`. Every machine is a reservation of its own, as those of instant fleets of one are.
pub fn describe(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let ids: BTreeSet<&str> = params.texts("InstanceId").into_iter().collect();
    if !ids.is_empty() && params.text("MaxResults").is_some() {
        let message = "The parameter instancesSet cannot be used with the parameter maxResults";
        return Err(Refusal::new("InvalidParameterCombination", message));
    }
    for id in &ids {
        state.visible(id)?;
    }
    let filters = Filters::read::<Seen<'_>>(params)?;
    let mut found = Vec::new();
    for (instance, phase) in state.listed() {
        let seen = Seen { instance, phase };
        if filters.matches(&seen)? && (ids.is_empty() || ids.contains(&*instance.id)) {
            found.push(seen);
        }
    }
    let page = Pages { bounds: (5, 1000), usual: 1000 }.cut(params, found, |seen| seen.instance.id.clone())?;
    let region = &state.region.name;
    let mut xml = Xml::default();
    xml.list("reservationSet", page.items, |xml, Seen { instance, phase }| {
        xml.leaf("reservationId", format!("r-{}", &instance.id[2..]));
        xml.leaf("ownerId", ACCOUNT);
        xml.list("instancesSet", [()], |xml, ()| instance.write(xml, phase, region));
    });
    xml.maybe("nextToken", page.next);
    Ok(Answer(xml))
}

pub const TERMINATE: &[&str] = &["InstanceId.#", "DryRun"];

/// `TerminateInstances`. An unknown id refuses the whole call; a machine that is ending already stays so.
pub fn terminate(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let ids = params.texts("InstanceId");
    if ids.is_empty() {
        return Err(Refusal::missing("InstanceId"));
    }
    for id in &ids {
        let tags = state.visible(id)?.tags.clone();
        state.authorize_on("TerminateInstances", &format!("instance/{id}"), &tags)?;
    }
    if params.is_true("DryRun") {
        return Err(Refusal::dry_run());
    }
    let now = state.now();
    let mut changes = Vec::new();
    for id in ids {
        let phase = |state: &State| state.instances.get(id).map_or(Phase::Terminated, |instance| instance.phase(now));
        let before = phase(state);
        state.end(id, now, "Client.UserInitiatedShutdown");
        changes.push((id, before, phase(state)));
    }
    let mut xml = Xml::default();
    xml.list("instancesSet", changes, |xml, (id, before, after)| {
        xml.leaf("instanceId", id);
        after.write(xml, "currentState");
        before.write(xml, "previousState");
    });
    Ok(Answer(xml))
}

pub const STATUS: &[&str] =
    &["InstanceId.#", "Filter.#.Name", "Filter.#.Value.#", "MaxResults", "NextToken", "IncludeAllInstances", "DryRun"];

/// How a machine is doing.
struct Health<'a>(&'a Instance, Phase);

impl Filtered for Health<'_> {
    const FILTERS: &'static [&'static str] =
        &["instance-status.status", "system-status.status", "event.code", "instance-state-name", "availability-zone"];
    const HAS_TAGS: bool = false;

    fn values(&self, filter: &str) -> Option<Vec<String>> {
        let Self(instance, phase) = self;
        let word = |is_impaired: bool| if is_impaired { "impaired" } else { "ok" }.to_owned();
        let event = instance.event.as_ref();
        Some(vec![match filter {
            "instance-status.status" => word(instance.impaired.0.is_some()),
            "system-status.status" => word(instance.impaired.1.is_some()),
            "event.code" => return Some(event.map(|(code, _)| code.clone()).into_iter().collect()),
            "instance-state-name" => phase.as_str().to_owned(),
            "availability-zone" => instance.zone.name.clone(),
            _ => return None,
        }])
    }

    fn tags(&self) -> &Tags {
        &self.0.tags
    }
}

/// `DescribeInstanceStatus`.
pub fn status(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let ids: BTreeSet<&str> = params.texts("InstanceId").into_iter().collect();
    for id in &ids {
        state.visible(id)?;
    }
    let (filters, all) = (Filters::read::<Health<'_>>(params)?, params.is_true("IncludeAllInstances"));
    let mut found = Vec::new();
    for (instance, phase) in state.listed() {
        let is_wanted = (ids.is_empty() || ids.contains(&*instance.id)) && (all || phase == Phase::Running);
        if filters.matches(&Health(instance, phase))? && is_wanted {
            found.push((instance, phase));
        }
    }
    let page = Pages { bounds: (5, 1000), usual: 1000 }.cut(params, found, |(instance, _)| instance.id.clone())?;
    let mut xml = Xml::default();
    xml.list("instanceStatusSet", page.items, |xml, (instance, phase)| {
        xml.leaf("instanceId", &instance.id);
        xml.leaf("availabilityZone", &instance.zone.name);
        phase.write(xml, "instanceState");
        for (element, since) in [("instanceStatus", instance.impaired.0), ("systemStatus", instance.impaired.1)] {
            xml.node(element, |xml| {
                xml.leaf("status", if since.is_some() { "impaired" } else { "ok" });
                xml.list("details", since, |xml, since| {
                    xml.leaf("name", "reachability");
                    xml.leaf("status", "failed");
                    xml.leaf("impairedSince", text_of(since.div_euclid(1_000_000)));
                });
            });
        }
        xml.list("eventsSet", &instance.event, |xml, (code, at)| {
            xml.leaf("instanceEventId", format!("instance-event-{}", &instance.id[2..]));
            xml.leaf("code", code);
            xml.leaf("description", "The machine is to be seen to.");
            xml.leaf("notBefore", text_of(at.div_euclid(1_000_000)));
        });
    });
    xml.maybe("nextToken", page.next);
    Ok(Answer(xml))
}
