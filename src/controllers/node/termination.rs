//! The end of a Node: marked, drained, its volumes let go, its instance ended, and only then released.
//!
//! ```text
//! deleted --> claim deleted too --> tainted --> drained (5 s at least) --> volumes detached --> instance gone --> released
//!     |
//!     +-- not ready and its instance gone already --> released
//! ```
//! Every arrow is one step; a step is decided from what is written on the objects, so it may be taken again after a crash.

use crds::{TaintEffect, names};
use planner::drain::{Drain, Order, drain};
use planner::model::Str;

use super::object::{Node, add_taints, mark};
use super::pod::Pod;
use crate::controllers::claim::draft::{DISRUPTION_REASON, DRAINED, Draft, INSTANCE_TERMINATING, VOLUMES_DETACHED};
use crate::controllers::claim::finalize::written_deadline;

/// A drain takes at least so long, in seconds: pods that were bound just before the taint have come to light by then.
const LEAST_DRAIN_SECONDS: i64 = 5;

/// What the end of a Node is decided from.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    pub node: &'a Node,
    pub pods: &'a [Pod],
    pub attached: &'a [Attachment],
    /// What the cloud said of the instance, where it was asked.
    pub instance: Instance,
    /// Seconds since the epoch.
    pub now: i64,
}

/// A `PersistentVolume` that is attached to the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Of the `VolumeAttachment`.
    pub name: Str,
    /// Of the `PersistentVolume`.
    pub volume: Str,
}

/// What is known of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instance {
    NotAsked,
    There,
    Gone,
}

/// The next thing to be done for a Node that is being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is not ours to end, or has been released.
    Nothing,
    /// Its claim is to be deleted too.
    DeleteClaim,
    /// It is not ready: the cloud is to be asked whether there is an instance at all.
    AskCloud,
    /// It is to get the disrupted taint and leave the load balancers.
    Mark(Box<Node>),
    /// Pods are to be sent off, or waited for.
    Drain(Drain),
    /// Drained, and to be looked at again at this time.
    AwaitPods { until: i64 },
    /// These `VolumeAttachment`s are still there.
    AwaitVolumes(Vec<Str>),
    /// The instance is to be ended, or asked for again.
    Terminate,
    /// It is to lose its finalizer.
    Release(Box<Node>),
}

/// What comes next. The claim's conditions are moved along; a Node without a claim has none to move.
pub fn next(scene: &Scene<'_>, mut claim: Option<&mut Draft>) -> Step {
    let node = scene.node;
    if !node.metadata.is_deleting() || !node.has_finalizer() {
        return Step::Nothing;
    }
    if claim.as_ref().is_some_and(|draft| !draft.claim.metadata.is_deleting()) {
        return Step::DeleteClaim;
    }
    if !node.is_ready() && !claim.as_ref().is_some_and(|draft| draft.is_true(INSTANCE_TERMINATING)) {
        match scene.instance {
            Instance::NotAsked => return Step::AskCloud,
            Instance::Gone => return release(node),
            Instance::There => {}
        }
    }
    let marked = marked(node);
    if node.patch_to(&marked).is_some() {
        return Step::Mark(Box::new(marked));
    }
    let deadline = claim.as_ref().and_then(|draft| written_deadline(&draft.claim));
    if let Some(step) = drained(scene, deadline, claim.as_deref_mut()) {
        return step;
    }
    if let Some(step) = detached(scene, deadline, claim.as_deref_mut()) {
        return step;
    }
    if claim.is_some() && scene.instance != Instance::Gone {
        return Step::Terminate;
    }
    release(node)
}

/// Why its pods are sent away, for their events.
pub fn reason(claim: Option<&Draft>) -> String {
    let condition = claim.and_then(|draft| draft.conditions.get(DISRUPTION_REASON));
    condition.filter(|c| c.is_true()).map_or_else(|| "Forceful Termination".to_owned(), |c| c.reason.clone())
}

