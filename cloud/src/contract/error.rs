//! Why a cloud said no, and when to ask again.

use std::time::Duration;

use super::{ClassRef, Refused};
use crate::catalog::CatalogError;

/// When an operation that went wrong may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// At once, with the usual back-off.
    Now,
    /// Not before this has passed.
    After(Duration),
    /// When something has changed that it depends on.
    OnChange,
    Never,
}

/// Why a class cannot be bought under.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassError {
    #[error("{} {} does not exist", class.kind, class.name)]
    Missing { class: ClassRef },
    #[error("{} {} of {} is of no kind this cloud sells under", class.kind, class.name, class.group)]
    Foreign { class: ClassRef },
    /// The reason is the class' own.
    #[error("{} {} is not ready: {reason}: {message}", class.kind, class.name)]
    NotReady { class: ClassRef, reason: String, message: String },
    /// Nobody knows yet whether it is ready: nothing is bought under it now, and nothing given up.
    #[error("whether {} {} is ready is not known: {message}", class.kind, class.name)]
    Unsettled { class: ClassRef, message: String },
    #[error("{} {} is being deleted", class.kind, class.name)]
    Terminating { class: ClassRef },
    #[error("{} {}: {source}", class.kind, class.name)]
    Catalog { class: ClassRef, source: Box<CatalogError> },
    #[error("reading {} {}: {message}", class.kind, class.name)]
    Unreachable { class: ClassRef, message: String },
}

/// Why nothing was bought.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// Everything that the order allows is out of stock. `refused` are the offerings that were really asked for.
    #[error("insufficient capacity: {message}")]
    InsufficientCapacity { refused: Vec<Refused>, message: String },
    #[error("the node class is not ready: {message}")]
    ClassNotReady { message: String },
    /// Asked too often. The reason goes into the claim's condition.
    #[error("throttled: {message}")]
    Throttled { retry_after: Duration, reason: String, message: String },
    /// The order cannot be filled as it is. The reason goes into the claim's condition; `refused` are offerings that were
    /// found to be out of stock all the same.
    #[error("{reason}: {message}")]
    Rejected { reason: String, message: String, refused: Vec<Refused> },
    /// No answer: it may have been bought or not. Asking again with the same token finds out. The reason goes into the
    /// claim's condition.
    #[error("no answer: {message}")]
    Unreachable { reason: String, message: String },
}

impl LaunchError {
    /// The reason of a launch that came to nothing where no other is known.
    pub const FAILED: &str = "LaunchFailed";

    /// An order under a class of which nobody knows yet whether it is ready. It is placed again.
    pub fn unsettled(message: String) -> Self {
        Self::Rejected { reason: "NodeClassReadinessUnknown".to_owned(), message, refused: Vec::new() }
    }

    /// When the same order may be placed again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::InsufficientCapacity { .. } => Retry::Never,
            Self::ClassNotReady { .. } | Self::Rejected { .. } => Retry::OnChange,
            Self::Throttled { retry_after, .. } => Retry::After(*retry_after),
            Self::Unreachable { .. } => Retry::Now,
        }
    }

    /// Its name in metric labels.
    pub fn label(&self) -> &'static str {
        match self {
            Self::InsufficientCapacity { .. } => "InsufficientCapacityError",
            Self::ClassNotReady { .. } => "NodeClassNotReadyError",
            Self::Rejected { .. } => "CreateError",
            Self::Throttled { .. } | Self::Unreachable { .. } => "",
        }
    }
}

impl From<ClassError> for LaunchError {
    fn from(error: ClassError) -> Self {
        match error {
            // As in Karpenter: the claim is given up, and the pool is not ready by then.
            ClassError::Missing { .. } | ClassError::Foreign { .. } | ClassError::Terminating { .. } => {
                Self::InsufficientCapacity { refused: Vec::new(), message: error.to_string() }
            }
            ClassError::Unsettled { message, .. } => Self::unsettled(message),
            ClassError::NotReady { .. } | ClassError::Catalog { .. } | ClassError::Unreachable { .. } => {
                Self::ClassNotReady { message: error.to_string() }
            }
        }
    }
}

/// Why an instance was not ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TerminateError {
    #[error("throttled")]
    Throttled { retry_after: Duration },
    #[error("{reason}: {message}")]
    Rejected { reason: String, message: String },
    #[error("no answer: {message}")]
    Unreachable { message: String },
}

impl TerminateError {
    /// When to ask again. An instance that is not ended costs money, so it is always asked again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Throttled { retry_after } => Retry::After(*retry_after),
            Self::Rejected { .. } | Self::Unreachable { .. } => Retry::Now,
        }
    }
}

/// Why instances or notices could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    #[error("throttled")]
    Throttled { retry_after: Duration },
    #[error("no answer: {message}")]
    Unreachable { message: String },
    /// There is more than could be read. Nothing may be concluded from what is not in the part that was.
    #[error("{message}")]
    Cut { message: String },
}

impl ListError {
    /// When to ask again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Throttled { retry_after } => Retry::After(*retry_after),
            Self::Unreachable { .. } | Self::Cut { .. } => Retry::Now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_under_a_class_that_cannot_be_bought_under_ends_its_claim_or_waits() {
        let class = || ClassRef { group: "g".into(), kind: "K".into(), name: "c".into() };
        let given_up =
            |message: &str| LaunchError::InsufficientCapacity { refused: Vec::new(), message: message.into() };
        let not_ready = |message: &str| LaunchError::ClassNotReady { message: message.into() };
        let (reason, message) = ("SubnetsNotFound".to_owned(), "m".to_owned());
        let table = [
            (ClassError::Missing { class: class() }, given_up("K c does not exist")),
            (ClassError::Foreign { class: class() }, given_up("K c of g is of no kind this cloud sells under")),
            (ClassError::Terminating { class: class() }, given_up("K c is being deleted")),
            (
                ClassError::NotReady { class: class(), reason, message },
                not_ready("K c is not ready: SubnetsNotFound: m"),
            ),
            (ClassError::Unreachable { class: class(), message: "m".into() }, not_ready("reading K c: m")),
            (ClassError::Unsettled { class: class(), message: "m".into() }, LaunchError::unsettled("m".into())),
        ];
        for (error, expected) in table {
            assert_eq!(LaunchError::from(error), expected);
        }
        assert_eq!(LaunchError::unsettled("m".into()).retry(), Retry::OnChange, "the claim stays");
    }
}
