//! Machines as EC2 tells of them: found by id, by token, or all of the cluster's; ended, and seen to have ended.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, Instance as Ec2Instance, InstanceStateName};
use planner::model::{CapacityType, Labels, Resources, Str};

use super::call::{again, pages};
use super::client::Clients;
use super::fault::{Fault, Kind};
use super::template::CLUSTER_TAG;
use crate::{Instance, InstanceState};

/// What provider ids begin with; the zone and the instance's id follow.
pub(super) const PREFIX: &str = "aws:///";
/// On every machine: the uid of the claim it was bought for.
pub(super) const TOKEN_TAG: &str = "millwright.dev/nodeclaim-uid";
pub(super) const CLAIM_TAG: &str = "karpenter.sh/nodeclaim";
pub(super) const POOL_TAG: &str = "karpenter.sh/nodepool";
pub(super) const CLASS_TAG: &str = "karpenter.k8s.aws/ec2nodeclass";

/// Machines of a page.
const PAGE: i32 = 1000;
/// The most values of one filter.
pub(super) const MOST_IDS: usize = 200;
/// The states of machines that are there in some way.
const THERE: [&str; 5] = ["pending", "running", "stopping", "stopped", "shutting-down"];

/// `i-…` of a provider id; nothing if it is none of ours.
pub(super) fn id_of(provider_id: &str) -> Option<&str> {
    let id = provider_id.strip_prefix(PREFIX)?.rsplit('/').next()?;
    id.starts_with("i-").then_some(id)
}

pub(super) fn provider_id(zone: &str, id: &str) -> String {
    format!("{PREFIX}{zone}/{id}")
}

fn filter(name: &str, values: impl IntoIterator<Item = String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().collect())).build()
}

/// Every machine that was bought for the cluster and is there in some way.
pub(super) async fn of_cluster(clients: &Clients, cluster: &str) -> Result<Vec<Instance>, Fault> {
    let filters = vec![
        filter("tag-key", [POOL_TAG.to_owned()]),
        filter("tag-key", [CLASS_TAG.to_owned()]),
        filter(&format!("tag:{CLUSTER_TAG}"), [cluster.to_owned()]),
        filter("instance-state-name", THERE.map(str::to_owned)),
    ];
    find(clients, filters).await
}

/// The machine bought under a token, even one that has ended if there is no other.
pub(super) async fn of_token(clients: &Clients, token: &str) -> Result<Option<Instance>, Fault> {
    let filters = vec![filter(&format!("tag:{TOKEN_TAG}"), [token.to_owned()])];
    let found = find(clients, filters).await?.into_iter();
    Ok(found.min_by_key(|instance| (!is_alive(instance.state), instance.launched_at)))
}

/// Whether a machine may still become a node, or is one.
pub(super) fn is_alive(state: InstanceState) -> bool {
    matches!(state, InstanceState::Pending | InstanceState::Running)
}

/// A machine that EC2 tells of.
#[derive(Clone, Debug)]
pub(super) enum Found {
    There(Box<Instance>),
    /// It is still listed, for an hour or so, and nothing is left of it.
    Ended,
}

/// Machines by id; those EC2 does not know, or no longer, are not in it. A filter and not a list of ids: one unknown id
/// would refuse the whole call.
pub(super) async fn by_ids(clients: &Clients, ids: Vec<String>) -> Result<BTreeMap<String, Found>, Fault> {
    let mut found = BTreeMap::new();
    for ids in ids.chunks(MOST_IDS) {
        for machine in find_all(clients, vec![filter("instance-id", ids.iter().cloned())]).await? {
            let Some(id) = machine.instance_id() else { continue };
            let state = machine.state().and_then(|state| state.name());
            if state == Some(&InstanceStateName::Terminated) {
                found.insert(id.to_owned(), Found::Ended);
            } else if let Some(instance) = read(&machine) {
                found.insert(id.to_owned(), Found::There(Box::new(instance)));
            }
        }
    }
    Ok(found)
}

async fn find(clients: &Clients, filters: Vec<Filter>) -> Result<Vec<Instance>, Fault> {
    Ok(find_all(clients, filters).await?.iter().filter_map(read).collect())
}

