//! The product's own program, as an operator starts it.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use control_plane::{loopback, wait_for};

use super::world::{SOON, World};

/// A running controller. Dropping it kills it, and shows the end of its log if the test has failed.
pub struct Product {
    child: Child,
    log: PathBuf,
}

impl Product {
    /// Starts it as the user, with more arguments, and waits until it is ready.
    pub fn start(world: &World, user: &str, more: &[&str]) -> Self {
        Self::launch(world, user, "kwok", more, &[])
    }

    /// Starts it as the user with nodes of a provider and further environment, and waits until it is ready.
    #[cfg(feature = "aws")]
    pub fn start_on(world: &World, user: &str, provider: &str, env: &[(&str, &str)]) -> Self {
        Self::launch(world, user, provider, &[], env)
    }

    fn launch(world: &World, user: &str, provider: &str, more: &[&str], env: &[(&str, &str)]) -> Self {
        static N_STARTED: AtomicU32 = AtomicU32::new(0);
        let log = world.stack.folder().join(format!("product-{}.log", N_STARTED.fetch_add(1, Ordering::Relaxed)));
        let out = File::create(&log).unwrap();
        let health_port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_millwright"));
        command.args(["controller", "--provider", provider]).args(more).envs(env.iter().copied());
        command.env("KUBECONFIG", world.stack.kubeconfig(user).unwrap());
        command.env("METRICS_PORT", free_port().to_string()).env("HEALTH_PROBE_PORT", health_port.to_string());
        command.env("CLUSTER_NAME", "test").env("MILLWRIGHT_BIND_ADDRESS", "127.0.0.1");
        if more.is_empty() {
            // The lease of a killed one would have to run out before the next may act.
            command.env("DISABLE_LEADER_ELECTION", "true");
        }
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        let mut product = Self { child: command.spawn().unwrap(), log };
        world.stack.guard(&product.child, "millwright").unwrap();
        wait_for("the controller is ready", SOON, || {
            if let Some(status) = product.child.try_wait().unwrap() {
                panic!("the controller has ended: {status}");
            }
            loopback::get(health_port, "/readyz")
        })
        .unwrap();
        product
    }

    /// As by `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// It must still be running.
    pub fn stop(mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "the controller has ended by itself");
        self.kill();
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            println!("the controller's log ends:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
