//! Interruptions: what the cloud is about to do to machines, written on their claims before it is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use cloud::{Cloud, Notice, NoticeKind, OfferingKey};
use crds::{NodeClaim, names};
use planner::model::{CapacityType, Str};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::deps::Deps;
use super::fault::Fault;
use super::time;
use crate::act::Preconditions;
use crate::events::{About, Event, catalog};

/// How long to wait after the notices could not be read.
const PAUSE: Duration = Duration::from_secs(5);
/// How many notices are acted on at once.
const AT_ONCE: usize = 10;

/// Listens until `stop`. A notice that could not be acted on comes again by itself.
pub async fn run<C: Cloud>(deps: Arc<Deps<C>>, stop: CancellationToken) {
    loop {
        let heard = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            heard = deps.cloud.notices() => heard,
        };
        let notices = match heard {
            Ok(notices) => notices,
            Err(error) => {
                tracing::error!(controller = "interruption", %error, "reading notices");
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => continue,
                }
            }
        };
        let mut acting = JoinSet::new();
        for notice in notices {
            if acting.len() >= AT_ONCE {
                acting.join_next().await;
            }
            let deps = deps.clone();
            acting.spawn(async move {
                if let Err(fault) = act(&deps, &notice).await {
                    tracing::error!(controller = "interruption", error = %fault, "Reconciler error");
                }
            });
        }
        while acting.join_next().await.is_some() {}
    }
}

/// Acts on one notice and acknowledges it, once everything that follows from it is written.
///
/// One about machines that no claim has is acknowledged too, as by Karpenter: most are of machines that we ended ourselves.
/// If one was of a machine whose claim had not written it down yet, the claim notices by itself that nothing joins.
pub async fn act<C: Cloud>(deps: &Deps<C>, notice: &Notice) -> Result<(), Fault> {
    let label = label(notice.kind);
    let is_message = !notice.receipt.is_empty();
    if is_message {
        deps.metrics.interruption_received_messages_total.inc([label]);
        if let Some(sent_at) = notice.sent_at {
            let age = super::deps::seconds(deps.clock.seconds().saturating_sub(sent_at).max(0));
            deps.metrics.interruption_message_queue_duration_seconds.observe([], age);
        }
    }
    let claims = deps.world.mirror.claims();
    for id in &notice.instances {
        let of_instance = claims.iter().filter(|claim| is_of(claim, id) && deps.is_managed(&claim.spec.node_class_ref));
        for claim in of_instance {
            on_claim(deps, notice, claim).await?;
        }
    }
    if !is_message {
        return Ok(());
    }
    if let Err(error) = deps.cloud.acknowledge(notice).await {
        // It comes again, and changes nothing then.
        tracing::warn!(controller = "interruption", %error, "acknowledging a notice");
        return Ok(());
    }
    deps.metrics.interruption_deleted_messages_total.inc([]);
    Ok(())
}

fn is_of(claim: &NodeClaim, id: &str) -> bool {
    let provider_id = claim.status.as_ref().and_then(|status| status.provider_id.as_deref());
    provider_id.and_then(|provider_id| provider_id.rsplit('/').next()) == Some(id)
}

async fn on_claim<C: Cloud>(deps: &Deps<C>, notice: &Notice, claim: &NodeClaim) -> Result<(), Fault> {
    let meta = &claim.metadata;
    let uid = meta.uid.as_deref().unwrap_or_default();
    let Some(said) = event(notice.kind, uid) else { return Ok(()) };
    let node = deps.world.mirror.node_of(claim);
    if let Some(node) = &node
        && let Some(said) = event(notice.kind, &node.metadata.uid)
    {
        deps.recorder.publish(About::node(&node.metadata.name, &node.metadata.uid), said);
    }
    deps.recorder.publish(About::node_claim(meta.name(), uid), said);
    if let Some(offering) = offering(claim, notice.kind) {
        deps.world.refused(&[offering.into()], deps.clock.seconds());
    }
    // A recommendation is told and not followed, as by Karpenter: following it would churn.
    if notice.kind == NoticeKind::RebalanceRecommendation || meta.is_deleting() {
        return Ok(());
    }
    if let Some(category) = category(notice.kind) {
        deps.metrics.interruption_instance_status_unhealthy_total.inc([category]);
    }
    if matches!(notice.kind, NoticeKind::InstanceImpaired | NoticeKind::SystemImpaired) {
        // Nothing on it answers, so there is nothing to be drained in good order.
        let mut patch = serde_json::json!({ "metadata": { "annotations": {} } });
        patch["metadata"]["annotations"][names::core::TERMINATION_TIMESTAMP] = time::text(deps.clock.seconds()).into();
        let _: NodeClaim = deps.api.merge("", meta.name(), patch).await?;
    }
    deps.api.delete::<NodeClaim>("", meta.name(), &Preconditions::uid(uid), None).await?;
    deps.disrupted(claim, label(notice.kind));
    deps.recorder.publish(About::node_claim(meta.name(), uid), catalog::terminating_claim_on_interruption(uid));
    if let Some(node) = &node {
        let uid = &node.metadata.uid;
        deps.recorder.publish(About::node(&node.metadata.name, uid), catalog::terminating_node_on_interruption(uid));
    }
    tracing::info!(NodeClaim = meta.name(), kind = label(notice.kind), "initiating delete from interruption message");
    Ok(())
}