async fn find_all(clients: &Clients, filters: Vec<Filter>) -> Result<Vec<Ec2Instance>, Fault> {
    let mut found = Vec::new();
    let send = |token| {
        let call = clients.ec2.describe_instances().max_results(PAGE).set_next_token(token);
        call.set_filters(Some(filters.clone())).send()
    };
    pages(clients, "ec2:DescribeInstances", send, |page| {
        let reservations = page.reservations.unwrap_or_default();
        found.extend(reservations.into_iter().flat_map(|one| one.instances.unwrap_or_default()));
        page.next_token
    })
    .await?;
    Ok(found)
}

/// Asks for the end of machines; what EC2 says of each. A call that one unknown id spoilt is made again for each alone.
pub(super) async fn end(clients: &Clients, ids: Vec<String>) -> BTreeMap<String, Result<(), Fault>> {
    let asked = again(clients, "ec2:TerminateInstances", || {
        clients.ec2.terminate_instances().set_instance_ids(Some(ids.clone())).send()
    });
    match asked.await {
        Ok(_) => ids.into_iter().map(|id| (id, Ok(()))).collect(),
        Err(fault) if ids.len() == 1 || matches!(fault.kind, Kind::Throttled | Kind::Unreachable) => {
            ids.into_iter().map(|id| (id, Err(fault.clone()))).collect()
        }
        Err(_) => {
            let mut answers = BTreeMap::new();
            for id in ids {
                let alone = again(clients, "ec2:TerminateInstances", || {
                    clients.ec2.terminate_instances().instance_ids(&id).send()
                });
                let answer = alone.await.map(drop);
                answers.insert(id, answer);
            }
            answers
        }
    }
}

/// A machine in our words; nothing for one without an id or a place.
fn read(instance: &Ec2Instance) -> Option<Instance> {
    let tag = |key: &str| {
        let tag = instance.tags().iter().find(|tag| tag.key() == Some(key));
        tag.and_then(|tag| tag.value()).map(Str::from)
    };
    let zone: Str = instance.placement()?.availability_zone()?.into();
    let preference = instance.capacity_reservation_specification();
    let preference = preference
        .and_then(|one| one.capacity_reservation_preference())
        .map(aws_sdk_ec2::types::CapacityReservationPreference::as_str);
    // Without this preference a machine may be in an open reservation by chance; it was not bought from it.
    let reservation = instance.capacity_reservation_id().filter(|_| preference == Some("capacity-reservations-only"));
    let capacity_type = match (instance.spot_instance_request_id(), reservation) {
        (Some(_), _) => CapacityType::Spot,
        (None, Some(_)) => CapacityType::Reserved,
        (None, None) => CapacityType::OnDemand,
    };
    Some(Instance {
        provider_id: provider_id(&zone, instance.instance_id()?).into(),
        token: tag(TOKEN_TAG),
        claim: tag(CLAIM_TAG),
        state: match instance.state().and_then(|state| state.name()) {
            Some(InstanceStateName::Pending) => InstanceState::Pending,
            Some(InstanceStateName::Running) => InstanceState::Running,
            Some(InstanceStateName::Stopping | InstanceStateName::Stopped) => InstanceState::Stopped,
            _ => InstanceState::Terminating,
        },
        instance_type: instance.instance_type()?.as_str().into(),
        zone,
        capacity_type,
        reservation: reservation.map(Str::from),
        image: instance.image_id().map(Str::from),
        subnet: instance.subnet_id().map(Str::from),
        security_groups: {
            let mut groups: Vec<Str> =
                instance.security_groups().iter().filter_map(|group| group.group_id().map(Str::from)).collect();
            groups.sort();
            groups
        },
        labels: Labels::new(),
        tags: instance.tags().iter().filter_map(|tag| Some((tag.key()?.into(), tag.value()?.into()))).collect(),
        annotations: Labels::new(),
        capacity: Resources::default(),
        allocatable: Resources::default(),
        launched_at: instance.launch_time().map_or(0, aws_smithy_types::DateTime::secs),
        refused: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_id_names_the_zone_and_the_machine() {
        assert_eq!(id_of("aws:///us-west-2a/i-0123"), Some("i-0123"));
        assert_eq!(id_of(&provider_id("z", "i-9")), Some("i-9"));
        assert_eq!(id_of("kwok://node"), None);
        assert_eq!(id_of("aws:///us-west-2a/"), None);
    }
}
