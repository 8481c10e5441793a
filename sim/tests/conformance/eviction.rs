//! Evicting.

use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Client;
use kube::api::{Api, EvictParams, Patch, PatchParams, PostParams};
use serde_json::json;

use super::{bind, namespace, node, object, pod, refusal};

/// `n` pods on a node, all ready.
async fn ready_pods(client: &Client, in_namespace: &str, n: usize) -> Api<Pod> {
    namespace(client, in_namespace).await;
    Api::<Node>::all(client.clone()).create(&PostParams::default(), &node(in_namespace)).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), in_namespace);
    for at in 0..n {
        let name = format!("a-{at}");
        pods.create(&PostParams::default(), &pod(&name)).await.unwrap();
        bind(&pods, &name, in_namespace).await.unwrap();
        let ready = json!({ "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] } });
        pods.patch_status(&name, &PatchParams::default(), &Patch::Strategic(ready)).await.unwrap();
    }
    pods
}

/// A budget, and the number of disruptions that it allows once its controller has counted.
async fn budget(client: &Client, in_namespace: &str, min_available: usize) -> i32 {
    let api: Api<PodDisruptionBudget> = Api::namespaced(client.clone(), in_namespace);
    let budget = json!({ "metadata": { "name": "web" }, "spec": { "minAvailable": min_available,
        "selector": { "matchLabels": { "app": "a" } } } });
    api.create(&PostParams::default(), &object(budget)).await.unwrap();
    for _ in 0..100 {
        let status = api.get("web").await.unwrap().status.unwrap_or_default();
        if status.observed_generation == Some(1) {
            return status.disruptions_allowed;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("nobody counts for the budget");
}

pub async fn a_budget_refuses_with_its_cause(client: Client) {
    let pods = ready_pods(&client, "e-refused", 2).await;
    assert_eq!(budget(&client, "e-refused", 2).await, 0);
    let status = refusal(pods.evict("a-0", &EvictParams::default()).await);
    assert_eq!((status.code, status.reason.as_str()), (429, "TooManyRequests"));
    assert_eq!(status.message, "Cannot evict pod as it would violate the pod's disruption budget.");
    let details = status.details.unwrap();
    assert_eq!(details.retry_after_seconds, 0);
    assert_eq!(details.causes[0].reason, "DisruptionBudget");
    assert_eq!(details.causes[0].message, "The disruption budget web needs 2 healthy pods and has 2 currently");
}

pub async fn an_eviction_that_is_allowed_deletes(client: Client) {
    let pods = ready_pods(&client, "e-allowed", 3).await;
    assert_eq!(budget(&client, "e-allowed", 2).await, 1);
    assert!(pods.evict("a-0", &EvictParams::default()).await.unwrap().is_success());
    assert!(pods.get("a-0").await.unwrap().metadata.deletion_timestamp.is_some());
    // The budget is used up.
    assert_eq!(refusal(pods.evict("a-1", &EvictParams::default()).await).code, 429);
    // A pod that is going already may be evicted once more.
    pods.evict("a-0", &EvictParams::default()).await.unwrap();
}

pub async fn a_pod_without_a_budget_is_evicted(client: Client) {
    let pods = ready_pods(&client, "e-free", 1).await;
    pods.evict("a-0", &EvictParams::default()).await.unwrap();
    assert!(pods.get("a-0").await.unwrap().metadata.deletion_timestamp.is_some());
    assert_eq!(refusal(pods.evict("nobody", &EvictParams::default()).await).code, 404);
}
