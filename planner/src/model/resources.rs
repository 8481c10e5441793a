//! Amounts of resources by name, in the unit kube-scheduler counts each in.

use std::collections::BTreeMap;

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

    /// Adds what a node has, and that it is one.
    pub fn add_node(&mut self, capacity: &Self) {
        let n_nodes = self.get(NODES);
        self.add(capacity);
        self.set(NODES, n_nodes + 1);
    }

    /// Takes `other` away; amounts may become negative.
    pub fn subtract(&mut self, other: &Self) {
        self.add_times(other, -1);
    }

    /// Takes `other` away if all of it is there; whether it was.
    pub fn take(&mut self, other: &Self) -> bool {
        let is_there = other.fits(self);
        if is_there {
            self.subtract(other);
        }
        is_there
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

/// An amount of resource `name` as a quantity, in the notation of API objects.
pub fn quantity(name: &str, amount: i64) -> Quantity {
    match name {
        CPU => Quantity::milli(amount),
        _ => Quantity::units(amount, is_bytes(name)),
    }
}

/// Is the resource counted in bytes?
pub(super) fn is_bytes(name: &str) -> bool {
    name == MEMORY || name == EPHEMERAL_STORAGE || name.starts_with("hugepages-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cpu_counts_in_thousandths_and_the_rest_in_whole_units_rounded_up() {
        let parse = |text| Quantity::parse(text).unwrap();
        let all = [("cpu", "1.5"), ("memory", "1.5Gi"), ("nvidia.com/gpu", "2"), ("pods", "500m")];
        let resources = Resources::from_quantities(all.map(|(name, text)| (name, parse(text))));
        let expected = [("cpu", 1500), ("memory", 1_610_612_736), ("nvidia.com/gpu", 2), ("pods", 1)];
        assert_eq!(resources, Resources::of(expected));
        assert_eq!(amount("cpu", parse("100u")), 1);
    }

    #[test]
    fn an_absent_name_is_zero() {
        let gpu = Resources::of([("gpu", 1)]);
        let none = Resources::of([("gpu", 0)]);
        assert!(none.fits(&Resources::default()) && !gpu.fits(&Resources::default()));
        assert!(gpu.fits(&Resources::of([("gpu", 1), ("cpu", 5)])));
        assert_eq!(none.nonzero(), Resources::default());
    }

    #[test]
    fn sums_saturate() {
        let mut most = Resources::of([("memory", i64::MAX)]);
        most.add_times(&Resources::of([("memory", i64::MAX)]), 3);
        assert_eq!(most.get("memory"), i64::MAX);
    }

    #[test]
    fn raising_takes_the_larger_of_each() {
        let mut a = Resources::of([("cpu", 5), ("memory", 1)]);
        a.raise_to(&Resources::of([("cpu", 3), ("memory", 2), ("pods", 1)]));
        assert_eq!(a, Resources::of([("cpu", 5), ("memory", 2), ("pods", 1)]));
    }

    fn some() -> impl Strategy<Value = Resources> {
        proptest::collection::btree_map("[abc]", -1000i64..1000, 0..4)
            .prop_map(|map| Resources(map.into_iter().map(|(name, amount)| (name.into(), amount)).collect()))
    }

    proptest! {
        #[test]
        fn adding_and_taking_away_is_nothing(a in some(), b in some(), n in 0i64..5) {
            let mut sum = a.clone();
            sum.add_times(&b, n);
            (0..n).for_each(|_| sum.subtract(&b));
            prop_assert_eq!(sum.nonzero(), a.nonzero());
        }

        #[test]
        fn both_fit_a_room_raised_to_both(a in some(), b in some()) {
            let mut room = a.clone();
            room.raise_to(&b);
            prop_assert!(a.fits(&room) && b.fits(&room));
        }
    }
}
