//! The one placement engine: where would these pods go? Exact predicates over a view of capacity whose forks cost what they change.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "pods, choices and domains are counted in u32: a snapshot holds far fewer than 2^32 of any"
)]
#![allow(clippy::single_match_else, reason = "found and not found read best side by side")]

mod agreement;
mod bin;
mod classes;
mod dims;
mod domains;
mod fill;
mod host;
mod jointly;
mod launch;
mod left_open;
mod moves;
mod names;
mod open;
mod pack;
mod problem;
mod reach;
mod reasons;
mod refusals;
mod replay;
mod retry;
mod room;
mod sale;
mod scarce;
mod settled;
mod shelf;
mod state;
mod statics;
mod stock;
mod topology;
mod turns;
mod unsold;
mod world;

pub(crate) use launch::launches;
pub(crate) use moves::{move_back, move_to_cheaper};
pub(crate) use pack::{Packing, pack};
pub(crate) use reasons::reasons;
pub use refusals::refusals;
pub(crate) use retry::{Fitted, first_fit};
pub(crate) use state::State;
pub(crate) use world::World;
