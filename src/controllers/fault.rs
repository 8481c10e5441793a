//! What ended a look at an object early, and when to look again.

use cloud::{ClassError, ListError, TerminateError};

use super::queue::Again;
use crate::act::{ActError, Retry};

/// Why a look ended early.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Act(#[from] ActError),
    #[error("terminating {provider_id}: {source}")]
    Terminate { provider_id: String, source: TerminateError },
    #[error("reading instances: {0}")]
    List(#[from] ListError),
    #[error(transparent)]
    Class(Box<ClassError>),
}

impl From<ClassError> for Fault {
    fn from(error: ClassError) -> Self {
        Self::Class(Box::new(error))
    }
}

impl Fault {
    /// When the object is to be looked at again.
    pub fn again(&self) -> Again {
        match self {
            Self::Act(error) => match error.retry() {
                // What was not there may have been another object than the one that is looked at, which has times to keep.
                Retry::Now | Retry::Never => Again::Overtaken,
                Retry::After(Some(wait)) => Again::FailedFor(wait),
                Retry::After(None) | Retry::OnChange => Again::Failed,
            },
            Self::Terminate { source, .. } => of_cloud(source.retry()),
            Self::List(error) => of_cloud(error.retry()),
            Self::Class(_) => Again::Failed,
        }
    }

    /// Whether somebody else wrote first.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Act(error) if error.is_conflict())
    }

    /// Whether it is part of ordinary life: somebody else wrote first, or the object is gone.
    pub fn is_ordinary(&self) -> bool {
        matches!(self, Self::Act(error) if error.is_conflict() || error.is_not_found())
    }
}

fn of_cloud(retry: cloud::Retry) -> Again {
    match retry {
        cloud::Retry::After(wait) => Again::FailedFor(wait),
        cloud::Retry::Now | cloud::Retry::OnChange | cloud::Retry::Never => Again::Failed,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn refused(code: u16) -> Fault {
        let status = kube::core::Status::failure("no", "No").with_code(code);
        ActError::Refused { verb: "patch", object: "Node a".into(), source: status.boxed() }.into()
    }

    #[test]
    fn what_others_have_written_or_taken_away_is_looked_at_again_soon() {
        for code in [404, 409, 410] {
            assert_eq!(refused(code).again(), Again::Overtaken, "{code}");
        }
        assert_eq!(refused(500).again(), Again::Failed);
        assert!(refused(409).is_ordinary() && refused(404).is_ordinary() && !refused(422).is_ordinary());
        let throttled = TerminateError::Throttled { retry_after: Duration::from_secs(7) };
        let fault = Fault::Terminate { provider_id: "x".into(), source: throttled };
        assert_eq!(fault.again(), Again::FailedFor(Duration::from_secs(7)));
    }
}
