//! When the node of a claim opens for pods, and what comes just before.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// May a node's gate be opened?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    Open,
    /// Not yet. Whoever holds it tells when; after this time it is worth asking again.
    Shut(Duration),
}

/// Who says when a node's gate is opened, and what is done just before: nodes that were planned together open together,
/// and pods that were planned for a node are nominated to it.
pub trait Gate: Send + Sync + 'static {
    /// The node of a claim can take pods; only the gate is shut. Cheap, and may be asked again and again.
    fn hold(&self, _claim: &str, _node: &str) -> Hold {
        Hold::Open
    }

    /// Works for ever, and tells of each claim whose gate was held and may open now.
    fn run<'a>(&'a self, _may_open: &'a (dyn Fn(&str) + Send + Sync)) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(std::future::pending())
    }

    /// Ends when the nominations are written, or when it is better to go on without.
    fn before_open<'a>(&'a self, claim: &'a str, node: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// Opens every gate at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenGate;

impl Gate for OpenGate {
    fn before_open<'a>(&'a self, _: &'a str, _: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(std::future::ready(()))
    }
}
