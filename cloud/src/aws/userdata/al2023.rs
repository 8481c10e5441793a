//! Amazon Linux 2023: a `NodeConfig` for nodeadm, after whatever the class adds.
//!
//! <https://awslabs.github.io/amazon-eks-ami/nodeadm/doc/api/>

use serde_json::{Map, Value, json};

use super::mime::{self, Part};
use super::yaml;
use super::{UserData, UserDataError, effect};

/// The class's parts first; nodeadm merges, and what comes last wins.
pub(super) fn text(data: &UserData<'_>) -> Result<String, UserDataError> {
    let mut parts = match data.custom.filter(|custom| !custom.trim().is_empty()) {
        None => Vec::new(),
        // Of their headers the content type, as by Karpenter.
        Some(custom) if mime::is_multipart(custom) => {
            mime::parts(custom)?.into_iter().map(|part| Part::new(&part.kind, part.text)).collect()
        }
        Some(custom) => {
            let kind = if is_mapping(custom) { mime::NODE_CONFIG } else { mime::SHELL };
            vec![Part::new(kind, custom.to_owned())]
        }
    };
    let cidr = data.cluster.service_cidr.as_deref().ok_or(UserDataError::NoServiceCidr)?;
    let config = format!("# Karpenter Generated NodeConfig\n{}", yaml::write(&node_config(data, cidr)));
    parts.push(Part::new(mime::NODE_CONFIG, config));
    Ok(mime::join(&parts))
}

/// Whether it is YAML, of which JSON is a part, that maps keys to values.
fn is_mapping(text: &str) -> bool {
    let documents = || serde_saphyr::from_multiple::<Map<String, Value>>(text);
    !text.trim_start().starts_with("#!") && documents().is_ok_and(|all| !all.is_empty())
}

fn node_config(data: &UserData<'_>, cidr: &str) -> Value {
    let cluster = data.cluster;
    let of_cluster = json!({
        "name": cluster.name,
        "apiServerEndpoint": cluster.endpoint,
        "certificateAuthority": cluster.ca_bundle,
        "cidr": cidr,
    });
    let labels: Vec<String> = data.node_labels().iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut storage = json!({});
    if data.raid0 {
        storage["strategy"] = json!("RAID0");
    }
    json!({
        "apiVersion": "node.eks.aws/v1alpha1",
        "kind": "NodeConfig",
        "metadata": {},
        "spec": {
            "cluster": of_cluster,
            "containerd": {},
            "instance": { "localStorage": storage },
            "kubelet": { "config": config(data), "flags": [format!("--node-labels=\"{}\"", labels.join(","))] },
        },
    })
}

/// The class's kubelet settings with what we know better.
fn config(data: &UserData<'_>) -> Value {
    let mut config: Map<String, Value> = data.kubelet.clone();
    config.insert("maxPods".into(), json!(data.max_pods));
    let dns = data.dns();
    if !dns.is_empty() {
        config.insert("clusterDNS".into(), json!(dns));
    }
    let taints = data.node_taints();
    let taints = taints.iter().map(|taint| {
        let mut one = json!({ "effect": effect(taint.effect), "key": &*taint.key });
        if !taint.value.is_empty() {
            one["value"] = json!(&*taint.value);
        }
        one
    });
    config.insert("registerWithTaints".into(), taints.collect());
    Value::Object(config)
}
