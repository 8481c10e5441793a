//! Listing and discovery.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, ListParams, PartialObjectMetaExt as _, PostParams};
use kube::core::PartialObjectMeta;
use kube::{Client, ResourceExt as _};

use super::{config_map, namespace, pod, refusal};

pub async fn a_list_is_cut_into_pages_of_one_version(client: Client) {
    namespace(&client, "l-pages").await;
    let api: Api<ConfigMap> = Api::namespaced(client, "l-pages");
    for name in ["a", "b", "c", "d", "e"] {
        api.create(&PostParams::default(), &config_map(name, "1")).await.unwrap();
    }
    let only = |params: ListParams| params.labels("!kubernetes.io/never");
    let first = api.list(&only(ListParams::default().limit(2))).await.unwrap();
    assert_eq!(first.iter().map(ConfigMap::name_any).collect::<Vec<_>>(), ["a", "b"]);
    // What happens between two pages is not seen.
    api.create(&PostParams::default(), &config_map("bb", "1")).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    let second = api.list(&only(ListParams::default().limit(2).continue_token(&token))).await.unwrap();
    assert_eq!(second.iter().map(ConfigMap::name_any).collect::<Vec<_>>(), ["c", "d"]);
    let token = second.metadata.continue_.unwrap();
    let third = api.list(&only(ListParams::default().limit(2).continue_token(&token))).await.unwrap();
    assert_eq!(third.metadata.continue_.unwrap_or_default(), "");
    assert_eq!(third.items.last().unwrap().name_any(), third.items.iter().map(ConfigMap::name_any).max().unwrap());
    assert!(api.list(&ListParams::default()).await.unwrap().iter().any(|map| map.name_any() == "bb"));
}

pub async fn labels_and_fields_select(client: Client) {
    namespace(&client, "l-select").await;
    let api: Api<Pod> = Api::namespaced(client, "l-select");
    for name in ["a", "b"] {
        let mut pod = pod(name);
        pod.labels_mut().insert("name".to_owned(), name.to_owned());
        api.create(&PostParams::default(), &pod).await.unwrap();
    }
    let names = |params: ListParams| {
        let api = api.clone();
        async move { api.list(&params).await.unwrap().iter().map(Pod::name_any).collect::<Vec<_>>() }
    };
    assert_eq!(names(ListParams::default().labels("app=a,name in (b, c)")).await, ["b"]);
    assert_eq!(names(ListParams::default().labels("name!=b,!gone")).await, ["a"]);
    assert_eq!(names(ListParams::default().fields("metadata.name=a")).await, ["a"]);
    assert_eq!(names(ListParams::default().fields("spec.nodeName=,status.phase=Pending")).await, ["a", "b"]);
    assert_eq!(names(ListParams::default().fields("spec.nodeName!=")).await, Vec::<String>::new());
    assert_eq!(refusal(api.list(&ListParams::default().fields("spec.priority=1")).await).code, 400);
}

pub async fn only_metadata_can_be_asked_for(client: Client) {
    namespace(&client, "l-metadata").await;
    let api: Api<ConfigMap> = Api::namespaced(client, "l-metadata");
    let made = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let got: PartialObjectMeta<ConfigMap> = api.get_metadata("a").await.unwrap();
    assert_eq!(got.types.as_ref().unwrap().kind, "PartialObjectMetadata");
    assert_eq!(got.uid(), made.uid());
    let list = api.list_metadata(&ListParams::default().fields("metadata.name=a")).await.unwrap();
    assert_eq!(list.items[0].uid(), made.uid());
    drop(made.metadata.into_request_partial::<ConfigMap>());
}

pub async fn an_unknown_path_is_not_found(client: Client) {
    let request = http::Request::get("/apis/nobody.example.com/v1/things").body(Vec::new()).unwrap();
    let status = refusal(client.request::<serde_json::Value>(request).await);
    assert_eq!(status.code, 404);
    assert_eq!(client.apiserver_version().await.unwrap().major, "1");
    let groups = client.list_api_groups().await.unwrap();
    assert!(groups.groups.iter().any(|group| group.name == "karpenter.sh"));
    let pods = client.list_core_api_resources("v1").await.unwrap();
    assert!(pods.resources.iter().any(|resource| resource.name == "pods" && resource.namespaced));
}
