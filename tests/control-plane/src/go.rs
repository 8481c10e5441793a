//! The Go toolchain: is it there, is it new enough, and a build with it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::component::{GOFLAGS, Module};
use crate::{Component, Error};

/// The oldest Go that the modules allow.
pub(crate) const NEEDED: Version = Version { major: 1, minor: 25 };

/// A build that takes longer than this is stopped. On two busy cores the longest of them takes about 8 minutes.
const BUILD_LIMIT: Duration = Duration::from_mins(40);

/// How much of what a failed build said is passed on.
const MAX_LINES_SAID: usize = 15;

/// A Go release, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub major: u32,
    pub minor: u32,
}

impl Version {
    /// Reads `1.25.0`, `1.25` or `1.26rc1`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, rest) = text.trim().split_once('.')?;
        let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A Go toolchain that is new enough.
#[derive(Debug)]
pub struct Go {
    program: OsString,
}

impl Go {
    /// The `go` on `PATH`, else the one where the official packages put it.
    ///
    /// # Errors
    /// There is none, naming what `missing` programs it is needed for; or it is too old.
    pub fn find(missing: &[Component]) -> Result<Self, Error> {
        Self::first_of(&["go", "/usr/local/go/bin/go"], missing)
    }

    fn first_of(programs: &[&str], missing: &[Component]) -> Result<Self, Error> {
        for program in programs {
            let asked = Command::new(program).arg("version").env("GOTOOLCHAIN", "local").stdin(Stdio::null()).output();
            if let Ok(output) = asked {
                return Self::judge(program, &String::from_utf8_lossy(&output.stdout));
            }
        }
        let missing = missing.iter().map(|c| c.name()).collect::<Vec<_>>().join(", ");
        Err(Error::NoGo { missing, needed: NEEDED.to_string() })
    }

    /// What to make of a program that answers `go version` so.
    fn judge(program: &str, answer: &str) -> Result<Self, Error> {
        let found = answer.split_whitespace().find_map(|word| Version::parse(word.strip_prefix("go")?));
        let program = program.to_owned();
        match found {
            None => Err(Error::UnknownGo { program, answer: answer.trim().to_owned() }),
            Some(found) if found < NEEDED => {
                Err(Error::OldGo { program, found: found.to_string(), needed: NEEDED.to_string() })
            }
            Some(_) => Ok(Self { program: program.into() }),
        }
    }

    /// Builds the module's programs into `folder`, which also takes the module's files and the build's log.
    pub(crate) fn build(&self, module: &Module, folder: &Path) -> Result<(), Error> {
        for (name, text) in [("go.mod", module.go_mod), ("go.sum", module.go_sum), ("tools.go", module.tools)] {
            let path = folder.join(name);
            fs::write(&path, text).map_err(Error::file("write", path))?;
        }
        let log_path = folder.join("go.log");
        let log = File::create(&log_path).map_err(Error::file("create", &log_path))?;
        let said = |extra: &str| {
            let log = fs::read_to_string(&log_path).unwrap_or_default();
            Error::Build { module: module.name, version: module.version, said: format!("{extra}{}", last_lines(&log)) }
        };
        // A build shares the machine with whatever else is going on.
        let mut command = Command::new("nice");
        command.args(["-n", "10"]).arg(&self.program).args(["build", "-ldflags", module.ldflags, "-o"]);
        command.arg(output(module, folder)).args(module.programs.iter().map(|(_, package)| package));
        command.current_dir(folder).env("CGO_ENABLED", "0").env("GOFLAGS", GOFLAGS).env("GOWORK", "off");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().map_err(|error| said(&format!("`nice` does not start: {error}\n")))?;
        let begin = Instant::now();
        loop {
            let ended = child.try_wait().map_err(|error| said(&format!("wait for it: {error}\n")))?;
            match ended {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(said(&format!("{status}\n"))),
                None if begin.elapsed() > BUILD_LIMIT => {
                    // Whether or not it could be stopped, the answer is the same.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(Error::BuildTooSlow { module: module.name, after: BUILD_LIMIT });
                }
                None => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}

/// With one program the file is named, since Go would name etcd's after its last folder, `server`.
fn output(module: &Module, folder: &Path) -> PathBuf {
    if let [(component, _)] = module.programs {
        return folder.join(component.name());
    }
    let mut with_slash = folder.as_os_str().to_owned();
    with_slash.push("/");
    with_slash.into()
}

/// The end of a log, without the lines that only tell of progress.
fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with("go: downloading")).collect();
    lines[lines.len().saturating_sub(MAX_LINES_SAID)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::MODULES;

    #[test]
    fn releases_are_read_and_compared_by_number() {
        let parsed = |text| Version::parse(text).unwrap();
        assert_eq!(parsed("1.25.0"), NEEDED);
        assert!(parsed("1.9.2") < NEEDED && parsed("1.26rc1") > NEEDED && parsed("2.0") > NEEDED);
        assert_eq!(Version::parse("devel"), None);
    }

    #[test]
    fn without_go_the_error_says_what_is_missing_and_where_to_get_it() {
        let error = Go::first_of(&["/nowhere/go"], &[Component::Etcd, Component::Kwok]).unwrap_err().to_string();
        for part in ["etcd, kwok", "Go 1.25", "https://go.dev/dl", "KUBEBUILDER_ASSETS"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn an_old_go_is_named_with_its_release() {
        let error = Go::judge("go", "go version go1.19.8 linux/amd64\n").unwrap_err().to_string();
        assert!(error.contains("1.19") && error.contains("1.25"), "{error}");
        assert!(Go::judge("go", "go version go1.26.8 linux/amd64\n").is_ok());
        assert!(Go::judge("go", "an old game\n").is_err());
    }

    #[test]
    fn a_failed_build_passes_on_what_was_said() {
        let folder = std::env::temp_dir().join(format!("millwright-build-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // Not Go, but a program that fails and says why.
        let error = Go { program: "ls".into() }.build(&MODULES[1], &folder).unwrap_err().to_string();
        assert!(error.contains("build etcd v3") && error.contains("ls: "), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_end_of_a_log_leaves_progress_out() {
        assert_eq!(last_lines("go: downloading x\nfault\n"), "fault");
    }
}
