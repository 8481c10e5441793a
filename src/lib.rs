//! The shell of Millwright: it observes a cluster, has the planner decide, and acts.

pub mod cli;
pub mod clock;
pub mod observe;
pub mod telemetry;
