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
mod holdings;
#[cfg(feature = "aws")]
mod in_process;
mod instance;
mod instances;
mod land;
mod listen;
mod log;
mod market;
mod news;
mod options;
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

use cloud::OfferingKey;
use cloud::catalog::CatalogError;

use crate::clock::Clock;

pub use agents::{Agents, Told, agents};
pub use faults::{Chance, Fault, Faults, Rule};
pub use filter::Tags;
pub use holdings::{PlacementGroup, Reservation, Shift, Template};
pub use instance::{Instance, Phase};
pub use land::{ACCOUNT, Image, Land, Profile, SecurityGroup, Subnet, VPC, Zone};
pub use listen::{ListenError, listen};
pub use log::{Entry, Log};
pub use news::{Piece, Queue, What};
pub use options::{Level, Options};
pub use policy::{Policy, PolicyError};
pub use refusal::Refusal;
pub use script::{Script, ScriptError};
pub use state::State;

use bucket::Buckets;

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
