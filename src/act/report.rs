//! What there is to say about a plan: events on pods, metrics, a line in the log. The only place that says it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use planner::model::{Code, MicroUsdPerHour, Reason, Snapshot, Str};
use planner::plan::{Plan, Unplaced};
use tracing::{debug, info};

use super::free;
use super::pools::{self, Bare};
use super::zones;
use crate::events::{About, Recorder, catalog};
use crate::observe::mirror::{Mirror, Pod};
use crate::telemetry::Metrics;

/// The `controller` label of what concerns provisioning.
const PROVISIONER: &str = "provisioner";
/// Reasons that one event lists; a pod may have as many as there are pools.
const MOST_REASONS: usize = 10;

/// Tells of a plan that was acted on. `claims` has the claim's name for each launch that was made, `held` why one was not.
pub fn report(
    snapshot: &Snapshot,
    plan: &Plan,
    (claims, held): (&BTreeMap<Str, Str>, &BTreeMap<Str, String>),
    mirror: &Mirror,
    recorder: &Recorder,
    metrics: &Metrics,
) {
    gauges(plan, metrics);
    metrics.scheduler_pending_pods_by_effective_zone_count.reset();
    for (zone, n_pods) in zones::held_to(snapshot) {
        metrics.scheduler_pending_pods_by_effective_zone_count.set([PROVISIONER, zone], n_pods as f64);
    }
    let pod = |key: &Str| key.split_once('/').and_then(|(namespace, name)| mirror.pod(namespace, name));
    let about = |pod: &Pod| About::pod(pod.namespace(), pod.name(), &pod.uid);

    let claim_of: BTreeMap<&Str, Option<&Str>> =
        snapshot.nodes.iter().map(|node| (&node.name, node.claim.as_ref())).collect();
    for nomination in &plan.nominations {
        let Some(pod) = pod(&nomination.pod) else { continue };
        let event = if mirror.node(&nomination.node).is_some() {
            let claim = claim_of.get(&nomination.node).copied().flatten();
            catalog::nominated(&pod.uid, claim.map(AsRef::as_ref), Some(&nomination.node))
        } else {
            catalog::nominated(&pod.uid, Some(&nomination.node), None)
        };
        recorder.publish(about(&pod), event);
    }
    for launch in &plan.launches {
        for pod in launch.pods.iter().filter_map(pod) {
            if let Some(claim) = claims.get(&launch.name) {
                recorder.publish(about(&pod), catalog::nominated(&pod.uid, Some(claim), None));
            } else if let Some(why) = held.get(&launch.name) {
                let error = format!("nodepool \"{}\", {why}", launch.pool);
                recorder.publish(about(&pod), catalog::failed_scheduling(&pod.uid, &error));
            }
        }
    }
    for unplaced in &plan.unplaced {
        let errors = errors(&unplaced.reasons);
        for pod in unplaced.pods.iter().filter_map(pod) {
            recorder.publish(about(&pod), catalog::failed_scheduling(&pod.uid, &errors));
        }
    }
    for pool in &snapshot.pools {
        let Some(why) = pools::bare(pool, snapshot.policies.relax_min_values) else { continue };
        let Some(uid) = mirror.pool(&pool.name).and_then(|pool| pool.metadata.uid.clone()) else { continue };
        let event = catalog::no_compatible_instance_types(&pool.name, why == Bare::OfMinValues);
        recorder.publish(About::node_pool(&pool.name, &uid), event);
    }
}

/// What the log says of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pods: usize,
    launches: usize,
    nominated: usize,
    unplaced: usize,
    hourly_cost: MicroUsdPerHour,
    hourly_cost_lower_bound: MicroUsdPerHour,
}

impl Line {
    fn is_news(&self, before: &Self) -> bool {
        self.pods > 0 && (self.launches > 0 || self != before)
    }
}

