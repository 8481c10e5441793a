//! What the command line knows of a running cluster: its objects, or a snapshot that a controller gives.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::client::{Clients, ConnectError};
use crate::config::Config;
use crate::observe::{Objects, listing};
use crate::recording::Recording;
use crate::telemetry::Metrics;

/// For each read and write to a controller.
const PATIENCE: Duration = Duration::from_mins(2);

/// All objects of the cluster that a plan may depend on.
pub fn objects(kubeconfig: Option<&PathBuf>, context: Option<&String>) -> Result<Objects> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
    runtime.block_on(async {
        let config = Config { kubeconfig: kubeconfig.cloned(), kube_context: context.cloned(), ..Config::default() };
        let clients = Clients::connect(&config, &Metrics::new()).await.map_err(|error| match error {
            ConnectError::Infer(_) => anyhow!("{error}; to read files in place of a cluster, name them with -f"),
            error => error.into(),
        })?;
        let cluster = format!("cluster {}", context.unwrap_or(&clients.server));
        Ok(listing::read(&clients.client, &cluster).await?)
    })
}

/// What the controller at this address gives on `/debug/snapshot`.
pub fn recording(controller: &str) -> Result<Recording> {
    let address = controller.trim_start_matches("http://").trim_end_matches('/');
    let help = "remedy: name its metrics port, such as 127.0.0.1:8080, opened with kubectl port-forward";
    let elsewhere = "remedy: ask the replica that leads: the holderIdentity of the controller's Lease names it";
    if controller.starts_with("https://") || address.contains('/') {
        bail!("--controller {controller}: is no HOST:PORT\n  {help}");
    }
    let fetch = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // HTTP/1.0: the answer ends where the connection does, and comes in one piece.
        write!(stream, "GET /debug/snapshot HTTP/1.0\r\nHost: {address}\r\nAccept: application/gzip\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = fetch().with_context(|| format!("--controller {controller}: no answer\n  {help}\n  cause"))?;
    let end =
        answer.windows(4).position(|four| four == b"\r\n\r\n").context("the controller's answer has no end of head")?;
    let (head, body) = (String::from_utf8_lossy(&answer[..end]), &answer[end + 4..]);
    let status = head.lines().next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    if status != "200" {
        let said = String::from_utf8_lossy(body);
        let said = if said.trim().is_empty() { String::new() } else { format!(": {}", said.trim()) };
        let help = if status == "503" { elsewhere } else { help };
        bail!("--controller {controller}: answers {status} to /debug/snapshot{said}\n  {help}");
    }
    Ok(Recording::read(body)?)
}
