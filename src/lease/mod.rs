//! Leader election by a Lease, by the rules of Kubernetes' own clients, so that replicas of either kind respect each other.
//!
//! ```text
//!            not ours, or contested              renewed
//!              ┌────────┐                       ┌────────┐
//!              ▼        │   created or taken    ▼        │
//!           waiting ────┴────────────────────▶ leading ──┴──▶ released (stop)
//!                                                 └─────────▶ lost (not renewed for 10 s, or taken by another)
//! ```
//!
//! Another's lease is taken when its record has not changed for its whole duration *by our own watch*: clocks of two
//! machines are never compared.

mod record;

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::telemetry::Metrics;
use record::{Held, Leases, Seen};

/// A lease that is not renewed for so long may be taken.
const DURATION: Duration = Duration::from_secs(15);
/// A leader that cannot renew for so long stops leading: well before another may take over.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Between two tries to take or renew.
const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// How long what leads may take to stop before the lease is released over its head.
const STOPPING: Duration = Duration::from_secs(20);

/// Takes part in the election.
#[derive(Clone)]
pub struct Elector {
    leases: Leases,
    metrics: Metrics,
}

/// The leader lost its lease; the process should end, for another may lead already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the leader's lease is lost: it could not be renewed for {} s, or another took it", RENEW_DEADLINE.as_secs())]
pub struct Lost;

impl Elector {
    /// A candidate for the lease of this name. The identity must be no one else's.
    pub fn new(
        client: kube::Client,
        namespace: &str,
        name: &str,
        identity: &str,
        clock: Clock,
        metrics: &Metrics,
    ) -> Self {
        let leases = Leases::new(client, namespace, name, identity, clock, DURATION);
        metrics.leader_election_master_status.set([name], 0.0);
        Self { leases, metrics: metrics.clone() }
    }

    /// Waits for the lease, then runs `lead` and renews meanwhile. The token that `lead` gets is cancelled with `stop`; then
    /// `lead` has to end, and the lease is renewed until it has. Afterwards it is released, so that another need not wait.
    ///
    /// # Errors
    /// When the lease was lost. Then `lead` is dropped where it stands, for another may lead already.
    pub async fn run<F, L>(&self, stop: CancellationToken, lead: L) -> Result<(), Lost>
    where
        L: FnOnce(CancellationToken) -> F,
        F: Future<Output = ()>,
    {
        let mut seen = Seen::default();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = self.acquire(&mut seen) => {}
        }
        self.metrics.leader_election_master_status.set([self.leases.name()], 1.0);
        let overdue = async {
            stop.cancelled().await;
            sleep(STOPPING).await;
        };
        let is_lost = {
            let work = lead(stop.child_token());
            tokio::select! {
                () = work => false,
                () = self.renew(&mut seen) => true,
                () = overdue => {
                    tracing::error!("what leads did not stop within {} s and is cut off", STOPPING.as_secs());
                    false
                }
            }
        };
        self.metrics.leader_election_master_status.set([self.leases.name()], 0.0);
        if is_lost {
            return Err(Lost);
        }
        self.leases.release(&seen).await;
        Ok(())
    }

    async fn acquire(&self, seen: &mut Seen) {
        tracing::info!(lease = self.leases.name(), identity = self.leases.identity(), "waiting for the lease");
        let mut said = String::new();
        loop {
            match self.leases.take_or_renew(seen).await {
                Ok(Held::Ours) => break,
                Ok(Held::Other) => said.clear(),
                Err(error) => {
                    let error = error.to_string();
                    if error != said {
                        tracing::error!(error, "lease cannot be taken");
                    }
                    said = error;
                }
            }
            sleep(self.jittered()).await;
        }
        tracing::info!(lease = self.leases.name(), identity = self.leases.identity(), "leading");
    }

    /// Renews until the lease is lost.
    async fn renew(&self, seen: &mut Seen) {
        let mut renewed = Instant::now();
        loop {
            sleep(RETRY_PERIOD).await;
            let deadline = renewed + RENEW_DEADLINE;
            match tokio::time::timeout_at(deadline, self.leases.take_or_renew(seen)).await {
                Ok(Ok(Held::Ours)) => renewed = Instant::now(),
                Ok(Ok(Held::Other)) => {
                    tracing::error!(lease = self.leases.name(), holder = seen.holder(), "another holds the lease");
                    return;
                }
                Ok(Err(error)) => tracing::error!(%error, "lease cannot be renewed"),
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                tracing::error!(lease = self.leases.name(), "lease was not renewed in time");
                return;
            }
        }
    }

    /// The retry period, longer by up to a fifth by identity: replicas that start together try one after the other.
    fn jittered(&self) -> Duration {
        let spread = self.leases.identity().bytes().fold(0u32, |sum, byte| (sum * 31 + u32::from(byte)) % 1009);
        RETRY_PERIOD + RETRY_PERIOD * spread / 5 / 1009
    }
}

/// A name for this process that no other has: the host's, and a random part.
pub fn identity() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let host = std::env::var("HOSTNAME").ok().or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    let host = host.map(|host| host.trim().to_owned()).filter(|host| !host.is_empty());
    let random = RandomState::new().hash_one(std::process::id());
    format!("{}_{random:016x}", host.unwrap_or_else(|| "millwright".into()))
}

#[cfg(test)]
mod tests;
