//! Node classes, as far as every cloud has them.

use planner::model::Str;

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
    /// Does the reference name a class of this kind?
    pub fn is_of(&self, class: &ClassRef) -> bool {
        *class.group == *self.group && *class.kind == *self.kind
    }
}

/// What a class comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Class {
    /// Of the object that was read.
    pub generation: i64,
    /// The drift hash of what its instances are made from; none where there is nothing that could drift.
    pub hash: Option<Str>,
    /// Image ids that an instance of the class may run; empty: it does not matter.
    pub images: Vec<Str>,
    /// Subnets that an instance may be in; empty: it does not matter.
    pub subnets: Vec<Str>,
    /// Security groups that an instance has; empty: it does not matter.
    pub security_groups: Vec<Str>,
}
