//! A condition: one observed aspect of an object, as Kubernetes writes it into a status.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether the aspect holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

impl fmt::Display for ConditionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        })
    }
}

/// One observed aspect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub type_: String,
    pub status: ConditionStatus,
    /// A CamelCase word for programs.
    #[serde(default)]
    pub reason: String,
    /// A sentence for people; may be empty.
    #[serde(default)]
    pub message: String,
    /// RFC 3339: when the status last changed. Another reason or message leaves it alone.
    pub last_transition_time: String,
    /// The generation that was looked at; 0 is not written.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
}

impl Condition {
    /// Whether the aspect holds.
    pub fn is_true(&self) -> bool {
        self.status == ConditionStatus::True
    }

    /// Whether the aspect is known not to hold.
    pub fn is_false(&self) -> bool {
        self.status == ConditionStatus::False
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}
