//! Broken: who is told, why not, and the sums.

use planner::Fault;
use planner::model::snapshot::Ignored;
use planner::model::{Code, MicroUsdPerHour, Reason};
use planner::plan::{Nomination, Plan, Unplaced};

use super::{Corruption, corruptions, launch};

fn with_pool_reasons(plan: &mut Plan) -> Option<&mut Unplaced> {
    plan.unplaced.iter_mut().find(|u| u.reasons.iter().all(|r| !r.pool.is_empty()))
}

fn no(code: Code) -> Vec<Reason> {
    vec![Reason::everywhere(code, "because", None)]
}

pub fn all() -> Vec<Corruption> {
    corruptions! {
        "a pod is forgotten" => Fault::Silent { .. }, |_, plan| launch(plan)?.pods.pop().map(drop);
        "an unplaced pod is forgotten" => Fault::Silent { .. }, |_, plan| plan.unplaced.pop().map(drop);
        "a pod is both placed and unplaced" => Fault::ToldAgain { times: 2, .. }, |_, plan| {
            let pod = launch(plan)?.pods.first()?.clone();
            plan.unplaced.push(Unplaced { pods: vec![pod], reasons: no(Code::NoNodePool) });
            Some(())
        };
        "a pod is on two machines" => Fault::ToldAgain { times: 2, .. }, |_, plan| {
            let pod = launch(plan)?.pods.first()?.clone();
            let last = plan.launches.iter_mut().rfind(|l| !l.pods.is_empty() && !l.pods.contains(&pod))?;
            last.pods.push(pod);
            Some(())
        };
        "a pod that nobody knows" => Fault::UnknownPod { .. }, |_, plan| {
            launch(plan)?.pods.push("shop/ghost-0".into());
            Some(())
        };
        "a refused pod is placed" => Fault::Refused { .. }, |snapshot, plan| {
            let refused = |pod: &str| {
                let mut groups = snapshot.groups.iter().filter(|group| group.shape.refused.is_some());
                groups.any(|group| group.pods.iter().any(|p| *p.key == *pod))
            };
            let unplaced = plan.unplaced.iter_mut().find(|u| u.pods.iter().any(|pod| refused(pod)))?;
            let at = unplaced.pods.iter().position(|pod| refused(pod))?;
            let pod = unplaced.pods.remove(at);
            launch(plan)?.pods.push(pod);
            Some(())
        };
        "pods miscounted" => Fault::PodCount { .. }, |_, plan| {
            plan.pods += 1;
            Some(())
        };
        "a pod said to be ignored" => Fault::Ignored, |_, plan| {
            plan.ignored.push(Ignored { code: Code::OptedOut, message: "because".into(), pods: vec!["a/b".into()] });
            Some(())
        };
        "unplaced without a reason" => Fault::NoReason { .. }, |_, plan| {
            plan.unplaced.first_mut()?.reasons.clear();
            Some(())
        };
        "one pool's reason is missing" => Fault::ReasonsForPool { times: 0, .. }, |_, plan| {
            let reasons = &mut with_pool_reasons(plan)?.reasons;
            (reasons.len() > 1).then(|| reasons.pop()).map(drop)
        };
        "two reasons for one pool" => Fault::ReasonsForPool { times: 2, .. }, |_, plan| {
            let reasons = &mut with_pool_reasons(plan)?.reasons;
            reasons.push(reasons.first()?.clone());
            Some(())
        };
        "a reason for a pool that is none" => Fault::ReasonForUnknownPool { .. }, |_, plan| {
            with_pool_reasons(plan)?.reasons.first_mut()?.pool = "ghost".into();
            Some(())
        };
        "a reason to keep a node, told of a pod" => Fault::NotAReason { code: Code::Optimal, .. }, |_, plan| {
            plan.unplaced.first_mut()?.reasons.first_mut()?.code = Code::Optimal;
            Some(())
        };
        "a reason without words" => Fault::NotAReason { .. }, |_, plan| {
            plan.unplaced.first_mut()?.reasons.first_mut()?.message.clear();
            Some(())
        };
        "an ordinary pod is left out" => Fault::PlaceExists { .. }, |snapshot, plan| {
            let bound = snapshot.nodes.iter().flat_map(|n| &n.pods).map(|p| &p.shape);
            let shapes = snapshot.groups.iter().map(|g| &g.shape).chain(bound);
            let quiet = shapes.clone().all(|shape| shape.anti_affinity.is_empty());
            let free = |l: &&mut planner::plan::Launch| {
                snapshot.pools.iter().any(|p| {
                    p.name == l.pool && p.limits.0.is_empty() && p.requirements.iter().all(|r| r.min_values.is_none())
                }) && l.offerings.iter().any(|o| o.reservation.is_none())
                    && l.pods.len() == 1
            };
            let found = plan.launches.iter_mut().filter(|_| quiet).find(free)?;
            let pod = found.pods.pop()?;
            let group = snapshot.groups.iter().find(|g| g.pods.iter().any(|p| p.key == pod))?;
            let plain = group.shape.affinity.is_empty() && group.shape.spreads.is_empty();
            plan.unplaced.push(Unplaced { pods: vec![pod], reasons: no(Code::NoInstanceTypeFits) });
            plain.then_some(())
        };
        "nominated to a node that is not there" => Fault::UnknownNode { .. }, |_, plan| {
            let pod = launch(plan)?.pods.pop()?;
            plan.nominations.push(Nomination { pod, node: "ghost".into() });
            Some(())
        };
        "nominated to a node on its way out" => Fault::UnknownNode { .. }, |snapshot, plan| {
            let nomination = plan.nominations.first()?;
            snapshot.nodes.iter_mut().find(|node| node.name == nomination.node)?.deleting = true;
            Some(())
        };
        "a wrong sum" => Fault::Cost { .. }, |_, plan| {
            plan.cost = plan.cost + MicroUsdPerHour(1);
            Some(())
        };
        "a bound above the cost" => Fault::Bound { .. }, |_, plan| {
            plan.cost_lower_bound = plan.cost + MicroUsdPerHour(1);
            Some(())
        };
        "dearer than the greedy plan" => Fault::DearerThanGreedy { .. }, |_, plan| {
            plan.greedy_cost = plan.cost - MicroUsdPerHour(1);
            Some(())
        };
    }
}
