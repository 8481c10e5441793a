//! The provider of AWS: classes are `EC2NodeClass`es, machines are bought through `cloud::aws`.
//!
//! ```text
//! EC2NodeClass ──▶ classes (subnets, groups, images, profile) ──▶ status
//!                      │                                            │
//! market (types, prices) ──────────────▶ Aws: resolve, catalog, launch, terminate
//! ```
//! Nothing is kept here that cannot be asked for again: what selectors found is in the status of the class, what was bought
//! is in EC2 with the claim's uid on it.

mod classes;
mod counting;
mod kubelet;
mod listening;
mod lookup;
mod market;
mod memory;
mod prices;
mod profiles;
mod reservations;
mod settings;
mod shifts;
mod tagging;
#[cfg(test)]
mod tests;
mod translate;
mod trial;
mod verdict;
mod version;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cloud::aws::alias::Parameters;
use cloud::aws::{Clients, Fault, NodeClass, Seller};
use cloud::{
    Because, Class, ClassError, ClassImage, ClassKind, ClassRef, Cloud, Instance, LaunchError, LaunchOrder, ListError,
    Notice, OfferingKey, Refused, RepairPolicy, TerminateError, Termination,
};
use crds::hash::EC2_NODE_CLASS_HASH_VERSION;
use crds::names::aws as names;
use crds::{Ec2NodeClass, NodeClassRef};
use planner::model::catalog::Catalog;
use planner::model::labels::{CAPACITY_TYPE, ZONE};
use planner::model::{Labels, Resources, Str};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::act::Api;
use crate::clock::Clock;
use crate::events::Recorder;
use crate::observe::mirror::{Facts, Mirror};
use crate::telemetry::Metrics;

pub use market::Market;
pub use settings::{Settings, StartError, Started, start};
pub use version::VersionError;

const CLASSES: [ClassKind; 1] = [ClassKind { group: "karpenter.k8s.aws", kind: "EC2NodeClass" }];

/// Whether the class that a pool or a claim names is one of this provider.
fn is_ours(class: &NodeClassRef) -> bool {
    CLASSES[0].is(&class.group, &class.kind)
}

/// How long each condition of a node may last before the node is replaced.
const REPAIR_POLICIES: [RepairPolicy; 7] = [
    policy("Ready", "False", 30),
    policy("Ready", "Unknown", 30),
    policy("AcceleratedHardwareReady", "False", 10),
    policy("StorageReady", "False", 30),
    policy("NetworkingReady", "False", 30),
    policy("KernelReady", "False", 30),
    policy("ContainerRuntimeReady", "False", 30),
];

const fn policy(condition: &'static str, status: &'static str, minutes: u64) -> RepairPolicy {
    RepairPolicy { condition, status, toleration: Duration::from_mins(minutes) }
}

/// How often it is seen whether AWS called back an image that is followed.
const CALLED_BACK: Duration = Duration::from_mins(30);
/// How often launch templates that nobody uses are looked for.
const UPKEEP: Duration = Duration::from_mins(5);

/// The provider. Cheap to clone; what it does in the background ends with its last clone.
#[derive(Clone)]
pub struct Aws(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    /// What is about to happen to machines.
    heard: tokio::sync::Mutex<mpsc::Receiver<listening::Heard>>,
    /// Dropped, they end.
    _tasks: JoinSet<()>,
}

/// What the provider and its background work have in common.
struct Shared {
    seller: Seller,
    mirror: Mirror,
    /// What EC2 has refused lately.
    facts: Facts,
    api: Api,
    clock: Clock,
    market: Market,
    settings: Settings,
    version: version::Asked,
    metrics: Metrics,
    recorder: Recorder,
    /// Of SSM, as looked up.
    parameters: Parameters,
}

