//! What has to be known before anything is bought: the region, the cluster, the version of Kubernetes.

use cloud::aws::{Clients, Cluster, ConnectError, Connection, Fault, Seller, cluster, shift};
use k8s_openapi::api::core::v1::Service;
use kube::Api;

use super::counting;
use super::market::Market;
use crate::clock::Clock;
use crate::config::AwsConfig;
use crate::telemetry::Metrics;

/// What the provider goes by.
#[derive(Clone, Debug)]
pub struct Settings {
    pub config: AwsConfig,
    pub reserved_capacity: bool,
    pub clock: Clock,
    /// `1.34`
    pub kubernetes: String,
    /// As EKS tells it.
    pub cluster_arn: Option<String>,
}

/// Why the provider cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{0}; set --cluster-endpoint, or grant eks:DescribeCluster")]
    Endpoint(Fault),
    #[error("EKS names no endpoint of the cluster {0}: set --cluster-endpoint")]
    NoEndpoint(String),
    #[error("no certificate authority of the cluster is known: set --cluster-ca-bundle, or grant eks:DescribeCluster")]
    NoCertificate,
    #[error("asking the API server for its version: {0}")]
    Version(#[source] Box<kube::Error>),
    #[error(
        "--enable-zonal-shift needs the cluster's ARN, which EKS did not tell: grant eks:DescribeCluster, or leave the flag away"
    )]
    NoArn,
    #[error(
        "{0}; --enable-zonal-shift needs a cluster that is registered with ARC (deploy/aws/policies/zonal-shift.json)"
    )]
    ZonalShift(Fault),
    #[error("the region {0} is not in the binary and EC2 cannot be asked: {1}")]
    Region(String, Fault),
}

/// What the provider begins with.
#[derive(Debug)]
pub struct Started {
    pub seller: Seller,
    pub market: Market,
    pub settings: Settings,
}

/// Connects, and asks for what the flags do not say.
///
/// # Errors
/// Names what is missing and how to give it.
pub async fn start(
    connection: Connection,
    config: &AwsConfig,
    reserved_capacity: bool,
    clock: Clock,
    metrics: &Metrics,
    client: &kube::Client,
) -> Result<Started, StartError> {
    if config.node_class_cel {
        tracing::warn!("the feature gate NodeClassCEL has no effect: expressions in spec.kubelet are not evaluated");
    }
    let connection = Connection { telling: counting::telling(metrics.clone()), ..connection };
    let clients = Clients::connect(connection).await?;
    let told = cluster::describe(&clients, &config.cluster_name).await;
    if let Err(fault) = &told {
        tracing::warn!(error = %fault, "EKS cannot be asked of the cluster; its service addresses are not known");
    }
    let endpoint = match (&config.cluster_endpoint, &told) {
        (Some(endpoint), _) => endpoint.clone(),
        (None, Err(fault)) => return Err(StartError::Endpoint(fault.clone())),
        (None, Ok(told)) => told.endpoint.clone().ok_or_else(|| StartError::NoEndpoint(config.cluster_name.clone()))?,
    };
    let cluster_arn = told.as_ref().ok().and_then(|told| told.arn.clone());
    let told = told.unwrap_or_default();
    let ca_bundle = config.cluster_ca_bundle.clone().or(told.ca_bundle).ok_or(StartError::NoCertificate)?;
    let version = client.apiserver_version().await.map_err(|error| StartError::Version(Box::new(error)))?;
    let minor: String = version.minor.chars().take_while(char::is_ascii_digit).collect();
    let cluster = Cluster {
        name: config.cluster_name.clone(),
        endpoint,
        ca_bundle,
        service_cidr: told.service_cidr,
        dns: dns(client).await,
    };
    let asked = Market::ask(&clients, clock, config.isolated_vpc).await;
    let market = asked.map_err(|(region, fault)| StartError::Region(region, fault))?;
    if config.enable_zonal_shift {
        let arn = cluster_arn.as_deref().ok_or(StartError::NoArn)?;
        let told = shift::ask(&clients, arn, clock.seconds()).await.map_err(StartError::ZonalShift)?;
        market.saw_shifts(Some(told), clock.seconds());
    }
    let settings = Settings {
        config: config.clone(),
        reserved_capacity,
        clock,
        kubernetes: format!("{}.{minor}", version.major),
        cluster_arn,
    };
    let mut seller = Seller::new(clients, cluster);
    if let Some(queue) = &config.interruption_queue {
        seller = seller.listening(queue);
    } else {
        tracing::warn!("no interruption queue is set: spot machines are taken without a warning to their pods");
    }
    if config.enable_zonal_shift {
        seller = seller.remembering();
    }
    Ok(Started { seller, market, settings })
}

/// The address of the cluster's DNS. Nodes find it by themselves if it is not known.
async fn dns(client: &kube::Client) -> Option<String> {
    let services: Api<Service> = Api::namespaced(client.clone(), "kube-system");
    match services.get_opt("kube-dns").await {
        Ok(found) => found?.spec?.cluster_ip.filter(|address| address != "None"),
        Err(error) => {
            tracing::warn!(%error, "reading Service kube-system/kube-dns; nodes are told no address of DNS");
            None
        }
    }
}
