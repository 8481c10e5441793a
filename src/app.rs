//! Wires the rooms: watches fill the mirror, the loop decides, controllers act. The same for a real cluster and for one
//! in memory, and for every cloud.
//!
//! ```text
//! serve ── ports, signals, lease ──▶ lead ─┬─ watches ──▶ mirror ◀── cloud
//! (a process)                 (one leader) ├─ decide  ◀── mirror
//!                                          └─ controllers ◀── mirror
//! ```

mod inputs;
mod insight;
mod leadership;
mod served;
mod signals;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use cloud::catalog::CatalogError;
use cloud::{AnyCloud, Cloud};
use futures::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::act::{Names, Nominations};
use crate::client::{Clients, ConnectError};
use crate::clock::Clock;
use crate::config::{Config, Provider};
use crate::controllers::{self, Deps, World};
use crate::decide::{self, Decide, Settings};
use crate::events::Recorder;
use crate::kwok::{Kwok, Stock};
use crate::lease::Lost;
use crate::observe::mirror::{Facts, Kind, Mirror};
use crate::observe::{InputError, MinValuesPolicy, watch};
use crate::telemetry::Metrics;
use crate::telemetry::http::{Health, ListenError, Ports};

pub use insight::{Insight, Observe};

/// How long what runs may take to stop by itself.
const STOPPING: Duration = Duration::from_secs(15);

/// What a controller stands on.
#[derive(Clone)]
pub struct Ground {
    pub config: Arc<Config>,
    pub clients: Clients,
    pub clock: Clock,
    pub metrics: Metrics,
    pub recorder: Recorder,
    pub health: Health,
    pub insight: Insight,
    /// Where names of claims come from: random ones, or the same for every run of a test.
    pub names: fn() -> Names,
}

/// Why the controller does not run, or ended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Signals(#[from] signals::SignalError),
    #[cfg(feature = "aws")]
    #[error("--provider aws: {0}")]
    Aws(#[from] crate::aws::StartError),
    #[error("--instance-types-file-path: {0}")]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error("the election has no thread: {0}")]
    Thread(std::io::Error),
    #[error("{0} broke off; the log says why")]
    Broken(&'static str),
}

/// Runs the controller as a process until a signal, or until the lease is lost. `answers` makes what is served beside the
/// metrics.
///
/// # Errors
/// When it cannot start, or must not go on.
pub async fn serve(config: Config, answers: impl FnOnce(&Config, &Insight) -> Router) -> Result<(), AppError> {
    if config.provider == Provider::Aws && !cfg!(feature = "aws") {
        return Err(InputError::new("is not in this build")
            .field("--provider")
            .value("aws")
            .remedy("run with --provider kwok, or build with the feature aws")
            .into());
    }
    inputs::check(&config)?;
    let metrics = match config.provider {
        Provider::Kwok => Metrics::new(),
        Provider::Aws => Metrics::for_class("karpenter.k8s.aws", "EC2NodeClass"),
    };
    let clients = Clients::connect(&config, &metrics).await?;
    let ports = Ports::open(&config).await?;
    for (what, address) in ["metrics", "health"].into_iter().zip(ports.addresses()) {
        tracing::info!(address = address.map(|address| address.to_string()), "serving {what}");
    }
    let stop = signals::stop()?;
    let last = CancellationToken::new();
    let clock = Clock::system();
    let (recorder, writing) = Recorder::new(&clients, clock, &metrics, last.clone());
    let ground = Ground {
        config: Arc::new(config),
        clients,
        clock,
        metrics,
        recorder,
        health: Health::default(),
        insight: Insight::default(),
        names: Names::random,
    };
    let answers = answers(&ground.config, &ground.insight);
    let mut beside = JoinSet::new();
    beside.spawn(writing);
    beside.spawn(ports.serve(ground.metrics.clone(), ground.health.clone(), answers, last.clone()));
    let ended = run(&ground, stop).await;
    // Events that wait are still written, and a scrape under way still answered.
    last.cancel();
    if tokio::time::timeout(STOPPING, beside.join_all()).await.is_err() {
        tracing::error!("ports and events did not end in time and are cut off");
    }
    ended
}

/// Waits for the kinds and the lease, then leads.
async fn run(ground: &Ground, stop: CancellationToken) -> Result<(), AppError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        () = served::wait(&ground.clients, &ground.health) => {}
    }
    let config = &ground.config;
    if !config.leader_election {
        return lead_on_provider(ground, stop).await;
    }
    leadership::hold(ground, stop, async |leading| lead_on_provider(ground, leading).await).await
}

