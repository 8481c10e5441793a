//! Buying a machine for a claim: what is asked for, of what its pool sells, and what becomes of a claim that gets none.

use std::sync::Arc;

use cloud::{ClassError, Cloud, Instance, LaunchError};
use crds::{NodeClaim, names};
use planner::model::catalog::Catalog;

use super::draft::Draft;
use super::launch::{self, Launched};
use super::run::Claims;
use crate::controllers::fault::Fault;
use crate::controllers::queue::Again;
use crate::events::{About, catalog};

impl<C: Cloud> Claims<C> {
    /// Buys what the claim asks for, unless that was done and only the writing failed.
    pub(super) async fn launch(&self, draft: &mut Draft) -> Launched {
        let bought = self.remember(&draft.claim, |memory| memory.instance.clone());
        let answer = match bought {
            Some(instance) => Ok(instance),
            None => self.buy(draft).await,
        };
        if let Ok(instance) = &answer {
            self.remember(&draft.claim, |memory| memory.instance = Some(instance.clone()));
        }
        let refused = match &answer {
            Ok(Instance { refused, .. })
            | Err(LaunchError::InsufficientCapacity { refused, .. } | LaunchError::Rejected { refused, .. }) => {
                refused.as_slice()
            }
            Err(_) => &[],
        };
        self.deps.world.refused(refused, self.deps.clock.seconds());
        if refused.iter().any(|one| one.because == cloud::Because::Account) {
            let meta = &draft.claim.metadata;
            let uid = meta.uid.as_deref().unwrap_or_default();
            self.deps.recorder.publish(About::node_claim(meta.name(), uid), catalog::spot_role_missing(uid));
        }
        launch::settle(draft, &answer)
    }

    /// Asks the cloud for a machine: what it said, or why it was not asked.
    async fn buy(&self, draft: &mut Draft) -> Result<Instance, LaunchError> {
        let deps = &self.deps;
        let class = launch::class(&draft.claim);
        let call = deps.calling("nodeclaim.lifecycle", "GetInstanceTypes");
        let told = deps.metrics.cloud_call(call, deps.cloud.catalog(&class), |_| "").await;
        let types = told.map_err(|error| self.not_told(&draft.claim, error))?;
        let Some(sold) = self.sold(&draft.claim, &types) else {
            return Err(LaunchError::unsettled("no plan was made yet with the overlays of its pool".to_owned()));
        };
        let mut order = launch::order(&draft.claim, Vec::new());
        let now = deps.clock.seconds();
        let mut offers = cloud::offers(&sold, &order.requirements, &order.requests);
        offers.retain(|offer| !deps.world.is_refused(&offer.key, now));
        if !Arc::ptr_eq(&sold, &types) && launch::are_repriced(&offers, &types) {
            let key = names::core::PRICE_OVERLAY_APPLIED;
            draft.claim.metadata.annotations.insert(key.to_owned(), "true".to_owned());
            order.annotations.insert(key.into(), "true".into());
        }
        order.offers = offers;
        order.takes_less_choice = deps.takes_less_choice;
        let call = deps.calling("nodeclaim.lifecycle", "Create");
        deps.metrics.cloud_call(call, deps.cloud.launch(&order), LaunchError::label).await
    }

    /// What becomes of a claim whose class does not say what it sells.
    fn not_told(&self, claim: &NodeClaim, error: ClassError) -> LaunchError {
        match error {
            ClassError::Missing { .. } | ClassError::Foreign { .. } | ClassError::Terminating { .. } => {
                let uid = claim.metadata.uid.as_deref().unwrap_or_default();
                let about = About::node_claim(claim.metadata.name(), uid);
                self.deps.recorder.publish(about, catalog::class_unresolved(uid));
                error.into()
            }
            // Nothing is known of what the class sells, which says nothing against the claim: it is tried again.
            ClassError::Catalog { .. } | ClassError::Unreachable { .. } => {
                let (reason, message) = ("InstanceTypeResolutionFailed".to_owned(), error.to_string());
                LaunchError::Rejected { reason, message, refused: Vec::new() }
            }
            ClassError::NotReady { .. } | ClassError::Unsettled { .. } => error.into(),
        }
    }

