//! What a cloud promises: it sells nodes, says what it sold, and tells when one is about to go.
//!
//! The shell is generic over [`Cloud`]. Nothing here knows how a node is made, nor any Kubernetes client.

mod any;
mod class;
mod error;
mod instance;
mod notice;
mod offers;
mod order;
mod repair;

use std::future::Future;

use planner::model::catalog::Catalog;

pub use any::AnyCloud;
pub use class::{Class, ClassImage, ClassKind, ClassRef, Sold};
pub use error::{ClassError, LaunchError, ListError, Retry, TerminateError};
pub use instance::{Instance, InstanceState, Termination};
pub use notice::{Notice, NoticeKind};
pub use offers::{Because, Offer, OfferingKey, Refused, offers};
pub use order::LaunchOrder;
pub use repair::RepairPolicy;

/// A seller of nodes.
///
/// Every call is bounded in time by the implementation, and every call may be made again: `launch` by its token,
/// `terminate` by the instance. Drift is not asked here: an [`Instance`] carries facts, and the planner compares them.
pub trait Cloud: Send + Sync + 'static {
    /// The name in metric labels, such as `kwok` or `aws`.
    fn name(&self) -> &'static str;

    /// The kinds of node class it sells under; the first is the default.
    fn classes(&self) -> &[ClassKind];

    /// After which node conditions, held for how long, a node is replaced.
    fn repair_policies(&self) -> &[RepairPolicy];

    /// Is the class there and ready, and what does it come to?
    fn resolve(&self, class: &ClassRef) -> impl Future<Output = Result<Class, ClassError>> + Send;

    /// Every instance type that can be bought under a class, those that are out of stock too.
    fn catalog(&self, class: &ClassRef) -> impl Future<Output = Result<Catalog, ClassError>> + Send;

    /// Buys one instance. The same token gives the same instance, however often it is asked.
    fn launch(&self, order: &LaunchOrder) -> impl Future<Output = Result<Instance, LaunchError>> + Send;

    /// Ends an instance. [`Termination::Gone`] once there is nothing left of it; asked again until then.
    fn terminate(&self, provider_id: &str) -> impl Future<Output = Result<Termination, TerminateError>> + Send;

    /// One instance; `None` when there is none of that id.
    fn instance(&self, provider_id: &str) -> impl Future<Output = Result<Option<Instance>, ListError>> + Send;

    /// All instances that belong to this cluster, or a fault: never a part of them.
    fn instances(&self) -> impl Future<Output = Result<Vec<Instance>, ListError>> + Send;

    /// What is about to happen to instances. Waits for a while if there is nothing to tell; a notice comes again until
    /// it is acknowledged.
    fn notices(&self) -> impl Future<Output = Result<Vec<Notice>, ListError>> + Send;

    /// The notice has been acted on and is not to come again.
    fn acknowledge(&self, notice: &Notice) -> impl Future<Output = Result<(), ListError>> + Send;
}
