//! Overlays that change nothing, or that contradict each other.

use std::cmp::Reverse;

use planner::model::{InstanceType, Labels, Operator, Requirement, Requirements, labels};

use super::super::market::choices_of;
use super::requirements::{self, Asked};
use super::{Finding, Level, Mistake, Subject};
use crate::observe::k8s::NodeOverlay;
use crate::observe::{Observed, Sourced};

/// Mistakes of every overlay, and between any two.
pub fn findings(observed: &Observed) -> Vec<Finding> {
    let catalogues = catalogues(observed);
    let mut out = Vec::new();
    let mut applied: Vec<(&Sourced<NodeOverlay>, Vec<String>)> = Vec::new();
    // Heaviest first, then by name from the end of the alphabet: the later of two that conflict is not applied.
    let mut sorted: Vec<&Sourced<NodeOverlay>> = observed.objects.overlays.iter().map(|overlay| &**overlay).collect();
    let rank =
        |overlay: &Sourced<NodeOverlay>| Reverse((overlay.spec.weight.unwrap_or(0), overlay.metadata.name.clone()));
    sorted.sort_by_key(|overlay| rank(overlay));
    for source in sorted {
        let subject = subject(source);
        let wanted = merged(&source.object);
        let Some((first, _)) = catalogues.first() else { continue };
        let own = Asked {
            subject,
            field: "spec.requirements",
            list: &source.object.spec.requirements,
            merged: &wanted,
            labels: &Labels::new(),
            types: first,
        };
        let faults = requirements::findings(&own);
        let touched = touched(&catalogues, &wanted);
        let faulty = faults.iter().any(|fault| fault.level == Level::Error);
        if touched.is_empty() && !faulty {
            let message = "no offering of any NodePool meets its requirements: it changes nothing";
            let remedy = "widen the requirements";
            out.push(subject.finding(
                Level::Error,
                Mistake::OverlayMatchesNothing,
                "spec.requirements",
                message,
                remedy,
            ));
        }
        // With several catalogues a label may be unknown to the first alone.
        if catalogues.len() == 1 || touched.is_empty() {
            out.extend(faults);
        }
        out.extend(twice_priced(subject, &source.object));
        match applied.iter().find_map(|(other, theirs)| conflict(source, &touched, other, theirs)) {
            Some(conflict) => out.push(conflict),
            None => applied.push((source, touched)),
        }
    }
    out
}

fn subject(source: &Sourced<NodeOverlay>) -> Subject<'_> {
    Subject { kind: "NodeOverlay", name: &source.object.metadata.name, origin: &source.origin }
}

fn twice_priced(subject: Subject<'_>, overlay: &NodeOverlay) -> Option<Finding> {
    let both = overlay.spec.price.is_some() && overlay.spec.price_adjustment.is_some();
    let message = "price and priceAdjustment are both set";
    both.then(|| subject.finding(Level::Error, Mistake::OverlayConflict, "spec", message, "keep one of them"))
}

/// Two of one weight that change the same thing of the same offering: this one is not applied, because the other comes
/// first by its name.
fn conflict(
    source: &Sourced<NodeOverlay>,
    touched: &[String],
    other: &Sourced<NodeOverlay>,
    theirs: &[String],
) -> Option<Finding> {
    let (a, b) = (&source.object.spec, &other.object.spec);
    if a.weight.unwrap_or(0) != b.weight.unwrap_or(0) {
        return None;
    }
    let priced = |spec: &crate::observe::k8s::karpenter::NodeOverlaySpec| {
        spec.price.is_some() || spec.price_adjustment.is_some()
    };
    let same_resource = a.capacity.keys().find(|name| b.capacity.contains_key(*name));
    let what = match same_resource {
        _ if priced(a) && priced(b) => "the price".to_string(),
        Some(name) => format!("{name}"),
        None => return None,
    };
    let shared = touched.iter().find(|key| theirs.binary_search(key).is_ok())?;
    let message = format!(
        "changes {what} of {shared}, and so does NodeOverlay {} of the same weight: this one is not applied",
        other.object.metadata.name
    );
    let remedy = "give them different weights, or requirements that exclude each other";
    Some(subject(source).finding(Level::Warning, Mistake::OverlayConflict, "spec.weight", message, remedy))
}

/// Distinct catalogues of the input's pools with the labels that pools add.
fn catalogues(observed: &Observed) -> Vec<(&[InstanceType], &Labels)> {
    let pools = observed.snapshot.pools.iter().filter(|pool| !pool.types.is_empty());
    pools.map(|pool| (pool.types.as_slice(), &pool.labels)).collect()
}

/// `type/zone/capacity-type` of every offering it applies to, sorted.
fn touched(catalogues: &[(&[InstanceType], &Labels)], wanted: &Requirements) -> Vec<String> {
    let mut out = Vec::new();
    for (types, pool) in catalogues {
        let met = |r: &&Requirement| pool.get(&r.key).is_some_and(|value| r.has(value));
        let left: Requirements = wanted.iter().filter(|r| !met(r)).cloned().collect();
        // A label of its own that the pool does not set cannot be met.
        if left.iter().any(|r| !labels::well_known(&r.key) && r.wants_label()) {
            continue;
        }
        for choice in choices_of(types, &left, pool) {
            let key =
                |o: &&planner::model::Offering| format!("{}/{}/{}", choice.of.name, o.zone, o.capacity_type.as_str());
            out.extend(choice.offerings.iter().map(key));
        }
    }
    out.sort();
    out.dedup();
    out
}

fn merged(overlay: &NodeOverlay) -> Requirements {
    let each = overlay.spec.requirements.iter();
    each.filter_map(|r| Some(Requirement::new(&r.key, Operator::parse(&r.operator)?, r.values.iter().cloned())))
        .collect()
}
