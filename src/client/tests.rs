//! The clients over a server that answers from a list.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::{PostParams, WatchParams};

use super::*;

/// Answers with the listed codes and counts the requests; 0 breaks the connection, 1 never answers, then all is well.
fn server(codes: &[u16]) -> (Clients, Metrics, Arc<Mutex<usize>>) {
    let codes = Arc::new(Mutex::new(codes.iter().copied().collect::<VecDeque<_>>()));
    let n_requests = Arc::new(Mutex::new(0));
    let counted = n_requests.clone();
    let service = service_fn(move |_: Request<Body>| {
        *counted.lock().unwrap() += 1;
        let code = codes.lock().unwrap().pop_front().unwrap_or(200);
        async move {
            if code == 0 {
                return Err(std::io::Error::other("broken"));
            }
            if code == 1 {
                std::future::pending::<()>().await;
            }
            let body = match code {
                200 | 201 => r#"{"metadata":{"name":"shop"}}"#.to_owned(),
                code => format!(
                    r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"m","reason":"r","code":{code}}}"#
                ),
            };
            let answer = Response::builder().status(code).header("retry-after", "1");
            Ok(answer.body(http_body_util::Full::new(Bytes::from(body))).unwrap())
        }
    });
    let metrics = Metrics::new();
    (Clients::metered(service, &metrics), metrics, n_requests)
}

fn config_map() -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.name = Some("shop".into());
    map
}

#[tokio::test(start_paused = true)]
async fn a_read_is_sent_again_until_the_server_has_time() {
    let (clients, metrics, n_requests) = server(&[429, 503, 0]);
    Api::<Namespace>::all(clients.client).get("shop").await.unwrap();
    assert_eq!(*n_requests.lock().unwrap(), 4);
    let text = metrics.render();
    assert!(text.contains("millwright_api_retries_total{cause=\"429\",method=\"GET\"} 1"), "{text}");
    assert!(text.contains("rest_client_requests_total{code=\"200\",host=\"memory\",method=\"GET\"} 1"), "{text}");
    assert!(text.contains("client_go_request_total{code=\"<error>\",method=\"GET\"} 1"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_create_is_sent_once_by_either_client() {
    let (clients, _, n_requests) = server(&[504, 0]);
    let maps: Api<ConfigMap> = Api::default_namespaced(clients.client);
    maps.create(&PostParams::default(), &config_map()).await.unwrap_err();
    let maps: Api<ConfigMap> = Api::default_namespaced(clients.once);
    maps.create(&PostParams::default(), &config_map()).await.unwrap_err();
    assert_eq!(*n_requests.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_client_that_sends_once_hands_the_refusal_on() {
    let (clients, _, n_requests) = server(&[429]);
    let error = Api::<Namespace>::all(clients.once).get("shop").await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.code == 429));
    assert_eq!(*n_requests.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_busy_is_given_up_in_the_end() {
    let (clients, _, n_requests) = server(&[503; 50]);
    Api::<Namespace>::all(clients.client).get("shop").await.unwrap_err();
    assert_eq!(*n_requests.lock().unwrap(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_ends() {
    let (clients, _, _) = server(&[1]);
    let since = tokio::time::Instant::now();
    let error = Api::<Namespace>::all(clients.once).get("shop").await.unwrap_err();
    assert!(format!("{error:?}").contains("NoAnswer"), "{error:?}");
    assert_eq!(since.elapsed(), REQUEST_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_watch_is_not_sent_again() {
    let (clients, _, n_requests) = server(&[503]);
    let namespaces = Api::<Namespace>::all(clients.client);
    assert!(namespaces.watch(&WatchParams::default(), "0").await.is_err());
    assert_eq!(*n_requests.lock().unwrap(), 1);
}
