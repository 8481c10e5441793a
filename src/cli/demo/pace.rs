//! How quick a run is: a virtual hour in seconds, or about three and a half minutes of the real clock.

use std::time::Duration;

use super::scenario::Scenario;

/// How long things take, in the time of the run's world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The clock jumps to whatever is next.
    pub is_virtual: bool,
    /// From purchase to registration, whole seconds.
    pub boot: Duration,
    /// From registration to ready; kwok's nodes are ready at once.
    pub node_ready: Duration,
    pub pod_start: Duration,
    pub pod_stop: Duration,
    /// `consolidateAfter` of every pool, whole seconds.
    pub consolidate_after: Duration,
    /// Nothing was bought or given up for so long: the cluster has come to rest.
    pub quiet: Duration,
    /// What a step that rests is cut to.
    pub longest_rest: Duration,
    /// Between two points of the record.
    pub sample: Duration,
    /// Between two looks at what a step waits for.
    pub poll: Duration,
    /// What happens within this time is told in one line.
    pub gather: Duration,
}

impl Pace {
    /// Times of a real cluster; waiting costs nothing.
    pub fn fast() -> Self {
        Self {
            is_virtual: true,
            boot: Duration::from_secs(25),
            node_ready: Duration::from_millis(100),
            pod_start: Duration::from_secs(3),
            pod_stop: Duration::from_secs(5),
            consolidate_after: Duration::from_secs(30),
            quiet: Duration::from_mins(3),
            longest_rest: Duration::MAX,
            sample: Duration::from_secs(30),
            poll: Duration::from_secs(1),
            gather: Duration::from_secs(3),
        }
    }

    /// Quick enough to be watched.
    pub fn live() -> Self {
        Self {
            is_virtual: false,
            boot: Duration::from_secs(2),
            node_ready: Duration::from_millis(100),
            pod_start: Duration::from_secs(1),
            pod_stop: Duration::from_secs(1),
            consolidate_after: Duration::from_secs(2),
            quiet: Duration::from_secs(30),
            longest_rest: Duration::from_secs(4),
            sample: Duration::from_secs(1),
            poll: Duration::from_millis(250),
            gather: Duration::from_secs(1),
        }
    }

    /// The scenario's objects with the times of this pace.
    pub fn set_in(&self, scenario: &mut Scenario) {
        let seconds = |time: Duration| format!("{}s", time.as_secs());
        for object in &mut scenario.objects {
            match object["kind"].as_str() {
                Some("NodePool") => {
                    object["spec"]["disruption"]["consolidateAfter"] = seconds(self.consolidate_after).into();
                }
                Some("KWOKNodeClass") => object["spec"]["nodeRegistrationDelay"] = seconds(self.boot).into(),
                _ => {}
            }
        }
    }
}
