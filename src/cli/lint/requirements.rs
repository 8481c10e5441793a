//! Requirements of pools and overlays against what there is to buy.

use planner::model::labels::{CAPACITY_TYPE, ZONE, normalize, restricted, well_known};
use planner::model::{CapacityType, InstanceType, Labels, Operator, Requirement, Requirements};

use super::super::market::{keys, values};
use super::super::near::near;
use super::super::text::some;
use super::{Finding, Level, Mistake, Subject};
use crate::observe::k8s::karpenter::NodeRequirement;

/// Where a list of requirements stands and what it is held against.
pub struct Asked<'a> {
    pub subject: Subject<'a>,
    /// Path of the list.
    pub field: &'static str,
    pub list: &'a [NodeRequirement],
    /// The same, merged.
    pub merged: &'a Requirements,
    pub labels: &'a Labels,
    pub types: &'a [InstanceType],
}

/// Labels nobody has, values nothing has, keys that exclude themselves, old spellings.
pub fn findings(asked: &Asked<'_>) -> Vec<Finding> {
    let mut out = Vec::new();
    let known = keys(asked.types);
    for (at, written) in asked.list.iter().enumerate() {
        let field = format!("{}[{at}]", asked.field);
        let key: &str = normalize(&written.key);
        if key != &*written.key {
            let message = format!("{} is an old spelling", written.key);
            out.push(asked.finding(Level::Warning, Mistake::DeprecatedLabel, &field, message, format!("write {key}")));
        }
        if restricted(key) {
            let message = format!("{key} may not be asked for: Karpenter sets it itself");
            out.push(asked.finding(Level::Error, Mistake::RestrictedLabel, &field, message, "remove the requirement"));
            continue;
        }
        let meant = near(key, known.iter().copied().filter(|candidate| *candidate != key), 1);
        if known.contains(key) {
            out.extend(asked.unknown_values(&field, key, written));
        } else if well_known(key) && !asked.types.is_empty() && asked.needs(key) {
            let message = format!("no instance type of this node class has the label {key}");
            out.push(asked.finding(
                Level::Error,
                Mistake::UnknownLabel,
                &field,
                message,
                suggestion(&meant, "remove it"),
            ));
        } else if let [meant] = meta_like(&meant, key)[..] {
            let message = format!("{key} is a label of your own, and looks like {meant}");
            let remedy = format!("write {meant} if that is meant");
            out.push(asked.finding(Level::Warning, Mistake::UnknownLabel, &field, message, remedy));
        }
    }
    out.extend(asked.contradictions());
    out
}

/// A near key is only worth a word if it is nearly the same, not merely longer.
fn meta_like<'a>(meant: &[&'a str], key: &str) -> Vec<&'a str> {
    meant.iter().copied().filter(|candidate| candidate.len().abs_diff(key.len()) <= 2).collect()
}

fn suggestion(meant: &[&str], otherwise: &str) -> String {
    meant.first().map_or_else(|| otherwise.to_string(), |meant| format!("did you mean {meant}?"))
}

impl Asked<'_> {
    /// Capacity types that exist and are not on sale here: spot without prices, reserved without reservations.
    fn unpriced(&self, field: &str, missing: &[&str], n_listed: usize) -> Option<Finding> {
        let only = missing.len() == n_listed;
        let spot = missing.contains(&CapacityType::Spot.as_str());
        // A pool that falls back to another capacity type is as it should be where nothing is reserved.
        if !only && !spot {
            return None;
        }
        let level = if only { Level::Error } else { Level::Info };
        let message = format!("no {} capacity is on sale here", missing.join(" nor "));
        let remedy = if spot { "give spot prices with --prices FILE" } else { "allow on-demand beside it" };
        Some(self.finding(level, Mistake::UnknownValue, field, message, remedy))
    }

    fn finding(
        &self,
        level: Level,
        code: Mistake,
        field: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        self.subject.finding(level, code, field, message, remedy)
    }

    /// Must a node have the label?
    fn needs(&self, key: &str) -> bool {
        self.merged.get(key).is_some_and(Requirement::wants_label)
    }

    /// Values that nothing has, or bounds that nothing meets, in one entry.
    fn unknown_values(&self, field: &str, key: &str, written: &NodeRequirement) -> Option<Finding> {
        let own = Requirement::new(key, Operator::parse(&written.operator)?, written.values.iter().cloned());
        let sold = values(self.types, key);
        if sold.is_empty() || !own.wants_label() || own.is_contradiction() {
            return None;
        }
        let all: Vec<&str> = sold.iter().copied().collect();
        let Some(listed) = own.concrete() else {
            let message = format!("no instance type has {key} {} {}", written.operator, some(&written.values, 5));
            let remedy = format!("there are {}", some(&all, 8));
            let nothing = !sold.iter().any(|value| own.has(value));
            return nothing.then(|| self.finding(Level::Error, Mistake::UnknownValue, field, message, remedy));
        };
        let unknown: Vec<&str> = listed.iter().map(AsRef::as_ref).filter(|value| !sold.contains(value)).collect();
        let first = unknown.first()?;
        if key == CAPACITY_TYPE && unknown.iter().all(|value| CapacityType::parse(value).is_some()) {
            return self.unpriced(field, &unknown, listed.len());
        }
        let level = if unknown.len() == listed.len() { Level::Error } else { Level::Warning };
        let meant = near(first, all.iter().copied(), 1);
        let remedy = suggestion(&meant, &format!("use {}", some(&all, 8)));
        let shown = some(&unknown, 5);
        let (code, message) = if key == ZONE {
            (Mistake::ImpossibleZone, format!("nothing is sold in {shown}"))
        } else {
            (Mistake::UnknownValue, format!("no instance type has {key} {shown}"))
        };
        Some(self.finding(level, code, field, message, remedy))
    }

    fn contradictions(&self) -> Vec<Finding> {
        let mut all = self.merged.clone();
        all.add_all(&Requirements::of_labels(self.labels));
        let crossed = |r: &&Requirement| r.is_contradiction() || self.says_yes_and_no(&r.key);
        let finding = |r: &Requirement| {
            let lines: Vec<String> = self
                .list
                .iter()
                .filter(|written| normalize(&written.key) == &*r.key)
                .map(|written| format!("{} {}", written.operator, some(&written.values, 5)).trim().to_string())
                .collect();
            let label = self.labels.get(&r.key).map(|value| format!("label {value}"));
            let both: Vec<String> = lines.into_iter().chain(label).collect();
            let message = format!("no value of {} satisfies {}", r.key, both.join(" and "));
            self.finding(Level::Error, Mistake::ContradictoryRequirements, self.field, message, "keep one of them")
        };
        all.iter().filter(crossed).map(finding).collect()
    }

    /// `DoesNotExist` beside an operator that wants the label.
    fn says_yes_and_no(&self, key: &str) -> bool {
        let mut same = self.list.iter().filter(|written| normalize(&written.key) == key);
        let absent = same.clone().any(|written| &*written.operator == "DoesNotExist");
        absent && same.any(|written| !matches!(&*written.operator, "DoesNotExist" | "NotIn"))
    }
}
