//! `NodePools`: whether they may be used, what their nodes have, and the hash that tells when they change.

pub mod draft;
pub mod hash;
pub mod health;
pub mod run;
#[cfg(test)]
pub mod testing;

pub use draft::Draft;
pub use health::Health;
