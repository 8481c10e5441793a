//! Every event there is: reason, text and how often it may be said. Scripts and alerts rely on reasons and texts.

use std::time::Duration;

use super::Event;

const ONE_MINUTE: Duration = Duration::from_mins(1);
const FIVE_MINUTES: Duration = Duration::from_mins(5);
const QUARTER_HOUR: Duration = Duration::from_mins(15);

// Pods.

/// On a pod: it has a place on a claim or node. At least one of the two is given.
pub fn nominated(pod_uid: &str, claim: Option<&str>, node: Option<&str>) -> Event {
    let claim = claim.map(|name| format!("nodeclaim/{name}"));
    let node = node.map(|name| format!("node/{name}"));
    let place: Vec<String> = claim.into_iter().chain(node).collect();
    Event::normal("Nominated", format!("Pod should schedule on: {}", place.join(", "))).dedupe([pod_uid]).rate(5, 10)
}

/// On a pod: no pool has a place for it.
pub fn failed_scheduling(pod_uid: &str, errors: &str) -> Event {
    Event::warning("FailedScheduling", format!("Failed to schedule pod, {errors}"))
        .dedupe([pod_uid])
        .window(FIVE_MINUTES)
}

/// On a pod.
pub fn evicted(pod: &str, reason: &str) -> Event {
    Event::normal("Evicted", format!("Evicted pod: {reason}")).dedupe([pod])
}

/// On a pod that is deleted because its node must go at a set time.
pub fn disrupted_pod(pod: &str, granted_seconds: i64, asked_seconds: i64) -> Event {
    let message = format!(
        "Deleting the pod to accommodate the terminationTime of the node. The pod was granted {granted_seconds} seconds \
         of grace-period of its {asked_seconds} terminationGracePeriodSeconds. This bypasses the PDB of the pod and the \
         do-not-disrupt annotation."
    );
    Event::normal("Disrupted", message).dedupe([pod])
}

/// On a pod.
pub fn invalid_do_not_disrupt(pod_uid: &str, error: &str) -> Event {
    let message = format!("The karpenter.sh/do-not-disrupt annotation cannot be read and is ignored: {error}");
    Event::warning("InvalidDoNotDisruptAnnotation", message).dedupe([pod_uid])
}

/// On a pod.
pub fn do_not_disrupt_until(pod_uid: &str, until: &str) -> Event {
    Event::normal("DoNotDisruptUntil", format!("Pod is protected from disruption until {until}")).dedupe([pod_uid])
}

/// On a pod.
pub fn do_not_disrupt_elapsed(pod_uid: &str) -> Event {
    let message = "The grace period of the karpenter.sh/do-not-disrupt annotation has elapsed";
    Event::normal("DoNotDisruptGracePeriodElapsed", message).dedupe([pod_uid])
}

// Pools.

/// On a pool; `lowered` when `minValues` had a part in it.
pub fn no_compatible_instance_types(pool: &str, lowered: bool) -> Event {
    let message = if lowered {
        "NodePool requirements filtered out all compatible available instance types due to minValues incompatibility"
    } else {
        "NodePool requirements filtered out all compatible available instance types"
    };
    Event::warning("NoCompatibleInstanceTypes", message).dedupe([pool]).window(ONE_MINUTE)
}

/// On a pool.
pub fn pool_disruption_blocked(pool_uid: &str, reason: &str) -> Event {
    let message = format!("No allowed disruptions for disruption reason {reason} due to blocking budget");
    Event::normal("DisruptionBlocked", message).dedupe([pool_uid, reason]).window(ONE_MINUTE)
}

/// On a pool that could buy in the zone.
pub fn zonal_shift_active(pool_uid: &str, zone: &str, zone_id: &str) -> Event {
    let message =
        format!("Zonal shift detected: offerings in zone {zone} ({zone_id}) are unavailable for this NodePool");
    Event::warning("ZonalShiftActive", message).dedupe([pool_uid, zone_id])
}

/// On a pool that can buy in the zone again.
pub fn zonal_shift_cleared(pool_uid: &str, zone: &str, zone_id: &str) -> Event {
    let message = format!("Zonal shift cleared: offerings in zone {zone} ({zone_id}) are restored for this NodePool");
    Event::normal("ZonalShiftCleared", message).dedupe([pool_uid, zone_id])
}

// Disruption, on nodes and claims.

/// On a node or its claim: why it may not be disrupted. `why` begins with a capital.
pub fn disruption_blocked(uid: &str, why: &str) -> Event {
    Event::normal("DisruptionBlocked", why).dedupe([uid])
}

/// On a replacement's claim.
pub fn disruption_launching(claim_uid: &str, reason: &str) -> Event {
    Event::normal("DisruptionLaunching", format!("Launching NodeClaim: {reason}")).dedupe([claim_uid, reason])
}

