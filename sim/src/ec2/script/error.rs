//! Why a script cannot be read.

/// A script that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error(
        "{field} \"{value}\" is no fault: write throttle, internal, unavailable, lost-before, lost-after, broken-after, \
         {{\"delaySeconds\": 2}} or {{\"code\": \"…\", \"status\": 400, \"message\": \"…\"}}"
    )]
    Fault { field: String, value: String },
    #[error("{field}.offering: {reason}")]
    Offering { field: String, reason: String },
    #[error("{field} \"{value}\" is no price: write dollars per hour, such as 0.0345")]
    Price { field: String, value: String },
    #[error("{field} \"{value}\" is none of {}", known.join(", "))]
    Unknown { field: String, value: String, known: Vec<String> },
}