/// The spot pool that is being emptied. Of what is in reservations their provider keeps count.
fn offering(claim: &NodeClaim, kind: NoticeKind) -> Option<OfferingKey> {
    if kind != NoticeKind::SpotInterruption {
        return None;
    }
    let label = |key: &str| claim.metadata.labels.get(key).map(|value| Str::from(value.as_str()));
    Some(OfferingKey {
        instance_type: label(names::kubernetes::INSTANCE_TYPE)?,
        zone: label(names::kubernetes::ZONE)?,
        capacity_type: CapacityType::Spot,
        reservation: None,
    })
}

/// Which of the cloud's own checks said it, in metrics.
fn category(kind: NoticeKind) -> Option<&'static str> {
    match kind {
        NoticeKind::InstanceImpaired => Some("InstanceStatus"),
        NoticeKind::SystemImpaired => Some("SystemStatus"),
        NoticeKind::ScheduledEvent => Some("EventStatus"),
        _ => None,
    }
}

/// Karpenter's word, in metrics.
fn label(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::SpotInterruption => "spot_interrupted",
        NoticeKind::RebalanceRecommendation => "rebalance_recommendation",
        NoticeKind::ScheduledChange => "scheduled_change",
        NoticeKind::Stopped => "instance_stopped",
        NoticeKind::Terminated => "instance_terminated",
        NoticeKind::ReservationEnds => "capacity_reservation_interrupted",
        NoticeKind::InstanceImpaired => "instance_status",
        NoticeKind::SystemImpaired => "system_status",
        NoticeKind::ScheduledEvent => "event_status",
        NoticeKind::Other => "no_op",
    }
}

fn event(kind: NoticeKind, uid: &str) -> Option<Event> {
    Some(match kind {
        NoticeKind::SpotInterruption => catalog::spot_interrupted(uid),
        NoticeKind::RebalanceRecommendation => catalog::spot_rebalance_recommendation(uid),
        NoticeKind::ScheduledChange
        | NoticeKind::InstanceImpaired
        | NoticeKind::SystemImpaired
        | NoticeKind::ScheduledEvent => catalog::instance_unhealthy(uid),
        NoticeKind::Stopped => catalog::instance_stopping(uid),
        NoticeKind::Terminated => catalog::instance_terminating(uid),
        NoticeKind::ReservationEnds => catalog::reservation_instance_interrupted(uid),
        NoticeKind::Other => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::claim::testing::launched;
    use super::*;

    #[test]
    fn a_notice_is_about_the_machine_whose_id_ends_the_provider_id() {
        let mut claim = launched("a");
        claim.status.get_or_insert_default().provider_id = Some("aws:///us-west-2a/i-1".to_owned());
        assert!(is_of(&claim, "i-1") && !is_of(&claim, "i-11") && !is_of(&claim, "1"));
    }

    #[test]
    fn the_pool_of_an_interrupted_machine_is_known_by_its_labels() {
        let mut claim = launched("a");
        assert_eq!(offering(&claim, NoticeKind::SpotInterruption), None);
        claim.metadata.labels.insert("node.kubernetes.io/instance-type".to_owned(), "m5.large".to_owned());
        claim.metadata.labels.insert("topology.kubernetes.io/zone".to_owned(), "z".to_owned());
        let found = offering(&claim, NoticeKind::SpotInterruption).unwrap();
        assert_eq!((&*found.instance_type, &*found.zone, found.capacity_type), ("m5.large", "z", CapacityType::Spot));
        assert_eq!(offering(&claim, NoticeKind::Terminated), None);
        assert_eq!(offering(&claim, NoticeKind::ReservationEnds), None);
    }
}
