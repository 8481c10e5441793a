//! EKS: the cluster that nodes join.

use serde_json::{Value, json};

use super::super::refusal::Refusal;
use super::super::state::State;

/// `DescribeCluster`.
pub fn describe_cluster(state: &State, name: &str) -> Result<Value, Refusal> {
    let (cluster, region) = (&state.options.cluster, &state.region.name);
    if name != cluster {
        return Err(Refusal::with_status(
            404,
            "ResourceNotFoundException",
            format!("No cluster found for name: {name}."),
        ));
    }
    Ok(json!({ "cluster": {
        "name": cluster,
        "arn": format!("arn:aws:eks:{region}:{}:cluster/{cluster}", super::super::land::ACCOUNT),
        "version": "1.35",
        "status": "ACTIVE",
        "endpoint": format!("https://{cluster}.gr7.{region}.eks.amazonaws.com"),
        "certificateAuthority": { "data": "U0lNVUxBVEVE" },
        "kubernetesNetworkConfig": { "serviceIpv4Cidr": "10.100.0.0/16", "ipFamily": "ipv4" },
        "resourcesVpcConfig": { "vpcId": super::super::land::VPC },
    } }))
}
