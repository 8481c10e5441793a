//! What a shelf leaves to the launch: label keys that some of its types have several values for.

use fixedbitset::FixedBitSet as Bits;

use super::shelf::Shelf;
use crate::model::{Requirement, Str};

impl Shelf<'_> {
    /// Is it a key that some type leaves to the launch?
    pub(super) fn is_left_to_launches(&self, key: &str) -> bool {
        self.settled.contains_key(key)
    }

    /// The values of such a key that choices of `mask` have whatever the launch settles.
    pub(super) fn values_had(&self, mask: &Bits, key: &str) -> Vec<Str> {
        self.settled.get(key).map(|settled| settled.had(mask).map(Into::into).collect()).unwrap_or_default()
    }

    /// Those of `mask` that have this value of an open key or can be given it.
    pub(super) fn having(&self, mask: &Bits, key: &str, value: &Str) -> Bits {
        self.meeting(mask, &Requirement::equal(key, value.clone()))
    }

    /// Those of `mask` that meet a requirement for an open key or can be given what does.
    pub(super) fn meeting(&self, mask: &Bits, requirement: &Requirement) -> Bits {
        let mut out = mask.clone();
        if let Some(settled) = self.settled.get(&*requirement.key) {
            out.intersect_with(&settled.possibly(requirement));
        }
        out
    }
}
