//! What happened in a run, over time: what the plain lines, the live view and the report are made from.

use std::collections::BTreeMap;

use planner::model::MicroUsdPerHour;
use serde::Serialize;

/// A run from its first moment on. While it goes on, `end` is the summary so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Timeline {
    /// For people: what the scenario shows.
    pub title: String,
    /// The scenario's name, as `--scenario` takes it.
    pub scenario: String,
    /// The same seed gives the same run.
    pub seed: u64,
    /// By time; one at every few seconds and one at every moment.
    pub points: Vec<Point>,
    /// By time.
    pub moments: Vec<Moment>,
    pub end: Summary,
}

/// The cluster as it stood at one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Point {
    /// Since the beginning of the run, in the time of its world.
    pub seconds: f64,
    /// Nodes that have joined.
    pub nodes: usize,
    /// Claims whose node has not joined.
    pub claims: usize,
    /// Nodes on their way out, among `nodes`.
    pub leaving: usize,
    /// Pods that are bound to no node.
    pub pods_pending: usize,
    /// Pods that are ready.
    pub pods_running: usize,
    /// What the claims that have an instance cost.
    pub hourly_cost: MicroUsdPerHour,
    /// Nothing that holds the pods of now, from scratch and with all of the market in stock, costs less.
    pub hourly_bound: MicroUsdPerHour,
    /// What first-fit-decreasing would buy for the pods of now, from scratch.
    pub hourly_greedy: MicroUsdPerHour,
    /// Asked for by pods over what nodes have for pods; 0 to 1.
    pub cpu: f64,
    /// Likewise.
    pub memory: f64,
    /// Nodes by capacity type (`on-demand`, `spot`).
    pub by_capacity_type: BTreeMap<String, usize>,
    /// Nodes by instance family (`c`, `m`, `s`, …).
    pub by_family: BTreeMap<String, usize>,
}

/// Something that matters, at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Since the beginning of the run, in the time of its world.
    pub millis: u64,
    pub kind: MomentKind,
    /// One line.
    pub text: String,
    /// More lines: which types, at what price, why.
    pub details: Vec<String>,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum MomentKind {
    /// The scenario did something to the cluster.
    Scripted,
    /// What a step of the scenario waited for came about.
    Reached,
    /// A plan was made that buys nodes.
    Planned,
    /// Pods are without a place, with reasons.
    Unplaced,
    /// The cloud refused: offerings are out of stock.
    Shortage,
    /// Nodes were opened to their pods.
    Opened,
    /// Nodes are to be given up.
    Retired,
    /// Nodes are gone.
    Removed,
    /// The run cannot go on.
    Failed,
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// How long the run took in the time of its world.
    pub seconds: f64,
    /// Pods that became ready at least once.
    pub pods_ran: usize,
    pub nodes_bought: usize,
    pub nodes_removed: usize,
    /// At one time.
    pub most_nodes: usize,
    /// For nodes, from purchase to end.
    pub spent: MicroUsd,
    /// What the bound adds up to over the same time.
    pub spent_bound: MicroUsd,
    /// What first-fit-decreasing adds up to over the same time.
    pub spent_greedy: MicroUsd,
    /// From a pod's creation to its being ready.
    pub median_pending_seconds: f64,
    pub longest_pending_seconds: f64,
    /// Launches that asked for something that was out of stock.
    pub launches_refused: usize,
    /// Shortages after which all pods ran again.
    pub shortages_survived: usize,
    /// Times that every spot machine was taken back and all pods ran again.
    pub storms_survived: usize,
    /// Machines that were taken back then.
    pub machines_interrupted: usize,
    /// Calls of the cloud's API by action, where they are counted: those that change something first.
    pub calls: Vec<(String, u64)>,
    /// Calls that the cloud refused because they came too fast.
    pub calls_too_fast: usize,
    /// Pods that were there at the end, and never were ready.
    pub pods_waiting: usize,
    /// What must never be and was: none in a good run.
    pub breaches: Vec<String>,
    pub finish: Finish,
}

/// How far a run went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Finish {
    /// To its end, which is where it is seen whether anything is left.
    #[default]
    ToTheEnd,
    /// Somebody ended it.
    Interrupted,
    /// It was given up; what was missing.
    GivenUp(String),
}

/// Millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct MicroUsd(pub i64);

impl MicroUsd {
    /// For text and plots only.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl Summary {
    /// Less was spent than the bound adds up to. Only pods that waited can bring that about: the bound counts them from
    /// the moment they came.
    pub fn is_below_bound(&self) -> bool {
        self.spent < self.spent_bound
    }
}

impl Moment {
    /// Since the beginning of the run.
    pub fn seconds(&self) -> f64 {
        self.millis as f64 / 1e3
    }
}

impl MomentKind {
    /// A word for it, at most nine letters long.
    pub fn word(self) -> &'static str {
        match self {
            Self::Scripted => "scenario",
            Self::Reached => "reached",
            Self::Planned => "plan",
            Self::Unplaced => "no place",
            Self::Shortage => "shortage",
            Self::Opened => "opened",
            Self::Retired => "retire",
            Self::Removed => "removed",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_printed_in_dollars() {
        assert!((MicroUsd(2_500_000).dollars() - 2.5).abs() < 1e-9);
    }
}