fn marked(node: &Node) -> Node {
    let mut after = node.clone();
    add_taints(&mut after.spec.taints, &[mark(names::core::DISRUPTED_TAINT, TaintEffect::NoSchedule)]);
    let label = names::kubernetes::EXCLUDE_FROM_LOAD_BALANCERS.to_owned();
    after.metadata.labels.insert(label, "karpenter".to_owned());
    after
}

fn release(node: &Node) -> Step {
    let mut after = node.clone();
    after.metadata.finalizers.retain(|finalizer| finalizer != names::core::TERMINATION_FINALIZER);
    Step::Release(Box::new(after))
}

/// The step that the drain still needs. What was drained is looked at again until the machine's end is asked for: a pod may
/// have been bound in the meantime by somebody who asked no scheduler.
fn drained(scene: &Scene<'_>, deadline: Option<i64>, claim: Option<&mut Draft>) -> Option<Step> {
    let Some(draft) = claim else {
        let state = drain(&passengers(scene.pods), deadline, scene.now);
        return (!state.done()).then_some(Step::Drain(state));
    };
    // A machine that is being ended can keep no pod, and waiting for one would keep the Node for ever.
    if draft.is_true(DRAINED) && draft.is_true(INSTANCE_TERMINATING) {
        return None;
    }
    let state = drain(&passengers(scene.pods), deadline, scene.now);
    if draft.is_true(DRAINED) && state.done() {
        return None;
    }
    if draft.conditions.get(DRAINED).is_none() || !state.done() {
        draft.conditions.set_unknown_because(DRAINED, "Draining", "Draining");
    }
    if !state.done() {
        return Some(Step::Drain(state));
    }
    let until = draft.since(DRAINED).unwrap_or(scene.now).saturating_add(LEAST_DRAIN_SECONDS);
    if scene.now < until {
        return Some(Step::AwaitPods { until });
    }
    draft.conditions.set_true(DRAINED);
    None
}

fn passengers(pods: &[Pod]) -> Vec<planner::drain::Passenger> {
    pods.iter().map(Pod::passenger).collect()
}

/// The step that the volumes still need. Volumes of pods that nothing makes leave are not waited for: they are attached for as
/// long as those pods are there.
fn detached(scene: &Scene<'_>, deadline: Option<i64>, claim: Option<&mut Draft>) -> Option<Step> {
    let is_kept = |volume: &Str| {
        let mut holders = scene.pods.iter().filter(|pod| pod.volumes.contains(volume));
        holders.any(|pod| pod.passenger().stays(scene.now))
    };
    let left = scene.attached.iter().filter(|attachment| !is_kept(&attachment.volume));
    let left: Vec<Str> = left.map(|attachment| attachment.name.clone()).collect();
    let is_over = deadline.is_some_and(|deadline| scene.now > deadline);
    let waits = !left.is_empty() && !is_over;
    if let Some(draft) = claim
        && !draft.is_true(VOLUMES_DETACHED)
    {
        if left.is_empty() {
            draft.conditions.set_true(VOLUMES_DETACHED);
        } else if is_over {
            let reason = "TerminationGracePeriodElapsed";
            draft.conditions.set_false(VOLUMES_DETACHED, reason, reason);
        } else {
            let reason = "AwaitingVolumeDetachment";
            draft.conditions.set_unknown_because(VOLUMES_DETACHED, reason, reason);
        }
    }
    waits.then_some(Step::AwaitVolumes(left))
}

/// Writes into the claim that the cloud has taken up the end of the instance.
pub fn terminating(claim: &mut Draft) {
    claim.conditions.set_true(INSTANCE_TERMINATING);
}

