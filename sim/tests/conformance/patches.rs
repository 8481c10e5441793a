//! Patching.

use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::{config_map, custom, namespace, node, node_claim, refusal};

async fn map(client: &Client, in_namespace: &str) -> Api<ConfigMap> {
    namespace(client, in_namespace).await;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), in_namespace);
    api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    api
}

pub async fn a_merge_patch_removes_what_is_null(client: Client) {
    let api = map(&client, "p-merge").await;
    let patch = Patch::Merge(json!({ "data": { "x": null, "y": "2" }, "metadata": { "labels": { "l": "m" } } }));
    let patched = api.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.data.clone().unwrap().into_iter().collect::<Vec<_>>(), [("y".to_owned(), "2".to_owned())]);
    assert_eq!(patched.labels()["l"], "m");
}

pub async fn a_patch_of_an_old_version_is_refused(client: Client) {
    let api = map(&client, "p-old").await;
    let version = api.get("a").await.unwrap().resource_version().unwrap();
    let patch = |x: &str| Patch::Merge(json!({ "metadata": { "resourceVersion": version }, "data": { "x": x } }));
    api.patch("a", &PatchParams::default(), &patch("2")).await.unwrap();
    assert_eq!(refusal(api.patch("a", &PatchParams::default(), &patch("3")).await).code, 409);
    assert_eq!(refusal(api.patch("b", &PatchParams::default(), &patch("3")).await).code, 404);
}

pub async fn a_json_patch_tests_before_it_changes(client: Client) {
    let api = map(&client, "p-json").await;
    let patch = |from: &str, to: &str| {
        let patch: json_patch::Patch = serde_json::from_value(json!([
            { "op": "test", "path": "/data/x", "value": from }, { "op": "replace", "path": "/data/x", "value": to }]))
        .unwrap();
        Patch::<()>::Json(patch)
    };
    let params = PatchParams::default();
    assert_eq!(api.patch("a", &params, &patch("1", "2")).await.unwrap().data.unwrap()["x"], "2");
    assert_eq!(refusal(api.patch("a", &params, &patch("1", "3")).await).code, 422);
    assert_eq!(api.get("a").await.unwrap().data.unwrap()["x"], "2");
}

pub async fn a_strategic_patch_merges_conditions_by_type(client: Client) {
    let api: Api<Node> = Api::all(client);
    api.create(&PostParams::default(), &node("p-strategic")).await.unwrap();
    let condition = |of: &str, status: &str| {
        let condition = json!({ "type": of, "status": status, "lastHeartbeatTime": null, "lastTransitionTime": null });
        Patch::Strategic(json!({ "status": { "conditions": [condition] } }))
    };
    let params = PatchParams::default();
    for (of, status) in [("One", "False"), ("Two", "True"), ("One", "True")] {
        api.patch_status("p-strategic", &params, &condition(of, status)).await.unwrap();
    }
    let conditions = api.get("p-strategic").await.unwrap().status.unwrap().conditions.unwrap();
    let found: Vec<_> = conditions.iter().filter(|c| c.type_ == "One" || c.type_ == "Two").collect();
    assert_eq!(found.iter().map(|c| c.status.as_str()).collect::<Vec<_>>(), ["True", "True"]);
}

pub async fn custom_resources_take_no_strategic_patch(client: Client) {
    let api = custom(&client, "NodeClaim");
    api.create(&PostParams::default(), &node_claim("p-custom")).await.unwrap();
    let patch = Patch::Strategic(json!({ "metadata": { "labels": { "a": "b" } } }));
    assert_eq!(refusal(api.patch("p-custom", &PatchParams::default(), &patch).await).code, 415);
}

pub async fn an_apply_takes_back_what_it_no_longer_says(client: Client) {
    let api = map(&client, "p-apply").await;
    let apply = |data: serde_json::Value| {
        Patch::Apply(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": data }))
    };
    let params = PatchParams::apply("me");
    api.patch("a", &params, &apply(json!({ "y": "1", "z": "1" }))).await.unwrap();
    let applied = api.patch("a", &params, &apply(json!({ "z": "2" }))).await.unwrap();
    let data: Vec<_> = applied.data.unwrap().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(data, ["x=1", "z=2"]);
    // An apply also creates.
    let new = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "new" }, "data": { "x": "1" } });
    assert!(api.patch("new", &params, &Patch::Apply(new)).await.unwrap().uid().is_some());
}

pub async fn an_apply_meets_another_manager(client: Client) {
    let api = map(&client, "p-managers").await;
    let apply = |x: &str| {
        Patch::Apply(
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "b" }, "data": { "x": x } }),
        )
    };
    api.patch("b", &PatchParams::apply("me"), &apply("1")).await.unwrap();
    let status = refusal(api.patch("b", &PatchParams::apply("other"), &apply("2")).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let cause = &status.details.unwrap().causes[0];
    assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("FieldManagerConflict", ".data.x"));
    let forced = api.patch("b", &PatchParams::apply("other").force(), &apply("2")).await.unwrap();
    assert_eq!(forced.data.unwrap()["x"], "2");
}
