//! Elections under a virtual clock, over a server that holds one lease.

use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;
use crate::client::Clients;

/// A server with one lease, which can be made to fail.
#[derive(Clone, Default)]
struct Server {
    lease: Arc<Mutex<Option<Value>>>,
    is_down: Arc<Mutex<bool>>,
}

impl Server {
    fn clients(&self) -> Clients {
        let server = self.clone();
        Clients::from_service(tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let method = request.method().clone();
                let body = request.into_body().collect().await?.to_bytes();
                let (code, answer) = server.answer(&method, &body);
                let answer =
                    Response::builder().status(code).body(Full::new(bytes::Bytes::from(answer.to_string())))?;
                Ok::<_, tower::BoxError>(answer)
            }
        }))
    }

    fn answer(&self, method: &Method, body: &[u8]) -> (StatusCode, Value) {
        let no = |code: StatusCode| {
            let reason = match code {
                StatusCode::NOT_FOUND => "NotFound",
                StatusCode::CONFLICT => "Conflict",
                _ => "InternalError",
            };
            (code, json!({"kind": "Status", "status": "Failure", "reason": reason, "code": code.as_u16()}))
        };
        if *self.is_down.lock().unwrap() {
            return no(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let mut lease = self.lease.lock().unwrap();
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].as_str().unwrap_or("0").to_owned();
        match (method, &*lease) {
            (&Method::GET, Some(lease)) => (StatusCode::OK, lease.clone()),
            (&Method::GET, None) => no(StatusCode::NOT_FOUND),
            (&Method::POST, Some(_)) => no(StatusCode::CONFLICT),
            _ => {
                let mut sent: Value = serde_json::from_slice(body).unwrap();
                let now = lease.as_ref().map_or("0".to_owned(), version);
                if *method == Method::PUT && version(&sent) != now {
                    return no(StatusCode::CONFLICT);
                }
                sent["metadata"]["resourceVersion"] = (now.parse::<u64>().unwrap() + 1).to_string().into();
                *lease = Some(sent.clone());
                (StatusCode::OK, sent)
            }
        }
    }

    fn holder(&self) -> String {
        self.lease
            .lock()
            .unwrap()
            .as_ref()
            .map_or(String::new(), |lease| lease["spec"]["holderIdentity"].as_str().unwrap().into())
    }

    fn transitions(&self) -> i64 {
        self.lease.lock().unwrap().as_ref().unwrap()["spec"]["leaseTransitions"].as_i64().unwrap()
    }
}

/// A candidate that writes down when it leads.
struct Candidate {
    stop: CancellationToken,
    /// Cuts the candidate off without a release, as a kill does.
    task: tokio::task::JoinHandle<Result<(), Lost>>,
    leads: Arc<Mutex<bool>>,
}

/// Set while it lives, however its life ends.
struct Leads(Arc<Mutex<bool>>);

impl Leads {
    fn begin(flag: Arc<Mutex<bool>>) -> Self {
        *flag.lock().unwrap() = true;
        Self(flag)
    }
}

impl Drop for Leads {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = false;
    }
}

fn candidate(server: &Server, identity: &str) -> Candidate {
    let clock = Clock::from(jiff::Timestamp::from_second(1_700_000_000).unwrap());
    let elector = Elector::new(
        server.clients().unthrottled,
        "kube-system",
        "karpenter-leader-election",
        identity,
        clock,
        &Metrics::new(),
    );
    let (stop, leads) = (CancellationToken::new(), Arc::new(Mutex::new(false)));
    let (token, flag) = (stop.clone(), leads.clone());
    let task = tokio::spawn(async move {
        elector
            .run(token, |leading| async move {
                let _leads = Leads::begin(flag);
                leading.cancelled().await;
            })
            .await
    });
    Candidate { stop, task, leads }
}

impl Candidate {
    fn leads(&self) -> bool {
        *self.leads.lock().unwrap()
    }
}

