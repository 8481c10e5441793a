//! The label algebra: what one key, and a set of keys, may be; eight operators, intersection, `minValues`.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::labels::normalize;
use super::{Labels, Str};

/// The operators of a node requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Gt,
    Lt,
    Gte,
    Lte,
}

impl Operator {
    /// By its API name.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "In" => Self::In,
            "NotIn" => Self::NotIn,
            "Exists" => Self::Exists,
            "DoesNotExist" => Self::DoesNotExist,
            "Gt" => Self::Gt,
            "Lt" => Self::Lt,
            "Gte" => Self::Gte,
            "Lte" => Self::Lte,
            _ => return None,
        })
    }
}

/// What the value of one label key may be: a set of values or the complement of one, within optional integer bounds.
///
/// `present` tells whether a node without the label fails: it does for `In`, `Exists` and the numeric operators, and it does
/// not for `NotIn` and `DoesNotExist`. Intersections keep it, so `Exists` ∧ `NotIn` still wants the label to be there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Requirement {
    pub key: Str,
    complement: bool,
    values: BTreeSet<Str>,
    gte: Option<i64>,
    lte: Option<i64>,
    present: bool,
    /// How many distinct values the offerings of a launch must keep (`NodePool` requirements only).
    pub min_values: Option<u32>,
}

impl Requirement {
    /// A requirement on `key` (aliases are normalised). Numeric operators take one integer; anything else satisfies nothing.
    pub fn new<S: Into<Str>>(key: &str, operator: Operator, values: impl IntoIterator<Item = S>) -> Self {
        let values: BTreeSet<Str> = values.into_iter().map(Into::into).collect();
        let number = || values.first().and_then(|v| v.parse::<i64>().ok());
        let mut out = Self {
            key: normalize(key).into(),
            complement: true,
            values: BTreeSet::new(),
            gte: None,
            lte: None,
            present: true,
            min_values: None,
        };
        match operator {
            Operator::In => (out.complement, out.values) = (false, values),
            Operator::NotIn => (out.present, out.values) = (false, values),
            Operator::Exists => {}
            Operator::DoesNotExist => (out.complement, out.present) = (false, false),
            Operator::Gt => match number().and_then(|n| n.checked_add(1)) {
                Some(n) => out.gte = Some(n),
                None => out.complement = false,
            },
            Operator::Lt => match number().and_then(|n| n.checked_sub(1)) {
                Some(n) => out.lte = Some(n),
                None => out.complement = false,
            },
            Operator::Gte => match number() {
                Some(n) => out.gte = Some(n),
                None => out.complement = false,
            },
            Operator::Lte => match number() {
                Some(n) => out.lte = Some(n),
                None => out.complement = false,
            },
        }
        out
    }

    /// `key` must be exactly `value`.
    pub fn equal(key: &str, value: impl Into<Str>) -> Self {
        Self::new(key, Operator::In, [value])
    }

    /// Does a node whose label has `value` (`None`: no such label) satisfy it?
    pub fn allows(&self, value: Option<&str>) -> bool {
        value.map_or(!self.present, |value| self.has(value))
    }

    /// Is `value` one of the allowed ones?
    pub fn has(&self, value: &str) -> bool {
        if self.values.contains(value) == self.complement {
            return false;
        }
        if self.gte.is_none() && self.lte.is_none() {
            return true;
        }
        value.parse::<i64>().is_ok_and(|n| self.gte.is_none_or(|low| n >= low) && self.lte.is_none_or(|high| n <= high))
    }

    /// Must the label be there?
    pub fn wants_label(&self) -> bool {
        self.present
    }

    /// The operator that describes it best; bounded ones report `Exists` or `NotIn`.
    pub fn operator(&self) -> Operator {
        match (self.complement, self.values.is_empty()) {
            (true, true) => Operator::Exists,
            (true, false) => Operator::NotIn,
            (false, true) => Operator::DoesNotExist,
            (false, false) => Operator::In,
        }
    }

    /// The listed values, when it is a concrete set.
    pub fn concrete(&self) -> Option<&BTreeSet<Str>> {
        (!self.complement).then_some(&self.values)
    }

    /// The values that it names, to allow them or to leave them out.
    pub fn named(&self) -> &BTreeSet<Str> {
        &self.values
    }

    /// The only allowed value, if there is just one.
    pub fn single(&self) -> Option<&Str> {
        (!self.complement && self.values.len() == 1).then(|| self.values.first()).flatten()
    }

    /// Can nothing satisfy it, not even a missing label?
    pub fn is_contradiction(&self) -> bool {
        let crossed = matches!((self.gte, self.lte), (Some(low), Some(high)) if low > high);
        self.present && (crossed || (!self.complement && self.values.is_empty()))
    }

