//! `millwright top`: a cluster at a glance, again and again.

mod history;
mod nodes;
mod pending;
mod plain;
mod screen;
mod tables;
#[cfg(test)]
mod testing;
mod ui;
mod view;

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::args::TopArgs;
use super::exit::{DONE, INTERRUPTED};
use super::phases::Phases;
use super::plan::print;
use super::screen::{Screen, keys};
use super::{cluster, input};
use history::History;
use ui::{Next, Ui};
use view::{View, view};

/// How long a look that has come in may wait to be shown.
const TICK: Duration = Duration::from_millis(150);

/// Shows the view until `q`; without a terminal, or with `--once`, prints it.
pub fn run(args: &TopArgs) -> Result<u8> {
    if args.once || !super::screen::is_there() {
        print(&plain::text(&look(args)?))?;
        return Ok(DONE);
    }
    // The first look has to succeed, and says what it is about; later ones may fail for a while, as when an API server
    // is restarted.
    let first = Phases::new(false).run("look", || look(args))?;
    let (asks, asked) = channel();
    let (tells, told) = channel();
    let eyes = Eyes { asks, told, every: Duration::from_secs(args.every), again: reads_again(args) };
    let args = args.clone();
    // Ends with the process: a look under way keeps nobody who quits.
    std::thread::Builder::new()
        .name("look".into())
        .spawn(move || observe(&args, &asked, &tells))
        .context("start a thread")?;
    Ok(if show(first, &eyes)? == Next::Interrupt { u8::try_from(INTERRUPTED)? } else { DONE })
}

/// Standard input can be read once only.
fn reads_again(args: &TopArgs) -> bool {
    args.controller.is_some() || !args.input.files.iter().any(|file| file.as_os_str() == "-")
}

/// Looks each time it is asked.
fn observe(args: &TopArgs, asked: &Receiver<()>, tells: &Sender<Result<View>>) {
    while asked.recv().is_ok() {
        if tells.send(look(args)).is_err() {
            return;
        }
    }
}

fn look(args: &TopArgs) -> Result<View> {
    if let Some(controller) = &args.controller {
        let recording = cluster::recording(controller)?;
        return Ok(view(&recording.snapshot, &recording.plan));
    }
    let snapshot = input::observe_silently(&args.input, &args.validate)?.snapshot;
    let plan = planner::plan(&snapshot);
    Ok(view(&snapshot, &plan))
}

/// The thread that looks, from this side.
struct Eyes {
    asks: Sender<()>,
    told: Receiver<Result<View>>,
    every: Duration,
    again: bool,
}

/// Draws whenever something is new, until somebody quits or interrupts; says which.
fn show(first: View, eyes: &Eyes) -> Result<Next> {
    let mut history = History::default();
    history.look(None, &first);
    let (mut last, mut trouble) = (first, None);
    let mut ui = Ui::default();
    let mut looking = false;
    let mut next = Instant::now() + eyes.every;
    let mut screen = Screen::take()?;
    loop {
        match eyes.told.try_recv() {
            Ok(looked) => {
                match looked {
                    Ok(view) => {
                        history.look(Some(&last), &view);
                        (last, trouble) = (view, None);
                    }
                    Err(error) => trouble = Some(format!("{error:#}").replace('\n', " ")),
                }
                (looking, next) = (false, Instant::now() + eyes.every);
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => bail!("the part that looks at the cluster broke off"),
        }
        if !looking && eyes.again && Instant::now() >= next {
            looking = true;
            eyes.asks.send(()).ok();
        }
        let foot = trouble.clone().unwrap_or_else(|| footer(eyes, looking));
        screen.draw(|frame| screen::draw(frame, &last, &history, &mut ui, (&foot, trouble.is_some())))?;
        let Some(event) = Screen::next(TICK)? else { continue };
        match keys::wish(&event).map(|wish| ui.apply(wish)) {
            Some(end @ (Next::Quit | Next::Interrupt)) => return Ok(end),
            Some(Next::Look) => next = Instant::now(),
            Some(Next::GoOn) | None => {}
        }
    }
}

fn footer(eyes: &Eyes, looking: bool) -> String {
    let when = match (eyes.again, looking) {
        (false, _) => "read once".to_owned(),
        (true, true) => "looking …".to_owned(),
        (true, false) => format!("every {} s", eyes.every.as_secs()),
    };
    format!("q quits · ? keys · tab next table · s sorts · {when}")
}
