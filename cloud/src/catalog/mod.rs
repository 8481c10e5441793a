//! What can be bought under a node class: the embedded EC2 catalogue, and kwok's.
//!
//! [`ec2`] and [`kwok`] turn plain settings into the planner's instance types: labels, capacity, what pods may use of it,
//! and offerings with prices. They read no cluster and no network; the facts about EC2 are in the binary (`cloud/data`).
//!
//! ```
//! use cloud::catalog::{Ec2Settings, ec2};
//!
//! let types = ec2(&Ec2Settings::default())?;
//! let m5 = types.iter().find(|t| &*t.name == "m5.large").unwrap();
//! assert_eq!(m5.allocatable.to_string(), "cpu 1930m, ephemeral-storage 17Gi, memory 6903Mi, pods 29, vpc.amazonaws.com/pod-eni 9");
//! assert_eq!(m5.offerings[0].price.to_string(), "0.0960");
//! # Ok::<(), cloud::catalog::CatalogError>(())
//! ```

mod decimal;
mod ec2;
mod embedded;
mod error;
mod intern;
mod kwok;
mod prices;
pub(crate) mod table;
mod unavailable;

pub use ec2::settings::{
    AmiFamily, BlockDevice, CapacityReservation, ClassZone, Ec2Class, Ec2Settings, Kubelet, NetworkInterface,
    PlacementGroup, PlacementStrategy, ReservationKind,
};
pub use ec2::{default_pods, ec2, ec2_of, ec2_price};
pub use embedded::{RegionFacts, region as region_table, regions, types as type_rows};
pub use error::CatalogError;
pub use kwok::{KwokSettings, KwokTypes, kwok};
pub use prices::PriceList;
pub use table::{Accelerator, Flags, Gpu, Neuron, PriceKind, RegionTable, SoldRow, TypeRow};
pub use unavailable::UnavailablePattern;

pub(crate) use decimal::scaled;
#[cfg(any(test, feature = "generate"))]
pub(crate) use embedded::{packed_regions, packed_types, unpack};