/// Says in the log what the plan came to. A plan that buys nothing and comes to the same as the one before is for those who
/// look closely: plans are made again every few seconds for as long as a pod waits.
pub fn log(snapshot: &Snapshot, plan: &Plan, before: &mut Line) {
    let line = Line {
        pods: plan.pods,
        launches: plan.launches.len(),
        nominated: free::n_nominated(snapshot, plan),
        unplaced: plan.unplaced.iter().map(|unplaced| unplaced.pods.len()).sum(),
        hourly_cost: plan.cost,
        hourly_cost_lower_bound: plan.cost_lower_bound,
    };
    macro_rules! say {
        ($level:ident) => {
            $level!(
                pods = line.pods,
                launches = line.launches,
                nominated = line.nominated,
                unplaced = line.unplaced,
                hourly_cost = %line.hourly_cost,
                hourly_cost_lower_bound = %line.hourly_cost_lower_bound,
                effort = plan.effort_spent,
                "computed plan"
            )
        };
    }
    if line.is_news(before) {
        say!(info);
    } else if line.pods > 0 {
        say!(debug);
    }
    *before = line;
}

/// The reasons against a pod as one text, a pool's name before each. Pools that were meant for such pods come first.
pub fn errors(reasons: &[Reason]) -> String {
    let mut out = String::new();
    let mut all: Vec<&Reason> = reasons.iter().collect();
    all.sort_by_key(|reason| unlikeness(reason.code));
    for reason in all.into_iter().take(MOST_REASONS) {
        let separator = if out.is_empty() { "" } else { "; " };
        let _ = if reason.pool.is_empty() {
            write!(out, "{separator}{}", reason.message)
        } else {
            write!(out, "{separator}incompatible with nodepool \"{}\", {}", reason.pool, reason.message)
        };
        if let Some(miss) = &reason.nearest_miss {
            let _ = write!(out, " (would pass with: {miss})");
        }
    }
    if reasons.len() > MOST_REASONS {
        let _ = write!(out, "; and {} more nodepools", reasons.len() - MOST_REASONS);
    }
    out
}

/// How little a pool was meant for the pod: not where it lacks room, perhaps where it can be used for nobody, less where it
/// keeps off pods like it, least where it says something else than the pod asks for, as most pools of a cluster do.
fn unlikeness(code: Code) -> u8 {
    match code {
        Code::RequirementConflict | Code::UnknownLabel => 3,
        Code::TaintNotTolerated => 2,
        Code::NodePoolNotReady => 1,
        _ => 0,
    }
}

fn gauges(plan: &Plan, metrics: &Metrics) {
    let dollars = |micro: i64| micro as f64 / 1e6;
    metrics.plan_hourly_cost.set([], dollars(plan.cost.0));
    metrics.plan_hourly_cost_lower_bound.set([], dollars(plan.cost_lower_bound.0));
    metrics.plan_greedy_hourly_cost.set([], dollars(plan.greedy_cost.0));
    let (refused, unschedulable): (Vec<&Unplaced>, Vec<&Unplaced>) =
        plan.unplaced.iter().partition(|unplaced| unplaced.reasons.iter().any(is_of_the_pod));
    let n_of = |unplaced: &[&Unplaced]| unplaced.iter().map(|unplaced| unplaced.pods.len()).sum::<usize>();
    metrics.scheduler_unschedulable_pods_count.set([PROVISIONER], n_of(&unschedulable) as f64);
    let left_out =
        plan.ignored.iter().filter(|ignored| matches!(ignored.code, Code::OptedOut | Code::UnsupportedField));
    let ignored = n_of(&refused) + left_out.map(|ignored| ignored.pods.len()).sum::<usize>();
    metrics.scheduler_ignored_pods_count.set([], ignored as f64);
    let mut by_code: BTreeMap<String, usize> = BTreeMap::new();
    for unplaced in &plan.unplaced {
        let codes: BTreeSet<String> = unplaced.reasons.iter().map(|reason| format!("{:?}", reason.code)).collect();
        for code in codes {
            *by_code.entry(code).or_default() += unplaced.pods.len();
        }
    }
    metrics.plan_unplaced_pods.reset();
    for (code, count) in by_code {
        metrics.plan_unplaced_pods.set([&code], count as f64);
    }
}

