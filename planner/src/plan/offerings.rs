//! The offerings of a launch, as places in a list that the launches of a pool share: thousands of launches × hundreds of offerings.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RankedOffering;

/// Some offerings, in order. Reads like a slice of them; a copy costs two counters.
#[derive(Clone)]
pub struct Offerings {
    list: Arc<[RankedOffering]>,
    picks: Arc<[u32]>,
}

impl Offerings {
    /// The `picks` of `list`; a pick beyond its end is left out.
    pub fn new(list: Arc<[RankedOffering]>, picks: impl IntoIterator<Item = u32>) -> Self {
        let picks = picks.into_iter().filter(|pick| (*pick as usize) < list.len()).collect();
        Self { list, picks }
    }

    /// In order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &RankedOffering> + DoubleEndedIterator + Clone {
        self.picks.iter().map(|pick| &self.list[*pick as usize])
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.picks.len()
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.picks.is_empty()
    }

    /// The chosen one.
    pub fn first(&self) -> Option<&RankedOffering> {
        self.iter().next()
    }

    /// The dearest.
    pub fn last(&self) -> Option<&RankedOffering> {
        self.iter().next_back()
    }

    /// A copy of its own.
    pub fn to_vec(&self) -> Vec<RankedOffering> {
        self.iter().cloned().collect()
    }

    /// The list that others may share.
    pub fn list(&self) -> &Arc<[RankedOffering]> {
        &self.list
    }

    /// Places in the list, in order.
    pub fn picks(&self) -> &[u32] {
        &self.picks
    }
}

impl std::ops::Index<usize> for Offerings {
    type Output = RankedOffering;

    fn index(&self, at: usize) -> &RankedOffering {
        &self.list[self.picks[at] as usize]
    }
}

impl FromIterator<RankedOffering> for Offerings {
    fn from_iter<I: IntoIterator<Item = RankedOffering>>(all: I) -> Self {
        let list: Arc<[RankedOffering]> = all.into_iter().collect();
        let n = u32::try_from(list.len()).unwrap_or(u32::MAX);
        Self::new(list, 0..n)
    }
}

impl From<Vec<RankedOffering>> for Offerings {
    fn from(all: Vec<RankedOffering>) -> Self {
        all.into_iter().collect()
    }
}

impl PartialEq for Offerings {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Offerings {}

impl std::fmt::Debug for Offerings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Offerings {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Offerings {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Vec::deserialize(input).map(Self::from)
    }
}
