//! Carries decisions out on the API server, idempotently: claims for launches, nominations for pods, and what there is to
//! say about both.

pub mod api;
mod claim;
pub mod error;
pub(crate) mod fallback;
pub mod free;
mod gate;
pub mod launch;
pub mod merge;
mod names;
pub mod nominate;
mod overlaid;
mod pools;
pub mod report;
mod wave;
mod write;
mod zones;

pub use api::{Api, Eviction, Object, Preconditions};
pub use claim::{amounts, claim, class_ref};
pub use error::{ActError, Retry};
pub use gate::{Gate, Hold, OpenGate};
pub use launch::{LaunchError, Launcher};
pub use names::Names;
pub use nominate::{Launching, Nominations, Opened};
