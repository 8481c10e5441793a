//! Placement groups: machines close together, apart, or in partitions.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/placement-strategies.html>

use cloud::catalog::TypeRow;

use super::filter::Filters;
use super::holdings::PlacementGroup;
use super::params::Params;
use super::refusal::Refusal;
use super::state::{Answer, State};
use super::xml::Xml;

/// The most machines of a spread group in one zone, and the most partitions of a group in one.
const MOST_APART: usize = 7;

/// Where in a group a machine is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub group: String,
    pub partition: Option<u32>,
}

impl State {
    /// The partition that a machine gets; none outside of groups with partitions.
    ///
    /// # Errors
    /// Code and message of why the group does not take a machine of this type in this zone now.
    pub fn place(&self, wanted: &Wanted, row: &TypeRow, zone: &str) -> Result<Option<u32>, (&'static str, String)> {
        let id = &wanted.group;
        let Some(group) = self.placement_groups.values().find(|group| group.id == *id) else {
            return Err(("InvalidPlacementGroup.Unknown", format!("The Placement Group '{id}' is unknown.")));
        };
        if !row.placement.contains(&group.strategy) {
            let message =
                format!("{} placement groups are not supported by the '{}' instance type", group.strategy, row.name);
            return Err(("InvalidParameterCombination", message));
        }
        let in_group = |one: &&super::instance::Instance| one.placement.as_ref().is_some_and(|(of, _)| of == id);
        let members = self.instances.values().filter(|one| one.ends_at.is_none()).filter(in_group);
        let full = |why: &str| {
            let message =
                format!("We currently do not have sufficient capacity in the placement group '{}': {why}", group.name);
            Err(("InsufficientInstanceCapacity", message))
        };
        match (group.strategy.as_str(), wanted.partition) {
            (other, Some(_)) if other != "partition" => {
                let message = format!("A partition number goes with no placement group of the strategy {other}");
                Err(("InvalidParameterCombination", message))
            }
            ("cluster", _) => match members.map(|one| &one.zone.name).find(|there| *there != zone) {
                Some(there) => full(&format!("its machines are in {there}")),
                None => Ok(None),
            },
            ("spread", _) => match members.filter(|one| one.zone.name == zone).count() {
                n if n >= MOST_APART => full(&format!("it has {n} machines in {zone}")),
                _ => Ok(None),
            },
            (_, partition) => {
                let n_partitions = group.n_partitions.unwrap_or(1);
                if let Some(odd) = partition.filter(|at| !(1..=n_partitions).contains(at)) {
                    let message = format!("The partition number {odd} is not between 1 and {n_partitions}");
                    return Err(("InvalidParameterValue", message));
                }
                let mut n_in = vec![0_usize; usize::try_from(n_partitions).unwrap_or(1).min(MOST_APART)];
                let taken = members.filter_map(|one| usize::try_from(one.placement.as_ref()?.1?).ok());
                for at in taken {
                    let last = n_in.len();
                    n_in[at.clamp(1, last) - 1] += 1;
                }
                // Nobody asked for one: that with the fewest machines.
                let emptiest = (1..).zip(&n_in).min_by_key(|(_, n)| **n).map(|(at, _)| at);
                Ok(partition.or(emptiest))
            }
        }
    }
}

pub const DESCRIBE: &[&str] = &["GroupId.#", "GroupName.#", "Filter.#.Name", "Filter.#.Value.#", "DryRun"];

/// `DescribePlacementGroups`.
pub fn describe(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let (ids, names) = (params.texts("GroupId"), params.texts("GroupName"));
    let filters = Filters::read::<PlacementGroup>(params)?;
    let groups = || state.placement_groups.values();
    let unknown_id = ids.iter().find(|id| !groups().any(|group| group.id == **id));
    let unknown_name = names.iter().find(|name| !groups().any(|group| group.name == **name));
    if let Some(unknown) = unknown_id.or(unknown_name) {
        let message = format!("The Placement Group '{unknown}' is unknown.");
        return Err(Refusal::new("InvalidPlacementGroup.Unknown", message));
    }
    let mut xml = Xml::default();
    let mut found = Vec::new();
    for group in groups() {
        let is_named =
            (ids.is_empty() || ids.contains(&&*group.id)) && (names.is_empty() || names.contains(&&*group.name));
        if filters.matches(group)? && is_named {
            found.push(group);
        }
    }
    xml.list("placementGroupSet", found, |xml, group| {
        xml.leaf("groupId", &group.id);
        xml.leaf("groupName", &group.name);
        xml.leaf("state", "available");
        xml.leaf("strategy", &group.strategy);
        xml.maybe("partitionCount", group.n_partitions);
        xml.tags(&group.tags);
    });
    Ok(Answer(xml))
}
