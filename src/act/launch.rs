//! Makes the `NodeClaim`s of a plan, each exactly once.
//!
//! The name is chosen here and the claim is expected before it is sent. A lost answer is asked for again under the same
//! name: what the first try made is found, and nothing is made twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crds::names::core::NODE_POOL;
use crds::{NodeClaim, NodePool};
use futures::stream::{self, StreamExt};
use http::Request;
use planner::model::{Pool, Snapshot, Str};
use planner::plan::Launch;
use tokio::time::timeout;
use tracing::{info, warn};

use super::claim::{claim, class_ref};
use super::fallback::{LittleRoom, Room};
use super::names::Names;
use super::overlaid;
use crate::client::cause;
use crate::clock::Clock;
use crate::observe::Catalogs;
use crate::observe::mirror::{Both, Mirror};
use crate::telemetry::Metrics;

const PATH: &str = "/apis/karpenter.sh/v1/nodeclaims";
/// Until an answer counts as lost.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Claims that are sent at a time.
const AT_ONCE: usize = 32;
/// How often a claim whose answer was lost is asked for within a pass; later passes go on with it.
const TRIES: usize = 3;
const WAIT: Duration = Duration::from_millis(250);

/// Why there is no claim for a launch.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("NodePool {pool} is gone")]
    NoPool { pool: Str },
    #[error(transparent)]
    LittleRoom(#[from] LittleRoom),
    #[error("NodeClaim {name}: refused ({code}): {message}")]
    Refused { name: String, code: u16, message: String },
    #[error("NodeClaim {name}: no answer: {message}")]
    Lost { name: String, message: String },
    #[error("NodeClaim {name}: {source}")]
    Unwritable { name: String, source: serde_json::Error },
}

impl LaunchError {
    /// Nothing went wrong: the claim is made when others are through.
    pub fn is_wait(&self) -> bool {
        matches!(self, Self::LittleRoom(_))
    }

    /// What its pods are to be told: nothing where the claim may be there, or the next plan says it better.
    pub fn told(&self) -> Option<String> {
        match self {
            Self::LittleRoom(why) => Some(why.to_string()),
            Self::Refused { code, message, .. } => {
                Some(format!("its NodeClaim was refused by the API server ({code}): {message}"))
            }
            Self::NoPool { .. } | Self::Lost { .. } | Self::Unwritable { .. } => None,
        }
    }
}

/// Makes claims.
pub struct Launcher {
    /// Sends each request once.
    pub once: kube::Client,
    pub mirror: Mirror,
    pub clock: Clock,
    pub metrics: Metrics,
    pub names: Names,
}

/// What the API server said.
enum Answer {
    Made(Box<NodeClaim>),
    /// The name is taken.
    Taken,
    Refused(u16, String),
    Lost(String),
}

