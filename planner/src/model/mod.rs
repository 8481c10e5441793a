//! The words the planner thinks in: pods, nodes, pools, instance types, and the algebra over their labels.

pub mod budget;
pub mod catalog;
pub mod cron;
pub mod group;
pub mod labels;
pub mod node;
pub mod pod;
pub mod pool;
pub mod price;
pub mod quantity;
pub mod reason;
pub mod refusal;
pub mod requirement;
pub mod resources;
pub mod selector;
pub mod shown;
pub mod snapshot;
pub mod taint;

/// Shared immutable text: names, label keys and values.
pub type Str = std::sync::Arc<str>;
/// Label keys and values of one object, ordered by key.
pub type Labels = std::collections::BTreeMap<Str, Str>;

pub use catalog::{CapacityType, InstanceType, Offering};
pub use group::PodGroup;
pub use node::{Claim, Node};
pub use pod::{Pod, PodShape};
pub use pool::Pool;
pub use price::MicroUsdPerHour;
pub use quantity::Quantity;
pub use reason::{Code, Reason};
pub use refusal::Refusal;
pub use requirement::{Operator, Requirement, Requirements};
pub use resources::Resources;
pub use snapshot::{Policies, Snapshot};
pub use taint::{Effect, Taint, Toleration};
