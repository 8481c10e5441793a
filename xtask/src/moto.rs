//! The second opinion on our EC2: one suite, asked of the simulation and of moto, an EC2 that others have written.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::tally::Tally;
use crate::toolchain;

/// The programs that pip needs to find, once. Python 3.10 or newer.
const PYTHON: &str = "python3";
/// How long moto may take to open its port: it reads its instance types first.
const STARTING: Duration = Duration::from_mins(2);

/// A server that ends with its value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended by itself is as good as killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Installs, starts both, asks both. What cannot be had is an error, and never a pass.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let suite = toolchain::root().join("tests/moto");
    let python = python(&suite)?;
    let mut build = toolchain::cargo();
    let built = build.args(["build", "--package", "millwright"]).current_dir(toolchain::root()).status();
    if !built.context("start cargo build")?.success() {
        return Ok(ExitCode::FAILURE);
    }
    let mut total = Tally::default();
    let (_ours, endpoint) = simulation()?;
    total += ask(&python, &suite, "simulator", &endpoint)?;
    let (_theirs, endpoint) = moto(&python, &suite)?;
    total += ask(&python, &suite, "moto", &endpoint)?;
    println!("{total}");
    Ok(if total.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The Python of an environment that has what the suite needs, pinned; made anew when the pins change.
fn python(suite: &Path) -> anyhow::Result<PathBuf> {
    let home = std::env::var_os("HOME").context("HOME is not set, so there is no place for Python packages")?;
    let folder = Path::new(&home).join(".cache/millwright/moto");
    let python = folder.join("bin/python");
    let pins = std::fs::read_to_string(suite.join("requirements.txt")).context("read tests/moto/requirements.txt")?;
    let mark = folder.join("installed.txt");
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == pins) {
        return Ok(python);
    }
    println!("installing moto and boto3 from PyPI into {} (once)", folder.display());
    let remedy = "moto's half of the opinion cannot be had, so nothing was compared";
    let made = Command::new(PYTHON).args(["-m", "venv", "--clear"]).arg(&folder).status();
    if !made.with_context(|| format!("start {PYTHON}; install Python 3.10 or newer with venv"))?.success() {
        bail!("`{PYTHON} -m venv` failed: {remedy}; install Python 3.10 or newer with venv");
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--timeout", "30", "--requirement"];
    let installed = Command::new(&python).args(pip).arg(suite.join("requirements.txt")).status();
    if !installed.context("start pip")?.success() {
        bail!("pip could not install tests/moto/requirements.txt from PyPI: {remedy}; is PyPI reached from here?");
    }
    std::fs::write(&mark, pins).with_context(|| format!("write {}", mark.display()))?;
    Ok(python)
}

/// Our EC2 on a free port.
fn simulation() -> anyhow::Result<(Server, String)> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| toolchain::root().join("target"), PathBuf::from);
    let mut command = Command::new(target.join("debug/millwright"));
    command.args(["sim", "ec2", "--region", "us-west-2", "--cluster", "demo"]).stdout(Stdio::piped());
    let mut child = command.spawn().context("start millwright sim ec2")?;
    let stdout = child.stdout.take().context("read the address of millwright sim ec2")?;
    let server = Server(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).context("read the address of millwright sim ec2")?;
    match line.trim() {
        "" => bail!("millwright sim ec2 ended before it told its address"),
        endpoint => Ok((server, endpoint.to_owned())),
    }
}

/// moto on a free port of this machine.
fn moto(python: &Path, suite: &Path) -> anyhow::Result<(Server, String)> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).context("find a free port")?.port();
    let mut command = Command::new(python.with_file_name("moto_server"));
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).env("MOTO_AMIS_PATH", suite.join("amis.json"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut server = Server(command.spawn().context("start moto_server")?);
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Some(status) = server.0.try_wait().context("wait for moto_server")? {
            bail!("moto_server ended before it opened its port: {status}");
        }
        if begun.elapsed() > STARTING {
            bail!("moto_server did not open its port within {} s", STARTING.as_secs());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok((server, format!("http://127.0.0.1:{port}")))
}

/// Asks one of them, and counts what it says at the end.
fn ask(python: &Path, suite: &Path, name: &str, endpoint: &str) -> anyhow::Result<Tally> {
    let mut command = Command::new(python);
    command.arg("-u").arg(suite.join("suite.py")).args([name, endpoint]).stdout(Stdio::piped());
    let mut child = command.spawn().context("start the suite")?;
    let output = child.stdout.take().context("read the output of the suite")?;
    let mut tally = Tally::default();
    for line in BufReader::new(output).lines() {
        let line = line.context("read the output of the suite")?;
        println!("{line}");
        if line.contains(" ... ") {
            tally += Tally::one(line.contains(" ... ok"));
        }
    }
    let is_good = child.wait().context("wait for the suite")?.success();
    // One that broke off has not passed.
    if !is_good && tally.is_good() {
        tally += Tally::one(false);
    }
    Ok(tally)
}
