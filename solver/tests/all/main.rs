//! The solver from outside: properties, seeded faults, re-optimisation.

#![allow(clippy::unwrap_used, clippy::needless_for_each, reason = "tests: what cannot be must stop them")]

mod faults;
mod few;
mod gather;
mod properties;
mod reoptimize;
mod support;
