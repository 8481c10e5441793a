//! Garbage: claims whose instance is gone, and instances whose claim is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cloud::{Cloud, Instance, InstanceState};
use crds::{NodeClaim, names};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::claim::draft::{REGISTERED, says};
use super::deps::Deps;
use super::fault::Fault;
use crate::act::Preconditions;

/// An instance that does not say for which claim it was bought was bought by somebody else: Karpenter, before us. After so
/// long, in seconds, whoever it was has written it down in its claim.
const LEAST_AGE_UNTOLD_SECONDS: i64 = 300;
/// Claims read in one page.
const PAGE: u32 = 500;
/// How often it is looked for.
const PERIOD: Duration = Duration::from_mins(2);
/// How soon after a look that failed: machines that nobody uses cost money meanwhile.
const AFTER_FAULT: Duration = Duration::from_secs(10);
/// A younger instance may belong to a claim that has not come to our eyes yet, in seconds.
const LEAST_AGE_SECONDS: i64 = 60;
/// The most that is taken away at the same time.
const AT_ONCE: usize = 20;

/// Names of registered claims of whose instance the cloud knows nothing and whose node does not answer.
/// `is_alive` says whether the node of this claim is ready.
pub fn lost_claims<'a>(
    claims: impl Iterator<Item = &'a NodeClaim>,
    instances: &[Instance],
    is_alive: impl Fn(&NodeClaim) -> bool,
) -> Vec<String> {
    let known: BTreeSet<&str> = instances.iter().map(|instance| &*instance.provider_id).collect();
    let is_lost = |claim: &&NodeClaim| {
        let provider_id = claim.status.as_ref().and_then(|status| status.provider_id.as_deref());
        !claim.metadata.is_deleting()
            && provider_id.is_some_and(|id| !known.contains(id))
            && says(claim, REGISTERED)
            && !is_alive(claim)
    };
    claims.filter(is_lost).map(|claim| claim.metadata.name().to_owned()).collect()
}

/// Instances that were bought for a claim which is not there, or which has another one: a claim that has written down its
/// instance needs no second. One that does not say for which claim it was bought is ours if it carries the name of a pool;
/// any other may be anybody's, and is left alone.
pub fn orphans<'a>(
    instances: &'a [Instance],
    claims: impl Iterator<Item = &'a NodeClaim>,
    now: i64,
) -> Vec<&'a Instance> {
    let mut known = BTreeSet::new();
    for claim in claims {
        known.extend(provider_id(claim).or(claim.metadata.uid.as_deref()));
    }
    let is_orphan = |instance: &&Instance| {
        let (is_claimed, least_age) = match instance.token.as_deref() {
            Some(token) => (known.contains(token), LEAST_AGE_SECONDS),
            None => (!instance.tags.contains_key(names::core::NODE_POOL), LEAST_AGE_UNTOLD_SECONDS),
        };
        instance.state != InstanceState::Terminating
            && now.saturating_sub(instance.launched_at) >= least_age
            && !known.contains(&*instance.provider_id)
            && !is_claimed
    };
    instances.iter().filter(is_orphan).collect()
}

/// The instance that is written down in a claim.
fn provider_id(claim: &NodeClaim) -> Option<&str> {
    claim.status.as_ref()?.provider_id.as_deref().filter(|id| !id.is_empty())
}

