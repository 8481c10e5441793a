//! Which cluster is meant: that of the kubeconfig that is named or found, as kubectl finds it, or else the pod's own.

use std::ffi::OsStr;

use kube::config::{KubeConfigOptions, Kubeconfig};

use super::authority;
use super::error::ConnectError;
use crate::config::Config;

/// The variable that names kubeconfigs, as a list like `PATH`.
const VARIABLE: &str = "KUBECONFIG";

/// The cluster that is meant.
pub(super) struct Meant {
    pub(super) config: kube::Config,
    /// The certificate authority as it is written.
    pub(super) authority: Option<String>,
    /// Who logs in, by the kubeconfig.
    pub(super) user: Option<String>,
}

/// Finds it.
///
/// # Errors
/// When there is none, or what is written of it cannot be read.
pub(super) async fn find(config: &Config) -> Result<Meant, ConnectError> {
    let context = config.kube_context.as_deref();
    let wrong = |path: String| move |cause| ConnectError::Kubeconfig { path, cause: Box::new(cause) };
    let listed = std::env::var_os(VARIABLE).filter(|_| config.kubeconfig.is_none());
    let (kubeconfig, path) = match (&config.kubeconfig, listed.as_deref().and_then(merged)) {
        (Some(path), _) => (Kubeconfig::read_from(path), path.display().to_string()),
        (None, Some(found)) => found,
        (None, None) if context.is_some() => (Kubeconfig::read(), format!("${VARIABLE}, ~/.kube/config")),
        (None, None) => {
            let config = kube::Config::infer().await.map_err(|source| ConnectError::Infer(Box::new(source)))?;
            let user = Kubeconfig::read().ok().and_then(|kubeconfig| user(&kubeconfig, None));
            return Ok(Meant { authority: authority::of_inferred(&config.cluster_url), user, config });
        }
    };
    let kubeconfig = kubeconfig.map_err(wrong(path.clone()))?;
    if let Some(name) = context.or(kubeconfig.current_context.as_deref())
        && !kubeconfig.contexts.iter().any(|one| one.name == name)
    {
        let known = kubeconfig.contexts.iter().map(|one| one.name.clone()).collect();
        return Err(ConnectError::NoContext { path, context: name.into(), known });
    }
    let (authority, user) = (authority::of(&kubeconfig, context), user(&kubeconfig, context));
    let options = KubeConfigOptions { context: config.kube_context.clone(), ..KubeConfigOptions::default() };
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(wrong(path))?;
    Ok(Meant { config, authority, user })
}

type Read = Result<Kubeconfig, kube::config::KubeconfigError>;

/// All kubeconfigs of a list in one, and which they are. Those that are not there are passed over; none if none is.
fn merged(list: &OsStr) -> Option<(Read, String)> {
    let there: Vec<_> = std::env::split_paths(list).filter(|path| path.exists()).collect();
    let shown: Vec<String> = there.iter().map(|path| path.display().to_string()).collect();
    let mut read = there.iter().map(Kubeconfig::read_from);
    let first = read.next()?;
    let all = read.fold(first, |all, next| all.and_then(|all| all.merge(next?)));
    Some((all, shown.join(", ")))
}

fn user(kubeconfig: &Kubeconfig, context: Option<&str>) -> Option<String> {
    let name = context.or(kubeconfig.current_context.as_deref())?;
    kubeconfig.contexts.iter().find(|one| one.name == name)?.context.as_ref()?.user.clone()
}
