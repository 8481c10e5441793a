//! What EC2 says when it says no: a status, a code and a message.
//!
//! Codes and messages: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>.

use super::xml::Xml;

/// A call that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({status}): {message}")]
pub struct Refusal {
    /// Of HTTP.
    pub status: u16,
    pub code: String,
    pub message: String,
}

impl Refusal {
    /// A client's mistake.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.to_owned(), message: message.into() }
    }

    pub fn with_status(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    /// A dry run that went well.
    pub fn dry_run() -> Self {
        let message = "Request would have succeeded, but DryRun flag is set.";
        Self::with_status(412, "DryRunOperation", message)
    }

    pub fn missing(parameter: &str) -> Self {
        Self::new("MissingParameter", format!("The request must contain the parameter {parameter}"))
    }

    pub fn invalid_value(message: &str) -> Self {
        Self::new("InvalidParameterValue", message)
    }

    pub fn unknown_parameter(name: &str) -> Self {
        Self::new("UnknownParameter", format!("The parameter {name} is not recognized"))
    }

    pub fn throttled() -> Self {
        Self::with_status(503, "RequestLimitExceeded", "Request limit exceeded.")
    }

    pub fn internal() -> Self {
        Self::with_status(500, "InternalError", "An internal error has occurred")
    }

    pub fn unavailable() -> Self {
        Self::with_status(503, "Unavailable", "The server is overloaded and can't handle the request.")
    }

    /// An action that this EC2 does not have: whoever calls it is to hear of it.
    pub fn unimplemented(action: &str) -> Self {
        let message = format!("The simulated EC2 does not implement {action}");
        Self::with_status(501, "NotImplemented", message)
    }

    /// The document that carries it.
    pub fn document(&self, request_id: &str) -> String {
        let mut xml = Xml::default();
        xml.node("Response", |xml| {
            xml.node("Errors", |xml| {
                xml.node("Error", |xml| {
                    xml.leaf("Code", &self.code);
                    xml.leaf("Message", &self.message);
                });
            });
            xml.leaf("RequestID", request_id);
        });
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", xml.into_text())
    }
}
