//! `millwright demo`: the whole product on a world in this process, no cluster and no cloud needed.
//!
//! The controller is the one that `millwright controller` runs; the API server, the scheduler, the node agents and the
//! workload controllers around it are simulated. With `--fast` the clock is virtual and the same seed gives the same lines.

mod batch;
mod chronicle;
mod held;
mod lead;
mod lines;
mod meter;
mod on_ec2;
mod pace;
mod sample;
pub mod scenario;
mod scenarios;
mod scratch;
mod script;
mod seller;
mod shelves;
pub mod show;
mod stage;
pub mod timeline;
mod told;
mod view;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::args::DemoArgs;
use super::exit::{DONE, INTERRUPTED};
use super::outfile::OutFile;
use super::plan::print;
use super::report;
use super::tell::tell;
use chronicle::Chronicle;
use pace::Pace;
use sample::Sampler;
use scenario::{Provider, Scenario};
use shelves::Shelves;
use show::Show;
use stage::Stage;
use timeline::{Finish, Timeline};

/// Threads of a run by the real clock.
const THREADS: usize = 2;
/// How long what is left of a run may take to end.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// How a run ended.
#[derive(Debug)]
enum Ended {
    Done,
    Interrupted,
    Failed(anyhow::Error),
}

/// Plays a scenario to its end and says what it came to.
///
/// # Errors
/// When the cluster did not do what the scenario waited for, or something happened that must never happen.
pub fn run(args: &DemoArgs) -> Result<u8> {
    if args.provider == Provider::Aws && !cfg!(feature = "aws") {
        bail!("--provider aws: this build has no AWS SDK; build with --features aws, or run with --provider kwok");
    }
    let page = args.report.as_deref().map(page).transpose()?;
    let pace = if args.fast { Pace::fast() } else { Pace::live() };
    let mut scenario = args.scenario.scenario(args.seed, args.provider)?;
    pace.set_in(&mut scenario);
    let begun = Timeline {
        title: scenario.title.to_owned(),
        scenario: args.scenario.text().to_owned(),
        seed: args.seed,
        ..Timeline::default()
    };
    let title = lines::title(&begun, args.fast);
    let (run, quit) = (watch::Sender::new(begun), CancellationToken::new());
    // A virtual run is over before anybody has looked.
    let show = if args.fast { None } else { Show::begin(run.subscribe(), quit.clone())? };
    if show.is_none() {
        print(&title)?;
    }
    let runtime = runtime(args.fast)?;
    let performed = runtime.block_on(perform(&scenario, &pace, run, args, show.is_none(), quit));
    // What still holds the record goes with the runtime; then the view ends.
    runtime.shutdown_timeout(SHUTDOWN);
    if let Some(show) = show {
        show.end()?;
        print(&title)?;
    }
    let (timeline, ended) = performed?;
    print(&lines::summary(&timeline.end))?;
    let told = page.map_or(Ok(()), |page| page.write(|out| Ok(out.write_all(report::page(&timeline).as_bytes())?)));
    if let (Ok(()), Some(path)) = (&told, &args.report) {
        tell(format_args!("note: the run is told in {}", path.display()));
    }
    match (ended, told) {
        (Ended::Done, told) => told.map(|()| DONE),
        (Ended::Interrupted, told) => {
            told.unwrap_or_else(|error| tell(format_args!("error: {error:#}")));
            Ok(u8::try_from(INTERRUPTED)?)
        }
        // How the run ended comes last.
        (Ended::Failed(failure), told) => {
            told.unwrap_or_else(|error| tell(format_args!("error: {error:#}")));
            Err(failure)
        }
    }
}

/// The file of the report, before anything is played.
fn page(path: &Path) -> Result<OutFile> {
    if path.as_os_str() == "-" {
        bail!("--report -: standard output tells the run as it goes\n  remedy: name a file");
    }
    OutFile::open("--report", path)
}

fn runtime(is_fast: bool) -> Result<Runtime> {
    // One thread and a clock that only moves when nobody has anything to do: nothing is left to chance.
    let mut builder = if is_fast { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all();
    if is_fast {
        builder.start_paused(true)
    } else {
        builder.worker_threads(THREADS)
    };
    builder.build().context("start a runtime")
}

/// Opens the stage, plays, and closes it again, whatever happened. The run is written into `run` as it goes; `quit` ends it.
async fn perform(
    scenario: &Scenario,
    pace: &Pace,
    run: watch::Sender<Timeline>,
    args: &DemoArgs,
    prints: bool,
    quit: CancellationToken,
) -> Result<(Timeline, Ended)> {
    let stage = Stage::open(args.seed, pace, args.provider)?;
    // A run that nobody reads goes on only for its report.
    let unread = if args.report.is_some() { CancellationToken::new() } else { quit.clone() };
    let chronicle = Chronicle::begin(&stage, pace, run, prints.then_some(unread))?;
    let stop = CancellationToken::new();
    let sampler = Sampler::new(&stage, pace, &chronicle);
    let sampling = tokio::spawn(sampler.run(stage.shortages.clone(), stop.clone()));
    let played = tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => interrupted.map(|()| None).context("listen to interrupts"),
        () = quit.cancelled() => Ok(None),
        played = script::play(scenario, &stage, &chronicle, pace) => played.map(Some),
    };
    stop.cancel();
    sampling.await.context("the record broke off")?;
    let server = stage.server.clone();
    let metrics = stage.ground.metrics.clone();
    let shelves = stage.shelves.clone();
    if let Some((calls, too_fast)) = shelves.calls() {
        chronicle.called(calls, too_fast);
    }
    let closed = stage.close().await;
    let ended = match played.and_then(|played| closed.map(|()| played)) {
        Err(error) => Ended::Failed(error),
        Ok(None) => Ended::Interrupted,
        Ok(Some(())) => judge(&chronicle, &server, &shelves, &metrics),
    };
    let finish = match &ended {
        Ended::Done => Finish::ToTheEnd,
        Ended::Interrupted => Finish::Interrupted,
        Ended::Failed(error) => Finish::GivenUp(format!("{error:#}")),
    };
    Ok((chronicle.end(finish), ended))
}

/// A run that went to its end is good only if nothing happened that must never happen.
fn judge(
    chronicle: &Chronicle,
    server: &sim::kube::ApiServer,
    shelves: &Shelves,
    metrics: &crate::telemetry::Metrics,
) -> Ended {
    shelves.breaches().into_iter().for_each(|breach| chronicle.breach(breach));
    for leftover in sim::invariants::leftovers(server) {
        chronicle.breach(format!("{leftover} is left"));
    }
    let rendered = metrics.render();
    for line in rendered.lines().filter(|line| line.starts_with("millwright_plan_faults_total{")) {
        chronicle.breach(format!("unsound plans were dropped: {line}"));
    }
    match chronicle.breaches() {
        0 => Ended::Done,
        n => Ended::Failed(anyhow::anyhow!("{} of what must never be, listed in the summary", told::count(n, "case"))),
    }
}
