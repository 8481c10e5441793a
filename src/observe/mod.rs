//! Mirrors Kubernetes and the cloud's facts: objects in, a snapshot for the planner out.
//!
//! ```no_run
//! use millwright::observe::{Options, Validate, files, snapshot};
//!
//! let objects = files::read(&["examples/shop"], Validate::Strict)?;
//! let observed = snapshot(objects, &Options::default())?;
//! println!("{} groups of pods", observed.snapshot.groups.len());
//! # Ok::<(), millwright::observe::InputError>(())
//! ```

mod digest;
mod documents;
mod error;
pub mod files;
pub mod k8s;
mod kinds;
pub(crate) mod kubelet;
pub mod listing;
pub mod mirror;
mod objects;
mod options;
mod outline;
mod plain;
mod refused;
mod scheduler;
mod strict;
pub mod trace;
mod translate;
pub mod watch;

use planner::model::Snapshot;

pub(crate) use error::printable;
pub use error::{InputError, Origin};
pub use objects::{Objects, Seen, Sourced, Validate};
pub(crate) use options::switches;
pub use options::{FeatureGates, MinValuesPolicy, Options, PreferencePolicy, read_prices};
pub use scheduler::SchedulerConfig;
pub(crate) use scheduler::read_text;
pub(crate) use translate::{At, kubelet_fault, label_selector, protection};
pub use translate::{Catalogs, OverlayFault};

/// A snapshot, and what there is to say about the input.
#[must_use = "the snapshot is what planning starts from"]
#[derive(Clone, Debug)]
pub struct Observed {
    pub snapshot: Snapshot,
    /// What was passed over and why, for stderr; sorted.
    pub notes: Vec<String>,
    /// The objects it was made from.
    pub objects: Objects,
}

/// The snapshot of these objects.
///
/// # Errors
/// When an object says something that cannot be: an unreadable quantity, an unknown operator, a region or zone that does
/// not exist. Requirements that exclude each other are no error but a reason in the plan.
pub fn snapshot(objects: Objects, options: &Options) -> Result<Observed, InputError> {
    let mut notes = objects.notes.clone();
    let snapshot = translate::translate(&objects, options, &mut notes)?;
    notes.sort();
    Ok(Observed { snapshot, notes, objects })
}
