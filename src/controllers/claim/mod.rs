//! `NodeClaims`: from an order to a node that takes pods, and to its end.
//!
//! A claim is one object with one state machine: every look goes through the same steps in the same order on one
//! [`draft::Draft`], and what they changed is written in at most two patches.

pub mod age;
mod buy;
pub mod consistency;
pub mod draft;
pub mod drift;
pub mod finalize;
pub mod initialize;
pub mod launch;
mod memory;
pub mod register;
pub mod rest;
pub mod run;
mod shared;
#[cfg(test)]
pub mod testing;
mod told;

pub use draft::Draft;
