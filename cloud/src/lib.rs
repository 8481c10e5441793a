//! Sells nodes: what can be bought, where and at what price.

pub mod catalog;
#[cfg(any(test, feature = "generate"))]
pub mod generate;
