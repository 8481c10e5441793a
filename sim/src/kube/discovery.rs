//! What a client asks before it asks for objects: version, health, groups and kinds.

use serde_json::{Value, json};

use super::resource::{self, Resource};
use super::status::Status;

/// The version that the server says it has, and by which its behaviour was modelled.
pub const VERSION: &str = "v1.35.4";

/// The answer to a path that is not about objects; text is not JSON.
pub(super) fn answer(path: &str) -> Result<Value, Status> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => Ok("ok".into()),
        ["version"] => {
            Ok(json!({ "major": "1", "minor": "35", "gitVersion": VERSION, "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "2026-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "sim" }))
        }
        ["api"] => Ok(json!({ "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": "sim" }] })),
        ["apis"] => {
            let groups: Vec<Value> = groups().into_iter().map(|(group, version)| group_of(group, version)).collect();
            Ok(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }))
        }
        ["apis", group] => {
            let known = groups().into_iter().find(|(name, _)| name == group);
            let (group, version) = known.ok_or_else(Status::no_such_path)?;
            let mut value = group_of(group, version);
            value["kind"] = "APIGroup".into();
            value["apiVersion"] = "v1".into();
            Ok(value)
        }
        ["api", version] => resources("", version),
        ["apis", group, version] => resources(group, version),
        _ => Err(Status::no_such_path()),
    }
}

fn groups() -> Vec<(&'static str, &'static str)> {
    let mut groups: Vec<_> =
        resource::all().iter().map(|r| (r.group, r.version)).filter(|(g, _)| !g.is_empty()).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn group_of(group: &str, version: &str) -> Value {
    let version = json!({ "groupVersion": format!("{group}/{version}"), "version": version });
    json!({ "name": group, "versions": [version], "preferredVersion": version })
}

fn resources(group: &str, version: &str) -> Result<Value, Status> {
    let of_group: Vec<_> = resource::all().iter().filter(|r| r.group == group && r.version == version).collect();
    let Some(first) = of_group.first() else { return Err(Status::no_such_path()) };
    let mut list = Vec::new();
    for resource in &of_group {
        let verbs = json!(["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]);
        list.push(entry(resource, "", resource.kind, &verbs));
        if resource.has_status {
            list.push(entry(resource, "/status", resource.kind, &json!(["get", "patch", "update"])));
        }
        if resource.kind == "Pod" {
            list.push(entry(resource, "/binding", "Binding", &json!(["create"])));
            list.push(entry(resource, "/eviction", "Eviction", &json!(["create"])));
        }
    }
    let group_version = first.api_version();
    Ok(json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list }))
}

fn entry(resource: &Resource, subresource: &str, kind: &str, verbs: &Value) -> Value {
    json!({ "name": format!("{}{subresource}", resource.plural), "singularName": resource.kind.to_lowercase(),
        "namespaced": resource.is_namespaced, "kind": kind, "verbs": verbs })
}