impl Launcher {
    /// Makes a claim for each launch. Gives each launch's name with the claim's, or with why there is none. `plain`: what
    /// classes sell without overlays, where there may be some.
    pub async fn launch(
        &self,
        launches: &[Launch],
        snapshot: &Snapshot,
        pools: &[Arc<NodePool>],
        plain: Option<&Catalogs>,
    ) -> Vec<(Str, Result<Arc<NodeClaim>, LaunchError>)> {
        let terms: BTreeMap<&str, &Pool> = snapshot.pools.iter().map(|pool| (&*pool.name, pool)).collect();
        let mut room = Room::new(snapshot, launches);
        let pools: BTreeMap<&str, &NodePool> = pools.iter().map(|pool| (pool.metadata.name(), &**pool)).collect();
        let mut one = |launch: &Launch| {
            let (terms, pool) = (terms.get(&*launch.pool).copied(), pools.get(&*launch.pool).copied());
            let (name, of, narrowed) = (launch.name.clone(), launch.pool.clone(), room.narrow(launch));
            async move {
                let (Some(terms), Some(pool)) = (terms, pool) else {
                    return (name, Err(LaunchError::NoPool { pool: of }));
                };
                let launch = match narrowed {
                    Ok(launch) => launch,
                    Err(error) => {
                        let error = LaunchError::from(error);
                        info!(NodePool = pool.metadata.name(), %error, "a nodeclaim waits");
                        return (name, Err(error));
                    }
                };
                let class = class_ref(&pool.spec.template.spec.node_class_ref);
                let plain = plain.and_then(|plain| plain.get(&class)).filter(|plain| !Arc::ptr_eq(plain, &terms.types));
                let overlaid = plain.map(|plain| overlaid::annotations(&launch, &terms.types, plain));
                let made = self.make(&launch, terms, pool, &overlaid.unwrap_or_default()).await;
                match &made {
                    Ok(claim) => info!(
                        NodeClaim = claim.metadata.name(),
                        NodePool = pool.metadata.name(),
                        pods = launch.pods.len(),
                        requests = %launch.requests,
                        "created nodeclaim"
                    ),
                    Err(error) => warn!(NodePool = pool.metadata.name(), %error, "creating a nodeclaim"),
                }
                (name, made)
            }
        };
        let futures: Vec<_> = launches.iter().map(&mut one).collect();
        stream::iter(futures).buffered(AT_ONCE).collect().await
    }

    async fn make(
        &self,
        launch: &Launch,
        terms: &Pool,
        pool: &NodePool,
        annotations: &[&str],
    ) -> Result<Arc<NodeClaim>, LaunchError> {
        let mut name = self.fresh(&launch.pool);
        let meant_for = self.mirror.meant_for(&launch.pods);
        let mut lost_before = false;
        let mut tries = 0;
        loop {
            let mut wanted = claim(&name, launch, terms, pool, &meant_for);
            wanted.metadata.annotations.extend(annotations.iter().map(|key| ((*key).to_owned(), "true".to_owned())));
            let wanted = Arc::new(wanted);
            if !lost_before {
                self.mirror.expect(wanted.clone(), self.clock.seconds());
            }
            tries += 1;
            match self.post(&wanted).await.map_err(|source| self.unwritable(&name, source))? {
                Answer::Made(made) => return Ok(self.made(*made, pool, launch)),
                Answer::Taken => {
                    if lost_before {
                        match self.found(&name, &wanted).await {
                            Ok(Some(made)) => return Ok(self.made(made, pool, launch)),
                            Ok(None) => {}
                            // It may be ours, and goes on counting until somebody has seen it or a later pass has asked.
                            Err(message) => return Err(LaunchError::Lost { name, message }),
                        }
                    }
                    // Somebody else's: another name.
                    self.mirror.expect_nothing(&name);
                    name = self.fresh(&launch.pool);
                    lost_before = false;
                }
                // What is refused now may have been made before, by the try whose answer was lost.
                Answer::Refused(_, message) if lost_before => return Err(LaunchError::Lost { name, message }),
                Answer::Refused(code, message) => {
                    self.mirror.expect_nothing(&name);
                    return Err(LaunchError::Refused { name, code, message });
                }
                Answer::Lost(message) => {
                    self.mirror.expect_unsure(&name);
                    lost_before = true;
                    if tries >= TRIES {
                        return Err(LaunchError::Lost { name, message });
                    }
                    tokio::time::sleep(WAIT * u32::try_from(tries).unwrap_or(1)).await;
                }
            }
            if tries >= 2 * TRIES {
                let message = "no free name was found".to_owned();
                return Err(LaunchError::Refused { name, code: 409, message });
            }
        }
    }

    fn fresh(&self, pool: &str) -> String {
        loop {
            let name = self.names.next(pool);
            if !self.mirror.has_claim(&name) && self.mirror.node(&name).is_none() {
                return name;
            }
        }
    }

