//! Sells EC2 instances, through the AWS SDK. The only folder that names its types.
//!
//! A [`Seller`] buys, ends and lists machines under a [`NodeClass`] whose selectors were resolved; [`resolve`] does that.
//! It knows no Kubernetes client: who keeps the class object, and what is written on it, is the shell's.

mod addresses;
pub mod alias;
mod batch;
mod call;
mod choice;
mod class;
mod client;
pub mod cluster;
mod facts;
mod fault;
mod fleet;
mod health;
mod instances;
mod launch;
mod naming;
mod pace;
mod prices;
pub mod profile;
mod queue;
mod rehearse;
pub mod reserve;
pub mod resolve;
#[cfg(test)]
mod scripted;
mod seller;
pub mod shift;
mod telling;
mod template;
#[cfg(test)]
mod tests;
mod transport;
pub mod userdata;

pub use class::{Cluster, Device, Image, Metadata, NodeClass, Subnet, Tracking};
pub use client::{Clients, ConnectError, Connection};
pub use facts::{Facts, spot_prices};
pub use fault::{Fault, Kind};
pub use prices::on_demand;
pub use rehearse::Refused;
pub use seller::Seller;
pub use telling::{Telling, Told};
pub use transport::{Answer, BrokenConnection, Transport};