    /// Both at once.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let gte = self.gte.max(other.gte);
        let lte = match (self.lte, other.lte) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let mut out = Self {
            key: self.key.clone(),
            complement: self.complement && other.complement,
            values: BTreeSet::new(),
            gte,
            lte,
            present: self.present || other.present,
            min_values: self.min_values.max(other.min_values),
        };
        if out.complement {
            out.values = self.values.union(&other.values).cloned().collect();
            if matches!((gte, lte), (Some(low), Some(high)) if low > high) {
                (out.complement, out.values, out.gte, out.lte) = (false, BTreeSet::new(), None, None);
            }
        } else {
            let (concrete, test) = if self.complement { (other, self) } else { (self, other) };
            out.values = concrete.values.iter().filter(|v| concrete.has(v) && test.has(v)).cloned().collect();
            (out.gte, out.lte) = (None, None);
        }
        out
    }

    /// Is there a node that satisfies both?
    pub fn intersects(&self, other: &Self) -> bool {
        let both = self.intersect(other);
        !both.is_contradiction()
    }

    /// A value that satisfies it: the smallest listed one; for open ones the lower bound, or `free` extended until it fits.
    pub fn any(&self, free: &str) -> Option<Str> {
        if !self.complement {
            return self.values.first().cloned();
        }
        if self.gte.is_some() || self.lte.is_some() {
            let low = self.gte.unwrap_or_else(|| self.lte.map_or(0, |high| high.min(0)));
            return (low..=low.saturating_add(i64::try_from(self.values.len()).unwrap_or(i64::MAX - 1) + 1))
                .map(|n| n.to_string())
                .find(|n| self.has(n))
                .map(Into::into);
        }
        let mut value = free.to_string();
        while self.values.contains(value.as_str()) {
            value.push('x');
        }
        Some(value.into())
    }

    /// As API entries: (operator, values). Both bounds give two entries.
    pub fn entries(&self) -> Vec<(Operator, Vec<Str>)> {
        let mut out = Vec::new();
        if let Some(low) = self.gte {
            out.push((Operator::Gte, vec![low.to_string().into()]));
        }
        if let Some(high) = self.lte {
            out.push((Operator::Lte, vec![high.to_string().into()]));
        }
        if out.is_empty() || !self.values.is_empty() {
            out.push((self.operator(), self.values.iter().cloned().collect()));
        }
        out
    }
}

impl Requirement {
    /// As a pod writes it, which knows the bounds of numbers as `Gt` and `Lt` only.
    pub fn of_pod(&self) -> String {
        let strict = |(operator, values): (Operator, Vec<Str>)| -> (Operator, Vec<Str>) {
            let number = values.first().and_then(|v| v.parse::<i64>().ok());
            match (operator, number) {
                (Operator::Gte, Some(n)) => (Operator::Gt, vec![n.saturating_sub(1).to_string().into()]),
                (Operator::Lte, Some(n)) => (Operator::Lt, vec![n.saturating_add(1).to_string().into()]),
                _ => (operator, values),
            }
        };
        self.text(self.entries().into_iter().map(strict))
    }

    fn text(&self, entries: impl Iterator<Item = (Operator, Vec<Str>)>) -> String {
        let one = |(operator, values): (Operator, Vec<Str>)| {
            if values.is_empty() {
                return format!("{} {operator:?}", self.key);
            }
            let shown: Vec<&str> = values.iter().take(8).map(AsRef::as_ref).collect();
            let more = if values.len() > 8 { format!(" and {} more", values.len() - 8) } else { String::new() };
            format!("{} {operator:?} [{}{more}]", self.key, shown.join(" "))
        };
        entries.map(one).collect::<Vec<String>>().join(" and ")
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(self.entries().into_iter()))
    }
}

/// Requirements on several keys, all of which must hold. A missing key allows everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Requirements(BTreeMap<Str, Requirement>);

impl Requirements {
    /// No requirement at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Each label must have just this value.
    pub fn of_labels(labels: &Labels) -> Self {
        labels.iter().map(|(key, value)| Requirement::equal(key, value.clone())).collect()
    }

    /// Adds one, intersecting with what is there.
    pub fn add(&mut self, requirement: Requirement) {
        match self.0.get_mut(&requirement.key) {
            Some(have) => *have = have.intersect(&requirement),
            None => drop(self.0.insert(requirement.key.clone(), requirement)),
        }
    }

    /// Adds all of `other`.
    pub fn add_all(&mut self, other: &Self) {
        for requirement in other.0.values() {
            self.add(requirement.clone());
        }
    }

    /// The requirement on `key`.
    pub fn get(&self, key: &str) -> Option<&Requirement> {
        self.0.get(key)
    }

    /// In key order.
    pub fn iter(&self) -> impl Iterator<Item = &Requirement> {
        self.0.values()
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Do these node labels satisfy all of them?
    pub fn allow(&self, labels: &Labels) -> bool {
        self.first_unmet(labels).is_none()
    }

    /// The first one these node labels do not satisfy.
    pub fn first_unmet(&self, labels: &Labels) -> Option<&Requirement> {
        self.0.values().find(|r| !r.allows(labels.get(&r.key).map(AsRef::as_ref)))
    }
}

impl FromIterator<Requirement> for Requirements {
    fn from_iter<I: IntoIterator<Item = Requirement>>(iter: I) -> Self {
        let mut out = Self::new();
        for requirement in iter {
            out.add(requirement);
        }
        out
    }
}

impl Requirements {
    /// As a pod writes them.
    pub fn of_pod(&self) -> String {
        let all: Vec<String> = self.0.values().map(Requirement::of_pod).collect();
        all.join(", ")
    }
}

impl fmt::Display for Requirements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, requirement) in self.0.values().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "requirement_tests.rs"]
mod tests;
