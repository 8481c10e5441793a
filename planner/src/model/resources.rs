//! Amounts of resources by name, in the unit kube-scheduler counts each in.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Quantity, Str};

pub const CPU: &str = "cpu";
pub const MEMORY: &str = "memory";
pub const EPHEMERAL_STORAGE: &str = "ephemeral-storage";
pub const PODS: &str = "pods";
/// Pseudo-resource of `NodePool` limits: how many nodes.
pub const NODES: &str = "nodes";

/// Amounts by resource name: cpu in thousandths of a core, everything else in whole units (bytes, pieces). An absent name is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resources(pub BTreeMap<Str, i64>);

impl Resources {
    /// From (name, amount in the resource's unit) pairs.
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, i64)>) -> Self {
        Self(pairs.into_iter().map(|(name, amount)| (name.into(), amount)).collect())
    }

    /// From quantities, each rounded up to the resource's unit.
    pub fn from_quantities<'a>(pairs: impl IntoIterator<Item = (&'a str, Quantity)>) -> Self {
        Self(pairs.into_iter().map(|(name, quantity)| (name.into(), amount(name, quantity))).collect())
    }

    /// Amount of `name`, zero when absent.
    pub fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Sets `name`.
    pub fn set(&mut self, name: &str, amount: i64) {
        self.0.insert(name.into(), amount);
    }

    /// Adds `other`, saturating.
    pub fn add(&mut self, other: &Self) {
        self.add_times(other, 1);
    }

    /// Adds `times` × `other`, saturating.
    pub fn add_times(&mut self, other: &Self, times: i64) {
        for (name, amount) in &other.0 {
            let slot = self.0.entry(name.clone()).or_insert(0);
            *slot = slot.saturating_add(amount.saturating_mul(times));
        }
    }

    /// Takes `other` away; amounts may become negative.
    pub fn subtract(&mut self, other: &Self) {
        self.add_times(other, -1);
    }

    /// Raises each amount to at least that of `other`.
    pub fn raise_to(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let slot = self.0.entry(name.clone()).or_insert(*amount);
            *slot = (*slot).max(*amount);
        }
    }

    /// True when no amount exceeds that of `room`.
    pub fn fits(&self, room: &Self) -> bool {
        self.0.iter().all(|(name, amount)| *amount <= room.get(name))
    }

    /// Names with their amounts, in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&Str, i64)> {
        self.0.iter().map(|(name, amount)| (name, *amount))
    }

    /// The same without zero amounts.
    #[must_use]
    pub fn nonzero(&self) -> Self {
        Self(self.0.iter().filter(|(_, amount)| **amount != 0).map(|(name, amount)| (name.clone(), *amount)).collect())
    }
}

/// A quantity in the unit of resource `name`.
pub fn amount(name: &str, quantity: Quantity) -> i64 {
    if name == CPU { quantity.milli_value() } else { quantity.value() }
}

/// An amount of resource `name` as a quantity, in the notation people write it in.
pub fn quantity(name: &str, amount: i64) -> Quantity {
    match name {
        CPU => Quantity::milli(amount),
        _ => Quantity::units(amount, name == MEMORY || name == EPHEMERAL_STORAGE || name.starts_with("hugepages-")),
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, amount)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {}", quantity(name, *amount))?;
        }
        Ok(())
    }
}
