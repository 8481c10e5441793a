//! Kubernetes objects to the planner's model, purely: one file per concern, defaults resolved once.

mod affinity;
mod at;
mod buffers;
mod classes;
mod cluster;
mod daemons;
mod defaults;
mod expand;
mod groups;
mod labels;
mod live;
mod market;
mod nodes;
mod overlays;
mod pods;
mod pools;
mod protection;
mod requests;
mod taints;
mod time;
mod twins;
mod volumes;
mod world;

pub(crate) use at::At;
pub use classes::Catalogs;
pub(crate) use classes::kubelet_fault;
pub(crate) use cluster::translate;
pub(crate) use labels::selector as label_selector;
pub(crate) use live::{Cache, Live, live};
pub(crate) use nodes::allocatable;
pub use overlays::OverlayFault;
pub(crate) use pods::owner;
pub(crate) use pools::overlay_faults;
pub(crate) use protection::protection;
pub(crate) use requests::{limits, requests};
pub(crate) use time::epoch;

#[cfg(test)]
mod tests;
