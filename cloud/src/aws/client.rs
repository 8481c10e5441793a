//! Connecting to AWS: region, credentials, timeouts. Retrying is ours, so the SDK's is off.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use super::telling::Telling;
use super::transport::Transport;

/// How long one attempt may take. Long answers come in pages, so this is far more than a good day needs.
const ATTEMPT: Duration = Duration::from_mins(1);
/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(5);

/// How AWS is reached.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// None: from the environment, the profile, or the machine's metadata.
    pub region: Option<String>,
    /// Answers requests in place of the network; credentials are made up then.
    pub transport: Option<Transport>,
    /// Who is told of calls.
    pub telling: Telling,
}

/// Why AWS cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    #[error("no AWS region is known: set AWS_REGION, or run where the instance metadata service tells it")]
    NoRegion,
}

/// The clients of the services, and where they are.
#[derive(Clone, Debug)]
pub struct Clients {
    pub(super) ec2: aws_sdk_ec2::Client,
    pub(super) eks: aws_sdk_eks::Client,
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) pricing: aws_sdk_pricing::Client,
    pub(super) sqs: aws_sdk_sqs::Client,
    pub(super) ssm: aws_sdk_ssm::Client,
    pub(super) zonal_shift: aws_sdk_arczonalshift::Client,
    pub(super) telling: Telling,
    region: String,
}

impl Clients {
    /// Reads the SDK's default chain: environment, web identity (IRSA), Pod Identity, profile, instance metadata.
    ///
    /// # Errors
    /// When no region is known.
    pub async fn connect(connection: Connection) -> Result<Self, ConnectError> {
        let config = match connection.transport {
            Some(transport) => in_process(connection.region, transport),
            None => from_environment(connection.region).await,
        };
        let region = config.region().map(ToString::to_string).ok_or(ConnectError::NoRegion)?;
        let pricing = aws_sdk_pricing::config::Builder::from(&config);
        let pricing = pricing.region(Region::new(price_list_home(&region))).build();
        Ok(Self {
            ec2: aws_sdk_ec2::Client::new(&config),
            eks: aws_sdk_eks::Client::new(&config),
            iam: aws_sdk_iam::Client::new(&config),
            pricing: aws_sdk_pricing::Client::from_conf(pricing),
            sqs: aws_sdk_sqs::Client::new(&config),
            ssm: aws_sdk_ssm::Client::new(&config),
            zonal_shift: aws_sdk_arczonalshift::Client::new(&config),
            telling: connection.telling,
            region,
        })
    }

    pub fn region(&self) -> &str {
        &self.region
    }
}

/// The name under which our calls appear in `CloudTrail`.
fn app_name() -> Option<AppName> {
    AppName::new(concat!("karpenter.sh-", env!("CARGO_PKG_VERSION"))).ok()
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build()
}

async fn from_environment(region: Option<String>) -> SdkConfig {
    let http = Builder::new().build_with_connector_fn(|settings, components| {
        // Without a word, the SDK's connector ignores HTTPS_PROXY and NO_PROXY.
        let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).build()
    });
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts());
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    }
    if let Some(name) = app_name() {
        loader = loader.app_name(name);
    }
    loader.load().await
}

fn in_process(region: Option<String>, transport: Transport) -> SdkConfig {
    let credentials = Credentials::new("SIMULATED", "SIMULATED", None, None, "simulation");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region.map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(transport.client())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts());
    config.build()
}

/// Where the price list service of a region is.
fn price_list_home(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("ap") => "ap-south-1",
        Some("cn") => "cn-northwest-1",
        Some("eu") => "eu-central-1",
        _ => "us-east-1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn price_lists_are_kept_in_few_places() {
        let homes = ["us-west-2", "eu-west-1", "ap-southeast-2", "cn-north-1", "sa-east-1"].map(price_list_home);
        assert_eq!(homes, ["us-east-1", "eu-central-1", "ap-south-1", "cn-northwest-1", "us-east-1"]);
    }
}
