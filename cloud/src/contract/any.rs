//! A cloud of a kind that is known at run time only: what is generic over clouds is compiled once for all of them.

use std::pin::Pin;

use planner::model::catalog::Catalog;

use super::{
    Class, ClassError, ClassKind, ClassRef, Cloud, Instance, LaunchError, LaunchOrder, ListError, Notice, RepairPolicy,
    TerminateError, Termination,
};

/// Any [`Cloud`].
pub struct AnyCloud(Box<dyn Boxed>);

impl AnyCloud {
    pub fn new(cloud: impl Cloud) -> Self {
        Self(Box::new(cloud))
    }
}

type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// [`Cloud`], each answer in a box.
trait Boxed: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    fn classes(&self) -> &[ClassKind];
    fn repair_policies(&self) -> &[RepairPolicy];
    fn resolve<'a>(&'a self, class: &'a ClassRef) -> Later<'a, Result<Class, ClassError>>;
    fn catalog<'a>(&'a self, class: &'a ClassRef) -> Later<'a, Result<Catalog, ClassError>>;
    fn launch<'a>(&'a self, order: &'a LaunchOrder) -> Later<'a, Result<Instance, LaunchError>>;
    fn terminate<'a>(&'a self, provider_id: &'a str) -> Later<'a, Result<Termination, TerminateError>>;
    fn instance<'a>(&'a self, provider_id: &'a str) -> Later<'a, Result<Option<Instance>, ListError>>;
    fn instances(&self) -> Later<'_, Result<Vec<Instance>, ListError>>;
    fn notices(&self) -> Later<'_, Result<Vec<Notice>, ListError>>;
    fn acknowledge<'a>(&'a self, notice: &'a Notice) -> Later<'a, Result<(), ListError>>;
}

impl<C: Cloud> Boxed for C {
    fn name(&self) -> &'static str {
        Cloud::name(self)
    }

    fn classes(&self) -> &[ClassKind] {
        Cloud::classes(self)
    }

    fn repair_policies(&self) -> &[RepairPolicy] {
        Cloud::repair_policies(self)
    }

    fn resolve<'a>(&'a self, class: &'a ClassRef) -> Later<'a, Result<Class, ClassError>> {
        Box::pin(Cloud::resolve(self, class))
    }

    fn catalog<'a>(&'a self, class: &'a ClassRef) -> Later<'a, Result<Catalog, ClassError>> {
        Box::pin(Cloud::catalog(self, class))
    }

    fn launch<'a>(&'a self, order: &'a LaunchOrder) -> Later<'a, Result<Instance, LaunchError>> {
        Box::pin(Cloud::launch(self, order))
    }

    fn terminate<'a>(&'a self, provider_id: &'a str) -> Later<'a, Result<Termination, TerminateError>> {
        Box::pin(Cloud::terminate(self, provider_id))
    }

    fn instance<'a>(&'a self, provider_id: &'a str) -> Later<'a, Result<Option<Instance>, ListError>> {
        Box::pin(Cloud::instance(self, provider_id))
    }

    fn instances(&self) -> Later<'_, Result<Vec<Instance>, ListError>> {
        Box::pin(Cloud::instances(self))
    }

    fn notices(&self) -> Later<'_, Result<Vec<Notice>, ListError>> {
        Box::pin(Cloud::notices(self))
    }

    fn acknowledge<'a>(&'a self, notice: &'a Notice) -> Later<'a, Result<(), ListError>> {
        Box::pin(Cloud::acknowledge(self, notice))
    }
}

impl Cloud for AnyCloud {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn classes(&self) -> &[ClassKind] {
        self.0.classes()
    }

    fn repair_policies(&self) -> &[RepairPolicy] {
        self.0.repair_policies()
    }

    async fn resolve(&self, class: &ClassRef) -> Result<Class, ClassError> {
        self.0.resolve(class).await
    }

    async fn catalog(&self, class: &ClassRef) -> Result<Catalog, ClassError> {
        self.0.catalog(class).await
    }

    async fn launch(&self, order: &LaunchOrder) -> Result<Instance, LaunchError> {
        self.0.launch(order).await
    }

    async fn terminate(&self, provider_id: &str) -> Result<Termination, TerminateError> {
        self.0.terminate(provider_id).await
    }

    async fn instance(&self, provider_id: &str) -> Result<Option<Instance>, ListError> {
        self.0.instance(provider_id).await
    }

    async fn instances(&self) -> Result<Vec<Instance>, ListError> {
        self.0.instances().await
    }

    async fn notices(&self) -> Result<Vec<Notice>, ListError> {
        self.0.notices().await
    }

    async fn acknowledge(&self, notice: &Notice) -> Result<(), ListError> {
        self.0.acknowledge(notice).await
    }
}
