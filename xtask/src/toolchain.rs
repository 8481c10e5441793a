//! Finds cargo, the repository and the rustup components that the checks need.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The cargo that started us, else the one on `PATH`. It is not told of our own package: build scripts that look at such
/// variables (ring's) would run anew whenever cargo is called directly after us, and half of the dependencies with them.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    }) {
        command.env_remove(name);
    }
    command
}

/// Folder of the workspace's manifest: the parent of this package's folder.
pub(crate) fn root() -> PathBuf {
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or_else(|| package.clone(), Path::to_path_buf)
}

/// An optional part of a rustup toolchain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Component {
    /// Cargo's subcommand.
    pub subcommand: &'static str,
    /// rustup's name of it.
    pub name: &'static str,
}

pub(crate) const RUSTFMT: Component = Component { subcommand: "fmt", name: "rustfmt" };
pub(crate) const CLIPPY: Component = Component { subcommand: "clippy", name: "clippy" };

impl Component {
    /// Whether the toolchain in use has it.
    pub fn is_installed(self) -> bool {
        cargo()
            .args([self.subcommand, "--version"])
            .current_dir(root())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// What to type to get it.
    pub fn remedy(self) -> String {
        format!("`cargo {}` is missing; get it with: rustup component add {}", self.subcommand, self.name)
    }
}
