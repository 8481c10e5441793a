//! The kwok provider: its machines are Node objects that it makes itself, and kwok pretends that they run.
//!
//! It sells the types of `cloud::catalog::kwok` under `KWOKNodeClass`es. Killed at any line it leaks nothing: a Node is
//! named after its claim and carries the claim's uid, so a launch that is asked for again finds what it made before. A Node
//! that waits for its registration delay lives in memory only; after a restart it is made by what its claim says.

mod node;
mod stock;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloud::catalog::{KwokSettings, kwok};
use cloud::{
    Class, ClassError, ClassKind, ClassRef, Cloud, Instance, LaunchError, LaunchOrder, ListError, Notice, RepairPolicy,
    TerminateError, Termination,
};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use planner::model::catalog::Catalog;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::client::cause;
use crate::clock::Clock;
use crate::observe::mirror::Mirror;

pub use stock::Stock;

const CLASSES: [ClassKind; 1] = [ClassKind { group: "karpenter.kwok.sh", kind: "KWOKNodeClass" }];

/// A node that is not ready, or of which nothing is heard, for so long is replaced.
const REPAIR_POLICIES: [RepairPolicy; 2] = [
    RepairPolicy { condition: "Ready", status: "False", toleration: Duration::from_mins(10) },
    RepairPolicy { condition: "Ready", status: "Unknown", toleration: Duration::from_mins(10) },
];

/// No request may take longer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Nothing is ever told of kwok nodes; whoever listens is let go this often.
const SILENCE: Duration = Duration::from_hours(1);
/// Nodes read at a time.
const PAGE: u32 = 500;

/// The provider. Cheap to clone.
#[derive(Clone)]
pub struct Kwok(Arc<Inner>);

struct Inner {
    nodes: Api<Node>,
    mirror: Mirror,
    clock: Clock,
    catalog: Catalog,
    stock: Stock,
    /// Nodes that wait for their registration delay, by name.
    waiting: Mutex<HashMap<String, AbortHandle>>,
    /// Nodes that were seen to go when their end was asked for, by name.
    going: Mutex<HashSet<String>>,
    /// What a process before us had waiting was looked for.
    has_inherited: AtomicBool,
}

impl Kwok {
    /// A provider that makes its Nodes through `client` and knows the classes that `mirror` shows.
    ///
    /// # Errors
    /// When the file of instance types cannot be read.
    pub fn new(
        client: kube::Client,
        mirror: Mirror,
        clock: Clock,
        settings: &KwokSettings,
        stock: Stock,
    ) -> Result<Self, cloud::catalog::CatalogError> {
        Ok(Self(Arc::new(Inner {
            nodes: Api::all(client),
            mirror,
            clock,
            catalog: Arc::new(kwok(settings)?),
            stock,
            waiting: Mutex::default(),
            going: Mutex::default(),
            has_inherited: AtomicBool::new(false),
        })))
    }

    fn class(&self, class: &ClassRef) -> Result<Arc<crds::KwokNodeClass>, ClassError> {
        if !CLASSES[0].is_of(class) {
            return Err(ClassError::Foreign { class: class.clone() });
        }
        let found = self.0.mirror.kwok_class(&class.name);
        let found = found.ok_or_else(|| ClassError::Missing { class: class.clone() })?;
        let conditions = found.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
        if found.metadata.is_deleting() {
            return Err(ClassError::Terminating { class: class.clone() });
        }
        match ready.filter(|ready| !ready.is_true()) {
            Some(ready) => {
                let (reason, message) = (ready.reason.clone(), ready.message.clone());
                Err(ClassError::NotReady { class: class.clone(), reason, message })
            }
            // The schema's default says Ready; a server that does not default says nothing.
            None => Ok(found),
        }
    }

    /// Makes the Node, or finds that it was made before.
    async fn make(&self, node: Node) -> Result<Node, LaunchError> {
        let name = node.metadata.name.clone().unwrap_or_default();
        match bounded(self.0.nodes.create(&PostParams::default(), &node)).await {
            Ok(made) => Ok(made),
            Err(Failure::Api(409, _)) => {
                let there = bounded(self.0.nodes.get(&name)).await.map_err(Failure::into_launch)?;
                if node::token(&there) == node::token(&node) {
                    return Ok(there);
                }
                let message = format!("Node {name} exists and belongs to another claim");
                Err(LaunchError::Rejected { reason: "NodeNameTaken".into(), message, refused: Vec::new() })
            }
            Err(other) => Err(other.into_launch()),
        }
    }

