//! What a controller of nodes relies on in an API server, as functions over a client: they hold for the server in memory
//! and can be run against a real one.
//!
//! Every case works in a namespace and with names of its own, so that cases can share a server. On a real server, node
//! agents and controllers may be at work: the cases use pods that no scheduler takes and objects that no controller touches.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a case that meets what it did not expect has failed")]

pub mod deletion;
pub mod eviction;
pub mod lists;
pub mod patches;
pub mod watches;
pub mod writes;

use std::pin::Pin;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod};
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind, Status};
use kube::{Client, Error};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A case under its name.
pub type Case = (&'static str, fn(Client) -> Pin<Box<dyn Future<Output = ()> + Send>>);

macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => {
        /// Every case.
        pub const CASES: &[Case] = &[$((stringify!($name), |client| Box::pin($module::$name(client)))),*];
    };
}

cases![
    writes::a_created_object_gets_what_only_the_server_gives,
    writes::a_name_is_taken_once,
    writes::a_generated_name_begins_as_asked,
    writes::a_replacement_of_an_old_version_is_refused,
    writes::a_write_that_changes_nothing_makes_no_version,
    writes::a_dry_run_leaves_no_trace,
    writes::a_namespace_must_be_there,
    writes::status_and_spec_are_written_apart,
    writes::the_generation_counts_changes_of_the_spec,
    writes::a_custom_resource_is_defaulted_and_pruned,
    writes::a_rule_of_a_crd_is_enforced_with_its_message,
    writes::a_transition_rule_is_enforced,
    writes::a_node_is_tainted_until_it_is_ready,
    writes::a_pod_is_bound_once,
    writes::a_bound_pod_takes_the_zone_of_its_node,
    writes::a_nomination_is_taken_for_a_pending_pod_only,
    patches::a_merge_patch_removes_what_is_null,
    patches::a_patch_of_an_old_version_is_refused,
    patches::a_json_patch_tests_before_it_changes,
    patches::a_strategic_patch_merges_conditions_by_type,
    patches::custom_resources_take_no_strategic_patch,
    patches::an_apply_takes_back_what_it_no_longer_says,
    patches::an_apply_meets_another_manager,
    lists::a_list_is_cut_into_pages_of_one_version,
    lists::labels_and_fields_select,
    lists::only_metadata_can_be_asked_for,
    lists::an_unknown_path_is_not_found,
    watches::a_watch_tells_of_every_change_in_order,
    watches::a_watch_resumes_where_it_left_off,
    watches::a_selecting_watch_sees_objects_come_and_go,
    watches::a_streaming_list_ends_with_a_mark,
    watches::initial_events_need_a_version_match,
    watches::a_watch_ends_when_its_time_is_up,
    deletion::a_finalizer_holds_an_object_back,
    deletion::nothing_is_added_to_what_is_going,
    deletion::a_precondition_guards_a_deletion,
    deletion::a_pod_on_a_node_gets_its_grace,
    deletion::a_pod_without_a_node_goes_at_once,
    deletion::dependents_follow_their_owner,
    deletion::an_owner_in_the_foreground_waits,
    deletion::orphans_live_on,
    eviction::a_budget_refuses_with_its_cause,
    eviction::an_eviction_that_is_allowed_deletes,
    eviction::a_pod_without_a_budget_is_evicted,
];

/// Makes a namespace for a case.
pub async fn namespace(client: &Client, name: &str) {
    let namespace = object::<Namespace>(json!({ "metadata": { "name": name } }));
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
}

/// A typed object from JSON.
pub fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

pub fn config_map(name: &str, x: &str) -> ConfigMap {
    object(json!({ "metadata": { "name": name }, "data": { "x": x } }))
}

/// A pod that no scheduler takes.
pub fn pod(name: &str) -> Pod {
    object(json!({ "metadata": { "name": name, "labels": { "app": "a" } }, "spec": {
        "schedulerName": "nobody", "containers": [{ "name": "main", "image": "pause" }] } }))
}

pub fn node(name: &str) -> Node {
    object(json!({ "metadata": { "name": name, "labels": { "topology.kubernetes.io/zone": "zone-a" } } }))
}

/// A kind of ours, untyped.
pub fn custom(client: &Client, kind: &str) -> Api<DynamicObject> {
    let (group, version) = match kind {
        "KWOKNodeClass" => ("karpenter.kwok.sh", "v1alpha1"),
        _ => ("karpenter.sh", "v1"),
    };
    let plural = match kind {
        "KWOKNodeClass" => "kwoknodeclasses".to_owned(),
        _ => format!("{}s", kind.to_lowercase()),
    };
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), &plural);
    Api::all_with(client.clone(), &resource)
}

pub fn node_claim(name: &str) -> DynamicObject {
    object(json!({ "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "metadata": { "name": name }, "spec": {
        "requirements": [{ "key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"] }],
        "nodeClassRef": { "group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default" } } }))
}

pub fn node_pool(name: &str) -> DynamicObject {
    object(
        json!({ "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": name }, "spec": { "template": { "spec": {
        "requirements": [{ "key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"] }],
        "nodeClassRef": { "group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default" } } } } }),
    )
}

/// The refusal of the server.
pub fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> Status {
    match result {
        Err(Error::Api(status)) => *status,
        other => panic!("no refusal but {other:?}"),
    }
}

/// Assigns a pod to a node.
pub async fn bind(pods: &Api<Pod>, pod: &str, node: &str) -> Result<Value, Error> {
    let binding = json!({ "metadata": { "name": pod }, "target": { "kind": "Node", "name": node } });
    pods.create_subresource("binding", pod, &PostParams::default(), &binding).await
}
