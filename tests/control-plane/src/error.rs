//! What can go wrong, each with what would help.

use std::path::PathBuf;
use std::time::Duration;

use crate::Component;

/// Why there is no control plane.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the test control plane needs {missing}, and there is no Go to build it with: install Go {needed} or newer \
         (https://go.dev/dl) so that `go` is on PATH, or set KUBEBUILDER_ASSETS or MILLWRIGHT_CONTROL_PLANE to a folder \
         that holds the programs"
    )]
    NoGo { missing: String, needed: String },
    #[error(
        "the test control plane is built with Go {needed} or newer, and `{program}` is {found}: install a newer Go \
         (https://go.dev/dl)"
    )]
    OldGo { program: String, found: String, needed: String },
    #[error("`{program}` does not say which Go it is: {answer}")]
    UnknownGo { program: String, answer: String },
    #[error(
        "build {module} {version} with Go: {said}\n(a first build downloads Go modules, about 0.3 GB: it needs the \
         network, or GOPROXY set to a mirror; it takes 4 GB of memory and 6 GB of disk)"
    )]
    Build { module: &'static str, version: &'static str, said: String },
    #[error("build {module}: not done after {} minutes", .after.as_secs() / 60)]
    BuildTooSlow { module: &'static str, after: Duration },
    #[error("neither XDG_CACHE_HOME nor HOME is set: set MILLWRIGHT_CONTROL_PLANE to a folder for the programs")]
    NoCacheFolder,
    #[error("the test control plane runs on Linux only; this is {0}")]
    NotLinux(&'static str),
    #[error("{doing} {}: {source}", .path.display())]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("start {component}: {source}")]
    Start { component: Component, source: std::io::Error },
    #[error("start the watcher `sh`: {0}")]
    Watcher(std::io::Error),
    #[error("{component} ended while starting ({status}); its log ends:\n{log}")]
    Died { component: Component, status: String, log: String },
    #[error("{component} is not ready after {} s: {said}; its log ends:\n{log}", .waited.as_secs())]
    NotReady { component: Component, waited: Duration, said: String, log: String },
    #[error("no six free ports on 127.0.0.1 between {from} and {to}")]
    NoPorts { from: u16, to: u16 },
    #[error("not within {} s: {what}; last seen: {seen}", .limit.as_secs())]
    NotSoon { what: String, limit: Duration, seen: String },
    #[error("the system's random source does not answer")]
    NoRandom,
    #[error("there is no user {user:?} in this control plane; it has: {known}")]
    NoUser { user: String, known: String },
    #[error(
        "the value {value:?} of {what} cannot stand in the control plane's files: use letters, digits, `-`, `.` and `:`"
    )]
    Word { what: &'static str, value: String },
}

impl Error {
    /// For `map_err` on the result of a file operation.
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}
