//! Ways to break a plan, and the fault each must be told as.
#![allow(clippy::unwrap_used, reason = "a test program")]

mod bought;
mod placed;
mod told;

use planner::Fault;
use planner::model::{PodShape, Pool, Snapshot, Str};
use planner::plan::{Launch, Plan};

/// One way to break a plan.
pub struct Corruption {
    pub name: &'static str,
    /// Breaks it, or says that this plan cannot be broken so.
    pub apply: fn(&mut Snapshot, &mut Plan) -> Option<()>,
    pub expected: fn(&Fault) -> bool,
}

/// Shorthand for a list of them: name, pattern of the fault, function.
macro_rules! corruptions {
    ($($name:literal => $fault:pat, $apply:expr;)*) => {
        vec![$(crate::corruptions::Corruption {
            name: $name,
            apply: $apply,
            expected: |fault| matches!(fault, $fault),
        }),*]
    };
}
use corruptions;

/// All of them.
pub fn all() -> Vec<Corruption> {
    let mut out = told::all();
    out.extend(bought::all());
    out.extend(placed::all());
    out
}

/// The first launch for pods.
fn launch(plan: &mut Plan) -> Option<&mut Launch> {
    plan.launches.iter_mut().find(|launch| !launch.pods.is_empty())
}

/// The pool a launch is bought from.
fn pool<'a>(snapshot: &'a mut Snapshot, launch: &Launch) -> Option<&'a mut Pool> {
    snapshot.pools.iter_mut().find(|pool| pool.name == launch.pool)
}

/// The shape of a pod to place, to be changed for its whole group.
fn shape<'a>(snapshot: &'a mut Snapshot, pod: &Str) -> Option<&'a mut PodShape> {
    let group = snapshot.groups.iter_mut().find(|group| group.pods.iter().any(|p| p.key == *pod))?;
    Some(std::sync::Arc::make_mut(&mut group.shape))
}

/// Two pods of one group on one launch.
fn twins(snapshot: &Snapshot, plan: &Plan) -> Option<Str> {
    let together = |launch: &&Launch, pods: &[planner::model::group::PodRef]| {
        pods.iter().filter(|pod| launch.pods.contains(&pod.key)).count() > 1
    };
    let group = snapshot.groups.iter().find(|g| plan.launches.iter().any(|launch| together(&launch, &g.pods)))?;
    let launch = plan.launches.iter().find(|launch| together(launch, &group.pods))?;
    group.pods.iter().find(|pod| launch.pods.contains(&pod.key)).map(|pod| pod.key.clone())
}
