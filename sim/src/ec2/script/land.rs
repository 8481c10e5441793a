//! What a script puts into the account: capacity reservations, placement groups, zonal shifts.

use serde::Deserialize;

use super::super::filter::Tags;
use super::super::holdings::{BLOCK, PlacementGroup, Reservation, Shift};
use super::super::state::State;
use super::error::ScriptError;

/// A capacity reservation of a script.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReservationLine {
    id: String,
    instance_type: String,
    zone: String,
    total: u32,
    #[serde(default = "usual")]
    kind: String,
    #[serde(default = "targeted")]
    criteria: String,
    starts_after_seconds: Option<u32>,
    ends_after_seconds: Option<u32>,
    #[serde(default)]
    interruptible: bool,
    #[serde(default)]
    tags: Tags,
}

fn usual() -> String {
    "default".to_owned()
}

fn targeted() -> String {
    "targeted".to_owned()
}

/// A placement group of a script; its id is `pg-NAME`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupLine {
    name: String,
    strategy: String,
    partitions: Option<u32>,
    #[serde(default)]
    tags: Tags,
}

/// A zone of a script that the cluster is moved away from.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShiftLine {
    zone: String,
    #[serde(default)]
    after_seconds: u32,
    for_seconds: u32,
}

/// What was read and makes sense.
#[derive(Debug)]
pub struct Things(Vec<Reservation>, Vec<PlacementGroup>, Vec<Shift>);

fn one_of(field: String, value: &str, known: &[&str]) -> Result<(), ScriptError> {
    if known.contains(&value) {
        return Ok(());
    }
    let known = known.iter().map(|one| (*one).to_owned()).collect();
    Err(ScriptError::Unknown { field, value: value.to_owned(), known })
}

/// Reads what is to be there.
pub fn read(
    state: &State,
    reservations: &[ReservationLine],
    groups: &[GroupLine],
    shifts: &[ShiftLine],
) -> Result<Things, ScriptError> {
    let now = state.seconds();
    let mut things = Things(Vec::new(), Vec::new(), Vec::new());
    let zone_of = |field: String, name: &str| {
        let found = state.land.zones.iter().find(|zone| zone.name == name);
        found.cloned().ok_or_else(|| {
            let known = state.land.zones.iter().map(|zone| zone.name.clone()).collect();
            ScriptError::Unknown { field, value: name.to_owned(), known }
        })
    };
    for (at, line) in reservations.iter().enumerate() {
        let field = |name: &str| format!("reservations[{at}].{name}");
        let zone = zone_of(field("zone"), &line.zone)?;
        if !state.is_sold(&line.instance_type, &line.zone) {
            let known = vec![format!("the types that are sold in {}", line.zone)];
            return Err(ScriptError::Unknown {
                field: field("instanceType"),
                value: line.instance_type.clone(),
                known,
            });
        }
        one_of(field("kind"), &line.kind, &["default", BLOCK])?;
        one_of(field("criteria"), &line.criteria, &["open", "targeted"])?;
        let after = |seconds: Option<u32>| seconds.map(|seconds| now + i64::from(seconds));
        things.0.push(Reservation {
            kind: line.kind.clone(),
            criteria: line.criteria.clone(),
            starts_at: after(line.starts_after_seconds),
            ends_at: after(line.ends_after_seconds),
            interruptible: line.interruptible,
            tags: line.tags.clone(),
            ..Reservation::new(&line.id, &line.instance_type, zone, line.total)
        });
    }
    for (at, line) in groups.iter().enumerate() {
        one_of(format!("placementGroups[{at}].strategy"), &line.strategy, &["cluster", "spread", "partition"])?;
        things.1.push(PlacementGroup {
            id: format!("pg-{}", line.name),
            name: line.name.clone(),
            strategy: line.strategy.clone(),
            n_partitions: line.partitions,
            tags: line.tags.clone(),
        });
    }
    for (at, line) in shifts.iter().enumerate() {
        let starts_at = now + i64::from(line.after_seconds);
        let zone_id = zone_of(format!("zonalShifts[{at}].zone"), &line.zone)?.id;
        things.2.push(Shift { zone_id, starts_at, ends_at: starts_at + i64::from(line.for_seconds) });
    }
    Ok(things)
}

impl Things {
    /// Puts it there.
    pub fn put(self, state: &mut State) {
        for reservation in self.0 {
            state.reserve(reservation);
        }
        state.shifts.extend(self.2);
        state.placement_groups.extend(self.1.into_iter().map(|group| (group.id.clone(), group)));
    }
}
