//! Which pods of a node that is going away may be sent off now, in which way, and what the rest are waiting for.
//!
//! Pods leave in four tiers: others before critical ones, and within each those of workloads before those of daemons. A
//! tier begins when no pod of an earlier one is left. A pod that may not be disturbed holds its tier up, until the
//! node's deadline comes within the pod's own grace period: then it is deleted, whatever its tier.

use serde::{Deserialize, Serialize};

use crate::model::Str;

/// How long a pod that should be gone is waited for, in seconds past the end of its grace period. Whoever holds it then
/// (a kubelet that does not answer) will not let go of it sooner for our waiting.
pub const STUCK_AFTER_SECONDS: i64 = 60;

/// A pod on the node. Times are seconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passenger {
    /// `namespace/name`.
    pub key: Str,
    /// `system-cluster-critical` or `system-node-critical`.
    pub critical: bool,
    /// Owned by a `DaemonSet`.
    pub daemon: bool,
    /// A static pod: it lives and dies with its node.
    pub mirror: bool,
    /// Succeeded or failed.
    pub finished: bool,
    /// Tolerates the disrupted taint, so it means to stay to the end.
    pub tolerates: bool,
    /// By `karpenter.sh/do-not-disrupt`.
    pub protection: Protection,
    /// `terminationGracePeriodSeconds`.
    pub grace_seconds: i64,
    /// When it must be gone: `deletionTimestamp`, which already includes its grace period.
    pub gone_by: Option<i64>,
}

/// Whether a pod may be disturbed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protection {
    #[default]
    None,
    /// Not before this time.
    Until(i64),
    Forever,
}

impl Protection {
    /// Does it hold at `now`?
    pub fn holds(self, now: i64) -> bool {
        match self {
            Self::None => false,
            Self::Until(end) => now < end,
            Self::Forever => true,
        }
    }
}

/// What is to be done with one pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Order {
    /// Asked to leave; disruption budgets may say no.
    Evict,
    /// Deleted with this much grace left, at least 1 s; nothing may say no.
    Delete { grace_seconds: i64 },
}

/// Why a pod that holds up the drain is not sent off now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Waiting {
    /// It is on its way out.
    Leaving,
    /// It may not be disturbed.
    Protected,
    /// An earlier tier is not empty.
    Turn,
}

/// The state of a drain at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "the pods are still on the node"]
pub struct Drain {
    /// Positions in the list of passengers.
    pub orders: Vec<(usize, Order)>,
    /// Positions in the list of passengers; with `orders`, all that the node still waits for.
    pub waiting: Vec<(usize, Waiting)>,
    /// When time alone changes the answer.
    pub next: Option<i64>,
}

impl Drain {
    /// Nobody is left to wait for.
    pub fn done(&self) -> bool {
        self.orders.is_empty() && self.waiting.is_empty()
    }

    /// How many pods hold the node up.
    pub fn n_left(&self) -> usize {
        self.orders.len() + self.waiting.len()
    }
}

impl Passenger {
    /// Whether the node waits for it to go.
    pub fn holds_up(&self, now: i64) -> bool {
        !self.finished && !self.stays(now)
    }

    /// Whether nothing is done to have it leave: it stays to the end, or its kubelet is not able to end it.
    pub fn stays(&self, now: i64) -> bool {
        self.mirror || self.tolerates || self.stuck(now)
    }

    fn stuck(&self, now: i64) -> bool {
        self.gone_by.is_some_and(|gone_by| now > gone_by.saturating_add(STUCK_AFTER_SECONDS))
    }

    fn tier(&self) -> (bool, bool) {
        (self.critical, self.daemon)
    }

    /// Whether waiting any longer would take away from the grace period that fits before the deadline.
    fn due(&self, deadline: i64, now: i64) -> bool {
        match self.gone_by {
            Some(gone_by) => gone_by > deadline,
            None => now > deadline.saturating_sub(self.grace_seconds),
        }
    }
}

/// What may go now. `deadline` is when patience with every pod ends.
pub fn drain(passengers: &[Passenger], deadline: Option<i64>, now: i64) -> Drain {
    let mut out = Drain::default();
    let left: Vec<usize> = (0..passengers.len()).filter(|idx| passengers[*idx].holds_up(now)).collect();
    let is_due = |idx: usize| deadline.is_some_and(|deadline| passengers[idx].due(deadline, now));
    let tier = left.iter().filter(|idx| !is_due(**idx)).map(|idx| passengers[*idx].tier()).min();
    for idx in left {
        let passenger = &passengers[idx];
        if is_due(idx) {
            let grace_seconds = deadline.map_or(1, |deadline| deadline.saturating_sub(now).max(1));
            out.orders.push((idx, Order::Delete { grace_seconds }));
        } else if passenger.gone_by.is_some() {
            out.waiting.push((idx, Waiting::Leaving));
        } else if passenger.protection.holds(now) {
            out.waiting.push((idx, Waiting::Protected));
        } else if Some(passenger.tier()) == tier {
            out.orders.push((idx, Order::Evict));
        } else {
            out.waiting.push((idx, Waiting::Turn));
        }
        if let Some(at) = changes_at(passenger, deadline).filter(|at| *at > now) {
            out.next = Some(out.next.map_or(at, |next| next.min(at)));
        }
    }
    out
}

