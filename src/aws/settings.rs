//! What has to be known before anything is bought: the region, the cluster, the version of Kubernetes.

use cloud::aws::{Clients, Cluster, ConnectError, Connection, Fault, Seller, cluster, shift};
use cloud::catalog::{Ec2Class, Ec2Settings, PriceList};
use k8s_openapi::api::core::v1::Service;
use kube::Api;

use super::counting;
use super::market::Market;
use super::version::{self, Asked};
use crate::client::Clients as Kubernetes;
use crate::clock::Clock;
use crate::config::AwsConfig;
use crate::telemetry::Metrics;

/// What the provider goes by.
#[derive(Clone, Debug)]
pub struct Settings {
    pub config: AwsConfig,
    pub reserved_capacity: bool,
    pub clock: Clock,
    /// As EKS tells it.
    pub cluster_arn: Option<String>,
}

impl Settings {
    /// What the catalogue depends on beside prices and stock.
    pub(super) fn of_catalog(&self, class: Ec2Class) -> Ec2Settings {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share from 0 to 1, in millionths"
        )]
        let overhead = (self.config.vm_memory_overhead_percent * 1e6).round() as u32;
        Ec2Settings {
            class,
            reserved_enis: self.config.reserved_enis,
            vm_memory_overhead_millionths: overhead,
            ..Ec2Settings::default()
        }
    }
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
    #[error(
        "the kubeconfig names no certificate authority and EKS does not tell it: set --cluster-ca-bundle, or grant eks:DescribeCluster"
    )]
    NoCertificate,
    #[error(transparent)]
    Version(#[from] version::VersionError),
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
    pub(super) version: Asked,
}

/// Connects, and asks for what the flags do not say. `prices` go before all that are told.
///
/// # Errors
/// Names what is missing and how to give it.
pub async fn start(
    connection: Connection,
    config: &AwsConfig,
    (reserved_capacity, prices): (bool, PriceList),
    clock: Clock,
    metrics: &Metrics,
    kubernetes: &Kubernetes,
) -> Result<Started, StartError> {
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
    // The drift hash is made from it, so that it has to be the one that Karpenter takes: EKS' is the last.
    let ca_bundle = config.cluster_ca_bundle.clone().or_else(|| kubernetes.authority.clone()).or(told.ca_bundle);
    let ca_bundle = ca_bundle.ok_or(StartError::NoCertificate)?;
    let version = Asked::ask(&clients, config, &kubernetes.client).await?;
    let cluster = Cluster {
        name: config.cluster_name.clone(),
        endpoint,
        ca_bundle,
        service_cidr: told.service_cidr,
        dns: dns(&kubernetes.client).await,
    };
    let asked = Market::ask(&clients, clock, config.isolated_vpc, prices).await;
    let market = asked.map_err(|(region, fault)| StartError::Region(region, fault))?;
    if config.enable_zonal_shift {
        let arn = cluster_arn.as_deref().ok_or(StartError::NoArn)?;
        let told = shift::ask(&clients, arn, clock.seconds()).await.map_err(StartError::ZonalShift)?;
        market.saw_shifts(Some(told), clock.seconds());
    }
    let settings = Settings { config: config.clone(), reserved_capacity, clock, cluster_arn };
    let mut seller = Seller::new(clients, cluster);
    if let Some(queue) = &config.interruption_queue {
        seller = seller.listening(queue);
    } else {
        tracing::warn!("no interruption queue is set: spot machines are taken without a warning to their pods");
    }
    if config.enable_zonal_shift {
        seller = seller.remembering();
    }
    Ok(Started { seller, market, settings, version })
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