/// Whether it is the pod itself that is refused, whatever the pools. Pods that are gated, or that the scheduler keeps a node
/// for, are not; pods with dynamic resources are tried and fail.
fn is_of_the_pod(reason: &Reason) -> bool {
    let is_invalid = matches!(
        reason.code,
        Code::RestrictedLabel | Code::UnsupportedField | Code::VolumeNotReady | Code::RequirementConflict
    );
    reason.pool.is_empty() && is_invalid
}

/// How long each phase of a pass took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    pub batch: Duration,
    pub snapshot: Duration,
    pub plan: Duration,
    pub check: Duration,
    pub act: Duration,
}

impl Phases {
    /// Into the metrics.
    pub fn observe(&self, metrics: &Metrics) {
        let all = [
            ("batch", self.batch),
            ("snapshot", self.snapshot),
            ("plan", self.plan),
            ("check", self.check),
            ("act", self.act),
        ];
        for (phase, took) in all {
            metrics.plan_phase_seconds.observe([phase], took.as_secs_f64());
        }
        let scheduling = self.snapshot + self.plan + self.check;
        metrics.scheduler_scheduling_duration_seconds.observe([PROVISIONER], scheduling.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use planner::model::group::PodRef;
    use planner::model::snapshot::Ignored;
    use planner::model::{PodGroup, PodShape, Resources};
    use planner::plan::{Launch, Nomination};

    use super::*;
    use crate::act::LaunchError;
    use crate::observe::mirror::Object;
    use crate::telemetry::logs::testing::logged;

    #[test]
    fn ignored_pods_are_those_that_are_invalid_and_those_that_ask_for_nodes_of_no_pool() {
        let reason = |pool: &str, code| Reason { pool: pool.into(), code, message: String::new(), nearest_miss: None };
        let unplaced = |n: usize, reason| Unplaced { pods: vec!["a/b".into(); n], reasons: vec![reason] };
        let ignored = |n: usize, code| Ignored { code, message: String::new(), pods: vec!["a/b".into(); n] };
        let plan = Plan {
            unplaced: vec![
                unplaced(1, reason("", Code::RestrictedLabel)),
                unplaced(2, reason("", Code::VolumeNotReady)),
                unplaced(10, reason("p", Code::RequirementConflict)),
                unplaced(20, reason("", Code::NoNodePool)),
            ],
            ignored: vec![
                ignored(4, Code::OptedOut),
                ignored(40, Code::SchedulingGated),
                ignored(80, Code::NotPending),
            ],
            ..Plan::default()
        };
        let metrics = Metrics::new();
        gauges(&plan, &metrics);
        let text = metrics.render();
        assert!(text.contains("karpenter_scheduler_ignored_pods_count 7"), "{text}");
        assert!(text.contains("karpenter_scheduler_unschedulable_pods_count{controller=\"provisioner\"} 30"), "{text}");
    }

    #[test]
    fn pods_whose_claim_waits_or_was_refused_are_told_why() {
        let mirror = Mirror::new(&[]);
        for name in ["a", "b", "c"] {
            let pod = serde_json::json!({"metadata": {"namespace": "shop", "name": name, "uid": name}, "spec": {"containers": []}});
            mirror.apply(Object::Pod(serde_json::from_value(pod).unwrap()));
        }
        let launch = |name: &str, pod: &str| Launch {
            name: name.into(),
            pool: "general".into(),
            offerings: Vec::new().into(),
            offerings_total: 0,
            requests: Resources::default(),
            allocatable: Resources::default(),
            capacity: Resources::default(),
            labels: Arc::default(),
            taints: Vec::new(),
            startup_taints: Vec::new(),
            requirements: Arc::default(),
            relaxed_min_values: BTreeMap::new(),
            pods: vec![format!("shop/{pod}").into()],
        };
        let plan = Plan { launches: vec![launch("1", "a"), launch("2", "b"), launch("3", "c")], ..Plan::default() };
        let claims = BTreeMap::from([("1".into(), "general-x".into())]);
        let refused = LaunchError::Refused { name: "general-y".into(), code: 403, message: "quota".into() };
        let held = BTreeMap::from([("2".into(), refused.told().unwrap())]);
        let recorder = Recorder::memory();
        report(&Snapshot::default(), &plan, (&claims, &held), &mirror, &recorder, &Metrics::new());
        let said: Vec<String> = recorder.said().into_iter().map(|(_, event)| event.message).collect();
        let why =
            "Failed to schedule pod, nodepool \"general\", its NodeClaim was refused by the API server (403): quota";
        assert_eq!(said, ["Pod should schedule on: nodeclaim/general-x", why], "a lost answer says nothing yet");
        let lost = LaunchError::Lost { name: "general-z".into(), message: "reset".into() };
        assert_eq!(lost.told(), None);
    }

    #[test]
    fn a_plan_is_told_again_when_it_buys_or_comes_to_something_else_and_stand_ins_do_not_count() {
        let key = |name: &str| PodRef { key: name.into(), stand_in: true };
        let group = PodGroup { shape: PodShape::default().into(), pods: vec![key("shop/capacity-buffer-a-0")] };
        let snapshot = Snapshot { groups: vec![group], ..Snapshot::default() };
        let goes = |pod: &str| Nomination { pod: pod.into(), node: "n".into() };
        let nominations = vec![goes("shop/capacity-buffer-a-0"), goes("shop/web-0")];
        let waits = |n: usize| vec![Unplaced { pods: vec!["shop/b".into(); n], reasons: Vec::new() }];
        let plan = |pods, n| Plan { pods, nominations: nominations.clone(), unplaced: waits(n), ..Plan::default() };
        let mut line = Line::default();
        let mut said = |plan: &Plan| logged(|| log(&snapshot, plan, &mut line));
        let first = said(&plan(2, 1));
        assert_eq!(
            (&first[0]["level"], &first[0]["nominated"], &first[0]["unplaced"]),
            (&"INFO".into(), &1.into(), &1.into())
        );
        assert_eq!(said(&plan(2, 1))[0]["level"], "DEBUG", "it was said");
        assert_eq!(said(&plan(3, 2))[0]["level"], "INFO");
        assert_eq!(said(&Plan::default()).len(), 0, "nobody waits");
        assert_eq!(said(&plan(3, 2))[0]["level"], "INFO", "somebody waits again");
        let buys = Line { pods: 1, launches: 1, ..Line::default() };
        assert!(buys.is_news(&buys));
    }

    #[test]
    fn reasons_name_their_pool_and_the_change_that_would_help() {
        let reason = |pool: &str, miss: Option<&str>| Reason {
            pool: pool.into(),
            code: Code::LimitExceeded,
            message: "limits.cpu 8 is used up".into(),
            nearest_miss: miss.map(Into::into),
        };
        let text = errors(&[reason("a", Some("limits.cpu 8 → 12")), reason("", None)]);
        assert_eq!(
            text,
            "incompatible with nodepool \"a\", limits.cpu 8 is used up (would pass with: limits.cpu 8 → 12); limits.cpu 8 is used up"
        );
        let conflict = Reason { code: Code::RequirementConflict, message: "team b".into(), ..reason("c", None) };
        let taint = Reason { code: Code::TaintNotTolerated, message: "a taint".into(), ..reason("d", None) };
        let closed = Reason { code: Code::NodePoolNotReady, message: "no class".into(), ..reason("f", None) };
        assert_eq!(
            errors(&[conflict, taint, closed, reason("e", None)]),
            "incompatible with nodepool \"e\", limits.cpu 8 is used up; incompatible with nodepool \"f\", no class; \
             incompatible with nodepool \"d\", a taint; incompatible with nodepool \"c\", team b"
        );
        let many: Vec<Reason> = (0..12).map(|n| reason(&n.to_string(), None)).collect();
        assert!(errors(&many).ends_with("; and 2 more nodepools"));
    }
}
