//! Names that users, scripts and other controllers rely on: labels, annotations, taints, finalizers.

pub mod aws;
pub mod core;
pub mod kubernetes;
pub mod kwok;
