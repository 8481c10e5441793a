//! Looks at a pool and writes what is to be said of it.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use cloud::{Class, ClassError, ClassRef, Cloud};
use crds::{NodePool, names};
use planner::model::Resources;

use super::draft::Draft;
use crate::act::class_ref;
use crate::controllers::claim::draft::{INITIALIZED, INSTANCE_TERMINATING, says};
use crate::controllers::claim::launch::resources;
use crate::controllers::deps::Deps;
use crate::controllers::fault::Fault;
use crate::controllers::queue::Again;
use crate::controllers::run::Reconcile;
use crate::events::{About, catalog};

/// How often what its nodes have is counted.
const COUNT_PERIOD: Duration = Duration::from_secs(5);

/// The controller `nodepool`: hash, validation, readiness, registration health and counter in one.
pub struct Pools<C> {
    deps: Arc<Deps<C>>,
}

impl<C: Cloud> Pools<C> {
    pub fn new(deps: Arc<Deps<C>>) -> Self {
        Self { deps }
    }

    /// What the claims and nodes of the pool have; what is on its way out does not count.
    fn capacities(&self, pool: &str) -> Vec<Resources> {
        let deps = &self.deps;
        let claims = deps.world.mirror.claims();
        let of_pool = claims.iter().filter(|claim| {
            claim.metadata.labels.get(names::core::NODE_POOL).is_some_and(|label| label == pool)
                && !claim.metadata.is_deleting()
        });
        let capacities = of_pool.filter_map(|claim| {
            if says(claim, INSTANCE_TERMINATING) {
                return None;
            }
            let status = claim.status.clone().unwrap_or_default();
            let bought = resources(&status.capacity);
            let node = status.provider_id.and_then(|id| deps.world.nodes_of(&id).into_iter().next());
            let Some(node) = node else { return Some(bought) };
            let has = resources(&node.status.capacity);
            if says(claim, INITIALIZED) {
                return Some(has);
            }
            let mut filled = has;
            for (name, amount) in bought.iter().filter(|(_, amount)| *amount != 0) {
                if filled.get(name) == 0 {
                    filled.set(name, amount);
                }
            }
            Some(filled)
        });
        capacities.collect()
    }

    async fn class(&self, pool: &NodePool) -> Result<Class, ClassError> {
        let class = class_ref(&pool.spec.template.spec.node_class_ref);
        let answer = self.ask(&class).await;
        self.deps.world.has_asked(&class);
        answer
    }

    async fn ask(&self, class: &ClassRef) -> Result<Class, ClassError> {
        let found = self.deps.cloud.resolve(class).await?;
        let call = self.deps.calling("nodepool.readiness", "GetInstanceTypes");
        let types = self.deps.metrics.cloud_call(call, self.deps.cloud.catalog(class), |_| "").await?;
        self.deps.world.sells(class, types);
        self.deps.world.resolved(class, found.clone());
        Ok(found)
    }
}

impl<C: Cloud> Reconcile for Pools<C> {
    const NAME: &'static str = "nodepool";
    const WORKERS: usize = 10;

    async fn reconcile(&self, name: &str) -> Result<Again, Fault> {
        let deps = &self.deps;
        let Some(pool) = deps.world.pool(name) else {
            deps.health.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
            return Ok(Again::OnChange);
        };
        if !deps.is_managed(&pool.spec.template.spec.node_class_ref) {
            return Ok(Again::OnChange);
        }
        let class = self.class(&pool).await;
        let mut draft = Draft::new((*pool).clone(), deps.clock.seconds());
        draft.validate();
        draft.ready(&class);
        if let Err(ClassError::Missing { .. } | ClassError::Terminating { .. }) = &class {
            let uid = pool.metadata.uid.as_deref().unwrap_or_default();
            deps.recorder.publish(About::node_pool(name, uid), catalog::class_unresolved(uid));
        }
        if let Ok(class) = &class {
            let mut all = deps.health.lock().unwrap_or_else(PoisonError::into_inner);
            let health = all.entry(name.to_owned()).or_default();
            health.follow(&pool, class.generation, &mut draft.conditions);
            health.settle(&mut draft.conditions);
        }
        if deps.world.mirror.synced() {
            draft.count(self.capacities(name).iter());
        }
        if let Some(patch) = draft.metadata_patch() {
            let _: NodePool = deps.api.merge("", name, patch).await?;
        }
        if let Some(patch) = draft.status_patch() {
            let _: NodePool = deps.api.merge_status("", name, patch).await?;
        }
        Ok(Again::After(COUNT_PERIOD))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::pool;
    use super::*;
    use crate::client::Clients;
    use crate::clock::Clock;
    use crate::controllers::World;
    use crate::events::Recorder;
    use crate::kwok::{Kwok, Stock};
    use crate::observe::mirror::{Both, Facts, Mirror, Object};
    use crate::telemetry::Metrics;

    #[tokio::test]
    async fn a_pool_whose_class_is_not_there_is_told_so() {
        let clients =
            Clients::from_service(tower::service_fn(|request: http::Request<kube::client::Body>| async move {
                assert_eq!(request.method(), http::Method::PATCH);
                let body = serde_json::to_vec(&pool("p")).unwrap_or_default();
                Ok::<_, http::Error>(http::Response::new(http_body_util::Full::new(bytes::Bytes::from(body))))
            }));
        let (clock, mirror) = (Clock::system(), Mirror::new(&[]));
        let whole = pool("p");
        let trimmed = serde_json::from_value(serde_json::to_value(&whole).unwrap()).unwrap();
        mirror.apply(Object::NodePool(Box::new(Both { whole, trimmed })));
        let settings = cloud::catalog::KwokSettings::default();
        let kwok = Kwok::new(clients.once.clone(), mirror.clone(), clock, &settings, Stock::default()).unwrap();
        let (world, recorder) = (World::new(mirror, Facts::default()), Recorder::memory());
        let deps = Deps::new(&clients, Arc::new(kwok), world, Metrics::new(), recorder.clone(), clock);
        Pools::new(Arc::new(deps)).reconcile("p").await.unwrap();
        let said: Vec<_> =
            recorder.said().into_iter().map(|(about, event)| (about, event.reason, event.message)).collect();
        assert_eq!(said, [(About::node_pool("p", "uid-of-p"), "", "Failed resolving NodeClass".to_owned())]);
    }
}