    /// Makes the Node once its registration delay has passed.
    fn make_later(&self, node: Node, delay: Duration) {
        let name = node.metadata.name.clone().unwrap_or_default();
        let mut waiting = self.waiting();
        if waiting.contains_key(&name) {
            return;
        }
        let provider = self.clone();
        let key = name.clone();
        let task = tokio::spawn(async move {
            sleep(delay).await;
            // A few tries: there is nobody else who would make it.
            for _ in 0..5 {
                match provider.make(node.clone()).await {
                    Ok(_) => break,
                    Err(error) => warn!(node = key, %error, "making a node after its registration delay"),
                }
                sleep(Duration::from_secs(2)).await;
            }
            provider.waiting().remove(&key);
        });
        waiting.insert(name, task.abort_handle());
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, AbortHandle>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn going(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.going.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the Nodes that waited for their registration delay when a process before us ended. Once: whatever has no
    /// Node later lost it. `listed` are the machines that have one.
    fn inherit(&self, listed: &[Instance]) {
        if self.0.has_inherited.swap(true, Ordering::Relaxed) {
            return;
        }
        let known: BTreeSet<&str> = listed.iter().map(|instance| &*instance.provider_id).collect();
        for claim in self.0.mirror.claims().iter().filter(|claim| !claim.metadata.is_deleting()) {
            let Some(status) = &claim.status else { continue };
            let conditions = || status.conditions.iter().filter(|condition| condition.is_true());
            let launched = conditions().find(|condition| condition.type_ == "Launched");
            let is_registered = conditions().any(|condition| condition.type_ == "Registered");
            let is_known = status.provider_id.as_deref().is_none_or(|id| known.contains(id));
            let class = self.0.mirror.kwok_class(&claim.spec.node_class_ref.name);
            let delay = class.map(|class| registration_delay(&class)).unwrap_or_default();
            let (Some(launched), false) = (launched, is_registered || is_known || delay.is_zero()) else { continue };
            if let Some(node) = node::of_claim(claim, &self.0.catalog) {
                let since: Option<jiff::Timestamp> = launched.last_transition_time.parse().ok();
                self.make_later(node, delay.saturating_sub(self.0.clock.since(since.unwrap_or_default())));
            }
        }
    }

    fn instance_of(&self, node: &Node) -> Option<Instance> {
        node::instance(node, &self.0.catalog)
    }
}

impl Cloud for Kwok {
    fn name(&self) -> &'static str {
        "kwok"
    }

    fn classes(&self) -> &[ClassKind] {
        &CLASSES
    }

    fn repair_policies(&self) -> &[RepairPolicy] {
        &REPAIR_POLICIES
    }

    async fn resolve(&self, class: &ClassRef) -> Result<Class, ClassError> {
        let found = self.class(class)?;
        Ok(Class { generation: found.metadata.generation.unwrap_or_default(), ..Class::default() })
    }

    async fn catalog(&self, class: &ClassRef) -> Result<Catalog, ClassError> {
        if !CLASSES[0].is_of(class) {
            return Err(ClassError::Foreign { class: class.clone() });
        }
        Ok(self.0.catalog.clone())
    }

    async fn launch(&self, order: &LaunchOrder) -> Result<Instance, LaunchError> {
        let class = self.class(&order.class)?;
        let mut refused = Vec::new();
        let mut offers = order.offers.iter();
        let offer = loop {
            let Some(offer) = offers.next() else {
                let message = if refused.is_empty() {
                    "no offering in stock meets the claim's requirements".to_owned()
                } else {
                    format!("all {} offerings asked for are out of stock", refused.len())
                };
                return Err(LaunchError::InsufficientCapacity { refused, message });
            };
            if self.0.stock.is_out(&offer.key) {
                refused.push(cloud::Refused::from(offer.key.clone()));
            } else {
                break offer;
            }
        };
        let node = node::of(order, offer);
        let delay = registration_delay(&class);
        let node = if delay.is_zero() {
            self.make(node).await?
        } else {
            self.make_later(node.clone(), delay);
            node
        };
        let instance = self.instance_of(&node).ok_or_else(|| LaunchError::Rejected {
            reason: "UnknownInstanceType".into(),
            message: format!("Node {} has no instance type that is sold", order.claim),
            refused: Vec::new(),
        })?;
        let launched_at = if instance.launched_at == 0 { self.0.clock.seconds() } else { instance.launched_at };
        Ok(Instance { refused, launched_at, ..instance })
    }

    async fn terminate(&self, provider_id: &str) -> Result<Termination, TerminateError> {
        let Some(name) = provider_id.strip_prefix(node::PREFIX) else { return Ok(Termination::Gone) };
        if let Some(task) = self.waiting().remove(name) {
            task.abort();
        }
        match self.0.mirror.node(name) {
            // The machine is no more than its Node: what is left of that is only held by finalizers.
            Some(node) if node.object.metadata.deleting() => {
                self.going().insert(name.to_owned());
                return Ok(Termination::Gone);
            }
            // By now nothing holds it any more.
            None if self.going().remove(name) => return Ok(Termination::Gone),
            _ => {}
        }
        match bounded(self.0.nodes.delete(name, &DeleteParams::default())).await {
            Ok(_) | Err(Failure::Api(404, _)) => Ok(Termination::Gone),
            Err(Failure::Api(429, _)) => Err(TerminateError::Throttled { retry_after: Duration::from_secs(1) }),
            Err(other) => Err(TerminateError::Unreachable { message: other.to_string() }),
        }
    }

    async fn instance(&self, provider_id: &str) -> Result<Option<Instance>, ListError> {
        let Some(name) = provider_id.strip_prefix(node::PREFIX) else { return Ok(None) };
        let found = bounded(self.0.nodes.get_opt(name)).await.map_err(Failure::into_list)?;
        Ok(found.and_then(|node| self.instance_of(&node)))
    }

    async fn instances(&self) -> Result<Vec<Instance>, ListError> {
        let mut out = Vec::new();
        let mut page = ListParams::default().labels(node::SELECTOR).limit(PAGE);
        loop {
            let list = bounded(self.0.nodes.list(&page)).await.map_err(Failure::into_list)?;
            out.extend(list.items.iter().filter_map(|node| self.instance_of(node)));
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => break,
            }
        }
        self.inherit(&out);
        let names: Vec<String> = self.waiting().keys().cloned().collect();
        // Bought, and its Node is still to come.
        for claim in names.iter().filter_map(|name| self.0.mirror.claim(name)) {
            out.extend(node::instance_of_claim(&claim, &self.0.catalog));
        }
        // A Node goes before the claim that is told of beside it: the sort is stable.
        out.sort_by(|a, b| a.provider_id.cmp(&b.provider_id));
        out.dedup_by(|later, first| later.provider_id == first.provider_id);
        Ok(out)
    }