    /// What the claim's pool sells: what its class does, changed by overlays as in the last plan. None: overlays count, and no
    /// plan has been made with them yet, or not with the claim's class, or when that did not say what it sells.
    fn sold(&self, claim: &NodeClaim, plain: &Catalog) -> Option<Catalog> {
        let world = &self.deps.world;
        let pool = claim.metadata.labels.get(names::core::NODE_POOL).filter(|_| self.deps.overlays.is_some());
        match pool.filter(|pool| world.pool(pool).is_some()) {
            Some(pool) => {
                world.sold_by(pool, &claim.spec.node_class_ref).filter(|sold| !sold.is_empty() || plain.is_empty())
            }
            None => Some(plain.clone()),
        }
    }
    /// Says why the claim cannot become a node, and ends it.
    pub(super) async fn hopeless(&self, draft: &Draft, reason: &'static str, message: &str) -> Result<Again, Fault> {
        let meta = &draft.claim.metadata;
        let uid = meta.uid.as_deref().unwrap_or_default();
        tracing::error!(NodeClaim = meta.name(), reason, message, "failed launching nodeclaim");
        if reason == "insufficient_capacity" {
            let event = catalog::insufficient_capacity(meta.name(), uid, message);
            self.deps.recorder.publish(About::node_claim(meta.name(), uid), event);
        }
        self.end(draft, reason).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http::{Method, Request, Response};
    use http_body_util::Full;
    use kube::client::Body;

    use super::super::testing::claim;
    use super::*;
    use crate::client::Clients;
    use crate::clock::Clock;
    use crate::controllers::run::Reconcile as _;
    use crate::controllers::{Deps, World};
    use crate::events::Recorder;
    use crate::kwok::{Kwok, Stock};
    use crate::observe::mirror::{Both, Facts, Kind, Mirror, Object};
    use crate::telemetry::Metrics;

    fn shown(mirror: &Mirror, claim: &NodeClaim) {
        let trimmed = serde_json::from_value(serde_json::to_value(claim).unwrap()).unwrap();
        mirror.apply(Object::NodeClaim(Box::new(Both { whole: claim.clone(), trimmed })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_that_was_ended_is_not_bought_for_again_before_the_mirror_shows_its_end() {
        let mut with_finalizer = claim("a");
        with_finalizer.metadata.finalizers.push(names::core::TERMINATION_FINALIZER.to_owned());
        with_finalizer.metadata.resource_version = Some("2".to_owned());
        let answer = serde_json::to_vec(&with_finalizer).unwrap();
        let sent: Arc<Mutex<Vec<Method>>> = Arc::default();
        let log = sent.clone();
        let clients = Clients::from_service(tower::service_fn(move |request: Request<Body>| {
            log.lock().unwrap().push(request.method().clone());
            let body = Full::new(bytes::Bytes::from(answer.clone()));
            async move { Ok::<_, http::Error>(Response::new(body)) }
        }));
        let (clock, metrics, mirror) = (Clock::system(), Metrics::new(), Mirror::new(&[Kind::NodeClaim]));
        let settings = cloud::catalog::KwokSettings::default();
        // There is no class: nothing can be bought.
        let kwok = Kwok::new(clients.once.clone(), mirror.clone(), clock, &settings, Stock::default()).unwrap();
        let world = World::new(mirror.clone(), Facts::default());
        let deps = Deps::new(&clients, Arc::new(kwok), world, metrics.clone(), Recorder::memory(), clock);
        let claims = Claims::new(Arc::new(deps));
        let disrupted = || metrics.nodeclaims_disrupted_total.get(["insufficient_capacity", "p", "", "", "graceful"]);
        let look = || Box::pin(claims.reconcile("a"));

        shown(&mirror, &claim("a"));
        look().await.unwrap();
        assert_eq!((sent.lock().unwrap().as_slice(), disrupted()), (&[Method::PATCH, Method::DELETE][..], 1));
        // The watch tells of the finalizer before it tells of the deletion.
        shown(&mirror, &with_finalizer);
        let again = look().await.unwrap();
        assert_eq!((sent.lock().unwrap().len(), disrupted()), (2, 1));
        assert!(matches!(again, Again::After(_)), "{again:?}");
        // The answer may have been about another claim of the name; then it is tried again, and counted once all the same.
        tokio::time::advance(std::time::Duration::from_mins(2)).await;
        look().await.unwrap();
        assert_eq!((sent.lock().unwrap().len(), disrupted()), (3, 1));
    }
}
