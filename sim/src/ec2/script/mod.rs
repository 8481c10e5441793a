//! A script of what goes wrong and when: faults of calls, stock that runs out, machines that are taken.
//!
//! ```json
//! { "faults": [ { "action": "CreateFleet", "skip": 2, "times": 1, "fault": "lost-after" } ],
//!   "chance": { "seed": 7, "perMille": 20, "actions": ["DescribeInstances"], "faults": ["throttle", "internal"] },
//!   "stock": [ { "offering": "m5.large/us-east-1a/spot", "afterSeconds": 30, "units": 0 } ],
//!   "prices": [ { "offering": "m5.large/*/spot", "afterSeconds": 600, "usd": "0.06" } ],
//!   "interruptions": [ { "afterSeconds": 60, "percent": 50 } ],
//!   "reservations": [ { "id": "cr-1", "instanceType": "p5.48xlarge", "zone": "us-east-1a", "total": 2, "kind": "capacity-block",
//!                       "endsAfterSeconds": 86400, "tags": { "team": "a" } } ],
//!   "placementGroups": [ { "name": "close", "strategy": "cluster" } ],
//!   "zonalShifts": [ { "zone": "us-east-1a", "afterSeconds": 60, "forSeconds": 600 } ] }
//! ```

mod error;
mod land;

use std::time::Duration;

use cloud::catalog::UnavailablePattern;
use planner::model::MicroUsdPerHour;
use serde::Deserialize;

use super::Ec2;
use super::faults::{Chance, Fault, Rule};
use super::refusal::Refusal;
use crate::rng::SplitMix64;

pub use error::ScriptError;

use land::{GroupLine, ReservationLine, ShiftLine};

/// What is to happen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Script {
    faults: Vec<FaultLine>,
    chance: Option<ChanceLine>,
    stock: Vec<StockLine>,
    prices: Vec<PriceLine>,
    reservations: Vec<ReservationLine>,
    placement_groups: Vec<GroupLine>,
    interruptions: Vec<InterruptionLine>,
    zonal_shifts: Vec<ShiftLine>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FaultLine {
    action: Option<String>,
    #[serde(default)]
    skip: u64,
    #[serde(default = "one")]
    times: u64,
    fault: FaultWords,
}

