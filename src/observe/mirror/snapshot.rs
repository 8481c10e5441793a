//! From the mirror to what the planner reads.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use cloud::ClassKind;
use planner::model::{Snapshot, Str};

use super::super::error::InputError;
use super::super::objects::{Objects, Seen};
use super::super::options::Options;
use super::super::translate::{Catalogs, Live, OverlayFault, live, overlay_faults};
use super::Mirror;
use super::state::{State, Table};

/// A snapshot of the mirror.
#[must_use = "the snapshot is what planning starts from"]
#[derive(Clone, Debug)]
pub struct Taken {
    pub snapshot: Snapshot,
    /// Objects that were left out of it and why; sorted.
    pub notes: Vec<String>,
}

impl Mirror {
    /// The cluster at `options.now`, with what `catalogs` say can be bought. Pools and claims of node classes that are
    /// not of these `kinds` belong to another autoscaler and are left out.
    ///
    /// Costs grow with what changed since the last time and with the number of pods, not with their size.
    ///
    /// # Errors
    /// When something is wrong that no plan can be made without: the file of default spread constraints, or a
    /// `PodDisruptionBudget` that selects nothing sensible.
    pub fn snapshot(&self, kinds: &[ClassKind], catalogs: &Catalogs, options: &Options) -> Result<Taken, InputError> {
        let (objects, pods, untried, promised, version) = {
            let mut state = self.write();
            state.keep_promises(options.now);
            let pods: Vec<_> = state.pods.values().cloned().collect();
            let untried = state.waiting.untried().map(|pod| pod.key.clone()).collect();
            (objects(&state, kinds), pods, untried, state.promises.by_pod(), state.world_version)
        };
        let mut cache = self.0.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let mut notes = Vec::new();
        let input = Live { objects: &objects, pods: &pods, untried: &untried, promised: &promised, catalogs, version };
        let snapshot = live(&input, options, &mut cache, &mut notes)?;
        notes.sort();
        notes.dedup();
        Ok(Taken { snapshot, notes })
    }

    /// What is wrong with the overlays that are not applied, by name.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub fn overlay_faults(
        &self,
        kinds: &[ClassKind],
        catalogs: &Catalogs,
        options: &Options,
    ) -> Result<BTreeMap<Str, OverlayFault>, InputError> {
        let objects = objects(&self.read(), kinds);
        overlay_faults(&objects, options, catalogs)
    }
}

fn all<T>(table: &Table<T>) -> Vec<Seen<T>> {
    table.values().cloned().collect()
}

fn objects(state: &State, kinds: &[ClassKind]) -> Objects {
    let ours =
        |class: &super::super::k8s::karpenter::ClassRef| kinds.iter().any(|kind| kind.is(&class.group, &class.kind));
    let mut node_claims: Vec<_> =
        state.claims.values().filter(|claim| ours(&claim.spec.node_class_ref)).cloned().collect();
    node_claims.extend(state.expected.trimmed().cloned());
    node_claims.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    let node_pools: Vec<_> =
        state.pools.values().filter(|pool| ours(&pool.spec.template.spec.node_class_ref)).cloned().collect();
    let whole_pools =
        node_pools.iter().filter_map(|pool| state.whole_pools.get(&pool.metadata.name).cloned()).collect();
    Objects {
        nodes: all(&state.nodes),
        namespaces: all(&state.namespaces),
        claims: all(&state.volume_claims),
        volumes: all(&state.volumes),
        services: all(&state.services),
        pod_templates: all(&state.pod_templates),
        deployments: all(&state.deployments),
        stateful_sets: all(&state.stateful_sets),
        replica_sets: all(&state.replica_sets),
        replication_controllers: all(&state.replication_controllers),
        daemon_sets: all(&state.daemon_sets),
        budgets: all(&state.budgets),
        priority_classes: all(&state.priority_classes),
        runtime_classes: all(&state.runtime_classes),
        storage_classes: all(&state.storage_classes),
        csi_nodes: all(&state.csi_nodes),
        node_pools,
        node_claims,
        overlays: all(&state.overlays),
        buffers: all(&state.buffers),
        ec2_classes: all(&state.ec2_classes),
        kwok_classes: all(&state.kwok_classes),
        whole_pools,
        ..Objects::default()
    }
}
