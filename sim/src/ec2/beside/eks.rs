//! EKS: the cluster that nodes join.

use serde_json::{Value, json};

use super::super::refusal::Refusal;
use super::super::state::State;

/// The name of the cluster in all AWS.
pub fn arn(state: &State) -> String {
    let (cluster, region) = (&state.options.cluster, &state.region.name);
    format!("arn:aws:eks:{region}:{}:cluster/{cluster}", super::super::land::ACCOUNT)
}

/// `DescribeCluster`.
pub fn describe_cluster(state: &State, name: &str) -> Result<Value, Refusal> {
    let (cluster, region) = (&state.options.cluster, &state.region.name);
    state.authorize_beside("eks:DescribeCluster", arn(state).replace(cluster, name), &[], None)?;
    if name != cluster {
        return Err(Refusal::with_status(
            404,
            "ResourceNotFoundException",
            format!("No cluster found for name: {name}."),
        ));
    }
    Ok(json!({ "cluster": {
        "name": cluster,
        "arn": arn(state),
        "version": state.options.kubernetes,
        "status": "ACTIVE",
        "endpoint": format!("https://{cluster}.gr7.{region}.eks.amazonaws.com"),
        "certificateAuthority": { "data": "U0lNVUxBVEVE" },
        "kubernetesNetworkConfig": { "serviceIpv4Cidr": "10.100.0.0/16", "ipFamily": "ipv4" },
        "resourcesVpcConfig": { "vpcId": super::super::land::VPC },
    } }))
}
