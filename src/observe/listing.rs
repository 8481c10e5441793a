//! Reads the objects of a running cluster, once: every kind that matters, page by page.

use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use http::Request;
use serde_json::Value;

use super::InputError;
use super::error::Origin;
use super::kinds::{SERVED, Served};
use super::objects::{Builder, Objects, Validate};
use crate::client::{cause, escaped};

/// Objects of one page.
const PAGE: usize = 500;
/// Kinds that are read at a time.
const AT_ONCE: usize = 4;
/// For one page.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A list that runs out while it is read is begun again so often at most.
const MAX_STARTS: usize = 3;
/// Annotations that repeat the whole object.
const REPEATS: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// All objects of a cluster that a plan may depend on. Kinds that it does not serve are passed over with a note.
///
/// # Errors
/// When the server does not answer, or does not let us read.
pub async fn read(client: &kube::Client, cluster: &str) -> Result<Objects, InputError> {
    let lists = SERVED.iter().map(|served| async move { (served, list(client, served).await) });
    let mut lists = stream::iter(lists).buffered(AT_ONCE);
    let mut builder = Builder::new(Validate::Ignore);
    let mut notes = Vec::new();
    while let Some((served, listed)) = lists.next().await {
        match listed {
            Ok(items) => {
                for item in items {
                    builder.add(&Origin { file: cluster.into(), line: 1 }, item)?;
                }
            }
            // The core group is served by every Kubernetes.
            Err(kube::Error::Api(status)) if status.code == 404 && !served.group.is_empty() => {
                notes.push(format!("the cluster serves no {} ({})", served.name, served.api_version()));
            }
            Err(error) => return Err(refused(served, cluster, &error)),
        }
    }
    let mut objects = builder.finish();
    objects.notes.extend(notes);
    Ok(objects)
}

fn refused(served: &Served, cluster: &str, error: &kube::Error) -> InputError {
    let code = if let kube::Error::Api(status) = error { status.code } else { 0 };
    let remedy = match code {
        401 => "log in to the cluster anew, or read from files with -f".into(),
        403 => format!("let this user list {} in all namespaces, or read from files with -f", served.plural()),
        404 => "check that the kubeconfig names a Kubernetes API server: this one serves none of its kinds".into(),
        _ => "check that the cluster is reachable (kubectl get nodes), or read from files with -f".into(),
    };
    InputError::new(format!("{} cannot be listed: {}", served.plural(), cause(error))).file(cluster).remedy(remedy)
}

/// All objects of a kind, begun again when the list has run out between two pages.
async fn list(client: &kube::Client, served: &Served) -> Result<Vec<Value>, kube::Error> {
    let mut starts = 1;
    loop {
        match pages(client, served).await {
            Err(kube::Error::Api(status)) if status.code == 410 && starts < MAX_STARTS => starts += 1,
            other => return other,
        }
    }
}