/// On a replacement's claim.
pub fn disruption_waiting(claim_uid: &str) -> Event {
    Event::normal("DisruptionWaitingReadiness", "Waiting on readiness to continue disruption").dedupe([claim_uid])
}

/// On a node.
pub fn disruption_terminating_node(node_uid: &str, reason: &str) -> Event {
    Event::normal("DisruptionTerminating", format!("Disrupting Node: {reason}")).dedupe([node_uid, reason])
}

/// On a claim.
pub fn disruption_terminating_claim(claim_uid: &str, reason: &str) -> Event {
    Event::normal("DisruptionTerminating", format!("Disrupting NodeClaim: {reason}")).dedupe([claim_uid, reason])
}

/// On a node or its claim.
pub fn unconsolidatable(uid: &str, why: &str) -> Event {
    Event::normal("Unconsolidatable", why).dedupe([uid]).window(QUARTER_HOUR)
}

/// On a node and its claim.
pub fn spot_interrupted(uid: &str) -> Event {
    Event::warning("SpotInterrupted", "Spot interruption warning was triggered").dedupe([uid])
}

/// Names of claims that an event gives at most.
const MOST_CLAIMS: usize = 5;

/// On a node class that is being deleted.
pub fn waiting_on_claims(uid: &str, claims: &[&str]) -> Event {
    let named = claims[..claims.len().min(MOST_CLAIMS)].join(", ");
    let rest = claims.len().saturating_sub(MOST_CLAIMS);
    let more = if rest > 0 { format!(" and {rest} other(s)") } else { String::new() };
    let message = format!("Waiting on NodeClaim termination for {named}{more}");
    Event::normal("WaitingOnNodeClaimTermination", message).dedupe([uid]).window(FIVE_MINUTES)
}

/// On a claim.
pub fn spot_role_missing(uid: &str) -> Event {
    let message =
        "Attempted to launch a spot instance but failed due to \"AuthFailure.ServiceLinkedRoleCreationNotPermitted\"";
    Event::warning("SpotServiceLinkedRoleCreationFailure", message).dedupe([uid])
}

/// On a node and its claim.
pub fn spot_rebalance_recommendation(uid: &str) -> Event {
    Event::normal("SpotRebalanceRecommendation", "Spot rebalance recommendation was triggered").dedupe([uid])
}

/// On a node and its claim.
pub fn instance_unhealthy(uid: &str) -> Event {
    Event::warning("InstanceUnhealthy", "An unhealthy warning was triggered for the instance").dedupe([uid])
}

/// On a node and its claim.
pub fn instance_stopping(uid: &str) -> Event {
    Event::warning("InstanceStopping", "Instance is stopping").dedupe([uid])
}

/// On a node and its claim.
pub fn instance_terminating(uid: &str) -> Event {
    Event::warning("InstanceTerminating", "Instance is terminating").dedupe([uid])
}

/// On a node and its claim.
pub fn reservation_instance_interrupted(uid: &str) -> Event {
    let message = "Capacity reservation instance interruption warning was triggered";
    Event::warning("CapacityReservationInstanceInterrupted", message).dedupe([uid])
}

/// On a claim.
pub fn terminating_claim_on_interruption(claim_uid: &str) -> Event {
    let message = "Interruption triggered termination for the NodeClaim";
    Event::warning("TerminatingOnInterruption", message).dedupe([claim_uid])
}

/// On a node.
pub fn terminating_node_on_interruption(node_uid: &str) -> Event {
    let message = "Interruption triggered termination for the Node";
    Event::warning("TerminatingOnInterruption", message).dedupe([node_uid])
}

/// On a node or its claim; `savings` in dollars with two decimals.
pub fn consolidation_candidate(uid: &str, command: &str, savings: &str) -> Event {
    Event::normal("ConsolidationCandidate", format!("Consolidation candidate: {command} (savings: ${savings})"))
        .dedupe([uid, command])
}

/// On a node or its claim; `reason` is churn, budget or scheduling.
pub fn consolidation_rejected(uid: &str, command: &str, reason: &str, savings: &str) -> Event {
    let message = format!("Consolidation rejected: {command}, reason: {reason} (savings: ${savings})");
    Event::normal("ConsolidationRejected", message).dedupe([uid, command, reason])
}

/// On a node and its claim, or on a pool.
pub fn consolidation_approved(uid: &str, message: &str) -> Event {
    Event::normal("ConsolidationApproved", message).dedupe([uid])
}

// Ends of nodes.

