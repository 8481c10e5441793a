//! Asks a router as a client would.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

/// An address on this machine.
pub(crate) const HERE: &str = "127.0.0.1:4000";
/// One on another.
pub(crate) const ELSEWHERE: &str = "10.0.0.7:4000";

/// What a client at `peer` is answered.
pub(crate) async fn ask(router: Router, peer: &str, path: &str) -> (StatusCode, Vec<u8>) {
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
    let answer = router.oneshot(request).await.unwrap();
    let status = answer.status();
    (status, answer.into_body().collect().await.unwrap().to_bytes().to_vec())
}
