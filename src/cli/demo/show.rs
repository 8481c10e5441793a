//! The live view of a run, on a thread of its own.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::screen::keys::{Wish, wish};
use super::super::screen::{Screen, is_there};
use super::super::text::count;
use super::timeline::Timeline;
use super::view::{Back, draw};

/// Between two frames.
const TICK: Duration = Duration::from_millis(80);

/// A view that is being shown.
pub struct Show(std::thread::JoinHandle<Result<()>>);

impl Show {
    /// Takes the terminal over and shows the run until what writes it is dropped; nothing without a terminal. Whoever quits
    /// cancels `stop`.
    ///
    /// # Errors
    /// When the terminal cannot be taken over.
    pub fn begin(run: watch::Receiver<Timeline>, stop: CancellationToken) -> Result<Option<Self>> {
        if !is_there() {
            return Ok(None);
        }
        let screen = Screen::take()?;
        let named = std::thread::Builder::new().name("show".into());
        named.spawn(move || show(screen, &run, &stop)).map(Self).map(Some).context("start a thread")
    }

    /// Waits for the last frame and gives the terminal back.
    ///
    /// # Errors
    /// When the terminal was lost on the way.
    pub fn end(self) -> Result<()> {
        self.0.join().map_err(|_| anyhow::anyhow!("the live view broke off"))?
    }
}

fn show(mut screen: Screen, run: &watch::Receiver<Timeline>, stop: &CancellationToken) -> Result<()> {
    let mut back = Back::default();
    loop {
        let foot = match (stop.is_cancelled(), back.lines) {
            (true, _) => "ending …".to_owned(),
            (false, 0) => "q ends the run · ↑ ↓ PgUp PgDn look back".to_owned(),
            (false, n) => format!("{} back · G follows again · q ends the run", count(n, "line")),
        };
        // A frame is drawn even after the last word, which may have come since the one before.
        let is_over = run.has_changed().is_err();
        screen.draw(|frame| draw(frame, &run.borrow(), &mut back, &foot))?;
        if is_over {
            return Ok(());
        }
        let Some(event) = Screen::next(TICK)? else { continue };
        match wish(&event) {
            Some(Wish::Quit | Wish::Interrupt) => stop.cancel(),
            Some(Wish::Scroll(lines)) if lines < 0 => back.lines = back.lines.saturating_add(1),
            Some(Wish::Scroll(_)) => back.lines = back.lines.saturating_sub(1),
            Some(Wish::Page { back: true }) => back.lines = back.lines.saturating_add(back.page),
            Some(Wish::Page { back: false }) => back.lines = back.lines.saturating_sub(back.page),
            Some(Wish::Top) => back.lines = usize::MAX,
            Some(Wish::Bottom) => back.lines = 0,
            _ => {}
        }
    }
}
