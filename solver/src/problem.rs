//! What is to be packed, into what, under which rules: the one type the solver takes in.

use std::collections::BTreeMap;

use crate::bits::BitSet;

/// Index of an [`Item`] in [`Problem::items`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemIdx(pub u32);

/// Index of a [`BinKind`] in [`Problem::kinds`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindIdx(pub u32);

/// Index of a [`StartedBin`] in [`Problem::started`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartedIdx(pub u32);

impl ItemIdx {
    /// As a slice index.
    #[inline]
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

impl KindIdx {
    /// As a slice index.
    #[inline]
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

impl StartedIdx {
    /// As a slice index.
    #[inline]
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// Pack every item into bins at least cost. Quantities are plain integers in `dims` dimensions that the solver cannot
/// name; the first two order the first-fit-decreasing reference ([`greedy`](crate::greedy)).
///
/// As many items as possible are packed first; among such packings the cheapest is sought.
#[derive(Clone, Debug, Default)]
pub struct Problem {
    /// Number of dimensions, the length of every `needs`, `holds` and `room`.
    pub dims: usize,
    /// What to pack; each stands for `count` equal things.
    pub items: Vec<Item>,
    /// What can be bought.
    pub kinds: Vec<BinKind>,
    /// What is there already: room that costs nothing more.
    pub started: Vec<StartedBin>,
    /// Pairs of items that may not share a bin.
    pub conflicts: Vec<Conflict>,
    /// Balance over domains.
    pub spreads: Vec<Spread>,
    /// Joint limits on what is bought.
    pub caps: Vec<Cap>,
    /// How the price of a choice is to be seen, and how many threads may work.
    pub options: Options,
}

/// `count` equal things to pack.
#[derive(Clone, Debug, Default)]
pub struct Item {
    /// What one of them takes of each dimension; 0 ..= `i64::MAX / 4`.
    pub needs: Vec<i64>,
    /// How many there are.
    pub count: u32,
    /// Kinds it may go on. Fit is judged by the solver: leaving kinds that are too small in the set is best, because
    /// items with equal sets are handled together.
    pub allowed: BitSet,
    /// Started bins it may go on.
    pub allowed_started: BitSet,
    /// At most this many of them in one new bin (and of these in one started bin).
    pub per_bin_max: Option<u32>,
}

/// Something that can be bought, as often as `available` and the caps permit.
#[derive(Clone, Debug, Default)]
pub struct BinKind {
    /// What it holds of each dimension, its own overhead already taken off. Negative in any dimension: unusable.
    pub holds: Vec<i64>,
    /// Micro-dollars per hour, ≥ 0.
    pub cost: i64,
    /// How many may be bought; `None` is no limit.
    pub available: Option<u32>,
    /// One domain id per spread key. Kinds with the same domain under key 0 are exchangeable for [`Options::flexibility`].
    pub domains: Vec<u32>,
    /// Group for [`Options::flexibility`], the capacity type in practice.
    pub group: u32,
}

/// A bin that exists. [`solve`](crate::solve) only fills its room; [`reoptimize`](crate::reoptimize) may also empty it.
#[derive(Clone, Debug, Default)]
pub struct StartedBin {
    /// What is free of each dimension beside the contents; negative counts as nothing free.
    pub room: Vec<i64>,
    /// Micro-dollars per hour it costs while it stays. Not part of [`Solution::cost`](crate::Solution::cost).
    pub cost: i64,
    /// Which of the problem's items are in it now, for re-optimisation; not counted in [`Item::count`].
    pub contents: Vec<(ItemIdx, u32)>,
    /// One domain id per spread key.
    pub domains: Vec<u32>,
    /// The kind it was bought as, when that is still sold.
    pub kind: Option<KindIdx>,
    /// It must stay, and its contents with it.
    pub pinned: bool,
}

/// Items `a` and `b` may not share a bin. (An item in conflict with itself has `per_bin_max` 1.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// One of the two.
    pub a: ItemIdx,
    /// The other.
    pub b: ItemIdx,
}

/// The items together are to be spread evenly over domains: in a domain that receives one, the number there may exceed
/// the smallest number in any domain by at most `max_skew`.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    /// The items counted and constrained.
    pub items: Vec<ItemIdx>,
    /// Which entry of `domains` names the domain.
    pub key: usize,
    /// At least 1.
    pub max_skew: u32,
    /// With fewer eligible domains than this the smallest number is taken as 0. 0 or 1: no such rule.
    pub min_domains: u32,
    /// How many are there already, by domain. Every eligible domain has an entry, also with 0; items never go elsewhere.
    pub counts: BTreeMap<u32, u32>,
}

/// The sum of `weights` over the new bins of these kinds must not exceed `limit`: a pool's limit, a reservation.
#[derive(Clone, Debug, Default)]
pub struct Cap {
    /// The kinds that count.
    pub kinds: BitSet,
    /// Use by kind (aligned with [`Problem::kinds`]), ≥ 0.
    pub weights: Vec<i64>,
    /// What is left to use.
    pub limit: i64,
}

/// How the price of a choice is seen.
#[derive(Clone, Debug)]
pub struct Options {
    /// `flexibility[group]` = k: a kind of that group is valued at the mean cost of the k cheapest kinds of its group and
    /// domain that hold as much and serve the same items (fewer than k: the missing ones count double the dearest found).
    /// Missing or ≤ 1: its own cost.
    pub flexibility: Vec<u32>,
    /// At most this share (percent, 1 ..= 100) of the new bins may be bought as one kind. `None`: no limit.
    pub max_share_percent: Option<u32>,
    /// Micro-dollars per hour added to every new bin in the objective (not in `cost`), e.g. a licence per node.
    pub bin_charge: i64,
    /// Threads that may work, ≥ 1. The answer is the same for any number.
    pub threads: usize,
    /// Whether first-fit-decreasing is packed as well, so that no answer is dearer. A caller that has such a plan already
    /// saves the time, and keeps its own where the answer leaves more out or costs more.
    pub reference: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { flexibility: Vec::new(), max_share_percent: None, bin_charge: 0, threads: 1, reference: true }
    }
}

impl Problem {
    /// The number of things to pack.
    pub fn n_things(&self) -> u64 {
        self.items.iter().map(|i| u64::from(i.count)).sum()
    }

    /// Whether one thing with these needs fits beside what leaves `room` free. A dimension not needed is not looked at.
    pub(crate) fn fits(needs: &[i64], room: &[i64]) -> bool {
        needs.iter().zip(room).all(|(n, r)| *n <= 0 || n <= r)
    }
}