/// Looks for garbage until `stop`.
pub async fn run<C: Cloud>(deps: Arc<Deps<C>>, stop: CancellationToken) {
    loop {
        let mut wait = PERIOD;
        if deps.world.mirror.synced()
            && let Err(fault) = deps.metrics.reconcile("nodeclaim.garbagecollection", collect(&deps)).await
        {
            tracing::error!(controller = "nodeclaim.garbagecollection", error = %fault, "Reconciler error");
            wait = AFTER_FAULT;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// One look, in both directions. Instances are read before claims, so that a claim that was made in between is known.
pub async fn collect<C: Cloud>(deps: &Deps<C>) -> Result<(), Fault> {
    let call = deps.calling("nodeclaim.garbagecollection", "List");
    // A list that was not read to its end is a fault: by a part of it, claims would be ended whose instances are on the rest.
    let instances = deps.metrics.cloud_call(call, deps.cloud.instances(), |_| "").await?;
    let now = deps.clock.seconds();
    let claims = deps.world.mirror.claims();
    let managed = || claims.iter().map(AsRef::as_ref).filter(|claim| deps.is_managed(&claim.spec.node_class_ref));
    let is_alive = |claim: &NodeClaim| {
        let provider_id = claim.status.as_ref().and_then(|status| status.provider_id.as_deref()).unwrap_or_default();
        deps.world.nodes_of(provider_id).iter().any(|node| node.is_ready())
    };
    deps.world.listed(&instances);
    let lost = lost_claims(managed(), &instances, is_alive);
    let lost: Vec<_> = claims.iter().filter(|claim| lost.iter().any(|name| name == claim.metadata.name())).collect();
    let mut orphans = orphans(&instances, claims.iter().map(AsRef::as_ref), now);
    if orphans.iter().any(|instance| instance.token.is_none()) {
        // No claim is known to ask for, so that all are read, from the API server itself.
        let all: Vec<NodeClaim> = deps.api.list(PAGE, usize::MAX).await?;
        let named: BTreeSet<&str> = all.iter().filter_map(provider_id).collect();
        orphans.retain(|instance| instance.token.is_some() || !named.contains(&*instance.provider_id));
    }
    // Each by itself: one that cannot be taken away keeps none of the others.
    let ends = lost.into_iter().map(|claim| end_claim(deps, claim).boxed());
    let ends: Vec<BoxFuture<'_, Result<(), Fault>>> =
        ends.chain(orphans.into_iter().map(|instance| end_instance(deps, instance).boxed())).collect();
    let answers: Vec<_> = stream::iter(ends).buffer_unordered(AT_ONCE).collect().await;
    let mut faults = answers.into_iter().filter_map(Result::err).filter(|fault| !fault.is_ordinary());
    let Some(first) = faults.next() else { return Ok(()) };
    for fault in faults {
        tracing::error!(controller = "nodeclaim.garbagecollection", error = %fault, "Reconciler error");
    }
    Err(first)
}

async fn end_claim<C: Cloud>(deps: &Deps<C>, claim: &NodeClaim) -> Result<(), Fault> {
    let name = claim.metadata.name();
    let which = Preconditions::uid(claim.metadata.uid.as_deref().unwrap_or_default());
    deps.api.delete::<NodeClaim>("", name, &which, None).await?;
    deps.disrupted(claim, "garbage_collected");
    tracing::info!(NodeClaim = name, "garbage collecting nodeclaim with no cloudprovider representation");
    Ok(())
}

async fn end_instance<C: Cloud>(deps: &Deps<C>, instance: &Instance) -> Result<(), Fault> {
    if !is_wanted(deps, instance).await? {
        tracing::info!(provider_id = &*instance.provider_id, "garbage collecting instance of no nodeclaim");
        deps.terminate(&instance.provider_id).await?;
    }
    Ok(())
}

/// Asks the API server itself whether the claim that ordered the instance is there: the mirror may be behind.
async fn is_wanted<C: Cloud>(deps: &Deps<C>, instance: &Instance) -> Result<bool, Fault> {
    let Some(name) = instance.claim.as_deref() else { return Ok(false) };
    let claim: Option<NodeClaim> = deps.api.get("", name).await?;
    Ok(claim.is_some_and(|claim| match provider_id(&claim) {
        Some(id) => *id == *instance.provider_id,
        None => claim.metadata.uid.as_deref() == instance.token.as_deref(),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::claim::testing::{claim, launched, registered};
    use super::*;

    fn instance(provider_id: &str, token: &str, launched_at: i64) -> Instance {
        Instance {
            provider_id: provider_id.into(),
            token: Some(token.into()),
            claim: None,
            state: InstanceState::Running,
            launched_at,
            ..super::super::claim::testing::instance()
        }
    }

    #[test]
    fn a_claim_is_lost_when_its_instance_is_gone_and_its_node_does_not_answer() {
        let mut deleting = registered("deleting");
        deleting.metadata.deletion_timestamp = Some("1970-01-01T00:00:00Z".to_owned());
        let claims = [
            registered("here"),
            registered("gone"),
            registered("answers"),
            launched("not-registered"),
            claim("not-launched"),
            deleting,
        ];
        let instances = [instance("kwok://here", "uid-of-here", 0)];
        let lost = lost_claims(claims.iter(), &instances, |claim| claim.metadata.name() == "answers");
        assert_eq!(lost, ["gone"]);
    }

    #[test]
    fn an_instance_is_an_orphan_when_no_claim_ordered_or_names_it() {
        let claims = [claim("ordered"), launched("named")];
        let mut terminating = instance("kwok://t", "nobody", 0);
        terminating.state = InstanceState::Terminating;
        let stopped = Instance { state: InstanceState::Stopped, ..instance("kwok://s", "nobody", 0) };
        let nobodys = Instance { token: None, ..instance("kwok://hand-made", "", 0) };
        let instances = [
            nobodys,
            instance("kwok://x", "uid-of-ordered", 0),
            instance("kwok://named", "lost mark", 0),
            instance("kwok://orphan", "nobody", 0),
            instance("kwok://young", "nobody", 941),
            instance("kwok://second-of-named", "uid-of-named", 0),
            stopped,
            terminating,
        ];
        let found: Vec<_> =
            orphans(&instances, claims.iter(), 1000).iter().map(|i| i.provider_id.to_string()).collect();
        assert_eq!(found, ["kwok://orphan", "kwok://second-of-named", "kwok://s"]);
    }
}