impl Aws {
    /// A provider that knows the classes that `mirror` shows, and sees to them from now on. `broken` is cancelled when a part of
    /// what it does in the background breaks off.
    pub fn new(
        started: Started,
        metrics: Metrics,
        recorder: Recorder,
        (mirror, facts, api): (Mirror, Facts, Api),
        broken: CancellationToken,
    ) -> Self {
        let Started { seller, market, settings, version } = started;
        let clock = settings.clock;
        let parameters = Parameters::default();
        let shared = Arc::new(Shared {
            seller,
            mirror,
            facts,
            api,
            clock,
            market,
            settings,
            version,
            metrics,
            recorder,
            parameters,
        });
        let (hearing, heard) = mpsc::channel(listening::MOST_WAITING);
        let mut tasks = JoinSet::new();
        tasks.spawn(classes::run(shared.clone()));
        tasks.spawn(tagging::run(shared.clone()));
        tasks.spawn(reservations::run(shared.clone()));
        tasks.spawn(shifts::run(shared.clone()));
        tasks.spawn(memory::run(shared.clone()));
        tasks.spawn(market::run(shared.clone()));
        tasks.spawn(version::run(shared.clone()));
        tasks.spawn(profiles::run(shared.clone()));
        tasks.spawn(upkeep(shared.clone()));
        tasks.spawn(images(shared.clone()));
        tasks.spawn(counting::run(shared.clone()));
        tasks.spawn(listening::queue(shared.clone(), hearing.clone()));
        tasks.spawn(listening::checks(shared.clone(), hearing));
        let mut watching = JoinSet::new();
        watching.spawn(watch(tasks, broken));
        Self(Arc::new(Inner { shared, heard: tokio::sync::Mutex::new(heard), _tasks: watching }))
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

impl Shared {
    fn clients(&self) -> &Clients {
        self.seller.clients()
    }

    /// The class, as far as it is there and nobody deletes it.
    fn class(&self, class: &ClassRef) -> Result<Arc<Ec2NodeClass>, ClassError> {
        if !CLASSES[0].is_of(class) {
            return Err(ClassError::Foreign { class: class.clone() });
        }
        let found = self.mirror.ec2_class(&class.name);
        let found = found.ok_or_else(|| ClassError::Missing { class: class.clone() })?;
        if found.metadata.is_deleting() {
            return Err(ClassError::Terminating { class: class.clone() });
        }
        Ok(found)
    }

    /// The class, if it can be bought under: ready, and in the form that was looked at.
    fn ready(&self, class: &ClassRef) -> Result<Arc<Ec2NodeClass>, ClassError> {
        let found = self.class(class)?;
        let conditions = found.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
        let message = match ready {
            None => "nobody has looked at it yet".to_owned(),
            Some(ready) if Some(ready.observed_generation) != found.metadata.generation => {
                "it was changed and is not looked at yet".to_owned()
            }
            Some(ready) if ready.is_false() => {
                let (reason, message) = (ready.reason.clone(), ready.message.clone());
                return Err(ClassError::NotReady { class: class.clone(), reason, message });
            }
            Some(ready) if !ready.is_true() => format!("{}: {}", ready.reason, ready.message),
            Some(_) if found.spec.placement_group_selector.is_some() && self.market.kept(class).placement.is_none() => {
                // After a start: what was written is not enough to buy by.
                "its placement group is not looked up yet".to_owned()
            }
            Some(_) => return Ok(found),
        };
        Err(ClassError::Unsettled { class: class.clone(), message })
    }

    /// What machines of the class are made from.
    fn resolved(&self, name: &ClassRef, class: &Ec2NodeClass) -> NodeClass {
        let (subnets, kept) = (self.market.subnets(name), self.market.kept(name));
        translate::node_class(class, &subnets, &kept, self.settings.reserved_capacity)
    }

    /// What a class sells, with what is out of addresses marked.
    fn catalog(&self, name: &ClassRef, class: &Ec2NodeClass) -> Result<Catalog, ClassError> {
        let subnets = translate::subnets(class, &self.market.subnets(name));
        let wanted = self.market.wanted(name);
        let zones: BTreeSet<Str> = subnets.iter().map(|subnet| subnet.zone.clone()).collect();
        let is_full = |zone: &Str| !self.seller.has_room(&subnets, zone, wanted.get(zone).copied().unwrap_or(1));
        let full = zones.into_iter().filter(is_full).collect();
        self.market.catalog(name, class, &self.settings, full)
    }

    /// Takes down in which zones no subnet of the class had room for an order.
    fn note_full(&self, class: &NodeClass, order: &LaunchOrder) {
        let needed = self.seller.n_addresses(order);
        let zones: BTreeSet<&Str> = order.offers.iter().map(|offer| &offer.key.zone).collect();
        let full = zones.into_iter().filter(|zone| !self.seller.has_room(&class.subnets, zone, needed));
        self.market.lacks_room(&order.class, full.cloned(), needed);
    }

    fn hash(&self, class: &Ec2NodeClass) -> String {
        crds::hash::ec2_node_class(&class.spec, &self.seller.cluster().ca_bundle)
    }
}

impl Cloud for Aws {
    fn name(&self) -> &'static str {
        names::PROVIDER
    }

    fn classes(&self) -> &[ClassKind] {
        &CLASSES
    }

    fn repair_policies(&self) -> &[RepairPolicy] {
        &REPAIR_POLICIES
    }

    async fn resolve(&self, class: &ClassRef) -> Result<Class, ClassError> {
        let found = self.shared().ready(class)?;
        let status = found.status.clone().unwrap_or_default();
        let text = |text: &String| Str::from(text.as_str());
        let images = status
            .amis
            .iter()
            .map(|ami| ClassImage { id: text(&ami.id), requirements: translate::requirements(&ami.requirements) });
        let placement = self.shared().market.kept(class).placement;
        Ok(Class {
            generation: found.metadata.generation.unwrap_or_default(),
            hash: Some(self.shared().hash(&found).into()),
            images: images.collect(),
            subnets: status.subnets.iter().map(|subnet| text(&subnet.id)).collect(),
            security_groups: status.security_groups.iter().map(|group| text(&group.id)).collect(),
            reservations: Some(status.capacity_reservations.iter().map(|one| text(&one.id)).collect()),
            placement_group: Some(placement.map(|group| group.id.as_str().into()).unwrap_or_default()),
            sold: Some(self.shared().market.sold()),
        })
    }

    async fn catalog(&self, class: &ClassRef) -> Result<Catalog, ClassError> {
        let found = self.shared().class(class)?;
        self.shared().catalog(class, &found)
    }

    async fn launch(&self, order: &LaunchOrder) -> Result<Instance, LaunchError> {
        let shared = self.shared();
        let class = shared.ready(&order.class)?;
        let mut resolved = shared.resolved(&order.class, &class);
        let types = order.offers.iter().map(|offer| &*offer.key.instance_type).collect();
        resolved.kubelets = shared.market.kubelets(&class, &types, &shared.settings);
        let profile = resolved.profile.clone();
        let mut answer = shared.seller.launch(&resolved, order).await;
        // EC2 tells how many a reservation has left: it counts again from the next look on.
        for key in refused_of(&mut answer, |one| one.key.reservation.is_some()) {
            key.reservation.iter().for_each(|id| shared.market.emptied(id));
        }
        if resolved.placement_group.is_some() {
            shared.market.shun(&order.class, refused_of(&mut answer, |one| one.because != Because::Account));
        }
        if matches!(answer, Err(LaunchError::InsufficientCapacity { .. })) {
            shared.note_full(&resolved, order);
        }
        let mut instance = answer?;
        if let Some(reservation) = &instance.reservation {
            shared.market.drew_on(reservation);
        }
        if instance.capacity == Resources::default() {
            // Found again, bought by an offer that is no longer made: what it has follows from its type.
            let types = self.catalog(&order.class).await.unwrap_or_default();
            if let Some(kind) = types.iter().find(|kind| kind.name == instance.instance_type) {
                instance.capacity = kind.capacity.clone();
                instance.allocatable = kind.allocatable.clone();
                instance.labels = kind.labels.clone();
                instance.labels.insert(ZONE.into(), instance.zone.clone());
                instance.labels.insert(CAPACITY_TYPE.into(), instance.capacity_type.as_str().into());
            }
        }
        let annotation = |key: &str, value: &str| (Str::from(key), Str::from(value));
        let annotations: Labels = [
            annotation(names::NODE_CLASS_HASH, &shared.hash(&class)),
            annotation(names::NODE_CLASS_HASH_VERSION, EC2_NODE_CLASS_HASH_VERSION),
            annotation(names::INSTANCE_PROFILE_NAME, &profile),
        ]
        .into();
        Ok(Instance { annotations, launched_at: shared.clock.seconds(), ..instance })
    }

    async fn terminate(&self, provider_id: &str) -> Result<Termination, TerminateError> {
        let answer = self.shared().seller.terminate(provider_id).await;
        if answer.is_err() {
            let zone = provider_id.trim_start_matches("aws:///").split('/').next().unwrap_or_default();
            let zone_id = self.shared().market.zone_id(zone);
            self.shared().metrics.cloudprovider_instance_termination_failures_total.inc([zone, &zone_id]);
        }
        answer
    }

    async fn instance(&self, provider_id: &str) -> Result<Option<Instance>, ListError> {
        self.shared().seller.instance(provider_id).await
    }

    async fn instances(&self) -> Result<Vec<Instance>, ListError> {
        self.shared().seller.instances().await
    }

    async fn notices(&self) -> Result<Vec<Notice>, ListError> {
        // There are senders as long as there is a provider.
        self.0.heard.lock().await.recv().await.unwrap_or_else(|| Ok(Vec::new()))
    }

    async fn acknowledge(&self, notice: &Notice) -> Result<(), ListError> {
        self.shared().seller.acknowledge(notice).await
    }
}

/// Waits for the parts. One that has nothing to do ends; one that breaks off is told, and ends whatever goes by it: half a
/// provider looks like a whole one.
async fn watch(mut tasks: JoinSet<()>, broken: CancellationToken) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a part of the provider broke off");
            broken.cancel();
            return;
        }
    }
}

