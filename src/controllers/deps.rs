//! What every controller works with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cloud::{Cloud, Termination};
use crds::{NodeClaim, NodeClassRef, names};
use planner::model::pod::Owner;
use tokio::sync::Notify;

use super::claim::Draft;
use super::claim::draft::{INSTANCE_TERMINATING, LAUNCHED};
use super::fault::Fault;
use super::pool::Health;
use super::time;
use super::world::World;
use crate::act::{Api, Gate, OpenGate};
use crate::client::Clients;
use crate::clock::Clock;
use crate::events::{About, Recorder, catalog};
use crate::observe::{FeatureGates, Options};
use crate::telemetry::{CloudCall, Metrics};

/// All of it. Nothing in here needs to outlive the process.
pub struct Deps<C> {
    pub api: Api,
    pub cloud: Arc<C>,
    pub world: World,
    pub gate: Arc<dyn Gate>,
    pub metrics: Metrics,
    pub recorder: Recorder,
    pub clock: Clock,
    /// Whether ill nodes are replaced (the feature gate `NodeRepair`).
    pub repairs: bool,
    /// How `NodeOverlay`s are read; None while they are not applied (the feature gate `NodeOverlay`).
    pub overlays: Option<Options>,
    /// What is switched on beside: what static pools have too much of goes, and capacity buffers have a status.
    pub gates: FeatureGates,
    /// Whether machines are bought that leave less choice than `minValues` ask for (`--min-values-policy BestEffort`).
    pub takes_less_choice: bool,
    /// Whether series of each node and pod are shown.
    pub observes_state: bool,
    /// Told when a node has come to rest and may be taken away.
    pub(super) rested: Notify,
    /// Registration outcomes by pool.
    pub(super) health: Mutex<BTreeMap<String, Health>>,
}

impl<C: Cloud> Deps<C> {
    /// With every gate open, no repair and no overlays; these fields may be set afterwards.
    pub fn new(
        clients: &Clients,
        cloud: Arc<C>,
        world: World,
        metrics: Metrics,
        recorder: Recorder,
        clock: Clock,
    ) -> Self {
        Self {
            api: Api::new(clients.client.clone(), clients.once.clone()),
            cloud,
            world,
            gate: Arc::new(OpenGate),
            metrics,
            recorder,
            clock,
            repairs: false,
            overlays: None,
            gates: FeatureGates::default(),
            takes_less_choice: false,
            observes_state: true,
            rested: Notify::new(),
            health: Mutex::default(),
        }
    }

    /// Whether objects of this node class are ours.
    pub fn is_managed(&self, class: &NodeClassRef) -> bool {
        self.cloud.classes().iter().any(|kind| kind.is(&class.group, &class.kind))
    }

    /// A call to the cloud by a controller, as metrics name it.
    pub fn calling(&self, controller: &'static str, method: &'static str) -> CloudCall {
        CloudCall { controller, method, provider: self.cloud.name() }
    }

    /// Ends an instance, or asks for its end again.
    pub async fn terminate(&self, provider_id: &str) -> Result<Termination, Fault> {
        let call = self.calling("nodeclaim.lifecycle", "Delete");
        let answer = self.metrics.cloud_call(call, self.cloud.terminate(provider_id), |_| "").await;
        answer.map_err(|source| Fault::Terminate { provider_id: provider_id.to_owned(), source })
    }

    /// A claim of a pool became a node, or did not. Claims of a pool that was made anew in between do not count.
    pub fn joined(&self, claim: &NodeClaim, joined: bool) {
        let Some(pool) = claim.metadata.labels.get(names::core::NODE_POOL) else { return };
        let uid = self.world.pool(pool).and_then(|pool| pool.metadata.uid.clone());
        let is_owner = claim.metadata.owner_references.iter().any(|owner| Some(&owner.uid) == uid.as_ref());
        if is_owner {
            let mut all = self.health.lock().unwrap_or_else(PoisonError::into_inner);
            let health = all.entry(pool.clone()).or_default();
            if joined {
                health.note(true);
            } else {
                let conditions = claim.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
                let launched = conditions.iter().find(|condition| condition.type_ == LAUNCHED && !condition.is_true());
                health.failed(launched.map(|condition| (condition.reason.clone(), condition.message.clone())));
            }
        }
    }

    /// Counts a claim that is taken away.
    pub fn disrupted(&self, claim: &NodeClaim, reason: &str) {
        let label = |key: &str| claim.metadata.labels.get(key).map(String::as_str).unwrap_or_default();
        let mode = match claim.spec.termination_grace_period.as_ref().and_then(time::span) {
            None => "graceful",
            Some(seconds) if seconds > 0 => "eventual",
            Some(_) => "forceful",
        };
        let labels = [reason, label(names::core::NODE_POOL), label(names::core::CAPACITY_TYPE), "", mode];
        self.metrics.nodeclaims_disrupted_total.inc(labels);
        let nodes = self.world.mirror.node_of(claim);
        let pods = nodes.iter().flat_map(|node| self.world.mirror.pods_on(&node.metadata.name));
        let moving =
            pods.filter(|pod| !pod.is_finished() && !matches!(pod.form.owner(), Owner::DaemonSet | Owner::Node));
        self.metrics.pods_disruption_initiated_total.add(labels, moving.count() as u64);
    }

    /// Counts a claim that is gone, and says so.
    pub fn claim_ended(&self, draft: &Draft) {
        let meta = &draft.claim.metadata;
        let label = |key: &str| meta.labels.get(key).map(String::as_str).unwrap_or_default();
        let pool = label(names::core::NODE_POOL);
        let metrics = &self.metrics;
        if let Some(since) = draft.since(INSTANCE_TERMINATING).filter(|_| draft.is_true(INSTANCE_TERMINATING)) {
            metrics.nodeclaims_instance_termination_duration_seconds.observe([pool], seconds(draft.now - since));
        }
        if let Some(asked) = meta.deletion_timestamp.as_deref().and_then(time::seconds) {
            metrics.nodeclaims_termination_duration_seconds.observe([pool], seconds(draft.now - asked));
        }
        let zone = label(names::kubernetes::ZONE);
        metrics.nodeclaims_terminated_total.inc([pool, label(names::core::CAPACITY_TYPE), zone]);
        let status = draft.claim.status.as_ref();
        tracing::info!(
            NodeClaim = meta.name(),
            NodePool = pool,
            Node = status.and_then(|status| status.node_name.as_deref()),
            "provider-id" = status.and_then(|status| status.provider_id.as_deref()),
            "deleted nodeclaim"
        );
        let uid = meta.uid.as_deref().unwrap_or_default();
        self.recorder.publish(About::node_claim(meta.name(), uid), catalog::finalized(uid));
    }
}

/// A span as metrics take it.
#[expect(clippy::cast_precision_loss, reason = "seconds of a life are far below 2^52")]
pub fn seconds(span: i64) -> f64 {
    span as f64
}
