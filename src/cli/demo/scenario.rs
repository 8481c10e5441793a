//! What a scenario is: objects to begin with, and steps, each with what it does and what it waits for.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::Value;

use super::{on_ec2, scenarios};

/// The scenarios there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// Black Friday in an online shop: it opens, scales up, runs into a shortage of spot, scales down and closes.
    Shop,
    /// A thousand pods at once, and then none.
    Burst,
    /// Spot is sold out, first in two zones, then everywhere.
    Shortage,
    /// Nothing can be bought at all: how a run that cannot succeed ends (exit code 1).
    Outage,
}

impl Name {
    /// As `--scenario` takes it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::Burst => "burst",
            Self::Shortage => "shortage",
            Self::Outage => "outage",
        }
    }

    /// The scenario as this seed has it.
    pub fn scenario(self, seed: u64, provider: Provider) -> Result<Scenario> {
        let scenario = match (self, provider) {
            (Self::Shop, Provider::Kwok) => scenarios::shop(seed),
            (Self::Shop, Provider::Aws) => on_ec2::shop(seed),
            (Self::Burst, _) => scenarios::burst(seed),
            (Self::Shortage, _) => scenarios::shortage(),
            (Self::Outage, _) => scenarios::outage(),
        };
        match provider {
            Provider::Kwok => scenario,
            Provider::Aws => on_ec2::moved(scenario?),
        }
    }
}

/// Whose nodes are bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// Nodes that are nothing but objects.
    Kwok,
    /// Machines of EC2.
    Aws,
}

/// A script for a cluster.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it shows.
    pub title: &'static str,
    /// Put into the empty cluster by the first step, in this order.
    pub objects: Vec<Value>,
    /// Put into it by a later step.
    pub later: Vec<Value>,
    pub steps: Vec<Step>,
}

/// One thing that happens to the cluster, and what is to come of it.
#[derive(Clone, Debug)]
pub struct Step {
    /// For people: what happens, a sentence without a full stop.
    pub says: String,
    pub acts: Vec<Act>,
    pub until: Goal,
    /// Longer than this and the run has failed.
    pub within: Duration,
    /// How long nothing happens afterwards, cut to what the pace allows.
    pub rest: Duration,
    /// The market has run out of something, and launches must be seen to be refused.
    pub is_shortage: bool,
    /// Machines of this type have to be there in the end.
    pub wants: Option<&'static str>,
}

/// What is done to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// All objects of the scenario.
    PutAll,
    /// A Deployment in the namespace `shop`.
    Scale { deployment: &'static str, replicas: usize },
    /// These offerings are out of stock, as `TYPE/ZONE/CAPACITY_TYPE` with `*`; no others.
    SellOut(&'static [&'static str]),
    /// Every spot machine is given two minutes' notice.
    Interrupt,
    /// All objects that come later.
    PutLater,
    /// Every workload is deleted.
    CloseDown,
}

/// What a step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Every replica of every workload is ready.
    AllRun,
    /// That, and for a while nothing was bought or given up.
    AtRest,
    /// No pod and no node is left.
    Gone,
}

impl Step {
    /// A step with the usual limit and no rest.
    pub fn new(says: impl Into<String>, acts: Vec<Act>, until: Goal) -> Self {
        let within = Duration::from_mins(if until == Goal::AllRun { 10 } else { 30 });
        Self { says: says.into(), acts, until, within, rest: Duration::ZERO, is_shortage: false, wants: None }
    }

    #[must_use]
    pub fn rest(self, rest: Duration) -> Self {
        Self { rest, ..self }
    }

    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    #[must_use]
    pub fn wants(self, instance_type: &'static str) -> Self {
        Self { wants: Some(instance_type), ..self }
    }

    #[must_use]
    pub fn shortage(self) -> Self {
        Self { is_shortage: true, ..self }
    }
}

/// The objects of a YAML text with several documents.
pub fn objects(yaml: &str) -> Result<Vec<Value>> {
    let parse = |(at, document): (usize, &str)| {
        serde_saphyr::from_str(document).with_context(|| format!("document {} of the embedded objects", at + 1))
    };
    yaml.split("\n---\n").enumerate().map(parse).collect()
}
