//! What EKS tells of the cluster that nodes join.

use super::call::again;
use super::client::Clients;
use super::fault::Fault;

/// A cluster as EKS knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EksCluster {
    pub arn: Option<String>,
    /// URL of its API server.
    pub endpoint: Option<String>,
    /// Base64.
    pub ca_bundle: Option<String>,
    /// Addresses of services: IPv4, else IPv6.
    pub service_cidr: Option<String>,
    /// `1.34`
    pub version: Option<String>,
}

/// Asks EKS.
///
/// # Errors
/// When EKS cannot be asked, or knows no such cluster.
pub async fn describe(clients: &Clients, name: &str) -> Result<EksCluster, Fault> {
    let answer = again(clients, "eks:DescribeCluster", || clients.eks.describe_cluster().name(name).send()).await?;
    let Some(cluster) = answer.cluster() else { return Ok(EksCluster::default()) };
    let network = cluster.kubernetes_network_config();
    let ipv4 = network.and_then(|network| network.service_ipv4_cidr());
    Ok(EksCluster {
        arn: cluster.arn().map(str::to_owned),
        endpoint: cluster.endpoint().map(str::to_owned),
        ca_bundle: cluster.certificate_authority().and_then(|ca| ca.data()).map(str::to_owned),
        service_cidr: ipv4.or_else(|| network.and_then(|network| network.service_ipv6_cidr())).map(str::to_owned),
        version: cluster.version().map(str::to_owned),
    })
}
