//! A label key that some types of a shelf leave to the launch: which choices can be given a value, which have one for good.

use std::collections::BTreeMap;

use fixedbitset::FixedBitSet as Bits;

use crate::model::{InstanceType, Requirement, Str};

/// The choices of a shelf by what they say about such a key.
pub(super) struct Settled<'a> {
    /// Values the launch chooses from, each list with its choices.
    open: Vec<(&'a [Str], Bits)>,
    /// Choices by the one value they have.
    fixed: BTreeMap<&'a str, Bits>,
    /// Choices without the label.
    absent: Bits,
}

impl<'a> Settled<'a> {
    /// Of choices in their order, each with its type and the value of the label that it has anyway.
    pub(super) fn new(key: &str, choices: &[(&'a InstanceType, Option<&'a str>)]) -> Self {
        let none = Bits::with_capacity(choices.len());
        let mut out = Self { open: Vec::new(), fixed: BTreeMap::new(), absent: none.clone() };
        for (at, (kind, value)) in choices.iter().enumerate() {
            match (open_values(kind, key), value) {
                (Some(values), _) => {
                    let place = out.open.iter().position(|(known, _)| *known == values).unwrap_or_else(|| {
                        out.open.push((values, none.clone()));
                        out.open.len() - 1
                    });
                    out.open[place].1.insert(at);
                }
                (None, Some(value)) => out.fixed.entry(value).or_insert_with(|| none.clone()).insert(at),
                (None, None) => out.absent.insert(at),
            }
        }
        out
    }

    /// The values that some of these choices have for good.
    pub(super) fn had(&self, mask: &Bits) -> impl Iterator<Item = &'a str> {
        self.fixed.iter().filter(|(_, bits)| !bits.is_disjoint(mask)).map(|(value, _)| *value)
    }

    /// Choices that satisfy a requirement as they are.
    pub(super) fn anyway(&self, requirement: &Requirement) -> Bits {
        let mut out = self.absent.clone();
        if requirement.wants_label() {
            out.clear();
        }
        self.fixed.iter().filter(|(value, _)| requirement.has(value)).for_each(|(_, bits)| out.union_with(bits));
        out
    }

    /// The same, and those that the launch can settle so.
    pub(super) fn possibly(&self, requirement: &Requirement) -> Bits {
        let mut out = self.anyway(requirement);
        let can = |values: &[Str]| values.iter().any(|value| requirement.has(value));
        self.open.iter().filter(|(values, _)| can(values)).for_each(|(_, bits)| out.union_with(bits));
        out
    }
}

/// The values a type may be given for a key that it leaves open.
pub(super) fn open_values<'a>(kind: &'a InstanceType, key: &str) -> Option<&'a [Str]> {
    kind.open_labels.iter().find(|(open, _)| **open == *key).map(|(_, values)| &**values)
}
