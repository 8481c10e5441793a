//! `/debug/*`: the last plan, the snapshot it was made of, and why a pod is where it is, as the controller sees it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::FutureExt as _;
use planner::model::Snapshot;
use planner::plan::Plan;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{explain, json};
use crate::app::{Insight, Observe};
use crate::config::{Config, DebugEndpoints};
use crate::decide::Unseen;
use crate::recording::Recording;
use crate::telemetry::http::{pprof, text};

/// Answers that are worked on at a time: planning takes a core and memory.
const MAX_AT_ONCE: usize = 2;
/// How long an answer may be waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// One plan and what it was made of.
#[derive(Clone, Debug)]
struct Planned {
    snapshot: Arc<Snapshot>,
    plan: Arc<Plan>,
}

/// The last plan that was acted on.
type Last = Arc<dyn Fn() -> Option<Planned> + Send + Sync>;

/// The endpoints of a controller, as its settings say.
pub(super) fn router(config: &Config, insight: &Insight) -> Router {
    let decisions = insight.decisions();
    let last = move || {
        let decision = decisions.borrow().clone()?;
        Some(Planned { snapshot: decision.snapshot.clone(), plan: decision.plan.clone() })
    };
    let insight = insight.clone();
    let present: Observe = Arc::new(move || {
        let insight = insight.clone();
        async move { insight.snapshot().await }.boxed()
    });
    Debug::new(config.debug_endpoints, config.profiling, last, present).router()
}

/// What the endpoints show, and to whom.
#[derive(Clone)]
struct Debug {
    who: DebugEndpoints,
    profiling: bool,
    last: Last,
    observe: Observe,
    at_once: Arc<Semaphore>,
}

impl Debug {
    /// `last` is the last plan; `observe` takes a snapshot for questions about the present.
    fn new(
        who: DebugEndpoints,
        profiling: bool,
        last: impl Fn() -> Option<Planned> + Send + Sync + 'static,
        observe: Observe,
    ) -> Self {
        let at_once = Arc::new(Semaphore::new(MAX_AT_ONCE));
        Self { who, profiling, last: Arc::new(last), observe, at_once }
    }

    fn router(self) -> Router {
        let mut answers = Router::new()
            .route("/debug/plan", get(plan))
            .route("/debug/snapshot", get(snapshot))
            .route("/debug/explain/pod/{namespace}/{name}", get(explain_pod))
            .layer(middleware::from_fn_with_state(self.clone(), only_for_those_who_may));
        if self.profiling {
            answers = answers.merge(pprof::router());
        }
        answers.with_state(self)
    }

    /// The last plan, or with `fresh` one of the present that nothing is done about.
    async fn planned(&self, fresh: bool) -> Result<Planned, Response> {
        if let (Some(last), false) = ((self.last)(), fresh) {
            return Ok(last);
        }
        let snapshot = (self.observe)().await.map(Arc::new).map_err(|why| {
            let status = match why {
                Unseen::NotYet => StatusCode::SERVICE_UNAVAILABLE,
                Unseen::Input(_) | Unseen::CutOff(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            text(status, why.to_string())
        })?;
        self.work(move || {
            let plan = Arc::new(planner::plan(&snapshot));
            Planned { snapshot, plan }
        })
        .await
    }

    /// Works on a thread of its own, a few at a time.
    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Response> {
        let busy = || text(StatusCode::TOO_MANY_REQUESTS, "other questions are being answered; ask again");
        let permit = tokio::time::timeout(PATIENCE, self.at_once.clone().acquire_owned());
        let permit = permit.await.map_err(|_| busy())?.map_err(|_| busy())?;
        let worked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        match tokio::time::timeout(PATIENCE, worked).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err(text(StatusCode::INTERNAL_SERVER_ERROR, "the answer was given up; see the log")),
            Err(_) => Err(text(StatusCode::GATEWAY_TIMEOUT, "no answer in time; ask for a smaller cluster")),
        }
    }
}

/// Loopback is where `kubectl port-forward` comes from.
async fn only_for_those_who_may(
    State(debug): State<Debug>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    match debug.who {
        DebugEndpoints::Everybody => next.run(request).await,
        DebugEndpoints::Loopback if peer.ip().to_canonical().is_loopback() => next.run(request).await,
        DebugEndpoints::Loopback => text(
            StatusCode::FORBIDDEN,
            "only from this machine (kubectl port-forward counts as it), or with --enable-debug-endpoints=true",
        ),
        DebugEndpoints::Nobody => text(StatusCode::NOT_FOUND, "switched off by --enable-debug-endpoints=false"),
    }
}

#[derive(Deserialize)]
struct Which {
    /// Of the present, not the last one that was acted on.
    #[serde(default)]
    fresh: bool,
}

async fn plan(State(debug): State<Debug>, Query(which): Query<Which>) -> Result<Response, Response> {
    let planned = debug.planned(which.fresh).await?;
    let document = debug.work(move || {
        let document = json::document(&planned.snapshot, &planned.plan);
        serde_json::to_string_pretty(&document)
    });
    let document = document.await?.map_err(|error| text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(as_json(document))
}

async fn snapshot(State(debug): State<Debug>, Query(which): Query<Which>) -> Result<Response, Response> {
    let planned = debug.planned(which.fresh).await?;
    let bytes = debug.work(move || {
        let Planned { snapshot, plan } = planned;
        let mut bytes = Vec::new();
        Recording::new(Arc::unwrap_or_clone(snapshot), Arc::unwrap_or_clone(plan)).write(&mut bytes)?;
        Ok::<_, crate::recording::RecordingError>(bytes)
    });
    let bytes = bytes.await?.map_err(|error| text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/gzip")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"recording.json.gz\"")),
    ];
    Ok((headers, bytes).into_response())
}

async fn explain_pod(
    State(debug): State<Debug>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Response, Response> {
    let planned = debug.planned(true).await?;
    let key = format!("{namespace}/{name}");
    let answer = debug.work(move || {
        explain::pod_as_json(&key, &planned.snapshot, &planned.plan).map_err(|error| format!("{error:#}"))
    });
    match answer.await? {
        Ok(answer) => Ok(as_json(answer)),
        Err(unknown) => Err(text(StatusCode::NOT_FOUND, unknown)),
    }
}

fn as_json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

#[cfg(test)]
mod tests;
