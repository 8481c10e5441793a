//! The Lease on the API server: reading it, taking it, renewing it, giving it back.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use tokio::time::Instant;

use crate::client::cause;
use crate::clock::Clock;

/// For giving the lease back, and as the limit of one try: a leader must notice within the renew deadline.
const TIMEOUT: Duration = Duration::from_secs(5);

/// One lease, as one candidate sees it.
#[derive(Clone)]
pub(super) struct Leases {
    api: Api<Lease>,
    name: String,
    identity: String,
    clock: Clock,
    duration: Duration,
}

/// Who holds it after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Ours,
    Other,
}

/// The record as last seen, and when it was first seen so by our own watch.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    lease: Option<Lease>,
    since: Option<Instant>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum LeaseError {
    #[error("get lease {name}: {}", cause(source))]
    Get { name: String, source: Box<kube::Error> },
    #[error("create lease {name}: {}", cause(source))]
    Create { name: String, source: Box<kube::Error> },
    #[error("update lease {name}: {}", cause(source))]
    Update { name: String, source: Box<kube::Error> },
    #[error("lease {name}: no answer within {} s", TIMEOUT.as_secs())]
    NoAnswer { name: String },
}

impl Seen {
    pub(super) fn holder(&self) -> &str {
        self.spec().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
    }

    fn spec(&self) -> Option<&LeaseSpec> {
        self.lease.as_ref().and_then(|lease| lease.spec.as_ref())
    }

    /// A record that differs from the last one starts the watch anew.
    fn observe(&mut self, lease: Lease) {
        if self.since.is_none() || self.spec() != lease.spec.as_ref() {
            self.since = Some(Instant::now());
        }
        self.lease = Some(lease);
    }

    /// Has nothing changed for as long as its holder asked for?
    fn has_run_out(&self) -> bool {
        let seconds = self.spec().and_then(|spec| spec.lease_duration_seconds).unwrap_or_default();
        let lasts = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        self.since.is_none_or(|since| since.elapsed() >= lasts)
    }
}

impl Leases {
    pub(super) fn new(
        client: kube::Client,
        namespace: &str,
        name: &str,
        identity: &str,
        clock: Clock,
        duration: Duration,
    ) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, name: name.into(), identity: identity.into(), clock, duration }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// Takes the lease if it is free, renews it if it is ours.
    pub(super) async fn take_or_renew(&self, seen: &mut Seen) -> Result<Held, LeaseError> {
        let tried = tokio::time::timeout(TIMEOUT, self.try_once(seen)).await;
        tried.unwrap_or_else(|_| Err(LeaseError::NoAnswer { name: self.name.clone() }))
    }

    async fn try_once(&self, seen: &mut Seen) -> Result<Held, LeaseError> {
        let wrong = |source| LeaseError::Get { name: self.name.clone(), source: Box::new(source) };
        let Some(lease) = self.api.get_opt(&self.name).await.map_err(wrong)? else {
            return self.create(seen).await;
        };
        seen.observe(lease);
        let is_ours = seen.holder() == self.identity;
        if !is_ours && !seen.holder().is_empty() && !seen.has_run_out() {
            return Ok(Held::Other);
        }
        let lease = self.ours(seen, is_ours);
        match self.api.replace(&self.name, &PostParams::default(), &lease).await {
            Ok(lease) => {
                seen.observe(lease);
                Ok(Held::Ours)
            }
            // Somebody was quicker. For a candidate that is the end of this try; a leader looks again.
            Err(kube::Error::Api(status)) if status.code == 409 && !is_ours => Ok(Held::Other),
            Err(source) => Err(LeaseError::Update { name: self.name.clone(), source: Box::new(source) }),
        }
    }

    async fn create(&self, seen: &mut Seen) -> Result<Held, LeaseError> {
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        let now = MicroTime(self.now());
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(self.seconds()),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(0),
            ..LeaseSpec::default()
        };
        match self.api.create(&PostParams::default(), &Lease { metadata, spec: Some(spec) }).await {
            Ok(lease) => {
                seen.observe(lease);
                Ok(Held::Ours)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Held::Other),
            Err(source) => Err(LeaseError::Create { name: self.name.clone(), source: Box::new(source) }),
        }
    }

    /// The seen lease with us as its holder. Its resource version makes the server refuse it if it has changed since.
    fn ours(&self, seen: &Seen, is_renewal: bool) -> Lease {
        let mut lease = seen.lease.clone().unwrap_or_default();
        let spec = lease.spec.get_or_insert_default();
        let now = MicroTime(self.now());
        if !is_renewal {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default() + 1);
        }
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = Some(self.seconds());
        spec.renew_time = Some(now);
        lease
    }

    /// Gives the lease back: without a holder, and for one second only.
    pub(super) async fn release(&self, seen: &Seen) {
        if seen.holder() != self.identity {
            return;
        }
        let mut lease = seen.lease.clone().unwrap_or_default();
        let spec = lease.spec.get_or_insert_default();
        let now = MicroTime(self.now());
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.acquire_time = Some(now.clone());
        spec.renew_time = Some(now);
        let params = PostParams::default();
        let released = tokio::time::timeout(TIMEOUT, self.api.replace(&self.name, &params, &lease)).await;
        match released {
            Ok(Ok(_)) => tracing::info!(lease = self.name, "lease is released"),
            Ok(Err(error)) => {
                tracing::error!(lease = self.name, error = cause(&error), "lease was not released and will run out");
            }
            Err(_) => tracing::error!(lease = self.name, "lease was not released in time and will run out"),
        }
    }

    fn seconds(&self) -> i32 {
        i32::try_from(self.duration.as_secs()).unwrap_or(i32::MAX)
    }

    /// Now, in microseconds: the API keeps no more.
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.clock.now().as_microsecond()).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}
