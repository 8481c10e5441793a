//! What can go wrong between a client and EC2, by script or by seed.

use std::time::Duration;

use super::refusal::Refusal;
use crate::rng::SplitMix64;

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request never arrives; the client sees a broken connection.
    LostBefore,
    /// The request is executed, its answer is lost; the client sees a broken connection.
    LostAfter,
    /// It is refused without being executed.
    Refused(Refusal),
    /// It is executed, and the client is told that something broke.
    BrokenAfter,
    /// It waits before it is executed.
    Delay(Duration),
}

impl Fault {
    pub fn throttle() -> Self {
        Self::Refused(Refusal::throttled())
    }

    /// From its name in a script: `throttle`, `internal`, `unavailable`, `lost-before`, `lost-after`, `broken-after`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "throttle" => Self::throttle(),
            "internal" => Self::Refused(Refusal::internal()),
            "unavailable" => Self::Refused(Refusal::unavailable()),
            "lost-before" => Self::LostBefore,
            "lost-after" => Self::LostAfter,
            "broken-after" => Self::BrokenAfter,
            _ => return None,
        })
    }

    /// How the log names it.
    pub(super) fn words(&self) -> String {
        match self {
            Self::LostBefore => "lost before execution".to_owned(),
            Self::LostAfter => "lost after execution".to_owned(),
            Self::Refused(refusal) => format!("refused: {}", refusal.code),
            Self::BrokenAfter => "executed and answered 500".to_owned(),
            Self::Delay(time) => format!("delayed by {} ms", time.as_millis()),
        }
    }
}

/// A fault that befalls some calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// None: any.
    pub action: Option<String>,
    /// So many of those that match are spared at first.
    pub skip: u64,
    /// So many are hit then.
    pub times: u64,
    pub fault: Fault,
}

/// Faults that befall calls by chance.
#[derive(Clone, Debug)]
pub struct Chance {
    /// None named: any.
    pub actions: Vec<String>,
    rng: SplitMix64,
    /// Of a thousand calls.
    per_mille: u64,
    faults: Vec<Fault>,
}

impl Chance {
    pub fn new(seed: u64, per_mille: u64, faults: Vec<Fault>) -> Self {
        Self { actions: Vec::new(), rng: SplitMix64::new(seed), per_mille, faults }
    }
}

/// Every fault that is still to come.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Vec<Rule>,
    chances: Vec<Chance>,
}

impl Faults {
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub fn add_chance(&mut self, chance: Chance) {
        self.chances.push(chance);
    }

    /// Nothing goes wrong any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The fault that befalls this call. The first rule that matches decides.
    pub fn fire(&mut self, action: &str) -> Option<Fault> {
        for rule in &mut self.rules {
            if rule.times == 0 || rule.action.as_deref().is_some_and(|only| only != action) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times -= 1;
            return Some(rule.fault.clone());
        }
        for chance in &mut self.chances {
            let is_meant = chance.actions.is_empty() || chance.actions.iter().any(|only| only == action);
            if is_meant && !chance.faults.is_empty() && chance.rng.below(1000) < chance.per_mille {
                return Some(chance.rng.pick(&chance.faults).clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_spares_and_then_hits_what_it_names() {
        let mut faults = Faults::default();
        faults.add(Rule { action: Some("CreateFleet".into()), skip: 1, times: 2, fault: Fault::LostAfter });
        let fired = ["CreateFleet", "CreateTags", "CreateFleet", "CreateFleet", "CreateFleet"]
            .map(|a| faults.fire(a).is_some());
        assert_eq!(fired, [false, false, true, true, false]);
    }

    #[test]
    fn chance_hits_about_as_often_as_it_says() {
        let mut faults = Faults::default();
        faults.add_chance(Chance::new(7, 100, vec![Fault::throttle()]));
        let n_hit = (0..10_000).filter(|_| faults.fire("DescribeInstances").is_some()).count();
        assert!((800..1200).contains(&n_hit), "{n_hit}");
    }
}
