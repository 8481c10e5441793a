//! Zones that the cluster is moved away from, as ARC (Application Recovery Controller) tells, and what still holds in them.
//!
//! <https://docs.aws.amazon.com/eks/latest/userguide/zone-shift.html>. While a zone is shifted EC2 may not be itself there: what
//! was last seen of its machines counts, and nothing is asked of EC2 about them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use aws_sdk_arczonalshift::types::AppliedStatus;
use planner::model::Str;

use super::call::again;
use super::client::Clients;
use super::fault::Fault;
use super::instances::PREFIX;
use crate::Instance;

/// The most machines of which it is remembered what they were.
const MOST_SEEN: usize = 20_000;

/// Ids of zones that are shifted, and until when, in seconds since 1970.
pub type Shifted = BTreeMap<Str, i64>;

/// Asks which zones the cluster `arn` is moved away from at `now`.
///
/// # Errors
/// When ARC cannot be asked, or does not know the cluster.
pub async fn ask(clients: &Clients, arn: &str, now: i64) -> Result<Shifted, Fault> {
    let answer = again(clients, "arc-zonal-shift:GetManagedResource", || {
        clients.zonal_shift.get_managed_resource().resource_identifier(arn).send()
    })
    .await?;
    let in_force = answer.zonal_shifts().iter().filter(|shift| *shift.applied_status() == AppliedStatus::Applied);
    let until = in_force.map(|shift| (Str::from(shift.away_from()), shift.expiry_time().secs()));
    Ok(until.filter(|(_, until)| *until > now).collect())
}

/// What is shifted now, from what was and what ARC tells, if it told anything. An empty answer ends all; a zone that is missing
/// while others are told stays until its time is over.
pub fn renewed(known: &Shifted, told: Option<Shifted>, now: i64) -> Shifted {
    if told.as_ref().is_some_and(Shifted::is_empty) {
        return Shifted::new();
    }
    let mut all: Shifted = known.iter().filter(|(_, until)| **until > now).map(|(id, at)| (id.clone(), *at)).collect();
    all.extend(told.unwrap_or_default());
    all
}

/// Zones, by name, that nothing is asked about.
#[derive(Debug, Default)]
pub(super) struct Quiet(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    zones: BTreeSet<Str>,
    /// Machines by provider id, as last seen. Kept only if zones may become quiet.
    seen: Option<BTreeMap<Str, Instance>>,
}

impl Quiet {
    fn locked<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on, remembers machines.
    pub fn expect(&self) {
        self.locked(|inner| {
            inner.seen.get_or_insert_default();
        });
    }

    pub fn set(&self, zones: BTreeSet<Str>) {
        self.locked(|inner| inner.zones = zones);
    }

    /// The zone of a machine, if nothing is asked about it.
    pub fn zone_of(&self, provider_id: &str) -> Option<Str> {
        let zone = provider_id.strip_prefix(PREFIX)?.split('/').next()?;
        self.locked(|inner| inner.zones.get(zone).cloned())
    }

    /// What was last seen of a machine.
    pub fn last(&self, provider_id: &str) -> Option<Instance> {
        self.locked(|inner| inner.seen.as_ref()?.get(provider_id).cloned())
    }

    /// A machine was seen.
    pub fn saw(&self, instance: &Instance) {
        self.locked(|inner| {
            if let Some(seen) = inner.seen.as_mut().filter(|seen| seen.len() < MOST_SEEN) {
                seen.insert(instance.provider_id.clone(), instance.clone());
            }
        });
    }

    /// All machines were listed: what is missing in quiet zones is added as it was last seen.
    pub fn saw_all(&self, listed: &mut Vec<Instance>) {
        self.locked(|inner| {
            let Inner { zones, seen: Some(seen) } = inner else { return };
            let there: BTreeSet<Str> = listed.iter().map(|one| one.provider_id.clone()).collect();
            let is_missed = |one: &Instance| zones.contains(&one.zone) && !there.contains(&one.provider_id);
            listed.extend(seen.values().filter(|one| is_missed(one)).cloned());
            *seen = listed.iter().take(MOST_SEEN).map(|one| (one.provider_id.clone(), one.clone())).collect();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shifted(all: &[(&str, i64)]) -> Shifted {
        all.iter().map(|(id, until)| ((*id).into(), *until)).collect()
    }

    #[test]
    fn an_empty_answer_ends_all_shifts_and_a_missing_zone_stays_until_its_time() {
        let known = shifted(&[("az1", 100), ("az2", 50)]);
        for (told, now, want) in [
            (Some(shifted(&[])), 10, shifted(&[])),
            (Some(shifted(&[("az3", 90)])), 10, shifted(&[("az1", 100), ("az2", 50), ("az3", 90)])),
            (Some(shifted(&[("az3", 90)])), 50, shifted(&[("az1", 100), ("az3", 90)])),
            // Made longer.
            (Some(shifted(&[("az1", 200)])), 60, shifted(&[("az1", 200)])),
            // ARC was silent.
            (None, 60, shifted(&[("az1", 100)])),
            (None, 100, shifted(&[])),
        ] {
            assert_eq!(renewed(&known, told, now), want);
        }
    }
}