/// When the answer for this pod changes though nothing else does.
fn changes_at(passenger: &Passenger, deadline: Option<i64>) -> Option<i64> {
    let due = deadline.map(|deadline| deadline.saturating_sub(passenger.grace_seconds).saturating_add(1));
    match (passenger.gone_by, passenger.protection) {
        (Some(gone_by), _) => Some(gone_by.saturating_add(STUCK_AFTER_SECONDS + 1)),
        (None, Protection::Until(end)) => Some(due.map_or(end, |due| due.min(end))),
        (None, _) => due,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(key: &str) -> Passenger {
        Passenger {
            key: key.into(),
            critical: false,
            daemon: false,
            mirror: false,
            finished: false,
            tolerates: false,
            protection: Protection::None,
            grace_seconds: 30,
            gone_by: None,
        }
    }

    fn critical(key: &str) -> Passenger {
        Passenger { critical: true, ..pod(key) }
    }

    fn daemon(pod: Passenger) -> Passenger {
        Passenger { daemon: true, ..pod }
    }

    #[test]
    fn pods_leave_tier_by_tier() {
        let tiers = [daemon(critical("d")), critical("c"), daemon(pod("b")), pod("a")];
        for n_gone in 0..4 {
            let left = &tiers[..4 - n_gone];
            let drain = drain(left, None, 0);
            assert_eq!(drain.orders, [(left.len() - 1, Order::Evict)], "only the first tier that is left");
            assert!(drain.waiting.iter().all(|(_, why)| *why == Waiting::Turn));
            assert_eq!(drain.n_left(), left.len());
        }
        assert!(drain(&[], None, 0).done());
    }

    #[test]
    fn a_pod_on_its_way_out_holds_up_the_next_tier() {
        let leaving = Passenger { gone_by: Some(20), ..pod("a") };
        let drain = drain(&[leaving, critical("b")], None, 0);
        assert_eq!(drain.waiting, [(0, Waiting::Leaving), (1, Waiting::Turn)]);
        assert_eq!(drain.next, Some(20 + STUCK_AFTER_SECONDS + 1));
    }

    #[test]
    fn pods_that_nobody_waits_for_do_not_hold_up_the_drain() {
        let passengers = [
            Passenger { finished: true, ..pod("finished") },
            Passenger { mirror: true, ..pod("mirror") },
            Passenger { tolerates: true, ..daemon(pod("tolerant")) },
            Passenger { gone_by: Some(39), ..pod("stuck") },
        ];
        assert!(drain(&passengers, None, 100).done());
        assert!(!drain(&passengers, None, 99).done(), "the stuck one is waited for a minute");
    }

    #[test]
    fn a_protected_pod_stalls_the_drain_for_as_long_as_it_says() {
        for (protection, now, is_sent) in [
            (Protection::Forever, 1_000_000, false),
            (Protection::Until(50), 49, false),
            (Protection::Until(50), 50, true),
        ] {
            let passengers = [Passenger { protection, ..pod("a") }, critical("b")];
            let drain = drain(&passengers, None, now);
            assert_eq!(drain.orders.contains(&(0, Order::Evict)), is_sent, "{protection:?} at {now}");
            assert!(drain.waiting.contains(&(1, Waiting::Turn)));
        }
        let passengers = [Passenger { protection: Protection::Until(50), ..pod("a") }];
        assert_eq!(drain(&passengers, None, 10).next, Some(50));
    }

    #[test]
    fn before_the_deadline_every_pod_gets_its_whole_grace_period_and_then_must_go() {
        let passengers = [Passenger { protection: Protection::Forever, ..daemon(critical("a")) }, pod("b")];
        let at = |now| drain(&passengers, Some(100), now).orders;
        assert_eq!(at(70), [(1, Order::Evict)]);
        assert_eq!(drain(&passengers, Some(100), 0).next, Some(71));
        let delete = |grace_seconds| Order::Delete { grace_seconds };
        assert_eq!(at(71), [(0, delete(29)), (1, delete(29))], "any tier, protected or not");
        assert_eq!(at(500), [(0, delete(1)), (1, delete(1))]);
    }

    #[test]
    fn a_pod_that_would_leave_after_the_deadline_is_hurried() {
        let slow = Passenger { gone_by: Some(3600), ..pod("slow") };
        let fast = Passenger { gone_by: Some(90), ..pod("fast") };
        let drain = drain(&[slow, fast], Some(100), 60);
        assert_eq!(drain.orders, [(0, Order::Delete { grace_seconds: 40 })]);
        assert_eq!(drain.waiting, [(1, Waiting::Leaving)]);
    }
}
