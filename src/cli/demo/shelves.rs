//! What the cloud of a run sells: kwok's nodes, or machines of an EC2 that is simulated at the wire.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use cloud::catalog::{KwokSettings, UnavailablePattern, kwok};
use planner::model::MicroUsdPerHour;
use sim::ec2::Ec2;

use crate::kwok::Stock;

/// Machines of each pool of EC2.
pub const UNITS: u32 = 60;
/// Calls that a summary names.
const MOST_CALLS: usize = 6;

/// By instance type, zone and capacity type.
pub type Prices = BTreeMap<(String, String, String), MicroUsdPerHour>;

/// The shelves. Clones are the same ones.
#[derive(Clone, Debug)]
pub enum Shelves {
    Kwok(Stock),
    Ec2(Ec2),
}

impl Shelves {
    /// What everything costs.
    pub fn prices(&self) -> Result<Prices> {
        let mut prices = Prices::new();
        match self {
            Self::Kwok(_) => {
                for kind in kwok(&KwokSettings::default())? {
                    for offering in &kind.offerings {
                        let way = offering.capacity_type.as_str().to_owned();
                        prices.insert((kind.name.to_string(), offering.zone.to_string(), way), offering.price);
                    }
                }
            }
            Self::Ec2(ec2) => ec2.locked(|state| {
                let now = state.now();
                for key in state.market.offerings() {
                    let way = key.capacity_type.as_str().to_owned();
                    let price = state.market.price(key, now).unwrap_or_default();
                    prices.insert((key.instance_type.to_string(), key.zone.to_string(), way), price);
                }
            }),
        }
        Ok(prices)
    }

    /// From now on these are out of stock, and nothing else.
    pub fn set_out(&self, patterns: &[String]) -> Result<()> {
        let patterns = patterns.iter().map(|text| UnavailablePattern::parse(text));
        let patterns: Vec<UnavailablePattern> = patterns.collect::<Result<_, _>>()?;
        match self {
            Self::Kwok(stock) => stock.set_out(patterns),
            Self::Ec2(ec2) => ec2.locked(|state| {
                let now = state.now();
                let keys: Vec<_> = state.market.offerings().cloned().collect();
                for key in keys {
                    let is_out = |one: &UnavailablePattern| one.names(&key.instance_type, &key.zone, key.capacity_type);
                    state.market.schedule(&key, now, if patterns.iter().any(is_out) { 0 } else { UNITS });
                }
            }),
        }
        Ok(())
    }

    /// Gives every spot machine its two minutes' notice; how many there are.
    pub fn interrupt(&self) -> Result<usize> {
        let Self::Ec2(ec2) = self else { bail!("only EC2 takes spot machines back") };
        Ok(ec2.interrupt_spot(100).len())
    }

    /// Machines that were given notice and are still there.
    pub fn n_warned(&self) -> usize {
        let Self::Ec2(ec2) = self else { return 0 };
        let is_warned =
            |machine: &&sim::market::Machine| matches!(machine.phase, sim::market::Phase::Interrupted { .. });
        ec2.locked(|state| state.market.machines().filter(is_warned).count())
    }

    /// Whether a machine of this type is there.
    pub fn has(&self, instance_type: &str) -> bool {
        let Self::Ec2(ec2) = self else { return false };
        ec2.machines().iter().any(|machine| &*machine.key.instance_type == instance_type)
    }

    /// What must never be at the end of a run: machines that nobody has ended, claims that got two.
    pub fn breaches(&self) -> Vec<String> {
        let Self::Ec2(ec2) = self else { return Vec::new() };
        let mut breaches: Vec<String> =
            ec2.machines().iter().map(|machine| format!("machine {} was never ended", machine.id)).collect();
        let mut bought: BTreeMap<String, usize> = BTreeMap::new();
        ec2.locked(|state| {
            for machine in state.instances.values() {
                let claim = machine.tags.get("karpenter.sh/nodeclaim").cloned().unwrap_or_default();
                *bought.entry(claim).or_default() += 1;
            }
        });
        let twice = bought.into_iter().filter(|(_, n)| *n > 1);
        breaches.extend(twice.map(|(claim, n)| format!("claim {claim} was given {n} machines")));
        breaches
    }

    /// The calls that were made, most frequent first, and how many came too fast; nothing where none are counted.
    pub fn calls(&self) -> Option<(Vec<(String, u64)>, usize)> {
        let Self::Ec2(ec2) = self else { return None };
        let log = ec2.log();
        let mut calls: Vec<(String, u64)> = log.counts().iter().map(|(action, n)| (action.clone(), *n)).collect();
        calls.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let changing = |action: &str| !action.contains(':') && !action.starts_with("Describe");
        calls.sort_by_key(|(action, _)| !changing(action));
        calls.truncate(MOST_CALLS);
        let too_fast = log.entries().filter(|entry| entry.outcome == "RequestLimitExceeded").count();
        Some((calls, too_fast))
    }
}