async fn pages(client: &kube::Client, served: &Served) -> Result<Vec<Value>, kube::Error> {
    let mut items = Vec::new();
    let mut from = String::new();
    loop {
        let uri = format!("{}?limit={PAGE}{from}", served.path());
        let request = Request::get(uri).body(Vec::new()).map_err(kube::Error::HttpError)?;
        let page = tokio::time::timeout(TIMEOUT, client.request::<Value>(request)).await;
        let mut page = page.unwrap_or_else(|_| Err(kube::Error::Service(Box::new(NoAnswer))))?;
        if let Some(Value::Array(of_page)) = page.get_mut("items").map(Value::take) {
            items.extend(of_page.into_iter().map(|item| whole(item, served)));
        }
        match page.pointer("/metadata/continue").and_then(Value::as_str).filter(|token| !token.is_empty()) {
            Some(token) => from = format!("&continue={}", escaped(token)),
            None => return Ok(items),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", TIMEOUT.as_secs())]
struct NoAnswer;

/// Items of a list carry no kind; and what nobody reads of them is dropped at once.
fn whole(mut item: Value, served: &Served) -> Value {
    item["apiVersion"] = served.api_version().into();
    item["kind"] = served.name.into();
    if let Some(metadata) = item.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(REPEATS);
        }
    }
    item
}

impl Served {
    /// Lower case, many.
    fn plural(&self) -> String {
        let name = self.name.to_lowercase();
        if name.ends_with("class") { format!("{name}es") } else { format!("{name}s") }
    }

    fn path(&self) -> String {
        let root = if self.group.is_empty() { "api" } else { "apis" };
        format!("/{root}/{}/{}", self.api_version(), self.plural())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::Response;
    use http_body_util::Full;
    use kube::client::Body;
    use serde_json::json;

    use super::*;
    use crate::client::Clients;

    /// A server with three pods on two pages, of which the second is gone the first time, and nothing else; it serves
    /// no overlays.
    fn server() -> (Clients, Arc<Mutex<Vec<String>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = asked.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let uri = request.uri().to_string();
            let mut asked = kept.lock().unwrap();
            let was_asked = asked.contains(&uri);
            asked.push(uri.clone());
            let pod = |name: &str| json!({"metadata": {"name": name, "namespace": "shop", "managedFields": [{}]}, "spec": {"containers": []}});
            let no = |code: u16| (code, json!({"kind": "Status", "status": "Failure", "code": code}));
            let (code, answer) = match uri.as_str() {
                "/api/v1/pods?limit=500" => {
                    (200, json!({"items": [pod("a"), pod("b")], "metadata": {"continue": "x/="}}))
                }
                "/api/v1/pods?limit=500&continue=x%2F%3D" if was_asked => {
                    (200, json!({"items": [pod("c")], "metadata": {}}))
                }
                "/api/v1/pods?limit=500&continue=x%2F%3D" => no(410),
                "/apis/karpenter.sh/v1alpha1/nodeoverlays?limit=500" => no(404),
                _ => (200, json!({"items": [], "metadata": {}})),
            };
            let answer = Response::builder().status(code).body(Full::new(bytes::Bytes::from(answer.to_string())));
            async move { answer }
        });
        (Clients::from_service(service), asked)
    }

    #[tokio::test]
    async fn every_page_of_every_kind_is_read() {
        let (clients, asked) = server();
        let objects = read(&clients.client, "test").await.unwrap();
        let names: Vec<&str> = objects.pods.iter().map(|pod| &*pod.object.metadata.name).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(objects.notes, ["the cluster serves no NodeOverlay (karpenter.sh/v1alpha1)"]);
        let asked = asked.lock().unwrap();
        for path in [
            "/apis/storage.k8s.io/v1/csinodes",
            "/apis/node.k8s.io/v1/runtimeclasses",
            "/apis/karpenter.k8s.aws/v1/ec2nodeclasses",
        ] {
            assert!(asked.iter().any(|uri| uri.starts_with(&format!("{path}?"))), "{path}: {asked:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_knows_no_pods_is_no_cluster() {
        let service = tower::service_fn(|_: Request<Body>| async {
            Response::builder().status(404).body(Full::new(bytes::Bytes::from("404 page not found")))
        });
        let error = read(&Clients::from_service(service).client, "test").await.unwrap_err().to_string();
        assert!(error.contains("pods cannot be listed") && error.contains("names a Kubernetes API server"), "{error}");
    }

    #[tokio::test]
    async fn a_user_without_rights_is_told_what_is_missing() {
        let service = tower::service_fn(|_: Request<Body>| async {
            let answer =
                json!({"kind": "Status", "status": "Failure", "reason": "Forbidden", "message": "no", "code": 403});
            Response::builder().status(403).body(Full::new(bytes::Bytes::from(answer.to_string())))
        });
        let error = read(&Clients::from_service(service).client, "test").await.unwrap_err().to_string();
        assert!(
            error.contains("pods cannot be listed") && error.contains("remedy: let this user list pods"),
            "{error}"
        );
    }
}
