//! What the controller tells about itself: metrics, health, logs, profiles.

mod buckets;
mod cloud;
mod conditions;
mod families;
pub mod http;
pub mod logs;
mod metrics;
mod nodes;
pub mod page;
mod planning;
mod process;
mod reconcile;
mod summary;

pub use cloud::CloudCall;
pub use conditions::{Conditions, OfKind, Standing, Told};
pub use families::{Counters, Gauges, Histograms, Summaries};
pub(crate) use metrics::label_name;
pub use metrics::{Families, Metrics};
pub use nodes::{NodeRow, shown, write as write_nodes};
pub use page::Page;
pub use planning::Planning;
pub use reconcile::{Outcome, Reconciling};

/// The commit this was built from, as `MILLWRIGHT_COMMIT` had it at build time; empty when it was not set.
pub const COMMIT: &str = match option_env!("MILLWRIGHT_COMMIT") {
    Some(commit) => commit,
    None => "",
};
