//! Registration health: whether nodes of a pool have lately been able to join.

use std::collections::VecDeque;

use crds::NodePool;
use crds::conditions::ConditionSet;

/// The condition, which `Ready` does not depend on.
pub const NODE_REGISTRATION_HEALTHY: &str = "NodeRegistrationHealthy";
/// So many outcomes count.
const N_OUTCOMES: usize = 4;

/// The last outcomes of one pool in one state of its template and class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    of: Option<(String, i64, i64)>,
    joined: VecDeque<bool>,
    /// Reason and message of the last claim that came to nothing.
    why: Option<(String, String)>,
}

impl Health {
    /// Starts anew if the pool, its spec or its class is another one. After a restart, the condition stands in for the
    /// outcomes that were forgotten.
    pub fn follow(&mut self, pool: &NodePool, class_generation: i64, conditions: &mut ConditionSet) {
        let meta = &pool.metadata;
        let now = (meta.uid.clone().unwrap_or_default(), meta.generation.unwrap_or_default(), class_generation);
        if self.of.as_ref() == Some(&now) {
            return;
        }
        let written = pool.status.as_ref().and_then(|status| status.node_class_observed_generation);
        let condition = conditions.get(NODE_REGISTRATION_HEALTHY);
        let is_current = condition.is_some_and(|c| c.observed_generation == now.1) && written == Some(class_generation);
        self.joined.clear();
        if self.of.is_none() && is_current {
            match condition {
                Some(condition) if condition.is_true() => self.joined.push_back(true),
                Some(condition) if condition.is_false() => self.joined.extend([false; N_OUTCOMES / 2]),
                _ => {}
            }
        } else {
            conditions.set_unknown(NODE_REGISTRATION_HEALTHY);
        }
        self.of = Some(now);
    }

    /// Takes in that a claim came to nothing: why it was not launched, if that was it.
    pub fn failed(&mut self, why: Option<(String, String)>) {
        self.why = why;
        self.note(false);
    }

    /// Takes in whether a node joined.
    pub fn note(&mut self, joined: bool) {
        if self.joined.len() == N_OUTCOMES {
            self.joined.pop_front();
        }
        self.joined.push_back(joined);
    }

    /// Sets the condition. It is healthy while fewer than half of the last four failed, and unknown without any.
    pub fn settle(&self, conditions: &mut ConditionSet) {
        let n_failed = self.joined.iter().filter(|joined| !**joined).count();
        if self.joined.is_empty() {
            conditions.set_unknown(NODE_REGISTRATION_HEALTHY);
        } else if n_failed * 2 >= N_OUTCOMES {
            let why = self.why.as_ref().map(|(reason, message)| (reason.as_str(), message.as_str()));
            let (reason, message) = why.unwrap_or(("RegistrationFailed", "Failed to register node"));
            conditions.set_false(NODE_REGISTRATION_HEALTHY, reason, message);
        } else {
            conditions.set_true(NODE_REGISTRATION_HEALTHY);
        }
    }
}

#[cfg(test)]
mod tests {
    use crds::ConditionStatus;
    use crds::conditions::ConditionTypes;

    use super::super::testing::pool;
    use super::*;

    fn conditions(pool: &NodePool) -> ConditionSet {
        let written = pool.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
        ConditionSet::new(ConditionTypes::node_pool(), &pool.metadata, written, "1970-01-01T00:00:10Z")
    }

    fn status(set: &ConditionSet) -> ConditionStatus {
        set.get(NODE_REGISTRATION_HEALTHY).unwrap().status
    }

    #[test]
    fn two_failures_of_the_last_four_make_a_pool_unhealthy() {
        let pool = pool("p");
        let mut set = conditions(&pool);
        let mut health = Health::default();
        health.follow(&pool, 1, &mut set);
        health.settle(&mut set);
        assert_eq!(status(&set), ConditionStatus::Unknown);
        for (joined, expected) in [
            (true, ConditionStatus::True),
            (false, ConditionStatus::True),
            (false, ConditionStatus::False),
            (true, ConditionStatus::False),
            (true, ConditionStatus::False),
            (true, ConditionStatus::True),
        ] {
            health.note(joined);
            health.settle(&mut set);
            assert_eq!(status(&set), expected);
        }
        for _ in 0..2 {
            health.failed(Some(("LaunchFailed".to_owned(), "no quota".to_owned())));
        }
        health.settle(&mut set);
        let condition = set.get(NODE_REGISTRATION_HEALTHY).unwrap();
        assert_eq!((condition.reason.as_str(), condition.message.as_str()), ("LaunchFailed", "no quota"));
    }

    #[test]
    fn another_template_or_class_starts_anew_and_a_restart_goes_on() {
        let mut pool = pool("p");
        let mut set = conditions(&pool);
        let mut health = Health::default();
        health.follow(&pool, 1, &mut set);
        health.note(false);
        health.note(false);
        health.settle(&mut set);
        let status_of_pool = pool.status.get_or_insert_default();
        status_of_pool.conditions = set.clone().into_conditions();
        status_of_pool.node_class_observed_generation = Some(1);

        let mut restarted = Health::default();
        let mut again = conditions(&pool);
        restarted.follow(&pool, 1, &mut again);
        restarted.settle(&mut again);
        assert_eq!(status(&again), ConditionStatus::False);

        health.follow(&pool, 2, &mut set);
        health.settle(&mut set);
        assert_eq!(status(&set), ConditionStatus::Unknown);
    }
}
