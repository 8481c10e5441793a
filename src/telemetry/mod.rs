//! What the controller tells about itself: metrics, health, logs, profiles.

mod buckets;
mod conditions;
mod families;
pub mod http;
pub mod logs;
mod metrics;
mod nodes;
mod process;
mod reconcile;
mod summary;

pub use conditions::{Conditions, OfKind, Standing};
pub use families::{Counters, Gauges, Histograms, Summaries};
pub use metrics::{Families, Metrics};
pub use nodes::{NodeGauges, OfNode, Quantity};
pub use reconcile::{Outcome, Reconciling};

/// The commit this was built from, as `MILLWRIGHT_COMMIT` had it at build time; empty when it was not set.
pub const COMMIT: &str = match option_env!("MILLWRIGHT_COMMIT") {
    Some(commit) => commit,
    None => "",
};
