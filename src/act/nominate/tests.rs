//! What becomes of nominations when a process ends or the server does not answer.

use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use kube::client::Body;
use serde_json::{Value, json};

use super::*;
use crate::observe::mirror::{Both, Object};

/// A cluster whose server fails to clear so many nominations before it does.
struct Cluster {
    mirror: Mirror,
    nominations: Nominations,
    n_patches: Arc<AtomicUsize>,
}

impl Cluster {
    fn new(n_failures: usize) -> Self {
        let (mirror, n_patches) = (Mirror::new(&[]), Arc::new(AtomicUsize::new(0)));
        let (seen, counted) = (mirror.clone(), n_patches.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (seen, nth) = (seen.clone(), counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
            async move {
                let name = request.uri().path().split('/').nth(6).unwrap_or_default().to_owned();
                let code = if nth < n_failures { 500 } else { 200 };
                if code == 200 {
                    seen.apply(pod(&name, "", &json!({})));
                }
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "r",
                    "message": "m", "code": code});
                Response::builder().status(code).body(Full::new(Bytes::from(status.to_string())))
            }
        });
        let client = kube::Client::new(service, "default");
        let nominations = Nominations::new(client, mirror.clone(), Metrics::new(), true);
        Self { mirror, nominations, n_patches }
    }

    fn node(&self, name: &str, class: &str) {
        let provider = format!("p://{name}");
        let node = json!({"metadata": {"name": name}, "spec": {"providerID": provider},
            "status": {"allocatable": {"cpu": "4", "pods": "10"}}});
        self.mirror.apply(Object::Node(serde_json::from_value(node).unwrap()));
        let claim = json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "metadata": {"name": name, "uid": name, "resourceVersion": "1"},
            "spec": {"requirements": [], "nodeClassRef": {"group": "g", "kind": class, "name": "default"}},
            "status": {"providerID": provider},
        });
        self.mirror.apply(Object::NodeClaim(Box::new(Both {
            whole: serde_json::from_value(claim.clone()).unwrap(),
            trimmed: serde_json::from_value(claim).unwrap(),
        })));
    }

    /// The nominations that are left after a while.
    async fn left(&self, seconds: u64) -> Vec<String> {
        self.nominations.adopt(|class| class.kind == "Ours");
        let look_after = self.nominations.look_after(&|_: &str| {});
        tokio::time::timeout(Duration::from_secs(seconds), look_after).await.unwrap_err();
        self.mirror.nominated().into_values().flatten().map(|pod| pod.name().to_owned()).collect()
    }
}

/// A pod without a node that is nominated to one, or a bound pod if `change` says so.
fn pod(name: &str, nominated: &str, change: &Value) -> Object {
    let mut pod = json!({
        "metadata": {"namespace": "shop", "name": name, "uid": name}, "spec": {"containers": []},
        "status": {"nominatedNodeName": nominated,
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
    });
    json_patch::merge(&mut pod, change);
    Object::Pod(serde_json::from_value(pod).unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_process_nominated_is_taken_back_unless_others_hold_it_there() {
    let cluster = Cluster::new(0);
    cluster.node("ours", "Ours");
    cluster.node("foreign", "Theirs");
    cluster.mirror.apply(pod("to-ours", "ours", &json!({})));
    cluster.mirror.apply(pod("to-nowhere", "gone", &json!({})));
    cluster.mirror.apply(pod("to-foreign", "foreign", &json!({})));
    assert_eq!(cluster.left(10).await.len(), 3, "its node may be opening");
    assert_eq!(cluster.left(20).await, ["to-foreign"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_the_scheduler_makes_room_for_keeps_its_nomination() {
    let cluster = Cluster::new(0);
    cluster.node("ours", "Ours");
    cluster.mirror.apply(pod("urgent", "ours", &json!({"spec": {"priority": 5}})));
    let victim = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:30Z"}, "spec": {"nodeName": "ours"}});
    cluster.mirror.apply(pod("victim", "", &victim));
    assert_eq!(cluster.left(60).await, ["urgent"]);
    cluster.mirror.remove(crate::observe::mirror::Kind::Pod, "shop", "victim");
    assert!(cluster.left(60).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_nomination_whose_patch_fails_is_taken_back_by_another_one() {
    let cluster = Cluster::new(3);
    cluster.node("ours", "Ours");
    cluster.mirror.apply(pod("a", "ours", &json!({})));
    assert!(cluster.left(60).await.is_empty());
    assert_eq!(cluster.n_patches.load(std::sync::atomic::Ordering::Relaxed), 4, "and no more than that");
}
