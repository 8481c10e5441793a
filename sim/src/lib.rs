//! A world to run in: seeded workloads, and what they run on.

pub mod clock;
pub mod ec2;
pub mod invariants;
pub mod kube;
pub mod market;
pub mod naive;
pub mod rng;
pub mod workload;
pub mod world;