/// Leads with nodes of whoever the settings name.
async fn lead_on_provider(ground: &Ground, stop: CancellationToken) -> Result<(), AppError> {
    match ground.config.provider {
        Provider::Kwok => lead_on_kwok(ground, stop).await,
        #[cfg(feature = "aws")]
        Provider::Aws => lead_on_aws(ground, cloud::aws::Connection::default(), stop).await,
        #[cfg(not(feature = "aws"))]
        Provider::Aws => Err(AppError::Broken("the provider aws, which is not in this build")),
    }
}

/// Leads with machines of EC2.
///
/// # Errors
/// When AWS or the cluster cannot be reached, or a part ends that should go on.
#[cfg(feature = "aws")]
pub async fn lead_on_aws(
    ground: &Ground,
    connection: cloud::aws::Connection,
    stop: CancellationToken,
) -> Result<(), AppError> {
    lead_on_aws_with(ground, connection, stop, |aws| aws).await
}

/// Leads with machines of EC2 that are bought through something around the provider.
///
/// # Errors
/// As [`lead_on_aws`].
#[cfg(feature = "aws")]
pub async fn lead_on_aws_with<C: Cloud>(
    ground: &Ground,
    connection: cloud::aws::Connection,
    stop: CancellationToken,
    around: impl FnOnce(crate::aws::Aws) -> C,
) -> Result<(), AppError> {
    let Ground { config, clients, clock, metrics, .. } = ground;
    let reserved = config.feature_gates.reserved_capacity;
    let prices = inputs::prices(config)?;
    let started = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        started = crate::aws::start(connection, &config.aws, (reserved, prices), *clock, metrics, clients) => started?,
    };
    let api = crate::act::Api::new(clients.client.clone(), clients.once.clone());
    let broken = CancellationToken::new();
    let told = broken.clone();
    let leading = lead(ground, &[Kind::Ec2NodeClass], stop, |mirror, facts| {
        let recorder = ground.recorder.clone();
        Ok(around(crate::aws::Aws::new(started, metrics.clone(), recorder, (mirror, facts, api), told)))
    });
    tokio::select! {
        biased;
        () = broken.cancelled() => Err(AppError::Broken("the provider")),
        ended = leading => ended,
    }
}

/// Leads with nodes of kwok.
async fn lead_on_kwok(ground: &Ground, stop: CancellationToken) -> Result<(), AppError> {
    let settings = inputs::of_kwok(&ground.config)?;
    let stock = Stock::default();
    lead(ground, &[Kind::KwokNodeClass], stop, |mirror, _| {
        Ok(Kwok::new(ground.clients.once.clone(), mirror, ground.clock, &settings, stock)?)
    })
    .await
}

/// Runs all that a leader runs until `stop`. Dropped, everything ends at once, wherever it is.
///
/// # Errors
/// When the cloud cannot be set up, or a part ends that should go on.
pub async fn lead<C: Cloud>(
    ground: &Ground,
    classes: &[Kind],
    stop: CancellationToken,
    cloud: impl FnOnce(Mirror, Facts) -> Result<C, AppError>,
) -> Result<(), AppError> {
    let config = &ground.config;
    let kinds = watch::kinds(classes, &config.feature_gates, config.scheduler_config.is_some());
    let mirror = Mirror::new(&kinds);
    let facts = Facts::default();
    let cloud = Arc::new(AnyCloud::new(cloud(mirror.clone(), facts.clone())?));
    ground.health.leads(true);
    ground.metrics.cluster_state_synced.set([], 0.0);
    let mut watches = JoinSet::new();
    let metrics = Some(ground.metrics.clone());
    watches.spawn(watch::run_counted(ground.clients.client.clone(), mirror.clone(), kinds, metrics));
    tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        () = mirror.until_synced() => {}
    }
    tracing::info!(nodes = mirror.nodes().len(), pods = mirror.n_pods(), cloud = cloud.name(), "mirror is filled");
    ground.health.synced(true);
    let mut parts = parts(ground, (&mirror, &facts), &cloud, &stop);
    let ended = until(&stop, &mut parts, &mut watches).await;
    ground.insight.observe_with(None);
    ground.health.leads(false);
    ground.health.synced(false);
    ground.metrics.cluster_state_synced.set([], 0.0);
    ended
}

