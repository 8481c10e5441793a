//! Buying a machine for a claim: what is asked for, of what its pool sells.

use std::sync::Arc;

use cloud::{ClassError, Cloud, Instance, LaunchError};
use crds::{NodeClaim, names};
use planner::model::catalog::Catalog;

use super::draft::Draft;
use super::launch;
use super::run::Claims;
use crate::events::{About, catalog};

impl<C: Cloud> Claims<C> {
    /// Asks the cloud for a machine: what it said, or why it was not asked.
    pub(super) async fn buy(&self, draft: &mut Draft) -> Result<Instance, LaunchError> {
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
    /// plan has been made with them yet.
    fn sold(&self, claim: &NodeClaim, plain: &Catalog) -> Option<Catalog> {
        let world = &self.deps.world;
        let pool = claim.metadata.labels.get(names::core::NODE_POOL).filter(|_| self.deps.overlays.is_some());
        match pool.filter(|pool| world.pool(pool).is_some()) {
            Some(pool) => world.sold_by(pool),
            None => Some(plain.clone()),
        }
    }
}
