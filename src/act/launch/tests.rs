//! Looking up claims whose answers were lost, on a server that is slow.

use bytes::Bytes;
use http_body_util::Full;
use kube::client::Body;
use tokio::time::Instant;

use super::*;

fn expected(name: &str) -> Arc<NodeClaim> {
    Arc::new(NodeClaim {
        api_version: "karpenter.sh/v1".into(),
        kind: "NodeClaim".into(),
        metadata: crds::ObjectMeta::named(name),
        spec: crds::node_claim::NodeClaimSpec::default(),
        status: None,
    })
}

#[tokio::test(start_paused = true)]
async fn claims_that_the_server_says_nothing_of_hold_a_pass_up_once_and_go_on_counting() {
    let service = tower::service_fn(|request: Request<Body>| async move {
        if !request.uri().path().ends_with("/gone") {
            std::future::pending::<()>().await;
        }
        let status = r#"{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "message": "m", "code": 404}"#;
        http::Response::builder().status(404).body(Full::new(Bytes::from(status)))
    });
    let mirror = Mirror::new(&[]);
    let launcher = Launcher {
        once: kube::Client::new(service, "default"),
        mirror: mirror.clone(),
        clock: Clock::from(jiff::Timestamp::from_second(1000).unwrap()),
        metrics: Metrics::new(),
        names: Names::seeded(1),
    };
    for name in ["a", "b", "c", "gone"] {
        mirror.expect(expected(name), 900);
        mirror.expect_unsure(name);
    }
    let began = Instant::now();
    launcher.settle_overdue().await;
    assert_eq!(began.elapsed().as_secs(), TIMEOUT.as_secs());
    let left: Vec<_> = mirror.expected().iter().map(|claim| claim.metadata.name().to_owned()).collect();
    assert_eq!(left, ["a", "b", "c"]);
}
