//! How long each phase took: a line while it lasts on a terminal, a table at the end with `-v`. Stdout is never touched.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::tell::tell;

/// A phase that is over sooner is not worth a line.
const PATIENCE: Duration = Duration::from_secs(1);

/// Phases of one command, in order.
pub struct Phases {
    verbose: bool,
    took: Vec<(&'static str, Duration)>,
}

impl Phases {
    /// `verbose`: [`Phases::report`] prints.
    pub fn new(verbose: bool) -> Self {
        Self { verbose, took: Vec::new() }
    }

    /// Runs one phase.
    pub fn run<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let line = Line::begin(name);
        let started = Instant::now();
        let out = work();
        self.took.push((name, started.elapsed()));
        drop(line);
        out
    }

    /// Says on stderr how long each phase took, and the most memory that was held.
    pub fn report(&self) {
        if !self.verbose {
            return;
        }
        for (name, took) in &self.took {
            tell(format_args!("{name:<20} {:>9.3} s", took.as_secs_f64()));
        }
        let total: Duration = self.took.iter().map(|(_, took)| *took).sum();
        tell(format_args!("{:<20} {:>9.3} s", "total", total.as_secs_f64()));
        match peak_rss_mib() {
            Some(mib) => tell(format_args!("{:<20} {mib:>9.1} MiB", "peak memory")),
            None => tell(format_args!("{:<20} {:>9}", "peak memory", "unknown")),
        }
    }
}

/// A line on the terminal that says what is being waited for; gone when dropped.
struct Line(Option<(Sender<()>, JoinHandle<()>)>);

impl Line {
    fn begin(name: &'static str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let (over, wait) = channel::<()>();
        let ticker = std::thread::spawn(move || {
            let mut seconds = 0;
            while wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                seconds += PATIENCE.as_secs();
                let _ = write!(std::io::stderr(), "\r\x1b[2K{name} … {seconds} s");
            }
            if seconds > 0 {
                let _ = write!(std::io::stderr(), "\r\x1b[2K");
            }
        });
        Self(Some((over, ticker)))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some((over, ticker)) = self.0.take() {
            drop(over);
            let _ = ticker.join();
        }
    }
}

/// The most memory this process held, in MiB, where the system says (Linux, proc(5): `VmHWM`).
fn peak_rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_hands_back_what_its_work_gave() {
        let mut phases = Phases::new(false);
        assert_eq!(phases.run("add", || 1 + 1), 2);
        assert_eq!(phases.took.len(), 1);
    }
}
