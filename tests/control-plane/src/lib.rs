//! A real control plane for tests: etcd, kube-apiserver, kube-controller-manager, kube-scheduler and the kwok controller.
//!
//! [`Assets`] are the programs, built once from pinned Go modules and cached outside the tree. A [`Stack`] is one running
//! control plane: own ports on loopback, own data folder, gone when it is dropped and when its process dies.
//!
//! ```no_run
//! # fn main() -> Result<(), control_plane::Error> {
//! let stack = control_plane::Stack::start(control_plane::Options::default())?;
//! let kubeconfig = stack.kubeconfig("admin")?; // for a program
//! let api = stack.api("admin")?; // for the test itself
//! # Ok(())
//! # }
//! ```

mod api;
mod assets;
mod audit;
mod component;
mod error;
mod files;
mod flags;
mod go;
mod http;
mod identity;
mod keys;
mod lock;
pub mod loopback;
mod options;
mod ports;
mod probe;
mod stack;
mod stages;
mod sweep;
pub mod up;
mod wait;
mod watcher;

pub use api::{Api, Refusal};
pub use assets::{Assets, Places};
pub use audit::Request;
pub use component::Component;
pub use error::Error;
pub use go::Go;
pub use identity::Identity;
pub use options::{Options, Stages, User};
pub use stack::{Stack, Usage};
pub use wait::wait_for;
