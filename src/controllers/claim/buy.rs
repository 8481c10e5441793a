//! Buying a machine for a claim: what is asked for, of what its pool sells.

use std::sync::Arc;

use cloud::{ClassError, Cloud, Instance, LaunchError};
use crds::{NodeClaim, names};
use planner::model::catalog::Catalog;

use super::draft::Draft;
use super::launch;
use super::run::Claims;
use crate::controllers::fault::Fault;

impl<C: Cloud> Claims<C> {
    /// Asks the cloud for a machine: what it said, or why it could not be asked.
    pub(super) async fn buy(&self, draft: &mut Draft) -> Result<Result<Instance, LaunchError>, Fault> {
        let deps = &self.deps;
        let class = launch::class(&draft.claim);
        let call = deps.calling("nodeclaim.lifecycle", "GetInstanceTypes");
        let types = match deps.metrics.cloud_call(call, deps.cloud.catalog(&class), |_| "").await {
            Ok(types) => types,
            // Nothing is known of what the class sells, which says nothing against the claim.
            Err(error @ (ClassError::Catalog { .. } | ClassError::Unreachable { .. })) => return Err(error.into()),
            Err(error) => return Ok(Err(error.into())),
        };
        let Some(sold) = self.sold(&draft.claim, &types) else {
            return Ok(Err(LaunchError::unsettled("no plan was made yet with the overlays of its pool".to_owned())));
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
        Ok(deps.metrics.cloud_call(call, deps.cloud.launch(&order), LaunchError::label).await)
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
