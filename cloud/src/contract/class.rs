//! Node classes, as far as every cloud has them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use planner::model::{CapacityType, Requirements, Str};

/// A node class by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassRef {
    /// Without a version.
    pub group: Str,
    pub kind: Str,
    pub name: Str,
}

/// A kind of node class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassKind {
    pub group: &'static str,
    pub kind: &'static str,
}

impl ClassKind {
    /// Is it this kind of this group? Other groups may have kinds of the same name.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        (self.group, self.kind) == (group, kind)
    }

    /// Does the reference name a class of this kind?
    pub fn is_of(&self, class: &ClassRef) -> bool {
        self.is(&class.group, &class.kind)
    }
}

/// What a class comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Class {
    /// Of the object that was read.
    pub generation: i64,
    /// The drift hash of what its instances are made from; none where there is nothing that could drift.
    pub hash: Option<Str>,
    /// Images that instances of the class run: of each the first whose requirements its labels meet; empty: it does not matter.
    pub images: Vec<ClassImage>,
    /// Subnets that an instance may be in; empty: it does not matter.
    pub subnets: Vec<Str>,
    /// Security groups that an instance has; empty: it does not matter.
    pub security_groups: Vec<Str>,
    /// Ids of the capacity reservations that the class has; none: it does not matter.
    pub reservations: Option<Vec<Str>>,
    /// Id of the placement group that instances are in, empty for those in none; none: it does not matter.
    pub placement_group: Option<Str>,
    /// What is sold at all, to other classes or none; none: what the class' catalogue has.
    pub sold: Option<Arc<Sold>>,
}

/// What a provider sells, whatever a class can use of it and whatever is in stock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sold {
    pub zones: BTreeSet<Str>,
    /// How each instance type can be paid for.
    pub ways: BTreeMap<Str, BTreeSet<CapacityType>>,
}

impl Sold {
    /// Whether there is such a type, zone and way to pay. Not every type has to be in every zone.
    pub fn has(&self, instance_type: &str, zone: Option<&str>, paid: Option<CapacityType>) -> bool {
        let ways = self.ways.get(instance_type);
        ways.is_some_and(|ways| paid.is_none_or(|paid| ways.contains(&paid)))
            && zone.is_none_or(|zone| self.zones.contains(zone))
    }
}

/// An image of a class, and what has to be true of a machine that runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassImage {
    pub id: Str,
    pub requirements: Requirements,
}