/// On a node; the share was counted over its pool, or over the cluster. The texts are Karpenter's to the letter.
pub fn node_repair_blocked(node_uid: &str, of_pool: bool) -> Event {
    let message = if of_pool {
        "more than 20% nodes are unhealthy in the nodepool"
    } else {
        "more then 20% nodes are unhealthy in the cluster"
    };
    Event::warning("NodeRepairBlocked", message).dedupe([node_uid]).window(QUARTER_HOUR)
}

/// On a node.
pub fn failed_draining(node: &str, error: &str) -> Event {
    Event::warning("FailedDraining", format!("Failed to drain node, {error}")).dedupe([node])
}

/// On a node: which attachments are still there.
pub fn awaiting_volume_detachment(node: &str, attachments: &[&str]) -> Event {
    let shown = attachments.iter().take(5).copied().collect::<Vec<_>>().join(", ");
    let more = if attachments.len() > 5 { format!(" and {} more", attachments.len() - 5) } else { String::new() };
    Event::normal("AwaitingVolumeDetachment", format!("Awaiting deletion of bound volumeattachments ({shown}{more})"))
        .dedupe([node])
}

/// On a node or a claim; RFC 3339.
pub fn termination_grace_period_expiring(name: &str, until: &str) -> Event {
    Event::warning("TerminationGracePeriodExpiring", format!("All pods will be deleted by {until}")).dedupe([name])
}

// Claims.

/// On a claim.
pub fn failed_consistency_check(claim_uid: &str, message: &str) -> Event {
    Event::warning("FailedConsistencyCheck", message).dedupe([claim_uid, message])
}

/// On a claim; the error is cut after 1,000 bytes or so by whoever writes it.
pub fn insufficient_capacity(claim: &str, claim_uid: &str, error: &str) -> Event {
    Event::warning("InsufficientCapacityError", format!("NodeClaim {claim} event: {error}")).dedupe([claim_uid])
}

/// On a claim or a pool whose node class is not there, or is being deleted. Like Karpenter's, it has no reason.
pub fn class_unresolved(uid: &str) -> Event {
    Event::warning("", "Failed resolving NodeClass").dedupe([uid])
}

/// On a claim.
pub fn unregistered_taint_missing(claim_uid: &str) -> Event {
    let message = "Missing karpenter.sh/unregistered taint which prevents registration related race conditions on \
                   Karpenter-managed nodes";
    Event::warning("UnregisteredTaintMissing", message).dedupe([claim_uid])
}

// Conditions and ends, on every kind that has them.

/// On an object whose condition changed; `kind` is the condition's type, which is the event's reason.
pub fn condition_changed(kind: &'static str, uid: &str, from: &str, to: &str, reason: &str, message: &str) -> Event {
    let mut text = format!("Status condition transitioned, Type: {kind}, Status: {from} -> {to}, Reason: {reason}");
    if !message.is_empty() {
        text = format!("{text}, Message: {message}");
    }
    Event::normal(kind, text).dedupe([uid, from, to, reason])
}

/// On an object that is gone.
pub fn finalized(uid: &str) -> Event {
    Event::normal("Finalized", format!("Finalized {}", crds::names::core::TERMINATION_FINALIZER)).dedupe([uid])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_that_scripts_know() {
        let texts = [
            (nominated("u", Some("general-1"), None), "Pod should schedule on: nodeclaim/general-1"),
            (nominated("u", Some("a"), Some("n")), "Pod should schedule on: nodeclaim/a, node/n"),
            (failed_scheduling("u", "x"), "Failed to schedule pod, x"),
            (awaiting_volume_detachment("n", &["a", "b"]), "Awaiting deletion of bound volumeattachments (a, b)"),
            (node_repair_blocked("u", true), "more than 20% nodes are unhealthy in the nodepool"),
            (node_repair_blocked("u", false), "more then 20% nodes are unhealthy in the cluster"),
            (disruption_terminating_node("u", "Empty"), "Disrupting Node: Empty"),
            (terminating_node_on_interruption("u"), "Interruption triggered termination for the Node"),
            (
                zonal_shift_active("u", "us-west-2a", "usw2-az1"),
                "Zonal shift detected: offerings in zone us-west-2a (usw2-az1) are unavailable for this NodePool",
            ),
            (
                zonal_shift_cleared("u", "us-west-2a", "usw2-az1"),
                "Zonal shift cleared: offerings in zone us-west-2a (usw2-az1) are restored for this NodePool",
            ),
            (
                condition_changed("Launched", "u", "Unknown", "True", "Launched", ""),
                "Status condition transitioned, Type: Launched, Status: Unknown -> True, Reason: Launched",
            ),
        ];
        for (event, text) in texts {
            assert_eq!(event.message, text);
        }
        assert_eq!(failed_scheduling("u", "x").window, Duration::from_mins(5));
        assert_eq!(condition_changed("Ready", "u", "a", "b", "c", "d").reason, "Ready");
    }
}
