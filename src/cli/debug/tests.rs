//! The endpoints, asked as a client would.

use std::sync::LazyLock;

use super::*;
use crate::observe::{InputError, Options, Validate, files};
use crate::telemetry::http::testing::{ELSEWHERE, HERE, ask};

/// Endpoints of a controller that has planned the shop.
fn shop(who: DebugEndpoints, profiling: bool) -> Router {
    static PLANNED: LazyLock<Planned> = LazyLock::new(|| {
        let objects = files::read(&["examples/shop"], Validate::Strict).unwrap();
        let snapshot = Arc::new(
            crate::observe::snapshot(objects, &Options { effort: 1000, ..Options::default() }).unwrap().snapshot,
        );
        let plan = Arc::new(planner::plan(&snapshot));
        Planned { snapshot, plan }
    });
    let present: Observe = Arc::new(|| Box::pin(async { Ok((*PLANNED.snapshot).clone()) }));
    Debug::new(who, profiling, || Some(PLANNED.clone()), present).router()
}

/// Endpoints of a controller that has planned nothing, and why it cannot.
fn nothing(why: fn() -> Unseen) -> Router {
    let present: Observe = Arc::new(move || Box::pin(async move { Err(why()) }));
    Debug::new(DebugEndpoints::Loopback, false, || None, present).router()
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
    let (status, body) = ask(nothing(|| Unseen::NotYet), HERE, "/debug/plan").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(String::from_utf8(body).unwrap().contains("does not lead"));
}

#[tokio::test]
async fn a_cluster_that_cannot_be_read_is_told_with_the_cause() {
    let router = nothing(|| Unseen::Input(InputError::new("is no price").field("--prices")));
    let (status, body) = ask(router, HERE, "/debug/plan").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let text = String::from_utf8(body).unwrap();
    assert!(text.starts_with("no snapshot can be taken: ") && text.contains("is no price"), "{text}");
}

#[tokio::test]
async fn profiles_are_served_with_profiling_only() {
    let (status, body) = ask(shop(DebugEndpoints::Nobody, true), HERE, "/debug/pprof/heap").await;
    assert_eq!(status, if cfg!(target_os = "linux") { StatusCode::OK } else { StatusCode::NOT_IMPLEMENTED });
    assert!(status != StatusCode::OK || body.starts_with(&[0x1f, 0x8b]));
    let (status, _) = ask(shop(DebugEndpoints::Everybody, false), HERE, "/debug/pprof/heap").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
