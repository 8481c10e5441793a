//! What a control plane is to be like.

use std::time::Duration;

use crate::Error;

/// Somebody whom the API server knows by a token of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    /// Member of `system:masters`; anybody else has no rights but those that RBAC objects give.
    pub is_master: bool,
    /// Whether their requests are written down.
    pub is_audited: bool,
}

impl User {
    fn new(name: &str, is_master: bool, is_audited: bool) -> Self {
        Self { name: name.to_owned(), is_master, is_audited }
    }
}

/// How the simulated kubelets behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stages {
    /// From the creation of a Node to Ready; none: never.
    pub node_ready: Option<Duration>,
    /// From the binding of a Pod to Running; none: never.
    pub pod_ready: Option<Duration>,
    /// From the deletion of a Pod to its being gone; none: never.
    pub pod_gone: Option<Duration>,
}

impl Default for Stages {
    /// Everything at once.
    fn default() -> Self {
        Self { node_ready: Some(Duration::ZERO), pod_ready: Some(Duration::ZERO), pod_gone: Some(Duration::ZERO) }
    }
}

/// Everything about a control plane that may differ from one test to the next.
#[derive(Clone, Debug)]
pub struct Options {
    pub users: Vec<User>,
    pub stages: Stages,
    /// Requests a second that the controller manager and the scheduler may make; they may burst to twice that.
    pub component_qps: u32,
    /// Requests the API server works on at once: reading, then changing ones.
    pub max_requests_inflight: (u32, u32),
    /// Soft limit of the API server's memory in MiB (`GOMEMLIMIT`); none: as it likes.
    pub apiserver_memory_mib: Option<u32>,
    /// How long starting may take before it counts as failed. It takes 3 s on an idle machine.
    pub start_timeout: Duration,
}

impl Default for Options {
    /// `admin` for the test, and `millwright` whose requests are counted.
    fn default() -> Self {
        Self {
            users: vec![User::new("admin", true, false), User::new("millwright", true, true)],
            stages: Stages::default(),
            component_qps: 500,
            max_requests_inflight: (800, 400),
            apiserver_memory_mib: None,
            start_timeout: Duration::from_mins(2),
        }
    }
}

impl Options {
    /// One more user, whose requests are counted, and who has every right if `is_master`.
    #[must_use]
    pub fn with_user(mut self, name: &str, is_master: bool) -> Self {
        self.users.push(User::new(name, is_master, true));
        self
    }

    #[must_use]
    pub fn with_stages(mut self, stages: Stages) -> Self {
        self.stages = stages;
        self
    }

    /// Names go into files of several formats; nothing in them may need quoting there.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':');
        match self.users.iter().find(|user| user.name.is_empty() || !user.name.chars().all(is_plain)) {
            Some(user) => Err(Error::Word { what: "a user's name", value: user.name.clone() }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_need_quotes_is_refused() {
        assert!(Options::default().with_user("system:kube-x", false).check().is_ok());
        let error = Options::default().with_user("a,b", false).check().unwrap_err();
        assert!(error.to_string().contains("\"a,b\""), "{error}");
    }
}
