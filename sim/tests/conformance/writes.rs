//! Creating and replacing.

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::{bind, config_map, custom, namespace, node, node_claim, node_pool, object, pod, refusal};

fn post() -> PostParams {
    PostParams::default()
}

fn dry_run() -> PostParams {
    PostParams { dry_run: true, field_manager: None }
}

pub async fn a_created_object_gets_what_only_the_server_gives(client: Client) {
    namespace(&client, "w-created").await;
    let api: Api<ConfigMap> = Api::namespaced(client, "w-created");
    let made = api.create(&post(), &config_map("a", "1")).await.unwrap();
    assert_eq!(made.uid().unwrap().len(), 36);
    assert!(made.resource_version().unwrap().parse::<u64>().unwrap() > 0);
    assert!(made.creation_timestamp().is_some());
    assert_eq!(made.namespace().as_deref(), Some("w-created"));
    assert_eq!(api.get("a").await.unwrap(), made);
}

pub async fn a_name_is_taken_once(client: Client) {
    namespace(&client, "w-taken").await;
    let api: Api<ConfigMap> = Api::namespaced(client, "w-taken");
    api.create(&post(), &config_map("a", "1")).await.unwrap();
    let status = refusal(api.create(&post(), &config_map("a", "2")).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "AlreadyExists"));
    assert_eq!(status.message, "configmaps \"a\" already exists");
    let status = refusal(api.get("b").await);
    assert_eq!((status.code, status.message.as_str()), (404, "configmaps \"b\" not found"));
}

pub async fn a_generated_name_begins_as_asked(client: Client) {
    namespace(&client, "w-generated").await;
    let api: Api<ConfigMap> = Api::namespaced(client, "w-generated");
    let map: ConfigMap = object(json!({ "metadata": { "generateName": "part-" } }));
    let (a, b) = (api.create(&post(), &map).await.unwrap(), api.create(&post(), &map).await.unwrap());
    assert!(a.name_any().starts_with("part-") && a.name_any().len() == 10, "{}", a.name_any());
    assert_ne!(a.name_any(), b.name_any());
}

pub async fn a_replacement_of_an_old_version_is_refused(client: Client) {
    namespace(&client, "w-replace").await;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "w-replace");
    let first = api.create(&post(), &config_map("a", "1")).await.unwrap();
    let mut second = first.clone();
    second.data = config_map("a", "2").data;
    api.replace("a", &post(), &second).await.unwrap();
    let status = refusal(api.replace("a", &post(), &second).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        status.message,
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to \
         the latest version and try again"
    );
    // Without a version, built-in kinds are replaced unconditionally and custom resources not at all.
    api.replace("a", &post(), &config_map("a", "3")).await.unwrap();
    let claims = custom(&client, "NodeClaim");
    claims.create(&post(), &node_claim("w-replace")).await.unwrap();
    assert_eq!(refusal(claims.replace("w-replace", &post(), &node_claim("w-replace")).await).code, 422);
}

pub async fn a_write_that_changes_nothing_makes_no_version(client: Client) {
    namespace(&client, "w-nothing").await;
    let api: Api<ConfigMap> = Api::namespaced(client, "w-nothing");
    let first = api.create(&post(), &config_map("a", "1")).await.unwrap();
    let again = api.replace("a", &post(), &first).await.unwrap();
    assert_eq!(again.resource_version(), first.resource_version());
    let patch = Patch::Merge(json!({ "data": { "x": "1" } }));
    let again = api.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(again.resource_version(), first.resource_version());
}

pub async fn a_dry_run_leaves_no_trace(client: Client) {
    namespace(&client, "w-dry").await;
    let api: Api<ConfigMap> = Api::namespaced(client, "w-dry");
    assert!(api.create(&dry_run(), &config_map("a", "1")).await.unwrap().uid().is_some());
    assert_eq!(refusal(api.get("a").await).code, 404);
    let first = api.create(&post(), &config_map("a", "1")).await.unwrap();
    let patch = Patch::Merge(json!({ "data": { "x": "2" } }));
    let tried = api.patch("a", &PatchParams { dry_run: true, ..PatchParams::default() }, &patch).await.unwrap();
    assert_eq!(tried.data.unwrap()["x"], "2");
    assert_eq!(api.get("a").await.unwrap(), first);
}

pub async fn a_namespace_must_be_there(client: Client) {
    let api: Api<ConfigMap> = Api::namespaced(client, "w-nowhere");
    let status = refusal(api.create(&post(), &config_map("a", "1")).await);
    assert_eq!((status.code, status.message.as_str()), (404, "namespaces \"w-nowhere\" not found"));
}

pub async fn status_and_spec_are_written_apart(client: Client) {
    let api = custom(&client, "NodeClaim");
    let mut claim = node_claim("w-apart");
    claim.data["status"] = json!({ "providerID": "kwok://x" });
    let made = api.create(&post(), &claim).await.unwrap();
    assert!(made.data.get("status").is_none_or(|status| status.get("providerID").is_none()));
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "a": "b" } }, "status": { "nodeName": "n" } }));
    let patched = api.patch_status("w-apart", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.data["status"]["nodeName"], "n");
    assert!(patched.labels().is_empty());
    let patched = api
        .patch(
            "w-apart",
            &PatchParams::default(),
            &Patch::Merge(json!({ "status": { "nodeName": "m" }, "metadata": { "labels": { "a": "b" } } })),
        )
        .await
        .unwrap();
    assert_eq!(patched.data["status"]["nodeName"], "n");
    assert_eq!(patched.labels()["a"], "b");
}

