//! Packs things into bins at least cost, near a proven bound, knowing nothing of Kubernetes.
//!
//! [`solve`] takes a [`Problem`] in plain integers and gives a [`Solution`]: which bins to open, what goes where, the
//! kinds that would do as well, and a lower bound on the cost of any packing. It is a function: equal problems and efforts
//! give equal answers, whatever the machine and the number of threads. [`greedy`] is the first-fit-decreasing reference,
//! [`verify`] an independent judge.
#![allow(
    clippy::needless_range_loop,
    clippy::many_single_char_names,
    clippy::needless_for_each,
    reason = "dimension loops over fixed-size arrays read best by index; x, y, r, k are the literature's names; a loop of \
              one short call reads best as a call"
)]

mod bits;
mod problem;
mod solution;
mod verify;

mod effort;
mod noise;
mod num;
mod parallel;
mod parts;

mod finish;
mod gather;
mod greedy;
mod instance;
mod shapes;
mod split;
mod value;

mod basis;
mod bound;
mod coarse;
mod columns;
mod duals;
mod knapsack;
mod lattice;
mod master;
mod prices;
mod repair;
mod rows;
mod search;

mod buy;
mod choices;
mod descend;
mod dive;
mod engine;
mod guide;
mod hone;
mod mix;
mod nodes;
mod polish;
mod pour;
mod program;
mod small;

mod rebuild;
mod reopt;
mod waves;

#[cfg(test)]
mod exact;
mod solve;

pub use bits::BitSet;
pub use effort::{Cancel, Effort};
pub use greedy::greedy;
pub use problem::{BinKind, Cap, Conflict, Item, ItemIdx, KindIdx, Options, Problem, Spread, StartedBin, StartedIdx};
pub use reopt::{Destination, Move, Moves, Reoptimized, Wave, reoptimize};
pub use solution::{Bin, BinRef, LowerBound, Proof, Solution};
pub use solve::{Progress, lower_bound, solve, solve_watched};
pub use verify::{Fault, verify};

/// What tests in here share with those outside, which name this crate.
#[cfg(test)]
extern crate self as solver;
#[cfg(test)]
#[path = "../tests/all/support.rs"]
mod support;
