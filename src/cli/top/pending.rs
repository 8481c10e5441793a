//! Pending pods in groups, each with where it goes or why it goes nowhere.

use std::collections::BTreeSet;

use planner::model::resources::{CPU, MEMORY};
use planner::model::shown::shown;
use planner::model::{PodGroup, Reason, Snapshot};
use planner::plan::Plan;

use super::super::text::count;

/// Pods that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRow {
    /// What their names have in common.
    pub name: String,
    /// Of each: `900m 3100Mi`.
    pub requests: String,
    pub to_existing: usize,
    pub to_new: usize,
    pub without_place: usize,
    /// The first reason of the first pod without a place.
    pub reason: Option<Reason>,
    /// How many more pools say no.
    pub more_reasons: usize,
}

impl PendingRow {
    /// Pods in the group.
    pub fn n_pods(&self) -> usize {
        self.to_existing + self.to_new + self.without_place
    }

    /// Where they go, in a few words.
    pub fn where_to(&self) -> String {
        let parts = [(self.to_new, "to new nodes"), (self.to_existing, "to nodes there are")];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, place)| if *n == self.n_pods() { (*place).to_owned() } else { format!("{n} {place}") })
            .collect();
        parts.join(", ")
    }

    /// Why some go nowhere: code, message, and what would help.
    pub fn why(&self) -> Option<String> {
        let reason = self.reason.as_ref()?;
        let pool = if reason.pool.is_empty() { String::new() } else { format!("{}: ", reason.pool) };
        let more = if self.more_reasons > 0 {
            format!(" (and {})", count(self.more_reasons, "more pool"))
        } else {
            String::new()
        };
        Some(format!("{:?}: {pool}{}{more}", reason.code, reason.message))
    }
}

/// One row per group, those without a place first, then the largest.
pub fn pending_rows(snapshot: &Snapshot, plan: &Plan) -> Vec<PendingRow> {
    let nominated: BTreeSet<&str> = plan.nominations.iter().map(|nomination| &*nomination.pod).collect();
    let launched: BTreeSet<&str> = plan.launches.iter().flat_map(|launch| &launch.pods).map(|pod| &**pod).collect();
    let unplaced: std::collections::BTreeMap<&str, &[Reason]> = plan
        .unplaced
        .iter()
        .flat_map(|unplaced| unplaced.pods.iter().map(|pod| (&**pod, &*unplaced.reasons)))
        .collect();
    let row = |group: &PodGroup| {
        let pods: Vec<&str> = group.pods.iter().filter(|pod| !pod.stand_in).map(|pod| &*pod.key).collect();
        let n = |set: &BTreeSet<&str>| pods.iter().filter(|pod| set.contains(*pod)).count();
        let nowhere: Vec<&[Reason]> = pods.iter().filter_map(|pod| unplaced.get(pod).copied()).collect();
        let reasons = nowhere.first().copied().unwrap_or_default();
        let asked = |name| shown(name, group.shape.requests.get(name));
        (!pods.is_empty()).then(|| PendingRow {
            name: common_name(&pods),
            requests: format!("{} {}", asked(CPU), asked(MEMORY)),
            to_existing: n(&nominated),
            to_new: n(&launched),
            without_place: nowhere.len(),
            reason: reasons.first().cloned(),
            more_reasons: reasons.len().saturating_sub(1),
        })
    };
    let mut rows: Vec<PendingRow> = snapshot.groups.iter().filter_map(row).collect();
    rows.sort_by(|a, b| {
        (b.without_place, b.n_pods()).cmp(&(a.without_place, a.n_pods())).then_with(|| a.name.cmp(&b.name))
    });
    rows
}

/// The beginning that all names share, where it says something; else the first name.
fn common_name(pods: &[&str]) -> String {
    let Some((first, others)) = pods.split_first() else { return String::new() };
    let mut shared = first.len();
    for other in others {
        shared = first.bytes().zip(other.bytes()).take(shared).take_while(|(a, b)| a == b).count();
    }
    while !first.is_char_boundary(shared) {
        shared -= 1;
    }
    // Of `web-1` the number is cut off, of `web-5d8` nothing is.
    let stem = &first[..shared];
    let unnumbered = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let stem = if unnumbered.ends_with('-') { unnumbered.trim_end_matches('-') } else { stem };
    match stem.split_once('/') {
        Some((_, name)) if !name.is_empty() && !others.is_empty() => format!("{stem}-…"),
        _ => (*first).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use planner::model::Code;

    use super::*;

    #[test]
    fn a_group_is_called_by_what_its_names_share() {
        assert_eq!(common_name(&["shop/web-10", "shop/web-11"]), "shop/web-…");
        assert_eq!(common_name(&["shop/web-5d8-x", "shop/web-5d8-y"]), "shop/web-5d8-…");
        assert_eq!(common_name(&["shop/api-0", "shop/web-0"]), "shop/api-0");
        assert_eq!(common_name(&["shop/api-0"]), "shop/api-0");
        assert_eq!(common_name(&["a/ä", "a/ö"]), "a/ä");
    }

    #[test]
    fn a_group_says_where_it_goes_and_why_the_rest_does_not() {
        let reason = |pool: &str| Reason {
            pool: pool.into(),
            code: Code::LimitExceeded,
            message: "limits.cpu 8 is used up".into(),
            nearest_miss: None,
        };
        let row = PendingRow {
            name: "a/b-…".into(),
            requests: "1 2Gi".into(),
            to_existing: 1,
            to_new: 2,
            without_place: 1,
            reason: Some(reason("general")),
            more_reasons: 1,
        };
        assert_eq!(row.where_to(), "2 to new nodes, 1 to nodes there are");
        assert_eq!(row.why().unwrap(), "LimitExceeded: general: limits.cpu 8 is used up (and 1 more pool)");
        let placed = PendingRow { to_existing: 0, without_place: 0, reason: None, ..row };
        assert_eq!((placed.where_to().as_str(), placed.why()), ("to new nodes", None));
    }
}
