//! A bound pod as the controllers see it: who it is, and what it lets us do to its node.

use planner::disrupt::{Obstacle, Occupant};
use planner::drain::{Passenger, Protection};
use planner::model::Str;

use crate::observe::protection;

/// One pod on a node. Times are seconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    pub namespace: Str,
    pub name: Str,
    pub uid: Str,
    /// Succeeded or failed.
    pub finished: bool,
    pub daemon: bool,
    /// A static pod of its kubelet.
    pub mirror: bool,
    /// Of a `StatefulSet`: when it goes it comes back under the same name, and needs a place.
    pub stateful: bool,
    /// Of the class `system-cluster-critical` or `system-node-critical`.
    pub critical: bool,
    /// Tolerates `karpenter.sh/disrupted:NoSchedule`.
    pub tolerates_disrupted: bool,
    /// The annotation `karpenter.sh/do-not-disrupt` as it is written.
    pub do_not_disrupt: Option<Str>,
    pub priority: i32,
    /// `controller.kubernetes.io/pod-deletion-cost`; 0 if it is no number.
    pub deletion_cost: i32,
    pub started: Option<i64>,
    pub grace_seconds: i64,
    /// `deletionTimestamp`.
    pub gone_by: Option<i64>,
    /// Names of the `PersistentVolume`s it uses.
    pub volumes: Vec<Str>,
}

impl Pod {
    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Not finished and not on its way out.
    pub fn is_active(&self) -> bool {
        !self.finished && self.gone_by.is_none()
    }

    /// Whether and how long the annotation protects it.
    pub fn protection(&self) -> Protection {
        protection(self.do_not_disrupt.as_deref(), self.started)
    }

    /// Whether the annotation is one that nobody can act on.
    pub fn has_unreadable_protection(&self) -> bool {
        self.do_not_disrupt.is_some() && self.protection() == Protection::None
    }

    /// For the drain.
    pub fn passenger(&self) -> Passenger {
        Passenger {
            key: self.key().into(),
            critical: self.critical,
            daemon: self.daemon,
            mirror: self.mirror,
            finished: self.finished,
            tolerates: self.tolerates_disrupted,
            protection: self.protection(),
            grace_seconds: self.grace_seconds,
            gone_by: self.gone_by,
        }
    }

    /// For voluntary disruption. `pdb` is what the disruption budgets say against its eviction now.
    pub fn occupant(&self, pdb: Option<Obstacle>, now: i64) -> Occupant {
        let is_protected = self.is_active() && self.protection().holds(now);
        let is_evictable = self.is_active() && !self.tolerates_disrupted && !self.mirror && !is_protected;
        Occupant {
            key: self.key().into(),
            reschedulable: (self.is_active() || self.stateful && !self.finished) && !self.daemon && !self.mirror,
            cost: Occupant::eviction_cost(self.deletion_cost, self.priority),
            obstacle: if is_protected { Some(Obstacle::Protected) } else { pdb.filter(|_| is_evictable) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_that_protects_nothing_cannot_be_read() {
        for (text, is_unreadable) in
            [(None, false), (Some("true"), false), (Some("1h"), false), (Some("soon"), true), (Some("3000000h"), true)]
        {
            let pod = Pod { do_not_disrupt: text.map(Into::into), started: Some(10), ..Pod::default() };
            assert_eq!(pod.has_unreadable_protection(), is_unreadable, "{text:?}");
        }
    }

    #[test]
    fn a_stateful_pod_on_its_way_out_needs_a_place_again() {
        let leaving = Pod { gone_by: Some(5), ..Pod::default() };
        assert!(!leaving.occupant(None, 0).reschedulable);
        let stateful = Pod { stateful: true, ..leaving };
        assert!(stateful.occupant(None, 0).reschedulable);
        assert!(!Pod { finished: true, ..stateful }.occupant(None, 0).reschedulable);
    }

    #[test]
    fn a_daemons_pod_is_no_reason_to_keep_a_node_unless_it_is_protected() {
        let daemon = Pod { daemon: true, ..Pod::default() };
        assert!(!daemon.occupant(None, 0).reschedulable);
        let protected = Pod { do_not_disrupt: Some("true".into()), ..daemon };
        assert_eq!(protected.occupant(Some(Obstacle::SeveralPdbs), 0).obstacle, Some(Obstacle::Protected));
        let leaving = Pod { gone_by: Some(5), ..protected };
        assert_eq!(leaving.occupant(Some(Obstacle::SeveralPdbs), 0).obstacle, None);
        let tolerant = Pod { tolerates_disrupted: true, ..Pod::default() };
        assert_eq!(tolerant.occupant(Some(Obstacle::SeveralPdbs), 0).obstacle, None);
    }
}