/// Takes refused offerings of a kind out of an answer: what is true of a reservation, or inside a placement group, says nothing
/// of the pools outside.
fn refused_of(answer: &mut Result<Instance, LaunchError>, is_of_kind: impl Fn(&Refused) -> bool) -> Vec<OfferingKey> {
    match answer {
        Ok(Instance { refused, .. })
        | Err(LaunchError::InsufficientCapacity { refused, .. } | LaunchError::Rejected { refused, .. }) => {
            refused.extract_if(.., |one| is_of_kind(one)).map(|one| one.key).collect()
        }
        Err(_) => Vec::new(),
    }
}

/// Keeps the launch templates of the cluster to those that are used.
async fn upkeep(shared: Arc<Shared>) {
    let mut is_hydrated = false;
    loop {
        if !is_hydrated {
            let answer = shared.seller.hydrate().await;
            is_hydrated = answer.is_ok();
            told(answer, "looking for launch templates of earlier runs");
        }
        sleep(UPKEEP).await;
        told(shared.seller.collect().await.map(drop), "taking away launch templates that are not used");
    }
}

/// Looks whether images that are followed were called back.
async fn images(shared: Arc<Shared>) {
    loop {
        sleep(CALLED_BACK).await;
        let now = shared.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
        let answer = shared.parameters.forget_deprecated(shared.clients(), &now).await;
        told(answer, "looking whether images were called back");
    }
}

/// What failed in the background is told, and tried again when its time comes.
fn told(answer: Result<(), Fault>, doing: &str) {
    if let Err(error) = answer {
        tracing::warn!(%error, "{doing}");
    }
}
