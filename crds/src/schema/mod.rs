//! Objects against schemas: what an API server says of an object's form before it looks at any rule.

mod defaults;
mod leaf;
mod metadata;
mod nearest;
mod path;
mod walk;

use std::fmt;

use serde_json::Value;

use crate::kind::Kind;

pub use defaults::defaulted;
#[cfg(feature = "cel")]
pub(crate) use leaf::excerpt;
pub use walk::walk;

/// Something that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where: `spec.template.spec.requirements[0].operator`, and `spec.limits[cpu]` for keys that users choose.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.path, self.message, self.remedy)
    }
}

/// The faults in the form of an object, in the order of its schema. Nothing is said of CEL rules.
pub fn validate(kind: Kind, object: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    if object.is_object() {
        for (field, expected) in [("apiVersion", kind.api_version()), ("kind", kind.as_str())] {
            if object[field].as_str() != Some(expected) {
                let found = if object[field].is_null() { "nothing".to_owned() } else { object[field].to_string() };
                faults.push(Fault {
                    path: field.to_owned(),
                    message: format!("expected {expected:?}, found {found}"),
                    remedy: format!("write {field}: {expected}"),
                });
            }
        }
        faults.extend(metadata::validate(&object["metadata"]));
    }
    faults.extend(walk(&kind.crd().schema, object));
    faults
}

/// The object with all defaults of its schema filled in and meaningless nulls left out, as an API server stores it.
pub fn with_defaults(kind: Kind, object: Value) -> Value {
    defaulted(&kind.crd().schema, object)
}
