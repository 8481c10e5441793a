//! Does the API server serve the kinds without which there is nothing to do?

use std::time::Duration;

use http::Request;
use serde_json::Value;

use crate::client::{Clients, cause};
use crate::telemetry::http::Health;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(5);
/// For one look: whoever waits for the controller to get ready should soon read why it does not.
const PATIENCE: Duration = Duration::from_secs(10);
/// The kinds, as discovery names them.
const NEEDED: [&str; 2] = ["nodepools", "nodeclaims"];

/// Waits until `NodePool`s and `NodeClaim`s are served, and says in the log why it waits.
pub(super) async fn wait(clients: &Clients, health: &Health) {
    let mut said = String::new();
    loop {
        // Once: what is sent again and again meanwhile is not told.
        let missing = tokio::time::timeout(PATIENCE, missing(&clients.once)).await;
        match missing.unwrap_or_else(|_| Some(format!("no answer within {} s", PATIENCE.as_secs()))) {
            None => break,
            Some(why) if why != said => {
                tracing::error!(server = clients.server, why, "waiting for the API server");
                said = why;
            }
            Some(_) => {}
        }
        tokio::time::sleep(PERIOD).await;
    }
    health.kinds_served(true);
}

/// What stands in the way.
async fn missing(client: &kube::Client) -> Option<String> {
    let request = match Request::get("/apis/karpenter.sh/v1").body(Vec::new()) {
        Ok(request) => request,
        Err(error) => return Some(error.to_string()),
    };
    let remedy = "install the CustomResourceDefinitions: millwright crds | kubectl apply --server-side -f -";
    match client.request::<Value>(request).await {
        Ok(list) => {
            let served = list["resources"].as_array().cloned().unwrap_or_default();
            let is_served = |name: &&str| served.iter().any(|resource| resource["name"] == **name);
            let missing: Vec<&str> = NEEDED.into_iter().filter(|name| !is_served(name)).collect();
            (!missing.is_empty())
                .then(|| format!("{} of karpenter.sh/v1 are not served; {remedy}", missing.join(" and ")))
        }
        Err(kube::Error::Api(status)) if status.code == 404 => Some(format!("karpenter.sh/v1 is not served; {remedy}")),
        Err(error) => Some(cause(&error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::Response;
    use http_body_util::Full;
    use kube::client::Body;
    use serde_json::json;

    use super::*;
    #[tokio::test(start_paused = true)]
    async fn a_controller_waits_until_its_kinds_are_installed() {
        static N_ASKED: AtomicUsize = AtomicUsize::new(0);
        let clients = Clients::from_service(tower::service_fn(|_: Request<Body>| async {
            let (code, answer) = match N_ASKED.fetch_add(1, Ordering::Relaxed) {
                0 => (404, json!({"kind": "Status", "status": "Failure", "code": 404})),
                1 => (200, json!({"resources": [{"name": "nodepools"}]})),
                _ => (200, json!({"resources": [{"name": "nodepools"}, {"name": "nodeclaims"}]})),
            };
            Response::builder().status(code).body(Full::new(bytes::Bytes::from(answer.to_string())))
        }));
        let since = tokio::time::Instant::now();
        assert!(missing(&clients.once).await.unwrap().contains("millwright crds"));
        wait(&clients, &Health::default()).await;
        assert_eq!(since.elapsed(), PERIOD);
        assert_eq!(N_ASKED.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_is_asked_again() {
        static N_ASKED: AtomicUsize = AtomicUsize::new(0);
        let clients = Clients::from_service(tower::service_fn(|_: Request<Body>| async {
            if N_ASKED.fetch_add(1, Ordering::Relaxed) == 0 {
                std::future::pending::<()>().await;
            }
            let answer = json!({"resources": [{"name": "nodepools"}, {"name": "nodeclaims"}]}).to_string();
            Response::builder().body(Full::new(bytes::Bytes::from(answer)))
        }));
        let since = tokio::time::Instant::now();
        wait(&clients, &Health::default()).await;
        assert_eq!(since.elapsed(), PATIENCE + PERIOD);
    }
}
