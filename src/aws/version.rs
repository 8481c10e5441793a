//! Which version of Kubernetes the cluster runs: images are published for each, and the cluster may be upgraded any day.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloud::aws::{Clients, Fault, Kind, cluster};
use tokio::time::sleep;

use super::Shared;
use crate::client::cause;
use crate::config::AwsConfig;

/// How often it is asked.
const PERIOD: Duration = Duration::from_mins(5);
/// Minor versions that this provider is made for.
const KNOWN: RangeInclusive<u32> = 26..=36;

/// The version, as last told, and whom to ask.
#[derive(Debug)]
pub(super) struct Asked {
    /// `1.34`
    version: Mutex<String>,
    client: ApiServer,
}

/// The API server, asked for nothing else here.
struct ApiServer(kube::Client);

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiServer")
    }
}

/// Why the version is not known.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    #[error("asking the API server for its version: {}", cause(.0))]
    ApiServer(#[source] Box<kube::Error>),
    #[error("--eks-control-plane: {0}")]
    Eks(Fault),
    #[error("--eks-control-plane: EKS tells no version of the cluster {0}; leave the flag away to ask the API server")]
    Untold(String),
}

impl Asked {
    /// # Errors
    /// When the version cannot be asked for.
    pub async fn ask(clients: &Clients, config: &AwsConfig, client: &kube::Client) -> Result<Self, VersionError> {
        let version = told(clients, config, client).await?;
        warn(&version);
        Ok(Self { version: Mutex::new(version), client: ApiServer(client.clone()) })
    }

    /// `1.34`
    pub fn version(&self) -> String {
        self.version.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn renew(&self, clients: &Clients, config: &AwsConfig) {
        match told(clients, config, &self.client.0).await {
            Ok(version) => {
                let before = std::mem::replace(
                    &mut *self.version.lock().unwrap_or_else(PoisonError::into_inner),
                    version.clone(),
                );
                if before != version {
                    tracing::info!(before, now = version, "discovered kubernetes version");
                    warn(&version);
                }
            }
            Err(error) => tracing::warn!(%error, "the version of Kubernetes cannot be asked for; the last one stays"),
        }
    }
}

/// The minor version of `1.34`, if it is one of Kubernetes 1.
pub(super) fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("1.")?.parse().ok()
}

/// AWS' word for it is Karpenter's: a reason of the condition `AMIsReady`.
pub(super) const UNSUPPORTED_ALIAS: &str = "UnsupportedAlias";

/// Whether images of an alias are made for a version at all.
///
/// # Errors
/// When none are, and from or to which version there are some.
pub(super) fn supports(alias: &str, version: &str) -> Result<(), Fault> {
    let (family, minor) = (alias.split('@').next().unwrap_or_default().to_ascii_lowercase(), minor(version));
    let message = match (family.as_str(), minor) {
        ("al2", Some(33..)) => "AL2 is published for Kubernetes up to 1.32",
        ("windows2025", Some(..35)) => "Windows 2025 is published for Kubernetes from 1.35 on",
        _ => return Ok(()),
    };
    let message = format!("{alias}: {message}, and the cluster runs {version}");
    Err(Fault { action: "ssm:GetParameter", kind: Kind::Refused, code: UNSUPPORTED_ALIAS.to_owned(), message })
}

fn warn(version: &str) {
    if minor(version).is_none_or(|minor| !KNOWN.contains(&minor)) {
        let (first, last) = (KNOWN.start(), KNOWN.end());
        tracing::error!(
            "kubernetes {version} is none of the versions 1.{first} to 1.{last} that this provider is made for"
        );
    }
}

async fn told(clients: &Clients, config: &AwsConfig, client: &kube::Client) -> Result<String, VersionError> {
    if config.eks_control_plane {
        let told = cluster::describe(clients, &config.cluster_name).await.map_err(VersionError::Eks)?;
        return told.version.ok_or_else(|| VersionError::Untold(config.cluster_name.clone()));
    }
    let told = client.apiserver_version().await.map_err(|error| VersionError::ApiServer(Box::new(error)))?;
    let minor: String = told.minor.chars().take_while(char::is_ascii_digit).collect();
    Ok(format!("{}.{minor}", told.major))
}

/// Asks again and again.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        sleep(PERIOD).await;
        shared.version.renew(shared.clients(), &shared.settings.config).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_that_is_not_made_for_the_version_is_refused() {
        let is_refused = |alias, version| supports(alias, version).is_err();
        assert!(is_refused("al2@latest", "1.33") && !is_refused("al2@latest", "1.32"));
        assert!(is_refused("windows2025@latest", "1.34") && !is_refused("windows2025@latest", "1.35"));
        assert!(!is_refused("al2023@latest", "1.36"));
    }

    #[test]
    fn a_minor_version_is_the_number_after_the_dot() {
        assert_eq!([minor("1.34"), minor("1.9"), minor("2.1"), minor("1.x")], [Some(34), Some(9), None, None]);
    }
}
