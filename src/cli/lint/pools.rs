//! One pool at a time: requirements, choice, limits, `minValues`, taints.

use std::collections::BTreeSet;

use planner::model::labels::CAPACITY_TYPE;
use planner::model::resources::NODES;
use planner::model::shown::shown;
use planner::model::{PodShape, Pool, Snapshot, Taint};

use super::super::market::{Choice, choices, distinct};
use super::requirements::{self, Asked};
use super::{Finding, Level, Mistake, Subject};
use crate::observe::k8s::NodePool;
use crate::observe::k8s::karpenter::NodeTerms;
use crate::observe::{Observed, Seen, Sourced};

/// With fewer types, EC2 finds replacements for interrupted spot nodes hard, and spot-to-spot moves are not made.
const ENOUGH_SPOT_TYPES: usize = 15;

/// Mistakes of every pool by itself.
pub fn findings(observed: &Observed) -> Vec<Finding> {
    let one = |source: &Seen<NodePool>| {
        let name = &source.object.metadata.name;
        let pool = observed.snapshot.pools.iter().find(|pool| pool.name == *name);
        pool.map(|pool| of_pool(source, pool, &observed.snapshot)).unwrap_or_default()
    };
    observed.objects.node_pools.iter().flat_map(one).collect()
}

fn of_pool(source: &Sourced<NodePool>, pool: &Pool, snapshot: &Snapshot) -> Vec<Finding> {
    let subject = Subject { kind: "NodePool", name: &pool.name, origin: &source.origin };
    let mut out = requirements::findings(&Asked {
        subject,
        field: "spec.template.spec.requirements",
        list: &source.object.spec.template.spec.requirements,
        merged: &pool.requirements,
        labels: &pool.labels,
        types: &pool.types,
    });
    let choices = choices(pool);
    if choices.is_empty() && !pool.types.is_empty() {
        if !out.iter().any(|finding| finding.level == Level::Error) {
            out.push(nothing(subject, pool));
        }
    } else if !pool.types.is_empty() {
        out.extend(spot_choice(subject, pool));
        out.extend(limits(subject, pool, &choices));
        out.extend(min_values(subject, pool, &choices, snapshot));
    }
    out.extend(duplicate_taints(subject, &source.object.spec.template.spec));
    out.extend(taints(subject, pool, snapshot));
    out
}

fn nothing(subject: Subject<'_>, pool: &Pool) -> Finding {
    if pool.types.iter().all(|of| of.offerings.is_empty()) {
        let message = "its node class has no zone where anything is sold";
        let remedy = "compare the zones in the status of the node class with --region and --zones";
        return subject.finding(
            Level::Error,
            Mistake::NothingToBuy,
            "spec.template.spec.nodeClassRef",
            message,
            remedy,
        );
    }
    let spot_only = pool.requirements.get(CAPACITY_TYPE).is_some_and(|r| r.has("spot") && !r.has("on-demand"));
    let remedy = if spot_only {
        "spot is offered at a price of --prices only: give prices, or allow on-demand"
    } else {
        "drop requirements until a type is left; explain nodepool shows what each leaves"
    };
    let message = "each requirement can be met, and no offering meets all of them";
    subject.finding(Level::Error, Mistake::NothingToBuy, "spec.template.spec.requirements", message, remedy)
}

/// Too few types for spot, counted whatever the capacity type: prices of spot need not be known here.
fn spot_choice(subject: Subject<'_>, pool: &Pool) -> Option<Finding> {
    let asked = pool.requirements.get(CAPACITY_TYPE)?;
    if !asked.has("spot") {
        return None;
    }
    let others: planner::model::Requirements =
        pool.requirements.iter().filter(|r| &*r.key != CAPACITY_TYPE).cloned().collect();
    let types = super::super::market::choices_of(&pool.types, &others, &pool.labels).len();
    if types >= ENOUGH_SPOT_TYPES {
        return None;
    }
    let message = format!("spot may be bought, and only {types} instance types are left to choose from");
    let remedy = format!("allow at least {ENOUGH_SPOT_TYPES} types: more families, sizes or generations");
    Some(subject.finding(
        Level::Warning,
        Mistake::TooLittleSpotChoice,
        "spec.template.spec.requirements",
        message,
        remedy,
    ))
}

