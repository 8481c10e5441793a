//! Room for pods, as the choices of a shelf have it.

use fixedbitset::FixedBitSet as Bits;

/// Room for pods that some choices share.
pub(crate) struct Room {
    pub(crate) net: Vec<i64>,
    pub(crate) choices: Bits,
    /// The same in their order.
    listed: Vec<usize>,
}

impl Room {
    /// Room that none of so many choices has yet.
    pub(super) fn new(net: Vec<i64>, n_choices: usize) -> Self {
        Self { net, choices: Bits::with_capacity(n_choices), listed: Vec::new() }
    }

    /// One more choice has it, behind all others.
    pub(super) fn add(&mut self, choice: usize) {
        self.choices.insert(choice);
        self.listed.push(choice);
    }

    /// Is one of these choices among them? Most rooms have few choices, and the first is there most often.
    pub(crate) fn is_among(&self, choices: &Bits) -> bool {
        self.listed.iter().any(|at| choices.contains(*at))
    }
}

/// What the rooms of a shelf have of each dimension, one behind the other.
#[derive(Default)]
pub(super) struct Nets {
    all: Vec<i64>,
    n_dims: usize,
}

impl Nets {
    pub(super) fn of(rooms: &[Room]) -> Self {
        let n_dims = rooms.first().map_or(0, |room| room.net.len());
        Self { all: rooms.iter().flat_map(|room| &room.net).copied().collect(), n_dims }
    }

    /// Those of one room.
    pub(super) fn at(&self, room: usize) -> &[i64] {
        &self.all[room * self.n_dims..][..self.n_dims]
    }
}
