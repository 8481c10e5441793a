//! The terminal as a screen to draw on. It is given back whatever ends the process: the end of the view, a panic, a signal.
//!
//! ```text
//! Screen::take ──▶ draw, draw, … ──▶ drop ─────────────┐
//!                   │ panic in any thread ──▶ hook ────┼──▶ give back (once)
//!                   └ signal ──▶ restore, exit ────────┘
//! ```

pub mod grid;
pub mod keys;
pub mod paint;
#[cfg(test)]
pub mod testing;

use std::io::{IsTerminal as _, Stdout, Write as _, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError, TryLockError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, is_raw_mode_enabled,
};
use ratatui::crossterm::{event, execute};
use ratatui::{Frame, Terminal};

use super::signals;

/// Is the terminal ours? Held while a frame is written, so that it is given back between frames only.
static TAKEN: Mutex<bool> = Mutex::new(false);
/// A thread has panicked: what it says stands on the terminal, and nothing is drawn over it.
static BROKEN: AtomicBool = AtomicBool::new(false);

/// The terminal while it is drawn on. Given back when dropped.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    /// Colours are drawn.
    coloured: bool,
}

/// Can a screen be shown: is there somebody who sees it?
pub fn is_there() -> bool {
    stdout().is_terminal() && std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb")
}

/// As <https://no-color.org> has it.
fn wants_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When standard output is no terminal, or does not do what one does.
    pub fn take() -> Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                BROKEN.store(true, Ordering::SeqCst);
                restore();
                next(panic);
            }));
            signals::end_in_order();
        });
        let mut taken = taken();
        enable_raw_mode().context("take over the terminal")?;
        *taken = true;
        drop(taken);
        let shown = execute!(stdout(), EnterAlternateScreen, Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(stdout())));
        match shown {
            Ok(terminal) => Ok(Self { terminal, coloured: wants_colours() }),
            Err(error) => {
                restore();
                Err(error).context("take over the terminal")
            }
        }
    }

    /// Draws one frame.
    ///
    /// # Errors
    /// When the terminal is gone, or was given back by a panic elsewhere.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> Result<()> {
        let taken = taken();
        if !*taken || BROKEN.load(Ordering::SeqCst) {
            bail!("the terminal was given back: a part of the program broke off");
        }
        let coloured = self.coloured;
        let drawn = self.terminal.draw(|frame| {
            render(frame);
            if !coloured {
                paint::bleach(frame.buffer_mut());
            }
        });
        drawn.context("draw on the terminal")?;
        Ok(())
    }

    /// The next thing somebody did at a terminal that is taken, waited for at most `patience`.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn next(patience: Duration) -> Result<Option<event::Event>> {
        if !event::poll(patience).context("listen to the terminal")? {
            return Ok(None);
        }
        event::read().map(Some).context("listen to the terminal")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, if it is taken.
pub fn restore() {
    // A panic while drawing finds the lock held by its own thread.
    let mut taken = match TAKEN.try_lock() {
        Ok(taken) => Some(taken),
        Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
        Err(TryLockError::WouldBlock) if std::thread::panicking() => None,
        Err(TryLockError::WouldBlock) => Some(self::taken()),
    };
    let was_taken =
        taken.as_mut().map_or_else(|| is_raw_mode_enabled().unwrap_or(false), |taken| std::mem::take(&mut **taken));
    if was_taken {
        // Nothing can be done about a terminal that is gone.
        disable_raw_mode().ok();
        execute!(stdout(), LeaveAlternateScreen, Show).ok();
        stdout().flush().ok();
    }
}

/// Gives the terminal back and ends the process; no frame is drawn any more.
pub fn restore_and_exit(code: i32) -> ! {
    restore();
    let _no_more_frames = taken();
    std::process::exit(code)
}

fn taken() -> MutexGuard<'static, bool> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}
