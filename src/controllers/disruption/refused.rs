//! Nodes whose disruption came to nothing because something was refused: a policy, a webhook that does not answer, a missing right.
//! Tried again at once, a node would be shut and opened each second, and keep its pool's budget from the others.

use std::collections::BTreeMap;
use std::time::Duration;

use planner::disrupt::Fleet;
use planner::model::Str;
use tokio::time::Instant;

use crate::controllers::queue::Backoff;

const PAUSE: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_mins(5) };

/// By node: how often in a row, and not again before.
#[derive(Debug, Default)]
pub(super) struct Refused(BTreeMap<Str, (u32, Instant)>);

impl Refused {
    pub(super) fn note(&mut self, node: &Str, now: Instant) {
        let (n_times, until) = self.0.entry(node.clone()).or_insert((0, now));
        *n_times = n_times.saturating_add(1);
        *until = now + PAUSE.after(*n_times);
    }

    /// It worked, or there is nothing left to do.
    pub(super) fn forget(&mut self, node: &str) {
        self.0.remove(node);
    }

    /// Takes those whose pause lasts out of the choice, so that no budget is kept for them. Those of which nothing was heard
    /// for long after it are forgotten.
    pub(super) fn leave_out(&mut self, fleet: &mut Fleet, now: Instant) {
        self.0.retain(|_, (_, until)| *until + PAUSE.most > now);
        for machine in &mut fleet.machines {
            machine.consolidatable &= self.0.get(&machine.node).is_none_or(|(_, until)| *until <= now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_left_alone_for_twice_as_long_after_each_refusal_up_to_five_minutes() {
        let (mut refused, node, mut now) = (Refused::default(), Str::from("a"), Instant::now());
        for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            refused.note(&node, now);
            let (_, until) = refused.0[&node];
            assert_eq!(until.duration_since(now).as_secs(), expected);
            now = until;
        }
        refused.forget("a");
        assert!(refused.0.is_empty());
    }
}
