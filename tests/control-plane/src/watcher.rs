//! A small process that outlives this one just long enough to take the control plane down with it.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::Error;

/// `sh` with [`SCRIPT`], reading from a pipe whose other end is ours. However we die, the pipe closes.
#[derive(Debug)]
pub(crate) struct Watcher {
    child: Child,
    pipe: Option<ChildStdin>,
}

const SCRIPT: &str = include_str!("../config/watch.sh");

impl Watcher {
    /// Watches over the folder from now on, and over what its file `pids` will name.
    pub fn start(folder: &Path) -> Result<Self, Error> {
        let mut command = Command::new("sh");
        // In a group of its own, Ctrl-C at the terminal does not reach it.
        command.args(["-c", SCRIPT, "millwright-watch"]).arg(folder).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(Error::Watcher)?;
        let pipe = child.stdin.take();
        Ok(Self { child, pipe })
    }

    /// Ends the watch and leaves everything as it is.
    pub fn dismiss(&mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            // If it is gone already there is nobody to tell.
            let _ = pipe.write_all(b"keep\n");
        }
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::Identity;

    fn sleeper() -> (Child, Identity) {
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        (child, identity)
    }

    fn folder(name: &str, pids: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("millwright-watch-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("pids"), pids).unwrap();
        path
    }

    fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn when_the_pipe_closes_the_processes_end_but_not_one_that_only_has_the_same_pid() {
        let (mut ours, identity) = sleeper();
        let (mut other, stranger) = sleeper();
        let stale = Identity { started: stranger.started + 1, ..stranger };
        let folder = folder("end", &format!("{identity} etcd\n{stale} kwok\n"));
        let mut watcher = Watcher::start(&folder).unwrap();
        drop(watcher.pipe.take());
        watcher.child.wait().unwrap();
        wait_until("the process ends", || !identity.is_alive());
        assert!(!folder.exists());
        assert!(stranger.is_alive());
        other.kill().unwrap();
        ours.wait().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn a_dismissed_watcher_touches_nothing() {
        let (mut ours, identity) = sleeper();
        let folder = folder("keep", &format!("{identity} etcd\n"));
        Watcher::start(&folder).unwrap().dismiss();
        assert!(identity.is_alive() && folder.exists());
        ours.kill().unwrap();
        ours.wait().unwrap();
        fs::remove_dir_all(folder).unwrap();
    }
}
