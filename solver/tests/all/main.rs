//! The solver from outside: properties, oracles, seeded faults, re-optimisation.

mod faults;
mod oracle;
mod properties;
mod reoptimize;
mod support;