fn one() -> u64 {
    1
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum FaultWords {
    Named(String),
    #[serde(rename_all = "camelCase")]
    Delay {
        delay_seconds: u32,
    },
    Refused {
        code: String,
        status: u16,
        message: String,
    },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChanceLine {
    seed: u64,
    per_mille: u64,
    #[serde(default)]
    actions: Vec<String>,
    faults: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StockLine {
    /// `TYPE/ZONE/CAPACITY_TYPE`; `*` stands for any.
    offering: String,
    #[serde(default)]
    after_seconds: u32,
    units: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PriceLine {
    offering: String,
    #[serde(default)]
    after_seconds: u32,
    /// Dollars per hour.
    usd: String,
}

/// So many of the spot machines that run then get the two minutes' notice.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InterruptionLine {
    after_seconds: u32,
    percent: u64,
}

/// What changes of an offering.
#[derive(Clone, Copy, Debug)]
enum Move {
    Units(u32),
    Price(MicroUsdPerHour),
}

fn pattern(offering: &str, field: impl Fn() -> String) -> Result<UnavailablePattern, ScriptError> {
    let read = UnavailablePattern::parse(offering);
    read.map_err(|error| ScriptError::Offering { field: field(), reason: error.to_string() })
}

impl FaultWords {
    fn read(&self, field: &str) -> Result<Fault, ScriptError> {
        Ok(match self {
            Self::Named(name) => named(name, field)?,
            Self::Delay { delay_seconds } => Fault::Delay(Duration::from_secs(u64::from(*delay_seconds))),
            Self::Refused { code, status, message } => Fault::Refused(Refusal::with_status(*status, code, message)),
        })
    }
}

fn named(name: &str, field: &str) -> Result<Fault, ScriptError> {
    Fault::named(name).ok_or_else(|| ScriptError::Fault { field: field.to_owned(), value: name.to_owned() })
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// When it is no JSON of this form.
    pub fn parse(json: &str) -> Result<Self, ScriptError> {
        Ok(serde_json::from_str(json)?)
    }

    /// Has it happen, counted from now.
    ///
    /// # Errors
    /// When a fault or an offering makes no sense; nothing is changed then.
    pub fn apply(&self, ec2: &Ec2) -> Result<(), ScriptError> {
        let mut rules = Vec::new();
        for (at, line) in self.faults.iter().enumerate() {
            let fault = line.fault.read(&format!("faults[{at}].fault"))?;
            rules.push(Rule { action: line.action.clone(), skip: line.skip, times: line.times, fault });
        }
        let chance = self.chance.as_ref().map(|line| {
            let faults: Result<Vec<Fault>, _> = line.faults.iter().map(|name| named(name, "chance.faults")).collect();
            let mut chance = Chance::new(line.seed, line.per_mille, faults?);
            chance.actions.clone_from(&line.actions);
            Ok::<_, ScriptError>(chance)
        });
        let chance = chance.transpose()?;
        let mut moves = Vec::new();
        for (at, line) in self.stock.iter().enumerate() {
            moves.push((
                pattern(&line.offering, || format!("stock[{at}]"))?,
                line.after_seconds,
                Move::Units(line.units),
            ));
        }
        for (at, line) in self.prices.iter().enumerate() {
            let field = || format!("prices[{at}]");
            let price = MicroUsdPerHour::parse(&line.usd)
                .ok_or_else(|| ScriptError::Price { field: format!("{}.usd", field()), value: line.usd.clone() })?;
            moves.push((pattern(&line.offering, field)?, line.after_seconds, Move::Price(price)));
        }
        let land =
            ec2.locked(|state| land::read(state, &self.reservations, &self.placement_groups, &self.zonal_shifts))?;
        ec2.faults(|faults| {
            for rule in rules {
                faults.add(rule);
            }
            if let Some(chance) = chance {
                faults.add_chance(chance);
            }
        });
        ec2.locked(|state| {
            let now = state.now();
            for (pattern, after, change) in moves {
                let is_meant = |key: &cloud::OfferingKey| {
                    key.reservation.is_none() && pattern.names(&key.instance_type, &key.zone, key.capacity_type)
                };
                let keys: Vec<_> = state.market.offerings().filter(|key| is_meant(key)).cloned().collect();
                let at = now + i64::from(after) * 1_000_000;
                for key in &keys {
                    match change {
                        Move::Units(units) => state.market.schedule(key, at, units),
                        Move::Price(price) => state.market.schedule_price(key, at, price),
                    }
                }
            }
            land.put(state);
        });
        Ok(())
    }

    /// Takes machines when the time comes. Returns when nothing is left to do.
    pub async fn interrupt(&self, ec2: Ec2) {
        let start = tokio::time::Instant::now();
        let mut lines = self.interruptions.clone();
        lines.sort_by_key(|line| line.after_seconds);
        for line in lines {
            tokio::time::sleep_until(start + Duration::from_secs(u64::from(line.after_seconds))).await;
            ec2.interrupt_spot(line.percent);
        }
    }
}

impl Ec2 {
    /// Gives so many in a hundred of the spot machines the two minutes' notice now; their ids.
    pub fn interrupt_spot(&self, percent: u64) -> Vec<String> {
        self.locked(|state| {
            let now = state.now();
            let mut rng = SplitMix64::new(state.options.seed ^ now.unsigned_abs());
            let spot = state.instances.values().filter(|one| one.is_spot() && one.ends_at.is_none());
            let chosen: Vec<String> = spot.filter(|_| rng.chance(percent)).map(|one| one.id.clone()).collect();
            for id in &chosen {
                state.market.interrupt(id, now);
            }
            state.tick();
            chosen
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_makes_no_sense_is_refused_with_what_is_wrong() {
        let read = |json: &str| Script::parse(json).map_err(|error| error.to_string());
        assert!(read(r#"{ "fault": [] }"#).unwrap_err().contains("unknown field `fault`"));
        let script = read(r#"{ "faults": [ { "fault": "lightning" } ] }"#).unwrap();
        let line = &script.faults[0];
        let error = line.fault.read("faults[0].fault").unwrap_err().to_string();
        assert!(error.contains("faults[0].fault \"lightning\" is no fault: write throttle"), "{error}");
    }
}
