//! Why there is no client.

use super::cause::cause;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(
        "kubeconfig {path}: {cause}\n  remedy: check the path given with --kubeconfig or KUBECONFIG, and its context"
    )]
    Kubeconfig { path: String, cause: Box<kube::config::KubeconfigError> },
    #[error(
        "no cluster to run on: {0}\n  remedy: give a kubeconfig with --kubeconfig or KUBECONFIG, or run in a pod with a \
         service account"
    )]
    Infer(Box<kube::config::InferConfigError>),
    #[error("kubeconfig {path}: there is no context \"{context}\"\n  remedy: {}", one_of(known))]
    NoContext { path: String, context: String, known: Vec<String> },
    #[error(
        "cannot log in to {url}: user {user} of the kubeconfig does so with the command {command}: {}\n  remedy: see that \
         {command} is installed and runs, or take another --context",
        cause(fault)
    )]
    Login { url: String, user: String, command: String, fault: Box<kube::Error> },
    #[error("cannot make a client for {url}: {}", cause(fault))]
    Client { url: String, fault: Box<kube::Error> },
}

/// The contexts that may be named.
fn one_of(known: &[String]) -> String {
    const MOST: usize = 10;
    if known.is_empty() {
        return "it has none: name another file with --kubeconfig or KUBECONFIG".into();
    }
    let more = if known.len() > MOST { format!(" and {} more", known.len() - MOST) } else { String::new() };
    format!("name one of {}{more} with --context", known[..known.len().min(MOST)].join(", "))
}
