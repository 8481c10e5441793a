//! End-to-end tests: on a real etcd, kube-apiserver, kube-scheduler and kube-controller-manager, with kwok for kubelets.
//!
//! Run by `cargo xtask test`, or alone by `cargo test --test e2e -- --test-threads 2`. Each has a control plane of its own.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test program; its helpers may panic too")]

mod e2e {
    #[cfg(feature = "aws")]
    mod aws;
    #[cfg(feature = "aws")]
    mod aws_scale;
    mod controller;
    mod custom_resources;
    mod drain;
    mod placement;
    mod plane;
    mod product;
    #[cfg(feature = "aws")]
    mod region;
    mod rights;
    mod world;
}
