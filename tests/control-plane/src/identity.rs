//! Which process is meant: its id and the tick at which it started, since ids are used again.

use std::fmt;
use std::fs;
use std::str::FromStr;

use rustix::process::{Pid, Signal, kill_process};

/// A process, told apart from a later one with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub pid: u32,
    /// Clock ticks from the machine's start to the process' start: field 22 of `/proc/PID/stat`.
    pub started: u64,
}

impl Identity {
    /// The process that has this id now; none if there is no such process, or only its exit status is left.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may hold anything; after it comes field 3, the state.
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let state = fields.next()?;
        let started = fields.nth(18)?.parse().ok()?;
        (state != "Z" && state != "X").then_some(Self { pid, started })
    }

    /// This process.
    pub fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends the signal if the process is still this one.
    pub(crate) fn signal(self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            // It may have ended since; then there is nothing to do.
            let _ = kill_process(pid, signal);
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pid, self.started)
    }
}

impl FromStr for Identity {
    type Err = ();

    /// The first two words of a line of a `pids` file.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split_whitespace();
        let pid = words.next().and_then(|w| w.parse().ok()).ok_or(())?;
        let started = words.next().and_then(|w| w.parse().ok()).ok_or(())?;
        Ok(Self { pid, started })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_one_that_started_at_another_time_is_not() {
        let own = Identity::own().unwrap();
        assert!(own.is_alive());
        assert!(!Identity { started: own.started + 1, ..own }.is_alive());
    }

    #[test]
    fn a_process_that_has_ended_is_not_alive_even_before_its_status_is_read() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let identity = Identity { pid: child.id(), started: 0 };
        while Identity::of(child.id()).is_some() {
            std::thread::yield_now();
        }
        assert!(!identity.is_alive());
        child.wait().unwrap();
    }

    #[test]
    fn a_line_of_a_pids_file_is_read_back() {
        let identity = Identity { pid: 7, started: 99 };
        assert_eq!(format!("{identity} etcd").parse(), Ok(identity));
        assert_eq!("etcd".parse::<Identity>(), Err(()));
    }
}
