//! One control plane for people, which stays when the command that started it has ended.

use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::lock::Lock;
use crate::{Assets, Component, Error, Identity, Options, Places, Stack, sweep};

/// The folder of the control plane that `up` starts, and the only one there is of its kind for this user.
///
/// # Errors
/// No place for caches is known.
pub fn folder() -> Result<PathBuf, Error> {
    let cache = Places::from_env().cache.ok_or(Error::NoCacheFolder)?;
    Ok(cache.with_file_name("control-plane-up"))
}

/// What is left of it or runs.
pub struct Status {
    pub folder: PathBuf,
    pub processes: Vec<(String, Identity, bool)>,
}

impl Status {
    /// How many programs run.
    pub fn n_running(&self) -> usize {
        self.processes.iter().filter(|(_, _, is_alive)| *is_alive).count()
    }

    pub fn is_whole(&self) -> bool {
        self.n_running() == Component::ALL.len()
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }
}

/// Looks, and changes nothing.
///
/// # Errors
/// No place for caches is known.
pub fn status() -> Result<Status, Error> {
    let folder = folder()?;
    let processes = sweep::processes(&folder);
    let processes = processes.into_iter().map(|(identity, name)| (name, identity, identity.is_alive())).collect();
    Ok(Status { folder, processes })
}

/// Starts it, unless it runs.
///
/// # Errors
/// The programs cannot be had, or one of them does not become ready.
pub fn up() -> Result<Status, Error> {
    let folder = folder()?;
    let parent = folder.parent().unwrap_or(&folder);
    fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
    let waiting = || eprintln!("control-plane: another `up` is at work; waiting for it");
    let _lock = Lock::wait(&folder.with_extension("lock"), waiting)?;
    let now = status()?;
    if now.is_whole() {
        return Ok(now);
    }
    down()?;
    let assets = Assets::ensure()?;
    Stack::start_in(&assets, now.folder, Options::default())?.detach();
    status()
}

/// Stops it and removes its data. Says whether there was anything to stop.
///
/// # Errors
/// Its folder cannot be removed.
pub fn down() -> Result<bool, Error> {
    let now = status()?;
    sweep::end_all(&now.folder);
    let begin = Instant::now();
    while now.processes.iter().any(|(_, identity, _)| identity.is_alive()) && begin.elapsed() < Duration::from_secs(10)
    {
        thread::sleep(Duration::from_millis(10));
    }
    match fs::remove_dir_all(&now.folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", &now.folder)(error)),
        _ => Ok(now.n_running() > 0),
    }
}

/// Where each program is, or that it is not built yet.
pub fn programs() -> Vec<(Component, Option<PathBuf>)> {
    let places = Places::from_env();
    Component::ALL.into_iter().map(|component| (component, places.find(component))).collect()
}

/// Where missing programs are built.
///
/// # Errors
/// No place for caches is known.
pub fn built() -> Result<PathBuf, Error> {
    Places::from_env().built()
}

/// The variable that kubectl and clients of its kind read.
pub fn export(status: &Status) -> String {
    let kubeconfig = status.kubeconfig();
    let is_set = env::var_os("KUBECONFIG").is_some_and(|set| set == kubeconfig.as_os_str());
    let note = if is_set { "  # as it is" } else { "" };
    format!("export KUBECONFIG={}{note}", kubeconfig.display())
}
