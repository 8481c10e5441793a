//! A cloud that is listened to: every launch goes through it unchanged, and how it ended is written down.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use cloud::{
    Class, ClassError, ClassKind, ClassRef, Cloud, Instance, LaunchError, LaunchOrder, ListError, Notice, OfferingKey,
    RepairPolicy, TerminateError, Termination,
};
use planner::model::Str;
use planner::model::catalog::Catalog;
use tokio::sync::Notify;

/// Sales that wait to be read; older ones are dropped when nobody reads.
const MOST_WAITING: usize = 10_000;

/// How one launch ended in which something was out of stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The claim's name.
    pub claim: Str,
    /// The offerings that were asked for in vain.
    pub refused: Vec<OfferingKey>,
    /// What was bought instead; none if nothing that the claim allows was in stock.
    pub instead: Option<OfferingKey>,
}

/// Shortages as they happen. Clones are one list.
#[derive(Clone, Debug, Default)]
pub struct Shortages(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: Mutex<VecDeque<Shortage>>,
    came: Notify,
}

impl Shortages {
    fn tell(&self, shortage: Shortage) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == MOST_WAITING {
            waiting.pop_front();
        }
        waiting.push_back(shortage);
        drop(waiting);
        self.0.came.notify_one();
    }

    /// Those that were not read yet, oldest first.
    pub fn read(&self) -> Vec<Shortage> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    /// Returns when there is one.
    pub async fn came(&self) {
        self.0.came.notified().await;
    }
}

/// The cloud that is listened to.
#[derive(Clone, Debug)]
pub struct Overheard<C> {
    inner: C,
    shortages: Shortages,
}

impl<C> Overheard<C> {
    pub fn new(inner: C, shortages: Shortages) -> Self {
        Self { inner, shortages }
    }
}

impl<C: Cloud> Cloud for Overheard<C> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn classes(&self) -> &[ClassKind] {
        self.inner.classes()
    }

    fn repair_policies(&self) -> &[RepairPolicy] {
        self.inner.repair_policies()
    }

    async fn resolve(&self, class: &ClassRef) -> Result<Class, ClassError> {
        self.inner.resolve(class).await
    }

    async fn catalog(&self, class: &ClassRef) -> Result<Catalog, ClassError> {
        self.inner.catalog(class).await
    }

    async fn launch(&self, order: &LaunchOrder) -> Result<Instance, LaunchError> {
        let answer = self.inner.launch(order).await;
        let (refused, instead) = match &answer {
            Ok(instance) => {
                let bought = OfferingKey {
                    instance_type: instance.instance_type.clone(),
                    zone: instance.zone.clone(),
                    capacity_type: instance.capacity_type,
                    reservation: instance.reservation.clone(),
                };
                (instance.refused.clone(), Some(bought))
            }
            Err(LaunchError::InsufficientCapacity { refused, .. }) => (refused.clone(), None),
            Err(_) => (Vec::new(), None),
        };
        if !refused.is_empty() {
            let refused = refused.into_iter().map(|one| one.key).collect();
            self.shortages.tell(Shortage { claim: order.claim.clone(), refused, instead });
        }
        answer
    }

    async fn terminate(&self, provider_id: &str) -> Result<Termination, TerminateError> {
        self.inner.terminate(provider_id).await
    }

    async fn instance(&self, provider_id: &str) -> Result<Option<Instance>, ListError> {
        self.inner.instance(provider_id).await
    }

    async fn instances(&self) -> Result<Vec<Instance>, ListError> {
        self.inner.instances().await
    }

    async fn notices(&self) -> Result<Vec<Notice>, ListError> {
        self.inner.notices().await
    }

    async fn acknowledge(&self, notice: &Notice) -> Result<(), ListError> {
        self.inner.acknowledge(notice).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_does_not_pile_up() {
        let shortages = Shortages::default();
        for n in 0..=MOST_WAITING {
            shortages.tell(Shortage { claim: n.to_string().into(), refused: Vec::new(), instead: None });
        }
        let read = shortages.read();
        assert_eq!((read.len(), &*read[0].claim), (MOST_WAITING, "1"));
        assert!(shortages.read().is_empty());
    }
}
