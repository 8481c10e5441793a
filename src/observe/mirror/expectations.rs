//! Claims that we made and have not seen yet, so that no pass buys for the same pods twice.
//!
//! ```text
//!             ┌── refused ──────────────────────────────────────────▶ forgotten
//! ── asked ───┼── made ───────────▶ made ──┬── seen by a watch ─────▶ forgotten
//!             └── answer lost ───▶ unsure ─┘         │
//!                     ▲ asked again by the same name │
//!                     └── overdue: the API server is asked; there: seen, not there: forgotten
//! ```
//!
//! All of them count as claims in a snapshot, with what they were asked to hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use planner::model::Str;

use super::super::k8s;
use super::super::objects::{Seen, Sourced};

/// After how many seconds a claim that no watch has shown is looked up by its name. The reference takes as long.
const OVERDUE: i64 = 15;

/// How far a claim of ours is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Asked,
    Made,
    /// The answer was lost: it may be there or not.
    Unsure,
}

/// One claim.
#[derive(Clone, Debug)]
struct Expected {
    claim: Arc<crds::NodeClaim>,
    trimmed: Seen<k8s::NodeClaim>,
    stage: Stage,
    /// Seconds since the Unix epoch.
    since: i64,
}

/// All of them, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Expectations(BTreeMap<Str, Expected>);

impl Expectations {
    /// A claim is about to be sent.
    pub(super) fn asked(&mut self, claim: Arc<crds::NodeClaim>, now: i64) {
        let name = claim.metadata.name().into();
        let trimmed = trim(&claim);
        self.0.insert(name, Expected { claim, trimmed, stage: Stage::Asked, since: now });
    }

    /// The API server has made it, and this is what it looks like.
    pub(super) fn made(&mut self, claim: Arc<crds::NodeClaim>, now: i64) {
        // Seen in the meantime: there is nothing left to expect.
        if let Some(expected) = self.0.get_mut(claim.metadata.name()) {
            let trimmed = trim(&claim);
            *expected = Expected { claim, trimmed, stage: Stage::Made, since: now };
        }
    }

    /// No answer came.
    pub(super) fn unsure(&mut self, name: &str) {
        if let Some(expected) = self.0.get_mut(name) {
            expected.stage = Stage::Unsure;
        }
    }

    /// It is there for all to see, or it was refused, or it is not there.
    pub(super) fn forget(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// Claims that count although no watch has shown them, by name.
    pub(super) fn claims(&self) -> impl Iterator<Item = &Arc<crds::NodeClaim>> {
        self.0.values().map(|expected| &expected.claim)
    }

    /// The same for the planner.
    pub(super) fn trimmed(&self) -> impl Iterator<Item = &Seen<k8s::NodeClaim>> {
        self.0.values().map(|expected| &expected.trimmed)
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Claims that should have been seen by now.
    pub(super) fn overdue(&self, now: i64) -> Vec<Str> {
        let late = |e: &Expected| e.stage != Stage::Asked && now - e.since >= OVERDUE;
        self.0.iter().filter(|(_, expected)| late(expected)).map(|(name, _)| name.clone()).collect()
    }
}

/// As a watch would show it.
fn trim(claim: &crds::NodeClaim) -> Seen<k8s::NodeClaim> {
    let read = serde_json::to_value(claim).and_then(serde_json::from_value::<k8s::NodeClaim>);
    Arc::new(Sourced::watched(read.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, uid: Option<&str>) -> Arc<crds::NodeClaim> {
        let mut metadata = crds::ObjectMeta::named(name);
        metadata.uid = uid.map(str::to_owned);
        Arc::new(crds::NodeClaim {
            api_version: "karpenter.sh/v1".into(),
            kind: "NodeClaim".into(),
            metadata,
            spec: crds::node_claim::NodeClaimSpec::default(),
            status: None,
        })
    }

    fn names(all: &Expectations) -> Vec<&str> {
        all.claims().map(|claim| claim.metadata.name()).collect()
    }

    #[test]
    fn a_claim_counts_from_before_it_is_sent_until_it_is_seen() {
        let mut all = Expectations::default();
        all.asked(claim("a", None), 0);
        assert_eq!((names(&all), all.overdue(100)), (vec!["a"], vec![]));
        all.made(claim("a", Some("u")), 1);
        assert!(all.overdue(15).is_empty());
        assert_eq!(all.overdue(16), ["a".into()]);
        assert!(all.forget("a") && names(&all).is_empty());
        // The answer comes after the watch was quicker.
        all.made(claim("a", Some("u")), 2);
        assert!(names(&all).is_empty());
    }

    #[test]
    fn a_claim_whose_answer_was_lost_counts_until_somebody_has_looked() {
        let mut all = Expectations::default();
        all.asked(claim("a", None), 0);
        all.unsure("a");
        assert_eq!((names(&all), all.overdue(14), all.overdue(15)), (vec!["a"], vec![], vec!["a".into()]));
    }
}
