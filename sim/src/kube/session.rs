//! A client's connection to the server: its name, its numbered writes, and the hook that may stop it at any of them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::call::{Call, Verb};
use super::resource::Id;

/// Before or after a write takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    Before,
    After,
}

/// A write of a session, as its hook sees it: once before and once after it takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Counts the session's writes from 1; those of events and leases are not counted and have 0.
    pub number: u64,
    pub moment: Moment,
    pub verb: Verb,
    pub id: Id,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Option<String>,
}

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Go,
    Stop,
}

type Hook = Box<dyn FnMut(&Write) -> Verdict + Send>;

/// What the clones of a session share.
pub(super) struct Connection {
    pub name: String,
    hook: Mutex<Option<Hook>>,
    n_writes: Mutex<u64>,
    stopped: watch::Sender<bool>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("name", &self.name)
            .field("is_stopped", &self.is_stopped())
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub fn new(name: &str) -> Arc<Self> {
        let stopped = watch::Sender::new(false);
        Arc::new(Self { name: name.to_owned(), hook: Mutex::new(None), n_writes: Mutex::new(0), stopped })
    }

    pub fn set_hook(&self, hook: impl FnMut(&Write) -> Verdict + Send + 'static) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(hook));
    }

    pub fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// Returns when the session is stopped.
    pub async fn stopped(&self) {
        let mut receiver = self.stopped.subscribe();
        // The sender lives as long as this connection.
        drop(receiver.wait_for(|stopped| *stopped).await);
    }

    pub fn n_writes(&self) -> u64 {
        *self.n_writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next number for a write; 0 for events, leases and what is no write.
    pub fn number(&self, call: &Call) -> u64 {
        let is_counted =
            call.verb.is_write() && !call.is_dry_run() && !matches!(call.id, Id::EVENT | Id::NEW_EVENT | Id::LEASE);
        if !is_counted {
            return 0;
        }
        let mut n_writes = self.n_writes.lock().unwrap_or_else(PoisonError::into_inner);
        *n_writes += 1;
        *n_writes
    }

    /// Asks the hook; a `Stop` stops the session.
    pub fn ask(&self, call: &Call, number: u64, moment: Moment) -> Verdict {
        let mut hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(hook) = hook.as_mut() else { return Verdict::Go };
        let write = Write {
            number,
            moment,
            verb: call.verb,
            id: call.id,
            namespace: call.namespace.clone(),
            name: call.name.clone(),
            subresource: call.subresource.clone(),
        };
        let verdict = hook(&write);
        if verdict == Verdict::Stop {
            self.stop();
        }
        verdict
    }
}
