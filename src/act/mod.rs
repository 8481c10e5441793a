//! Carries decisions out on the API server, idempotently.

pub mod api;
pub mod disrupt;
pub mod error;
pub mod merge;

pub use api::{Api, Eviction, Object, Preconditions};
pub use error::{ActError, Retry};
