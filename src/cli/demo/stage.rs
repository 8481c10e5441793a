//! The cluster of a run: an API server in memory, the world around it, and the controller that leads it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use sim::ec2::{Ec2, Level, Options as Ec2Options, agents};
use sim::kube::{ApiServer, Direct, WINDOW};
use sim::world::{Options, World};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::scenario::Provider;
use super::seller::Shortages;
use super::shelves::{Shelves, UNITS};
use super::{lead, on_ec2};
use crate::act::Names;
use crate::app::{AppError, Ground, Insight};
use crate::client::Clients;
use crate::clock::Clock;
use crate::config::{AwsConfig, Config, Provider as Configured};
use crate::events::Recorder;
use crate::kwok::Stock;
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
    /// What the cloud sells.
    pub shelves: Shelves,
    pub shortages: Shortages,
    stop: CancellationToken,
    leading: JoinHandle<Result<(), AppError>>,
    world: JoinHandle<()>,
    writing: JoinHandle<()>,
    /// The agents on machines of EC2; kwok's nodes need none.
    agents: Option<JoinHandle<()>>,
}

/// An EC2 with machines as quick as the pace has them.
fn ec2(seed: u64, pace: &Pace, clock: sim::clock::Clock) -> Result<Ec2> {
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    let options = Ec2Options {
        seed,
        region: on_ec2::REGION.to_owned(),
        level: Level::Each(UNITS),
        boot: micros(pace.boot / 2),
        register: micros(pace.boot / 2),
        ..Ec2Options::default()
    };
    Ec2::new(options, clock).context("the simulated EC2")
}

/// What the controller is told of the cluster that its machines join.
fn config(provider: Provider) -> Config {
    match provider {
        Provider::Kwok => Config::default(),
        Provider::Aws => {
            let aws = AwsConfig {
                cluster_name: "demo".into(),
                cluster_endpoint: Some("https://api.demo".into()),
                cluster_ca_bundle: Some("REVNTw==".into()),
                interruption_queue: Some("demo".into()),
                ..AwsConfig::default()
            };
            Config { provider: Configured::Aws, aws, ..Config::default() }
        }
    }
}

impl Stage {
    /// An empty cluster with a leader at work.
    pub fn open(seed: u64, pace: &Pace, provider: Provider) -> Result<Self> {
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
            config: Arc::new(config(provider)),
            clients,
            clock,
            metrics,
            recorder,
            health: Health::default(),
            insight: Insight::default(),
            names: || Names::seeded(1),
        };
        let shortages = Shortages::default();
        let shelves = match provider {
            Provider::Kwok => Shelves::Kwok(Stock::default()),
            Provider::Aws => Shelves::Ec2(ec2(seed, pace, server.clock())?),
        };
        let agents = match &shelves {
            Shelves::Kwok(_) => None,
            Shelves::Ec2(ec2) => Some(tokio::spawn(agents(ec2.clone(), server.clone()))),
        };
        let leading = tokio::spawn(lead::on(ground.clone(), shelves.clone(), shortages.clone(), stop.clone()));
        let (direct, writing) = (server.direct("demo"), tokio::spawn(writing));
        Ok(Self { server, direct, ground, shelves, shortages, stop, leading, world, writing, agents })
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
        if let Some(agents) = self.agents {
            agents.abort();
        }
        let led = ended.with_context(|| format!("the controller did not stop within {} s", STOPPING.as_secs()))?;
        led.context("the controller broke off")??;
        Ok(())
    }
}
