//! Builders for tests of pools.

use crds::node_pool::{NodeClaimTemplate, NodeClaimTemplateSpec, NodePoolSpec, TemplateMeta};
use crds::{NodeClassRef, NodePool, ObjectMeta};

/// A pool of the kwok class `default` that was created at second 0.
pub fn pool(name: &str) -> NodePool {
    let mut metadata = ObjectMeta::named(name);
    metadata.uid = Some(format!("uid-of-{name}"));
    metadata.generation = Some(1);
    metadata.creation_timestamp = Some("1970-01-01T00:00:00Z".to_owned());
    let node_class_ref = NodeClassRef {
        group: "karpenter.kwok.sh".to_owned(),
        kind: "KWOKNodeClass".to_owned(),
        name: "default".to_owned(),
    };
    let spec = NodeClaimTemplateSpec { node_class_ref, ..NodeClaimTemplateSpec::default() };
    let template = NodeClaimTemplate { metadata: TemplateMeta::default(), spec };
    NodePool {
        api_version: "karpenter.sh/v1".to_owned(),
        kind: "NodePool".to_owned(),
        metadata,
        spec: NodePoolSpec { template, disruption: None, limits: None, weight: None, replicas: None },
        status: None,
    }
}
