//! `cargo xtask control-plane`: builds the control plane, and starts one for people.

use std::process::ExitCode;

use control_plane::{Assets, Error, up};

const HELP: &str = "\
A real Kubernetes control plane on loopback: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok.

Usage: cargo xtask control-plane COMMAND

Commands:
  up        start it, unless it runs, and print how to use it; it stays until `down`
  down      stop it and remove its data
  status    say what runs and where the programs are
  build     only build the programs (once, 5 to 10 minutes on two cores; needs Go 1.25 or newer, and the network)

Programs are taken from KUBEBUILDER_ASSETS and MILLWRIGHT_CONTROL_PLANE (folders) if these hold them. What is missing is
built into MILLWRIGHT_CONTROL_PLANE if it is set, else into ~/.cache/millwright/control-plane.

Exit codes: 0 done; 1 an error, or (status) it does not run; 2 the command line was not understood.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["up"] => start(),
        ["down"] => stop(),
        ["status"] => status(),
        ["build"] => Assets::ensure().map(|_| ExitCode::SUCCESS),
        [] | ["-h" | "--help" | "help"] => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("control-plane: it is not clear what `{}` asks for\n\n{HELP}", args.join(" "));
            return ExitCode::from(2);
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("control-plane: {error}");
        ExitCode::FAILURE
    })
}

fn start() -> Result<ExitCode, Error> {
    let status = up::up()?;
    println!("{}", up::export(&status));
    Ok(ExitCode::SUCCESS)
}

fn stop() -> Result<ExitCode, Error> {
    let had_run = up::down()?;
    println!("{}", if had_run { "stopped" } else { "nothing was running" });
    Ok(ExitCode::SUCCESS)
}

fn status() -> Result<ExitCode, Error> {
    for (component, path) in up::programs() {
        let place = path.map_or_else(|| "not built yet".to_owned(), |path| path.display().to_string());
        println!("{:<24} {place}", component.name());
    }
    println!("{:<24} {}", "built into", up::built()?.display());
    let status = up::status()?;
    for (name, identity, is_alive) in &status.processes {
        println!(
            "{name:<24} {}",
            if *is_alive { format!("runs, pid {}", identity.pid) } else { "has ended".to_owned() }
        );
    }
    if status.is_whole() {
        println!("{}", up::export(&status));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}", if status.n_running() == 0 { "it does not run" } else { "some of it runs: `down`, then `up`" });
    Ok(ExitCode::FAILURE)
}
