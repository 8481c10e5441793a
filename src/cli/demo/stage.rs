//! The cluster of a run: an API server in memory, the world around it, and the controller that leads it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use cloud::catalog::KwokSettings;
use jiff::Timestamp;
use sim::kube::{ApiServer, Direct, WINDOW};
use sim::world::{Options, World};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::seller::{Overheard, Shortages};
use crate::act::Names;
use crate::app::{AppError, Ground, Insight, lead};
use crate::client::Clients;
use crate::clock::Clock;
use crate::config::Config;
use crate::events::Recorder;
use crate::kwok::{Kwok, Stock};
use crate::observe::mirror::Kind;
use crate::telemetry::Metrics;
use crate::telemetry::http::Health;

/// When virtual runs begin: 2026-11-27T06:00:00Z, the morning of a Black Friday.
const BEGINNING: i64 = 1_795_759_200;
/// How long the controller may take to stop.
const STOPPING: Duration = Duration::from_secs(20);

/// The cluster and all that works on it.
pub struct Stage {
    pub server: ApiServer,
    pub direct: Direct,
    pub ground: Ground,
    /// What the cloud has run out of.
    pub stock: Stock,
    pub shortages: Shortages,
    stop: CancellationToken,
    leading: JoinHandle<Result<(), AppError>>,
    world: JoinHandle<()>,
    writing: JoinHandle<()>,
}

impl Stage {
    /// An empty cluster with a leader at work.
    pub fn open(seed: u64, pace: &Pace) -> Result<Self> {
        let now = if pace.is_virtual { BEGINNING } else { Timestamp::now().as_second() };
        let server = ApiServer::with_window(seed, sim::clock::Clock::at(now), WINDOW);
        // What is virtual has to go with the server's clock; a real run goes with the machine's, as a controller does.
        let clock = if pace.is_virtual {
            Clock::from(Timestamp::from_second(now).context("the beginning of the run")?)
        } else {
            Clock::system()
        };
        let options = Options {
            seed,
            node_ready: pace.node_ready,
            pod_start: pace.pod_start,
            pod_stop: pace.pod_stop,
            ..Options::default()
        };
        let world = tokio::spawn(World::new(&server, &options).run());
        let metrics = Metrics::new();
        let clients = Clients::metered(server.session("millwright"), &metrics);
        let stop = CancellationToken::new();
        let (recorder, writing) = Recorder::new(&clients, clock, &metrics, stop.clone());
        let ground = Ground {
            config: Arc::new(Config::default()),
            clients,
            clock,
            metrics,
            recorder,
            health: Health::default(),
            insight: Insight::default(),
            names: || Names::seeded(1),
        };
        let (stock, shortages) = (Stock::default(), Shortages::default());
        let (on, until, sold_out, heard) = (ground.clone(), stop.clone(), stock.clone(), shortages.clone());
        let leading = tokio::spawn(async move {
            let (once, clock) = (on.clients.once.clone(), on.clock);
            lead(&on, &[Kind::KwokNodeClass], until, |mirror| {
                let kwok = Kwok::new(once, mirror, clock, &KwokSettings::default(), sold_out)?;
                Ok(Overheard::new(kwok, heard))
            })
            .await
        });
        let direct = server.direct("demo");
        Ok(Self { server, direct, ground, stock, shortages, stop, leading, world, writing: tokio::spawn(writing) })
    }

    /// Whether the controller has ended though nobody asked it to.
    pub fn is_left_alone(&self) -> bool {
        self.leading.is_finished()
    }

    /// Stops the controller in order, then the world.
    ///
    /// # Errors
    /// When the controller did not run well to its end.
    pub async fn close(self) -> Result<()> {
        self.stop.cancel();
        let ended = tokio::time::timeout(STOPPING, self.leading).await;
        self.world.abort();
        self.writing.abort();
        let led = ended.with_context(|| format!("the controller did not stop within {} s", STOPPING.as_secs()))?;
        led.context("the controller broke off")??;
        Ok(())
    }
}
