//! `millwright sim`: parts of the simulated world as servers.

use std::io::Write as _;

use anyhow::{Context, Result, anyhow};
use sim::clock::Clock;
use sim::ec2::{Ec2, Options, Script, listen};

use super::args::{SimArgs, SimEc2Args, SimPart};
use super::exit::DONE;
use crate::observe::read_text;

/// Serves until a signal.
pub fn run(args: &SimArgs) -> Result<u8> {
    match &args.part {
        SimPart::Ec2(args) => ec2(args),
    }
}

// The errors of the simulator say their causes themselves.
fn ec2(args: &SimEc2Args) -> Result<u8> {
    let script = match &args.faults {
        None => Script::default(),
        Some(path) => {
            let text = read_text(path, "--faults")?;
            Script::parse(&text).map_err(|error| anyhow!("--faults {}: {error}", path.display()))?
        }
    };
    let options =
        Options { seed: args.seed, region: args.region.clone(), cluster: args.cluster.clone(), ..Options::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start a runtime")?;
    runtime.block_on(async {
        let clock = Clock::at(jiff::Timestamp::now().as_second());
        let service = Ec2::new(options, clock).context("--region")?;
        script.apply(&service).map_err(|error| anyhow!("--faults: {error}"))?;
        let (address, serving) =
            listen(service.clone(), args.listen).await.map_err(|error| anyhow!("--listen: {error}"))?;
        let mut out = std::io::stdout();
        writeln!(out, "http://{address}").and_then(|()| out.flush()).context("tell the address")?;
        let interrupting = script.interrupt(service);
        tokio::select! {
            () = serving => {}
            stopped = tokio::signal::ctrl_c() => stopped.context("wait for a signal")?,
            () = async { interrupting.await; std::future::pending::<()>().await } => {}
        }
        Ok(DONE)
    })
}
