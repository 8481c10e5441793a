//! EC2 at the wire: what the SDK sends goes in, what EC2 would answer comes out, over a [`Market`] with finite stock.
//!
//! One core, two mounts: [`Ec2::serve`] in this process, where time may be virtual, and [`listen`] on a loopback port. What
//! it has: the actions a seller of nodes needs, fleets with errors for some of their pools, tokens that buy once, dry
//! runs, filters, pages, machines that come and go slowly and are not seen at once, addresses that run out, buckets of
//! calls, policies, and faults. What it has not says so: an unknown action, parameter or filter is an error and never
//! ignored. Beside it stand the few calls of SSM, IAM, EKS, SQS and the price lists that go with them.

mod agents;
mod beside;
mod bucket;
mod describe;
mod faults;
mod filter;
mod fleet;
mod happen;
#[cfg(feature = "aws")]
mod in_process;
mod instance;
mod instances;
mod land;
mod listen;
mod log;
mod market;
mod news;
mod params;
mod placement;
mod policy;
mod prices;
mod refusal;
mod reserve;
mod script;
mod serve;
mod state;
mod tags;
mod template;
mod types;
mod xml;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloud::OfferingKey;
use cloud::catalog::CatalogError;

use crate::clock::Clock;
use crate::market::Micros;

pub use agents::{Agents, Told, agents};
pub use beside::arc::Shift;
pub use beside::iam::Profile;
pub use beside::sqs::Queue;
pub use faults::{Chance, Fault, Faults, Rule};
pub use filter::Tags;
pub use instance::{Instance, Phase};
pub use land::{ACCOUNT, Image, Land, SecurityGroup, Subnet, VPC, Zone};
pub use listen::{ListenError, listen};
pub use log::{Entry, Log};
pub use market::Level;
pub use news::{Piece, What};
pub use placement::PlacementGroup;
pub use policy::{Policy, PolicyError};
pub use refusal::Refusal;
pub use reserve::Reservation;
pub use script::{Script, ScriptError};
pub use state::State;
pub use template::Template;

use bucket::Buckets;

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

/// The service. Clones are the same one.
#[derive(Clone)]
pub struct Ec2(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    faults: Mutex<Faults>,
    buckets: Mutex<Buckets>,
    log: Mutex<Log>,
}

/// A connection that broke: whether the call was executed is not to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connection reset by peer")]
pub struct Lost;

impl fmt::Debug for Ec2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.locked(|state| state.instances.len());
        f.debug_struct("Ec2").field("instances", &n).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ec2 {
    /// An account in a region, on a clock.
    ///
    /// # Errors
    /// When the region or a zone is not one of the catalogue's.
    pub fn new(options: Options, clock: Clock) -> Result<Self, CatalogError> {
        let mut region = cloud::catalog::region_table(&options.region)?;
        if let Some(only) = &options.zones {
            market::keep_zones(&mut region, only)?;
        }
        let types = cloud::catalog::type_rows()?;
        let land = Land::of(&options.region, &region.zones, &options.cluster);
        let market = market::of(&options, &region, types);
        let state = State::new(clock, options, land, market, region, types);
        Ok(Self(Arc::new(Shared {
            state: Mutex::new(state),
            faults: Mutex::default(),
            buckets: Mutex::default(),
            log: Mutex::default(),
        })))
    }

    /// Looks at the state, or changes it, after what is due by now has happened.
    pub fn locked<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.0.state);
        state.tick();
        look(&mut state)
    }

    /// Has calls go wrong.
    pub fn faults<T>(&self, change: impl FnOnce(&mut Faults) -> T) -> T {
        change(&mut lock(&self.0.faults))
    }

    /// What was called so far.
    pub fn log(&self) -> Log {
        lock(&self.0.log).clone()
    }

    /// How often an action was called.
    pub fn n_calls(&self, action: &str) -> u64 {
        lock(&self.0.log).count(action)
    }

    /// From now on there are so many of an offering at once.
    pub fn set_stock(&self, key: &OfferingKey, units: u32) {
        self.locked(|state| {
            let now = state.now();
            state.market.schedule(key, now, units);
        });
    }

    /// Every machine that is not gone, by id.
    pub fn machines(&self) -> Vec<Instance> {
        self.locked(|state| {
            let there = state.instances.values().filter(|instance| instance.ends_at.is_none());
            there.cloned().collect()
        })
    }
}
