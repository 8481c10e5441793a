//! What is remembered of a claim from one look to the next.

use std::time::Duration;

use cloud::Instance;
use tokio::time::Instant;

use super::rest::GuestBook;
use crate::controllers::wait::Unseen;

/// How long the mirror may take to show that the claim's deletion was asked for: its watch may have to wait for the server.
const OWN_DELETION_SHOWN: Duration = Duration::from_mins(1);
/// The same of its Nodes' deletion: asking again costs nothing but the request.
pub(super) const DELETION_SHOWN: Duration = Duration::from_secs(2);

/// What is remembered of a claim, by name. All of it can be lost.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) uid: String,
    /// What was bought, until the claim says so: a lost write does not make us forget it.
    pub(super) instance: Option<Instance>,
    pub(super) guests: GuestBook,
    /// When pods last came or went, if that is not written yet.
    pub(super) event: Option<i64>,
    pub(super) checked_at: Option<i64>,
    /// When its launch was first tried.
    pub(super) tried_at: Option<i64>,
    /// When it is its turn to end because it has expired.
    pub(super) expires_at: Option<Instant>,
    /// When its own deletion was asked for, and the server took it up.
    pub(super) deleted_at: Option<Instant>,
    /// When the deletion of its Nodes was last asked for.
    pub(super) ended_at: Option<Instant>,
    pub(super) unseen: Unseen,
}

impl Memory {
    /// Whether the claim is being deleted, though the mirror may not show it yet.
    pub(super) fn is_deleted(&self) -> bool {
        self.deleted_at.is_some_and(|at| at.elapsed() < OWN_DELETION_SHOWN)
    }

    /// Its deletion was taken up; true the first time.
    pub(super) fn deleted(&mut self) -> bool {
        self.deleted_at.replace(Instant::now()).is_none()
    }

    /// Whether the deletion of its Nodes was asked for just now; if not, it is from now on.
    pub(super) fn nodes_are_asked(&mut self) -> bool {
        let is_asked = self.ended_at.is_some_and(|at| at.elapsed() < DELETION_SHOWN);
        if !is_asked {
            self.ended_at = Some(Instant::now());
        }
        is_asked
    }
}
