//! What kind of EC2 a world has: how much there is, how quick it is, what its account may do.

use std::time::Duration;

use crate::clock::Micros;

/// How much there is of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// More than anybody buys.
    Unlimited,
    /// The same in every pool.
    Each(u32),
    /// By chance: 20 to 400 on demand and 0 to 120 on spot, fewer of large machines.
    Seeded,
}

/// What kind of EC2 it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub seed: u64,
    pub region: String,
    /// Of the region, by name; none: all.
    pub zones: Option<Vec<String>>,
    /// The cluster that subnets and security groups are tagged for.
    pub cluster: String,
    /// How much there is of everything at first.
    pub level: Level,
    /// From purchase to running.
    pub boot: Micros,
    /// From running to joining the cluster; told to whoever plays the node.
    pub register: Micros,
    /// From the call that ends a machine to its end.
    pub shutting_down: Micros,
    /// From purchase until lists show a machine and ids find it.
    pub visible_after: Micros,
    /// From the making of a launch template until fleets and lists find it.
    pub template_visible_after: Micros,
    /// From the making of an instance profile, or a change to it, until EC2 knows it: IAM tells the regions slowly.
    pub profile_visible_after: Micros,
    /// As EKS tells it, such as `1.35`.
    pub kubernetes: String,
    /// Whether the account has the service-linked role for spot; nobody may make it.
    pub has_spot_role: bool,
    /// How long each call takes.
    pub latency: Duration,
    /// Whether calls beyond the account's limits are refused.
    pub throttles: bool,
    /// vCPUs that may run on demand; none: as many as there are.
    pub on_demand_vcpus: Option<u32>,
    pub spot_vcpus: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            region: "us-east-1".into(),
            zones: None,
            cluster: "demo".into(),
            level: Level::Seeded,
            boot: 20_000_000,
            register: 15_000_000,
            shutting_down: 5_000_000,
            visible_after: 500_000,
            template_visible_after: 0,
            profile_visible_after: 0,
            kubernetes: "1.35".into(),
            has_spot_role: true,
            latency: Duration::from_millis(20),
            throttles: true,
            on_demand_vcpus: None,
            spot_vcpus: None,
        }
    }
}
