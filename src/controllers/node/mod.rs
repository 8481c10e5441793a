//! Nodes: their end, and their repair.

pub mod object;
pub mod pod;
pub mod repair;
pub mod run;
pub mod termination;

pub use object::Node;
pub use pod::Pod;