/// Starts deciding and acting on a mirror that is filled. Each gives its name when it ends.
fn parts(
    ground: &Ground,
    (mirror, facts): (&Mirror, &Facts),
    cloud: &Arc<AnyCloud>,
    stop: &CancellationToken,
) -> JoinSet<&'static str> {
    let Ground { config, clients, clock, metrics, recorder, insight, .. } = ground;
    let world = World::new(mirror.clone(), facts.clone()).with_batches_of(config.batch_max);
    let nominations =
        Nominations::new(clients.client.clone(), mirror.clone(), metrics.clone(), config.enforce_placement);
    let settings = Settings::of(config);

    let (of_mirror, of_facts, of_cloud) = (mirror.clone(), facts.clone(), cloud.clone());
    let (options, time_of_day) = (settings.options.clone(), *clock);
    insight.observe_with(Some(Arc::new(move || {
        let (mirror, facts, cloud) = (of_mirror.clone(), of_facts.clone(), of_cloud.clone());
        decide::observe(mirror, facts, cloud, options.clone(), time_of_day).boxed()
    })));

    let mut deps = Deps::new(clients, cloud.clone(), world.clone(), metrics.clone(), recorder.clone(), *clock);
    deps.gate = Arc::new(nominations.clone());
    deps.repairs = config.feature_gates.node_repair;
    deps.overlays = config.feature_gates.node_overlay.then(|| settings.options.clone());
    deps.gates = config.feature_gates;
    deps.takes_less_choice = config.min_values_policy == MinValuesPolicy::BestEffort;
    deps.observes_state = config.cluster_state_observability;
    let acting = controllers::run(Arc::new(deps), stop.clone());
    let deciding = Decide {
        mirror: mirror.clone(),
        facts: facts.clone(),
        world,
        cloud: cloud.clone(),
        once: clients.once.clone(),
        nominations,
        recorder: recorder.clone(),
        metrics: metrics.clone(),
        clock: *clock,
        names: (ground.names)(),
        settings,
        decisions: insight.teller(),
    };
    let mut parts = JoinSet::new();
    let stopped = stop.clone();
    parts.spawn(async move {
        // A pass that is cut off leaves nothing behind that the next start does not find.
        tokio::select! {
            biased;
            () = stopped.cancelled() => {}
            () = deciding.run() => {}
        }
        "deciding"
    });
    parts.spawn(async move {
        acting.await;
        "acting"
    });
    parts
}

/// Waits for the stop and then for the parts to end. A part that ends earlier ends all.
async fn until(
    stop: &CancellationToken,
    parts: &mut JoinSet<&'static str>,
    watches: &mut JoinSet<()>,
) -> Result<(), AppError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        Some(ended) = parts.join_next() => {
            let part = ended.unwrap_or_else(|error| {
                tracing::error!(%error, "a part of the controller broke off");
                "a part of the controller"
            });
            return if stop.is_cancelled() { Ok(()) } else { Err(AppError::Broken(part)) };
        }
        Some(_) = watches.join_next() => return Err(AppError::Broken("watching")),
    }
    let rest = async { while parts.join_next().await.is_some() {} };
    if tokio::time::timeout(STOPPING, rest).await.is_err() {
        tracing::error!("controllers did not stop within {} s and are cut off", STOPPING.as_secs());
    }
    Ok(())
}
