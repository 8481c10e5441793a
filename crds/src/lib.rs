//! The API: Rust types of every kind, the CRD YAML they belong to, and all that can be said of an object without a
//! cluster: whether it is valid, what its conditions add up to, and its drift hash.
//!
//! The YAML files beside this crate are the source of truth. The types read and write the same fields (a test compares
//! both) but are lenient: unknown fields are ignored, and what is missing is not filled in. An object from a file goes
//! through [`check`] and [`schema::with_defaults`] first, as an API server would do it.

pub mod capacity_buffer;
#[cfg(feature = "cel")]
pub mod cel;
pub mod class_ref;
pub mod condition;
pub mod conditions;
pub mod duration;
pub mod ec2_node_class;
pub mod hash;
mod kind;
pub mod kwok_node_class;
pub mod meta;
pub mod names;
pub mod node_claim;
pub mod node_overlay;
pub mod node_pool;
pub mod pool_validation;
pub mod quantity;
pub mod requirement;
pub mod schema;
pub mod taint;
pub mod words;

use serde_json::Value;

pub use capacity_buffer::CapacityBuffer;
pub use class_ref::NodeClassRef;
pub use condition::{Condition, ConditionStatus};
pub use duration::{Duration, Span};
pub use ec2_node_class::Ec2NodeClass;
pub use kind::{Crd, Kind, Lookup, all};
pub use kwok_node_class::KwokNodeClass;
pub use meta::{ObjectMeta, OwnerReference};
pub use node_claim::NodeClaim;
pub use node_overlay::NodeOverlay;
pub use node_pool::NodePool;
pub use quantity::Quantity;
pub use requirement::{LabelRequirement, Operator, Requirement};
pub use schema::Fault;
pub use taint::{Taint, TaintEffect};

/// What an API server would say against the object: faults of form, and only if there are none, violated rules. `old`
/// is the object before a change. Without the feature `cel` the rules are not looked at.
pub fn check(kind: Kind, object: &Value, old: Option<&Value>) -> Vec<Fault> {
    let faults = schema::validate(kind, object);
    if !faults.is_empty() {
        return faults;
    }
    rules(kind, object, old)
}

#[cfg(feature = "cel")]
fn rules(kind: Kind, object: &Value, old: Option<&Value>) -> Vec<Fault> {
    cel::validate(kind, object, old)
}

#[cfg(not(feature = "cel"))]
fn rules(_kind: Kind, _object: &Value, _old: Option<&Value>) -> Vec<Fault> {
    Vec::new()
}
