//! Pods as the mirror keeps them, for tests.

use serde_json::json;

use crate::observe::k8s;
use crate::observe::mirror::{Kind, Mirror, Object, Pod};

/// A pod without a node (`namespace/name`), for which one may be bought.
pub fn pod(key: &str, created: i64) -> Pod {
    let (namespace, name) = key.split_once('/').unwrap();
    let mirror = Mirror::new(&[Kind::Pod]);
    let at = jiff::Timestamp::from_second(created).unwrap().to_string();
    let written = json!({
        "metadata": {"namespace": namespace, "name": name, "uid": format!("u-{name}"), "creationTimestamp": at},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
        "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
    });
    let pod: k8s::Pod = serde_json::from_value(written).unwrap();
    mirror.apply(Object::Pod(Box::new(pod)));
    mirror.pod(namespace, name).as_deref().cloned().unwrap()
}