/// Limits under which nothing is ever bought. One of zero is often meant: it switches a pool off.
fn limits(subject: Subject<'_>, pool: &Pool, choices: &[Choice<'_>]) -> Vec<Finding> {
    let one = |(name, limit): (&planner::model::Str, i64)| {
        let name: &str = name;
        let smallest = if name == NODES { Some(1) } else { choices.iter().map(|c| c.of.capacity.get(name)).min() };
        let smallest = smallest.filter(|smallest| limit < *smallest)?;
        let least = shown(name, smallest);
        let field = format!("spec.limits.{name}");
        let (level, message) = if limit == 0 {
            (Level::Warning, "zero: nothing is ever bought".to_string())
        } else {
            let limit = shown(name, limit);
            (Level::Error, format!("{limit} is less than the smallest node has ({least}): nothing is ever bought"))
        };
        Some(subject.finding(level, Mistake::LimitTooSmall, field, message, format!("raise it to {least} or more")))
    };
    pool.limits.iter().filter_map(one).collect()
}

fn min_values(subject: Subject<'_>, pool: &Pool, choices: &[Choice<'_>], snapshot: &Snapshot) -> Vec<Finding> {
    let level = if snapshot.policies.relax_min_values { Level::Warning } else { Level::Error };
    let one = |r: &planner::model::Requirement| {
        let least = r.min_values? as usize;
        let there = distinct(choices, &r.key, &pool.labels).len();
        (there < least).then(|| {
            let message = format!("minValues {least} of {}, and only {there} can be bought", r.key);
            let remedy = format!("lower it to {there}, or allow more values");
            subject.finding(level, Mistake::MinValuesImpossible, "spec.template.spec.requirements", message, remedy)
        })
    };
    pool.requirements.iter().filter_map(one).collect()
}

/// Taints that keep everybody out who is in the input.
fn taints(subject: Subject<'_>, pool: &Pool, snapshot: &Snapshot) -> Vec<Finding> {
    let pending = snapshot.groups.iter().map(|group| &*group.shape);
    let bound = snapshot.nodes.iter().flat_map(|node| &node.pods).map(|pods| &*pods.shape);
    let shapes: Vec<&PodShape> = pending.chain(bound).collect();
    if shapes.is_empty() {
        return Vec::new();
    }
    let kept_out = |taint: &&Taint| {
        taint.effect != planner::model::Effect::PreferNoSchedule
            && !shapes.iter().any(|shape| shape.tolerations.iter().any(|t| t.tolerates(taint)))
    };
    let finding = |taint: &Taint| {
        let message = format!("no pod of the input tolerates {taint}");
        let remedy = "add the toleration to the pods meant for this pool";
        subject.finding(Level::Info, Mistake::TaintNotTolerated, "spec.template.spec.taints", message, remedy)
    };
    pool.taints.iter().filter(kept_out).map(finding).collect()
}

/// One key and effect twice, startup taints included: the pool is not valid then, whatever the values.
fn duplicate_taints(subject: Subject<'_>, terms: &NodeTerms) -> Vec<Finding> {
    let lists = [("taints", &terms.taints), ("startupTaints", &terms.startup_taints)];
    let all = lists.into_iter().flat_map(|(list, taints)| taints.iter().enumerate().map(move |at| (list, at)));
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for (list, (at, taint)) in all {
        if !seen.insert((&taint.key, &taint.effect)) {
            let message = format!("a second taint of key {} and effect {}", taint.key, taint.effect);
            let field = format!("spec.template.spec.{list}[{at}]");
            out.push(subject.finding(Level::Error, Mistake::DuplicateTaint, field, message, "keep one of them"));
        }
    }
    out
}
