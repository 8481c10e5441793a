//! Sending again what may be sent again.

use std::time::Duration;

use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use kube::client::Body;
use tower::BoxError;

use super::Gate;
use super::meter::Call;

/// Most times one request is sent.
const MAX_TRIES: u32 = 6;
/// Before the second try; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait, also when the server asks for more: then the caller is told, who knows better what to do meanwhile.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Sends; when the answer is that the server is busy, or there is none, waits and sends again. A POST is sent once, for
/// a second create or eviction is another one; a watch is sent once, for whoever watches starts again by himself.
pub(super) async fn send(gate: Gate, request: Request<Body>) -> Result<Response<Body>, BoxError> {
    if *request.method() == Method::POST || Call::of(&request).is_watch {
        return gate.send(request).await;
    }
    let method = request.method().to_string();
    let mut again = copy(&request);
    let mut result = gate.clone().send(request).await;
    for tries in 1..MAX_TRIES {
        let Some((cause, wait)) = pause(&result, tries) else { break };
        let Some(request) = again else { break };
        gate.metrics.api_retries_total.inc([&method, &cause]);
        tokio::time::sleep(wait).await;
        again = copy(&request);
        result = gate.clone().send(request).await;
    }
    result
}

/// Why and after which pause to send again, if at all.
fn pause(result: &Result<Response<Body>, BoxError>, tries: u32) -> Option<(String, Duration)> {
    let own = (FIRST_WAIT * 2u32.saturating_pow(tries - 1)).min(MAX_WAIT);
    match result {
        Err(_) => Some(("connection".into(), own)),
        Ok(answer) => {
            let status = answer.status();
            let is_busy = [
                StatusCode::TOO_MANY_REQUESTS,
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ];
            let wait = asked_for(answer.headers()).unwrap_or(own);
            (is_busy.contains(&status) && wait <= MAX_WAIT).then(|| (status.as_str().to_owned(), wait.max(own)))
        }
    }
}

/// Seconds in the header `Retry-After`.
fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The same request, unless its body is a stream.
fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}
