//! The endpoints, asked as a client would.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::config::DebugEndpoints;
use crate::observe::{Options, Validate, files, snapshot};
use crate::recording::Recording;

async fn ask(router: Router, peer: &str, path: &str) -> (StatusCode, Vec<u8>) {
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
    let answer = router.oneshot(request).await.unwrap();
    let status = answer.status();
    (status, answer.into_body().collect().await.unwrap().to_bytes().to_vec())
}

const HERE: &str = "127.0.0.1:4000";
const ELSEWHERE: &str = "10.0.0.7:4000";

/// Endpoints of a controller that has planned the shop.
fn shop(who: DebugEndpoints, profiling: bool) -> Router {
    static PLANNED: LazyLock<Planned> = LazyLock::new(|| {
        let objects = files::read(&["examples/shop"], Validate::Strict).unwrap();
        let snapshot = Arc::new(snapshot(objects, &Options { effort: 1000, ..Options::default() }).unwrap().snapshot);
        let plan = Arc::new(planner::plan(&snapshot));
        Planned { snapshot, plan }
    });
    let present: Observe = Arc::new(|| Box::pin(async { Some((*PLANNED.snapshot).clone()) }));
    Debug::new(who, profiling, || Some(PLANNED.clone()), present).router()
}

/// Endpoints of a replica that does not lead.
fn nothing() -> Debug {
    Debug::new(DebugEndpoints::Loopback, false, || None, Arc::new(|| Box::pin(async { None })))
}

#[tokio::test]
async fn the_last_plan_is_the_documented_json() {
    let (status, body) = ask(shop(DebugEndpoints::Loopback, false), HERE, "/debug/plan").await;
    assert_eq!(status, StatusCode::OK);
    let plan: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(plan["kind"], "Plan");
    assert!(plan["summary"]["newNodes"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn the_snapshot_can_be_replayed() {
    let (status, body) = ask(shop(DebugEndpoints::Loopback, false), HERE, "/debug/snapshot").await;
    assert_eq!(status, StatusCode::OK);
    let recording = Recording::read(&body[..]).unwrap();
    assert!(planner::plan(&recording.snapshot) == recording.plan);
}

#[tokio::test]
async fn a_pod_is_explained_and_an_unknown_one_is_not_found() {
    let router = shop(DebugEndpoints::Loopback, false);
    let plan = ask(router.clone(), HERE, "/debug/plan").await.1;
    let plan: serde_json::Value = serde_json::from_slice(&plan).unwrap();
    let pod = plan["launches"][0]["pods"][0].as_str().unwrap();
    let (status, body) = ask(router.clone(), HERE, &format!("/debug/explain/pod/{pod}")).await;
    assert_eq!(status, StatusCode::OK);
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((answer["name"].as_str(), answer["outcome"].as_str()), (Some(pod), Some("newNode")));
    let (status, body) = ask(router, HERE, "/debug/explain/pod/shop/nobody").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(String::from_utf8(body).unwrap().contains("pod shop/nobody"));
}

#[tokio::test]
async fn debug_answers_are_for_this_machine_unless_opened_or_closed() {
    let status = async |who, peer| ask(shop(who, false), peer, "/debug/plan").await.0;
    assert_eq!(status(DebugEndpoints::Loopback, ELSEWHERE).await, StatusCode::FORBIDDEN);
    assert_eq!(status(DebugEndpoints::Loopback, "[::ffff:127.0.0.1]:1").await, StatusCode::OK);
    assert_eq!(status(DebugEndpoints::Everybody, ELSEWHERE).await, StatusCode::OK);
    assert_eq!(status(DebugEndpoints::Nobody, HERE).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nothing_is_made_up_while_nothing_is_known() {
    let router = nothing().router();
    assert_eq!(ask(router, HERE, "/debug/plan").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn profiles_are_served_with_profiling_only() {
    let (status, body) = ask(shop(DebugEndpoints::Nobody, true), HERE, "/debug/pprof/heap").await;
    assert_eq!(status, if cfg!(target_os = "linux") { StatusCode::OK } else { StatusCode::NOT_IMPLEMENTED });
    assert!(status != StatusCode::OK || body.starts_with(&[0x1f, 0x8b]));
    let (status, _) = ask(shop(DebugEndpoints::Everybody, false), HERE, "/debug/pprof/heap").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_replica_is_ready_when_it_waits_for_the_lease_and_when_its_mirror_is_filled() {
    let health = Health::default();
    let ready = async |health: &Health| ask(health.clone().router(), HERE, "/readyz").await.0;
    assert_eq!(ready(&health).await, StatusCode::SERVICE_UNAVAILABLE);
    health.kinds_served(true);
    assert_eq!(ready(&health).await, StatusCode::OK);
    health.leads(true);
    assert_eq!(ready(&health).await, StatusCode::SERVICE_UNAVAILABLE);
    health.synced(true);
    assert_eq!(ready(&health).await, StatusCode::OK);
    assert_eq!(ask(health.router(), HERE, "/healthz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn both_ports_are_served_until_the_stop() {
    let config =
        Config { metrics_port: 0, health_probe_port: 0, bind_address: [127, 0, 0, 1].into(), ..Config::default() };
    let ports = Ports::open(&config).await.unwrap();
    let [Some(main), Some(probes)] = ports.addresses() else { panic!("two addresses") };
    let taken = Config { metrics_port: main.port(), ..config.clone() };
    let error = Ports::open(&taken).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("--metrics-port: {main}")), "{error}");

    let debug = nothing();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(ports.serve(Metrics::new(), Health::default(), debug, stop.clone()));
    let fetch = async |address: SocketAddr, path: &'static str| {
        let fetched = tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        fetched.await.unwrap()
    };
    assert!(fetch(main, "/metrics").await.contains("karpenter_build_info{"));
    assert!(fetch(probes, "/healthz").await.starts_with("HTTP/1.1 200"));
    stop.cancel();
    serving.await.unwrap();
}
