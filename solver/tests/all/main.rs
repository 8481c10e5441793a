//! The solver from outside: properties, oracles, seeded faults, re-optimisation.

#![allow(clippy::unwrap_used, clippy::needless_for_each, reason = "tests: what cannot be must stop them")]

mod faults;
mod few;
mod gather;
mod oracle;
mod properties;
mod reoptimize;
mod support;
