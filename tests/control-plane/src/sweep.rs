//! Where run folders are, and the removal of those whose owner is gone.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;

use crate::Identity;

/// Run folders are called this, then the owner's pid and start, then a number.
const PREFIX: &str = "millwright-control-plane-";
/// A run writes up to a few hundred MB; memory is used as a disk only where there is plenty of it.
const MIN_FREE_BYTES: u64 = 2 << 30;

/// A folder in memory if there is one with room, else one for temporary files.
pub(crate) fn base() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(memory).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
    if free >= MIN_FREE_BYTES { memory.to_owned() } else { env::temp_dir() }
}

/// A name that no other run has had; none if this system has no `/proc`.
pub(crate) fn new_name() -> Option<String> {
    static N_STARTED: AtomicU32 = AtomicU32::new(0);
    let own = Identity::own()?;
    let number = N_STARTED.fetch_add(1, Ordering::Relaxed);
    Some(format!("{PREFIX}{}-{}-{number}", own.pid, own.started))
}

/// Ends what is left of runs whose owner is gone, its watcher too. Nothing is done about anybody's living run.
pub(crate) fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if owner(&name.to_string_lossy()).is_some_and(|owner| !owner.is_alive()) {
            end_all(&entry.path());
            // It may be somebody else's, or the watcher may be at it.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The processes that the folder's file `pids` names.
pub(crate) fn processes(folder: &Path) -> Vec<(Identity, String)> {
    let text = fs::read_to_string(folder.join("pids")).unwrap_or_default();
    let read = |line: &str| Some((line.parse().ok()?, line.split_whitespace().nth(2)?.to_owned()));
    text.lines().filter_map(read).collect()
}

/// Kills those of them that still run, the last started first.
pub(crate) fn end_all(folder: &Path) {
    for (identity, _) in processes(folder).into_iter().rev() {
        identity.signal(Signal::KILL);
    }
}

fn owner(name: &str) -> Option<Identity> {
    let mut numbers = name.strip_prefix(PREFIX)?.split('-');
    let pid = numbers.next()?.parse().ok()?;
    let started = numbers.next()?.parse().ok()?;
    Some(Identity { pid, started })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_dead_go_and_those_of_the_living_stay() {
        let base = env::temp_dir().join(format!("millwright-sweep-{}", std::process::id()));
        let own = Identity::own().unwrap();
        let living = base.join(new_name().unwrap());
        let dead = base.join(format!("{PREFIX}{}-{}-0", own.pid, own.started + 1));
        let other = base.join("something-else");
        let mut orphan = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        for folder in [&living, &dead, &other] {
            fs::create_dir_all(folder).unwrap();
        }
        let identity = Identity::of(orphan.id()).unwrap();
        fs::write(dead.join("pids"), format!("{identity} etcd\n")).unwrap();
        sweep(&base);
        assert!(living.exists() && other.exists() && !dead.exists());
        assert!(!orphan.wait().unwrap().success());
        fs::remove_dir_all(base).unwrap();
    }
}