pub async fn the_generation_counts_changes_of_the_spec(client: Client) {
    let api = custom(&client, "NodePool");
    let made = api.create(&post(), &node_pool("w-generation")).await.unwrap();
    assert_eq!(made.metadata.generation, Some(1));
    let patch = |value| Patch::Merge(value);
    let params = PatchParams::default();
    let labels = patch(json!({ "metadata": { "labels": { "a": "b" } } }));
    assert_eq!(api.patch("w-generation", &params, &labels).await.unwrap().metadata.generation, Some(1));
    let weight = patch(json!({ "spec": { "weight": 7 } }));
    assert_eq!(api.patch("w-generation", &params, &weight).await.unwrap().metadata.generation, Some(2));
    let status = patch(json!({ "status": { "nodes": 3 } }));
    assert_eq!(api.patch_status("w-generation", &params, &status).await.unwrap().metadata.generation, Some(2));
}

pub async fn a_custom_resource_is_defaulted_and_pruned(client: Client) {
    let api = custom(&client, "NodePool");
    let mut pool = node_pool("w-defaulted");
    pool.data["spec"]["colour"] = "red".into();
    let made = api.create(&post(), &pool).await.unwrap();
    assert_eq!(made.data["spec"]["disruption"]["consolidationPolicy"], "WhenEmptyOrUnderutilized");
    assert_eq!(made.data["spec"]["template"]["spec"]["expireAfter"], "720h");
    assert!(made.data["spec"].get("colour").is_none());
}

pub async fn a_rule_of_a_crd_is_enforced_with_its_message(client: Client) {
    let api = custom(&client, "NodePool");
    let mut pool = node_pool("w-rule");
    pool.data["spec"]["template"]["spec"]["requirements"][0] =
        json!({ "key": "karpenter.sh/nodepool", "operator": "In", "values": ["x"] });
    let status = refusal(api.create(&post(), &pool).await);
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    assert!(status.message.contains("label \"karpenter.sh/nodepool\" is restricted"), "{}", status.message);
    let details = status.details.unwrap();
    assert_eq!(
        (details.name.as_str(), details.group.as_str(), details.kind.as_str()),
        ("w-rule", "karpenter.sh", "NodePool")
    );
    assert!(details.causes[0].field.starts_with("spec.template.spec.requirements"), "{}", details.causes[0].field);
}

pub async fn a_transition_rule_is_enforced(client: Client) {
    let api = custom(&client, "NodeClaim");
    api.create(&post(), &node_claim("w-transition")).await.unwrap();
    let patch = Patch::Merge(json!({ "spec": { "terminationGracePeriod": "30s" } }));
    let status = refusal(api.patch("w-transition", &PatchParams::default(), &patch).await);
    assert_eq!(status.code, 422);
    assert!(status.message.contains("spec is immutable"), "{}", status.message);
}

pub async fn a_node_is_tainted_until_it_is_ready(client: Client) {
    let api: Api<Node> = Api::all(client);
    let made = api.create(&post(), &node("w-tainted")).await.unwrap();
    let taints = made.spec.unwrap().taints.unwrap();
    assert!(taints.iter().any(|taint| taint.key == "node.kubernetes.io/not-ready" && taint.effect == "NoSchedule"));
}

pub async fn a_pod_is_bound_once(client: Client) {
    namespace(&client, "w-bound").await;
    let nodes: Api<Node> = Api::all(client.clone());
    nodes.create(&post(), &node("w-bound-1")).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client, "w-bound");
    pods.create(&post(), &pod("a")).await.unwrap();
    assert_eq!(bind(&pods, "a", "w-bound-1").await.unwrap()["status"], "Success");
    let status = refusal(bind(&pods, "a", "w-bound-2").await);
    assert_eq!(status.code, 409);
    assert!(status.message.contains("pod a is already assigned to node \"w-bound-1\""), "{}", status.message);
    let bound = pods.get("a").await.unwrap();
    assert_eq!(bound.spec.unwrap().node_name.as_deref(), Some("w-bound-1"));
    let conditions = bound.status.unwrap().conditions.unwrap();
    assert!(conditions.iter().any(|c| c.type_ == "PodScheduled" && c.status == "True"));
}

pub async fn a_bound_pod_takes_the_zone_of_its_node(client: Client) {
    namespace(&client, "w-zone").await;
    Api::<Node>::all(client.clone()).create(&post(), &node("w-zone-1")).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client, "w-zone");
    pods.create(&post(), &pod("a")).await.unwrap();
    bind(&pods, "a", "w-zone-1").await.unwrap();
    assert_eq!(pods.get("a").await.unwrap().labels()["topology.kubernetes.io/zone"], "zone-a");
}

pub async fn a_nomination_is_taken_for_a_pending_pod_only(client: Client) {
    namespace(&client, "w-nominated").await;
    Api::<Node>::all(client.clone()).create(&post(), &node("w-nominated-1")).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client, "w-nominated");
    pods.create(&post(), &pod("a")).await.unwrap();
    let nominate = Patch::Merge(json!({ "status": { "nominatedNodeName": "not-there-yet" } }));
    let nominated = pods.patch_status("a", &PatchParams::default(), &nominate).await.unwrap();
    assert_eq!(nominated.status.unwrap().nominated_node_name.as_deref(), Some("not-there-yet"));
    bind(&pods, "a", "w-nominated-1").await.unwrap();
    let again = Patch::Merge(json!({ "status": { "nominatedNodeName": "another" } }));
    assert_eq!(refusal(pods.patch_status("a", &PatchParams::default(), &again).await).code, 422);
}
