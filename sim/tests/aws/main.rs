//! The provider of AWS, the real SDK under it, on the simulated EC2.
#![expect(clippy::unwrap_used, reason = "what is not there has failed the test")]

mod budget;
mod crash;
mod families;
mod faults;
mod launches;
mod lists;
mod policy;
mod proxy;
mod support;