async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn of_two_candidates_exactly_one_leads() {
    let server = Server::default();
    let (a, b) = (candidate(&server, "a"), candidate(&server, "b"));
    pass(60).await;
    assert!(a.leads() != b.leads());
    assert_eq!(server.transitions(), 0);
    a.stop.cancel();
    b.stop.cancel();
    pass(3).await;
    assert!(!a.leads() && !b.leads());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stops_gives_the_lease_back_and_another_has_it_within_a_retry() {
    let server = Server::default();
    let a = candidate(&server, "a");
    pass(5).await;
    let b = candidate(&server, "b");
    pass(5).await;
    assert!(a.leads() && !b.leads());
    a.stop.cancel();
    assert_eq!(a.task.await.unwrap(), Ok(()));
    pass(3).await;
    assert!(b.leads());
    assert_eq!((server.holder().as_str(), server.transitions()), ("b", 1));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_killed_is_followed_after_the_duration_of_its_lease() {
    let server = Server::default();
    let a = candidate(&server, "a");
    pass(5).await;
    let b = candidate(&server, "b");
    pass(5).await;
    a.task.abort();
    pass(12).await;
    assert!(!b.leads(), "the lease may still be renewed");
    pass(8).await;
    assert!(b.leads());
    assert_eq!((server.holder().as_str(), server.transitions()), ("b", 1));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_before_another_may_take_over() {
    let server = Server::default();
    let a = candidate(&server, "a");
    pass(5).await;
    *server.is_down.lock().unwrap() = true;
    pass(8).await;
    assert!(a.leads(), "a short outage is borne");
    pass(5).await;
    assert!(!a.leads());
    assert_eq!(a.task.await.unwrap(), Err(Lost));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_takes_its_time_to_stop_renews_until_it_has() {
    let server = Server::default();
    let clock = Clock::from(jiff::Timestamp::from_second(1_700_000_000).unwrap());
    let elector = Elector::new(
        server.clients().unthrottled,
        "kube-system",
        "karpenter-leader-election",
        "a",
        clock,
        &Metrics::new(),
    );
    let stop = CancellationToken::new();
    let token = stop.clone();
    let slow = tokio::spawn(async move {
        elector
            .run(token, |leading| async move {
                leading.cancelled().await;
                sleep(Duration::from_secs(18)).await;
            })
            .await
    });
    pass(5).await;
    stop.cancel();
    let b = candidate(&server, "b");
    pass(17).await;
    assert_eq!((server.holder().as_str(), b.leads()), ("a", false));
    pass(5).await;
    assert_eq!(slow.await.unwrap(), Ok(()));
    assert!(b.leads());
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_lease_was_taken_stops_at_once() {
    let server = Server::default();
    let a = candidate(&server, "a");
    pass(5).await;
    server.lease.lock().unwrap().as_mut().unwrap()["spec"]["holderIdentity"] = "b".into();
    pass(3).await;
    assert!(!a.leads());
    assert_eq!(a.task.await.unwrap(), Err(Lost));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_elsewhere_does_not_matter() {
    let server = Server::default();
    // Renewed "in the year 2000", but it keeps changing: its holder lives.
    let lease = |n: u32| {
        json!({"metadata": {"name": "karpenter-leader-election", "resourceVersion": n.to_string()},
               "spec": {"holderIdentity": "x", "leaseDurationSeconds": 15, "leaseTransitions": 3,
                        "renewTime": format!("2000-01-01T00:00:{:02}.000000Z", n % 60)}})
    };
    *server.lease.lock().unwrap() = Some(lease(1));
    let a = candidate(&server, "a");
    for n in 2..30 {
        pass(5).await;
        *server.lease.lock().unwrap() = Some(lease(n));
    }
    assert!(!a.leads());
    pass(20).await;
    assert!(a.leads());
    assert_eq!(server.transitions(), 4);
}

#[test]
fn two_processes_have_two_identities() {
    assert_ne!(identity(), identity());
}
