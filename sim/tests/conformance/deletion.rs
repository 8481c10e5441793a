//! Deleting.

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::{bind, config_map, custom, namespace, node, node_claim, object, pod, refusal};

fn post() -> PostParams {
    PostParams::default()
}

/// Waits, for a while, until the object is gone: garbage collection of real servers takes its time.
async fn is_gone<K>(api: &Api<K>, name: &str) -> bool
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    for _ in 0..100 {
        if api.get_opt(name).await.unwrap().is_none() {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    false
}

fn owned(name: &str, owner: &ConfigMap, is_blocking: bool) -> ConfigMap {
    object(json!({ "metadata": { "name": name, "ownerReferences": [{ "apiVersion": "v1", "kind": "ConfigMap",
        "name": owner.name_any(), "uid": owner.uid(), "blockOwnerDeletion": is_blocking }] } }))
}

pub async fn a_finalizer_holds_an_object_back(client: Client) {
    let api = custom(&client, "NodeClaim");
    let mut claim = node_claim("d-finalizer");
    claim.finalizers_mut().push("karpenter.sh/termination".to_owned());
    api.create(&post(), &claim).await.unwrap();
    let going = api.delete("d-finalizer", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(going.metadata.deletion_timestamp.is_some());
    assert_eq!((going.metadata.deletion_grace_period_seconds, going.metadata.generation), (Some(0), Some(2)));
    // Deleting again changes nothing.
    let again = api.delete("d-finalizer", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(again.resource_version(), going.resource_version());
    let status = Patch::Merge(json!({ "status": { "nodeName": "n" } }));
    api.patch_status("d-finalizer", &PatchParams::default(), &status).await.unwrap();
    let release = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    api.patch("d-finalizer", &PatchParams::default(), &release).await.unwrap();
    assert_eq!(refusal(api.get("d-finalizer").await).code, 404);
}

pub async fn nothing_is_added_to_what_is_going(client: Client) {
    let api = custom(&client, "NodeClaim");
    let mut claim = node_claim("d-added");
    claim.finalizers_mut().push("karpenter.sh/termination".to_owned());
    api.create(&post(), &claim).await.unwrap();
    api.delete("d-added", &DeleteParams::default()).await.unwrap();
    let add = Patch::Merge(json!({ "metadata": { "finalizers": ["karpenter.sh/termination", "example.com/late"] } }));
    let status = refusal(api.patch("d-added", &PatchParams::default(), &add).await);
    assert_eq!(status.code, 422);
    assert!(
        status.message.contains("no new finalizers can be added if the object is being deleted"),
        "{}",
        status.message
    );
    let release = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    api.patch("d-added", &PatchParams::default(), &release).await.unwrap();
}

pub async fn a_precondition_guards_a_deletion(client: Client) {
    namespace(&client, "d-guard").await;
    let api: Api<ConfigMap> = Api::namespaced(client, "d-guard");
    let made = api.create(&post(), &config_map("a", "1")).await.unwrap();
    let of = |uid: Option<String>, resource_version: Option<String>| DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version }),
        ..DeleteParams::default()
    };
    assert_eq!(refusal(api.delete("a", &of(Some("another".to_owned()), None)).await).code, 409);
    assert_eq!(refusal(api.delete("a", &of(None, Some("1".to_owned()))).await).code, 409);
    let gone = api.delete("a", &of(made.uid(), made.resource_version())).await.unwrap().right().unwrap();
    assert_eq!(gone.details.unwrap().uid, made.uid().unwrap());
    assert_eq!(refusal(api.delete("a", &DeleteParams::default()).await).code, 404);
}

async fn bound_pod(client: &Client, in_namespace: &str) -> Api<Pod> {
    namespace(client, in_namespace).await;
    Api::<Node>::all(client.clone()).create(&post(), &node(in_namespace)).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), in_namespace);
    pods.create(&post(), &pod("a")).await.unwrap();
    bind(&pods, "a", in_namespace).await.unwrap();
    pods
}

pub async fn a_pod_on_a_node_gets_its_grace(client: Client) {
    let pods = bound_pod(&client, "d-grace").await;
    let going = pods.delete("a", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(going.metadata.deletion_grace_period_seconds, Some(30));
    let left = going.metadata.deletion_timestamp.unwrap().0.as_second()
        - going.metadata.creation_timestamp.unwrap().0.as_second();
    assert!((30..=40).contains(&left), "{left} s");
    let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    pods.delete("a", &now).await.unwrap();
    assert!(pods.get_opt("a").await.unwrap().is_none());
}

pub async fn a_pod_without_a_node_goes_at_once(client: Client) {
    namespace(&client, "d-unbound").await;
    let pods: Api<Pod> = Api::namespaced(client, "d-unbound");
    pods.create(&post(), &pod("a")).await.unwrap();
    pods.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(pods.get_opt("a").await.unwrap().is_none());
}

pub async fn dependents_follow_their_owner(client: Client) {
    namespace(&client, "d-follow").await;
    let api: Api<ConfigMap> = Api::namespaced(client, "d-follow");
    let a = api.create(&post(), &config_map("a", "1")).await.unwrap();
    let b = api.create(&post(), &owned("b", &a, false)).await.unwrap();
    api.create(&post(), &owned("c", &b, false)).await.unwrap();
    api.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(is_gone(&api, "b").await && is_gone(&api, "c").await);
    // An owner that is not there any more does not hold anything.
    let stray: ConfigMap = owned("stray", &a, false);
    api.create(&post(), &stray).await.unwrap();
    assert!(is_gone(&api, "stray").await);
}

pub async fn an_owner_in_the_foreground_waits(client: Client) {
    namespace(&client, "d-foreground").await;
    let api: Api<ConfigMap> = Api::namespaced(client, "d-foreground");
    let a = api.create(&post(), &config_map("a", "1")).await.unwrap();
    let mut held = owned("b", &a, true);
    held.finalizers_mut().push("example.com/held".to_owned());
    api.create(&post(), &held).await.unwrap();
    let foreground =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    let going = api.delete("a", &foreground).await.unwrap().left().unwrap();
    assert_eq!(going.finalizers(), ["foregroundDeletion"]);
    let mut is_following = false;
    for _ in 0..100 {
        is_following = api.get("b").await.unwrap().metadata.deletion_timestamp.is_some();
        if is_following {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(is_following && api.get_opt("a").await.unwrap().is_some());
    let release = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    api.patch("b", &PatchParams::default(), &release).await.unwrap();
    assert!(is_gone(&api, "b").await && is_gone(&api, "a").await);
}

pub async fn orphans_live_on(client: Client) {
    namespace(&client, "d-orphans").await;
    let api: Api<ConfigMap> = Api::namespaced(client, "d-orphans");
    let a = api.create(&post(), &config_map("a", "1")).await.unwrap();
    api.create(&post(), &owned("b", &a, true)).await.unwrap();
    let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    api.delete("a", &orphan).await.unwrap();
    assert!(is_gone(&api, "a").await);
    assert_eq!(api.get("b").await.unwrap().owner_references(), []);
}
