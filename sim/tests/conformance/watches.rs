//! Watching.

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::{config_map, namespace, pod, refusal};

/// What an event says: `+a` came, `~a` changed, `-a` went, `.` a bookmark, `!410` an error.
fn words<K: kube::Resource>(event: &WatchEvent<K>) -> String {
    match event {
        WatchEvent::Added(object) => format!("+{}", object.name_any()),
        WatchEvent::Modified(object) => format!("~{}", object.name_any()),
        WatchEvent::Deleted(object) => format!("-{}", object.name_any()),
        WatchEvent::Bookmark(_) => ".".to_owned(),
        WatchEvent::Error(status) => format!("!{}", status.code),
    }
}

pub async fn a_watch_tells_of_every_change_in_order(client: Client) {
    namespace(&client, "s-order").await;
    let api: Api<ConfigMap> = Api::namespaced(client, "s-order");
    let version = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let params = WatchParams::default().timeout(20).fields("metadata.name=a").disable_bookmarks();
    let watch = api.watch(&params, &version).await.unwrap();
    api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    api.create(&PostParams::default(), &config_map("b", "1")).await.unwrap();
    let patch = Patch::Merge(json!({ "data": { "x": "2" } }));
    let changed = api.patch("a", &PatchParams::default(), &patch).await.unwrap();
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let events: Vec<_> = watch.take(3).try_collect().await.unwrap();
    assert_eq!(events.iter().map(words).collect::<Vec<_>>(), ["+a", "~a", "-a"]);
    let (WatchEvent::Modified(second), WatchEvent::Deleted(third)) = (&events[1], &events[2]) else { unreachable!() };
    assert_eq!(second.resource_version(), changed.resource_version());
    let number = |map: &ConfigMap| map.resource_version().unwrap().parse::<u64>().unwrap();
    assert!(number(third) > number(second));
    assert_eq!(third.data.as_ref().unwrap()["x"], "2");
}

pub async fn a_watch_resumes_where_it_left_off(client: Client) {
    namespace(&client, "s-resume").await;
    let api: Api<ConfigMap> = Api::namespaced(client, "s-resume");
    let a = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    api.create(&PostParams::default(), &config_map("b", "1")).await.unwrap();
    let params = WatchParams::default().timeout(20).labels("!never").disable_bookmarks();
    let watch = api.watch(&params, &a.resource_version().unwrap()).await.unwrap();
    let events: Vec<_> =
        watch.try_filter(|event| std::future::ready(words(event).len() == 2)).take(1).try_collect().await.unwrap();
    assert_eq!(words(&events[0]), "+b");
    // A version that no server remembers.
    let watch = api.watch(&WatchParams::default().timeout(20), "1").await.unwrap();
    let events: Vec<_> = watch.take(1).try_collect().await.unwrap();
    assert!(matches!(words(&events[0]).as_str(), "!410" | "+kube-root-ca.crt" | "+a"), "{}", words(&events[0]));
}

pub async fn a_selecting_watch_sees_objects_come_and_go(client: Client) {
    namespace(&client, "s-select").await;
    let api: Api<Pod> = Api::namespaced(client, "s-select");
    let version = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let params = WatchParams::default().timeout(20).labels("app=chosen").disable_bookmarks();
    let watch = api.watch(&params, &version).await.unwrap();
    api.create(&PostParams::default(), &pod("a")).await.unwrap();
    let label = |value: &str| Patch::Merge(json!({ "metadata": { "labels": { "app": value } } }));
    for value in ["chosen", "chosen-not", "chosen"] {
        api.patch("a", &PatchParams::default(), &label(value)).await.unwrap();
    }
    let events: Vec<_> = watch.take(3).try_collect().await.unwrap();
    assert_eq!(events.iter().map(words).collect::<Vec<_>>(), ["+a", "-a", "+a"]);
}

pub async fn a_streaming_list_ends_with_a_mark(client: Client) {
    namespace(&client, "s-stream").await;
    let api: Api<Pod> = Api::namespaced(client, "s-stream");
    for name in ["a", "b"] {
        api.create(&PostParams::default(), &pod(name)).await.unwrap();
    }
    let watch = api.watch(&WatchParams::default().timeout(20).initial_events(), "0").await.unwrap();
    let mut watch = std::pin::pin!(watch);
    let mut first = Vec::new();
    let mark = loop {
        match watch.try_next().await.unwrap().unwrap() {
            WatchEvent::Bookmark(mark) => break mark,
            event => first.push(words(&event)),
        }
    };
    first.sort();
    assert_eq!(first, ["+a", "+b"]);
    assert_eq!(mark.metadata.annotations["k8s.io/initial-events-end"], "true");
    assert_eq!(mark.types.kind, "Pod");
    api.create(&PostParams::default(), &pod("c")).await.unwrap();
    assert_eq!(words(&watch.try_next().await.unwrap().unwrap()), "+c");
}

pub async fn initial_events_need_a_version_match(client: Client) {
    let uri = "/api/v1/pods?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&timeoutSeconds=1";
    let request = http::Request::get(uri).body(Vec::new()).unwrap();
    let status = refusal(client.request_text(request).await);
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
}

pub async fn a_watch_ends_when_its_time_is_up(client: Client) {
    namespace(&client, "s-timeout").await;
    let api: Api<Pod> = Api::namespaced(client, "s-timeout");
    let version = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let watch = api.watch(&WatchParams::default().timeout(1), &version).await.unwrap();
    let events: Vec<_> = watch.try_collect().await.unwrap();
    assert!(events.iter().all(|event| words(event) == "."));
}