    fn unwritable(&self, name: &str, source: serde_json::Error) -> LaunchError {
        self.mirror.expect_nothing(name);
        LaunchError::Unwritable { name: name.to_owned(), source }
    }

    fn made(&self, made: NodeClaim, pool: &NodePool, launch: &Launch) -> Arc<NodeClaim> {
        let made = Arc::new(made);
        self.mirror.expect_made(made.clone(), self.clock.seconds());
        let relaxed = if launch.relaxed_min_values.is_empty() { "false" } else { "true" };
        self.metrics.nodeclaims_created_total.inc(["provisioned", pool.metadata.name(), relaxed]);
        made
    }

    async fn post(&self, claim: &NodeClaim) -> Result<Answer, serde_json::Error> {
        let body = serde_json::to_vec(claim)?;
        let request = Request::post(PATH).header("Content-Type", "application/json").body(body);
        // Path and header are constants.
        let Ok(request) = request else { return Ok(Answer::Lost("the request cannot be written".into())) };
        Ok(match timeout(TIMEOUT, self.once.request::<NodeClaim>(request)).await {
            Err(_) => Answer::Lost(format!("none within {} s", TIMEOUT.as_secs())),
            Ok(Ok(made)) => Answer::Made(Box::new(made)),
            Ok(Err(kube::Error::Api(status))) => match status.code {
                409 => Answer::Taken,
                // The server did not do it, or cannot say whether it did.
                500..=599 => Answer::Lost(status.message),
                code => Answer::Refused(code, status.message),
            },
            Ok(Err(other)) => Answer::Lost(cause(&other)),
        })
    }

    /// The claim of this name, if it is the one we asked for. The name is one of millions, so pool and requirements
    /// decide; the rest of the spec may have been given defaults. An error says that nobody knows.
    async fn found(&self, name: &str, wanted: &NodeClaim) -> Result<Option<NodeClaim>, String> {
        let there = match self.mirror.claim(name) {
            Some(seen) => Some((*seen).clone()),
            None => self.read(name).await?,
        };
        let is_ours = |there: &NodeClaim| {
            there.spec.requirements == wanted.spec.requirements
                && there.metadata.labels.get(NODE_POOL) == wanted.metadata.labels.get(NODE_POOL)
        };
        Ok(there.filter(is_ours))
    }

    async fn read(&self, name: &str) -> Result<Option<NodeClaim>, String> {
        let request = Request::get(format!("{PATH}/{name}")).body(Vec::new()).map_err(|error| error.to_string())?;
        match timeout(TIMEOUT, self.once.request::<NodeClaim>(request)).await {
            Err(_) => Err("no answer".into()),
            Ok(Ok(claim)) => Ok(Some(claim)),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(None),
            Ok(Err(error)) => Err(cause(&error)),
        }
    }

    /// Looks up claims of ours that no watch has shown in time: those that are there count as seen, the others are
    /// forgotten. Those that the server says nothing of in time are left to the next pass: this one has pods to place.
    pub async fn settle_overdue(&self) {
        let overdue = self.mirror.overdue(self.clock.seconds());
        let each = stream::iter(overdue).for_each_concurrent(AT_ONCE, |name| self.settle(name));
        if timeout(TIMEOUT, each).await.is_err() {
            warn!("looking up nodeclaims takes too long");
        }
    }

    async fn settle(&self, name: Str) {
        match self.read(&name).await {
            Ok(Some(claim)) => {
                let trimmed = serde_json::to_value(&claim).and_then(serde_json::from_value);
                match trimmed {
                    Ok(trimmed) => self.mirror.found_expected(Both { whole: claim, trimmed }),
                    Err(error) => warn!(NodeClaim = &*name, %error, "reading a nodeclaim"),
                }
            }
            Ok(None) => self.mirror.expect_nothing(&name),
            Err(error) => warn!(NodeClaim = &*name, error, "looking up a nodeclaim"),
        }
    }
}

#[cfg(test)]
mod tests;
