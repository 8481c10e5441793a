//! What can go wrong when the shell acts on the cluster, and when to try again.

use std::time::Duration;

use kube::core::response::StatusDetails;

use crate::client::{cause, refusal};

/// When an operation that was refused may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// At once, on what the server holds now.
    Now,
    /// Not before this time has passed; without one, after the caller's own back-off.
    After(Option<Duration>),
    /// When the object changes: the same request on the same object would be refused again.
    OnChange,
    /// Never: the object is gone.
    Never,
}

/// An operation on the API server that was not carried out, or whose answer was lost.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    #[error("{verb} {object}: {}", refusal(.source))]
    Refused { verb: &'static str, object: String, source: Box<kube::core::Status> },
    #[error("{verb} {object}: somebody else has written it meanwhile")]
    Stale { verb: &'static str, object: String },
    #[error("{verb} {object}: no answer within {} s", .limit.as_secs())]
    TimedOut { verb: &'static str, object: String, limit: Duration },
    #[error("{verb} {object}: {}", cause(.source))]
    Transport { verb: &'static str, object: String, source: Box<kube::Error> },
    #[error("{verb} {object}: the request cannot be written: {source}")]
    Request { verb: &'static str, object: String, source: http::Error },
    #[error("{verb} {object}: the answer is no {kind}: {source}")]
    Answer { verb: &'static str, object: String, kind: &'static str, source: serde_json::Error },
    #[error("{verb} {object}: the object cannot be written as JSON: {source}")]
    Encode { verb: &'static str, object: String, source: serde_json::Error },
}

impl ActError {
    /// The HTTP code of a refusal.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { source, .. } => Some(source.code),
            _ => None,
        }
    }

    /// Somebody else wrote first, or the object is not the one that was meant.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Stale { .. }) || self.code() == Some(409)
    }

    /// There is no such object (any more).
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Why the server refused: its own text.
    pub fn message(&self) -> String {
        match self {
            Self::Refused { source, .. } => source.message.clone(),
            other => other.to_string(),
        }
    }

    /// The only place that decides about trying again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused { source, .. } => match source.code {
                404 | 410 => Retry::Never,
                409 => Retry::Now,
                400 | 403 | 405 | 415 | 422 => Retry::OnChange,
                _ => Retry::After(source.details.as_ref().and_then(asked_for)),
            },
            Self::Stale { .. } => Retry::Now,
            Self::TimedOut { .. } | Self::Transport { .. } => Retry::After(None),
            Self::Request { .. } | Self::Answer { .. } | Self::Encode { .. } => Retry::OnChange,
        }
    }
}

/// The server's own wish, no longer than a minute.
fn asked_for(details: &StatusDetails) -> Option<Duration> {
    let seconds = u64::from(details.retry_after_seconds);
    (seconds > 0).then(|| Duration::from_secs(seconds.min(60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16) -> ActError {
        let status = kube::core::Status::failure("no", "No").with_code(code);
        ActError::Refused { verb: "patch", object: "Node a".into(), source: status.boxed() }
    }

    #[test]
    fn every_refusal_says_when_to_try_again() {
        for (code, expected) in [
            (404, Retry::Never),
            (409, Retry::Now),
            (422, Retry::OnChange),
            (403, Retry::OnChange),
            (429, Retry::After(None)),
            (500, Retry::After(None)),
            (503, Retry::After(None)),
        ] {
            assert_eq!(refused(code).retry(), expected, "{code}");
        }
        let lost = ActError::TimedOut { verb: "get", object: "Node a".into(), limit: Duration::from_secs(10) };
        assert_eq!(lost.retry(), Retry::After(None));
        assert_eq!(lost.to_string(), "get Node a: no answer within 10 s");
    }

    #[test]
    fn what_went_wrong_is_told_in_the_words_of_the_server_or_with_its_first_cause() {
        assert_eq!(refused(500).to_string(), "patch Node a: no");
        let broken = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "Connection refused");
        let source = Box::new(kube::Error::Service(Box::new(broken)));
        let lost = ActError::Transport { verb: "patch status of", object: "NodeClaim a".into(), source };
        assert_eq!(lost.to_string(), "patch status of NodeClaim a: Connection refused");
    }

    #[test]
    fn a_server_that_says_how_long_is_believed_up_to_a_minute() {
        for (asked, expected) in [(0, None), (5, Some(5)), (1000, Some(60))] {
            let mut status = kube::core::Status::failure("busy", "TooManyRequests").with_code(429);
            status.details = Some(StatusDetails {
                name: String::new(),
                group: String::new(),
                kind: String::new(),
                uid: String::new(),
                causes: Vec::new(),
                retry_after_seconds: asked,
            });
            let error = ActError::Refused { verb: "list", object: "Pod".into(), source: status.boxed() };
            assert_eq!(error.retry(), Retry::After(expected.map(Duration::from_secs)));
        }
    }
}
