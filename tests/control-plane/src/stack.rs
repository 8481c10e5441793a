//! One running control plane.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::audit::{self, Request};
use crate::files::Folder;
use crate::flags::flags;
use crate::http::{Server, trusting};
use crate::ports::Ports;
use crate::probe::Probe;
use crate::watcher::Watcher;
use crate::{Api, Assets, Component, Error, Identity, Options, sweep};

/// How often readiness is asked for.
const POLL: Duration = Duration::from_millis(50);
/// How long an answer to a test may take. On a machine that is merely busy none does.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a program may take to end before it is killed. What it would still write, nobody reads.
const GRACE: Duration = Duration::from_secs(2);

/// A control plane that runs. Dropping it stops it; so does the death of this process, by whatever signal.
///
/// ```text
/// start: etcd, kube-apiserver ── ready ──▶ the other three ── ready ──▶ running ──▶ stop: clients, apiserver, etcd
/// ```
#[derive(Debug)]
#[must_use = "a control plane that is dropped is stopped"]
pub struct Stack {
    folder: Folder,
    ports: Ports,
    options: Options,
    /// In the order of starting.
    running: Vec<Running>,
    watcher: Watcher,
}

#[derive(Debug)]
struct Running {
    component: Component,
    child: Child,
    identity: Identity,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    pub cpu_seconds: f64,
    /// Largest resident set so far.
    pub peak_rss_mib: f64,
}

impl Stack {
    /// Builds the programs if need be and starts a control plane of its own. Takes about 3 s.
    ///
    /// # Errors
    /// The programs cannot be had, or one of them does not become ready.
    pub fn start(options: Options) -> Result<Self, Error> {
        let base = sweep::base();
        sweep::sweep(&base);
        let name = sweep::new_name().ok_or(Error::NotLinux(std::env::consts::OS))?;
        Self::start_in(&Assets::ensure()?, base.join(name), options)
    }

    pub(crate) fn start_in(assets: &Assets, path: PathBuf, options: Options) -> Result<Self, Error> {
        options.check()?;
        let ports = Ports::find(&std::env::temp_dir())?;
        let folder = Folder::create(path, &ports, &options)?;
        let watcher = Watcher::start(&folder.path)?;
        let mut stack = Self { folder, ports, options, running: Vec::new(), watcher };
        stack.start_all(assets)?;
        Ok(stack)
    }

    fn start_all(&mut self, assets: &Assets) -> Result<(), Error> {
        let deadline = Instant::now() + self.options.start_timeout;
        for component in [Component::Etcd, Component::Apiserver] {
            self.spawn(component, assets)?;
        }
        self.wait_ready(Component::Apiserver, deadline)?;
        let clients = [Component::ControllerManager, Component::Scheduler, Component::Kwok];
        for component in clients {
            self.spawn(component, assets)?;
        }
        for component in clients {
            self.wait_ready(component, deadline)?;
        }
        Ok(())
    }

    fn spawn(&mut self, component: Component, assets: &Assets) -> Result<(), Error> {
        let path = self.folder.log(component);
        let log = File::create(&path).map_err(Error::file("create", &path))?;
        let also = log.try_clone().map_err(Error::file("open", &path))?;
        let mut command = Command::new(assets.program(component));
        command.args(flags(component, &self.folder, &self.ports, &self.options)).current_dir(&self.folder.path);
        command.stdin(Stdio::null()).stdout(log).stderr(also).process_group(0);
        if let (Component::Apiserver, Some(mib)) = (component, self.options.apiserver_memory_mib) {
            command.env("GOMEMLIMIT", format!("{mib}MiB"));
        }
        let mut child = command.spawn().map_err(|source| Error::Start { component, source })?;
        let Some(identity) = Identity::of(child.id()) else { return Err(self.died(component, &mut child)) };
        self.running.push(Running { component, child, identity });
        self.folder.note(&format!("{identity} {component}"))
    }

    fn wait_ready(&mut self, component: Component, deadline: Instant) -> Result<(), Error> {
        let probe = self.probe(component);
        loop {
            let Err(said) = probe.ask() else { return Ok(()) };
            // Whichever has ended is the cause: an API server without etcd only waits.
            let mut ended = None;
            for running in &mut self.running {
                if let Ok(Some(status)) = running.child.try_wait() {
                    ended = Some((running.component, status.to_string()));
                }
            }
            if let Some((component, status)) = ended {
                return Err(Error::Died { component, status, log: self.folder.log_tail(component) });
            }
            if Instant::now() > deadline {
                let log = self.folder.log_tail(component);
                return Err(Error::NotReady { component, waited: self.options.start_timeout, said, log });
            }
            std::thread::sleep(POLL);
        }
    }

    fn probe(&self, component: Component) -> Probe {
        let certificates = Some(self.folder.certificates());
        let plain = |port| Probe { port, path: "/healthz", certificates: None, token: None };
        match component {
            Component::Etcd => Probe { path: "/health", ..plain(self.ports.etcd) },
            Component::Apiserver => {
                Probe { path: "/readyz", certificates, token: self.folder.probe_token(), ..plain(self.ports.apiserver) }
            }
            Component::ControllerManager => Probe { certificates, ..plain(self.ports.controller_manager) },
            Component::Scheduler => Probe { certificates, ..plain(self.ports.scheduler) },
            Component::Kwok => plain(self.ports.kwok),
        }
    }

    fn died(&self, component: Component, child: &mut Child) -> Error {
        let status = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        Error::Died { component, status, log: self.folder.log_tail(component) }
    }

