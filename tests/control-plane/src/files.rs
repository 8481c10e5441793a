//! The files of one control plane: users, keys, policies and kubeconfigs.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::keys::{SigningKey, token};
use crate::ports::Ports;
use crate::{Component, Error, Options, stages};

/// The user whose only request is "are you ready?".
const PROBE: &str = "readiness-probe";

/// The folder of one control plane; only its owner may read it.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub path: PathBuf,
}

impl Folder {
    /// Creates the folder and everything that is there before the first program starts.
    pub fn create(path: PathBuf, ports: &Ports, options: &Options) -> Result<Self, Error> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(Error::file("create", &path))?;
        let folder = Self { path };
        let key = SigningKey::generate()?;
        folder.write("sa.key", &key.private)?;
        folder.write("sa.pub", &key.public)?;
        let audited: Vec<&str> = options.users.iter().filter(|u| u.is_audited).map(|u| u.name.as_str()).collect();
        let audited = if audited.is_empty() { PROBE.to_owned() } else { audited.join(", ") };
        folder.write("audit.yaml", &include_str!("../config/audit.yaml").replace("USERS", &audited))?;
        let scheduler = include_str!("../config/scheduler.yaml")
            .replace("KUBECONFIG", &folder.kubeconfig(Component::Scheduler.name()).display().to_string())
            .replace("QPS", &options.component_qps.to_string())
            .replace("BURST", &options.component_qps.saturating_mul(2).to_string());
        folder.write("scheduler.yaml", &scheduler)?;
        folder.write("stages.yaml", &stages::text(&options.stages))?;
        folder.users(ports, options)?;
        Ok(folder)
    }

    /// Tokens for everybody, and a kubeconfig each.
    fn users(&self, ports: &Ports, options: &Options) -> Result<(), Error> {
        let components = [Component::ControllerManager, Component::Scheduler, Component::Kwok];
        let components = components.iter().map(|component| (component.name(), true));
        let users = options.users.iter().map(|user| (user.name.as_str(), user.is_master));
        let mut tokens = String::new();
        for (name, is_master) in components.chain([(PROBE, true)]).chain(users) {
            let secret = token()?;
            let groups = if is_master { ",\"system:masters\"" } else { "" };
            tokens = format!("{tokens}{secret},{name},{name}{groups}\n");
            let config = json!({
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{ "name": "test", "cluster": {
                    "server": format!("https://127.0.0.1:{}", ports.apiserver),
                    "certificate-authority": self.certificates(),
                } }],
                "users": [{ "name": name, "user": { "token": secret } }],
                "contexts": [{ "name": name, "context": { "cluster": "test", "user": name } }],
                "current-context": name,
            });
            self.write(&format!("{name}.kubeconfig"), &format!("{config:#}\n"))?;
            if name == PROBE {
                self.write("probe.token", &secret)?;
            }
        }
        self.write("tokens.csv", &tokens)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.file(&format!("{user}.kubeconfig"))
    }

    pub fn log(&self, component: Component) -> PathBuf {
        self.file(&format!("{component}.log"))
    }

    /// What the API server makes for itself at its first start: its certificate, and the authority that signed it.
    pub fn certificates(&self) -> PathBuf {
        self.file("certs/apiserver.crt")
    }

    pub fn probe_token(&self) -> Option<String> {
        fs::read_to_string(self.file("probe.token")).ok()
    }

    /// Notes a program that was started. The watcher and later runs read it when we are gone.
    pub fn note(&self, line: &str) -> Result<(), Error> {
        let path = self.file("pids");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| writeln!(file, "{line}")).map_err(Error::file("write", path))
    }

    /// The last lines of a component's log.
    pub fn log_tail(&self, component: Component) -> String {
        const MAX_LINES: usize = 12;
        let log = fs::read(self.log(component)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(MAX_LINES)..].join("\n")
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        write_private(&self.file(name), text)
    }
}

fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(Error::file("write", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn users_have_tokens_of_their_own_and_nobody_else_may_read_them() {
        let path = std::env::temp_dir().join(format!("millwright-files-{}", std::process::id()));
        let ports = Ports::find(&std::env::temp_dir()).unwrap();
        let folder = Folder::create(path.clone(), &ports, &Options::default().with_user("guest", false)).unwrap();
        let tokens = fs::read_to_string(folder.file("tokens.csv")).unwrap();
        let guest = tokens.lines().find(|line| line.contains("guest")).unwrap();
        assert!(guest.ends_with(",guest,guest"), "{guest}");
        let admin = tokens.lines().find(|line| line.contains("admin")).unwrap();
        assert!(admin.ends_with("\"system:masters\""), "{admin}");
        let secret = guest.split(',').next().unwrap();
        assert!(fs::read_to_string(folder.kubeconfig("guest")).unwrap().contains(secret));
        assert!(fs::read_to_string(folder.file("audit.yaml")).unwrap().contains("users: [millwright, guest]"));
        for file in ["tokens.csv", "sa.key", "guest.kubeconfig"] {
            assert_eq!(fs::metadata(folder.file(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
        }
        fs::remove_dir_all(path).unwrap();
    }
}
