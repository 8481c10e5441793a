//! What was bought.

use planner::model::{CapacityType, Labels, Resources, Str};

use super::Refused;

/// A machine that was bought, as the cloud tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// `kwok://<node>`, `aws:///<zone>/<instance id>`: the same on the Node.
    pub provider_id: Str,
    /// The uid of the claim it was bought for; none for one whose marks were lost.
    pub token: Option<Str>,
    /// The name of that claim.
    pub claim: Option<Str>,
    pub state: InstanceState,
    pub instance_type: Str,
    pub zone: Str,
    pub capacity_type: CapacityType,
    /// The capacity reservation it draws on.
    pub reservation: Option<Str>,
    pub image: Option<Str>,
    pub subnet: Option<Str>,
    pub security_groups: Vec<Str>,
    /// What the Node will carry beside what the claim says.
    pub labels: Labels,
    /// What the cloud has written on it, beside what is read from there already; empty where it writes nothing.
    pub tags: Labels,
    /// For the claim.
    pub annotations: Labels,
    pub capacity: Resources,
    pub allocatable: Resources,
    /// Seconds since the Unix epoch.
    pub launched_at: i64,
    /// What was asked for before this one and was out of stock; told at launch only.
    pub refused: Vec<Refused>,
}

/// How far along an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstanceState {
    Pending,
    Running,
    /// Halted, or about to be: it runs nothing any more, and stays until it is ended.
    Stopped,
    /// It is going, and still there.
    Terminating,
}

/// How far the end of an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Termination {
    /// On its way: ask again.
    Started,
    /// There is nothing left of it.
    Gone,
}