    /// The address of the API server.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.apiserver)
    }

    /// The folder with everything: logs are `COMPONENT.log`.
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// The user's kubeconfig.
    ///
    /// # Errors
    /// The options named no such user.
    pub fn kubeconfig(&self, user: &str) -> Result<PathBuf, Error> {
        if self.options.users.iter().any(|known| known.name == user) {
            return Ok(self.folder.kubeconfig(user));
        }
        let known = self.options.users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>().join(", ");
        Err(Error::NoUser { user: user.to_owned(), known })
    }

    /// The user's way to the API server.
    ///
    /// # Errors
    /// The options named no such user, or the control plane's files are gone.
    pub fn api(&self, user: &str) -> Result<Api, Error> {
        let path = self.kubeconfig(user)?;
        let unreadable = |said: String| Error::file("read", &path)(std::io::Error::other(said));
        let text = fs::read_to_string(&path).map_err(|error| unreadable(error.to_string()))?;
        let config: serde_json::Value = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        let token = config["users"][0]["user"]["token"].as_str().map(str::to_owned);
        let tls = trusting(&self.folder.certificates()).map_err(unreadable)?;
        let server = Server { port: self.ports.apiserver, tls: Some(tls), token, timeout: REQUEST_TIMEOUT };
        Ok(Api { server })
    }

    /// Every request of the audited users so far.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn audit(&self) -> Result<Vec<Request>, Error> {
        audit::read(&self.folder.file("audit.log"))
    }

    /// How many requests of each verb the audited users have made so far.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn audit_by_verb(&self) -> Result<BTreeMap<String, u64>, Error> {
        Ok(audit::by_verb(&self.audit()?))
    }

    /// What each program has used so far.
    pub fn usage(&self) -> Vec<(Component, Usage)> {
        self.running.iter().filter_map(|r| Some((r.component, Usage::of(r.identity.pid)?))).collect()
    }

    /// The programs' processes.
    pub fn processes(&self) -> Vec<(Component, Identity)> {
        self.running.iter().map(|running| (running.component, running.identity)).collect()
    }

    /// Takes a program of the caller's under the same watch: it is killed too if this process dies before the control plane is
    /// stopped. A program that has ended already is left alone.
    ///
    /// # Errors
    /// The file that the watcher reads cannot be written.
    pub fn guard(&self, program: &Child, name: &str) -> Result<(), Error> {
        Identity::of(program.id()).map_or(Ok(()), |identity| self.folder.note(&format!("{identity} {name}")))
    }

    /// Stops it and removes its folder. Dropping does the same.
    pub fn stop(self) {
        drop(self);
    }

    /// Leaves it running when this process ends.
    pub(crate) fn detach(mut self) {
        self.watcher.dismiss();
        // Neither waited for nor killed: they are to outlive us.
        self.running.clear();
        std::mem::forget(self);
    }

    fn stop_some(&mut self, which: impl Fn(Component) -> bool) {
        let stopped = || self.running.iter().filter(|running| which(running.component));
        stopped().for_each(|running| running.identity.signal(Signal::TERM));
        let begin = Instant::now();
        while begin.elapsed() < GRACE && stopped().any(|running| running.identity.is_alive()) {
            std::thread::sleep(Duration::from_millis(10));
        }
        for running in self.running.iter_mut().filter(|running| which(running.component)) {
            // Neither fails for a process that has ended and has not been waited for.
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let is_server = |component| matches!(component, Component::Etcd | Component::Apiserver);
        self.stop_some(|component| !is_server(component));
        self.stop_some(|component| component == Component::Apiserver);
        self.stop_some(|component| component == Component::Etcd);
        self.watcher.dismiss();
        // What could not be removed now, a later start removes.
        let _ = fs::remove_dir_all(&self.folder.path);
    }
}

impl Usage {
    /// Of any process; none if it is gone.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        // Fields 14 and 15, of which the first after the name is field 3.
        let mut ticks = rest.split_whitespace().skip(11).map_while(|field| field.parse::<u64>().ok());
        let ticks = ticks.next()?.saturating_add(ticks.next()?);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = peak.split_whitespace().next()?.parse().ok()?;
        let per_second = rustix::param::clock_ticks_per_second();
        Some(Self { cpu_seconds: ticks as f64 / per_second as f64, peak_rss_mib: kib as f64 / 1024.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_the_caller_ends_with_the_control_plane_when_the_caller_is_killed() {
        let path = std::env::temp_dir().join(format!("millwright-guard-{}", std::process::id()));
        let (ports, options) = (Ports::find(&std::env::temp_dir()).unwrap(), Options::default());
        let folder = Folder::create(path.clone(), &ports, &options).unwrap();
        let watcher = Watcher::start(&path).unwrap();
        let stack = Stack { folder, ports, options, running: Vec::new(), watcher };
        let mut program = Command::new("sleep").arg("600").spawn().unwrap();
        stack.guard(&program, "ours").unwrap();
        let named: Vec<String> = sweep::processes(&path).into_iter().map(|(_, name)| name).collect();
        assert_eq!(named, ["ours"], "whom the watcher ends, and a later run where there is none");
        sweep::end_all(&path);
        assert!(!program.wait().unwrap().success());
    }

    #[test]
    fn this_process_has_used_memory_and_a_process_that_is_not_there_nothing() {
        assert!(Usage::of(std::process::id()).unwrap().peak_rss_mib > 0.5);
        assert_eq!(Usage::of(u32::MAX), None);
    }
}
