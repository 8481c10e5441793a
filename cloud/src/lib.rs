//! Sells nodes: what can be bought, where and at what price, and the contract of whoever sells.

#[cfg(feature = "aws")]
pub mod aws;
pub mod catalog;
mod contract;
#[cfg(any(test, feature = "generate"))]
pub mod generate;
mod labels;

pub use contract::{
    AnyCloud, Because, Class, ClassError, ClassImage, ClassKind, ClassRef, Cloud, Instance, InstanceState, LaunchError,
    LaunchOrder, ListError, Notice, NoticeKind, Offer, OfferingKey, Refused, RepairPolicy, Retry, Sold, TerminateError,
    Termination, offers,
};