    async fn notices(&self) -> Result<Vec<Notice>, ListError> {
        sleep(SILENCE).await;
        Ok(Vec::new())
    }

    async fn acknowledge(&self, _notice: &Notice) -> Result<(), ListError> {
        Ok(())
    }
}

/// How long the Nodes of a class take to come.
fn registration_delay(class: &crds::KwokNodeClass) -> Duration {
    let delay = class.spec.as_ref().and_then(|spec| spec.node_registration_delay.as_ref());
    let nanos = delay.and_then(crds::Duration::nanos).and_then(|nanos| u64::try_from(nanos).ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Code and message of the server's answer.
    #[error("{1} ({0})")]
    Api(u16, String),
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Late,
    #[error("{0}")]
    Other(String),
}

impl Failure {
    fn into_launch(self) -> LaunchError {
        match self {
            Self::Api(429, message) => LaunchError::Throttled {
                retry_after: Duration::from_secs(1),
                reason: "TooManyRequests".into(),
                message,
            },
            Self::Api(code, message) if (400..500).contains(&code) => {
                LaunchError::Rejected { reason: "NodeRefused".into(), message, refused: Vec::new() }
            }
            other => LaunchError::Unreachable { reason: LaunchError::FAILED.into(), message: other.to_string() },
        }
    }

    fn into_list(self) -> ListError {
        match self {
            Self::Api(429, _) => ListError::Throttled { retry_after: Duration::from_secs(1) },
            other => ListError::Unreachable { message: other.to_string() },
        }
    }
}

/// A request with an end to it.
async fn bounded<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    match timeout(TIMEOUT, request).await {
        Err(_) => Err(Failure::Late),
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(Failure::Api(status.code, status.message)),
        Ok(Err(other)) => Err(Failure::Other(cause(&other))),
    }
}
