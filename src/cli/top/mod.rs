//! `millwright top`: a cluster at a glance, again and again.

mod plain;
mod view;

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Result;

use super::args::TopArgs;
use super::plan::print;
use super::{DONE, cluster, input};
use view::{View, view};

/// Clears a terminal and puts the cursor on its first line.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Shows the view until interrupted; without a terminal, or with `--once`, prints it.
pub fn run(args: &TopArgs) -> Result<u8> {
    if args.once || !std::io::stdout().is_terminal() {
        print(&plain::text(&look(args)?))?;
        return Ok(DONE);
    }
    // The first look has to succeed; later ones may fail for a while, as when an API server is restarted.
    let mut shown = plain::text(&look(args)?);
    loop {
        print(&format!("{CLEAR}{shown}\nevery {} s; Ctrl-C ends\n", args.every))?;
        std::thread::sleep(Duration::from_secs(args.every));
        match look(args) {
            Ok(view) => shown = plain::text(&view),
            Err(error) => eprintln!("error: {error:#}"),
        }
    }
}

fn look(args: &TopArgs) -> Result<View> {
    if let Some(controller) = &args.controller {
        let recording = cluster::recording(controller)?;
        return Ok(view(&recording.snapshot, &recording.plan));
    }
    let snapshot = input::observe_silently(&args.input)?.snapshot;
    let plan = planner::plan(&snapshot);
    Ok(view(&snapshot, &plan))
}