/// Grace seconds for each pod that is to be deleted, and the pods that are to be evicted.
pub fn orders<'a>(drain: &Drain, pods: &'a [Pod]) -> Vec<(&'a Pod, Order)> {
    drain.orders.iter().filter_map(|(idx, order)| Some((pods.get(*idx)?, *order))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::claim::testing::{ready, registered};
    use crate::controllers::node::object::taint_text;
    use crate::controllers::time;

    struct World {
        node: Node,
        claim: Option<Draft>,
        pods: Vec<Pod>,
        attached: Vec<Attachment>,
        instance: Instance,
        now: i64,
    }

    impl World {
        fn new() -> Self {
            let mut node = ready("a");
            node.metadata.finalizers = vec!["karpenter.sh/termination".to_owned()];
            node.metadata.deletion_timestamp = Some(time::text(100));
            let mut claim = registered("a");
            claim.metadata.deletion_timestamp = Some(time::text(100));
            let claim = Some(Draft::new(claim, 100));
            Self { node, claim, pods: Vec::new(), attached: Vec::new(), instance: Instance::NotAsked, now: 100 }
        }

        fn next(&mut self) -> Step {
            if let Some(draft) = &mut self.claim {
                let mut claim = draft.claim.clone();
                claim.status.get_or_insert_default().conditions = draft.conditions.clone().into_conditions();
                *draft = Draft::new(claim, self.now);
            }
            let Self { node, pods, attached, instance, now, .. } = self;
            let scene = Scene { node, pods, attached, instance: *instance, now: *now };
            let step = next(&scene, self.claim.as_mut());
            if let Step::Mark(after) | Step::Release(after) = &step {
                self.node = (**after).clone();
            }
            step
        }

        fn condition(&self, type_: &str) -> (String, String) {
            let condition = self.claim.as_ref().unwrap().conditions.get(type_).unwrap();
            (condition.status.to_string(), condition.reason.clone())
        }
    }

    fn pod() -> Pod {
        Pod { namespace: "n".into(), name: "p".into(), grace_seconds: 30, ..Pod::default() }
    }

    fn attached() -> Vec<Attachment> {
        vec![Attachment { name: "csi-1".into(), volume: "pv".into() }]
    }

    fn said(status: &str, reason: &str) -> (String, String) {
        (status.to_owned(), reason.to_owned())
    }

    #[test]
    fn a_node_ends_in_the_order_of_the_reference() {
        let mut world = World::new();
        world.pods = vec![pod()];
        world.attached = attached();
        assert!(matches!(world.next(), Step::Mark(_)));
        assert_eq!(
            world.node.spec.taints.iter().map(taint_text).collect::<Vec<_>>(),
            ["karpenter.sh/disrupted:NoSchedule"]
        );
        assert_eq!(world.node.metadata.labels["node.kubernetes.io/exclude-from-external-load-balancers"], "karpenter");
        let Step::Drain(drain) = world.next() else { panic!("not draining") };
        assert_eq!(orders(&drain, &world.pods), [(&world.pods[0], Order::Evict)]);
        assert_eq!(world.condition(DRAINED), said("Unknown", "Draining"));
        world.now = 103;
        world.pods.clear();
        assert_eq!(world.next(), Step::AwaitPods { until: 105 });
        world.now = 105;
        assert_eq!(world.next(), Step::AwaitVolumes(vec!["csi-1".into()]), "by the names of the attachments");
        assert_eq!(world.condition(DRAINED), said("True", "Drained"));
        assert_eq!(world.condition(VOLUMES_DETACHED), said("Unknown", "AwaitingVolumeDetachment"));
        world.attached.clear();
        assert_eq!(world.next(), Step::Terminate);
        assert_eq!(world.condition(VOLUMES_DETACHED), said("True", "VolumesDetached"));
        world.instance = Instance::Gone;
        assert!(matches!(world.next(), Step::Release(_)));
        assert_eq!(world.next(), Step::Nothing);
    }

    #[test]
    fn a_pod_that_is_bound_after_the_drain_is_drained_too() {
        let mut world = World::new();
        world.attached = attached();
        let _ = world.next();
        assert_eq!(world.next(), Step::AwaitPods { until: 105 });
        world.now = 105;
        assert!(matches!(world.next(), Step::AwaitVolumes(_)));
        world.pods = vec![pod()];
        world.now = 110;
        assert!(matches!(world.next(), Step::Drain(_)));
        assert_eq!(world.condition(DRAINED), said("Unknown", "Draining"));
        world.pods.clear();
        world.attached.clear();
        world.now = 111;
        assert_eq!(world.next(), Step::AwaitPods { until: 115 });
        world.now = 115;
        assert_eq!(world.next(), Step::Terminate);
        terminating(world.claim.as_mut().unwrap());
        world.pods = vec![pod()];
        assert_eq!(world.next(), Step::Terminate, "its machine is being ended");
    }

    #[test]
    fn a_node_deleted_by_hand_takes_its_claim_along() {
        let mut world = World::new();
        world.claim.as_mut().unwrap().claim.metadata.deletion_timestamp = None;
        assert_eq!(world.next(), Step::DeleteClaim);
    }

    #[test]
    fn a_node_whose_instance_is_gone_is_released_at_once() {
        let mut world = World::new();
        world.node.status.conditions.clear();
        world.pods = vec![pod()];
        assert_eq!(world.next(), Step::AskCloud);
        world.instance = Instance::There;
        assert!(matches!(world.next(), Step::Mark(_)));
        world.instance = Instance::Gone;
        assert!(matches!(world.next(), Step::Release(_)));
    }

    #[test]
    fn a_node_without_a_claim_is_drained_and_released() {
        let mut world = World::new();
        world.claim = None;
        world.pods = vec![pod()];
        assert!(matches!(world.next(), Step::Mark(_)));
        assert!(matches!(world.next(), Step::Drain(_)));
        world.pods.clear();
        assert!(matches!(world.next(), Step::Release(_)));
    }

    #[test]
    fn past_its_deadline_a_node_waits_neither_for_protected_pods_nor_for_volumes() {
        let mut world = World::new();
        let annotations = &mut world.claim.as_mut().unwrap().claim.metadata.annotations;
        annotations.insert("karpenter.sh/nodeclaim-termination-timestamp".to_owned(), time::text(150));
        world.pods = vec![Pod { do_not_disrupt: Some("true".into()), ..pod() }];
        world.attached = attached();
        let _ = world.next();
        let Step::Drain(drain) = world.next() else { panic!("not draining") };
        assert_eq!(orders(&drain, &world.pods), []);
        assert_eq!(drain.next, Some(121));
        world.now = 130;
        let Step::Drain(drain) = world.next() else { panic!("not draining") };
        assert_eq!(orders(&drain, &world.pods)[0].1, Order::Delete { grace_seconds: 20 });
        world.now = 151;
        world.pods.clear();
        assert_eq!(world.next(), Step::Terminate);
        assert_eq!(world.condition(VOLUMES_DETACHED), said("False", "TerminationGracePeriodElapsed"));
    }

    #[test]
    fn volumes_of_pods_that_stay_to_the_end_are_not_waited_for() {
        let mut world = World::new();
        world.pods = vec![Pod { tolerates_disrupted: true, volumes: vec!["pv".into()], ..pod() }];
        world.attached = attached();
        let _ = world.next();
        assert_eq!(world.next(), Step::AwaitPods { until: 105 });
        world.now = 105;
        assert_eq!(world.next(), Step::Terminate);
    }

    #[test]
    fn pods_are_told_why_they_must_go() {
        let mut world = World::new();
        assert_eq!(reason(world.claim.as_ref()), "Forceful Termination");
        world.claim.as_mut().unwrap().conditions.set_true_because(DISRUPTION_REASON, "Empty", "Empty");
        assert_eq!(reason(world.claim.as_ref()), "Empty");
    }

    #[test]
    fn a_node_that_is_not_being_deleted_is_left_alone() {
        let mut world = World::new();
        world.node.metadata.deletion_timestamp = None;
        assert_eq!(world.next(), Step::Nothing);
    }
}
