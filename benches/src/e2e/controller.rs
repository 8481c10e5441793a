//! The controller under measurement: a process of its own.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use control_plane::{Stack, Usage, loopback, wait_for};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

const START_LIMIT: Duration = Duration::from_mins(1);

/// A running controller. Dropping it kills it, and so does the death of this process.
pub struct Controller {
    child: Child,
    metrics_port: u16,
    log: PathBuf,
    /// Where the log is copied to in the end.
    kept: Option<PathBuf>,
}

/// How it is started.
#[derive(Clone, Debug, Default)]
pub struct Start {
    pub arguments: &'static [&'static str],
    pub environment: Vec<(String, String)>,
    /// Folder that logs are kept in.
    pub logs: Option<PathBuf>,
    /// Bytes it may take. As in a container of that size it ends when it wants more, since an allocation fails; this
    /// counts all writable memory, so it is the stricter of the two.
    pub memory: Option<u64>,
}

impl Controller {
    /// Starts it as user `millwright` and waits until it is ready.
    pub fn start(stack: &Stack, nth: u32, name: &str, how: &Start) -> anyhow::Result<Self> {
        let program = program()?;
        let log = stack.folder().join(format!("millwright-{nth}.log"));
        let out = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let (metrics_port, health_port) = (free_port()?, free_port()?);
        let mut command = Command::new(&program);
        command.args(["controller", "--provider", "kwok"]).args(how.arguments);
        command.envs(how.environment.iter().map(|(name, value)| (name, value)));
        command.env("KUBECONFIG", stack.kubeconfig("millwright")?);
        command.env("METRICS_PORT", metrics_port.to_string()).env("HEALTH_PROBE_PORT", health_port.to_string());
        // One replica; a killed one's lease would have to run out first.
        command.env("DISABLE_LEADER_ELECTION", "true").env("CLUSTER_NAME", "bench");
        command.env("MILLWRIGHT_BIND_ADDRESS", "127.0.0.1");
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = command.spawn().with_context(|| format!("start {}", program.display()))?;
        let kept = how.logs.as_ref().map(|folder| folder.join(format!("{name}-{nth}.log")));
        let mut controller = Self { child, metrics_port, log, kept };
        // A signal that ends this process drops nothing.
        stack.guard(&controller.child, "millwright")?;
        if let Some(bytes) = how.memory {
            let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
            let pid = Pid::from_raw(controller.child.id().cast_signed());
            prlimit(pid, Resource::Data, limit).context("limit its memory")?;
        }
        let ready = wait_for("the controller is ready", START_LIMIT, || {
            controller.check_alive().and_then(|()| loopback::get(health_port, "/readyz").map_err(anyhow::Error::msg))
        });
        ready.with_context(|| controller.log_tail())?;
        Ok(controller)
    }

    /// Fails if it has ended by itself.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the controller has ended: {status}\n{}", self.log_tail()),
        }
    }

    pub fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.child.id()).context("the controller's process is gone")
    }

    /// The sum of all samples of a metric, whatever their labels; 0 if there are none.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = loopback::get(self.metrics_port, "/metrics").map_err(anyhow::Error::msg)?;
        let value = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let is_whole_name = rest.starts_with('{') || rest.starts_with(' ');
            is_whole_name.then(|| rest.rsplit(' ').next()?.parse::<f64>().ok()).flatten()
        };
        Ok(text.lines().filter_map(value).sum())
    }

    /// As by `kill -9`.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().context("kill the controller")?;
        self.child.wait().context("wait for the controller")?;
        Ok(())
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        format!("its log ends:\n{}", lines[lines.len().saturating_sub(15)..].join("\n"))
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(kept) = &self.kept
            && let Err(error) = std::fs::copy(&self.log, kept)
        {
            eprintln!("the log was not kept in {}: {error}", kept.display());
        }
    }
}

/// The product's program, which `cargo xtask bench e2e` has built with profile `dist`.
pub fn program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("find this program")?;
    let target = own.parent().and_then(Path::parent).unwrap_or_else(|| Path::new(".."));
    let program = target.join("dist/millwright");
    ensure!(program.is_file(), "{} is missing: run this by `cargo xtask bench e2e`", program.display());
    Ok(program)
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
